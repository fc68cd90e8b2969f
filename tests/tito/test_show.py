"""`tito show`: pictures that a learner's own package draws."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from tito import cli
from tito.app import create_workspace, open_course
from tito.core.errors import ChecksFailed, Locked
from tito.core.plan import Limits
from tito.services_show import SUBJECTS, draw

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A workspace whose package is as the course would write it."""
    course = open_course()
    found = create_workspace(tmp_path_factory.mktemp("show") / "mytorch", course)
    sources = {}
    for lesson in course.curriculum:
        if lesson.number <= 11: sources |= course.sources(lesson, lesson.files)
    found._place(course.package(sources))
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_picture_is_drawn_in_a_terminal_and_as_svg(place, subject):
    lines = []
    svg = ElementTree.fromstring(draw(place, subject, " .:*#", "", lines.append, Limits()))
    assert svg.tag.endswith("svg") and svg.get("aria-label") and len(list(svg)) > 5
    assert len(lines) > 8 and max(map(len, lines)) <= 80
    assert all(ord(c) < 128 for line in lines for c in line), "what is asked for in ASCII is ASCII"


def test_attention_looks_back_only_and_every_row_is_a_whole(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "milestones"))
    import see

    import tinytorch as tt
    q, k = (tt.tensor(np.random.default_rng(n).standard_normal((1, 2, 5, 4), np.float32)) for n in (0, 1))
    mask = tt.tensor(np.tri(5, dtype=bool))
    seen = see.looks(q, k, None, mask)
    assert np.allclose(seen.sum(-1), 1) and np.all(seen[:, ~np.tri(5, dtype=bool)] == 0)
    wanted = tt.softmax(q @ k.mT / 2 + tt.tensor(np.where(np.tri(5), 0, -np.inf).astype(np.float32)), -1)
    assert np.allclose(seen, wanted.numpy()[0], atol=1e-6)


def test_squares_are_empty_at_the_least_and_full_at_the_greatest(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "milestones"))
    import see
    assert see.squares(np.array([[0.0, 0.5], [1.0, 0.0]]), " .#") == ["  ..", "##  "]
    assert see.squares(np.ones((1, 2)), " #") == ["    "], "a picture of one value is empty"


def test_a_curve_in_braille_goes_from_corner_to_corner(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "milestones"))
    import see

    from tinytorch.curves import curves
    first, *_, last, axis, told = see.dotted(curves({"loss": [4.0, 3.0, 2.0, 1.0]}), columns=8, rows=4)
    assert ord(first.split("│")[1][0]) & 0x01 and ord(last.split("│")[1][7]) & 0x80, "its first and last dots"
    assert first.split("│")[0].strip() == "4" and last.split("│")[0].strip() == "1" and "1 to 4" in told
    assert axis.endswith(f"└{'─' * 8}")


def test_what_the_package_cannot_do_yet_is_named_with_its_lesson(place, tmp_path):
    fresh = create_workspace(tmp_path / "fresh", place.course)
    with pytest.raises(Locked, match="lesson 09 autograd builds it") as problem:
        draw(fresh, "graph", " #", "", print, Limits())
    assert problem.value.cure == "tito module start 09"


def test_a_text_without_letters_is_refused_in_a_sentence(place):
    with pytest.raises(ChecksFailed, match="fewer than two letters"):
        draw(place, "attention", " #", "1", print, Limits())


def test_the_command_guesses_and_writes_files(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(place.root)
    assert cli.main(["show", "weight"]) == 2
    assert "Did you mean 'weights'?" in capsys.readouterr().err
    assert cli.main(["show", "weights", "--svg", str(tmp_path / "w.svg")]) == 0
    assert "filter 1" in capsys.readouterr().out
    assert (tmp_path / "w.svg").read_text("utf-8").startswith("<svg")
    assert cli.main(["show", "weights", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["svg"].startswith("<svg")
