"""Make the book: lay out its pages, then let Sphinx turn them into HTML.

    python book/build.py [FOLDER]       (default: build/book; the pages are in FOLDER/html)
      --only 05 09                      run only the cells of these lessons, and show the others without
      --no-run                          run nothing
      --pages                           lay out the pages, without Sphinx

What cells showed is kept in FOLDER/shown until a source changes. A cell that raises is an error, and
so is any warning.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "book")]

import chapters  # noqa: E402 - beside this file
import outputs  # noqa: E402
import reference  # noqa: E402

from tito.checkout import Checkout, open_checkout  # noqa: E402
from tito.core.curriculum import Lesson  # noqa: E402

COPIED = ("docs", "benchmarks", "CONTRIBUTING.md", "CHANGELOG.md")      # at the same place: their links hold
LINK = re.compile(r"(?<!!)\[([^]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def laid_out(course: Checkout, kept: Path, run: Container[str]) -> Iterator[tuple[str, str]]:
    """Every page of the book: its path and its MyST; `run` are the lessons whose cells are run."""
    lessons = [lesson for lesson in course.curriculum if lesson.name in course.written()]
    written = {lesson.number: lesson.folder for lesson in lessons}
    files = [(lesson, file) for lesson in lessons for file in lesson.files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        def shown(lesson: Lesson, file: str) -> outputs.Outputs:
            if lesson.name not in run: return [[] for _ in course.chapter(lesson, file).cells]
            return outputs.outputs(course, lesson, file, kept)
        for key, waiting in {(x, f): pool.submit(shown, x, f) for x, f in files}.items():
            yield from page(course, *key, waiting.result(), written)
    package = reference.Package(course)
    known = fragments(package, written)
    for path in sorted((ROOT / "book" / "pages").rglob("*.md")):
        yield str(path.relative_to(ROOT / "book" / "pages")), filled(path.read_text("utf-8"), known)
    for name in COPIED:
        top = ROOT / name
        for path in sorted(top.rglob("*.md")) if top.is_dir() else [top]:
            yield str(path.relative_to(ROOT)), within_the_book(path, path.read_text("utf-8"))
    yield from reference.pages(package)


def page(course: Checkout, lesson: Lesson, file: str, shown, written) -> Iterator[tuple[str, str]]:
    path = f"lessons/{lesson.folder}/{chapters.page_of(lesson, file)}"
    if file != lesson.name:
        yield path, chapters.appendix_page(lesson, file, course.chapter(lesson, file), shown, written)
        return
    every = {each: course.chapter(lesson, each) for each in lesson.files}
    quiz = course.modules / lesson.folder / "quiz.toml"
    asked = tomllib.loads(quiz.read_text("utf-8")) if quiz.exists() else None
    yield path, chapters.lesson_page(lesson, course.curriculum, every, shown, written, asked)


def fragments(package: reference.Package, written: Mapping[int, str]) -> dict[str, str]:
    """What the course and its package know, for pages that have `<!-- name -->` in its place."""
    course = package.course
    rows = "\n".join(f"| [{x.number:02} {x.title}](lessons/{x.folder}/index.md) | {x.question} | "
                     f"{chapters.hours(x.minutes)} |" for x in course.curriculum if x.number in written)
    return {"map": chapters.html(chapters.map_of(course.curriculum, written)),
            "chapters": "\n".join(f"lessons/{folder}/index" for folder in written.values()),
            "lessons": f"| lesson | asks | takes |\n|---|---|---|\n{rows}", **reference.fragments(package)}


def filled(text: str, known: Mapping[str, str]) -> str:
    """A page with what its `<!-- names -->` stand for; a name that nobody knows is an error."""
    return re.sub(r"^<!-- ([\w-]+) -->$", lambda found: known[found[1]], text, flags=re.MULTILINE)


def within_the_book(path: Path, text: str) -> str:
    """Links that lead to what is no page of the book become the name of a file."""
    def link(found: re.Match[str]) -> str:
        target = (path.parent / found[2]).resolve()
        inside = target.suffix == ".md" and target.relative_to(ROOT).parts[0] in COPIED
        return found[0] if inside else f"{found[1]} (`{target.relative_to(ROOT)}`)"
    return LINK.sub(link, text)


def write(pages: dict[str, str], folder: Path) -> None:
    """The pages in a folder, and nothing else; a page that is the same stays untouched: Sphinx skips it."""
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text: path.write_text(text, "utf-8")
    for path in folder.rglob("*.md"):
        if str(path.relative_to(folder)) not in pages: path.unlink()
    shutil.copytree(ROOT / "docs" / "pictures", folder / "docs" / "pictures", dirs_exist_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "book")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--pages", action="store_true")
    asked = parser.parse_args()
    course = open_checkout(ROOT)
    if course is None: return parser.error(f"{ROOT} is no checkout of the course")
    only = course.written() if asked.only is None else {course.curriculum.lesson(x).name for x in asked.only}
    try:
        found = dict(laid_out(course, asked.folder / "shown", () if asked.no_run else only))
    except outputs.ChapterFailed as problem:
        print(f"A cell of the book failed.\n{problem}", file=sys.stderr)
        return 1
    write(found, asked.folder / "source")
    if asked.pages: return 0
    settings = ["-W", "--keep-going", "-q", "-j", "auto", "-c", ROOT / "book", "-d", asked.folder / "trees"]
    folders = [asked.folder / "source", asked.folder / "html"]
    return subprocess.run([sys.executable, "-m", "sphinx", *settings, *folders]).returncode


if __name__ == "__main__": sys.exit(main())
