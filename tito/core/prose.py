"""What prose says that can be followed: links, lessons by number, commands to type. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from tito.core.lesson import FENCED, Chapter

LINK = re.compile(r"\[[^\]\n]*\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)(?: \"[^\"]*\")?\)")
IMAGE = re.compile(r"(?:src|href)=\"([^\"]+)\"")
SPAN = re.compile(r"`[^`\n]*`")
LESSON = re.compile(r"\b[Ll]essons? (\d{1,2})\b")
QUOTED = re.compile(r"`((?:\.venv/bin/)?tito(?: [^`\n]+)?)`")                       # `tito module test 02`
TYPED = re.compile(r"^(?:\$ | {4})?((?:\.venv/bin/)?tito(?: .+)?)$", re.MULTILINE)   # alone on its line

MATHS = re.compile(r"\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.,/^*-])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.,/]*\w)")
YEARS = range(1700, 2031)
PRECISE = 3                     # digits; two are said of many things

PLACE = re.compile(r"\{[^{}]*\}|…")


class Page(NamedTuple):
    name: str                       # 05_dense/dense.py, docs/tito.md
    text: str                       # its prose


def prose(chapter: Chapter) -> str:
    """What a chapter says between its code."""
    return "\n\n".join(cell.source for cell in chapter if cell.kind == "markdown")


def links(page: Page) -> list[str]:
    """Where its links and pictures lead; code is not looked at."""
    text = SPAN.sub("", FENCED.sub("", page.text))
    return LINK.findall(text) + IMAGE.findall(text)


def numbers_of_lessons(page: Page) -> list[int]: return [int(n) for n in LESSON.findall(page.text)]


def numbers(text: str) -> list[str]:
    """The numbers that say something precisely: 61,706 and 0.69, but not 12, 8,000 or the year 1998."""
    plain = MATHS.sub("", SPAN.sub("", FENCED.sub("", text)))
    return [found for found in NUMBER.findall(re.sub(r"\]\([^)]*\)", "]", plain)) if is_precise(found)]


def is_precise(number: str) -> bool:
    if number.isdigit() and int(number) in YEARS: return False
    if "." in number: return len(number.replace(".", "").replace(",", "").lstrip("0")) > 1
    return len(number.replace(",", "").rstrip("0")) >= PRECISE


def value(number: str) -> float: return float(number.replace(",", ""))


def typed(page: Page) -> list[str]:
    """The commands of ours that it quotes."""
    lines = QUOTED.findall(page.text) + TYPED.findall(page.text)
    return [re.split(r" {2,}| && | [<>|#]", line)[0] for line in lines]


def heading_ids(text: str) -> set[str]:
    """The anchors of a Markdown page, as GitHub makes them."""
    titles = re.findall(r"^#+\s+(.*)", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
