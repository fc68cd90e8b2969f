"""Notebooks as editors and accidents leave them, and checks whose answers stay outside."""

import json
from random import Random

import numpy as np
import pytest

from tito.core.grades_evidence import NOTHING, Opaque, Untrue, constant, judged, opened, value_of
from tito.core.grades_intake import Unreadable, deep, handed, lift
from tito.core.grades_style import style
from tito.core.lesson import chapter, notebook
from tito.core.plan import Outcome
from tito.ports import witness
from tito.ports.notebooks import as_notebook

LESSON = chapter([
    ("markdown", "# Twos"), ("code", "#| export\nTWO = 2"),
    ("code", "#| export exercise\ndef double(n):\n    ### BEGIN SOLUTION\n    return n * TWO\n"
             "    ### END SOLUTION"),
    ("code", '#| check 2\nassert double(3) == 6, "twice three"'),
    ("code", "#| export exercise\ndef half(n):\n    ### BEGIN SOLUTION\n    return n / TWO\n"
             "    ### END SOLUTION"),
    ("code", '#| check 1\nassert half(3) == 1.5, "half of three"'),
])


def page(**cells):
    found = as_notebook(notebook(LESSON, solutions=True), {})
    for cell in found["cells"]:
        cell["source"] = cells.get(cell["id"], "".join(cell["source"]))
    return found


def lifted(page): return lift(LESSON, handed(json.dumps(page).encode()))
def sources(work): return {id: text.partition("\n")[2].strip() for id, text in work.lifted.sources.items()}


DOUBLE, HALF = "def double(n):\n    return n * TWO", "def half(n):\n    return n / TWO"


# ------------------------------------------------------------------------------------------ what is handed in

@pytest.mark.parametrize(("data", "said"), [
    (b"", "empty"), (b"\0\0\n", "empty"), (b"%PDF-1.4", "no notebook"), (b"[1]", "no notebook"),
    (b"{}", "no notebook"),
    (b'{"worksheets": []}', "before 2015"), (b"[" * 200_000, "nested"), (b"{\n<<<<<<< HEAD", "merge"),
    (b'{"cells": 3}', "no notebook"), (b"PK\x03\x04", "no notebook"),
])
def test_what_is_no_notebook_is_said_to_be_none(data, said):
    with pytest.raises(Unreadable, match=said): handed(data)


@pytest.mark.parametrize(("encoding", "noted"),
                         [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("cp1252", "1252")])
def test_an_encoding_is_read_and_said(encoding, noted):
    text = json.dumps(page(double=f"#| export exercise\n{DOUBLE}  # Zoé"), ensure_ascii=False)
    work = handed(text.encode(encoding))
    assert any("Zoé" in row.source for row in work.rows)
    assert (noted in " ".join(work.notes)) if noted else not work.notes


@pytest.mark.parametrize("source", ["x = " + "(" * 5000 + ")" * 5000, "x = " + "-" * 100_000 + "1",
                                    "x" * 300_000, "a\0b",
                                    "x = " + "not " * 50_000 + "1"])
def test_code_that_would_break_its_reader_is_left_out(source):
    work = handed(json.dumps(page(double=source)).encode())
    assert len(work.rows) == len(page()["cells"]) - 1 and "left out" in work.notes[0]


def test_huge_outputs_are_dropped():
    book = page()
    book["cells"][3]["outputs"] = [{"text": "x" * (6 << 20)}]
    assert "its outputs take 6 MiB" in handed(json.dumps(book).encode()).notes[0]


@pytest.mark.parametrize(("text", "most"), [("((()))", 3), ("([{", 3), (")))(", 1), ("", 0)])
def test_brackets_are_counted(text, most): assert deep(text) == most


# --------------------------------------------------------------------------------------------- what is lifted

def no_ids(book):
    for cell in book["cells"]: del cell["id"]
def colab(book):
    for cell in book["cells"]: cell["metadata"]["id"] = cell.pop("id")
def new_ids(book):
    for n, cell in enumerate(book["cells"]): cell["id"] = f"{n:032x}"
def graded_ids(book):
    for n, cell in enumerate(book["cells"]):
        cell["metadata"]["nbgrader"], cell["id"] = {"grade_id": cell["id"]}, f"x{n}"
def backwards(book): book["cells"].reverse()
def no_words(book):
    for cell in book["cells"]: cell["source"] = cell["source"].replace("#| export exercise\n", "")


@pytest.mark.parametrize("change", [no_ids, colab, new_ids, graded_ids, backwards, no_words])
def test_exercises_are_found_whatever_an_editor_did(change):
    book = page()
    change(book)
    work = lifted(book)
    assert not work.lifted.missing
    assert {id: text for id, text in sources(work).items() if id in ("double", "half")} == {"double": DOUBLE,
        "half": HALF}


def test_of_two_cells_the_last_that_is_written_counts():
    blank = "#| export exercise\ndef double(n):\n    raise NotImplementedError(\"your turn: double\")"
    book = page(double=blank)
    book["cells"].insert(1, {"cell_type": "code", "id": "copy", "metadata": {},
                             "source": f"#| export exercise\n{DOUBLE}"})
    work = lifted(book)
    assert sources(work)["double"] == DOUBLE and "there 2 times" in " ".join(work.notes)


def test_an_experiment_with_the_same_name_does_not_count():
    book = page()
    book["cells"].append({"cell_type": "code", "id": "try", "metadata": {},
                          "source": "def double(n): return 0"})
    assert sources(lifted(book))["double"] == DOUBLE


def test_a_function_that_moved_into_another_cell_is_found_there():
    book = page(half=f"#| export exercise\n{HALF}\n\n{DOUBLE}")
    book["cells"] = [c for c in book["cells"] if c["id"] != "double"]
    work = lifted(book)
    assert work.found == {"double": "merged", "half": "id"} and not work.lifted.missing


def test_a_renamed_function_is_gone_and_said_to_be():
    book = page()
    book["cells"] = [c for c in book["cells"] if c["id"] != "half"]
    work = lifted(book)
    assert [c.id for c in work.lifted.missing] == ["half"] and "the cell of `half` is gone" in work.notes


def test_given_cells_and_checks_are_the_courses():
    work = lifted(page(**{"TWO": "#| export\nTWO = 3", "check-double": "#| check 99\nassert True"}))
    assert {c.id: c.source for c in work.lifted.cells}["TWO"] == "TWO = 2"
    assert {c.id: c.points for c in work.lifted.cells if c.check} == {"check-double": 2, "check-half": 1}
    assert len([n for n in work.notes if "course's own" in n]) == 2


def test_a_helper_under_export_comes_along_and_scratch_does_not():
    book = page()
    for n, text in enumerate(("#| export\nSPARE = 1", "scratch = 1")):
        book["cells"].append({"cell_type": "code", "id": f"own{n}", "metadata": {}, "source": text})
    texts = [c.source for c in lifted(book).lifted.cells]
    assert "SPARE = 1" in texts and "scratch = 1" not in texts


def test_style_is_counted():
    code = f"#| export exercise\ndef f(n):\n    lost = 1\n    try: return n\n    except: pass\n# {'x' * 120}"
    assert style([code, "not ( python"]) == {"wide lines": 1, "long functions": 0, "bare excepts": 1,
                                             "star imports": 0,
                                            "unused names": 1}


# -------------------------------------------------------------------------------------------- answers outside

def asked(check, space, **more):
    """Runs an opened check as the sandbox does; its outcome as the parent judges it."""
    source, places = opened(check, Random(1), **more)
    judge = witness.Judge()
    exec(compile(source, "check", "exec"), {**space, witness.JUDGE: judge})
    told = json.loads(json.dumps(judge.evidence()["evidence"]))
    return judged(Outcome("check", "passed", evidence=tuple(map(tuple, told))), places), source


@pytest.mark.parametrize(("check", "answers"), [
    ('assert f(1) == [10.25, "x"], ""', ("10.25", "x")), ('assert "12345x" == f(1), ""', ("12345x",)),
    ('assert f(1) == -0.625, ""', ("0.625",)), ('assert f(1) == (1, {"k": 7.5}), ""', ("7.5",)),
    ('assert np.allclose(f(1), [10.5, 2 / 3]), ""', ("10.5",)),
    ('assert f(1) > 4.25 and f(2) == 8.5, ""', ("4.25", "8.5")),
    ('assert f(1) is None, ""', ("None",)),
])
def test_an_answer_is_not_in_what_is_run(check, answers):
    source, _ = opened(check, Random(3))
    assert not [a for a in answers if a in source] and "f(1)" in source


VALUES = [
    None, True, 0, -7, 1 << 70, 0.1, float("inf"), 1 + 2j, "text", b"raw", (1, [2, {"k": (3,)}]), {1, 2},
    range(3),
    np.float32(1.5), np.arange(6).reshape(2, 3), np.array([True, False]), np.zeros((0, 3)), np.array(2.5),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_went(value):
    told = json.loads(json.dumps(witness.plain(value, 1 << 20, 12)[0]))
    back = value_of(told)
    assert type(back) is type(value) and np.array_equal(np.asarray(back, object), np.asarray(value, object))


@pytest.mark.parametrize("told", [{"int": "x"}, {"array": ["<f4", [2], "AA"]}, {"array": ["O", [1], ""]}, [1],
                                  {"a": 1, "b": 2},
                                  {"pickle": "gASV"}, {"array": ["<f8", [1 << 60], ""]}, 1.5, {"list": 3}])
def test_what_no_witness_says_is_no_value(told):
    with pytest.raises(Untrue): value_of(told)


def test_what_is_no_data_is_only_named():
    class Evil:
        def __reduce__(self): raise AssertionError("pickled")
    assert isinstance(value_of(witness.plain(Evil(), 1000, 3)[0]), Opaque)
    assert witness.plain([0] * 10_000, 1000, 3)[0] == {"opaque": "too much"}


@pytest.mark.parametrize(("check", "right", "wrong"), [
    ('assert f() == 3, "idea"', 3, 4), ('assert f() == [1.0, 2.0], "idea"', [1.0, 2.0], [1.0]),
    ('assert 3 == f(), "idea"', 3, None), ('assert f() is None, "idea"', None, 0),
    ('assert f() is True, "idea"', True, 1),
    ('assert f() < 3, "idea"', 2, 3), ('assert f() in (1, 2), "idea"', 1, 3),
    ('assert f() != 2, "idea"', 3, 2),
    ('assert np.allclose(f(), [1.0, 2.0]), "idea"', np.array([1.0, 2.0 + 1e-9]), np.array([1.0, 2.1])),
    ('assert np.array_equal(f(), [1, 2]), "idea"', np.array([1, 2]), np.array([1, 3])),
    ('assert np.allclose(f(), np.ones(2) * 2, atol=0.5), "idea"', np.array([2.2, 2.0]), np.array([3.0, 2.0])),
    ('assert isinstance(f(), str), "idea"', "s", 3), ('assert not f(), "idea"', [], [1]),
    ('assert f(), "idea"', 1, 0),
    ('assert (f() == np.arange(2)).all(), "idea"', np.arange(2), np.ones(2)),
    ('assert f().dtype == np.float32, "idea"', np.float32(1), np.float64(1)),
    ('for k in range(3): assert f() == k + f() - k, "idea"', 3, float("nan")),
])
def test_a_check_opened_says_what_the_check_said(check, right, wrong):
    (outcome, lies), _ = asked(check, {"f": lambda: right, "np": np})
    assert outcome.outcome == "passed" and not lies, outcome
    (outcome, lies), _ = asked(check, {"f": lambda: wrong, "np": np})
    assert (outcome.outcome, outcome.text, lies) == ("failed", "idea", False)


def test_a_check_that_did_not_reach_its_end_has_not_passed():
    _, places = opened('assert f() == 1, "one"\nassert f() == 1, "two"', Random(0))
    numbers = [p for p in places if not p.decoy]
    evidence = ((numbers[0].number, {"int": "0x1"}),)
    assert judged(Outcome("check", "passed", evidence=evidence), places)[1]
    outcome, _ = judged(Outcome("check", "raised", type="ValueError", evidence=evidence), places)
    assert (outcome.outcome, outcome.idea) == ("raised", "two")


def test_who_answers_for_the_checker_gives_itself_away():
    """Records that say the right thing at every real place, and do not know the decoys."""
    _, places = opened('assert f() == 1, "one"\nassert g(), "two"', Random(5))
    told = {"see": [{"int": "0x1"}], "truth": [True, ""], "pair": [1, 1, True]}
    forged = tuple((p.number, *told[p.way]) for p in places)
    assert judged(Outcome("check", "passed", evidence=forged), places)[1]


def test_a_hidden_answer_that_is_no_constant_stays_outside_too():
    (outcome, _), source = asked("base = 90\nassert f() == base + 9, 'idea'", {"f": lambda: 99},
                                 known={0: 99})
    assert outcome.outcome == "passed" and "base + 9" not in source


@pytest.mark.parametrize(("text", "value"),
                         [("[1, -2]", [1, -2]), ("1 / 4", 0.25), ("{'a': (None,)}", {"a": (None,)}),
                                             ("math.inf", float("inf")), ("f(1)", NOTHING), ("[x]", NOTHING),
                                             ("1 / 0", NOTHING)])
def test_constants_are_known(text, value):
    import ast
    found = constant(ast.parse(text, mode="eval").body)
    assert found is value if value is NOTHING else found == value


def test_an_object_that_equals_everything_equals_no_answer():
    class Liar:
        def __eq__(self, other): return True
        __hash__ = None
    for check in ('assert f() == 3, "idea"', 'assert f() == k + 2, "idea"',
                  'assert np.allclose(f(), 3.0), "idea"'):
        (outcome, _), _ = asked(check, {"f": Liar, "k": 1, "np": np})
        assert outcome.outcome == "failed"


