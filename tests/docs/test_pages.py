"""The pages that people wrote: their links lead somewhere, their numbers are those that were measured."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))
import build  # noqa: E402

from tito.cli import tito  # noqa: E402
from tito.commands.check_course import problem_with  # noqa: E402
from tito.core.prose import Page, typed  # noqa: E402

PAGES = ROOT / "book" / "pages"
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md",
           *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
LINK = re.compile(r"!?\[[^]]*\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
KNOWN = build.fragments(build.reference.Package(build.open_checkout(ROOT)), {1: "01_setup"})


def slugs(text: str) -> set[str]:
    """The anchors that headings give, as GitHub and MyST make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def lost(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    wrong = []
    for target, anchor in LINK.findall(path.read_text("utf-8")):
        place = path.parent / target if target else path
        if not place.exists():
            wrong.append(target)
        elif anchor and place.suffix == ".md" and anchor not in slugs(place.read_text("utf-8")):
            wrong.append(anchor)
    return wrong


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path): assert lost(path) == []


def test_and_a_link_that_does_not_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# Here\n[x](b.md) [y](#there) [z](#here)", "utf-8")
    assert lost(tmp_path / "a.md") == ["b.md", "there"]


@pytest.mark.parametrize("path", sorted(str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")))
def test_a_page_of_the_book_knows_what_it_asks_for(path):
    text = build.filled((PAGES / path).read_text("utf-8"), KNOWN)
    assert "<!--" not in text
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("path", [*WRITTEN, *sorted(PAGES.rglob("*.md"))],
                         ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_that_a_page_names_exist(path):
    lines = typed(Page("", path.read_text("utf-8")))
    assert {line: problem for line in lines if (problem := problem_with(line, tito))} == {}


def test_links_out_of_the_book_become_names_of_files():
    path = ROOT / "benchmarks" / "README.md"
    inside = "[it](RESULTS.md) [d](../docs/tito.md)"
    assert build.within_the_book(path, inside) == inside
    assert build.within_the_book(path, "[it](bench_door.py)") == "it (`benchmarks/bench_door.py`)"


def rows(text: str, first: str) -> dict[str, list[str]]:
    """A table's rows, by the words they begin with."""
    table = [line.strip("|").split("|") for line in text.splitlines() if line[:1] == "|"]
    lines = [[cell.strip(" *") for cell in line] for line in table]
    return {line[0]: line[1:] for line in lines if line[0].startswith(first)}


@pytest.mark.parametrize("name, there", [
    ("MLP", "MLP 784-256-128-10, batches of 64"), ("LeNet-5", "LeNet-5, 64"), ("ResNet-20", "ResNet-20, 32"),
    ("GPT", "GPT, 4 layers of 128"), ("LSTM", "LSTM 128"),
])
def test_the_landing_page_says_what_was_measured(name, there):
    said = next(iter(rows((PAGES / "index.md").read_text("utf-8"), name).values()))
    results = rows((ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8"), there).values()
    assert said in [measured for _, *measured in results]


def test_the_landing_page_says_how_long_it_takes():
    course = build.open_checkout(ROOT).curriculum
    hours = sum(lesson.minutes for lesson in course if lesson.number <= 16) / 60
    assert "about sixty hours for sixteen lessons" in (PAGES / "index.md").read_text("utf-8")
    assert 55 < hours < 65


# ------------------------------------------------------------------------------------------- pictures

PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
COLUMN = 12.2                   # of rich's pictures, in its own units
PLACED = re.compile(r' x="([\d.]+)" y="[\d.]+" textLength="([\d.]+)"[^>]*>(?!\s*</text>)')


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_shown_fits_a_terminal_and_tells_nothing_of_whose_it_was(path):
    text = path.read_text("utf-8")
    assert any(f"pictures/{path.name}" in page.read_text("utf-8") for page in WRITTEN), "no page shows it"
    assert max(float(x) + float(length) for x, length in PLACED.findall(text)) <= 80 * COLUMN + 0.1
    assert re.findall(r"/(?:tmp|root|work|home/(?!ada\b))[/\w]*", text) == []


def test_every_picture_is_one_that_the_script_records(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import pictures
    assert {path.stem for path in PICTURES} == set(pictures.PICTURES)
