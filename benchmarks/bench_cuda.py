"""What a GPU makes of it: whether everything agrees there, and how fast it is.

    python benchmarks/bench_cuda.py             where there is a GPU, in a few minutes; writes RESULTS.md
    python benchmarks/bench_cuda.py --quick     figures only, shown and not written

First tests/gpu: every op, gradient, kernel and training against the CPU. Then products of matrices and memory
against what the GPU promises, each kernel against the plain forward through CuPy, and one training step of
each network against this machine's CPU and, where it is installed with CUDA, against PyTorch. Times are
between two events in the queue, medians; before anything is timed, it has run. A kernel that is not faster
somewhere should go.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from versus import machine, table, write

# isort: split
import numpy as np
from networks import networks

import tinytorch as tt

PAGE = Path(__file__).resolve().parent / "RESULTS.md"
F = tt.nn.functional


def main() -> None:
    if not tt.cuda.is_available(): sys.exit(f"nothing is measured: {tt.cuda.probe()[1]}")
    quick, began = "--quick" in sys.argv, time.perf_counter()
    suite = "not run" if quick else whole_suite()
    parts = [gpu(), f"tests/gpu: {suite}.", ceilings(), kernels(), steps(),
             f"All of it took {time.perf_counter() - began:.0f} seconds."]
    measured = "\n\n".join(parts)
    if quick: print(measured)
    else: write("bench_cuda.py", measured, PAGE)


def gpu() -> str:
    """What the figures were measured on."""
    cupy, told = tt.cuda.library(), tt.cuda.get_device_properties()
    return machine(f"CuPy {cupy.__version__}", f"CUDA {cupy.cuda.runtime.runtimeGetVersion()}",
                   f"{told.name} ({told.multi_processor_count} processors, {told.total_memory >> 30} GB)")


def whole_suite() -> str:
    """The last line of the tests on the GPU."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-m", "not slow", "--maxfail=30"],
        cwd=PAGE.parents[1], capture_output=True, text=True)
    print(told.stdout[-3000:])
    return told.stdout.strip().splitlines()[-1].strip("= ")


def milliseconds(run: Callable, times: int = 20) -> float:
    """What the GPU takes for it, by events in its queue."""
    for _ in range(3): run()
    found = []
    for _ in range(times):
        start, end = tt.cuda.Event(enable_timing=True), tt.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end))
    return median(found)


def ceilings() -> str:
    """Products of matrices, and a copy: what there is to be had."""
    rows, n = [], 4096
    for name, kind, precision in [("float32", tt.float32, "highest"), ("float32 as TF32", tt.float32, "high"),
                                  ("float16", tt.float16, "highest"), ("bfloat16", tt.bfloat16, "highest")]:
        tt.set_float32_matmul_precision(precision)
        x = tt.randn(n, n).cuda().to(kind)
        took = milliseconds(lambda x=x: x @ x)
        rows.append([f"{n} × {n} product, {name}", f"{2 * n**3 / took / 1e9:.1f} TFLOP/s"])
    tt.set_float32_matmul_precision("highest")
    x = tt.empty(1 << 26, device="cuda")
    rows.append(["copy of 256 MB", f"{2 * x.nbytes / milliseconds(x.clone) / 1e6:.0f} GB/s"])
    return table(["what there is to be had", "found"], rows)


def numbers(*shape): return tt.randn(*shape).cuda().requires_grad_()


def raced() -> dict[str, Callable]:
    """Ops with kernels, each as a function that runs it forward and back."""
    words, image = numbers(8192, 1024), numbers(64, 64, 56, 56)
    w, b, filters = numbers(1024), numbers(1024), numbers(64, 64, 3, 3)
    vocabulary, ids = numbers(4096, 8192), tt.randint(0, 8192, (4096,)).cuda()
    lookup, text = numbers(30_000, 512), tt.randint(0, 30_000, (64, 256)).cuda()

    def both(f): return lambda: f().sum().backward()
    return {
        "softmax 8192×1024": both(lambda: F.softmax(words, -1)),
        "log-softmax 8192×1024": both(lambda: F.log_softmax(words, -1)),
        "cross-entropy 4096×8192": both(lambda: F.cross_entropy(vocabulary, ids)),
        "layer norm 8192×1024": both(lambda: F.layer_norm(words, (1024,), w, b)),
        "gelu 8192×1024": both(lambda: F.gelu(words)),
        "silu 8192×1024": both(lambda: F.silu(words)),
        "convolution 64→64, 3×3, 64×56×56": both(lambda: F.conv2d(image, filters, padding=1)),
        "max pool 2×2, 64×64×56×56": both(lambda: F.max_pool2d(image, 2)),
        "embedding 16,384 of 30,000×512": both(lambda: F.embedding(text, lookup)),
        "SGD, 8 million weights": stepping(tt.optim.SGD, lr=0.1, momentum=0.9),
        "AdamW, 8 million weights": stepping(tt.optim.AdamW),
    }


def stepping(kind, **settings) -> Callable:
    p = tt.nn.Parameter(tt.randn(8192, 1024).cuda())
    p.grad = tt.randn(8192, 1024).cuda()
    return kind([p], **settings).step


def kernels() -> str:
    """Each kernel against the plain forward and rule through CuPy, forward and back together."""
    from tinytorch.column import withdraw
    from tinytorch.cuda_kernels import WAITING, enter_all
    with_kernels = {name: milliseconds(run, 10) for name, run in raced().items()}
    for _, _, body in WAITING: withdraw(body)
    without = {name: milliseconds(run, 5) for name, run in raced().items()}
    enter_all()
    rows = [[name, f"{took:.2f} ms", f"{without[name]:.2f} ms", f"{without[name] / took:.1f}"]
            for name, took in with_kernels.items()]
    return table(["forward and back", "kernel", "plain CuPy", "times as fast"], rows)


NETWORKS = {            # what each learns from, and in how many classes
    "MLP 784-256-128-10, 256": (lambda nets: nets.mlp(), (256, 784), 10, 0),
    "LeNet-5, 256": (lambda nets: nets.LeNet5(), (256, 1, 28, 28), 10, 0),
    "ResNet-20, 128": (lambda nets: nets.ResNet20(), (128, 3, 32, 32), 10, 0),
    "GPT, 4 layers of 128, 32×128": (lambda nets: nets.GPT(), (32, 128), 1000, 1000),
}


def step_of(torch, name: str, device: str) -> Callable:
    """One training step of a network, in a package, on a device; nothing looks at the loss."""
    make, shape, classes, words = NETWORKS[name]
    random = np.random.default_rng(0)
    x = random.integers(0, words, shape) if words else random.standard_normal(shape, np.float32)
    y = random.integers(0, classes, shape if words else shape[:1])
    net = make(networks(torch)).to(device)
    x, y = torch.tensor(x).to(device), torch.tensor(y).to(device)
    optimizer = torch.optim.AdamW(net.parameters())

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x).reshape(-1, classes), y.reshape(-1)).backward()
        optimizer.step()
    return step


def steps() -> str:
    """One training step of each network, on the GPU, on the CPU, and by PyTorch on the GPU."""
    torch = cuda_torch()
    rows = []
    for name in NETWORKS:
        ours, home = milliseconds(step_of(tt, name, "cuda")), seconds(step_of(tt, name, "cpu")) * 1e3
        beside = ["*not there*"] * 2
        if torch is not None:
            theirs = milliseconds(step_of(torch, name, "cuda"))
            beside = [f"{theirs:.2f} ms", f"{ours / theirs:.2f}"]
        rows.append([name, f"{ours:.2f} ms", f"{home:.1f} ms", f"{home / ours:.1f}", *beside])
    columns = ["one training step", "GPU", "CPU, one thread", "times as fast", "PyTorch, GPU", "ratio"]
    return table(columns, rows)


def cuda_torch():
    """PyTorch, if it is installed and sees the GPU."""
    from importlib.util import find_spec
    if find_spec("torch") is None: return None
    import torch
    return torch if torch.cuda.is_available() else None


def seconds(run: Callable, times: int = 3) -> float:
    """What the CPU takes, by the clock."""
    run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return median(found)


if __name__ == "__main__": main()
