"""Chapters of the book, made from the files of the lessons: a Chapter and what its cells show in, MyST out.

Lessons keep to Markdown that every notebook shows; here it is upgraded: `> **Note.**` becomes a note in the
margin, "lesson 05" and links to notebooks lead to chapters, solutions and checks are folded.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from tito.core.curriculum import Curriculum, Lesson
from tito.core.lesson import Cell, Chapter, defined_names, solved, stripped

KEPT = re.compile(r"""
    ^(`{3,}).*?^\1\ *$ | `[^`\n]+`               # code
    | \$\$.*?\$\$ | \$[^$\n]+\$                 # formulas
    | \[[^]\n]*\]\([^)\n]*\) | ^\#[^\n]*$       # links and headings
""", re.DOTALL | re.MULTILINE | re.VERBOSE)
NOTE = re.compile(r"^> \*\*Note\.\*\* *(.*(?:\n>.*)*)", re.MULTILINE)
NOTEBOOK = re.compile(r"\]\((?:[\w./-]*/)?(\d\d_\w+)\.ipynb(#[^)]*)?\)")
LESSON = re.compile(r"\b([Ll]esson) (\d\d)\b")
SVG_LABEL = re.compile(r'aria-label="([^"]*)"')
Shown = Sequence[tuple[str, str]]           # what a cell shows: (kind, text), of text, svg and html


# ------------------------------------------------------------------------------------------------ prose

def prose(markdown: str, chapters: Mapping[int, str], here: int = 0) -> str:
    """A lesson's Markdown as the book's; `chapters` are the folders of the lessons that are written."""
    text = NOTE.sub(_margin, markdown)
    text = NOTEBOOK.sub(lambda m: f"](../{m[1]}/index.md)", text)
    return outside_code(text, lambda part: LESSON.sub(lambda m: _link(m, chapters, here), part))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """`change` applied to what is neither code nor a formula nor a link nor a heading."""
    parts, at = [], 0
    for found in KEPT.finditer(text):
        parts += [change(text[at:found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, change(text[at:])])


def _margin(found: re.Match[str]) -> str:
    body = re.sub(r"^> ?", "", found[1], flags=re.MULTILINE)
    return f":::{{margin}}\n{body}\n:::"


def _link(found: re.Match[str], chapters: Mapping[int, str], here: int) -> str:
    number = int(found[2])
    if number == here or number not in chapters: return found[0]
    return f"[{found[0]}](../{chapters[number]}/index.md)"


# ---------------------------------------------------------------------------------------------- building

def fenced(text: str, head: str = "", options: str = "") -> str:
    """A fence that is longer than any inside."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{head}\n{options}{text}\n{ticks}"


def html(text: str) -> str: return fenced(text, "{raw} html")
def code(source: str, kind: str) -> str: return fenced(source, "{code-block} python", f":class: {kind}\n\n")


def folded(summary: str, inside: str, kind: str) -> str:
    opening = html(f'<details class="{kind}"><summary>{escape(summary)}</summary>')
    return f"{opening}\n\n{inside}\n\n{html('</details>')}"


def anchors(cell: Cell) -> str:
    """Where the reference finds the code of a name."""
    names = [name for name in defined_names(cell.source) if name.strip("_")] if cell.exported else []
    return html("".join(f'<a class="code-of" id="code-{name}"></a>' for name in names)) if names else ""


def begins(source: str) -> bool:
    """Whether a cell holds only what files begin with: a docstring and imports."""
    body = ast.parse(source).body
    return all(isinstance(node, ast.Import | ast.ImportFrom)
               or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


class Page:
    """One file of a lesson, becoming a page."""

    def __init__(self, lesson: Lesson, chapters: Mapping[int, str]):
        self.lesson, self.chapters, self.figures = lesson, chapters, 0

    def cells(self, chapter: Chapter, shown: Sequence[Shown]) -> Iterator[str]:
        start = []
        for cell, outputs in zip(chapter.cells, shown, strict=True):
            if cell.exported and begins(cell.source):
                start.append(cell.source)
                continue
            if start: yield folded("How the file begins", code("\n\n".join(start), "given"), "begins")
            start = []
            if cell.kind == "markdown": yield prose(cell.source, self.chapters, self.lesson.number)
            elif cell.exercise: yield from self.exercise(cell)
            elif cell.check and not cell.hidden:
                points = f"{cell.points:g} point{'s' * (cell.points != 1)}"
                yield folded(f"Check: {points}", code(cell.source, "check"), "check")
            elif not cell.hidden and (source := solved(cell).source).strip():
                yield from filter(None, [anchors(cell), code(source, "given" if cell.exported else "try")])
                if not cell.exported: yield from self.outputs(outputs)

    def exercise(self, cell: Cell) -> Iterator[str]:
        """The blank as the learner meets it; hints, one by one, and the solution are folded beneath it."""
        yield anchors(cell)
        yield code(stripped(cell).source, "blank")
        for number, hint in enumerate(cell.hints, 1):
            label = "Hint" if len(cell.hints) == 1 else f"Hint {number} of {len(cell.hints)}"
            yield folded(label, prose(hint, self.chapters, self.lesson.number), "hint")
        yield folded("A solution", code(solved(cell).source, "solution"), "solution")

    def outputs(self, shown: Shown) -> Iterator[str]:
        for kind, text in shown:
            if kind == "text": yield fenced(text, "{code-block} none", ":class: output\n\n")
            elif kind == "svg": yield html(self.figure(text))
            else: yield html(f'<div class="shown">{text}</div>')

    def figure(self, svg: str) -> str:
        self.figures += 1
        number = f"{self.lesson.number}.{self.figures}"
        said = label[1] if (label := SVG_LABEL.search(svg)) else "drawn by the code above"
        if not label: svg = svg.replace("<svg ", f'<svg role="img" aria-label="Figure {number}, {said}" ', 1)
        caption = f"<figcaption>Figure {number}: {said}</figcaption>"
        return f'<figure class="drawn" id="figure-{number}">{svg}{caption}</figure>'


# ------------------------------------------------------------------------------------------ a whole lesson

def title(chapter: Chapter, fallback: str) -> tuple[str, str]:
    """The title of a file, and the rest of its first cell."""
    first = chapter.cells[0].source if chapter.cells and chapter.cells[0].kind == "markdown" else ""
    found = re.match(r"# (.*)\n*", first)
    return (found[1], first[found.end():]) if found else (fallback, first)


def hours(minutes: int) -> str:
    if minutes == 60: return "1 hour"
    if minutes < 90: return f"{minutes} minutes"
    half = round(minutes / 30) / 2
    return f"{int(half)}{'½' if half % 1 else ''} hours"


def map_of(curriculum: Curriculum, written: Mapping[int, str], here: int = 0, root: str = "") -> str:
    """Where the reader is: milestones, and the lessons on the way to them."""
    groups = []
    for milestone in curriculum.milestones:
        steps = "".join(_step(lesson, lesson.number in written, here, root)
                        for lesson in curriculum.lessons_of(milestone))
        groups.append(f'<li><span class="goal">{escape(milestone.title)}</span><ol>{steps}</ol></li>')
    return f'<nav class="course-map" aria-label="You are here"><ol>{"".join(groups)}</ol></nav>'


def _step(lesson: Lesson, written: bool, here: int, root: str) -> str:
    inside = f"<b>{lesson.number:02}</b> {escape(lesson.title)}"
    if lesson.number == here: return f'<li class="here" aria-current="page"><span>{inside}</span></li>'
    if not written: return f'<li class="coming"><span>{inside}</span></li>'
    done = ' class="done"' if lesson.number < here else ""
    return f'<li{done}><a href="{root}lessons/{lesson.folder}/index.html">{inside}</a></li>'


def head_of(lesson: Lesson, curriculum: Curriculum, written: Mapping[int, str]) -> str:
    """What a chapter begins with: its question, what you can do after it, how long, what it stands on."""
    needs = [curriculum.lesson(name) for name in lesson.needs]
    stands = ", ".join(f"[{n.number:02} {n.title}](../{n.folder}/index.md)" for n in needs)
    facts = [f"About {hours(lesson.minutes)}", *([f"stands on {stands}"] if needs else []),
             f"`tito module start {lesson.number:02}`"]
    aims = "\n".join(f"- {aim}" for aim in lesson.objectives)
    return (f"{html(map_of(curriculum, written, lesson.number, '../../'))}\n\n:::{{container}} chapter-head\n"
            f"**{lesson.question}**\n\nIn this lesson you\n\n{aims}\n\n{' · '.join(facts)}\n:::")


def listed(lesson: Lesson, files: Sequence[str], chapters: Mapping[str, Chapter]) -> str:
    """Links to the chapter's other pages, each with its first sentence."""
    lines = []
    for file in files:
        name, rest = title(chapters[file], file)
        first = re.split(r"(?<=[.?!:]) ", " ".join(rest.split("\n\n")[0].split()))[0]
        lines.append(f"- [{section(name)}]({page_of(lesson, file)}): {first.rstrip(':')}")
    return "\n".join(lines)


def section(name: str) -> str:
    """`Appendix: what fits` is a section of its chapter; its title is what it is about."""
    short = name.removeprefix("Appendix: ")
    return short[:1].upper() + short[1:]


def page_of(lesson: Lesson, file: str) -> str:
    return "index.md" if file == lesson.name else f"{file.removeprefix('appendix_')}.md"


GIVEN = "This code is there when the lesson starts."
APPENDED = "They complete what you wrote; nothing in them is left for you to solve."


def lesson_page(
    lesson: Lesson,
    curriculum: Curriculum,
    chapters: Mapping[str, Chapter],        # every file of the lesson
    shown: Sequence[Shown],                 # what the cells of the lesson's own file show
    written: Mapping[int, str],             # number -> folder of every lesson that there is
    quiz: Mapping[str, Any] | None = None,      # its questions, as quiz.toml has them
) -> str:
    own = chapters[lesson.name]
    name, rest = title(own, lesson.title)
    page = Page(lesson, written)
    body = list(page.cells(Chapter(own.cells[1:]), shown[1:]))
    parts = [f"# {lesson.number:02} {name}", head_of(lesson, curriculum, written),
             prose(rest, written, lesson.number), *body]
    if quiz: parts.append(questions(quiz))
    for heading, said, files in (("Given before you begin", GIVEN, lesson.given),
                                 ("Appendices", APPENDED, lesson.appendices)):
        if files: parts.append(f"## {heading}\n\n{said}\n\n{listed(lesson, files, chapters)}")
    pages = "\n".join(page_of(lesson, file) for file in (*lesson.given, *lesson.appendices))
    if pages: parts.append(fenced(pages, "{toctree}", ":hidden:\n\n"))
    return "\n\n".join(filter(None, parts)) + "\n"


def appendix_page(
    lesson: Lesson, file: str, chapter: Chapter, shown: Sequence[Shown], written: Mapping[int, str],
) -> str:
    name, rest = title(chapter, file)
    when = "given before you begin" if file in lesson.given else "an appendix"
    where = (f"*Of lesson [{lesson.number:02} {lesson.title}](index.md), {when}; it becomes* "
             f"`tinytorch/{file.removeprefix('appendix_')}.py`.")
    body = Page(lesson, written).cells(Chapter(chapter.cells[1:]), shown[1:])
    parts = [f"# {section(name)}", where, prose(rest, written, lesson.number), *body]
    return "\n\n".join(filter(None, parts)) + "\n"


# ----------------------------------------------------------------------------------------------- questions

def questions(quiz: Mapping[str, Any]) -> str:
    """What quiz.toml asks, each answer folded under its question: it needs no script."""
    asked = "\n\n".join(_question(n, q) for n, q in enumerate(quiz.get("question", ()), 1))
    return f"## Questions\n\n{asked}" if asked else ""


def _question(number: int, question: Mapping[str, Any]) -> str:
    answer, choices = str(question["answer"]), question.get("choices", ())
    told = f"{answer})" if choices else f"`{answer}` {question.get('unit', '')}".strip()
    fold = folded("Answer", f"**{told}** {question['explain']}", "answer")
    if choices:
        asked = html(_choices(number, question["ask"], choices, answer))
        return "\n\n".join([asked, fold, html("</fieldset>")])
    shown = [code(question["code"].strip("\n"), "try")] if question.get("code") else []
    parts = [f"**{number}.** {question['ask']}", *shown, fold]
    return "\n\n".join([html('<div class="question">'), *parts, html("</div>")])


def _choices(number: int, ask: str, choices: Sequence[str], answer: str) -> str:
    """Buttons, of which one can be pressed; the style sheet shows what is said of the one that is."""
    parts = [f'<fieldset class="question"><legend><b>{number}.</b> {inline(ask)}</legend>']
    for letter, choice in zip("abcdefgh", choices):
        kind = "right" if letter == answer else "wrong"
        parts += [f'<label><input type="radio" name="question-{number}" class="{kind}">',
                  f"<span>{letter}) {inline(choice)}</span></label>"]
    return "\n".join([*parts, f'<p class="told" role="status">{RIGHT}{WRONG}</p>'])


RIGHT = '<span class="right">Right. The reason is folded below.</span>'
WRONG = '<span class="wrong">Not this one. Choose again, or look below.</span>'


def inline(text: str) -> str:
    """A sentence of Markdown with nothing in it but words and code, as HTML."""
    literal = r'<code class="docutils literal notranslate">\1</code>'
    return re.sub(r"`([^`]*)`", literal, escape(text, quote=False))
