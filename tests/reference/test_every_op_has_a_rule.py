"""Every op has a rule for its gradient, or says that it has none."""

from importlib import import_module
from pathlib import Path

import pytest

from tinytorch.receipts import RULES
from tinytorch.tensor import Op
from tito.core.curriculum import parse

COURSE = Path(__file__).resolve().parents[2] / "modules"
LESSONS = {lesson.name: lesson.modules for lesson in parse((COURSE / "curriculum.toml").read_text("utf-8"))}
WITH_RULES = ["tensor", "activations"]


def ops(lesson: str) -> list[Op]:
    """The ops that a lesson and its appendices define."""
    modules = [import_module(f"tinytorch.{name}") for name in LESSONS[lesson]]
    found = {id(x): x for module in modules for x in vars(module).values()
             if isinstance(x, Op) and x.__module__ == module.__name__}
    return list(found.values())


@pytest.mark.parametrize("lesson", WITH_RULES)
def test_every_op_of_the_lesson_has_a_rule_or_says_that_it_has_none(lesson):
    assert ops(lesson), "a lesson without ops is none of those with rules"
    assert [op.name for op in ops(lesson) if op not in RULES] == []
