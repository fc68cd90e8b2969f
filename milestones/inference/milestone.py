"""2015: Han, Mao and Dally press a network of 240 MB into 7, and it sees as well as before.
2018: a consortium writes down how claims about speed have to be measured, and calls it MLPerf.

A network of yours learns to read. Then you make it small, find out where its time goes, hand it to a
stranger's runtime, and put it into service. Every number is measured here, and judged outside your code.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn as nn
import tinytorch.nn.functional as F
from tinytorch import benchmarking, compiling, compression, kernels, mlops, monitoring, registry
from tinytorch.nn.utils import prune
from tinytorch.optim import AdamW
from tinytorch.safetensors import save_file

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
sys.path.append(str(HERE.parent))

from digits import images, labels, moved, unseen  # noqa: E402  milestones/digits.py
from gates import Gates, Wrong, close  # noqa: E402  milestones/gates.py

READS, LOST, SMALLER = 0.95, 0.01, 0.75     # of the digits; at most a point less; of the bytes gone
SPEED_UP, ACCOUNTED, AGREE = 2.0, 0.9, 1e-4
SHARE = 1.0                                 # of each training: those who test the gate itself take less

# ---------------------------------------------------------------------------------------- what is given

pixels = (images / 8 - 1).reshape(-1, 64)
known, answers = pixels[~unseen], labels[~unseen]
strange, truth = pixels[unseen], labels[unseen]
gates = Gates()


def tensor(array):
    """A Tensor with memory of its own, so that nothing done to it reaches the array."""
    return tt.tensor(np.array(array, order="C"))


def said(model, x) -> np.ndarray:
    """What a network says of an array."""
    with tt.no_grad(): return model.eval()(tensor(x)).numpy()


def right(scores) -> float:
    """The share of unknown hands that is read rightly."""
    return float((scores.argmax(1) == truth).mean())


def network(*widths: int):
    """Linear layers of these widths, with ReLU between them."""
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def batches(steps: int, size: int = 64, seed: int = 2015):
    """Digits that may be seen, moved a little: (n, 64), (n,)."""
    dice = np.random.default_rng(seed)
    for _ in range(steps):
        some = dice.integers(0, len(known), size)
        yield tensor(moved(known[some].reshape(-1, 8, 8), dice).reshape(size, 64)), tensor(answers[some])


def learn(model, steps: int, rate: float, loss=lambda model, x, y: F.cross_entropy(model(x), y)):
    """So many steps of AdamW, the rate falling in a straight line."""
    steps = round(steps * SHARE)
    optimizer = AdamW(model.parameters(), lr=rate)
    for step, (x, y) in enumerate(batches(steps)):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        model.train()
        value = loss(model, x, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model.eval()


@cache
def reader():
    """The network that this is about: 64-256-128-10, trained from scratch."""
    tt.manual_seed(2015)
    return learn(network(64, 256, 128, 10), 2500, 3e-3)


def written(model) -> Path:
    """The weights of a model in a file."""
    path = Path(tempfile.mkdtemp(dir=FOLDER.name)) / "weights.safetensors"
    save_file(model.state_dict(), path)
    return path


FOLDER = tempfile.TemporaryDirectory(prefix="inference-")


KINDS = {"F32": np.float32, "F16": np.float16, "I8": np.int8, "I32": np.int32, "I64": np.int64}


def contents(path: Path) -> dict:
    """What is in a safetensors file, read without your code: name -> array."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    found = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__": continue
        start, stop = (8 + length + place for place in entry["data_offsets"])
        found[name] = np.frombuffer(data[start:stop], KINDS[entry["dtype"]]).reshape(entry["shape"])
    return found


def layered(weights: list, x) -> np.ndarray:
    """What linear layers with ReLU between them say, in plain NumPy: [(weight, bias), …]."""
    for n, (weight, bias) in enumerate(weights):
        x = x @ weight.T + bias
        if n + 1 < len(weights): x = np.maximum(x, 0)
    return x

# ---------------------------------------------------------------------------------------------- small


@gates.test("a network learns to read")
def _():
    score = right(said(reader(), strange))
    gates.numbers.update(reads=score, bytes=written(reader()).stat().st_size)
    if score < READS: raise Wrong("it reads too few digits of unknown hands", f"{READS:.0%}", f"{score:.1%}")


def bytes_of_int8(path: Path) -> list:
    """The weights of an int8 file as the floats that they stand for, and Wrong if they are no bytes."""
    held = contents(path)
    layers = [name.removesuffix("weight") for name in held if name.endswith("weight")]
    for layer in layers:
        kind = held[f"{layer}weight"].dtype
        if kind != np.int8: raise Wrong("a weight of eight bits takes one byte in the file", "int8", kind)
    return [((held[f"{at}weight"].astype(float) - column(held.get(f"{at}weight_zero_point", np.zeros(()))))
             * column(held[f"{at}weight_scale"]), held[f"{at}bias"]) for at in layers]


def column(values): return np.asarray(values, float).reshape(-1, 1)


def as_well_as_before(score: float, otherwise: str) -> None:
    """Wrong, if that is more than a point below what the whole network reads."""
    before = right(said(reader(), strange))
    if before - score > LOST: raise Wrong(otherwise, f"{before - LOST:.1%}", f"{score:.1%}")


@gates.test("in eight bits it reads as well, and its bytes are bytes")
def _():
    small = tt.ao.quantization.quantize_dynamic(reader())
    path, plain = written(small), [p.detach().numpy() for p in reader().parameters()]
    weights = bytes_of_int8(path)
    for n, (weight, _) in enumerate(weights):
        step = np.abs(plain[2 * n]).max() / 127.5
        close(weight, plain[2 * n], "a weight moves by no more than half a step of its grid", 0.55 * step)
    scores = said(small, strange)
    gates.numbers.update(int8=right(scores), int8_bytes=path.stat().st_size)
    alone = layered(weights, strange)
    off = np.abs(scores - alone).max() / np.abs(alone).max()
    if off > 0.05:
        raise Wrong("the layers say something else than the bytes in their file", "5 % apart", f"{off:.0%}")
    as_well_as_before(min(right(scores), right(alone)), "eight bits cost more than a point")


@gates.test("what was left out stays out while the rest learns on")
def _():
    tt.manual_seed(2015)
    thin = network(64, 256, 128, 10)
    thin.load_state_dict(reader().state_dict())
    for layer in list(thin)[::2]: prune.l1_unstructured(layer, "weight", 0.6)
    before = [np.abs(p.detach().numpy()) for p in list(reader().parameters())[::2]]
    learn(thin, 400, 1e-3)
    masked = said(thin, strange)
    for layer in list(thin)[::2]: prune.remove(layer, "weight")
    close(said(thin, strange), masked, "it has learned without them: taking the masks off changes no answer")
    for layer, size in zip(list(thin)[::2], before):
        out = layer.weight.detach().numpy() == 0
        if abs(out.mean() - 0.6) > 0.01:
            raise Wrong("three fifths of the weights are zero", "60 %", f"{out.mean():.0%}")
        if size[out].max() > size[~out].min() + 1e-7:
            raise Wrong("the smallest weights are left out, no others")
    gates.numbers.update(pruned=right(said(thin, strange)))
    as_well_as_before(gates.numbers["pruned"], "thinning costs more than a point")


@cache
def taught():
    """A network of a tenth, which has seen no label: the large one told it how sure it is of what."""
    teacher = reader()
    tt.manual_seed(2018)

    def loss(model, x, _):
        with tt.no_grad(): scores = teacher(x)
        return compression.distillation_loss(model(x), scores)
    return learn(network(64, 64, 10), 2500, 5e-3, loss)


@gates.test("a small network learns from the large one, and in eight bits it is a fraction of it")
def _():
    student = tt.ao.quantization.quantize_dynamic(taught())
    path = written(student)
    weights = bytes_of_int8(path)
    size, whole = path.stat().st_size, written(reader()).stat().st_size
    score = min(right(said(student, strange)), right(layered(weights, strange)))
    gates.numbers.update(small=score, small_bytes=size)
    if 1 - size / whole < SMALLER:
        raise Wrong("it is not small enough", f"{SMALLER:.0%} smaller", f"{1 - size / whole:.0%}")
    as_well_as_before(score, "the small network reads worse by more than a point")

# ---------------------------------------------------------------------------------------------- fast

TEXTBOOK = r"""
KERNEL void textbook(array *outs, array *xs, array *ys, int64_t n, int64_t tile) {
    float *restrict out = FLOATS(outs), *restrict x = FLOATS(xs), *restrict y = FLOATS(ys);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < n; k++) out[i * n + j] += x[i * n + k] * y[k * n + j];
}
"""


def fastest(run, tries: int = 5) -> float:
    """Seconds of the quickest of a few runs."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


@gates.test("tiles keep what they fetched, and every product is in them once")
def _():
    for n, tile in ((7, 3), (16, 4), (10, 16)):
        order = list(kernels.tiled(n, tile))
        if sorted(order) != [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]:
            raise Wrong(f"the tiles of a {n} x {n} product hold each (i, j, k) once")
    n = 48
    plain = ((i, j, k) for i in range(n) for j in range(n) for k in range(n))
    fetched, before = kernels.misses(kernels.tiled(n, 8), n), kernels.misses(plain, n)
    gates.numbers.update(misses=fetched / before)
    if fetched > before / 3: raise Wrong("tiles fetch less from memory", f"{before // 3} lines", fetched)


@gates.test("your kernel beats the textbook's loops")
def _():
    if compiling.compiler() is None:
        gates.numbers.update(speed_up="no C compiler here")
        return
    n, dice = 512, np.random.default_rng(13)
    x, y = dice.standard_normal((2, n, n)).astype(np.float32)
    library = compiling.compiled(TEXTBOOK + kernels.tiled_loops())
    out = np.zeros((n, n), np.float32)
    library.tiled(out, x, y, n, 64)
    close(out, x.astype(float) @ y, "the product in tiles is the product", 1e-3)
    slow = fastest(lambda: library.textbook(out, x, y, n, 0), 2)
    fast = fastest(lambda: library.tiled(out, x, y, n, 64))
    roof = max(2e-9 * n**3 / fastest(lambda: x @ y), benchmarking.this_machine().gflops)
    speed = 2e-9 * n**3 / fast
    gates.numbers.update(speed_up=slow / fast, gflops=speed, of_the_roof=speed / roof)
    if slow / fast < SPEED_UP:
        raise Wrong("the same operations in another order are faster", f"{SPEED_UP:g} times",
                    f"{slow / fast:.1f} times")


@gates.test("a profile says where a step's time went")
def _():
    tt.manual_seed(0)
    model = network(64, 256, 128, 10)
    optimizer, x, y = AdamW(model.parameters()), tensor(known[:256]), tensor(answers[:256])

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    step()
    best = 0.0
    for _ in range(20):                             # whatever else runs on this machine can only hide time
        start = time.perf_counter()
        with benchmarking.profiled() as p:
            for _ in range(10): step()
        whole = time.perf_counter() - start
        spans = p.book.spans
        table = benchmarking.Table(spans)
        best = max(best, min(table.accounted, covered(spans) / whole))
        if best >= ACCOUNTED: break
    gates.numbers.update(accounted=best)
    if best < ACCOUNTED:
        raise Wrong("the profile does not say where a step's time went", f"{ACCOUNTED:.0%}", f"{best:.0%}")
    flops = sum(span.cost.flops for span in spans if span.name == "linear")
    wanted = 10 * 256 * sum(b * (2 * a + 1) for a, b in ((64, 256), (256, 128), (128, 10)))
    if flops != wanted: raise Wrong("a product of (n, a) and (a, b) takes n b 2 a operations", wanted, flops)


def covered(spans) -> float:
    """The seconds in which some span inside the whole was open, counted here."""
    reached, total = -np.inf, 0.0
    for span in sorted(spans, key=lambda span: span.began):
        if span.inside is None: continue
        total += max(0.0, span.ended - max(span.began, reached))
        reached = max(reached, span.ended)
    return total


@gates.test("latencies are counted as MLPerf counts them")
def _():
    dice = np.random.default_rng(2018)
    for n in (1, 7, 100, 1000):
        values = dice.exponential(size=n).tolist()
        for q in (50, 90, 99, 100):
            want = float(np.percentile(values, q, method="inverted_cdf"))
            found = benchmarking.percentile(values, q)
            close(found, want, f"the {q} % percentile of {n} latencies is one of them")
    arrivals, took = np.cumsum(dice.exponential(1.0, 300)), dice.exponential(0.8, 300)
    free, want = 0.0, []
    for at, needs in zip(arrivals, took):
        free = max(free, at) + needs
        want.append(free - at)
    found = benchmarking.queued(arrivals.tolist(), took.tolist())
    close(found, want, "a latency begins when a query arrives")
    model, one = network(64, 64, 10).eval(), tensor(strange[:1])
    with tt.no_grad():
        seen = benchmarking.single_stream(model, [one], count=200, duration=0.1)
        alone, many = fastest(lambda: model(one), 50), fastest(lambda: model(tensor(strange[:256]))) / 256
    gates.numbers.update(p90=benchmarking.percentile(seen, 90), together=alone / many)
    if len(seen) < 200: raise Wrong("a single stream asks at least so many queries", 200, len(seen))

# ------------------------------------------------------------------------------------- for strangers


@gates.test("ONNX Runtime gives the same answers")
def _():
    try:
        import onnx
        import onnxruntime
    except ImportError as missing:
        raise Wrong(f"there is no {missing.name} here: pip install 'tinytorch-tito[onnx]'") from missing
    convolutional = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
                                  nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10), nn.Softmax(1))
    apart = 0.0
    for name, model in (("reader", reader()), ("convolutional", convolutional)):
        path = Path(FOLDER.name) / f"{name}.onnx"
        tt.onnx.export(model, (tensor(strange[:2]),), path, input_names=["x"], output_names=["scores"],
                       dynamic_axes={"x": {0: "batch"}})
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for n in (1, 7, 64):
            [theirs] = session.run(["scores"], {"x": strange[:n]})
            close(theirs, said(model, strange[:n]), f"ONNX Runtime says the same of {n} digits", AGREE)
            apart = max(apart, float(np.abs(theirs - said(model, strange[:n])).max()))
    gates.numbers.update(onnx_apart=apart)


@gates.test("a version is sealed, promoted, and taken back when it fails")
def _():
    shelf = registry.Registry(Path(FOLDER.name) / "registry", b"a secret of 2018")
    layers = ("Linear", 64, 64), ("ReLU",), ("Linear", 64, 10)
    plan = registry.words("tinytorch.nn.Sequential",
                       *[registry.words(f"tinytorch.nn.{kind}", *sizes) for kind, *sizes in layers])
    broken = network(64, 64, 10)
    for model in (taught(), broken): shelf.publish("digits", model, architecture=plan, licence="MIT")
    shelf.promote("digits", "live", 1)
    close(shelf.load("digits", "live").answer(strange[:5]).numpy(), said(taught(), strange[:5]),
          "a network from the registry says what it said before")
    canary = monitoring.Canary(shelf.alias("digits", "live"), 2, share=0.3)
    models = {n: shelf.load("digits", n) for n in (1, 2)}
    served = {1: 0, 2: 0}
    for n in range(4000):
        version, at = canary.route(f"user {n}"), n % len(strange)
        answer = models[version].answer(strange[at : at + 1]).numpy()
        canary.record(version, int(answer.argmax()) != truth[at])
        served[version] += 1
        if canary.state != "wait": break
    gates.numbers.update(canary=served[2])
    if canary.state != "back" or shelf.alias("digits", "live").version != 1:
        raise Wrong("a version that reads nothing is taken back", "back, and 1 stays live", canary.state)
    file = shelf.folder("digits", 1) / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(bytes(data))
    try: shelf.load("digits", 1)
    except registry.Tampered: return
    raise Wrong("one bit of a sealed file was changed, and nobody noticed", "Tampered", "a network")


@gates.test("the world changes, and the watch says so")
def _():
    half = len(strange) // 2
    calm = float(np.median(mlops.psi(known, strange[:half])))
    negative = float(np.median(mlops.psi(known, -strange[:half])))
    gates.numbers.update(calm=calm, drift=negative)
    if not calm < 0.25 < negative:
        raise Wrong("white on black is another world than black on white", "below 0.25, then above",
                    f"{calm:.2f}, {negative:.2f}")
    a, b = strange.mean(1), strange.mean(1) * 0.8
    at = np.sort(np.concatenate([a, b]))
    want = max(abs((a[:, None] <= at).mean(0) - (b[:, None] <= at).mean(0)))
    close(mlops.ks_distance(a, b), want, "the distance of Kolmogorov and Smirnov")

# ------------------------------------------------------------------------------------------- the story


def main() -> int:
    print(f"{__doc__}")
    if not gates.run(): return 1
    n = gates.numbers
    saved = 1 - n["small_bytes"] / n["bytes"]
    print(f"""
  Your network reads {n['reads']:.1%} of the digits of unknown hands, with {n['bytes']:,} bytes.
  In eight bits: {n['int8']:.1%} with {n['int8_bytes']:,}; without 60 % of its weights: {n['pruned']:.1%}.
  A small one that it taught reads {n['small']:.1%}, with {n['small_bytes']:,}: {saved:.0%} less.
""")
    if "gflops" in n:
        print(f"  Your tiles are {n['speed_up']:.0f} times as fast as the textbook's loops, and reach "
              f"{n['of_the_roof']:.0%} of this machine's roof.")
    print(f"  Your profiler accounts for {n['accounted']:.0%} of a training step. ONNX Runtime's answers are "
          f"{n['onnx_apart']:.0e} from yours.\n  A version that could not read was taken back after "
          f"{n['canary']} answers.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
