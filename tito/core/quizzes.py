"""Questions about a lesson: what quiz.toml says, and whether an answer is right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tito.core.errors import EnvironmentProblem, TitoError

FORMAT = 1
LETTERS = "abcdefgh"
KEYS: dict[str, tuple[set[str], set[str]]] = {      # kind -> what it must say, what it may say
    "why": ({"choices", "answer"}, set()),
    "trace": ({"code", "answer"}, set()),
    "number": ({"answer", "work"}, {"code", "unit", "within"}),
}


class QuizProblem(TitoError):
    """quiz.toml says something that cannot be asked."""


@dataclass(frozen=True)
class Question:
    id: str
    kind: Literal["why", "trace", "number"]
    ask: str
    answer: str | float             # why: the letter; trace: what is printed; number: the number
    explain: str
    choices: tuple[str, ...] = ()
    code: str = ""                  # shown: what is traced, or what the number is about
    work: str = ""                  # not shown before: a program that prints the number
    unit: str = ""
    within: float = 0.0             # a number may be off by this share of it

    @property
    def told(self) -> str:
        """The answer as a person says it."""
        if self.kind == "why": return f"{self.answer}) {self.choices[LETTERS.index(str(self.answer))]}"
        if self.kind == "trace": return str(self.answer)
        return f"{self.answer:,} {self.unit}".strip()

    @property
    def lines(self) -> int:
        """How many lines an answer takes."""
        return str(self.answer).count("\n") + 1

    def right(self, given: str) -> bool:
        """Whether somebody who typed this knew it."""
        if self.kind == "why": return letter(given) == self.answer
        if self.kind == "trace": return tokens(given) == tokens(str(self.answer))
        number = number_in(given.strip().removesuffix(self.unit))
        if number is None: return False
        return abs(number - float(self.answer)) <= self.within * abs(float(self.answer)) + 1e-12


def letter(given: str) -> str:
    """b, B, b) and (b) are the same answer."""
    return given.strip().strip("().").lower()


def tokens(text: str) -> list[str]:
    """What is printed, however it is spaced, and whichever quotes are used."""
    return re.findall(r"[\w.]+|[^\w\s]", text.replace('"', "'"))


def number_in(given: str) -> float | None:
    """The number that somebody means: 3,136 or 3 136 bytes, 1.5e3, 3/4, 25 %."""
    plain = re.sub(r"(?<=\d)[ ,_](?=\d{3}(\D|$))", "", given.strip())
    found = re.match(r"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(?:/\s*(\d*\.?\d+))?\s*(%?)", plain)
    if not found: return None
    value = float(found[1])
    if found[2]: value = value / float(found[2]) if float(found[2]) else float("inf")
    return value / 100 if found[3] else value


def parse(text: str, where: str = "quiz.toml") -> tuple[Question, ...]:
    """The questions of a file; refuses what cannot be asked."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise QuizProblem(f"{where} is not valid TOML: {problem}") from problem
    if data.get("format") != FORMAT:
        raise QuizProblem(f"{where} has format {data.get('format')!r}; this tito reads format {FORMAT}.")
    questions = tuple(_question(entry, where) for entry in data.get("question", ()))
    ids = [q.id for q in questions]
    if twice := {i for i in ids if ids.count(i) > 1}:
        raise QuizProblem(f"{where}: the id {sorted(twice)[0]!r} is used twice.")
    return questions


def _question(entry: Mapping[str, Any], where: str) -> Question:
    kind = entry.get("kind")
    here = f"{where}, question {entry.get('id', '?')!r}"
    if kind not in KEYS: raise QuizProblem(f"{here}: its kind is one of {', '.join(KEYS)}, not {kind!r}.")
    must, may = KEYS[kind]
    must = must | {"id", "kind", "ask", "explain"}
    if missing := sorted(must - set(entry)): raise QuizProblem(f"{here}: {missing[0]} is missing.")
    if strange := sorted(set(entry) - must - may): raise QuizProblem(f"{here}: {strange[0]} is not known.")
    facts: dict[str, Any] = {
        key: value.strip("\n") if isinstance(value, str) else value for key, value in entry.items()}
    if kind == "why": facts |= _choice(entry, here)
    if kind == "number" and not isinstance(entry["answer"], int | float):
        raise QuizProblem(f"{here}: its answer is a number.")
    return Question(**facts)


def _choice(entry: Mapping[str, Any], here: str) -> dict[str, Any]:
    choices = tuple(entry["choices"])
    if not 2 <= len(choices) <= len(LETTERS): raise QuizProblem(f"{here}: it has {len(choices)} choices.")
    if entry["answer"] not in LETTERS[:len(choices)] or len(entry["answer"]) != 1:
        raise QuizProblem(f"{here}: its answer is the letter of a choice, not {entry['answer']!r}.")
    return {"choices": choices}


# ------------------------------------------------------------------------------------------ what is counted

@dataclass(frozen=True)
class Count:
    """How often a question was answered, and how often rightly. Nothing depends on it."""

    asked: int = 0
    right: int = 0


@dataclass(frozen=True)
class Asked:
    """One question, and what came of it; `given` is "" when it was left out."""

    question: Question
    given: str

    @property
    def right(self) -> bool: return bool(self.given) and self.question.right(self.given)


@dataclass(frozen=True)
class Counts:
    """All of them, by lesson and question."""

    lessons: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)

    def of(self, lesson: str, question: str) -> Count:
        return self.lessons.get(lesson, {}).get(question, Count())

    def plus(self, lesson: str, asked: Sequence[Asked]) -> Counts:
        """With one more round."""
        counts = dict(self.lessons.get(lesson, {}))
        for one in asked:
            if not one.given: continue
            before = counts.get(one.question.id, Count())
            counts[one.question.id] = Count(before.asked + 1, before.right + one.right)
        return Counts({**self.lessons, lesson: counts})

    def as_json(self) -> dict[str, Any]: return {"format": FORMAT, **asdict(self)}


def counts_from(data: Any) -> Counts:
    """The Counts that `as_json` gave."""
    try:
        if data["format"] > FORMAT:
            raise EnvironmentProblem("A newer tito wrote .tito/quizzes.json.",
                                     "pip install --upgrade tinytorch-tito")
        return Counts({lesson: {name: Count(**told) for name, told in counts.items()}
                       for lesson, counts in data["lessons"].items()})
    except (KeyError, TypeError, AttributeError) as problem:
        raise EnvironmentProblem(f".tito/quizzes.json is damaged: {problem!r}",
                                 "Remove it: only counts of quizzes are in it.") from problem


def as_data(questions: Sequence[Question], counts: Mapping[str, Count]) -> Iterator[dict[str, Any]]:
    """Each question with its answer and its count, for a program."""
    for q in questions: yield {**asdict(q), "told": q.told, "count": asdict(counts.get(q.id, Count()))}
