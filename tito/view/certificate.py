"""A certificate as a page to print, that asks nobody for anything; and what the terminal says of it."""

from __future__ import annotations

from datetime import datetime
from html import escape

from rich.console import RenderableType

from tito.core.certificate import Certificate, Proof
from tito.core.milestones import LessonStanding
from tito.view.checks import shown
from tito.view.screen import Screen, indented, line, page, stack

MARK = '<meta name="generator" content="tito milestone certificate">'       # such a page may be written over

CSS = """
:root { color-scheme: light dark; --ink: light-dark(#1b2733, #e6e9ec); --soft: light-dark(#5b6874, #98a3ad);
  --line: light-dark(#d4dade, #3a444d); --mark: light-dark(#0b6e99, #6cc4ea);
  --paper: light-dark(#fff, #15191d); --plain: system-ui, sans-serif }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 50rem; padding: 3rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 Georgia, "Times New Roman", serif }
header { text-align: center; padding-bottom: 2rem; margin-bottom: .5rem;
  border-bottom: 1px solid var(--line) }
header p { margin: .3rem 0; text-wrap: balance }
h1 { font-size: 2.5rem; font-weight: 400; line-height: 1.15; margin: .5rem 0; overflow-wrap: anywhere }
h1.blank { height: 3rem; max-width: 24rem; margin-inline: auto; border-bottom: 1px solid var(--ink) }
.way { width: 100%; max-width: 34rem; height: auto; margin-top: 1.2rem }
.way circle { fill: var(--mark) }
.way text { fill: var(--paper); font: 11px var(--plain); text-anchor: middle }
.way .name { fill: var(--soft) }
.quiet, dt, footer, .when { color: var(--soft) }
section { break-inside: avoid; padding: 1.1rem 0; border-bottom: 1px solid var(--line) }
section > p { margin: .15rem 0 .5rem; font-style: italic }
h2 { font-size: 1.25rem; font-weight: 400; margin: 0; color: var(--mark);
  display: flex; justify-content: space-between; gap: 1rem }
.when { font: 13px var(--plain); align-self: center; white-space: nowrap }
table, dl, footer { font: 12px/1.45 var(--plain) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td { padding: .1rem .8rem .1rem 0; vertical-align: top; white-space: nowrap }
td:first-child { width: 1.8rem }
td:nth-child(2) { width: 7.5rem }
td:last-child { width: 4.4rem; padding-right: 0; text-align: right }
td.quiet { white-space: normal }
td.digest { width: 8.5rem }
code { font: 11px ui-monospace, Consolas, monospace; overflow-wrap: anywhere }
dl { margin: .6rem 0 0; display: grid; gap: .1rem 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)) }
dl div { display: flex; justify-content: space-between; gap: .6rem }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
footer { padding-top: 1rem }
@media (max-width: 34rem) { .digest { display: none } h1 { font-size: 1.8rem } }
@page { size: A4; margin: 14mm }
@media print {
  :root { color-scheme: only light }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  body { padding: 0; max-width: none; font-size: 11pt }
  section { padding: .6rem 0 }
}
"""


def html(earned: Certificate) -> str:
    """The page; whatever stands in a record is text on it, and never markup."""
    name = f"<h1>{escape(earned.name)}</h1>" if earned.name else '<h1 class="blank"></h1>'
    title = escape(f"{earned.name}: a framework of one's own" if earned.name else "A framework of one's own")
    built = f"{earned.lessons} lessons, {len(earned.proofs)} milestones"
    versions = ", ".join(f"{who} {number}" for who, number in earned.versions.items())
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>{MARK}'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head>'
            f'<body><header><p class="quiet">TinyTorch</p>{name}<p>has written a deep-learning framework: a '
            "package that trains, compresses and serves networks, and that passed every gate below by "
            f'doing it.</p><p class="quiet">{built} · {escape(day(earned.when))}</p>{way(earned)}</header>'
            f"{''.join(map(section, earned.proofs))}"
            "<footer><p>Each number was measured on the learner's own code, in a process of its own, and "
            "recomputed outside it. A digest names the code that was there: whoever has that package finds "
            "the same digests, and can try the same gates with <code>tito milestone test</code>.</p>"
            f"<p>All of it: <code>{earned.digest}</code><br>{escape(versions)}</p></footer>"
            "</body></html>\n")


def way(earned: Certificate) -> str:
    """A dot for every lesson, in a group for every milestone."""
    parts, x = [], 0
    for proof in earned.proofs:
        begin = x
        for one in proof.standing.lessons:
            parts.append(f'<circle cx="{x + 11}" cy="12" r="10"/>'
                         f'<text x="{x + 11}" y="16">{one.lesson.number}</text>')
            x += 26
        middle, title = (begin + x) / 2 - 2, escape(proof.standing.milestone.title)
        parts.append(f'<text class="name" x="{middle:.0f}" y="38">{title}</text>')
        x += 34
    return (f'<svg class="way" viewBox="-24 0 {x + 14} 44" role="img" aria-label="the lessons, one by one">'
            f"{''.join(parts)}</svg>")


def section(proof: Proof) -> str:
    """One milestone: what it says, its lessons, its numbers."""
    milestone, record = proof.standing.milestone, proof.record
    rows = "".join(row(one, record.digests.get(one.lesson.name, "")) for one in proof.standing.lessons)
    facts = "".join(f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(shown(value))}</dd></div>"
                    for name, value in record.numbers.items())
    since = " · the code has changed since" if proof.standing.stale else ""
    return (f'<section><h2>{escape(milestone.title)}<span class="when">{escape(day(record.unlocked))}{since}'
            f"</span></h2><p>{escape(milestone.statement)}</p><table>{rows}</table><dl>{facts}</dl></section>")


def row(one: LessonStanding, digest: str) -> str:
    """One lesson: its number, its question, when it was complete, the digest of its code."""
    short = digest.removeprefix("sha256:")[:16]
    return (f"<tr><td>{one.lesson.number:02}</td><td>{escape(one.lesson.title)}</td>"
            f'<td class="quiet">{escape(one.lesson.question)}</td>'
            f'<td class="digest"><code>{escape(short)}</code></td>'
            f"<td>{escape(one.record.completed[:10])}</td></tr>")


def day(when: str) -> str:
    """28 November 2026; what is no date stays as it is."""
    try:
        found = datetime.fromisoformat(when)
    except ValueError:
        return when
    return f"{found.day} {found:%B %Y}"


def written(path: str, screen: Screen) -> RenderableType:
    """Where it is, and what to do with it."""
    return page(stack(line((f"{screen.signs.done} Your certificate is ", "good"), (path, "strong")),
                      indented(line(("Open it in a browser; it prints on A4.", "quiet")))))
