"""Pictures that a learner's own package draws: the program runs as a milestone's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tito.core.errors import ChecksFailed, Locked
from tito.core.plan import Limits

if TYPE_CHECKING:
    from tito.app import Workspace
    from tito.services_testing import Say

SUBJECTS = {
    "graph": "what autograd remembers of a small network",
    "weights": "the filters with which LeNet-5 begins",
    "attention": "where the heads of a small GPT look while it reads a TEXT",
    "curve": "the loss of a perceptron that learns digits",
}


def draw(place: Workspace, subject: str, signs: str, text: str, say: Say, limits: Limits) -> str:
    """Runs milestones/see.py on ./tinytorch: its lines go to `say`, and the picture comes back as SVG."""
    course = place.course
    report = place.tests.program(subject, course.milestones / "see.py", limits, say, (subject, signs, text),
                                 assets=course.milestones)
    if problem := report.first_problem:
        if lesson := report.numbers.get("lesson"):
            raise Locked(f"Your package cannot draw that yet: lesson {lesson} builds it.",
                         f"tito module start {str(lesson).split()[0]}")
        said = f"Your package did not come to the end of it: {problem.message}."
        raise ChecksFailed(said, "tito module test")
    return str(report.numbers["svg"])
