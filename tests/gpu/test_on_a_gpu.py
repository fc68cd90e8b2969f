"""What the stand-in promises, on a real GPU: every op, every kernel, whole trainings, streams and memory.

    python -m pytest tests/gpu -m "not slow"        some minutes; skips where there is no GPU, and says why
"""

import numpy as np
import pytest

import tinytorch as t
from tests.reference.test_cuda import NETS, trained
from tests.reference.test_cuda_kernels import CASES, STEPS, both_ways, numbers
from tests.two_devices import TABLES, forwards, gradients

pytestmark = pytest.mark.skipif(not t.cuda.is_available(), reason=t.cuda.probe()[1] or "there is a GPU")
F = t.nn.functional


@pytest.mark.parametrize("table", TABLES)
def test_a_line_gives_what_it_gives_at_home(table):
    assert forwards(table) == []


def test_gradients_are_the_same():
    assert gradients(every=3, twice=False) == []


@pytest.mark.slow
def test_all_gradients_and_their_gradients_are_the_same():
    assert gradients() == []


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_computes_what_the_plain_code_does(case):
    _, arrays, function = CASES[case]
    with t.backends.use_kernels("numpy"): wanted = both_ways(function, arrays, "cpu")
    for x, y in zip(wanted, both_ways(function, arrays, "cuda"), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-4 * np.abs(x).max())


@pytest.mark.parametrize("name", STEPS)
def test_an_optimizer_takes_the_same_steps(name):
    start, slopes = numbers(50, 60), [numbers(50, 60) for _ in range(4)]

    def walk(device: str):
        p = t.nn.Parameter(t.tensor(start, device=device))
        optimizer = STEPS[name]([p])
        for slope in slopes:
            p.grad = t.tensor(slope, device=device)
            optimizer.step()
        return p.detach().cpu().numpy()
    np.testing.assert_allclose(walk("cuda"), walk("cpu"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_a_training_is_the_same(name):
    losses, weights = trained(name, "cpu")
    found, there = trained(name, "cuda")
    np.testing.assert_allclose(found, losses, rtol=1e-3)
    for key, x in weights.items():
        np.testing.assert_allclose(there[key], x, rtol=1e-2, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("kind", [t.float16, t.bfloat16])
def test_products_in_sixteen_bits_add_up_in_thirty_two(kind):
    x, y = t.randn(64, 2000), t.randn(2000, 32)
    with t.autocast("cuda", kind): found = x.cuda() @ y.cuda()
    assert found.dtype is kind
    want = (x.to(kind).float() @ y.to(kind).float()).numpy()
    np.testing.assert_allclose(found.float().cpu().numpy(), want, atol=2e-2 * np.abs(want).max())


def test_tf32_is_off_unless_asked_for():
    x, y = t.randn(256, 256), t.randn(256, 256)
    want = (x.double() @ y.double()).numpy()
    def error(): return np.abs((x.cuda() @ y.cuda()).cpu().numpy() - want).max()
    exact = error()
    t.set_float32_matmul_precision("high")
    try: rough = error()
    finally: t.set_float32_matmul_precision("highest")
    assert exact < 1e-3
    assert not t.cuda.is_tf32_supported() or exact < rough < 0.5


def test_streams_events_and_memory():
    t.cuda.reset_peak_memory_stats()
    before = t.cuda.memory_allocated()
    start, end, side = t.cuda.Event(True), t.cuda.Event(True), t.cuda.Stream()
    start.record()
    with t.cuda.stream(side): x = t.ones(1 << 20, device="cuda")
    t.cuda.current_stream().wait_stream(side)
    y = x + 1
    end.record()
    t.cuda.synchronize()
    assert start.elapsed_time(end) > 0 and y.sum().item() == 2 << 20
    assert t.cuda.memory_allocated() - before >= 8 << 20 and t.cuda.max_memory_allocated() >= 8 << 20
    del x, y
    assert t.cuda.memory_allocated() <= before + (1 << 20) and t.cuda.mem_get_info()[1] > 1 << 30
    t.cuda.empty_cache()


def test_pinned_memory_is_pinned():
    x = t.arange(1000.0).pin_memory()
    assert x.is_pinned() and x.to("cuda", non_blocking=True).sum().item() == 499_500
