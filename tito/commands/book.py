"""`tito book`: the book, in a browser."""

from __future__ import annotations

import click

from tito.commands import Command, as_json, reply, this_lesson


@click.command(cls=Command, examples=[
    ("tito book", "open the book"),
    ("tito book 09", "open its chapter of lesson 09"),
    ("tito book --no-open", "only say where it is"),
])
@this_lesson
@click.option("--no-open", is_flag=True, help="Only say where it is.")
@as_json
def book(lesson: str | None, no_open: bool, as_json: bool) -> None:
    """Open the book that `make book` made, or its chapter of a lesson.

    It lies in build/book/html of a checkout, and needs no server.
    """
    from tito.app import open_course
    from tito.view import exported
    course = open_course()
    page = course.book(course.curriculum.lesson(lesson) if lesson else None)
    reply(as_json, "book", {"file": str(page)}, exported.book, page)
    if not (no_open or as_json): click.launch(page.as_uri())


command = book
