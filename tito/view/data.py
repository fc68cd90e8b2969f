"""Values as plain data: what `--json` answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tito.core.outcomes import Completion, Gate, Hint
from tito.core.results import SCHEMA, Status

if TYPE_CHECKING:
    from tito.core.advice import Advice
    from tito.core.compare import Solution
    from tito.core.lesson import Chapter
    from tito.core.milestones import LessonStanding, MilestoneStanding, Standing


def envelope(kind: str, data: dict[str, Any]) -> str:
    """The one form in which everything is answered."""
    return json.dumps(finite({"schema": SCHEMA, "kind": kind, **data}), indent=2, default=str)


def finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they are written as texts."""
    if isinstance(value, float) and not math.isfinite(value): return str(value)
    if isinstance(value, dict): return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple): return [finite(v) for v in value]
    return value


def of_lesson(standing: LessonStanding) -> dict[str, Any]:
    lesson = standing.lesson
    return {
        "number": lesson.number, "name": lesson.name, "title": lesson.title, "question": lesson.question,
        "minutes": lesson.minutes, "milestone": lesson.milestone, "needs": list(lesson.needs),
        "objectives": list(lesson.objectives), "mark": standing.mark,
        "missing": [x.name for x in standing.missing], "record": asdict(standing.record),
    }


def of_milestone(standing: MilestoneStanding) -> dict[str, Any]:
    milestone = standing.milestone
    return {
        "name": milestone.name, "title": milestone.title, "statement": milestone.statement,
        "story": milestone.story, "optional": milestone.optional, "data": milestone.data,
        "percent": standing.percent,
        "ready": standing.ready, "unlocked": standing.unlocked, "stale": standing.stale,
        "record": asdict(standing.record) if standing.record else None,
        "lessons": [of_lesson(x) for x in standing.lessons],
    }


def of_lessons(standing: Standing) -> dict[str, Any]:
    return {"lessons": [of_lesson(x) for x in standing.lessons]}


def of_milestones(standing: Standing) -> dict[str, Any]:
    return {"milestones": [of_milestone(m) for m in standing.milestones]}


def of_status(standing: Standing, advice: Advice, root: Path) -> dict[str, Any]:
    now = standing.next_lesson
    return {
        "workspace": str(root), "lesson": now.lesson.name if now else None,
        "next": [step for step, _ in advice.steps], **of_milestones(standing),
    }


def of_chapter(
    standing: LessonStanding, chapter: Chapter | None, marks: Mapping[str, Status],
) -> dict[str, Any]:
    return {**of_lesson(standing), "exercises": [
        {"name": cell.name, "section": chapter.section_of(cell), "hints": len(cell.hints),
         "status": marks.get(cell.name, "todo")}
        for cell in chapter.exercises()
    ] if chapter else []}


def of_hints(hints: Sequence[Hint]) -> dict[str, Any]:
    first = hints[0]
    told = [{"number": h.number, "text": h.text} for h in hints if h.number]
    return {"lesson": first.lesson.name, "exercise": first.exercise, "total": first.total, "hints": told}


def of_solution(both: Solution) -> dict[str, Any]:
    costs = {"yours": both.mine_cost, "course": both.cost}
    return {
        "lesson": both.lesson.name, "exercise": both.exercise, "source": both.source, "yours": both.mine,
        "costs": {who: asdict(cost) for who, cost in costs.items() if cost},
    }


def of_completion(done: Completion) -> dict[str, Any]:
    return {
        "lesson": done.lesson.name, "points": done.points, "possible": done.possible,
        "files": list(done.files),
        "lessons": [x.name for x in done.lessons], "milestones": [m.name for m in done.milestones],
        "change": asdict(done.change) if done.change else None, "report": done.report.as_json(),
    }


def of_gate(gate: Gate) -> dict[str, Any]:
    return {
        "milestone": gate.milestone.name, "record": asdict(gate.record) if gate.record else None,
        "opens": [x.name for x in gate.opens], "report": gate.report.as_json(),
    }
