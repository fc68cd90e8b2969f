"""What a student reads about their work: a page, and the same as Markdown. Nothing hidden, nobody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tito.core.grades import Graded, Mark, Question
from tito.core.grades_export import Row

NO_SANDBOX = "These grades were made without a sandbox."
HIDDEN = "A check that the notebook does not show"
WORDS = {"passed": "right", "failed": "not yet", "todo": "still a blank", "error": "did not run",
         "timeout": "took too long", "skipped": "not run"}

CSS = """
:root{color-scheme:light dark;--ink:#1f2933;--paper:#fff;--quiet:#52606d;--line:#d9e2ec}
:root{--good:#13652c;--bad:#a5281b}
@media(prefers-color-scheme:dark){
:root{--ink:#e4e7eb;--paper:#15191e;--quiet:#9aa5b1;--line:#3e4c59;--good:#6bd08a;--bad:#ff9a8b}}
body{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}
body{color:var(--ink);background:var(--paper)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.points{white-space:nowrap;text-align:right}.passed{color:var(--good)}.wrong{color:var(--bad)}
.quiet{color:var(--quiet)}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;font-size:.9rem}
.warning{border:2px solid var(--bad);padding:.5rem 1rem}
"""


def shown(mark: Mark) -> tuple[str, list[tuple[str, str]]]:
    """A check's name, and what may be said of it."""
    if mark.hidden:
        return f"{HIDDEN}, on {mark.exercise}", []
    facts = [("", mark.message), ("asked", mark.asked), ("expected", mark.expected), ("got", mark.got),
             ("your line", mark.line)]
    return mark.name, [(name, text) for name, text in facts if text] if mark.status != "passed" else []


def markdown(row: Row, books: Mapping[str, Graded], questions: Sequence[Question],
             comments: Mapping[str, str]) -> str:
    """The page as Markdown. What a student's code said stands in code, where it is only text."""
    parts = [f"# {row.assignment}\n\n**{row.earned:g} of {row.points:g} points**{late(row)}\n"]
    if any(book.sandbox == "none" for book in books.values()): parts.append(f"> **{NO_SANDBOX}**\n")
    for file, book in books.items():
        parts.append(f"## {file}\n\n{book.earned:g} of {book.points:g} points\n")
        parts += [f"- {note}\n" for note in (*([book.problem] if book.problem else []), *book.notes)]
        parts.append("\n| check | | points |\n|---|---|---|\n" + "".join(
            f"| {cell(shown(m)[0])} | {WORDS[m.status]} | {m.earned:g} of {m.points:g} |\n"
            for m in book.marks))
        for m in book.marks:
            name, facts = shown(m)
            if facts:
                parts.append(f"\n### {name}\n\n" + "".join(
                    f"{fenced(text)}\n" if not title else f"{title}:\n\n{fenced(text)}\n" for title,
                    text in facts))
    for question in questions:
        said = comments.get(question.id, "")
        answer = fenced(said) if said else "Not commented."
        parts.append(f"\n## {question.name}\n\n{question.text.strip()}\n\n{answer}\n")
    return "\n".join(parts)


def late(row: Row) -> str: return f", handed in {row.late / 3600:.1f} hours late" if row.late else ""
def cell(text: str) -> str: return text.replace("|", "\\|").replace("\n", " ")


def fenced(text: str) -> str:
    """A block of code that no backticks inside can end."""
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in text).split()), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def html(row: Row, books: Mapping[str, Graded], questions: Sequence[Question],
         comments: Mapping[str, str]) -> str:
    """The page, whole in one file: no script, nothing loaded from elsewhere, everything escaped."""
    body = [f"<h1>{escape(row.assignment)}</h1>",
            f"<p><strong>{row.earned:g} of {row.points:g} points</strong>{escape(late(row))}</p>"]
    if any(book.sandbox == "none" for book in books.values()):
        body.append(f"<p class=warning>{NO_SANDBOX}</p>")
    for file, book in books.items():
        body.append(f"<h2>{escape(file)}</h2><p>{book.earned:g} of {book.points:g} points</p>")
        notes = [*([book.problem] if book.problem else []), *book.notes]
        if notes: body.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
        body.append("<table><thead><tr><th scope=col>check<th scope=col>result<th scope=col>points</tr>"
                    "</thead><tbody>")
        body += [line(m) for m in book.marks]
        body.append("</tbody></table>")
    for question in questions:
        said = comments.get(question.id, "")
        body.append(f"<h2>{escape(question.name)}</h2><p>{escape(question.text.strip())}</p>"
                    + (f"<pre>{escape(said)}</pre>" if said else "<p class=quiet>Not commented.</p>"))
    safe = "default-src 'none'; style-src 'unsafe-inline'"
    return (f'<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(row.assignment)}</title>'
            f'<meta http-equiv=Content-Security-Policy content="{safe}">'
            f'<meta name=viewport content="width=device-width"><style>{CSS}</style></head>'
            f'<body><main>{"".join(body)}</main></body></html>\n')


def line(mark: Mark) -> str:
    name, facts = shown(mark)
    told = "".join(f"<div><span class=quiet>{title}</span><pre>{escape(text)}</pre></div>"
                   for title, text in facts)
    kind = "passed" if mark.status == "passed" else "wrong"
    return (f"<tr><th scope=row>{escape(name)}<td><span class={kind}>{WORDS[mark.status]}</span>{told}"
            f"<td class=points>{mark.earned:g} of {mark.points:g}</tr>")
