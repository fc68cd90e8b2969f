"""A lesson as cells."""

import re

import pytest

from tito.core.lesson import (
    LessonProblem,
    NotebookCell,
    cell_from,
    chapter,
    defined_names,
    directives,
    lifted,
    nbgrader_metadata,
    notebook,
    shown,
    solutions,
    solved,
    stripped,
    with_sources,
)

MUL = """\
#| export exercise
def mul(x, y):
    \"\"\"x times y.\"\"\"
    #| hint What is x, y times?
    #| hint There is an operator for it.
    ### BEGIN SOLUTION
    return x * y
    ### END SOLUTION"""
PAIRS = [
    ("markdown", "# Products\n\nWhy multiply?"),
    ("code", '#| export\n"""Products."""'),
    ("code", "#| export\nimport numpy as np"),
    ("markdown", "## Two numbers"),
    ("code", MUL),
    ("code", "mul(2, 3)"),
    ("code", '#| check 2\nassert mul(2, 3) == 6, "two threes are six"'),
    ("code", '#| check 1\n#| hidden\nassert mul(7, 9) == 63, "seven nines are 63"'),
    ("markdown", "## More of it"),
    ("code", "#| export\ndef square(x): return mul(x, x)"),
    ("code", "%timeit square(3)"),
    ("code", "#| export\nREGISTRY = {}\nREGISTRY['mul'] = mul"),
]
PRODUCTS = chapter(PAIRS)


def rows(**changed):
    """The learner's notebook, some cells with text of their own, those with None deleted."""
    cells = [c._replace(source=changed.get(c.id, c.source)) for c in notebook(PRODUCTS)]
    return [c for c in cells if c.source is not None]


SOLVED = MUL.replace("    ### BEGIN SOLUTION\n", "").replace("\n    ### END SOLUTION", "")


def test_words_points_hints_and_names_are_read():
    mul = PRODUCTS.cell("mul")
    assert mul.words == ("export", "exercise") and mul.exported and mul.exercise and not mul.check
    assert mul.hints == ("What is x, y times?", "There is an operator for it.")
    assert mul.name == "mul" and "#|" not in mul.source and mul.text == MUL
    assert [c.points for c in PRODUCTS.checks()] == [2, 1] and PRODUCTS.points == 3
    assert [c.hidden for c in PRODUCTS.checks()] == [False, True]


def test_ids_say_what_a_cell_is_about():
    assert [c.id for c in PRODUCTS] == [
        "products", "docstring", "imports", "two-numbers", "mul", "show-mul", "check-mul", "check-mul-2",
        "more-of-it", "square", "show-square", "REGISTRY",
    ]


def test_ids_do_not_depend_on_the_prose_above():
    again = chapter([("markdown", "mul"), ("markdown", "# square"), *PAIRS])
    assert [c.id for c in again if c.kind == "code"] == [c.id for c in PRODUCTS if c.kind == "code"]
    assert [c.id for c in again][:2] == ["mul-2", "square-2"]


@pytest.mark.parametrize(("pairs", "ids"), [
    ([("code", "#| export\n#| id door\nclass Op: pass")], ["door"]),
    ([("code", "#| export\n@gradient(mul)\ndef _(g, x): return g")], ["gradient-mul"]),
    ([("code", "#| export\ndef f(): pass"), ("code", "#| export\ndef f(): return 1")], ["f", "f-2"]),
    ([("code", "1"), ("code", "2")], ["show-first-cell", "show-first-cell-2"]),
    ([("markdown", "---")], ["cell"]),
    ([("markdown", "*" + "word" * 40)], [("word" * 40)[:48]]),
    ([("code", "#| export\nπ = 3.14")], ["-"]),
    ([("code", '#| check 1\nassert True, "yes"')], ["check"]),
])
def test_ids_in_odd_places(pairs, ids):
    assert [c.id for c in chapter(pairs)] == ids


def test_ids_are_valid_for_nbformat_and_unlike_each_other():
    ids = [c.id for c in chapter(PAIRS * 3)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch("[a-zA-Z0-9-_]{1,64}", id) for id in ids)


def test_a_check_is_about_the_exercise_before_it_and_stands_in_a_section():
    check = PRODUCTS.cell("check-mul-2")
    assert PRODUCTS.about(check).name == "mul" and PRODUCTS.section_of(check) == "Two numbers"
    assert PRODUCTS.section_of(PRODUCTS.cell("products")) == "Products"


def test_a_comment_in_a_block_of_code_is_no_heading():
    found = chapter([("markdown", "## Real\n\n```python\n# comment\n```\n#hashtag"), ("code", "1")])
    assert found.section_of(found.cells[1]) == "Real"


@pytest.mark.parametrize(("kind", "text", "sentence"), [
    ("code", "#| exprot\nx = 1", "`#| exprot` is no directive"),
    ("code", "#| exercise\nx = 1", "write `#| export exercise`"),
    ("code", "#| export exercise\nx = 1", "needs ### BEGIN SOLUTION"),
    ("code", "#| export\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "outside an exercise"),
    ("code", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "outside an exercise"),
    ("code", "#| export exercise\n### BEGIN SOLUTION\nx = 1", "no ### END SOLUTION"),
    ("code", "#| export exercise\nx = 1\n### END SOLUTION", "no ### BEGIN SOLUTION"),
    ("code", "#| export exercise\n### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "inside"),
    ("code", "#| check\nassert x", "says what it is worth"),
    ("code", "#| hidden\n1", "only a check can be `hidden`"),
    ("code", "#| export check 1\n1", "not both"),
    ("code", "#| export\ndef f(:", "line 1 is not Python"),
])
def test_a_cell_that_breaks_the_format_is_refused(kind, text, sentence):
    with pytest.raises(LessonProblem) as refused:
        cell_from(kind, text)
    assert sentence in refused.value.message


def test_a_problem_says_where_it_is():
    with pytest.raises(LessonProblem, match=r"02_tensor/tensor\.py, cell 2: "):
        chapter([("markdown", "# Fine"), ("code", "#| nonsense")], "02_tensor/tensor.py")


def test_two_cells_may_not_claim_one_id():
    with pytest.raises(LessonProblem, match="two cells have the id 'a'"):
        chapter([("code", "#| id a\n1"), ("code", "#| id a\n2")])


def test_directives_inside_strings_are_text():
    words, notes, source = directives('#| export\nFORMAT = """\n#| hint not one\n"""')
    assert words == ("export",) and notes == {} and "#| hint not one" in source


# -------------------------------------------------------------------------------------------- solutions

def test_a_blank_asks_for_the_exercise():
    assert stripped(PRODUCTS.cell("mul")).source == (
        'def mul(x, y):\n    """x times y."""\n    raise NotImplementedError("your turn: mul")')


def test_a_solution_has_no_markers():
    assert solved(PRODUCTS.cell("mul")).source == 'def mul(x, y):\n    """x times y."""\n    return x * y'
    assert solutions(PRODUCTS.cell("mul")) == ["return x * y"]


def test_several_regions_each_name_their_method():
    method = "    def {}(self, i):\n        ### BEGIN SOLUTION\n        return i\n        ### END SOLUTION\n"
    text = "#| export exercise\nclass Grid:\n" + method.format("row") + method.format("column")
    cell = cell_from("code", text)
    assert re.findall("your turn: ([^\"]*)", stripped(cell).source) == ["Grid.row", "Grid.column"]
    compile(stripped(cell).source, "blank", "exec")


def test_markers_inside_a_string_are_text():
    cell = cell_from("code", '#| export\nTEXT = """\n### BEGIN SOLUTION\n### END SOLUTION\n"""')
    assert stripped(cell).source == solved(cell).source == cell.source


def test_a_rule_without_a_name_is_named_by_its_cell():
    text = "#| export exercise\n#| id grad-mul\n" + MUL.partition("\n")[2].replace("def mul", "@rule\ndef _")
    assert 'your turn: grad-mul"' in stripped(chapter([("code", text)]).cell("grad-mul")).source


@pytest.mark.parametrize(("source", "names"), [
    ("def f(): pass\nclass A: pass\nx = 1", ("f", "A", "x")),
    ("import numpy as np\nfrom math import pi", ()),
    ("a, (b, *c) = 1, (2, 3)\nd: int = 4\ne: int", ("a", "b", "c", "d")),
    ("x.y = 1\nx[0] = 2\nx += 1\nfor i in (): j = 1", ()),
    ("try:\n    import x\n    F = True\nexcept ImportError:\n    F = False\nelse:\n    N = 2", ("F", "N")),
    ("if True:\n    def f(): pass\nwith x as y: z = 1", ("f", "z")),
    ("async def f():\n    def g(): pass", ("f",)),
])
def test_names_are_those_that_stand_at_the_top(source, names):
    assert defined_names(source) == names


# --------------------------------------------------------------------------------------------- notebooks

def test_the_notebook_shows_directives_but_no_hints_no_solutions_and_no_hidden_checks():
    cells = {c.id: c.source for c in notebook(PRODUCTS)}
    assert next(iter(cells)) == "first-cell" and "%autoreload 2" in cells["first-cell"]
    assert cells["mul"].startswith("#| export exercise\ndef mul") and "your turn: mul" in cells["mul"]
    assert cells["check-mul"].startswith("#| check 2\nassert")
    assert "check-mul-2" not in cells and "hint" not in "".join(cells.values())
    assert "x * y" not in "".join(cells.values())


def test_the_solved_notebook_has_solutions_without_markers():
    cells = {c.id: c.source for c in notebook(PRODUCTS, solutions=True)}
    assert "return x * y" in cells["mul"] and "### " not in cells["mul"]


def test_half_points_survive():
    assert shown(cell_from("code", "#| check 0.5\nassert 1")).startswith("#| check 0.5\n")


def test_nbgrader_is_told_who_writes_what():
    told = {id: entry["nbgrader"] for id, entry in nbgrader_metadata(PRODUCTS).items()}
    assert all(entry["schema_version"] == 3 and entry["grade_id"] == id for id, entry in told.items())
    assert told["mul"] == {"grade": False, "grade_id": "mul", "locked": False, "schema_version": 3,
                           "solution": True, "task": False}
    assert told["check-mul"]["points"] == 2 and told["check-mul"]["grade"] and told["check-mul"]["locked"]
    assert told["square"]["locked"] and not told["square"]["solution"]
    assert not {"products", "show-mul", "first-cell"} & set(told)


def test_an_assignment_keeps_the_place_of_hidden_checks_but_not_their_text():
    released = {c.id: c.source for c in notebook(PRODUCTS, nbgrader=True)}
    masters = {c.id: c.source for c in notebook(PRODUCTS, solutions=True, nbgrader=True)}
    assert "63" not in released["check-mul-2"]
    assert re.search("### BEGIN HIDDEN TESTS\n.*63.*\n### END HIDDEN TESTS", masters["check-mul-2"], re.S)
    assert "### BEGIN SOLUTION" in masters["mul"] and "BEGIN SOLUTION" not in released["mul"]


# ------------------------------------------------------------------------------------- the learner's code

def test_the_learners_cells_replace_the_courses_by_id():
    found = lifted(PRODUCTS, rows(mul="#| export exercise\ndef mul(x, y): return y * x"))
    assert not found.missing and [c.id for c in found.cells] == [c.id for c in PRODUCTS]
    mul = next(c for c in found.cells if c.id == "mul")
    assert mul.source == "def mul(x, y): return y * x" and mul.name == "mul"


def test_prose_and_checks_stay_the_courses():
    found = lifted(PRODUCTS, rows(**{"check-mul": "#| check 2\npass", "products": "# Mine"}))
    assert {c.id: c.source for c in found.cells}["check-mul"] == PRODUCTS.cell("check-mul").source
    assert {c.id: c.source for c in found.cells}["products"].startswith("# Products")


def test_a_cell_without_its_id_is_found_by_the_name_it_defines():
    found = lifted(PRODUCTS, [row._replace(id="") for row in rows(mul=SOLVED)])
    assert not found.missing and "return x * y" in next(c for c in found.cells if c.id == "mul").source


def test_a_deleted_cell_is_missing_and_never_the_courses():
    found = lifted(PRODUCTS, rows(mul=None))
    assert [c.id for c in found.missing] == ["mul"] and "mul" not in [c.id for c in found.cells]


def test_a_cell_turned_into_prose_is_missing():
    turned = [r._replace(kind="markdown") if r.id == "mul" else r for r in rows()]
    assert [c.id for c in lifted(PRODUCTS, turned).missing] == ["mul"]


def test_cells_that_a_learner_added_under_export_stay_where_they_are():
    notes = [NotebookCell("x1", "code", "#| export\ndef mine(): pass"), NotebookCell("", "code", "mine()")]
    place = [r.id for r in rows()].index("mul") + 1
    cells = [c for c in lifted(PRODUCTS, rows()[:place] + notes + rows()[place:]).cells if c.exported]
    assert [c.id for c in cells] == ["docstring", "imports", "mul", "x1", "square", "REGISTRY"]


def test_added_cells_come_first_when_they_stand_first():
    added = [NotebookCell("", "code", "#| export\ndef mine(): return 1")]
    assert lifted(PRODUCTS, added + rows()).cells[0].id == "mine"


def test_an_unfinished_line_is_lifted_as_it_is():
    found = lifted(PRODUCTS, rows(mul="#| export exercise\ndef mul(x, y:"))
    assert next(c for c in found.cells if c.id == "mul").source == "def mul(x, y:"


def test_of_two_cells_with_one_id_the_first_counts():
    doubled = rows(mul="#| export exercise\ndef mul(x, y): return 1") + [
        NotebookCell("mul", "code", "#| export exercise\ndef mul(x, y): return 2")]
    assert lifted(PRODUCTS, doubled).sources["mul"].endswith("return 1")


def test_a_cell_without_a_learners_source_is_refused():
    with pytest.raises(LessonProblem, match="the cell 'docstring' is gone"):
        with_sources(PRODUCTS.cells, {})


def test_line_numbers_count_from_the_text_the_learner_typed():
    found = lifted(PRODUCTS, rows(mul=SOLVED))
    assert next(c for c in found.cells if c.id == "mul").text == SOLVED
