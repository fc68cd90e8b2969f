"""The pool lends what was given back, and its numbers are those of the arrays that are alive."""

import gc

import numpy as np
import pytest

from tinytorch.backends import Pool


def test_what_comes_back_is_lent_again():
    pool = Pool()
    first = pool.empty((8, 16))
    place = first.ctypes.data
    del first
    second = pool.empty((16, 8))
    assert second.ctypes.data == place
    assert (pool.made, pool.lent_again) == (1, 1)


def test_a_view_keeps_its_block_lent():
    pool = Pool()
    view = pool.empty(100)[10:20].reshape(2, 5)
    gc.collect()
    assert pool.lent == 512 and pool.kept == 0
    other = pool.empty(100)
    assert not np.shares_memory(view, other)
    del view
    assert pool.lent == 512 and pool.kept == 512


@pytest.mark.parametrize(("shape", "dtype", "size"), [
    ((), np.float64, 64), (0, np.int8, 64), (64, np.int8, 64), (65, np.int8, 128), ((3, 5), np.float32, 64),
    ((1000, 1000), np.float32, 1 << 22)], ids=str)
def test_blocks_are_powers_of_two(shape, dtype, size):
    pool = Pool()
    x = pool.empty(shape, dtype)
    assert (x.shape, x.dtype, pool.lent) == (np.empty(shape).shape, dtype, size)
    x[...] = 1
    assert x.flags.writeable and x.sum() == x.size


def test_arrays_that_live_at_once_do_not_share():
    pool, random = Pool(), np.random.default_rng(0)
    alive = []
    for n in random.integers(1, 50, 300):
        if n % 3 == 0 and alive: alive.pop(int(n) % len(alive))
        alive.append((pool.empty(int(n)), int(n)))
        alive[-1][0][...] = n
        assert all((x == value).all() for x, value in alive)
    del alive
    assert pool.lent == 0 and pool.lent_again > 50


def test_statistics_say_what_happened():
    pool = Pool()
    x, y = pool.empty(16), pool.empty(16)
    del x, y
    assert pool.statistics()._asdict() == {"made": 2, "lent_again": 0, "lent": 0, "kept": 128, "most": 128}
    pool.clear()
    assert pool.statistics().kept == 0 and pool.empty(16) is not None and pool.made == 3


def test_no_more_is_kept_than_the_limit():
    pool = Pool(limit=100)
    x, y = pool.empty(16), pool.empty(16)
    del x, y
    assert pool.kept == 64
