"""`tito notebook`: a lesson as a notebook of its own."""

from __future__ import annotations

from pathlib import Path

import click

from tito.commands import Command, as_json, lesson, reply


@click.command(cls=Command, examples=[
    ("tito notebook 02", "write 02_tensor.ipynb, as a learner begins with it"),
    ("tito notebook 02 --nbgrader -o class/", "as an assignment for nbgrader"),
])
@lesson
@click.option("--solutions", is_flag=True, help="Keep the course's solutions.")
@click.option("--nbgrader", is_flag=True, help="Mark exercises and checks for nbgrader.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file, or the folder it goes into.")
@click.option("--force", is_flag=True, help="Write over what is there.")
@as_json
def notebook(
    lesson: str, solutions: bool, nbgrader: bool, output: Path | None, force: bool, as_json: bool
) -> None:
    """Write a fresh notebook of a lesson; never over another one, unless told to."""
    from tito.app import open_course
    from tito.checkout import write_notebook
    from tito.view import exported
    course = open_course()
    chosen = course.curriculum.lesson(lesson)
    path = output or Path()
    path = path / chosen.notebook if path.suffix != ".ipynb" else path
    write_notebook(course.chapter(chosen), path, solutions, nbgrader, force)
    reply(as_json, "notebook", {"lesson": chosen.name, "file": str(path)}, exported.written, path)


command = notebook
