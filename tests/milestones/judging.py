"""A program that runs one of a milestone's tests: `python -c … milestone.py NAME`."""


def one_test(learner: str) -> str:
    """The program; `learner` is what the milestone's learning begins with, and learns a tenth of its time."""
    return f"""
import runpy, sys
program = runpy.run_path(sys.argv[1])
program["{learner}"].__globals__["SHARE"] = 0.1
gates = program["gates"]
gates.tests = [(name, test) for name, test in gates.tests if name == sys.argv[2]]
sys.exit(not gates.run())
"""
