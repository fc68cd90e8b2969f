"""What a run may use, and what the process that runs a learner's code is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tito.core.errors import UsageProblem


@dataclass(frozen=True)
class Limits:
    """What one run of a learner's code may use."""

    test: float = 60                # seconds a check or a test
    lesson: float = 600             # seconds all of them together
    memory: int = 4 << 30           # bytes, where the system can limit them
    output: int = 20_000            # characters of print kept for each check


VARIABLES = {"TITO_TEST_SECONDS": "test", "TITO_LESSON_SECONDS": "lesson", "TITO_MEMORY_MB": "memory"}


def limits_from(environment: Mapping[str, str], **options: float | None) -> Limits:
    """The default limits, changed by the environment, changed by options (seconds; memory in MiB)."""
    asked = {field: environment[name] for name, field in VARIABLES.items() if environment.get(name)}
    asked |= {field: str(value) for field, value in options.items() if value is not None}
    limits = Limits()
    for field, text in asked.items():
        limits = replace(limits, **{field: int(amount(field, text) * (1 << 20)) if field == "memory"
                                    else amount(field, text)})
    return limits


def amount(field: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageProblem(f"the limit for {field} must be a number above 0, and is {text!r}")
    return value


@dataclass(frozen=True)
class Unit:
    """A piece of code that is run and judged on its own."""

    id: str                         # mul, check-mul
    kind: Literal["cell", "check"]
    file: str                       # the name its code carries: 02_tensor.ipynb[mul]
    source: str


@dataclass(frozen=True)
class Plan:
    """A run, as the worker process is told it. Everything in it is plain data."""

    kind: Literal["cells", "tests", "program", "import"]
    stage: str                      # the folder whose tinytorch is tested
    limits: Limits
    folder: str                     # where the process stands
    units: tuple[Unit, ...] = ()    # cells: what to run, in order
    path: str = ""                  # tests: the folder of lesson tests; program: the file

    def as_json(self) -> dict[str, Any]: return asdict(self)
