"""The CUDA kernels, where there is no GPU: they compile for real ones, and on the CPU they compute what the
plain forwards and rules do."""
# ruff: noqa: E501      a table reads better in one line

import numpy as np
import pytest

import tinytorch as t
import tinytorch.cuda_kernels as cuda_kernels
from tests.cuda_on_cpu import COMPILER, NVRTC, ElementwiseKernel, RawModule
from tinytorch.column import withdraw

F = t.nn.functional
RANDOM = np.random.default_rng(2)
SOURCES = {"rows": cuda_kernels.ROWS, "windows": cuda_kernels.WINDOWS}
ARCHITECTURES = ["sm_75", "sm_80", "sm_90", "sm_100"]           # Turing, Ampere, Hopper, Blackwell


@pytest.fixture(scope="module")
def nvrtc():
    compiler = NVRTC()
    if compiler.missing: pytest.skip(compiler.missing)
    return compiler


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_it_compiles_for_a_gpu_without_a_warning(nvrtc, source, arch):
    assert nvrtc.cubin(SOURCES[source], arch)[:4] == b"\x7fELF"


@pytest.mark.parametrize("name", cuda_kernels.FORMULAS)
def test_a_formula_compiles_for_a_gpu(nvrtc, name):
    """Written out as CuPy writes it, by and large: NVRTC finds what is misspelt."""
    given, made, body = cuda_kernels.FORMULAS[name]
    kernel = ElementwiseKernel(given, made, body, f"walk_{name}", cuda_kernels.PREAMBLE)
    assert nvrtc.cubin(kernel.code.replace("static __device__", "static __device__ __attribute__((unused))"),
                       "sm_75")[:4] == b"\x7fELF"


def test_a_mistake_is_found(nvrtc):
    with pytest.raises(RuntimeError, match="undefined"):
        nvrtc.cubin(cuda_kernels.ROWS.replace("expf(x[j] - top)", "expf(x[j] - topp)"), "sm_80")


# ------------------------------------------------------------------------------------- what they compute


@pytest.fixture
def kernels(gpu, monkeypatch):
    """The kernels in the table, on the stand-in, whose memory they work in; and which of them were run."""
    if COMPILER is None: pytest.skip("there is no C++ compiler to run CUDA sources on the CPU with")
    from tests.stand_in import cupy
    monkeypatch.setattr(cupy, "RawModule", RawModule, raising=False)
    monkeypatch.setattr(cupy, "ElementwiseKernel", ElementwiseKernel, raising=False)
    ran: list[str] = []
    launch, formula = cuda_kernels.launch, cuda_kernels.formula
    monkeypatch.setattr(cuda_kernels, "launch", lambda *given: ran.append(given[1]) or launch(*given))
    monkeypatch.setattr(cuda_kernels, "formula", lambda name: ran.append(name) or formula(name))
    cuda_kernels.enter_all()
    yield ran
    for _, _, body in cuda_kernels.WAITING: withdraw(body)


def numbers(*shape): return RANDOM.standard_normal(shape).astype(np.float32)
def whole(n, *shape): return RANDOM.integers(0, n, shape)


def ties(*shape): return np.round(numbers(*shape))


CASES = {       # the kernels that should run; the arrays; the function
    "softmax": ("softmax softmax_back", [numbers(7, 45)], lambda x: F.softmax(x, -1)),
    "softmax of few": ("softmax softmax_back", [numbers(2, 3, 5)], lambda x: F.softmax(x, 2)),
    "log_softmax": ("log_softmax log_softmax_back", [numbers(5, 70)], lambda x: F.log_softmax(x, 1)),
    "cross entropy": ("surprise surprise_back", [numbers(9, 33), whole(33, 9)], F.cross_entropy),
    "cross entropy, some ignored": ("surprise surprise_back", [numbers(4, 7), np.array([1, -100, 6, -100])],
                                    F.cross_entropy),
    "layer norm": ("standardize standardize_back standardize_back_columns",
                   [numbers(6, 3, 40), numbers(40), numbers(40)], lambda x, w, b: F.layer_norm(x, (40,), w, b)),
    "layer norm over two": ("standardize standardize_back standardize_back_columns",
                            [numbers(150, 3, 5), numbers(3, 5), numbers(3, 5)],
                            lambda x, w, b: F.layer_norm(x, (3, 5), w, b)),
    "layer norm alone": ("standardize standardize_back", [numbers(5, 64)], lambda x: F.layer_norm(x, (64,))),
    "gelu": ("gelu gelu_back", [2 * numbers(11, 13)], F.gelu),
    "gelu tanh": ("gelu_tanh gelu_tanh_back", [2 * numbers(11, 13)], lambda x: F.gelu(x, approximate="tanh")),
    "silu": ("silu silu_back", [3 * numbers(4, 100)], F.silu),
    "conv": ("im2col im2col col2im", [numbers(2, 3, 9, 8), numbers(5, 3, 3, 2), numbers(5)], F.conv2d),
    "conv, all ways": ("im2col im2col col2im", [numbers(3, 2, 12, 11), numbers(4, 2, 3, 3), numbers(4)],
                       lambda x, w, b: F.conv2d(x, w, b, (2, 3), (1, 2), (2, 1))),
    "conv, same": ("im2col im2col col2im", [numbers(2, 2, 6, 7), numbers(3, 2, 4, 4)],
                   lambda x, w: F.conv2d(x, w, padding="same")),
    "conv of pixels": ("", [numbers(2, 6, 5, 4), numbers(3, 6, 1, 1), numbers(3)], F.conv2d),
    "max pool": ("max_pool max_pool_back", [numbers(2, 3, 8, 6)], lambda x: F.max_pool2d(x, 2)),
    "max pool, ties": ("max_pool max_pool_back", [ties(2, 2, 9, 10)], lambda x: F.max_pool2d(x, 3, 2, 1)),
    "max pool, dilated": ("max_pool max_pool_back", [numbers(3, 9, 9)],
                          lambda x: F.max_pool2d(x, (2, 3), 1, 1, 2, ceil_mode=True)),
    "embedding": ("add_rows", [whole(6, 4, 5), numbers(6, 7)], F.embedding),
}


def both_ways(function, arrays: list, device: str) -> list:
    """What a function gives, and its gradients for the floats."""
    given = [t.tensor(x, device=device) for x in arrays]
    leaves = [x.requires_grad_() for x in given if x.dtype is t.float32]
    out = function(*given)
    weigh = t.tensor(np.cos(np.arange(out.numel()), dtype=np.float32).reshape(tuple(out.shape)), device=device)
    grads = t.autograd.grad((out * weigh).sum(), leaves)
    return [x.detach().cpu().numpy() for x in (out, *grads)]


@pytest.mark.parametrize("case", CASES)
def test_a_kernel_computes_what_the_plain_code_does(case, kernels):
    names, arrays, function = CASES[case]
    with t.backends.use_kernels("numpy"): wanted = both_ways(function, arrays, "cpu")
    assert kernels == [], "arrays of the CPU are not for these kernels"
    found = both_ways(function, arrays, "cuda")
    assert sorted(kernels) == sorted(names.split()), "not every kernel ran that should have"
    for x, y in zip(wanted, found, strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-5 * np.abs(x).max())


@pytest.mark.parametrize("x", [numbers(4, 6).astype(np.float64), numbers(6, 4).T, numbers(4, 12)[:, ::2],
                               numbers(0, 6)], ids=["float64", "turned", "gaps", "empty"])
@pytest.mark.parametrize("function", [lambda x: F.softmax(x, -1), lambda x: F.layer_norm(x, (x.shape[1],))])
def test_what_a_kernel_was_not_written_for_it_declines(function, x, kernels):
    want = function(t.tensor(x)).numpy()
    found = function(t.Tensor(x).to("cuda") if x.size else t.tensor(x, device="cuda"))
    np.testing.assert_allclose(found.cpu().numpy(), want, rtol=1e-6)
    assert kernels == [] or x.flags.c_contiguous is False


def test_extremes_are_what_they_are_at_home(kernels):
    x = np.array([[np.inf, 0, 1], [np.nan, 0, 1], [-np.inf, 0, 1], [-np.inf] * 3, [1e30, -1e30, 0]], np.float32)
    for function in (lambda x: F.softmax(x, -1), lambda x: F.log_softmax(x, -1)):
        np.testing.assert_allclose(function(t.tensor(x, device="cuda")).cpu().numpy(),
                                   function(t.tensor(x)).numpy(), rtol=1e-6)
    room = np.full((1, 1, 4, 4), -np.inf, np.float32)
    room[0, 0, 0, 1] = np.nan
    pooled = F.max_pool2d(t.tensor(room, device="cuda"), 2).cpu().numpy()
    np.testing.assert_array_equal(pooled, [[[[np.nan, -np.inf], [-np.inf, -np.inf]]]])


def test_a_label_that_is_no_class_makes_the_loss_nan(kernels):
    loss = F.cross_entropy(t.tensor(numbers(2, 3), device="cuda"), t.tensor([0, 7], device="cuda"), reduction="none")
    assert np.isnan(loss.tolist()).tolist() == [False, True]


STEPS = {
    "sgd": lambda p: t.optim.SGD(p, 0.1, weight_decay=0.01),
    "sgd_momentum": lambda p: t.optim.SGD(p, 0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda p: t.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda p: t.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw": lambda p: t.optim.AdamW(p, 0.01, betas=(0.8, 0.99), weight_decay=0.1),
}


@pytest.mark.parametrize("name", STEPS)
def test_an_optimizer_takes_the_same_steps(name, kernels):
    start, slopes = numbers(5, 6), [numbers(5, 6) for _ in range(4)]

    def walk(device: str):
        p = t.nn.Parameter(t.tensor(start, device=device))
        optimizer = STEPS[name]([p])
        for slope in slopes:
            p.grad = t.tensor(slope, device=device)
            optimizer.step()
        return p.detach().cpu().numpy()
    with t.backends.use_kernels("numpy"): wanted = walk("cpu")
    np.testing.assert_allclose(walk("cuda"), wanted, rtol=1e-5, atol=1e-6)
    assert len(kernels) == 4, "each step is one walk"
