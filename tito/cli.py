"""The `tito` command: loads the command that was asked for, and is the only place that prints errors."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from tito.commands import Group
from tito.core.errors import INTERRUPTED, OK, EnvironmentProblem, TitoError, UsageProblem

BROKEN_PIPE = 141                   # what a shell reports for a program whose reader went away

SECTIONS = {                        # each command with the first words of its help: --help need not load them
    "The course": {
        "status": "Show how far you have come and what is next.",
        "module": "Work on a lesson: start, test, hint, complete, and more.",
        "watch": "Check what you wrote, each time you save.",
        "quiz": "Ask a few questions about a lesson: why, what is printed, how many.",
        "milestone": "See and prove what your framework can do.",
        "capstone": "Choose a project, and solve it with your own framework.",
        "report": "Write your progress as one page of HTML: lessons, hints, speed, milestones.",
    },
    "Your workspace": {
        "init": "Make a workspace of your own.",
        "update": "Bring new course content into your notebooks.",
        "notebook": "Write a fresh notebook of a lesson; never over another one, unless told to.",
        "book": "Open the book that `make book` made, or its chapter of a lesson.",
        "export": "Write the exported cells to the package.",
        "bench": "Race your package against the course's, NumPy and PyTorch.",
        "show": "Let your own package draw: graph, weights, attention or curve.",
        "serve": "Serve models over HTTP, with the server of lesson 16.",
        "package": "Make a wheel of your framework, and try it.",
        "undo": "Take back the last change that tito made.",
        "doctor": "Look for trouble in Python, the packages and the workspace.",
    },
    "A class": {
        "course": "Teach a class: assignments, grading in a sandbox, feedback, a gradebook.",
    },
    "The course's own checkout": {
        "check-course": "Check the course itself, in a checkout of it.",
    },
    "Your shell": {
        "completion": "Let your SHELL complete commands, lessons and milestones.",
    },
}


FILES = {"show": "pictures"}       # of commands that do not bear their file's name


class Tito(Group):
    """Every command lives in a module of its own name, imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx): return None
        file = FILES.get(name, name.replace("-", "_"))
        return getattr(import_module(f"tito.commands.{file}"), name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), said) for name, said in names.items()])


def show_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if not wanted: return
    from tito.commands import version
    print(f"tito {version()}")
    ctx.exit()


@click.group(
    cls=Tito,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=[
        ("tito init mytorch", "make a workspace"),
        ("tito", "where am I, what is next"),
        ("tito module start 02", "open a lesson"),
        ("tito module test", "check what I wrote"),
    ],
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=show_version,
              help="Say which tito this is.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_context
def tito(ctx: click.Context, as_json: bool) -> int:
    """Write a deep-learning framework, one lesson at a time, and own it in the end.

    Alone, `tito` says where you are and what comes next.
    """
    if ctx.invoked_subcommand: return OK
    from tito.commands.status import here
    here(as_json)
    return OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    open_what_is_closed()
    speak_any_encoding()
    try:
        code = run(list(args))
        sys.stdout.flush()
    except BrokenPipeError:
        return hang_up()
    except Exception as problem:
        return tell(told(problem), in_json="--json" in args)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED
    return code


def run(args: list[str]) -> int:
    if "_TITO_COMPLETE" in os.environ:
        from click.shell_completion import shell_complete
        return shell_complete(tito, {}, "tito", "_TITO_COMPLETE", os.environ["_TITO_COMPLETE"])
    try:
        with tito.make_context("tito", args) as context:
            return tito.invoke(context) or OK
    except click.exceptions.Exit as exit:
        return exit.exit_code


# ------------------------------------------------------------------------------------------------ trouble

def told(problem: Exception) -> TitoError:
    """Whatever went wrong, as something a person can read."""
    if isinstance(problem, TitoError):
        return problem
    if isinstance(problem, click.ClickException):
        context = getattr(problem, "ctx", None)
        return UsageProblem(problem.format_message(), f"{context.command_path} --help" if context else "")
    if isinstance(problem, click.Abort):
        return UsageProblem("Nothing was done.")
    if isinstance(problem, FileNotFoundError) and not there():
        return EnvironmentProblem("The folder you are in does not exist any more.", "cd to another one.")
    if isinstance(problem, PermissionError) and problem.filename:
        said = f"{problem.filename} may not be read or written."
        return EnvironmentProblem(said, "Look at its permissions.")
    if isinstance(problem, OSError) and problem.strerror:
        where = f": {problem.filename}" if problem.filename else ""
        return keep(problem, EnvironmentProblem(f"{problem.strerror}{where}"))
    return keep(problem, EnvironmentProblem(
        f"This is something that tito's authors did not foresee: {type(problem).__name__}: {problem}"))


def there() -> bool:
    """Whether the folder that we are in exists."""
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def keep(problem: Exception, told: TitoError) -> TitoError:
    """Save the details that a reader of `told` is spared, and say where they are."""
    import tempfile
    import traceback
    details = "".join(traceback.format_exception(problem))
    if os.environ.get("TITO_DEBUG") == "1":
        sys.stderr.write(details)
        return told
    try:
        handle, path = tempfile.mkstemp(".txt", "tito-")
        os.write(handle, details.encode("utf-8", "replace"))
        os.close(handle)
        told.cure = f"The details are in {path}"
    except OSError:
        told.cure = "TITO_DEBUG=1 shows the details"
    return told


def tell(problem: TitoError, in_json: bool) -> int:
    """Print a problem the way it was asked for, and return its exit code."""
    if in_json:
        import json
        error = {"message": problem.message, "cure": problem.cure, "code": problem.code}
        print(json.dumps({"schema": 1, "kind": "error", "error": error}, indent=2))
        return problem.code
    head, _, rest = problem.message.partition("\n")
    print(wrapped(head) if in_pipe() else click.style(wrapped(head), bold=True), file=sys.stderr)
    for more in filter(None, (rest, problem.cure)):
        print(wrapped(more, indent="  "), file=sys.stderr)
    return problem.code


def in_pipe() -> bool:
    """Whether errors go where bold letters would be litter."""
    return not sys.stderr.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"


def wrapped(text: str, indent: str = "") -> str:
    """`text` folded between words where a person reads it; line for line where a program does."""
    width = min(shutil.get_terminal_size().columns, 100) if sys.stderr.isatty() else 10_000
    return "\n".join(
        textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        for line in text.splitlines()
    )


def open_what_is_closed() -> None:
    """`tito >&-`: what nobody reads goes nowhere, and no file of ours gets the number of a closed stream."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))      # noqa: SIM115 - for good


def hang_up() -> int:
    """The reader of our output went away: say nothing more, not even when Python closes the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


# ---------------------------------------------------------------------------------------------- encodings

PLAIN = {
    "→": "->", "←": "<-", "↔": "<->", "×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "…": "...", "≈": "~",
    "≤": "<=", "≥": ">=", "≠": "!=", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "x", "•": "*",
    "√": "sqrt", "²": "^2", "³": "^3", "ᵀ": "^T", "∞": "inf", "µ": "u", "\u00a0": " ", "\u202f": " ",
}


def in_ascii(problem: UnicodeError) -> tuple[str, int]:
    """For an encoding too small for the text: the nearest thing a typewriter could do."""
    if not isinstance(problem, UnicodeEncodeError): raise problem
    return "".join(PLAIN.get(c, "?") for c in problem.object[problem.start:problem.end]), problem.end


def speak_any_encoding() -> None:
    """No text of the course may fail on its way to a terminal that knows only ASCII or cp1252."""
    codecs.register_error("tito", in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"): stream.reconfigure(errors="tito")

