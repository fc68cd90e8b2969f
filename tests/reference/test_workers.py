"""Worker processes: what goes wrong is told, and nothing is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info
from tinytorch.workers import buffers_of, laid_out, places_of, room_folder, taken

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's"),
]
ROOT = Path(__file__).resolve().parents[2]
SHARED = room_folder().parent


def rooms() -> set[Path]: return set(SHARED.glob("tinytorch-*"))


for mine in [path for path in rooms() if not any(path.iterdir())]: mine.rmdir()        # room_folder's, above


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = rooms()
    yield
    deadline = time.monotonic() + 10
    while (multiprocessing.active_children() or rooms() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert multiprocessing.active_children() == [] and rooms() == before


class Numbers(Dataset):
    """Samples that do what they are told when their number comes up."""

    def __init__(self, n=40, at=None, what=None): self.n, self.at, self.what = n, at, what
    def __len__(self): return self.n

    def __getitem__(self, i):
        if i == self.at: self.what()
        return np.full(1000, i, np.float32)


def pids(iterator) -> list[int]: return [hand.process.pid for hand in iterator.hands]


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        os.kill(pid, 0)
        return not Path("/proc/self").exists() or "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError): return False


def gone(processes: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < deadline: time.sleep(0.02)
    return not any(map(is_running, processes))


def test_batches_arrive_in_memory_of_their_own():
    batches = list(DataLoader(Numbers(), 4, num_workers=2))
    assert [batch[:, 0].tolist() for batch in batches] == [[*range(n, n + 4)] for n in range(0, 40, 4)]
    batches[0].zero_()
    assert batches[1][0, 0].item() == 4, "writing into one batch leaves the others alone"


def test_anything_can_be_a_batch():
    things = [{"a": np.arange(5), "b": ["x", None], "c": np.arange(6).reshape(2, 3).T, "d": np.array(2.0)}]
    (found,) = DataLoader(things, batch_size=None, collate_fn=lambda x: x, num_workers=1)
    assert found["b"] == ["x", None] and np.array_equal(found["c"], things[0]["c"]) and found["d"] == 2
    assert found["a"].flags.writeable


@pytest.mark.parametrize("thing", [
    [], "word", {"a": np.zeros((0, 3))}, [np.float16([1, 2]), np.arange(100_000)], np.array([True, False]),
])
def test_what_is_laid_into_shared_memory_is_taken_out_of_it(thing):
    buffers = buffers_of(thing)
    places = places_of([buffer.nbytes for buffer in buffers])
    room = memoryview(bytearray(places[-1]))
    laid_out(room, buffers, places)
    np.testing.assert_equal(taken(room), thing)


def test_a_room_that_is_too_small_is_replaced():
    sizes = [np.ones(n) for n in (1, 50_000, 10, 400_000, 3, 800_000, 5)]
    found = [len(x) for x in DataLoader(sizes, batch_size=None, num_workers=2, prefetch_factor=1)]
    assert found == [len(x) for x in sizes]


# --------------------------------------------------------------------------------------------- the end

def test_workers_end_with_the_epoch():
    iterator = iter(DataLoader(Numbers(), 4, num_workers=2))
    workers = pids(iterator)
    assert len(list(iterator)) == 10 and gone(workers)
    assert list(iterator) == [], "an iterator that has ended stays so"


def test_workers_end_when_somebody_breaks_out():
    iterator = iter(DataLoader(Numbers(), 4, num_workers=2))
    workers = pids(iterator)
    for _ in iterator: break
    del iterator
    assert gone(workers)


def test_workers_end_when_nobody_asked_for_anything():
    workers = pids(iter(DataLoader(Numbers(), 4, num_workers=3)))
    assert gone(workers)


def test_persistent_workers_stay_and_end_with_the_loader():
    loader = DataLoader(Numbers(), 4, num_workers=2, persistent_workers=True)
    first = iter(loader)
    workers = pids(first)
    assert len(list(first)) == 10
    for _ in loader: break                              # orders of this epoch are still on their way
    assert [int(b[0, 0].item()) for b in loader] == list(range(0, 40, 4)), \
        "old results are not taken for new ones"
    assert pids(iter(loader)) == workers
    del loader, first
    assert gone(workers)


def test_two_loaders_at_once():
    one, two = DataLoader(Numbers(), 4, num_workers=2), DataLoader(Numbers(20), 4, num_workers=1)
    pairs = [(int(a[0, 0].item()), int(b[0, 0].item())) for a, b in zip(one, two)]
    assert pairs == [(n, n) for n in range(0, 20, 4)]


def test_a_worker_that_is_busy_is_not_waited_for_too_long():
    iterator = iter(DataLoader(Numbers(40, 2, lambda: time.sleep(60)), 1, num_workers=2))
    next(iterator)
    workers, began = pids(iterator), time.monotonic()
    del iterator
    assert gone(workers) and time.monotonic() - began < 8


# ----------------------------------------------------------------------------------------- what goes wrong

class Odd(Exception):
    def __init__(self, one, two): super().__init__(one, two)


def raises(problem):
    def what(): raise problem
    return what


@pytest.mark.parametrize(("problem", "kind"), [
    (ValueError("seven is unlucky"), ValueError), (KeyError("seven"), KeyError), (Odd(1, 2), RuntimeError),
])
def test_a_workers_exception_is_shown_with_its_own_traceback(problem, kind):
    iterator = iter(DataLoader(Numbers(16, 5, raises(problem)), 2, num_workers=2))
    assert next(iterator) is not None and next(iterator) is not None
    with pytest.raises(kind) as caught: next(iterator)
    said = str(caught.value)
    assert f"Caught {type(problem).__name__} in DataLoader worker process 0." in said
    assert "in __getitem__" in said and "test_workers.py" in said and "self.what()" in said
    assert [int(batch[0, 0].item()) for batch in iterator] == [6, 8, 10, 12, 14], "the other batches come"


def test_what_cannot_be_sent_is_an_exception_too():
    with pytest.raises(Exception, match="DataLoader worker process 0"):
        list(DataLoader([lambda: 1], batch_size=None, num_workers=1))


def test_worker_init_fn_may_fail_and_say_so():
    def init(worker): raise OSError(f"no disk for {worker}")
    with pytest.raises(OSError, match="no disk for 0"):
        list(DataLoader(Numbers(), num_workers=1, worker_init_fn=init))


def test_worker_init_fn_prepares_each_workers_copy():
    class Stream(IterableDataset):
        part = ()
        def __iter__(self): return iter(self.part)

    def init(worker): get_worker_info().dataset.part = range(worker, 7, 2)
    found = DataLoader(Stream(), batch_size=None, num_workers=2, worker_init_fn=init)
    assert list(found) == [0, 1, 2, 3, 4, 5, 6]


def test_a_worker_that_is_killed_is_missed():
    def what(): os.kill(os.getpid(), signal.SIGKILL)
    iterator = iter(DataLoader(Numbers(200, 9, what), 1, num_workers=2))
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly, by SIGKILL"):
        list(iterator)
    assert iterator.closed


def test_a_worker_that_is_killed_from_outside_is_missed():
    iterator = iter(DataLoader(Numbers(2000), 1, num_workers=2))
    workers = pids(iterator)
    next(iterator)
    os.kill(workers[1], signal.SIGKILL)
    with pytest.raises(RuntimeError, match=f"{workers[1]}.*SIGKILL"): list(iterator)
    assert gone(workers)


def test_a_worker_that_ends_is_missed():
    with pytest.raises(RuntimeError, match="with exit code 3"):
        list(DataLoader(Numbers(9, 4, lambda: os._exit(3)), num_workers=2))


def test_time_is_over_sometime():
    began = time.monotonic()
    iterator = iter(DataLoader(Numbers(9, 4, lambda: time.sleep(60)), num_workers=1, timeout=0.3))
    with pytest.raises(RuntimeError, match=r"timed out after 0\.3 seconds"): list(iterator)
    assert time.monotonic() - began < 8 and iterator.closed


def test_batches_may_come_as_they_are_ready():
    slow = Numbers(6, 0, lambda: time.sleep(0.5))
    found = [int(batch[0, 0].item()) for batch in DataLoader(slow, num_workers=2, in_order=False)]
    assert sorted(found) == list(range(6)) and found[0] != 0, "the slow one does not hold up the others"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_can_be_started_afresh(method):
    data = TensorDataset(tinytorch.arange(6), tinytorch.arange(6.0))
    loader = DataLoader(data, 2, num_workers=2, multiprocessing_context=method)
    assert [x.tolist() for x, _ in loader] == [[0, 1], [2, 3], [4, 5]]


# ----------------------------------------------------------------------------- the end of the main process

PROGRAM = """
import os, signal, sys, time
import numpy as np
from tinytorch.utils.data import DataLoader, Dataset

signal.signal(signal.SIGINT, signal.default_int_handler)        # `make test &` has it ignored

class Slow(Dataset):
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.01)
        return np.ones(1000)

iterator = iter(DataLoader(Slow(), 4, num_workers=2, persistent_workers=bool({persistent})))
next(iterator)
print(*[hand.process.pid for hand in iterator.hands], flush=True)
for _ in iterator: {body}
"""


def run(body="pass", persistent=0):
    code = textwrap.dedent(PROGRAM).format(body=body, persistent=persistent)
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    return process, [int(pid) for pid in process.stdout.readline().split()]


def ended(process) -> str:
    """What a program said before it ended."""
    try: return process.communicate(timeout=20)[1]
    finally: process.kill()


@pytest.mark.parametrize("persistent", [0, 1])
def test_ctrl_c_ends_everything_and_only_the_main_process_speaks(persistent):
    process, workers = run(persistent=persistent)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)               # as a terminal does it: to all of them
    said = ended(process)
    assert said.count("Traceback") == 1 and said.rstrip().endswith("KeyboardInterrupt") and gone(workers)


@pytest.mark.parametrize("body", ["sys.exit(0)", "break", "1 / 0"])
def test_workers_end_with_the_program(body):
    process, workers = run(body, persistent=1)
    said = ended(process)
    assert gone(workers) and said.count("Traceback") == (1 if body == "1 / 0" else 0)


def test_workers_end_when_the_main_process_is_killed():
    before = rooms()
    process, workers = run()
    process.kill()
    said = ended(process)
    assert gone(workers, 15) and said == ""
    for folder in rooms() - before:
        assert not any(folder.iterdir()), "memory has no name once both have it"
        folder.rmdir()
