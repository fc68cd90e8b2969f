# Generated from modules/14_benchmarking/appendix_profiler.py by `tito export`. Edit that file, not this one.
"""`profile`, `record_function`, `schedule` and their kin, as in torch.profiler."""

from __future__ import annotations

import enum
import os
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import ContextDecorator, ExitStack
from pathlib import Path

from .anomaly import callers
from .benchmarking import Profiler, Span, own_seconds, spans_of_modules, spans_of_steps
from .tensor import current_engine, using
from .traces import folded_stacks, save_trace

__all__ = [
    "ProfilerActivity", "ProfilerAction", "supported_activities", "schedule", "record_function",
    "FunctionEvent", "FunctionEventAvg", "told", "told_memory", "EventList", "sorted_by", "Watching",
    "profile", "tensorboard_trace_handler",
]


class ProfilerActivity(enum.Enum):
    """What is watched. There is one processor here; a GPU's work is seen where it is called."""

    CPU = 0
    CUDA = 2


class ProfilerAction(enum.Enum):
    """What a profiler does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What can be watched."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """For each step, what to do: `skip_first` steps nothing, then in turns wait, warm up, and record."""
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError("a schedule counts steps: active from 1, the others from 0")
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        if step < 0: raise AssertionError(f"steps are counted from 0, not {step}")
        if step < skip_first: return ProfilerAction.NONE
        step += (wait if skip_first_wait else 0) - skip_first
        if repeat and step >= repeat * cycle: return ProfilerAction.NONE
        place = step % cycle
        if place < wait: return ProfilerAction.NONE
        if place < wait + warmup: return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < cycle - 1 else ProfilerAction.RECORD_AND_SAVE
    return action


class record_function(ContextDecorator):
    """`with record_function("forward"):` the block is a span of that name, if somebody profiles."""

    def __init__(self, name: str, args: str | None = None):
        self.name, self.args, self.books = name, args, []

    def __enter__(self):
        engine = current_engine()
        while not isinstance(engine, Profiler) and hasattr(engine, "inner"): engine = engine.inner
        book = engine.book if isinstance(engine, Profiler) else None
        self.books.append(book)
        if book:
            facts = {"kind": "user_annotation"} | ({} if self.args is None else {"args": self.args})
            book.begin(self.name).facts |= facts
        return self

    def __exit__(self, *error) -> None:
        book = self.books.pop()
        if book: book.end()


class FunctionEvent:
    """One span."""

    is_async = is_remote = is_legacy = False

    def __init__(self, span: Span, own: float, own_memory: int):
        self.name = self.key = span.name
        self.span, self.count, self.flops = span, span.calls, span.cost.flops
        self.is_user_annotation = span.facts.get("kind") == "user_annotation"
        self.cpu_time_total, self.self_cpu_time_total = 1e6 * span.seconds, 1e6 * own
        self.cpu_memory_usage = span.facts.get("net", 0)
        self.self_cpu_memory_usage = own_memory
        self.input_shapes = span.facts.get("shapes", [])
        self.stack = span.facts.get("stack", [])

    cpu_time = property(lambda self: self.cpu_time_total / self.count if self.count else 0.0)
    def __repr__(self): return f"<FunctionEvent {self.name}, {told(self.cpu_time_total)}>"


class FunctionEventAvg(FunctionEvent):
    """All spans of one name, added up."""

    ADDED = ("count", "flops", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
             "self_cpu_memory_usage")

    def __init__(self, event: FunctionEvent):
        vars(self).update(vars(event))

    def add(self, other: FunctionEvent) -> FunctionEventAvg:
        for name in self.ADDED: setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def told(us: float) -> str:
    """Microseconds in the unit that suits them, as PyTorch writes it."""
    if us >= 1e6: return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


def told_memory(n: float) -> str:
    """Bytes in the unit that fits: 2048 is '2.00 KB'."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(n) >= size: return f"{n / size:.2f} {unit}"
    return f"{n:.0f} B"


class EventList(list):
    """Events, and what can be made of them."""

    def __init__(self, events: Iterable, shapes=False, memory=False, flops=False, spans=()):
        super().__init__(events)
        self.shapes, self.memory, self.flops, self.spans = shapes, memory, flops, spans

    @property
    def self_cpu_time_total(self) -> float: return sum([event.self_cpu_time_total for event in self])

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Events of one name (and of the same shapes, or lines of code) added up."""
        found: dict = {}
        for event in self:
            key = (event.key, str(event.input_shapes) if group_by_input_shape else "",
                   tuple(event.stack[:group_by_stack_n]))
            found[key] = found[key].add(event) if key in found else FunctionEventAvg(event)
        return EventList(found.values(), group_by_input_shape, self.memory, self.flops, self.spans)

    def total_average(self) -> FunctionEventAvg:
        """All of them added up."""
        events = iter(self)
        total = FunctionEventAvg(next(events))
        for event in events: total.add(event)
        total.key = "Total"
        return total

    def export_chrome_trace(self, path) -> None: save_trace(self.spans, path)

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:
        """The events as a table, by default in the order in which they began."""
        events = list(self)
        if top_level_events_only: events = [event for event in events if event.span.inside is None]
        if sort_by is not None: events.sort(key=lambda event: -getattr(event, sorted_by(sort_by)))
        if row_limit >= 0: events = events[:row_limit]
        total, columns = self.self_cpu_time_total or 1.0, self.columns(max_name_column_width,
                                                                      max_shapes_column_width)
        rows = [[tell(event, total) for _, tell in columns] for event in events]
        heads = [head for head, _ in columns]
        wide = [max([len(head), *[len(row[n]) for row in rows]]) for n, head in enumerate(heads)]
        rule = "  ".join(["-" * width for width in wide])
        lines = [rule, *["  ".join([f"{cell:>{w}}" for cell, w in zip(row, wide)]) for row in [heads, *rows]]]
        lines.insert(2, rule)
        end = f"Self CPU time total: {told(self.self_cpu_time_total)}"
        return "\n".join([*([header] if header else []), *lines, rule, end, ""])

    def columns(self, name_width: int, shapes_width: int) -> list:
        """The heads of the table, each with how to fill it."""
        found = [
            ("Name", lambda e, total: e.key[:name_width]),
            ("Self CPU %", lambda e, total: f"{100 * e.self_cpu_time_total / total:.2f}%"),
            ("Self CPU", lambda e, total: told(e.self_cpu_time_total)),
            ("CPU total %", lambda e, total: f"{100 * e.cpu_time_total / total:.2f}%"),
            ("CPU total", lambda e, total: told(e.cpu_time_total)),
            ("CPU time avg", lambda e, total: told(e.cpu_time)),
        ]
        if self.memory:
            found += [("CPU Mem", lambda e, total: told_memory(e.cpu_memory_usage)),
                      ("Self CPU Mem", lambda e, total: told_memory(e.self_cpu_memory_usage))]
        found.append(("# of Calls", lambda e, total: str(e.count)))
        if self.shapes:
            found.append(("Input Shapes", lambda e, total: str(e.input_shapes)[:shapes_width]))
        if self.flops: found.append(("Total FLOPs", lambda e, total: f"{e.flops:.0f}" if e.flops else "--"))
        return found


def sorted_by(name: str) -> str:
    """The attribute that a table is sorted by; for `cuda` or `device` read `cpu`: it is where things run."""
    name = name.replace("cuda", "cpu").replace("device", "cpu")
    known = ("count", "flops", "cpu_time", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
             "self_cpu_memory_usage")
    if name not in known: raise AttributeError(f"a table cannot be sorted by {name!r}: choose from {known}")
    return name


class Watching(Profiler):
    """The lesson's profiler, which also notes shapes, memory and lines of code, if asked to."""

    def __init__(self, shapes: bool, memory: bool, stack: bool):
        super().__init__()
        self.shapes, self.memory, self.stack = shapes, memory, stack
        self.last = tracemalloc.get_traced_memory()[0] if memory else 0

    def look(self, span: Span, inputs, out) -> None:
        if self.shapes: span.facts["shapes"] = [list(getattr(x, "shape", ())) for x in inputs]
        if self.memory:
            now, _ = tracemalloc.get_traced_memory()
            span.facts |= {"memory": now, "net": now - self.last}
            self.last = now
        if self.stack:
            span.facts["stack"] = [f"{x.filename}({x.lineno}): {x.name}" for x in reversed(callers())]


class profile:
    """`with profile() as prof:` everything that comes through the door is timed.

    With a schedule, call `prof.step()` behind each step; `on_trace_ready(prof)` is called when a trace is
    complete.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False,
        experimental_config=None, execution_trace_observer=None, acc_events: bool = False,
        use_cuda: bool | None = None, custom_trace_id_callback=None, post_processing_timeout_s=None,
    ):
        self.activities = set(supported_activities() if activities is None else activities)
        if not self.activities: raise AssertionError("No valid profiler activities found")
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.has_schedule, self.on_trace_ready = schedule is not None, on_trace_ready
        self.record_shapes, self.profile_memory, self.with_stack = record_shapes, profile_memory, with_stack
        self.with_flops, self.with_modules, self.acc_events = with_flops, with_modules, acc_events
        self.step_num, self.action = 0, ProfilerAction.NONE
        self.spans: list[Span] = []
        self.recording: ExitStack | None = None
        self.metadata: dict[str, str] = {}

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *error) -> None: self.stop()

    def start(self) -> None:
        """Begins: from here on, steps are counted."""
        self.action = self.schedule(self.step_num)
        if self.records(): self.start_trace()

    def step(self) -> None:
        """Says that one step is over and the next begins."""
        if self.recording and self.has_schedule: self.book.end()
        if self.action is ProfilerAction.RECORD_AND_SAVE: self.hand_over()
        self.step_num += 1
        self.action = self.schedule(self.step_num)
        if self.records() and not self.recording: self.start_trace()
        elif self.recording and not self.records(): self.stop_trace()
        elif self.recording and self.has_schedule: self.begin_step()

    def stop(self) -> None:
        """Ends, and hands over what was recorded."""
        if self.recording: self.hand_over()
        self.action = ProfilerAction.NONE

    def records(self) -> bool:
        return self.action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)

    def hand_over(self) -> None:
        self.stop_trace()
        if self.on_trace_ready: self.on_trace_ready(self)

    def start_trace(self) -> None:
        """Puts the engine at the door."""
        self.recording = ExitStack()
        if self.profile_memory and not tracemalloc.is_tracing():
            tracemalloc.start()
            self.recording.callback(tracemalloc.stop)
        engine = Watching(self.record_shapes, self.profile_memory, self.with_stack)
        self.book = engine.book
        self.recording.enter_context(spans_of_steps(engine.book, "Optimizer.step#{}.step"))
        if self.with_modules: self.recording.enter_context(spans_of_modules(engine.book))
        self.recording.enter_context(using(engine))
        if self.has_schedule: self.begin_step()

    def begin_step(self) -> None:
        self.book.begin(f"ProfilerStep#{self.step_num}").facts["kind"] = "user_annotation"

    def stop_trace(self) -> None:
        """Takes the engine away, and keeps what it saw."""
        if not self.recording: return
        while self.book.open: self.book.end()
        self.recording.close()
        self.recording = None
        self.spans = [*(self.spans if self.acc_events else ()), *self.book.spans]

    # ---------------------------------------------------------------------------- what was seen

    def events(self) -> EventList:
        """Every span as an event."""
        own = own_seconds(self.spans)
        net = {span: 0 for span in self.spans}
        for span in self.spans:                             # memory is noted where ops end: hand it upwards
            above, n = span, span.facts.get("net", 0)
            while above is not None and n:
                if above in net: net[above] += n
                above = above.inside
        events = []
        for span in self.spans:
            event = FunctionEvent(span, own[span], span.facts.get("net", 0))
            event.cpu_memory_usage = net[span]
            events.append(event)
        return EventList(events, self.record_shapes, self.profile_memory, self.with_flops, self.spans)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
                     group_by_overload_name: bool = False) -> EventList:
        """Events of one name added up; `.table(sort_by=…)` shows them."""
        if self.recording: raise AssertionError("the profiler is still running: stop it first")
        return self.events().key_averages(group_by_input_shape, group_by_stack_n)

    def export_chrome_trace(self, path) -> None:
        """Writes a trace for chrome://tracing or Perfetto; a name that ends in .gz is compressed."""
        save_trace(self.spans, path)

    def export_stacks(self, path, metric: str = "self_cpu_time_total") -> None:
        """Writes folded stacks for a flame graph: lines of code if there are any (with_stack), else spans."""
        if metric not in ("self_cpu_time_total", "self_cuda_time_total"):
            raise AssertionError(f"stacks are weighed by self_cpu_time_total, not {metric}")
        Path(path).write_text("\n".join([*folded_stacks(self.spans), ""]), "utf-8")

    def add_metadata(self, key: str, value: str) -> None: self.metadata[key] = value
    def add_metadata_json(self, key: str, value: str) -> None: self.metadata[key] = value


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False, use_python_export: bool = False,
) -> Callable[[profile], None]:
    """For `on_trace_ready`: writes each trace into a folder, under the name that TensorBoard looks for."""
    folder, worker = Path(dir_name), worker_name or f"{socket.gethostname()}_{os.getpid()}"

    def save(prof: profile) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{worker}.{time.time_ns()}.pt.trace.json{'.gz' if use_gzip else ''}"
        prof.export_chrome_trace(folder / name)
    return save


# Added by `tito export`: what PyTorch keeps under this name, too.

def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
