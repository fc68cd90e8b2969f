"""What comes next: one sentence and the commands to type, from where the learner stands."""

from __future__ import annotations

from dataclasses import dataclass

from tito.core.milestones import LessonStanding, MilestoneStanding, Standing
from tito.core.progress import LessonRecord

Step = tuple[str, str]              # what to type, what it does


@dataclass(frozen=True)
class Advice:
    sentence: str
    steps: tuple[Step, ...] = ()


def advice(standing: Standing) -> Advice:
    """A lesson at hand comes first, then a gate that is ready, then the next lesson."""
    lesson, gate = standing.next_lesson, standing.next_milestone
    if gate and not (lesson and lesson.mark in ("stale", "started")):
        return of_gate(gate)
    return of_lesson(lesson) if lesson else at_the_end(standing)


def of_lesson(standing: LessonStanding) -> Advice:
    number, record = f"{standing.lesson.number:02}", standing.record
    test, complete = f"tito module test {number}", f"tito module complete {number}"
    if standing.mark == "stale":
        return Advice(why_stale(record), (
            (test, "check it again"), (complete, "put it into your package")))
    if standing.mark == "open":
        return Advice("", ((f"tito module start {number}", "open the lesson"),))
    if record.total and record.passed == record.total:
        return Advice("All checks pass.", ((complete, "put it into your package"),))
    if record.tested and record.stuck_at:
        return Advice(f"{record.stuck_at} is next.", (
            (test, "check what you wrote"), (f"tito module hint {number} {record.stuck_at}", "a hint")))
    return Advice("", ((test, "check what you wrote"),))


def why_stale(record: LessonRecord) -> str:
    if not record.news: return "Your code has changed since it passed."
    some = [f"{name} ({what})" for name, what in record.news.items()]
    return f"The course has changed since yours passed: {', '.join(some[:4])}{' …' if len(some) > 4 else ''}."


def of_gate(standing: MilestoneStanding) -> Advice:
    name = standing.milestone.name
    return Advice(f"All lessons of {standing.milestone.title} are done.", (
        (f"tito milestone run {name}", "watch what your code can do"),
        (f"tito milestone unlock {name}", "prove it"),
    ))


def at_the_end(standing: Standing) -> Advice:
    coming = next((x.lesson for x in standing.lessons if x.mark == "unwritten"), None)
    steps = (("tito package build", "make a wheel of what you wrote"),
             ("tito capstone list", "a project of your own"), ("tito milestone timeline", "look back"))
    if coming: return Advice(f"You have done all there is. Lesson {coming.label} is being written.", steps)
    return Advice("You have done it all.", steps)
