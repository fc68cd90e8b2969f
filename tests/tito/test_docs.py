"""What messages tell people to type exists, and the page about tito names all there is to type."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tito.cli import tito
from tito.commands.check_course import problem_with
from tito.core import errors
from tito.core.plan import VARIABLES, Limits
from tito.core.prose import Page, typed

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("tito", "modules") for path in sorted((ROOT / folder).rglob("*.py"))]
TABLES = (ROOT / "docs/tito.md").read_text("utf-8")


def commands_in(text: str) -> list[str]: return typed(Page("", text))


def texts(path: Path):
    """The string literals of a file; what an f-string fills in stands as x."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "x" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_message_says_to_type_exists(path):
    lines = [line for text in texts(path) for line in commands_in(text)]
    assert {line: problem for line in lines if (problem := problem_with(line, tito))} == {}


def leaves(group: click.Group, path="tito"):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group): yield from leaves(command, f"{path} {name}")
        else: yield f"{path} {name}"


def test_the_page_names_every_command():
    named = [f"{line} " for line in commands_in(TABLES)]
    assert [path for path in leaves(tito) if not any(line.startswith(f"{path} ") for line in named)] == []


def test_the_page_names_every_exit_code():
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert codes | {141} == {int(code) for code in re.findall(r"^\| (\d+) \|", TABLES, re.MULTILINE)}


def test_the_page_names_every_variable_with_its_default():
    rows = dict(re.findall(r"^\| `([A-Z_]+)(?:=1)?` \|[^|]*\| (\S+) \|", TABLES, re.MULTILINE))
    defaults = {variable: getattr(Limits(), name) for variable, name in VARIABLES.items()}
    defaults["TITO_MEMORY_MB"] >>= 20
    assert {name: float(rows[name]) for name in defaults} == defaults
    used = re.findall(r"\b(?:TITO|TINYTORCH)_[A-Z_]+\b", "".join(p.read_text("utf-8") for p in SOURCES))
    assert set(used) - {"_TITO_COMPLETE"} <= set(re.findall(r"`([A-Z_]+)(?:=1)?`", TABLES))


@pytest.mark.parametrize("line, problem", [
    ("tito", ""), ("tito modul test", "there is no command modul"), ("tito module test 02 --nonsense",
    "it has no option --nonsense"), ("tito undo --list", ""), ("tito …", ""), ("tito module x", "")])
def test_and_this_test_can_fail(line, problem): assert problem_with(line, tito) == problem


def test_commands_are_found_where_they_stand():
    text = "Type `tito undo`, not tito.\n    tito module test 02   check\n$ tito init a && cd a\n`tito {x}`"
    assert commands_in(text) == ["tito undo", "tito {x}", "tito module test 02", "tito init a"]


def test_the_catalogue_of_errors_is_what_the_code_says():
    check = [sys.executable, str(ROOT / "scripts/errors.py"), "--check"]
    ran = subprocess.run(check, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("problem, words", [
    ('raise NotFound(f"There is no {name}.", "tito status")', ("There is no ‹name›.", "tito status")),
    ('said = f"{self.path} is " + "gone"\n    raise NotFound(said)', ("‹path› is gone", "")),
])
def test_an_error_is_catalogued_as_a_reader_sees_it(problem, words, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import errors as catalogue
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(f"def f(self, name):\n    {problem}\n")
    (found,) = catalogue.problems(tmp_path / "a.py", catalogue.kinds())
    assert (found.code, found.message, found.cure) == (4, *words)
