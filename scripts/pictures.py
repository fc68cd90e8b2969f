"""Draw the main screens of tito as SVG, for the README and the guides.

    python scripts/pictures.py [NAME …]         (default: all of them)

The learner who is halfway through lesson 02 is invented; what ran in the other pictures did run.
"""

from __future__ import annotations

import io
import re
import sys
from functools import cache
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from demo import answer  # beside this file
from tito.app import create_workspace
from tito.core.advice import advice
from tito.core.curriculum import parse
from tito.core.lesson import shown
from tito.core.milestones import Standing, standing
from tito.core.progress import LessonRecord, Progress
from tito.core.results import Report
from tito.ports.notebooks import NotebooksOnDisk
from tito.view import checks, course
from tito.view.screen import Screen

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 82


def halfway() -> Standing:
    """Somebody in the middle of lesson 02."""
    return stand(
        {
            "setup": LessonRecord(started="2026-11-02", completed="2026-11-02T21:10", digest="setup"),
            "tensor": LessonRecord(
                started="2026-11-03", tested="2026-11-04", passed=23, total=41, stuck_at="broadcast_shapes"
            ),
        }
    )


@cache
def first_milestone() -> Standing:
    """A real run: lessons 01 to 03 solved as the course solves them, and Foundation unlocked."""
    with TemporaryDirectory() as folder:
        place = create_workspace(Path(folder) / "mytorch")
        for lesson in place.course.curriculum.lessons_of("foundation"):
            place.start(lesson)
            cells = {c.id: shown(c, solution=True) for c in place.course.chapter(lesson).exercises()}
            answer(NotebooksOnDisk(), place.notebook(lesson), cells)
            place.complete(lesson)
        place.milestone_unlock("foundation")
        return place.standing()


def stand(lessons: dict[str, LessonRecord]) -> Standing:
    curriculum = parse((ROOT / "modules/curriculum.toml").read_text("utf-8"))
    written = [x.name for x in curriculum if (ROOT / "modules" / x.folder).is_dir()]
    gates = [x.name for x in curriculum.milestones if (ROOT / "milestones" / x.name).is_dir()]
    return standing(curriculum, Progress(lessons, {}), written, {n: n for n in lessons}, gates)


def a_failing_check() -> Report:
    """A real run: everything before broadcast_shapes is right, and shapes are lined up at the wrong end."""
    mistake = """\
#| export exercise
def broadcast_shapes(*shapes: tuple[int, ...]) -> Size:
    met = [max(lengths) for lengths in zip(*shapes)]
    return Size(met)"""
    with TemporaryDirectory() as folder:
        place = create_workspace(Path(folder) / "mytorch")
        lesson = place.course.curriculum.lesson("tensor")
        exercises = place.course.chapter(lesson).exercises()
        before = takewhile(lambda cell: cell.name != "broadcast_shapes", exercises)
        cells = {cell.id: shown(cell, solution=True) for cell in before} | {"broadcast_shapes": mistake}
        answer(NotebooksOnDisk(), place.notebook(lesson), cells)
        return place.test(lesson)


HOME = Path.home() / "mytorch"

PICTURES = {  # name: (what was typed, what draws it, its values)
    "status": ("tito status", course.status, lambda: (halfway(), advice(halfway()), HOME)),
    "test": (
        "tito module test 02",
        checks.report,
        lambda: (a_failing_check(), "02 tensor", "tito module hint 02"),
    ),
    "milestones": ("tito milestone status --detailed", course.detailed, lambda: (first_milestone(),)),
    "timeline": ("tito milestone timeline", course.timeline, lambda: (halfway(),)),
    "lessons": ("tito module list", course.lessons, lambda: (halfway(),)),
}


CLEARER = {"#868887": "#9a9c9b", "#cc555a": "#e8767b"}      # 4.5 : 1 on the ground of a terminal, and more


def picture(typed, view, values) -> str:
    screen = Screen(io.StringIO(), record=True, force_terminal=True, color_system="truecolor", width=WIDTH)
    screen.console.print(view(*values(), screen))
    screen.console.print()                      # the last line of a terminal loses its underscores
    svg = screen.console.export_svg(title=typed, unique_id="tito")
    svg = re.sub(r"<!--.*?-->", "<!-- Drawn by scripts/pictures.py -->", svg, count=1)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)        # nothing is fetched to show it
    for faint, readable in CLEARER.items(): svg = svg.replace(faint, readable)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


def main() -> None:
    for name in sys.argv[1:] or PICTURES:
        (ROOT / "docs" / "pictures" / f"{name}.svg").write_text(picture(*PICTURES[name]), "utf-8")


if __name__ == "__main__":
    main()
