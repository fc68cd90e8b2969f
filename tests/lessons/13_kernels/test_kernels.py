"""Lesson 13 on matrices, pieces and bodies that its checks do not use. Runs with a C compiler and without."""

from itertools import product
from threading import get_ident

import numpy as np
import pytest

from tinytorch import Engine, Tensor, floating, tensor, using
from tinytorch.column import DECLINED, KERNELS, kernel, withdraw
from tinytorch.compiling import NoCompiler, compiled, compiler
from tinytorch.kernels import Device, chosen, home, in_pieces, in_threads, tiled, tiled_loops, walk

rng = np.random.default_rng(13)
in_c = pytest.mark.skipif(compiler() is None, reason="there is no C compiler here")


@pytest.mark.parametrize(("n", "tile"), [(1, 1), (3, 5), (6, 3), (7, 3), (9, 4), (4, 1)])
def test_tiles_do_every_multiplication_once(n, tile):
    assert sorted(tiled(n, tile)) == list(product(range(n), repeat=3))


def test_tiles_of_nothing():
    assert list(tiled(0, 4)) == []


def test_a_tile_is_finished_before_the_next():
    cubes = [tuple(place // 3 for place in triple) for triple in tiled(9, 3)]
    begun = [cube for n, cube in enumerate(cubes) if n == 0 or cube != cubes[n - 1]]
    assert len(begun) == len(set(begun)) == 27


@in_c
@pytest.mark.parametrize(("n", "tile"), [(1, 4), (5, 2), (16, 4), (31, 8), (33, 64)])
def test_tiles_in_c_compute_the_product(n, tile):
    x, y = rng.standard_normal((2, n, n)).astype(np.float32)
    out = np.ones((n + 2, n), np.float32)
    compiled(tiled_loops()).tiled(out, x, y, n, tile)
    np.testing.assert_allclose(out[:n], 1 + x @ y, rtol=1e-4, atol=1e-4)
    assert (out[n:] == 1).all(), "nothing is written behind the matrix"


@pytest.mark.parametrize("piece", [1, 3, 7, 100])
@pytest.mark.parametrize("n", [0, 1, 7, 20])
def test_pieces_give_what_the_whole_gives(n, piece):
    x, y = rng.standard_normal((2, n))
    assert np.array_equal(in_pieces(lambda x, y: x * y + 1, np.empty(n), x, y, piece=piece), x * y + 1)


def test_pieces_of_rows():
    table = rng.standard_normal((10, 3))
    assert np.array_equal(in_pieces(np.exp, np.empty_like(table), table, piece=4), np.exp(table))


@in_c
def test_a_walk_of_three_inputs():
    x, y, z = rng.standard_normal((3, 101)).astype(np.float32)
    out = np.empty_like(x)
    compiled(walk("blend", "x y z", "z > 0 ? x : c * y")).blend(out, x, y, z, 0.5)
    assert np.array_equal(out, np.where(z > 0, x, np.float32(0.5) * y))


@pytest.mark.parametrize(("n", "threads"), [(0, 1), (1, 1), (10, 1), (10, 4), (3, 8), (1000, 7)])
def test_threads_share_all_of_the_work(n, threads):
    done = np.zeros(n, int)
    def count(start, stop): done[start:stop] += 1
    in_threads(count, n, threads)
    assert (done == 1).all()


def test_parts_differ_by_one_at_most():
    lengths = []
    in_threads(lambda start, stop: lengths.append(stop - start), 103, 10)
    assert len(lengths) == 10 and max(lengths) - min(lengths) <= 1


def test_the_work_is_done_in_other_threads():
    seen = set()
    in_threads(lambda *_: seen.add(get_ident()), 4, 2)
    assert get_ident() not in seen


def test_an_error_in_one_of_many_threads_is_raised():
    def third(start, _):
        if start == 2: raise KeyError("third")
    with pytest.raises(KeyError, match="third"): in_threads(third, 4, 4)


# ------------------------------------------------------------------------------------------ the column

@floating
def tripled(x, /, *, more=0.0): return 3 * x + more


@pytest.fixture
def enter():
    """Registers bodies for `tripled`, and withdraws them."""
    entered = []

    def one(body, **settings): entered.append(kernel(tripled, **settings)(body))
    yield one
    for body in entered: withdraw(body)


def test_without_bodies_the_forward_is_what_runs():
    assert chosen([], tripled.forward) is tripled.forward


def test_the_last_one_registered_is_asked_first(enter):
    enter(lambda x, more=0.0: np.full_like(x, 1))
    enter(lambda x, more=0.0: np.full_like(x, 2) if more else DECLINED)
    with using(Device()):
        assert tripled(tensor([5.0])).tolist() == [1.0]
        assert tripled(tensor([5.0]), more=1.0).tolist() == [2.0]


def test_a_kernel_that_declines_leaves_the_forward_alone(enter):
    enter(lambda x, **_: DECLINED)
    with using(Device()): assert tripled(tensor([2, 3]), more=1.0).tolist() == [7.0, 10.0]


def test_only_engines_that_were_asked_for(enter):
    enter(lambda x: np.zeros_like(x), engine="numba")
    with using(Device(engines=("numpy",))): assert tripled(tensor([2.0])).tolist() == [6.0]
    with using(Device(engines=("numba",))): assert tripled(tensor([2.0])).tolist() == [0.0]


def test_no_compiler_is_a_no(enter):
    def cannot(x): raise NoCompiler("gone")
    enter(cannot)
    with using(Device()): assert tripled(tensor([2.0])).tolist() == [6.0]


class Elsewhere:
    """An array that lives on a GPU, as far as anybody can see."""

    dtype, ndim, size = np.dtype(np.float32), 1, 1

    class device: id = 0


def test_arrays_go_to_the_kernels_of_their_device(enter):
    enter(lambda x: "cpu")
    enter(lambda x: "cuda", device="cuda")
    way = Device().kernels[tripled]
    assert way(np.ones(2)) == "cpu" and way(Elsewhere()) == "cuda"
    assert home((2.0, Elsewhere())) == "cuda", "a Python number lives nowhere"


def test_a_withdrawn_body_is_gone(enter):
    def body(x): return np.zeros_like(x)
    enter(body)
    engine = Device()
    withdraw(body)
    engine.renew(tripled)
    assert not KERNELS[tripled, "cpu"] and tripled not in engine.kernels
    with using(engine): assert tripled(tensor([1.0])).tolist() == [3.0]


def test_other_engines_do_not_see_the_kernels_of_this_one(enter):
    enter(lambda x: np.zeros_like(x))
    with using(Device()): pass
    with using(Engine()): assert tripled(tensor([1.0])).tolist() == [3.0]


def test_declined_is_neither_true_nor_false():
    with pytest.raises(TypeError): bool(DECLINED)
    assert repr(DECLINED) == "DECLINED"


def test_a_kernel_gets_arrays_whose_dtypes_have_met(enter):
    kinds = []
    enter(lambda x: kinds.append((type(x), x.dtype)) or DECLINED)
    with using(Device()): tripled(Tensor(np.array([1, 2])))
    assert kinds == [(np.ndarray, np.dtype(np.float32))]


# ----------------------------------------------------------------------------------------- the compiler

@in_c
def test_c_is_compiled_once_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYTORCH_CACHE", str(tmp_path))
    source = walk("plus", "x", "x + c")
    for _ in range(2):
        out = np.empty(3, np.float32)
        compiled(source, "kept").plus(out, np.arange(3, dtype=np.float32), 1.0)
        assert out.tolist() == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1, "one file, and nothing half done beside it"
    assert capsys.readouterr().err.count("kept compiled in") == 1


@in_c
def test_another_source_is_another_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_CACHE", str(tmp_path))
    for formula in ("x + c", "x - c"): compiled(walk("f", "x", formula), "kept")
    assert len(list(tmp_path.iterdir())) == 2


@in_c
def test_what_the_compiler_says_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_CACHE", str(tmp_path))
    with pytest.raises(NoCompiler, match="wobble"): compiled(walk("f", "x", "wobble(x)"), "broken")
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setattr("tinytorch.compiling.compiler", lambda: None)
    with pytest.raises(NoCompiler, match="no C compiler"): compiled(walk("f", "x", "x"))
