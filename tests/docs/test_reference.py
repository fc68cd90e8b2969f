"""The reference names everything, says something of it, and says nothing that is not so."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tinytorch import _names
from tinytorch.receipts import RULES
from tito.checkout import open_checkout
from tito.core.faces import pytorch_names

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
import reference  # noqa: E402

COURSE = open_checkout(ROOT)
PACKAGE = reference.Package(COURSE)


@pytest.mark.parametrize("face", _names.OPEN)
def test_every_public_name_is_described(face):
    page, names = reference.face_page(face, PACKAGE), PACKAGE.names[face]
    heads = set(re.findall(r"^:+\{py:\w+\} ([\w.]+)", page, re.MULTILINE))
    assert [n.full for n in names if n.full not in heads] == []
    module = import_module(face)
    assert [n.full for n in names if callable(n.thing) and not reference.described(n, module)] == []


@pytest.mark.parametrize("lesson", [x for x in COURSE.curriculum if x.name in COURSE.written()],
                         ids=lambda lesson: lesson.folder)
def test_what_a_lesson_hands_on_is_in_the_reference(lesson):
    for face, entries in lesson.exports.items():
        wanted = {name for name in entries if name[0] not in "-_*" and not name.endswith(".*")}
        found = {name.name for name in PACKAGE.names[face]}
        assert {n for n in wanted - found if not n.endswith("_rule")} == set(), face


def test_every_op_has_a_row():
    rows = re.findall(r"^\| `(\w+)` \|", reference.ops(PACKAGE), re.MULTILINE)
    assert {op.name for op in RULES} <= set(rows) and len(rows) == len(reference.every_op(PACKAGE))


def test_both_sides_of_every_numpy_row_come_to_the_same():
    assert reference.numpy().count("\n| `") == len(reference.NUMPY)


def test_and_a_row_that_lies_is_refused():
    x = {"a": reference.np.ones(3), "e": None}
    with pytest.raises(AssertionError, match="a is"): reference._agreed("a", "x", x, {"x": 2 * x["a"]})


def test_the_counts_of_pytorchs_names_are_those_of_the_package():
    counts, names = reference.pytorch(PACKAGE)
    theirs = pytorch_names(COURSE.beside["pytorch_names.txt"])
    rows = {place: (int(here), int(there)) for place, here, there in
            re.findall(r"^\| `([\w.]+)` \| (\d+) \| (\d+) \|$", counts, re.MULTILINE)}
    assert {place: there for place, (_, there) in rows.items()} == {p: len(n) for p, n in theirs.items()}
    nn = import_module("tinytorch.nn")
    assert rows["torch.nn"][0] == sum(hasattr(nn, name) for name in theirs["torch.nn"])
    assert "`Linear`" in names


@pytest.mark.parametrize("text, page", [
    ("The sum.  (*), (*) -> (*)", "The sum.\n\n```\n(*), (*) -> (*)\n```"),
    ("(N, C) -> (N)", "```\n(N, C) -> (N)\n```"),
    ("One * two, `a_b`.", "One \\* two, `a_b`."),
    (">>> 1 + 1\n2", "```{code-block} pycon\n\n>>> 1 + 1\n2\n```"),
])
def test_docstrings_keep_what_markdown_would_take(text, page): assert reference.docstring(text) == page
