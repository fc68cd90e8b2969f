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


def typed(page: Page) -> list[str]:
    """The commands of ours that it quotes."""
    lines = QUOTED.findall(page.text) + TYPED.findall(page.text)
    return [re.split(r" {2,}| && | [<>|#]", line)[0] for line in lines]


def heading_ids(text: str) -> set[str]:
    """The anchors of a Markdown page, as GitHub makes them."""
    titles = re.findall(r"^#+\s+(.*)", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
