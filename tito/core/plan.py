"""What a run may use, and what the process that runs a learner's code is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tito.core.errors import UsageProblem


@dataclass(frozen=True)
class Limits:
    """What one run of a learner's code may use."""

    test: float = 60                # seconds a check or a test
    lesson: float = 600             # seconds all of them together, or a milestone
    memory: int = 4 << 30           # bytes, where the system can limit them
    output: int = 20_000            # bytes of print kept for each check
    patience: float = 1             # above 1: seconds of work; it may wait so many times longer


VARIABLES = {"TITO_TEST_SECONDS": "test", "TITO_LESSON_SECONDS": "lesson", "TITO_MEMORY_MB": "memory"}


def limits_from(
    environment: Mapping[str, str],
    test: float | None = None,          # what --seconds said, of each check
    lesson: float | None = None,        # … of a milestone as a whole
    usual: Limits | None = None,
) -> Limits:
    """The usual limits, changed by the environment (memory in MiB), changed by the option."""
    numbers: dict[str, Any] = {name: amount(variable, environment[variable])
                               for variable, name in VARIABLES.items() if environment.get(variable)}
    if "memory" in numbers:
        numbers["memory"] = int(numbers["memory"] * (1 << 20))
    numbers |= {name: amount("--seconds", asked) for name, asked in (("test", test), ("lesson", lesson))
                if asked is not None}
    return replace(usual or Limits(), **numbers)


def amount(asked: str, given: str | float) -> float:
    """The number that a limit was given as."""
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageProblem(f"{asked} is {given}, and must be a number above 0.", f"{asked}=60, for example")
    return value


@dataclass(frozen=True)
class Unit:
    """A piece of code that is run and judged on its own."""

    id: str                         # mul, check-mul
    kind: Literal["cell", "check"]
    file: str                       # the name its code carries: 02_tensor.ipynb[mul]
    source: str
    names: tuple[str, ...] = ()     # what it has to define


@dataclass(frozen=True)
class Variant:
    """Another text for one of the units, tried in a fork of its own, with the units after it."""

    name: str
    unit: str                       # the cell that it takes the place of
    source: str
    until: str                      # the last unit that is run; it ends sooner with the first that fails


Kind = Literal["cells", "tests", "program", "import", "variants"]


@dataclass(frozen=True)
class Plan:
    """A run, as the process that runs the learner's code is told it. Everything in it is plain data."""

    kind: Kind
    stage: str                      # the folder whose tinytorch is tested
    folder: str                     # where the process stands
    limits: Limits = Limits()
    units: tuple[Unit, ...] = ()    # cells, variants: what to run, in order
    variants: tuple[Variant, ...] = ()
    path: str = ""                  # tests: the folder of lesson tests; program: the file
    argv: tuple[str, ...] = ()
    asserts: str = ""               # the file that judges asserts; "" for the usual one
    reference: str = ""             # the folder of the reference package, which nobody may borrow from
    environment: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]: return asdict(self)


Frame = tuple[str, int, str]        # file, line, function


@dataclass(frozen=True)
class Outcome:
    """How one unit ended, as the process told it."""

    unit: str
    outcome: Literal["passed", "failed", "raised", "syntax", "timeout", "replaced", "skipped", "lost"]
    type: str = ""                  # of the exception
    kinds: tuple[str, ...] = ()     # its classes, up to BaseException
    text: str = ""                  # the check's sentence, or what the exception says
    name: str = ""                  # what a NameError missed
    asked: str = ""                 # the expression that was checked
    idea: str = ""                  # the sentence of the assert that was being evaluated
    expected: str = ""
    got: str = ""
    frames: tuple[Frame, ...] = ()  # the innermost last
    undefined: tuple[str, ...] = () # names that a cell did not define though it should
    output: str = ""
    seconds: float = 0.0
    variant: str = ""               # in whose fork
    evidence: tuple[Any, ...] = ()  # what a grader's witness told


@dataclass(frozen=True)
class Run:
    """All that a process told, and how it ended."""

    outcomes: tuple[Outcome, ...]
    collected: tuple[str, ...] = () # tests: the ids of all there are
    titles: Mapping[str, str] = field(default_factory=dict)
    finished: bool = False          # it came to its end
    ending: str = ""                # how it ended, when it did not
    package: str = ""               # where the tinytorch it imported lies
    foreign: tuple[str, ...] = ()   # files that passed for it, and lie elsewhere
    worked: float = 0.0             # seconds of CPU that the process took, as it says
    report: str = ""                # program: what it handed in
    noise: str = ""                 # what came through the channel and was no result

    def outcome(self, unit: str) -> Outcome | None:
        return next((o for o in self.outcomes if o.unit == unit), None)
