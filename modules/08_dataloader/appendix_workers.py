# %% [markdown]
# # Appendix: hands that read ahead
#
# While your network computes, somebody else could read and augment the next pictures. **Worker processes**
# do: each has a copy of the dataset, is told which samples to read, makes a batch and lays it into memory
# that both can see. The main process hands out orders a few batches ahead, and takes the results in the
# order in which it asked for them, so that two runs with one seed see the same batches.

# %%
#| export
"""Worker processes that read batches ahead of time."""

# %%
#| export
from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinytorch.randomness import manual_seed

# %% [markdown]
# ## Memory that both see
#
# A result is pickled: numbers in arrays stay outside of the pickle, in buffers. All of it goes into a file of
# a folder that exists in memory only (`/dev/shm` on Linux; elsewhere among the temporary files) and that both
# processes map. The main process takes the file's name away as soon as it has mapped it: from then on the
# memory ends with the processes that use it, however they end. The room is used again for later batches.

# %%
#| export
ALIGNED = 64        # bytes; each buffer begins at a multiple of it
WATCH = 5.0         # seconds between two looks whether the main process is alive
GRACE = 2.0         # seconds in which a worker ends what it is doing, before it is ended


def rounded(n: int) -> int: return -(-n // ALIGNED) * ALIGNED


def buffers_of(thing) -> list[memoryview]:
    """A thing as a pickle and the buffers of its arrays."""
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return [memoryview(stream), *[buffer.raw() for buffer in buffers]]


def places_of(lengths: list[int]) -> list[int]:
    """Where each buffer begins, and where the last one ends; in front of them stand their lengths."""
    places = [rounded(8 + 8 * len(lengths))]
    for length in lengths: places.append(places[-1] + rounded(length))
    return places


def laid_out(room: mmap.mmap, buffers: list[memoryview], places: list[int]) -> None:
    """Writes how many buffers there are, their lengths, and the buffers."""
    lengths = [len(buffers), *[buffer.nbytes for buffer in buffers]]
    room[: 8 * len(lengths)] = np.array(lengths, np.int64).tobytes()
    for buffer, place in zip(buffers, places): room[place : place + buffer.nbytes] = buffer


def taken(room: mmap.mmap) -> Any:
    """The thing that was laid into the room, in memory of its own."""
    n = int.from_bytes(room[:8], "little")
    lengths = np.frombuffer(room, np.int64, n, 8).tolist()
    places = places_of(lengths)
    copy = np.empty(places[-1], np.uint8)
    copy[:] = np.frombuffer(room, np.uint8, places[-1])
    stream, *buffers = [copy[place : place + length] for place, length in zip(places, lengths)]
    return pickle.loads(stream, buffers=buffers)


def new_room(path: Path, size: int) -> mmap.mmap:
    """Memory of so many bytes, under a name."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "posix_fallocate"): os.posix_fallocate(number, 0, size)      # now, or never
        else: os.ftruncate(number, size)
        return mmap.mmap(number, size)
    except OSError as problem:
        raise OSError(f"no room for a batch of {size:,} bytes in {path.parent.parent}: {problem.strerror}. "
                      "Take smaller batches or fewer workers, or give it more (--shm-size)") from None
    finally: os.close(number)


def opened(path: Path) -> mmap.mmap:
    """The same memory, seen by the other process; its name is gone afterwards."""
    with path.open("r+b") as file: room = mmap.mmap(file.fileno(), 0)
    with suppress(PermissionError): path.unlink()       # Windows keeps it until the end
    return room


def room_folder() -> Path:
    """A new folder for memory that processes share."""
    memory = "/dev/shm"
    return Path(tempfile.mkdtemp(prefix="tinytorch-", dir=memory if os.access(memory, os.W_OK) else None))

# %% [markdown]
# ## What goes wrong over there
#
# An exception of a worker is raised again in the main process, with the traceback it had in the worker.

# %%
#| export
class Failure(NamedTuple):
    """An exception in a worker: its class, and what its traceback says."""

    kind: type
    told: str

    def raised(self):
        try: problem = self.kind(Told(self.told) if self.kind is KeyError else self.told)
        except Exception: problem = RuntimeError(self.told)     # its class wants other arguments
        try: raise problem
        finally: del problem                        # or its traceback would hold it, and the crew


class Told(str):
    """A text that is its own repr: a KeyError shows the repr of its key."""

    def __repr__(self): return str(self)


def failure(problem: Exception, worker: int) -> Failure:
    lines = "".join(traceback.format_exception(problem))
    said = f"Caught {type(problem).__name__} in DataLoader worker process {worker}.\nOriginal {lines}"
    try: pickle.loads(pickle.dumps(type(problem)))
    except Exception: return Failure(RuntimeError, said)        # its class does not travel
    return Failure(type(problem), said)

# %% [markdown]
# ## A worker
#
# It ignores Ctrl-C, which the terminal sends to everybody: the main process decides what happens. When the
# main process is gone, in whatever way, the pipe ends, and so does the worker.

# %%
#| export
@dataclass(frozen=True)
class WorkerInfo:
    """Who a worker is, for datasets that share out their work."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Who this worker process is; None in the main process."""
    return _worker_info


def numpy_seed(seed: int, worker: int) -> np.ndarray:
    """A seed for NumPy's old generator that is not the seed of another worker's."""
    return np.random.SeedSequence([worker, seed % 2**32, seed >> 32]).generate_state(4)


END, BATCH, FAILED, AGAIN = "end", "batch", "failed", "again"
NOTHING = object()


def work(pipe, main_end, folder: Path, info: WorkerInfo, base_seed: int, fetcher: Callable, init) -> None:
    """The life of a worker: `fetcher()` makes the function that reads what an order asks for."""
    global _worker_info
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"): signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if main_end is not None: main_end.close()           # or it would never end
    random.seed(info.seed), manual_seed(info.seed), np.random.seed(numpy_seed(base_seed, info.id))
    _worker_info = info
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):     # the main process is done, or gone
        Worker(pipe, folder, info, fetcher, init).serve()
    shutil.rmtree(folder, ignore_errors=True)           # so do all the others


class Worker:
    """Reads what it is asked for, until there is nobody to ask."""

    def __init__(self, pipe, folder: Path, info: WorkerInfo, fetcher: Callable, init):
        self.pipe, self.folder, self.info, self.fetcher, self.init = pipe, folder, info, fetcher, init
        self.fetch, self.main, self.rooms, self.made = None, os.getppid(), {}, 0

    def serve(self) -> None:
        while True:
            order = self.next_order()
            if order == AGAIN: self.fetch = None
            else: self.answer(*order)

    def next_order(self):
        while not self.pipe.poll(WATCH):
            if os.getppid() != self.main: raise EOFError
        return self.pipe.recv()

    def answer(self, number: int, order, slot: int) -> None:
        try:
            if self.fetch is None: self.begin()
            said, more = BATCH, self.lay(buffers_of(self.fetch(order)), slot)
        except StopIteration: said, more = END, None
        except Exception as problem: said, more = FAILED, failure(problem, self.info.id)
        self.pipe.send((number, said, slot, more))

    def begin(self) -> None:
        """The first order, or the first of a new epoch."""
        if self.init is not None:
            init, self.init = self.init, None
            init(self.info.id)
        self.fetch = self.fetcher()

    def lay(self, buffers: list[memoryview], slot: int) -> str:
        """Lays buffers into the room of a slot; the name of the room, if it is a new one."""
        places, name = places_of([buffer.nbytes for buffer in buffers]), ""
        if slot not in self.rooms or len(self.rooms[slot]) < places[-1]:
            self.made += 1
            name = f"{self.info.id}-{self.made}"
            self.rooms[slot] = new_room(self.folder / name, places[-1] + places[-1] // 4)
        laid_out(self.rooms[slot], buffers, places)
        return name

# %% [markdown]
# ## The main process
#
# A **crew** keeps a few orders on their way to every hand. It must not leave anything behind: when the loop
# is over, when somebody breaks out of it, on Ctrl-C, when the iterator is dropped, and when Python ends, the
# workers are sent home and the folder is removed.

# %%
#| export
@dataclass(eq=False)
class Hand:
    """A worker, as the main process sees it."""

    process: Any
    pipe: Any
    rooms: dict[int, mmap.mmap] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)       # slots that nothing lies in
    resting: bool = False                               # it has come to the end of its part of a stream

    def slot(self) -> int:
        """A slot for the next result."""
        if not self.free:
            self.rooms[len(self.rooms)] = None
            return len(self.rooms) - 1
        return self.free.pop()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Workers that start in here hear no Ctrl-C before they ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try: yield
    finally: signal.pthread_sigmask(signal.SIG_SETMASK, before)


def dismiss(hands: list[Hand], folder: Path, owner: int) -> None:
    """Sends the workers home, and removes what they shared."""
    if os.getpid() != owner: return             # a process that inherited a copy of the crew
    for hand in hands: hand.pipe.close()
    until = time.monotonic() + GRACE
    for hand in hands:
        hand.process.join(max(0.0, until - time.monotonic()))
        if hand.process.is_alive(): hand.process.kill()
        hand.process.join()
        hand.process.close()
    hands.clear()
    if folder.exists(): shutil.rmtree(folder)


class Crew:
    """Batches that workers read ahead of time: an iterator over the orders of a sampler."""

    def __init__(self, loader, orders: Iterator, fetcher: Callable, base_seed: int):
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self.orders, self.persistent, self.hands, self.turn = orders, loader.persistent_workers, [], 0
        self.depth, self.timeout, self.in_order = loader.prefetch_factor, loader.timeout, loader.in_order
        self.first = self.due = self.sent = 0       # orders: the epoch's first, next to be given, to be sent
        self.given = 0                              # how many of this epoch were given
        self.ready: dict[int, tuple] = {}           # what came back and was not given yet
        self.folder = room_folder()
        self.dismissed = weakref.finalize(self, dismiss, self.hands, self.folder, os.getpid())
        try:
            for n in range(loader.num_workers):
                info = WorkerInfo(n, loader.num_workers, base_seed + n, loader.dataset)
                hand = hired(context, self.folder, info, base_seed, fetcher, loader.worker_init_fn)
                self.hands.append(hand)
        except BaseException:
            self.close()
            raise

    def __iter__(self): return self

    def __next__(self):
        try: said, found = self.next_result()
        except StopIteration:
            if not self.persistent: self.close()
            raise
        except BaseException:                       # a worker died, time is over, Ctrl-C
            self.close()
            raise
        if said == FAILED: found.raised()
        return found

    def again(self, orders: Iterator) -> None:
        """Begins a new epoch with the same workers; what is still on its way is forgotten when it comes."""
        self.orders, self.first, self.due, self.given, self.turn = orders, self.sent, self.sent, 0, 0
        self.ready.clear()
        for hand in self.hands:
            hand.resting = False
            self.tell(hand, AGAIN)

    def close(self) -> None:
        """Sends the workers home."""
        self.dismissed()

    @property
    def closed(self) -> bool: return not self.dismissed.alive

    # ------------------------------------------------------------------------------------ what goes out

    def hand_out(self) -> None:
        """Keeps every hand busy, `depth` orders ahead, in turns."""
        while hands := [hand for hand in self.hands if not hand.resting]:
            if self.sent - self.first - self.given >= self.depth * len(hands): return
            order = next(self.orders, NOTHING)
            if order is NOTHING: return
            while (hand := self.hands[self.turn % len(self.hands)]).resting: self.turn += 1
            self.tell(hand, (self.sent, order, hand.slot()))
            self.turn, self.sent = self.turn + 1, self.sent + 1

    def tell(self, hand: Hand, what) -> None:
        try: hand.pipe.send(what)
        except (BrokenPipeError, ConnectionResetError): self.died(hand)

    # --------------------------------------------------------------------------------- what comes back

    def next_result(self) -> tuple:
        """Whether the next batch was read, and the batch or what went wrong."""
        if self.closed: raise StopIteration
        self.hand_out()
        while self.given < self.sent - self.first:
            number = self.due if self.in_order else next(iter(self.ready), self.due)
            if number not in self.ready:
                self.listen()
                continue
            said, found = self.ready.pop(number)
            self.due, self.given = self.due + 1, self.given + 1
            self.hand_out()
            if said != END: return said, found
        raise StopIteration

    def listen(self) -> None:
        """Waits until a worker has something to say."""
        pipes = {hand.pipe: hand for hand in self.hands}
        ends = {hand.process.sentinel: hand for hand in self.hands}
        heard = wait([*pipes, *ends], self.timeout or None)
        if not heard:
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds: a batch takes longer, or "
                               "a worker hangs. Raise timeout=, or see where with num_workers=0")
        for one in heard:
            if one in pipes: self.take(pipes[one])
        for one in heard:
            if one in ends and not ends[one].pipe.poll(): self.died(ends[one])

    def take(self, hand: Hand) -> None:
        """Takes a result, and gives its slot back."""
        try: number, said, slot, found = hand.pipe.recv()
        except (EOFError, ConnectionResetError): self.died(hand)
        if said == BATCH:
            if found: hand.rooms[slot] = opened(self.folder / found)        # the name of a new room
            found = taken(hand.rooms[slot])
        hand.free.append(slot)
        if number >= self.first:                    # else somebody broke out of the epoch it belongs to
            hand.resting |= said == END
            self.ready[number] = said, found

    def died(self, hand: Hand) -> NoReturn:
        hand.process.join(GRACE)
        code = hand.process.exitcode
        how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with exit code {code}"
        raise RuntimeError(f"DataLoader worker (pid(s) {hand.process.pid}) exited unexpectedly, {how}. Is "
                           "there enough memory? With num_workers=0 you see where it happens")


def hired(context, folder: Path, info: WorkerInfo, base_seed: int, fetcher: Callable, init) -> Hand:
    """A new worker."""
    pipe, theirs = context.Pipe()
    inherited = pipe if context.get_start_method() == "fork" else None
    process = context.Process(
        target=work, args=(theirs, inherited, folder, info, base_seed, fetcher, init), daemon=True)
    with undisturbed(): process.start()
    theirs.close()
    return Hand(process, pipe)
