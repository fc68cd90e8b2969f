"""`tito course`: a class; its assignments, its submissions, its grades."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tito.commands import Group, as_json, reply
from tito.core.errors import CHECKS_FAILED, OK, UsageProblem

if TYPE_CHECKING:
    from tito.services_grading import Class

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY = click.Path(path_type=Path)
one = click.argument("assignment")
any_one = click.argument("assignment", required=False)
unsafe = click.option("--unsafe-no-sandbox", "unsafe", is_flag=True,
                      help="Run submissions without a sandbox, as you; every page will say so.")


def here() -> Class:
    from tito.services_grading import open_class
    return open_class(Path.cwd())


@click.group(cls=Group, examples=[
    ("tito course init autumn", "a class: an assignment for each lesson"),
    ("tito course generate", "make the assignments"),
    ("tito course collect 02-tensor downloads.zip", "take in what was handed in"),
    ("tito course grade 02-tensor --jobs 4", "mark it, in a sandbox"),
    ("tito course feedback 02-tensor", "a page for each student"),
])
def course() -> None:
    """Teach a class: assignments, grading in a sandbox, feedback, a gradebook.

    The folder of a class is an nbgrader course directory, too: nbgrader's commands and formgrader work in it.
    """


@course.command(examples=[("tito course init autumn", "a class in ./autumn"),
                          ("tito course init autumn --name Systems", "with a name of its own")])
@click.argument("folder", type=FOLDER)
@click.option("--name", help="What the class is called; else the folder's name.")
@as_json
def init(folder: Path, name: str | None, as_json: bool) -> None:
    """Make the folder of a class.

    It has course.toml, nbgrader_config.py, and the folders in which things will lie.
    """
    from tito.services_grading import make_class
    from tito.view import grading
    place = make_class(folder.absolute(), name or folder.name)
    count = len(place.plan.assignments)
    reply(as_json, "course", {"folder": str(place.root),
                              "assignments": [a.name for a in place.plan.assignments]},
          grading.begun, place.root, count)


@course.command(examples=[("tito course generate", "every assignment of course.toml"),
                          ("tito course generate 02-tensor", "this one")])
@any_one
@as_json
def generate(assignment: str | None, as_json: bool) -> None:
    """Make assignments from lessons.

    They lie in source/ and release/, and their cells are entered in the gradebook.
    """
    from tito.services_generate import generate as make
    from tito.view import grading
    place = here()
    made = [make(place, each) for each in place.assignments(assignment)]
    reply(as_json, "generated", {"assignments": [asdict(m) for m in made]}, grading.generated, made)


@course.command(examples=[("tito course validate", "every assignment"),
                          ("tito course validate 02-tensor", "this one")])
@any_one
@unsafe
@as_json
def validate(assignment: str | None, unsafe: bool, as_json: bool) -> int:
    """See that assignments hold.

    Solutions earn every point, blanks none, and hidden answers are not where submissions run.
    """
    from tito.services_generate import validate as check
    from tito.view import grading
    place = here()
    safe = place.sandboxed(unsafe)
    found = [v for each in place.assignments(assignment) for v in check(place, each, safe)]
    data = {"ok": all(v.ok for v in found), "assignments": [{**asdict(v), "ok": v.ok} for v in found]}
    reply(as_json, "validated", data, grading.validated, found)
    return OK if data["ok"] else CHECKS_FAILED


@course.command(examples=[
    ("tito course release 02-tensor --zip tensor.zip", "a file for the learning platform"),
    ("tito course release 02-tensor --github tensor/", "a template for GitHub Classroom, with a workflow"),
    ("tito course release 02-tensor --exchange /srv/nbgrader/exchange", "nbgrader's exchange"),
])
@one
@click.option("--zip", "zipped", type=FILE, help="Write a zip.")
@click.option("--github", type=FOLDER, help="Write a directory with a workflow that runs the checks.")
@click.option("--exchange", type=FOLDER, help="Copy into nbgrader's exchange.")
@as_json
def release(assignment: str, zipped: Path | None, github: Path | None, exchange: Path | None,
            as_json: bool) -> None:
    """Hand an assignment out."""
    from tito.services_generate import release as hand_out
    from tito.view import grading
    place = here()
    path = hand_out(place, place.plan.assignment(assignment), zipped, github, exchange)
    reply(as_json, "released", {"path": str(path)}, grading.written, path)


@course.command(examples=[
    ("tito course collect 02-tensor submissions.zip", "as Canvas, Moodle or Gradescope pack it"),
    ("tito course collect 02-tensor folder/", "a folder a student, or a file a student"),
    ("tito course collect 02-tensor clones.csv", "clones: student,path,when"),
    ("tito course collect 02-tensor x.zip --dry-run", "only say what would be taken"),
])
@one
@click.argument("source", type=ANY)
@click.option("--dry-run", is_flag=True, help="Take nothing in.")
@as_json
def collect(assignment: str, source: Path, dry_run: bool, as_json: bool) -> int:
    """Take in what was handed in.

    Every file is accounted for; what does not count is kept beside.
    """
    from tito.view import grading
    place = here()
    found = place.collect(source, place.plan.assignment(assignment), dry_run)
    data = {"files": [asdict(a) for a in found], "taken": sum(a.what == "taken" for a in found)}
    reply(as_json, "collected", data, grading.collected, found)
    return OK if data["taken"] else CHECKS_FAILED


@course.command(examples=[
    ("tito course grade 02-tensor", "with a process for each core"),
    ("tito course grade 02-tensor --jobs 2", "with two"),
    ("tito course grade 02-tensor --cluster tcp://head:8786", "on the workers of a Dask cluster"),
    ("tito course grade 02-tensor", "again: marks only what has changed, and goes on where it was stopped"),
])
@one
@click.option("--jobs", type=click.IntRange(1, 1024),
              help="How many notebooks at once; else one for each core.")
@click.option("--cluster", help="local:N, or the address of a Dask scheduler.")
@click.option("--again", is_flag=True, help="Mark everything anew.")
@unsafe
@as_json
def grade(
    assignment: str, jobs: int | None, cluster: str | None, again: bool, unsafe: bool, as_json: bool,
) -> int:
    """Mark what was handed in.

    Exercises are run in a sandbox, and their answers compared outside of it.

    Manual grades and comments are kept. Exit code 1 says that something could not be marked.
    """
    from tito.services_grading import UNSAFE, workers_for
    from tito.view import grading
    from tito.view.live import watching
    if jobs and cluster: raise UsageProblem("--jobs is for this machine, --cluster for others: name one.")
    place = here()
    if unsafe: click.echo(UNSAFE, err=True)
    with watching(f"grading {assignment}", quiet=as_json) as watch:
        done = place.grade(place.plan.assignment(assignment), workers_for(jobs, cluster), unsafe,
                           lambda p: watch.line(f"{p.done} of {p.total}, {grading.time_left(p.left)}"), again)
    data = {"assignment": assignment, "marked": done.marked, "known": done.known, "sandbox": done.safe,
            "seconds": done.seconds, "troubles": list(done.troubles), "rows": [asdict(r) for r in done.rows]}
    reply(as_json, "graded", data, grading.graded, done)
    return CHECKS_FAILED if done.troubles else OK


@course.command(examples=[("tito course feedback 02-tensor",
                           "feedback/STUDENT/02-tensor/feedback.html and .md")])
@one
@as_json
def feedback(assignment: str, as_json: bool) -> None:
    """Write a page for each student.

    HTML and Markdown, without hidden checks or anybody else's data.
    """
    from tito.services_grading import write_pages
    from tito.view import grading
    from tito.view.feedback import html, markdown
    place = here()
    count = write_pages(place, place.plan.assignment(assignment),
                        {"feedback.html": html, "feedback.md": markdown})
    folder = place.root / "feedback"
    reply(as_json, "feedback", {"pages": count, "folder": str(folder)}, grading.fed_back, count, folder)


@course.command(examples=[
    ("tito course export grades.csv", "everything"),
    ("tito course export canvas.csv --format canvas --roster roster.csv", "for Canvas's gradebook"),
    ("tito course export 02.csv --format moodle --assignment 02-tensor", "for Moodle"),
])
@click.argument("file", type=FILE)
@click.option("--format", "kind", type=click.Choice(["csv", "canvas", "moodle"]), default="csv",
              show_default=True)
@click.option("--assignment", help="Only this one.")
@click.option("--roster", type=FILE,
              help="Canvas's own export, for its names and numbers.")
@as_json
def export(file: Path, kind: str, assignment: str | None, roster: Path | None, as_json: bool) -> None:
    """Write grades as a table.

    It is quoted, and safe to open in a spreadsheet.
    """
    from tito.services_grading import export as write_table
    from tito.view import grading
    place = here()
    count = write_table(place, place.assignments(assignment), file, kind, roster)
    reply(as_json, "exported", {"file": str(file), "rows": count}, grading.written, file)


@course.command(examples=[("tito course status", "what was set, handed in and graded"),
                          ("tito course status 02-tensor", "how it went, check by check")])
@any_one
@as_json
def status(assignment: str | None, as_json: bool) -> None:
    """Show where the class stands.

    Of one assignment: which checks failed, and which misconception that looks like.
    """
    from tito.services_grading import status as standing
    from tito.view import grading
    place = here()
    if assignment is None:
        found = standing(place)
        reply(as_json, "course", {"assignments": [s.as_json() for s in found]}, grading.standing, found)
    else:
        figures = place.figures(place.plan.assignment(assignment), place.mistakes())
        reply(as_json, "figures", asdict(figures), grading.statistics, assignment, figures)


@course.command("moss-ready", examples=[("tito course moss-ready 02-tensor moss/",
                                         "a folder for MOSS or JPlag")])
@one
@click.argument("folder", type=FOLDER)
@as_json
def moss_ready(assignment: str, folder: Path, as_json: bool) -> None:
    """Write code for a plagiarism tool.

    A folder a student, and the course's blanks as the base.
    """
    from tito.view import grading
    place = here()
    pairs = place.moss(place.plan.assignment(assignment), folder)
    reply(as_json, "alike", {"folder": str(folder), "pairs": pairs}, grading.alike, pairs, folder)


@course.command(examples=[("tito course check 02_tensor.ipynb", "what my notebook earns"),
                          ("tito course check mine.ipynb --lesson 02", "under another name")])
@click.argument("notebook", type=FILE)
@click.option("--lesson", help="Which lesson it is; else its name says so.")
@unsafe
@as_json
def check(notebook: Path, lesson: str | None, unsafe: bool, as_json: bool) -> int:
    """Mark one notebook with the checks it shows.

    For a student, or a workflow; it needs no class.
    """
    from tito.app import open_course
    from tito.services_grading import marked_alone
    from tito.view import grading
    chosen = open_course().curriculum.lesson(lesson or notebook.stem)
    book = marked_alone(chosen.name, notebook, unsafe)
    reply(as_json, "marked", book.as_json(), grading.checked, book)
    return OK if book.earned == book.points else CHECKS_FAILED


command = course
