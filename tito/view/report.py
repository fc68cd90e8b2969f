"""A learner's progress as one page of HTML that asks nobody for anything: no scripts, no foreign pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from rich.console import RenderableType

from tito.core.compare import readable
from tito.core.milestones import LessonStanding, MilestoneStanding, Standing
from tito.view.course import hours, state
from tito.view.screen import Screen, line

SIGNED = "<!-- written by tito report -->"       # only such a page is written over
WORDS = {"done": "done", "stale": "changed since it passed", "started": "begun", "open": "open",
         "locked": "not open yet", "unwritten": "being written"}
CSS = """
:root{--ink:#1c2733;--soft:#5b6775;--line:#dde3e9;--page:#fff;
--done:#1a7f37;--stale:#9a6700;--started:#0969da;--open:#6e7b88}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8ee;--soft:#9aa7b4;--line:#303a45;--page:#12171d;
--done:#3fb950;--stale:#d29922;--started:#58a6ff;--open:#8894a0}}
*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;max-width:60rem;margin:2.5rem auto;padding:0 1.2rem;
color:var(--ink);background:var(--page)}
h1{font-size:1.8rem;margin:0}
h2{font-size:1.15rem;margin:2.2rem 0 .5rem}
h3{font-size:1rem;margin:1rem 0 0}
p{margin:.3rem 0}
.soft{color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{padding:.35rem .8rem .35rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}
.n{text-align:right;white-space:nowrap}
svg{width:100%;height:auto;display:block}
svg text{font:13px system-ui,sans-serif;fill:currentColor}
.done{color:var(--done)}
.stale{color:var(--stale)}
.started{color:var(--started)}
.open,.locked,.unwritten{color:var(--open)}
rect{fill:currentColor}
rect.open,rect.locked,rect.unwritten{fill:var(--line)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1.2rem;margin:.3rem 0 0}
dt{color:var(--soft)}
dd{margin:0}
@media print{body{margin:0}h2{break-after:avoid}}
"""


def html(standing: Standing, whose: str, when: str) -> str:
    """The timeline, the lessons, the time of a training step, the milestones and their evidence."""
    lessons, gates = standing.lessons, standing.milestones
    done, unlocked = sum(x.completed for x in lessons), sum(m.unlocked for m in gates)
    head = f"{done} of {len(lessons)} lessons, {unlocked} of {len(gates)} milestones"
    return (f'<!DOCTYPE html>\n{SIGNED}\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(whose)}: my own deep-learning framework</title>"
            f'<meta name="viewport" content="width=device-width"><style>{CSS}</style></head><body>\n'
            f"<header><h1>{escape(whose)}</h1>"
            f"<p>A deep-learning framework, written one lesson at a time: {head}.</p>"
            f'<p class="soft">{escape(when)}</p></header>\n<main>\n'
            f"<h2>The way</h2>\n{timeline(gates)}\n"
            f'<h2>The lessons</h2>\n<div class="wide">{table(lessons)}</div>\n'
            f"{steps(lessons)}<h2>The milestones</h2>\n{''.join(map(gate, gates))}</main>\n</body></html>\n")


# ------------------------------------------------------------------------------------------------- the way

SIDE, GAP, BETWEEN = 26, 5, 22          # a lesson's square, the room behind it and behind a milestone


def timeline(gates: Iterable[MilestoneStanding]) -> str:
    """A square for each lesson, under the name of its milestone."""
    parts, x = list[str](), 0
    for number, found in enumerate(gates):
        low, kind = number % 2 * 18, "done" if found.unlocked else "started" if found.percent else "open"
        parts.append(f'<text x="{x}" y="{14 + low}" class="{kind}">{escape(found.milestone.title)}'
                     f"{' ✓' if found.unlocked else ''}</text>")
        for one in found.lessons:
            parts.append(f'<rect x="{x}" y="40" width="{SIDE}" height="{SIDE}" rx="4" class="{one.mark}">'
                         f"<title>{escape(one.lesson.label)}: {WORDS[one.mark]}</title></rect>"
                         f'<text x="{x + SIDE / 2}" y="84" text-anchor="middle">'
                         f"{one.lesson.number:02}</text>")
            x += SIDE + GAP
        x += BETWEEN
    return drawn(x, 92, "the lessons by milestone", parts)


def drawn(wide: int, high: int, what: str, parts: Iterable[str]) -> str:
    """A picture that says what it is to those who do not see it."""
    return f'<svg viewBox="0 0 {max(wide, 1)} {high}" role="img" aria-label="{what}">{"".join(parts)}</svg>'


# --------------------------------------------------------------------------------------------- the lessons

def table(lessons: Iterable[LessonStanding]) -> str:
    heads = "".join(f"<th{kind}>{name}</th>" for name, kind in (
        ("Lesson", ""), ("State", ""), ("Checks", ' class="n"'), ("Points", ' class="n"'),
        ("Hints", ' class="n"'), ("Planned", ' class="n"')))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(map(row, lessons))}</tbody></table>"


def row(one: LessonStanding) -> str:
    record = one.record
    checks = f"{record.passed} of {record.total}" if record.total else ""
    points = f"{record.points:g} of {record.possible:g}" if record.possible else ""
    hints = str(sum(record.hints.values()) or "")
    facts = (checks, points, hints, hours(one.lesson.minutes))
    cells = "".join(f'<td class="n">{said}</td>' for said in facts)
    return (f"<tr><td><strong>{escape(one.lesson.label)}</strong><br>"
            f'<span class="soft">{escape(one.lesson.question)}</span></td>'
            f'<td class="{one.mark}">{escape(state(one))}</td>{cells}</tr>')


# ------------------------------------------------------------------------------------- one running number

def steps(lessons: Iterable[LessonStanding]) -> str:
    """The time of one training step after each lesson that measured it, as bars."""
    found = {x.lesson.label: x.record.step for x in lessons if x.record.step}
    if not found: return ""
    longest, parts = max(found.values()), []
    for n, (label, seconds) in enumerate(found.items()):
        y, wide = n * 24, max(2.0, 300 * seconds / longest)
        parts.append(f'<text x="0" y="{y + 14}">{escape(label)}</text>'
                     f'<rect class="started" x="140" y="{y + 2}" width="{wide:.1f}" height="15" rx="3"/>'
                     f'<text x="{wide + 148:.1f}" y="{y + 14}">'
                     f"{readable(seconds)}</text>")
    return ("<h2>One training step</h2>\n<p>A perceptron reads 64 digits and learns from them: CPU time, "
            "after each lesson.</p>\n"
            f"{drawn(560, len(found) * 24, 'the time of a training step by lesson', parts)}\n")


# ------------------------------------------------------------------------------------------ the milestones

def gate(found: MilestoneStanding) -> str:
    milestone, record = found.milestone, found.record
    if record is None:
        said, facts = f"{found.percent} %", ""
    else:
        said = f"unlocked {record.unlocked[:10]}"
        if found.stale: said += ", with other code than is there now"
        facts = numbers(record.numbers)
    kind = "stale" if found.stale else "done" if record else "started" if found.percent else "open"
    return (f'<section><h3>{escape(milestone.title)} <span class="{kind}">{said}</span></h3>'
            f"<p>{escape(milestone.statement)}</p>{facts}</section>\n")


def numbers(found: Mapping[str, float | int | str]) -> str:
    if not found: return ""
    rows = "".join(f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(shown(value))}</dd>"
                   for name, value in found.items())
    return f"<dl>{rows}</dl>"


def shown(value: float | int | str) -> str: return f"{value:.4g}" if isinstance(value, float) else str(value)


def written(path: str, screen: Screen) -> RenderableType:
    return line((f"{screen.signs.done} ", "good"), "written to ", (path, "strong"))
