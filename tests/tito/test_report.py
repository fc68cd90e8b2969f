"""The page of `tito report`: what it says, that it is safe, whole and small."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tito import cli
from tito.core.curriculum import parse
from tito.core.milestones import standing
from tito.core.progress import LessonRecord, MilestoneRecord, Progress
from tito.view.report import html

ROOT = Path(__file__).resolve().parents[2]
COURSE = parse((ROOT / "modules" / "curriculum.toml").read_text("utf-8"))


class Reader(HTMLParser):
    """Which elements a page has, what it loads, and whether every element is closed."""

    ALONE = ("meta", "br", "rect")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.asked, self.text = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.asked += [v for k, v in attributes if k in ("src", "href", "data", "action")]
        if tag not in self.ALONE: self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.ALONE: assert self.open.pop() == tag

    def handle_data(self, data): self.text.append(data)


def of(progress, stale=()):
    names = [x.name for x in COURSE.lessons]
    digests = {name: "other" if name in stale else "same" for name in names}
    return standing(COURSE, progress, frozenset(names), digests, {m.name for m in COURSE.milestones})


def page(progress, whose="mytorch", stale=()):
    text = html(of(progress, stale), whose, "28 November 2026")
    found = Reader(text)
    assert found.open == [], "every element is closed"
    return text, found, " ".join(" ".join(found.text).split())


EVERYTHING = Progress(
    {x.name: LessonRecord(started="2026-11-01", tested="2026-11-02", passed=30, total=30,
                          completed="2026-11-02", digest="same", points=40, possible=40,
                          hints={"a": 2, "b": 1}, step=1e-3 * x.number)
     for x in COURSE.lessons},
    {m.name: MilestoneRecord("2026-11-03T10:00:00", {"accuracy": 0.97531, "words": "to be"},
                             {x.name: "same" for x in COURSE.lessons_of(m)}) for m in COURSE.milestones})


def test_a_page_of_everything_asks_nobody_runs_nothing_and_is_small():
    text, found, said = page(EVERYTHING)
    assert "script" not in found.tags and found.asked == [] and "url(" not in text and "@import" not in text
    assert len(text.encode()) < 60_000
    assert f"{len(COURSE.lessons)} of {len(COURSE.lessons)} lessons" in said
    assert said.count("0.9753") == len(COURSE.milestones)
    assert found.tags.count("svg") == 2 and text.count('role="img"') == text.count("aria-label") == 2


def test_the_beginning_has_no_times_and_says_what_is_open():
    text, _, said = page(Progress())
    assert f"0 of {len(COURSE.lessons)} lessons" in said and "One training step" not in said
    assert text.count('class="open"') > 1


def test_hints_checks_points_and_times_are_told():
    _, _, said = page(Progress({"tensor": LessonRecord(
        started="x", tested="x", passed=3, total=9, hints={"sum_": 2, "mul": 3}, step=2.5e-3)}))
    assert "3 of 9 5 " in said and "2.5 ms" in said


def test_what_changed_since_it_passed_is_marked():
    _, _, said = page(EVERYTHING, stale=("tensor",))
    assert "changed since it passed" in said and "with other code than is there now" in said


def test_names_and_evidence_cannot_become_markup():
    evil = "<script>alert(1)</script>"
    first = COURSE.milestones[0].name
    text, found, _ = page(Progress({}, {first: MilestoneRecord("2026", {evil: evil})}), whose=evil)
    assert "script" not in found.tags and evil not in text


@pytest.fixture
def here(learner, monkeypatch):
    monkeypatch.chdir(learner.root)
    return learner.root


def test_the_command_writes_the_page_and_writes_it_anew(here, capsys):
    assert cli.main(["report"]) == 0
    assert "written to report.html" in capsys.readouterr().out
    assert here.name in (here / "report.html").read_text("utf-8")
    assert cli.main(["report", "--name", "Ada & Co", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "page" and Path(answer["file"]) == here / "report.html" and answer["milestones"]
    assert "Ada &amp; Co" in (here / "report.html").read_text("utf-8")


def test_a_file_of_somebody_elses_is_not_written_over(here, capsys):
    (here / "mine.html").write_text("mine")
    assert cli.main(["report", "mine.html"]) == 2
    assert "there already, and tito did not write it" in capsys.readouterr().err
    assert (here / "mine.html").read_text() == "mine"
    assert cli.main(["report", "mine.html", "--force"]) == 0


def test_a_folder_that_is_not_there_is_named(here, capsys):
    assert cli.main(["report", "no/where.html"]) == 2
    assert "There is no folder no" in capsys.readouterr().err
