"""Lessons and notebooks on disk."""

import json
from pathlib import Path

import nbformat
import pytest

from tito.core.errors import EnvironmentProblem, NotFound
from tito.core.lesson import NotebookCell, chapter, nbgrader_metadata, notebook
from tito.core.percent import simple
from tito.ports.notebooks import (
    NotebooksInMemory,
    NotebooksOnDisk,
    by_jupytext,
    pairs,
    round_trip_differences,
)

LESSON = """\
# %% [markdown]
# # Products
#
# Why multiply?

# %%
#| export exercise
def mul(x, y):
    ### BEGIN SOLUTION
    return x * y
    ### END SOLUTION

# %%
# %timeit mul(2, 3)
"""
DISK = NotebooksOnDisk()
CELLS = [NotebookCell("a", "markdown", "# Π\n\ntext"), NotebookCell("b", "code", "x = 1\n\ny = 2")]


def resaved(path, change):
    """The notebook after another editor has had it."""
    data = json.loads(path.read_text("utf-8"))
    data = change(data) or data
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return DISK.read(path)


@pytest.fixture
def path(tmp_path):
    DISK.write(CELLS, tmp_path / "02_tensor.ipynb")
    return tmp_path / "02_tensor.ipynb"


def test_a_percent_file_becomes_a_chapter(tmp_path):
    (tmp_path / "lesson.py").write_text(LESSON, "utf-8")
    prose, mul, show = DISK.read_lesson(tmp_path / "lesson.py").cells
    assert [c.kind for c in (prose, mul, show)] == ["markdown", "code", "code"]
    assert [c.id for c in (prose, mul, show)] == ["products", "mul", "show-mul"]
    assert prose.source == "# Products\n\nWhy multiply?" and show.source == "%timeit mul(2, 3)"


def test_a_lesson_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"lesson\.py does not exist"):
        DISK.read_lesson(tmp_path / "lesson.py")


def test_a_good_lesson_survives_the_round_trip_and_a_bad_one_does_not():
    assert round_trip_differences(LESSON) == []
    assert round_trip_differences(LESSON.replace("\n# %%\n#| export", "\n\n\n# %%\n#| export")) != []


def test_what_is_written_is_read_and_valid(path):
    assert DISK.read(path) == CELLS
    nbformat.validate(nbformat.read(path, as_version=4))


def test_writing_twice_writes_the_same_bytes(path):
    before = path.read_bytes()
    DISK.write(CELLS, path)
    assert path.read_bytes() == before and "Π" in path.read_text("utf-8")


def test_metadata_goes_to_its_cell(tmp_path):
    lesson = chapter([("code", "#| export\nx = 1")])
    DISK.write(notebook(lesson), tmp_path / "n.ipynb", nbgrader_metadata(lesson))
    cells = json.loads((tmp_path / "n.ipynb").read_text("utf-8"))["cells"]
    assert [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in cells] == [None, "x"]


def test_replacing_touches_nothing_else(path):
    def ran(data):
        for cell in data["cells"]: cell["metadata"]["mine"] = 1
        data["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hi"}]
        data["metadata"]["widgets"] = {}
    resaved(path, ran)
    DISK.replace(path, 0, NotebookCell("a", "markdown", "# New"))
    data = json.loads(path.read_text("utf-8"))
    assert DISK.read(path) == [CELLS[0]._replace(source="# New"), CELLS[1]]
    assert data["cells"][1]["outputs"] and data["cells"][0]["metadata"]["mine"]
    assert data["metadata"]["widgets"] == {}
    DISK.replace(path, 1, NotebookCell("b", "code", "x = 3"))
    assert json.loads(path.read_text("utf-8"))["cells"][1]["outputs"] == []


@pytest.mark.parametrize("minor", [4, 5])
def test_inserting_keeps_the_notebook_valid_and_touches_nothing_else(path, minor):
    if minor == 4: resaved(path, drop_ids)
    before = json.loads(path.read_text("utf-8"))["cells"]
    DISK.insert(path, 1, NotebookCell("new", "code", "y = 1"))
    data = json.loads(path.read_text("utf-8"))
    assert [data["cells"][0], data["cells"][2]] == before and data["cells"][1]["source"] == ["y = 1"]
    assert data["cells"][1].get("id") == (None if minor == 4 else "new")
    nbformat.validate(data)


def test_a_full_disk_leaves_the_old_notebook(path, monkeypatch):
    def full(number): raise OSError(28, "No space left on device")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("tito.ports.files.os.fsync", full)
        with pytest.raises(EnvironmentProblem, match=r"02_tensor\.ipynb was not written: the disk is full"):
            DISK.write([], path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]


# ------------------------------------------------------------------------------------ what other editors do

def drop_ids(data):
    data["nbformat_minor"] = 4
    for cell in data["cells"]: del cell["id"]


def move_ids(data):
    for cell in data["cells"]: cell["metadata"]["id"] = cell.pop("id")


def one_string(data):
    for cell in data["cells"]: cell["source"] = "".join(cell["source"])


def windows(data):
    for cell in data["cells"]: cell["source"] = "".join(cell["source"]).replace("\n", "\r\n") + "\r\n"


def byte_order_mark(data): return "\ufeff" + json.dumps(data)


@pytest.mark.parametrize("change", [move_ids, one_string, windows, byte_order_mark])
def test_a_notebook_reads_the_same_after_another_editor(change, path):
    assert resaved(path, change) == CELLS


def test_a_notebook_may_lose_its_ids(path):
    assert resaved(path, drop_ids) == [c._replace(id="") for c in CELLS]


def test_raw_cells_count_as_prose(path):
    assert resaved(path, lambda data: data["cells"][1].update(cell_type="raw"))[1].kind == "markdown"


@pytest.mark.parametrize("text", [
    "", "{", '{"cells": ', "<<<<<<< HEAD", "[]", "3", "{}", '{"cells": 3}', '{"cells": [3]}', "\x80",
    '{"cells": [{"cell_type": "code"}]}', '{"cells": [{"source": [1]}]}', '{"worksheets": [{"cells": []}]}',
    '{"cells": [{"source": "", "metadata": 3}]}',
])
def test_what_is_no_notebook_is_refused_with_a_cure(text, path):
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(EnvironmentProblem, match=r"02_tensor\.ipynb") as refused:
        DISK.read(path)
    assert "`tito module reset 02_tensor`" in refused.value.cure


def test_a_notebook_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"n\.ipynb is not in"):
        DISK.read(tmp_path / "n.ipynb")


def test_a_folder_where_a_notebook_should_be_is_named(tmp_path):
    with pytest.raises(EnvironmentProblem, match="cannot be read: Is a directory"): DISK.read(tmp_path)


def test_the_fake_remembers(tmp_path):
    fake = NotebooksInMemory()
    fake.write(CELLS, tmp_path)
    fake.replace(tmp_path, 1, CELLS[0])
    fake.insert(tmp_path, 0, CELLS[1])
    assert fake.read(tmp_path) == [CELLS[1], CELLS[0], CELLS[0]]


# ----------------------------------------------------------------------------------- without jupytext

ROOT = Path(__file__).resolve().parents[2]
LESSONS = [path for folder in ("modules", "tests/tito/sample/modules")
           for path in (ROOT / folder).glob("*/*.py")]


def test_every_lesson_is_read_as_jupytext_reads_it():
    texts = {path: path.read_text("utf-8") for path in LESSONS}
    assert [path for path, text in texts.items() if simple(text) != by_jupytext(text)] == []


@pytest.mark.parametrize("text", [
    "", "x = 1\n", "# Said before\nx = 1\n\n# %%\ny = 2\n\n\n\n# %%\n\n# %%\nz = 3",
    "# %% [markdown]\n# A\n#\n# B\n\n# %%\n\n\nx = 1\n",
    "# %%\n# %timeit f(2)\nx = 1",
    "# %%\ncopy = deepcopy(x)\nls = [1]\n",
    # and what is left to jupytext
    "# %% a title\nx = 1\n", "# %% [raw]\n# x\n", '# %% [markdown]\n"""\nProse\n"""\n',
    "# ---\n# jupyter: {}\n# ---\n\n# %%\nx = 1\n", '# %% tags=["a"]\nx = 1\n',
    "# %%\n# !ls\n", "# %%\n# files = !ls\n", "# %%\n# ?len\n", "# %%\nls folder\n",
    "# %%\n# %%time\nx = 1\n",
    "# %%\n    # %timeit f(2)\n", '# %%\nx = """\n# %%\ny\n"""\n',
])
def test_a_percent_file_is_read_as_jupytext_reads_it(text): assert pairs(text) == by_jupytext(text)
