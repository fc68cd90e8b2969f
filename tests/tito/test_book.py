"""`tito book` finds what `make book` made, and says so when nobody has."""

import json
import shutil
from pathlib import Path

import click
import pytest

from tito import cli
from tito.services_course import Course

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A course whose book is made."""
    (tmp_path / "modules").mkdir()
    shutil.copy(ROOT / "modules" / "curriculum.toml", tmp_path / "modules")
    for page in ("index.html", "lessons/05_dense/index.html"):
        path = tmp_path / "build" / "book" / "html" / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<title>a page</title>", "utf-8")
    monkeypatch.setattr("tito.app.open_course", lambda: Course(tmp_path))
    return tmp_path / "build" / "book" / "html"


@pytest.mark.parametrize("words, page", [([], "index.html"), (["05"], "lessons/05_dense/index.html")])
def test_the_book_is_opened(checkout, words, page, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(click, "launch", opened.append)
    assert cli.main(["book", *words]) == 0
    assert opened == [(checkout / page).as_uri()]


def test_or_only_named(checkout, monkeypatch, capsys):
    monkeypatch.setattr(click, "launch", lambda url: pytest.fail(f"{url} was opened"))
    assert cli.main(["book", "--no-open"]) == 0
    assert "the book is" in capsys.readouterr().out
    assert cli.main(["book", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(checkout / "index.html")


@pytest.mark.parametrize("words", [[], ["06"]])
def test_a_book_that_nobody_made_is_not_there(checkout, words, capsys):
    if not words: shutil.rmtree(checkout)
    assert cli.main(["book", *words]) == 4
    assert "make book" in capsys.readouterr().err
