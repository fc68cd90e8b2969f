"""A program that runs a lesson's cells and measures some of its checks. It runs where a learner's code runs.

It is told a file with cells and checks in their order, and hands in {"costs": {check: {"seconds", "peak"}}}.
A check that does not pass is left out; a cell that fails is passed over, as in a notebook.
"""

import json
import os
import sys
import time
import tracemalloc
import types
from pathlib import Path

MOST, ENOUGH = 50, 0.2              # runs of one check, and the seconds in which they have to be done


def run(code, space) -> float:
    """Seconds of CPU time: what else the machine does is not counted."""
    begin = time.process_time()
    exec(code, dict(vars(space)))
    return time.process_time() - begin


def measured(code, space) -> dict:
    times = [run(code, space)]
    until = time.monotonic() + ENOUGH
    while len(times) < MOST and time.monotonic() < until: times.append(run(code, space))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run(code, space)
        return {"seconds": min(times), "peak": max(0, tracemalloc.get_traced_memory()[1] - before)}
    finally:
        tracemalloc.stop()


def main(path: str) -> None:
    space, found = types.ModuleType("__main__"), {}
    sys.modules["__main__"] = space
    asked = json.loads(Path(path).read_text("utf-8"))
    for unit in asked["units"]:
        wanted = unit["id"] in asked["checks"]
        if unit["kind"] == "check" and not wanted: continue
        try:
            code = compile(unit["source"], unit["file"], "exec", 0, True)
            if wanted: found[unit["id"]] = measured(code, space)
            else: exec(code, vars(space))
        except Exception as problem:        # a blank, or a check that does not pass
            print(f"{unit['id']}: {type(problem).__name__}: {problem}")
    Path(os.environ["TITO_REPORT"]).write_text(json.dumps({"costs": found}), "utf-8")


main(sys.argv[1])
