"""New course content into a workspace: which notebook changes how, and then the change itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tito.core.curriculum import Lesson
from tito.core.errors import NotFound, TitoError
from tito.core.given import Given, from_json, given_file, news, to_json
from tito.core.lesson import notebook
from tito.core.merge import Merged, merge
from tito.core.outcomes import Update, Updated
from tito.ports.files import drop, write

if TYPE_CHECKING:
    from tito.app import Workspace
    from tito.services_course import Course


class Updating:
    def __init__(self, place: Workspace):
        self.place, self.course, self.state = place, place.course, place.state

    def lessons(self, wanted: Lesson | None) -> list[Lesson]:
        found = [x for x in self.course.curriculum if x.name in self.course.written()]
        return [x for x in found if wanted in (None, x)]

    def look(self, wanted: Lesson | None) -> Update:
        """What would happen."""
        found = (self.updated(lesson)[0] for lesson in self.lessons(wanted))
        return Update(self.course.version, tuple(x for x in found if x.happens))

    def update(self, wanted: Lesson | None) -> Update:
        """Merges every notebook, as one change that `undo` takes back."""
        lessons = self.lessons(wanted)
        files = [name for lesson in lessons
                 for name in (lesson.notebook, given_file(lesson), *self.earlier_names(lesson))]
        what = f"update {wanted.label}" if wanted else "update"
        with self.state.alone(what):
            before = self.look(wanted)
            if not before.lessons and not any(self.behind(lesson) for lesson in lessons):
                return before
            subject, names = wanted.name if wanted else "course", [lesson.name for lesson in lessons]
            with self.state.changing("update", subject, what, [*files, MARKER], names) as done:
                found = [self.carried_out(lesson) for lesson in lessons]
                self.mark()
        return Update(self.course.version, tuple(x for x in found if x.happens), done)

    def behind(self, lesson: Lesson) -> bool:
        return known(self.place.root, lesson) != self.course.given(lesson)

    def updated(self, lesson: Lesson) -> tuple[Updated, Merged | None]:
        """One lesson: what happens, and the cells; without cells, there is nothing to write."""
        base, path = known(self.place.root, lesson), self.place.notebook(lesson)
        renamed = "" if path.exists() else next(self.earlier_names(lesson), "")
        try:
            rows = self.course.notebooks.read(self.place.root / renamed if renamed else path)
        except NotFound:
            return Updated(lesson, created=True), None
        except TitoError as problem:
            cure = f"`tito doctor --fix` saves what can be saved. {problem.cure}"
            return Updated(lesson, problem=problem.message, cure=cure), None
        chapter = self.course.chapter(lesson)
        merged = merge(base, chapter, rows)
        unmet: Mapping[str, str] = {}
        if base and self.state.progress().completed(lesson.name):
            unmet = news(base, self.course.given(lesson), chapter)
        changed = [row.cell for row in merged.rows] != rows
        return Updated(lesson, merged.notes, renamed=renamed, news=unmet), merged if changed else None

    def earlier_names(self, lesson: Lesson) -> Iterator[str]:
        """The lesson's notebook under the number that it had in an earlier course."""
        names = (path.name for path in sorted(self.place.root.glob(f"[0-9][0-9]_{lesson.name}.ipynb")))
        return (name for name in names if name != lesson.notebook)

    def carried_out(self, lesson: Lesson) -> Updated:
        updated, merged = self.updated(lesson)
        path = self.place.notebook(lesson)
        if updated.problem: return updated
        if updated.created:
            self.course.notebooks.write(notebook(self.course.chapter(lesson)), path)
            remember(self.place.root, self.course, lesson)
            return updated
        if updated.renamed:
            write(path, (self.place.root / updated.renamed).read_bytes())
            drop(self.place.root / updated.renamed)
        if merged:
            self.course.notebooks.arrange(path, merged.rows)
        remember(self.place.root, self.course, lesson)
        if updated.news:
            progress = self.state.progress()
            old = progress.lesson(lesson.name).news
            self.state.save(progress.with_lesson(lesson.name, news={**old, **updated.news}))
        return updated

    def mark(self) -> None:
        """The workspace knows of which course it is."""
        from tito.services_create import marker

        path = self.place.root / MARKER
        write(path, marker(self.course, created=json.loads(path.read_text("utf-8")).get("created", "")))


MARKER = ".tito/workspace.json"


def known(root: Path, lesson: Lesson) -> Given | None:
    """What the learner was given of a lesson, if it was noted."""
    try:
        return from_json((root / given_file(lesson)).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def remember(root: Path, course: Course, lesson: Lesson) -> None:
    """Notes what the learner is given of a lesson."""
    write(root / given_file(lesson), to_json(course.given(lesson)))
