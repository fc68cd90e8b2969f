"""Lesson 16 with threads that all want something at once: batches, bounds, deadlines, replaced models."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinytorch.capstone import Batcher, Loan, Refused, Shelf


def rows(*numbers): return np.array(numbers, np.float32)[:, None]


class Model:
    """Answers 2x, notes how many rows it saw, and waits if it is told to."""

    def __init__(self, seconds=0.0): self.seconds, self.seen, self.gate = seconds, [], threading.Event()

    def __call__(self, x):
        self.seen.append(len(x))
        time.sleep(self.seconds)
        if (x < 0).any(): raise ValueError("below 0")
        return 2 * x,


@pytest.fixture
def held():
    """A batcher whose model waits in its first batch until it is let go."""
    entered, free = threading.Event(), threading.Event()
    model = Model()

    def function(x):
        entered.set()
        assert free.wait(20)
        return model(x)
    batcher = Batcher(function, max_batch=8, max_delay=0.0, bound=8)
    batcher.first = batcher.submit(rows(0))
    assert entered.wait(20)
    batcher.free, batcher.model = free, model
    yield batcher
    free.set()
    batcher.close()


def test_every_one_of_thousands_gets_their_own_answer():
    model = Model()
    batcher = Batcher(model, max_batch=16, max_delay=0.001, bound=10_000, workers=2)

    def ask(n):
        x = rows(*range(n, n + 1 + n % 3))
        return np.array_equal(batcher.submit(x).result(20)[0], 2 * x)
    with ThreadPoolExecutor(16) as pool: assert all(pool.map(ask, range(2000)))
    batcher.close()
    assert sum(model.seen) == sum([1 + n % 3 for n in range(2000)]) and max(model.seen) <= 16
    assert len(model.seen) < 1500, "they travelled together"


def test_nobody_waits_long_for_company():
    batcher = Batcher(Model(), max_batch=1000, max_delay=0.01)
    began = time.monotonic()
    batcher.submit(rows(1)).result(20)
    assert 0.01 <= time.monotonic() - began < 5
    batcher.close()


def test_what_came_while_the_model_was_busy_goes_together(held):
    futures = [held.submit(rows(n)) for n in range(8)]
    held.free.set()
    assert [f.result(20)[0].item() for f in futures] == [2 * n for n in range(8)]
    assert held.model.seen == [1, 8]


def test_a_full_line_refuses_at_once_and_says_when_to_come_back(held):
    for n in range(8): held.submit(rows(n))
    with pytest.raises(Refused) as refused: held.submit(rows(9))
    assert refused.value.status == 429 and refused.value.retry_after is not None


def test_deadlines_and_goodbyes(held):
    late = held.submit(rows(1), deadline=time.monotonic() - 1)
    gone, kept = held.submit(rows(2)), held.submit(rows(3))
    assert gone.cancel()
    held.free.set()
    assert kept.result(20)[0].item() == 6
    with pytest.raises(Refused) as refused: late.result(20)
    assert refused.value.status == 504
    assert held.model.seen == [1, 1], "neither was computed"


def test_one_bad_request_among_good_ones(held):
    good, bad = [held.submit(rows(n)) for n in (1, 2)], held.submit(rows(-1))
    held.free.set()
    assert [f.result(20)[0].item() for f in good] == [2, 4]
    with pytest.raises(ValueError, match="below 0"): bad.result(20)
    assert held.submit(rows(5)).result(20)[0].item() == 10, "and the thread lives on"


def test_closing_answers_everybody_and_takes_in_nobody(held):
    futures = [held.submit(rows(n)) for n in range(3)]
    closing = threading.Thread(target=held.close)
    closing.start()
    while not held.closed: time.sleep(0.001)
    with pytest.raises(Refused) as refused: held.submit(rows(1))
    assert refused.value.status == 503
    held.free.set()
    closing.join(20)
    assert not closing.is_alive() and [f.result(0)[0].item() for f in futures] == [0, 2, 4]


def test_arrays_of_different_shapes_never_meet(held):
    futures = [held.submit(np.ones((1, width), np.float32)) for width in (2, 3, 2, 3)]
    held.free.set()
    assert [f.result(20)[0].shape for f in futures] == [(1, 2), (1, 3), (1, 2), (1, 3)]


def test_who_is_alone_is_answered_at_once_in_their_own_thread():
    threads = []

    def function(x):
        threads.append(threading.current_thread())
        if (x < 0).any(): raise ValueError("below 0")
        return 2 * x,
    batcher = Batcher(function)
    assert batcher.at_once(rows(3)).result(0)[0].item() == 6
    assert threads == [threading.current_thread()]
    with pytest.raises(ValueError, match="below 0"): batcher.at_once(rows(-1)).result(0)
    with pytest.raises(Refused) as late: batcher.at_once(rows(3), deadline=time.monotonic() - 1).result(0)
    assert late.value.status == 504 and len(threads) == 2, "who is late is not computed"
    assert batcher.at_once(rows(4)).result(0)[0].item() == 8, "and the turn was given back"
    batcher.close()


def test_nobody_is_answered_at_once_beside_others(held):
    assert held.at_once(rows(1)) is None, "the one worker computes"
    waits = held.submit(rows(2))
    assert held.at_once(rows(1)) is None, "somebody came before"
    held.free.set()
    assert waits.result(20)[0].item() == 4
    while held.at_once(rows(1)) is None: time.sleep(0.001)


def test_a_model_is_never_computed_twice_at_the_same_time():
    inside, most = [], []

    def function(x):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.0005)
        inside.pop()
        return x,
    batcher = Batcher(function, max_batch=1, max_delay=0.0)

    def ask(n):
        future = batcher.at_once(rows(n)) or batcher.submit(rows(n))
        return future.result(20)[0].item()
    with ThreadPoolExecutor(8) as pool: assert list(pool.map(ask, range(300))) == list(range(300))
    batcher.close()
    assert max(most) == 1


def test_it_remembers_how_fast_it_is():
    batcher = Batcher(Model(0.01), max_delay=0)
    for n in range(5): batcher.submit(rows(n)).result(20)
    batcher.close()
    assert 0.01 <= batcher.pace < 1


# ------------------------------------------------------------------------------------- while in use

class Version:
    """Counts its users, and how often it was closed."""

    def __init__(self): self.users, self.closed, self.lock = 0, 0, threading.Lock()

    def use(self):
        with self.lock: self.users += 1
        assert self.closed == 0, "used after it was closed"
        time.sleep(0.0002)
        assert self.closed == 0, "closed under the hands of its user"
        with self.lock: self.users -= 1

    def close(self):
        assert self.users == 0
        self.closed += 1


def test_replacing_under_fire_loses_nobody_and_closes_each_once():
    shelf, versions, stop = Shelf(), [Version()], threading.Event()
    shelf.put("m", versions[0])

    def user():
        count = 0
        while not stop.is_set():
            with shelf.lent("m") as version: version.use()
            count += 1
        return count
    with ThreadPoolExecutor(6) as pool:
        users = [pool.submit(user) for _ in range(6)]
        for _ in range(59):
            versions.append(Version())
            shelf.put("m", versions[-1])
            time.sleep(0.002)
        stop.set()
        assert min([u.result(20) for u in users]) > 10
    assert [v.closed for v in versions] == [1] * 59 + [0]
    shelf.remove("m")
    assert versions[-1].closed == 1
    with pytest.raises(KeyError), shelf.lent("m"): pass


def test_an_error_while_using_it_still_gives_it_back():
    shelf, version = Shelf(), Version()
    shelf.put("m", version)
    with pytest.raises(ZeroDivisionError), shelf.lent("m"): 1 / 0                      # noqa: B018
    shelf.remove("m")
    assert version.closed == 1


def test_many_leave_at_once_and_one_closes():
    for _ in range(50):
        version = Version()
        loan = Loan(version)
        for _ in range(8): loan.enter()
        loan.retire()
        gate = threading.Barrier(8)

        def leave(loan=loan, gate=gate):
            gate.wait()
            loan.leave()
        threads = [threading.Thread(target=leave) for _ in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert version.closed == 1
