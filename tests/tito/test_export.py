"""Cells in, the source of a module out."""

import ast

import pytest

from tito.core.export import Line, banner, module_lines, module_names, module_source
from tito.core.lesson import LessonProblem, NotebookCell, chapter, lifted

TOP = banner("modules/02_tensor/tensor.py")


def source(*texts):
    return module_source(chapter([("code", text) for text in texts]).cells, TOP, "02_tensor/tensor.py")


def exported(*texts): return source(*(f"#| export\n{text}" for text in texts))
def imports(*texts): return [n for n in exported(*texts).split("\n") if n.startswith(("import ", "from "))]


def test_a_module_is_banner_docstring_imports_names_and_cells():
    assert source(
        '#| export\n"""Products."""',
        "#| export\nfrom tinytorch.dtypes import Size\nimport numpy as np\n\nimport math",
        "#| export exercise\ndef mul(x, y):\n    #| hint times\n"
        "    ### BEGIN SOLUTION\n    return x * y\n    ### END SOLUTION",
        '#| check 1\nassert mul(2, 3) == 6, "six"',
        "mul(1, 2)",
        "#| export\n_secret = 1\n\nclass Op: pass",
    ) == '''\
# Generated from modules/02_tensor/tensor.py by `tito export`. Edit that file, not this one.
"""Products."""

import math

import numpy as np

from .dtypes import Size

__all__ = ["mul", "Op"]


def mul(x, y):
    return x * y


_secret = 1

class Op: pass
'''


def test_nothing_exported_is_an_empty_module():
    assert source("1 + 1") == TOP + "\n"


@pytest.mark.parametrize(("cells", "lines"), [
    (["import numpy as np", "import numpy as np\nx = 1"], ["import numpy as np"]),
    (["from math import pi", "from math import e, pi"], ["from math import e, pi"]),
    (["import os, sys"], ["import os", "import sys"]),
    (["import numpy.linalg as la", "import numpy"], ["import numpy", "import numpy.linalg as la"]),
    (["import zlib\nfrom abc import ABC\nimport ast"], ["import ast", "import zlib", "from abc import ABC"]),
    (["from m import b, A, C_D, a"], ["from m import C_D, A, a, b"]),
    (["from m import a as b, a"], ["from m import a, a as b"]),
    (["from m import *", "from m import a"], ["from m import *", "from m import a"]),
    (["from tinytorch import nn"], ["from . import nn"]),
    (["from tinytorch.tensor import Tensor"], ["from .tensor import Tensor"]),
    (["import numpy as np   # one", "import numpy as np  # two"], ["import numpy as np  # one  # two"]),
    (["from m import a  # one", "from m import b  # two"], ["from m import a, b  # one  # two"]),
    (["import os; import sys"], ["import os", "import sys"]),
])
def test_imports_are_said_once_and_in_order(cells, lines):
    assert imports(*cells) == lines


def test_future_comes_first_then_the_library_then_others_then_ours():
    future = "from __future__ import annotations"
    text = exported("x = 1", f"from tinytorch.a import b\nimport numpy\nimport re\n{future}")
    head = text.partition("\n")[2].partition("__all__")[0]
    assert head == f"\n{future}\n\nimport re\n\nimport numpy\n\nfrom .a import b\n\n"
    compile(text, "module", "exec")


def test_long_imports_and_lists_are_folded():
    names = [f"a_rather_long_name_{n}" for n in range(12)]
    text = exported(f"from m import {', '.join(names)} as z  # why", *(f"{name} = 1" for name in names))
    assert max(map(len, text.split("\n"))) <= 110 and "from m import (  # why\n    a_rather" in text
    folded = ast.parse(text).body[0]
    assert [a.name for a in folded.names] == sorted(names) and "a_rather_long_name_11 as z" in text


@pytest.mark.parametrize("text", [
    'TEXT = """\nimport os\n"""',
    "if TYPE_CHECKING:\n    from tinytorch.tensor import Tensor",
    "try:\n    import cupy\nexcept ImportError:\n    cupy = None",
    "def f():\n    import os\n    return os",
    "import os; x = 1",
])
def test_other_imports_stay_where_they_are(text):
    assert exported(text).endswith(f"\n\n\n{text}\n")


def test_imports_over_several_lines_leave_no_hole():
    text = exported("x = 1\n\nfrom math import (\n    e,  # Euler's\n    pi,\n)\n\ny = 2")
    assert "from math import e, pi  # Euler's\n" in text and text.endswith("\n\n\nx = 1\n\ny = 2\n")


def test_a_comment_above_an_import_is_kept():
    assert exported("# the only dependency\nimport numpy").endswith("\n\n\n# the only dependency\n")


def test_blank_lines_inside_strings_survive():
    text = 'import os\nPAGE = """\n\n\n\n#| export\n### BEGIN SOLUTION\n"""'
    assert exported(text).endswith('PAGE = """\n\n\n\n#| export\n### BEGIN SOLUTION\n"""\n')


def test_only_the_first_cell_is_the_docstring():
    text = exported("x = 1", '"""Too late."""')
    assert ast.get_docstring(ast.parse(text)) is None and text.endswith('"""Too late."""\n')


def test_public_names_are_listed_once_and_private_ones_are_not():
    texts = ("a = 1\n_b = 2\nimport c", "def a(): pass\nclass D: pass")
    cells = chapter([("code", f"#| export\n{text}") for text in texts])
    assert module_names(cells) == ("a", "_b", "D")
    assert '__all__ = ["a", "D"]' in module_source(cells, TOP, "x.py")


def test_every_line_knows_where_it_was_written():
    cells = chapter([("code", "#| export\nimport os\n\nx = 1"), ("code", "#| export\n\ny = 2\n\nz = 3")])
    lines = module_lines(cells, TOP, "x.py")
    assert [line for line in lines if line.cell] == [
        Line("x = 1", "x", 4), Line("y = 2", "y", 3), Line("", "y", 4), Line("z = 3", "y", 5)]


def test_a_learners_unfinished_line_is_named_by_its_cell():
    lesson = chapter([("code", "#| export\nx = 1")])
    cells = lifted(lesson, [NotebookCell("x", "code", "#| export\nx = (")]).cells
    with pytest.raises(LessonProblem, match=r"02_tensor\.ipynb: cell 'x' is not Python"):
        module_source(cells, banner("02_tensor.ipynb"), "02_tensor.ipynb")
