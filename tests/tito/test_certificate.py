"""The certificate: when it is given, what stands on it, and that nothing on it is taken for markup."""

import io
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from tito import cli
from tito.core.certificate import asked, certificate, earned
from tito.core.curriculum import Curriculum, Lesson, Milestone
from tito.core.errors import Locked, UsageProblem
from tito.core.milestones import standing
from tito.core.outcomes import Gate
from tito.core.progress import LessonRecord, MilestoneRecord, Progress
from tito.core.results import Report, Result
from tito.services_pages import save
from tito.view import certificate as view

LESSONS = (Lesson(1, "first", "First", "What is <first>?", "begin", 60, files=("first",)),
           Lesson(2, "second", "Second", "And then?", "end", 60, files=("second",)))
COURSE = Curriculum(LESSONS, (Milestone("begin", "Begin", "I can begin", "1957."),
                              Milestone("end", "End", "I can end", "Today."),
                              Milestone("more", "More", "I can go on", "Later.", optional=True)))
NOW = {"first": "sha256:11aa", "second": "sha256:22bb"}
VERSIONS = {"tito": "0.1.0", "numpy": "2.4.6"}


def place(digests=NOW, **numbers):
    """Where somebody stands who has unlocked the named milestones, with these numbers."""
    done = {name: LessonRecord("2026-11-01", completed="2026-11-02T08:00", digest=digest)
            for name, digest in digests.items()}
    days = {"begin": ("2026-11-03T20:15:00+01:00", "first"), "end": ("2026-11-28T23:59:00+01:00", "second")}
    found = {name: MilestoneRecord(days[name][0], told, {days[name][1]: NOW[days[name][1]]}, VERSIONS)
             for name, told in numbers.items()}
    return standing(COURSE, Progress(done, found), NOW, digests)


BOTH = place(begin={"accuracy": 0.96543}, end={"p99_ms": 12.5, "bytes": 65222})


def test_it_comes_when_all_but_the_optional_milestones_are_unlocked():
    assert [m.milestone.name for m in asked(BOTH)] == ["begin", "end"] and earned(BOTH)
    half = place(begin={})
    assert not earned(half)
    with pytest.raises(Locked, match="Missing: End") as problem: certificate(half)
    assert problem.value.cure == "tito milestone unlock end"


def test_it_says_who_has_built_what_when_and_how_well():
    page = view.html(certificate(BOTH).of("  Ada \n Lovelace "))
    for fact in ("<h1>Ada Lovelace</h1>", "2 lessons, 2 milestones · 28 November 2026", "3 November 2026",
                 "I can begin", "<dt>p99 ms</dt><dd>12.5</dd>", "0.9654", "65222", "<code>11aa</code>",
                 "2026-11-02", "tito 0.1.0, numpy 2.4.6", certificate(BOTH).digest):
        assert fact in page, fact
    assert "I can go on" not in page and "has changed" not in page


def test_code_that_has_changed_since_is_no_secret():
    page = view.html(certificate(place(NOW | {"first": "sha256:33cc"}, begin={}, end={})))
    assert page.count("the code has changed since") == 1


def test_the_digest_is_that_of_the_code_and_of_nothing_else():
    other = place(begin={"accuracy": 0.1}, end={})
    assert certificate(other).digest == certificate(BOTH).of("Ada").digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", certificate(BOTH).digest)


class Reading(HTMLParser):
    """Reads a page: its tags, where it points to, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.points, self.text = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.points += [value for name, value in attrs if name in ("src", "href") or name.startswith("on")]

    def handle_data(self, data): self.text += data


def test_nothing_that_a_learner_can_write_is_markup():
    evil = "<script>alert(1)</script><img src=x onerror=y>\"'&"
    lesson = LessonRecord("x", completed=evil, digest=evil)
    record = MilestoneRecord(evil, {evil: evil}, dict.fromkeys(NOW, evil), {evil: evil})
    wrong = Progress(dict.fromkeys(NOW, lesson), dict.fromkeys(("begin", "end"), record))
    stands = standing(COURSE, wrong, NOW, NOW)
    read = Reading(view.html(certificate(stands).of(evil)))
    assert read.tags.isdisjoint({"script", "img", "iframe", "object", "form", "a", "link"})
    assert read.points == [] and evil in read.text


def test_the_page_asks_nobody_for_anything():
    page = view.html(certificate(BOTH))
    assert Reading(page).points == [] and not re.search(r"url\(|@import|https?:|<script", page)


def test_who_gives_no_name_gets_a_line_to_write_it_on():
    page = view.html(certificate(BOTH))
    assert '<h1 class="blank"></h1>' in page and "<h1>" not in page


def test_only_a_certificate_is_written_over(tmp_path):
    path, page = tmp_path / "certificate.html", view.html(certificate(BOTH))
    for _ in range(2): save(path, page, view.MARK)
    assert path.read_text("utf-8") == page
    path.write_text("my own page")
    with pytest.raises(UsageProblem, match="did not write it"): save(path, page, view.MARK)
    with pytest.raises(UsageProblem, match="did not write it"): save(tmp_path, page, view.MARK)
    assert path.read_text() == "my own page"


class Place:
    """A workspace that stands somewhere, and whose gates open."""

    course = SimpleNamespace(curriculum=COURSE)

    def __init__(self, root, stands): self.root, self.stands = root, stands
    def standing(self): return self.stands

    def milestone_unlock(self, name, limits, say):
        report = Report("end", (Result("it ends", "passed"),))
        return Gate(COURSE.milestone(name), report, MilestoneRecord("2026"))


@pytest.fixture
def tito(tmp_path, monkeypatch, capsys):
    """Type `tito milestone …`; exit code and output."""
    def typed(*words, stands=BOTH, verb="certificate"):
        monkeypatch.setattr("tito.app.open_workspace", lambda *_: Place(tmp_path, stands))
        code = cli.main(["milestone", verb, *words])
        return code, capsys.readouterr()
    return typed


def test_the_command_writes_it_beside_the_notebooks(tito, tmp_path):
    code, said = tito("--name", "Ada")
    assert code == 0 and "certificate.html" in said.out.replace("\n", "")
    assert "<h1>Ada</h1>" in (tmp_path / "certificate.html").read_text("utf-8")


def test_the_command_answers_a_program(tito, tmp_path):
    code, said = tito("--json", "-o", str(tmp_path / "ada.html"))
    told = json.loads(said.out)
    assert code == 0 and told["path"] == str(tmp_path / "ada.html") and told["milestones"] == ["begin", "end"]


def test_the_command_asks_whoever_sits_at_a_terminal(tito, tmp_path, monkeypatch):
    keyboard = io.StringIO("Grace Hopper\n")
    keyboard.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", keyboard)
    assert tito()[0] == 0 and "<h1>Grace Hopper</h1>" in (tmp_path / "certificate.html").read_text("utf-8")


def test_the_command_says_what_is_missing(tito, tmp_path):
    code, said = tito(stands=place(end={}))
    assert code == 4 and "Missing: Begin" in said.err and not (tmp_path / "certificate.html").exists()


def test_the_last_unlock_brings_it(tito, tmp_path):
    assert tito("end", stands=place(end={}), verb="unlock")[0] == 0
    assert not (tmp_path / "certificate.html").exists()
    code, said = tito("end", verb="unlock")
    assert code == 0 and "Your certificate is" in said.out and (tmp_path / "certificate.html").exists()


def test_a_program_that_unlocks_gets_one_object(tito):
    _, said = tito("end", "--json", verb="unlock")
    assert json.loads(said.out)["milestone"] == "end"
