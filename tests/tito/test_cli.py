"""The edge of the program: exit codes, errors, encodings, help; in real processes where that matters."""

import ast
import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from tito import cli
from tito.commands import Group
from tito.core.errors import ChecksFailed, Locked, NotFound, TitoError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def failing(monkeypatch):
    """A function that makes `tito status` raise what it is given."""
    def arrange(problem):
        def boom(): raise problem
        monkeypatch.setattr("tito.commands.status.workspace", boom)
        return cli.main(["status"])
    return arrange


def process(*args, cwd=None, **env):
    return subprocess.run(
        [sys.executable, "-m", "tito", *args],
        cwd=cwd or ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        encoding=env.get("PYTHONIOENCODING"),
    )


def everything(group: click.Group, path=("tito",)):
    """Every command there is, with what one types to reach it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group): yield from everything(command, (*path, name))


# ------------------------------------------------------------------------------------------------- trouble

@pytest.mark.parametrize(
    "problem, code",
    [
        (TitoError("m", "c"), 3),
        (ChecksFailed("m", "c"), 1),
        (NotFound("m", "c"), 4),
        (Locked("m", "c"), 4),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("m"), 3),
        (OSError(28, "No space left on device", "/x"), 3),
        (click.UsageError("m"), 2),
    ],
)
def test_every_trouble_has_its_exit_code(failing, problem, code):
    assert failing(problem) == code


def test_an_error_is_its_message_and_its_cure_on_stderr(failing, capsys):
    failing(NotFound("There is no lesson 'x'.", "tito module list"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "There is no lesson 'x'.\n  tito module list\n")


def test_an_unforeseen_error_is_a_sentence_and_its_details_are_in_a_file(failing, capsys, monkeypatch):
    monkeypatch.delenv("TITO_DEBUG", raising=False)
    failing(ZeroDivisionError("by nothing"))
    err = capsys.readouterr().err
    assert "ZeroDivisionError: by nothing" in err and "Traceback" not in err
    details = Path(err.splitlines()[-1].split(" are in ")[1])
    assert "Traceback" in details.read_text()
    details.unlink()


def test_tito_debug_shows_the_traceback(failing, capsys, monkeypatch):
    monkeypatch.setenv("TITO_DEBUG", "1")
    failing(ZeroDivisionError("by nothing"))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_full_disk_is_named_with_the_file(failing, capsys):
    failing(OSError(28, "No space left on device", "/home/ada/progress.json"))
    assert capsys.readouterr().err.startswith("No space left on device: /home/ada/progress.json\n")


def test_what_may_not_be_read_is_named_and_needs_no_details(failing, capsys):
    failing(PermissionError(13, "Permission denied", "/home/ada/.tito"))
    said = "/home/ada/.tito may not be read or written.\n  Look at its permissions.\n"
    assert capsys.readouterr().err == said


def test_with_json_an_error_is_json(monkeypatch, capsys):
    def boom(): raise Locked("not yet", "first 01")
    monkeypatch.setattr("tito.commands.status.workspace", boom)
    assert cli.main(["status", "--json"]) == 4
    out = json.loads(capsys.readouterr().out)
    assert out == {
        "schema": 1,
        "kind": "error",
        "error": {"message": "not yet", "cure": "first 01", "code": 4},
    }


@pytest.mark.parametrize(
    "line, suggestion",
    [
        ("statsu", "status"),
        ("module tset", "test"),
        ("milestone timelin", "timeline"),
        ("modul list", "module"),
    ],
)
def test_a_typo_is_answered_with_a_suggestion(line, suggestion, capsys):
    assert cli.main(line.split()) == 2
    assert f"Did you mean '{suggestion}'?" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["module", "milestone"])
def test_a_group_alone_shows_its_help(line, capsys):
    assert cli.main([line]) == 2
    assert "Examples" in "".join(capsys.readouterr())


@pytest.mark.parametrize("line", ["status --nonsense", "module test --seconds abc", "module reset"])
def test_wrong_options_are_usage_errors_that_name_the_help(line, capsys):
    assert cli.main(line.split()) == 2
    assert "--help" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m tito milestone timeline | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.strip() in ("0", "141")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("line, code", [("", 0), ("module list", 0), ("--help", 0), ("status --json", 4)])
def test_a_closed_stream_is_one_that_nobody_reads(line, code, closed, tmp_path):
    command = f"exec {sys.executable} -m tito {line} {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == code and "foresee" not in done.stdout + done.stderr


@pytest.mark.parametrize("module", ["tito.cli", "click", "tito.view.course", "rich.table"])
def test_ctrl_c_while_something_is_imported_ends_quietly(module, tmp_path):
    code = f"""if True:
        import runpy, sys
        class Impatient:
            def find_spec(self, name, path=None, target=None):
                if name == {module!r}: raise KeyboardInterrupt
        sys.meta_path.insert(0, Impatient())
        sys.argv = ["tito"]
        runpy.run_module("tito", run_name="__main__")"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 130 and done.stdout == "" and done.stderr in ("", "\nStopped.\n")


def test_the_console_script_hears_ctrl_c_as_early_as_python_m_tito():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"]["tito"] == "tito.__main__:main"


# --------------------------------------------------------------------------------------------------- help

COMMANDS = list(everything(cli.tito))


@pytest.mark.parametrize("path, command", COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_says_what_it_does_and_gives_examples(path, command, capsys):
    assert cli.main([*path[1:], "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples" in text and command.get_short_help_str()
    assert text.isascii(), "click writes help as UTF-8 even where the terminal cannot read it"
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("path, command", COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_example_parses(path, command):
    for line, _ in command.examples:
        words = [w for w in shlex.split(line) if w != "tito"]
        if not line.startswith("tito ") or "|" in words: continue
        found = cli.tito
        context = click.Context(cli.tito)
        while isinstance(found, Group) and words:
            found = found.get_command(context, words.pop(0))
        found.make_context("x", words, resilient_parsing=False)


def test_all_commands_of_the_plan_are_there():
    names = {" ".join(path[1:]) for path, _ in COMMANDS}
    assert names >= set(
        ["init", "status", "doctor", "export", "notebook", "undo", "completion", "module", "milestone",
         "watch", "update"]
    )
    assert names >= {
        f"module {c}"
        for c in ["list", "status", "start", "test", "complete", "reset", "hint", "solution", "show"]
    }
    assert names >= {
        f"milestone {c}"
        for c in ["status", "timeline", "test", "unlock", "run", "list", "info", "certificate"]
    }


def test_every_listing_and_every_test_answers_in_json():
    silent = {"completion", "course", "export", "notebook", "module", "milestone", "milestone run", "serve",
              "package", "capstone"}
    for path, command in COMMANDS:
        name = " ".join(path[1:])
        assert name in silent or any("--json" in p.opts for p in command.params), name


def test_the_help_says_of_each_command_what_the_command_says_of_itself():
    context = cli.click.Context(cli.tito)
    for names in cli.SECTIONS.values():
        for name, said in names.items():
            assert said == cli.tito.get_command(context, name).get_short_help_str(100), name


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tito ")


# -------------------------------------------------------------------------------------------- terminals

@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "cp437", "cp850", "cp932", "latin-1"])
def test_the_course_can_be_told_in_any_encoding(encoding, tmp_path):
    for line in ("milestone timeline", "milestone info foundation", "module list", "--help"):
        done = process(*line.split(), cwd=tmp_path, PYTHONIOENCODING=encoding)
        assert done.returncode == 0 and done.stderr == ""


def test_prose_goes_to_the_nearest_ascii():
    assert "3 × 4 → 12 … “yes”".encode("ascii", "tito").decode() == '3 x 4 -> 12 ... "yes"'


# ------------------------------------------------------------------------------------------------ speed

HEAVY = ("numpy", "jupytext", "nbformat", "pytest", "tinytorch")


@pytest.mark.parametrize(
    "line, too_much",
    [
        ("--help", (*HEAVY, "rich")),
        ("--version", (*HEAVY, "rich")),
        ("module --help", (*HEAVY, "rich")),
        ("", HEAVY),
        ("module list", HEAVY),
    ],
)
def test_nothing_heavy_is_imported_to_answer_a_question(line, too_much, tmp_path):
    code = ["import sys", "from tito.cli import main", f"main({line.split()!r})",
            "print(sorted(sys.modules), file=sys.stderr)"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=tmp_path, env=here,
                          capture_output=True, text=True)
    loaded = ast.literal_eval(done.stderr.splitlines()[-1])
    assert not [name for name in too_much if name in loaded]


# ------------------------------------------------------------------------------------------- completion

@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert "_TITO_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("typed, offered", [
    ("mod", "module"), ("module st", "start"), ("module start te", "tensor"), ("module start 0", "02"),
    ("milestone info fo", "foundation"), ("milestone run training --data ci", "cifar10")])
def test_the_shell_is_offered_commands_lessons_milestones_and_data_sets(typed, offered):
    done = process(
        _TITO_COMPLETE="bash_complete", COMP_WORDS=f"tito {typed}", COMP_CWORD=str(len(typed.split()))
    )
    assert offered in [line.split(",")[-1] for line in done.stdout.splitlines()]


def test_completion_alone_says_what_to_put_where(monkeypatch, capsys):
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert cli.main(["completion"]) == 0
    assert "~/.zshrc" in capsys.readouterr().out
