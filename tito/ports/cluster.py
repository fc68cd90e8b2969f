"""Who does the work: processes of this machine, or Dask's workers on many. They answer, and write nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from tito.core.errors import EnvironmentProblem, UsageProblem

J = TypeVar("J")
Answer = Any
Work = Callable[[J], Answer]


class Lost(Exception):
    """A job took its worker along, also when it was tried alone."""


class Workers(Protocol):
    def each(self, work: Work[J], jobs: Iterable[J]) -> Iterator[tuple[J, Answer | Exception]]:
        """The answers as they come, in any order; an exception is an answer, too."""


class Here:
    """So many processes of this machine. When one dies, the jobs that were under way are tried alone."""

    def __init__(self, number: int): self.number = number

    def each(self, work: Work[J], jobs: Iterable[J]) -> Iterator[tuple[J, Answer | Exception]]:
        waiting = iter(jobs)
        while True:
            suspects = yield from self.together(work, waiting)
            if not suspects: return
            for job in suspects: yield job, self.alone(work, job)

    def together(
        self, work: Work[J], jobs: Iterator[J],
    ) -> Generator[tuple[J, Answer | Exception], None, list[J]]:
        """Until all are done, or a process died: then the jobs that were under way are handed back."""
        pool = self.pool(self.number)
        flying: dict[Future[Answer], J] = {}
        try:
            while True:
                for job in islice(jobs, 2 * self.number - len(flying)): flying[pool.submit(work, job)] = job
                if not flying: return []
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                if any(isinstance(f.exception(), BrokenProcessPool) for f in done):
                    yield from ((flying.pop(f), f.result()) for f in list(flying) if f.done()
                                and not f.exception())
                    return list(flying.values())
                for future in done: yield flying.pop(future), future.exception() or future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def alone(self, work: Work[J], job: J) -> Answer | Exception:
        with self.pool(1) as pool:
            try:
                return pool.submit(work, job).result()
            except BrokenProcessPool:
                return Lost("it ended the process that was to mark it")
            except Exception as problem:
                return problem

    @staticmethod
    def pool(number: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(number, mp_context=get_context("spawn"), initializer=leave_interrupts)


def leave_interrupts() -> None:
    """Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Dask:
    """Workers of Dask distributed: `local:4` starts four, `tcp://…` finds those that are there."""

    def __init__(self, address: str, retries: int = 3): self.address, self.retries = address, retries

    def each(self, work: Work[J], jobs: Iterable[J]) -> Iterator[tuple[J, Answer | Exception]]:
        try:
            from distributed import Client, LocalCluster, as_completed
        except ImportError:
            raise EnvironmentProblem("--cluster needs Dask distributed, which is not installed.",
                                     "pip install 'tinytorch-tito[cluster]'") from None
        local = self.address.removeprefix("local:") if self.address.startswith("local:") else ""
        cluster = LocalCluster(n_workers=number_in(local), threads_per_worker=1,
                               dashboard_address=None) if local \
            else None
        waiting = iter(jobs)
        with Client(cluster or self.address) as client:
            try:
                room = 4 * max(1, len(client.scheduler_info()["workers"]))
                flying: dict[str, J] = {}

                def launch(count: int) -> list[Any]:
                    futures = [(job, client.submit(work, job, pure=False, retries=self.retries))
                               for job in islice(waiting, count)]
                    flying.update({future.key: job for job, future in futures})
                    return [future for _, future in futures]

                coming = as_completed(launch(room))
                for future in coming:
                    coming.update(launch(1))
                    yield flying.pop(future.key), future.exception() or future.result()
            finally:
                if cluster: cluster.close()


def number_in(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise UsageProblem(f"--cluster local:{text} names no number of workers.",
                           "--cluster local:4, for example")
    return int(text)


class InTurn:
    """The fake: does the work at once, here."""

    def each(self, work: Work[J], jobs: Iterable[J]) -> Iterator[tuple[J, Answer | Exception]]:
        for job in jobs:
            try:
                yield job, work(job)
            except Exception as problem:
                yield job, problem
