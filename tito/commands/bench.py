"""`tito bench`: your package beside the course's, NumPy and PyTorch."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from tito.commands import Command, CourseName, as_json, reply, show
from tito.core.bench import WORKLOADS
from tito.core.errors import OK
from tito.core.plan import limits_from

WORKLOAD = CourseName("workload", lambda course: list(WORKLOADS.items()))


@click.command(cls=Command, examples=[
    ("tito bench", "every workload, in turns"),
    ("tito bench matmul mlp", "these two"),
    ("tito bench gpt --html gpt.html", "and a page to keep"),
    ("tito bench --json", "everything that was measured, for a program"),
])
@click.argument("workloads", type=WORKLOAD, nargs=-1)
@click.option("--rounds", type=click.IntRange(1, 1000), default=15, show_default=True,
              help="Turns that each contender has; below 6 no interval is known.")
@click.option("--seconds", type=float, default=0.05, show_default=True, help="How long a turn takes, about.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too.")
@as_json
def bench(
    workloads: tuple[str, ...], rounds: int, seconds: float, page: Path | None, as_json: bool,
) -> int:
    """Race your package against the course's, NumPy and PyTorch.

    Each runs in a process of its own, on one thread, in turns with the others. What your package cannot do
    yet is left out. WORKLOADS are matmul, softmax, forward, mlp, lenet and gpt.
    """
    from tito.core.bench import as_data, chosen
    from tito.services_bench import races
    from tito.services_pages import save
    from tito.view import bench as view
    from tito.view.live import watching
    names, here = chosen(workloads), races(Path.cwd())
    with watching("bench", quiet=as_json) as watch:
        found = here.race(names, rounds, max(seconds, 1e-4), limits_from(os.environ), watch.line)
    reply(as_json, "bench", as_data(found), view.raced, found)
    if page:
        save(page, view.html(found, f"{datetime.now():%d %B %Y, %H:%M}"))
        if not as_json: show(view.saved, str(page))
    return OK


command = bench
