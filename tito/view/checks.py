"""A report of checks: the first problem in full, the rest in a line each, what is not written yet calmly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tito.core.results import Report, Result, Status
from tito.view.screen import Screen, columns, indented, line, page, stack

OUTPUT = 12                         # lines of the learner's own output that a terminal shows

COUNTED: dict[Status, str] = {      # how the sum says it
    "passed": "passed", "failed": "failed", "error": "stopped by an error", "timeout": "out of time",
    "todo": "to write", "skipped": "skipped",
}


def report(
    report: Report,
    title: str,
    hint: str,              # the command that tells the next one, but for the exercise; "" when there is none
    screen: Screen,
) -> RenderableType:
    """All that a run of checks found."""
    first = most_urgent(report)
    return page(
        stack(summary(report, title, screen), numbers(report)),
        problem(first, hint, screen) if first else None,
        others([t for t in report.tests if not t.ok and t is not first], screen),
    )


def most_urgent(report: Report) -> Result | None:
    """The first thing that is wrong; without one, the first that is not written yet."""
    wrong = (t for t in report.tests if t.status in ("failed", "error", "timeout"))
    return next(wrong, report.first_problem)


def summary(report: Report, title: str, screen: Screen) -> Text:
    counts = Counter(t.status for t in report.tests)
    parts = [f"{counts[status]} {word}" for status, word in COUNTED.items() if counts[status]]
    parts = parts or ["nothing was checked"]
    if worth := sum(t.points for t in report.tests): parts.append(f"{earned(report):g} of {worth:g} points")
    sign = (f"{screen.signs.done} ", "good") if report.ok else ""
    dot = f" {screen.signs.dot} "
    told = line(sign, (title, "strong"), "  ", (dot.join(parts), "quiet"))
    time = line((f"{dot}{report.seconds:.1f} s", "quiet")) if report.seconds else line()
    return told + time if told.cell_len + time.cell_len <= screen.width else told      # not worth a line


def earned(report: Report) -> float: return sum(t.points for t in report.tests if t.ok)


def numbers(report: Report) -> RenderableType | None:
    """What a milestone measured."""
    if not report.numbers: return None
    return indented(columns((line((name, "quiet")), shown(value)) for name, value in report.numbers.items()))


def shown(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------- one problem

def problem(result: Result, hint: str, screen: Screen) -> RenderableType:
    """One result that is not good yet, with everything that helps."""
    facts = [*values(result), *place(result)]
    return stack(
        headline(result, screen),
        indented(columns((line((name, "quiet")), value) for name, value in facts)) if facts else None,
        printed(result.output, screen),
        hint_line(result, hint) if hint else None,
    )


def values(result: Result) -> list[tuple[str, Text]]:
    pairs = (("asked", result.asked), ("expected", result.expected), ("got", result.got))
    return [(name, Text(value)) for name, value in pairs if value]


def place(result: Result) -> list[tuple[str, Text]]:
    """The learner's own line, and where it stands."""
    if not (at := result.line): return []
    return [(f"line {at.number}", line((at.text.strip(), "strong"))),
            ("", line((f"{at.file}, cell {at.cell}", "quiet")))]


def headline(result: Result, screen: Screen) -> RenderableType:
    sign, style = mark(result.status, screen)
    said = "your turn" if result.status == "todo" else result.message
    head = line((f"{sign} ", style), (result.name, "strong"))
    if result.section: head.append(f"   {result.section}", "quiet")
    return stack(head, indented(Text(said)) if said and said != result.name else None)


def mark(status: Status, screen: Screen) -> tuple[str, str]:
    signs = screen.signs
    return {
        "passed": (signs.done, "good"), "todo": (signs.open, "now"), "skipped": (signs.locked, "quiet"),
    }.get(status, (signs.failed, "bad"))


def printed(output: str, screen: Screen) -> RenderableType | None:
    """The end of what the learner's code printed: a pipe gets all of it."""
    lines = output.rstrip().splitlines()
    if not lines: return None
    kept = lines[-OUTPUT:] if screen.console.is_terminal else lines
    cut = f" {len(lines)} lines; the last" if len(kept) < len(lines) else ""
    head = f"your code printed{cut}"
    return indented(stack(line((head, "quiet")), indented(Text("\n".join(kept)))))


def hint_line(result: Result, hint: str) -> RenderableType | None:
    if not result.hints: return None
    count = "1 hint" if result.hints == 1 else f"{result.hints} hints"
    return indented(line((f"{hint} {result.exercise}".rstrip(), "type"), (f"   {count}", "quiet")))


# -------------------------------------------------------------------------------------------- the others

def others(results: Sequence[Result], screen: Screen) -> RenderableType | None:
    """What else is not good yet: problems in a line each, exercises to come in one breath."""
    rows = [one_line(t, screen) for t in results if t.status != "todo"]
    todo = list(dict.fromkeys(t.exercise or t.name for t in results if t.status == "todo"))
    if todo: rows.append((line(mark("todo", screen)), line(("yours to write  ", "quiet"), ", ".join(todo))))
    return columns(rows, gap=1) if rows else None


def one_line(result: Result, screen: Screen) -> tuple[Text, Text]:
    said = result.message.partition("\n")[0] if result.message != result.name else ""
    return line(mark(result.status, screen)), line(result.name, "  " if said else "", (said, "quiet"))
