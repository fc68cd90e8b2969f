"""Mutants: every small wrong turn of a solution, and none of what is around it."""

import pytest

from tito.core.lesson import cell_from
from tito.core.mutation import mutants


def exercise(solution: str):
    lines = "\n".join("    " + line for line in solution.split("\n"))
    return cell_from("code", "#| export exercise\ndef f(x, y, axis=0):\n    x = x + 1\n"
                     f"    ### BEGIN SOLUTION\n{lines}\n    ### END SOLUTION\n    return x")


@pytest.mark.parametrize("solution, wanted", [
    ("return x + y", ["return x - y"]),
    ("return (x) * (y)", ["return (x) / (y)"]),
    ("return x @ y", ["return y @ x"]),
    ("x -= y", ["pass", "x += y"]),
    ("return x < y", ["return x <= y", "return x >= y"]),
    ("return x is not None", ["return x is None"]),
    ("return x and y", ["return x or y"]),
    ("return not x", ["return (x)"]),
    ("return -x", ["return (x)"]),
    ("return x[-1]", ["return x[1]", "return x[-2]"]),
    ("return 2", ["return 3"]),
    ("return 0.0", ["return 1.0"]),
    ("return True", ["return False"]),
    ("return g(x, y)", ["return g(y, x)"]),
    ("return max(x, y)", []),
    ("return x.sum(axis=1)", ["return x.sum()", "return x.sum(axis=0)", "return x.sum(axis=2)"]),
    ("return x[:, 0]", ["return x[0, :]", "return x[:, 1]"]),
    ("if x: y.sort()", ["if (not x): y.sort()", "if x: pass"]),
    ('raise ValueError(f"{x + 1} is too much")', ["pass"]),
    ('return "x" + str(y)', []),
    ("n: int = y", []),
    ("return 'é' if x + y else 'à'", ["return 'é' if x - y else 'à'"]),
])
def test_a_solution_has_these_mutants(solution, wanted):
    assert [mutant.after for mutant in mutants(exercise(solution))] == wanted


def test_a_mutant_is_the_cell_with_one_change_in_it():
    (mutant,) = mutants(exercise("return x + y"))
    assert str(mutant) == "`return x + y` -> `return x - y`"
    assert mutant.cell.source == exercise("return x - y").source and mutant.line == 4
