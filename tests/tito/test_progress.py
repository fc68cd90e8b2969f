"""What a learner has reached, written down and read again; and where that leaves them."""

import json

import pytest

from tito.core.curriculum import parse
from tito.core.errors import EnvironmentProblem, UsageProblem
from tito.core.milestones import standing
from tito.core.plan import Limits, limits_from
from tito.core.progress import FORMAT, LessonRecord, MilestoneRecord, Progress, from_json, to_json

CURRICULUM = parse("""
format = 1
[[milestone]]
name = "one"
title = "One"
statement = "I can count"
story = "…"
[[milestone]]
name = "two"
title = "Two"
statement = "I can add"
story = "…"
[[lesson]]
number = 1
name = "a"
title = "A"
question = "?"
milestone = "one"
minutes = 1
[[lesson]]
number = 2
name = "b"
title = "B"
question = "?"
milestone = "one"
minutes = 1
needs = ["a"]
[[lesson]]
number = 3
name = "c"
title = "C"
question = "?"
milestone = "two"
minutes = 1
needs = ["b"]
""")
WRITTEN = {"a", "b"}
NOTHING = Progress()
DONE = NOTHING.with_lesson("a", completed="x", digest="1")


def stands(progress=NOTHING, digests=None, gates=None):
    return standing(CURRICULUM, progress, WRITTEN, digests or {}, gates)


def marks(*args, **more): return {s.lesson.name: s.mark for s in stands(*args, **more).lessons}


def test_progress_survives_being_written_down():
    progress = NOTHING.with_lesson("a", started="now", hints={"f": 2}, versions={"tito": "1"})
    progress = progress.with_milestone("one", MilestoneRecord("then", {"loss": 0.1}, {"a": "1"}, {}, 2.0))
    assert from_json(to_json(progress)) == progress


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": "1"}', "\0\0\0",
                                  '{"format": 1, "lessons": {"a": 3}, "milestones": {}}',
                                  '{"format": 1, "lessons": {"a": {"x": 3}}, "milestones": {}}',
                                  '{"format": 1, "lessons": [], "milestones": {}}'])
def test_damaged_progress_is_a_sentence_that_names_the_cure(text):
    with pytest.raises(EnvironmentProblem, match="damaged") as problem: from_json(text)
    assert "tito doctor --fix" in problem.value.cure


def test_progress_of_a_newer_tito_is_refused_and_not_called_damaged():
    with pytest.raises(EnvironmentProblem, match=f"format {FORMAT + 1}") as problem:
        from_json(json.dumps({"format": FORMAT + 1, "lessons": "who knows"}))
    assert "upgrade" in problem.value.cure


def test_one_record_can_be_put_back_without_touching_the_others():
    before = Progress().with_lesson("a", started="x")
    after = before.with_lesson("a", completed="y").with_lesson("b", started="z")
    again = after.with_entry("lessons", "a", before.entry("lessons", "a"))
    assert again == before.with_lesson("b", started="z")
    assert after.with_entry("lessons", "b", None).lessons.keys() == {"a"}


def test_marks_go_from_locked_to_done_and_stale():
    begun = NOTHING.with_lesson("a", started="x")
    assert marks() == {"a": "open", "b": "locked", "c": "unwritten"}
    assert marks(begun) == {"a": "started", "b": "locked", "c": "unwritten"}
    assert marks(DONE, {"a": "1"}) == {"a": "done", "b": "open", "c": "unwritten"}
    assert marks(DONE, {"a": "2"}) == {"a": "stale", "b": "open", "c": "unwritten"}
    assert marks(DONE) == {"a": "stale", "b": "open", "c": "unwritten"}


def test_a_milestone_counts_its_gate_as_a_step_and_is_ready_only_with_code_that_passed():
    done = {n: LessonRecord(completed="x", digest=n) for n in "ab"}
    first, second = stands(Progress(done), {"a": "a", "b": "b"}).milestones
    assert (first.percent, first.ready, first.unlocked) == (66, True, False)
    assert (second.percent, second.ready) == (0, False)
    assert not stands(Progress(done), {"a": "a", "b": "other"}).milestones[0].ready
    assert not stands(Progress(done), {"a": "a", "b": "b"}, gates=()).milestones[0].ready
    unlocked = Progress(done).with_milestone("one", MilestoneRecord("x", digests={"a": "a", "b": "b"}))
    there, changed = stands(unlocked, {"a": "a", "b": "b"}), stands(unlocked, {"a": "a", "b": "c"})
    assert (there.milestones[0].percent, there.milestones[0].stale) == (100, False)
    assert (changed.milestones[0].unlocked, changed.milestones[0].stale) == (True, True)


def test_next_is_what_went_stale_then_what_was_begun_then_what_is_open():
    assert stands().next_lesson.lesson.name == "a"
    assert stands(DONE, {"a": "1"}).next_lesson.lesson.name == "b"
    assert stands(DONE, {"a": "2"}).next_lesson.lesson.name == "a"


@pytest.mark.parametrize("environment, options, limits", [
    ({}, {}, Limits(60, 600, 4 << 30)),
    ({"TITO_TEST_SECONDS": "5", "TITO_LESSON_SECONDS": "50", "TITO_MEMORY_MB": "512"}, {},
     Limits(5, 50, 512 << 20)),
    ({"TITO_TEST_SECONDS": "5"}, {"test": 2.5}, Limits(2.5, 600, 4 << 30)),
    ({"TITO_LESSON_SECONDS": "5"}, {"lesson": 1000.0}, Limits(60, 1000, 4 << 30)),
    ({"TITO_TEST_SECONDS": ""}, {"test": None}, Limits(60, 600, 4 << 30)),
])
def test_limits_come_from_options_then_the_environment_then_the_default(environment, options, limits):
    assert limits_from(environment, **options) == limits


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_no_number_above_zero_is_refused(text):
    with pytest.raises(UsageProblem, match=f"TITO_TEST_SECONDS is {text}, and must be a number above 0"):
        limits_from({"TITO_TEST_SECONDS": text})


def test_a_wrong_option_is_named_as_it_was_typed():
    with pytest.raises(UsageProblem, match=r"--seconds is -3\.0"): limits_from({}, -3.0)
