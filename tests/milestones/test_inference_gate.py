"""The gate of Inference opens for the reference, and stays shut for packages with one idea broken."""

from pathlib import Path

import pytest

from tests.milestones.judging import one_test

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/inference/milestone.py"

ONLY = one_test("learn")      # so that a package is judged in seconds

# What is appended to the package: its modules, by name.
BREAKER = """
import numpy as np
from tinytorch import ao, benchmarking, compression, costs, kernels, mlops, nodes
from tinytorch import canary, packages, pruning, qconfigs, registry
from tinytorch.tensor import METHODS, Tensor
"""

INT8 = "in eight bits it reads as well, and its bytes are bytes"
PRUNED = "what was left out stays out while the rest learns on"
TAUGHT = "a small network learns from the large one, and in eight bits it is a fraction of it"
TILES = "tiles keep what they fetched, and every product is in them once"
KERNEL = "your kernel beats the textbook's loops"
PROFILE = "a profile says where a step's time went"
LATENCIES = "latencies are counted as MLPerf counts them"
ONNX = "ONNX Runtime gives the same answers"
REGISTRY = "a version is sealed, promoted, and taken back when it fails"
DRIFT = "the world changes, and the watch says so"

# The test that must fail, words of its message, and what breaks the package.
BROKEN = {
    "int8 in name only": (INT8, "one byte", """
ao.quantization.quantize_dynamic = lambda model, *given, **settings: model
"""),
    "a grid that is twice too coarse": (INT8, "half a step", """
coarse = qconfigs.weight_grid
def weight_grid(weight, observer):
    axis, inputs, (scale, zero) = coarse(weight, observer)
    return axis, inputs, (scale * 3, zero)
qconfigs.weight_grid = weight_grid
"""),
    "places that wrap around": (INT8, "half a step", """
def wrapped(input, scale, zero_point, axis=None, quant_min=-128, quant_max=127):
    scale = compression.facing(scale, input.ndim, axis) * 0.8
    places = np.rint(input / scale) + compression.facing(zero_point, input.ndim, axis)
    return places.astype(np.int64).astype(np.int8)
METHODS["quantize_affine"].forward = wrapped
"""),
    "zero points forgotten after the product": (INT8, "something else", """
compression.too_much = lambda *given: 0
"""),
    "bytes that wrap in the sums": (INT8, "", """
METHODS["int8_matmul"].forward = lambda x, w: (x @ w.T).astype(np.int32)
"""),
    "a mask that is put on once": (PRUNED, "changes no answer", """
pruning.BasePruningMethod.apply_mask = lambda self, module: getattr(module, "weight_orig") * 1
"""),
    "the largest are left out": (PRUNED, "smallest", """
good = compression.magnitude_mask
def largest(x, amount, mask=None): return good(Tensor(1 / (abs(x.detach().array) + 1e-9)), amount, mask)
compression.magnitude_mask = pruning.magnitude_mask = largest
"""),
    "a student that is told nothing": (TAUGHT, "reads worse", """
compression.distillation_loss = lambda scores, *given: (scores * 0).sum()
"""),
    "tiles without the last ones": (TILES, "once", """
def tiled(n, tile):
    for i in range(n // tile * tile):
        for k in range(n // tile * tile):
            for j in range(n // tile * tile): yield i, j, k
kernels.tiled = tiled
"""),
    "tiles in the textbook's order": (TILES, "fetch less", """
kernels.tiled = lambda n, tile: ((i, j, k) for i in range(n) for j in range(n) for k in range(n))
"""),
    "tiles that overwrite": (KERNEL, "the product in tiles", """
plus = kernels.tiled_loops
kernels.tiled_loops = lambda: plus().replace("+= x", "= x")
"""),
    "tiles that walk down the columns": (KERNEL, "another order", """
rows = kernels.tiled_loops
def columns():
    body = "for (int64_t j = 0; j < n; j++) for (int64_t k = 0; k < n; k++) for (int64_t i = 0; i < n; i++) "
    code = rows()
    return code[: code.index("for (")] + body + "out[i * n + j] += x[i * n + k] * y[k * n + j]; }"
kernels.tiled_loops = columns
"""),
    "a profiler that sleeps on the way back": (PROFILE, "does not say", """
from tinytorch.autograd import Autograd
benchmarking.Profiler.pull = Autograd.pull
benchmarking.Profiler.backward = Autograd.backward
"""),
    "an addition for a product and a sum": (PROFILE, "operations", """
costs.COSTS["linear"] = lambda out, x, weight, bias=None: costs.Cost(out.size * x.shape[-1], 0)
"""),
    "percentiles between the latencies": (LATENCIES, "one of them", """
benchmarking.percentile = lambda values, q: np.percentile(values, q)
"""),
    "latencies from when a worker is free": (LATENCIES, "when a query arrives", """
benchmarking.queued = lambda arrivals, durations: list(durations)
"""),
    "a weight that is not turned": (ONNX, "", """
nodes.NODES[METHODS["linear"]] = lambda page, x, w, b=None: page.node("Gemm", x, w, b, transB=0)
"""),
    "a bias that is left out": (ONNX, "the same", """
nodes.NODES[METHODS["linear"]] = lambda page, x, w, b=None: page.node("Gemm", x, w, transB=1)
"""),
    "a size of batch baked in": (ONNX, "", """
def baked(page, x, shape): return page.node("Reshape", x, [2, *list(shape)[1:]])
for op in ("reshape", "view"): nodes.NODES[METHODS[op]] = baked
"""),
    "seals that nobody looks at": (REGISTRY, "noticed", """
import json
from pathlib import Path
def trusting(folder, key): return json.loads((Path(folder) / mlops.MANIFEST).read_text())
packages.verified = registry.verified = trusting
packages.signed_bytes = lambda folder, name, manifest: (Path(folder) / name).read_bytes()
"""),
    "a canary that never sings": (REGISTRY, "taken back", """
canary.Canary.record = lambda self, version, failed: self.state
"""),
    "a promotion that changes nothing": (REGISTRY, "", """
registry.Registry.promote = lambda self, *given: None
"""),
    "a watch that looks at one side": (DRIFT, "another world", """
mlops.psi = lambda reference, now, bins=10: np.zeros(64)
"""),
    "a distance of means": (DRIFT, "Kolmogorov", """
mlops.ks_distance = lambda a, b: np.abs(np.mean(a) - np.mean(b))
"""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_idea_keeps_the_gate_shut_and_is_named(what, shut):
    name, word, sabotage = BROKEN[what]
    shut(PROGRAM, BREAKER + sabotage, name, word, "-c", ONLY, PROGRAM, name)


@pytest.mark.slow
def test_the_reference_opens_the_gate(play):
    code, text, report = play(PROGRAM)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0 and "of the digits of unknown hands" in text
    numbers = report["numbers"]
    assert numbers["reads"] >= 0.95 and numbers["small"] >= numbers["reads"] - 0.01
    assert numbers["small_bytes"] < 0.25 * numbers["bytes"]
    assert numbers["int8_bytes"] < 0.27 * numbers["bytes"]
    assert numbers["accounted"] >= 0.9 and numbers["onnx_apart"] < 1e-4


@pytest.mark.parametrize("name", [INT8, PRUNED, PROFILE, LATENCIES, ONNX, DRIFT])
def test_the_reference_passes_what_is_tested_alone(name, play):
    code, _, report = play(PROGRAM, "-c", ONLY, PROGRAM, name)
    assert code == 0 and [t["name"] for t in report["tests"]] == [name]
