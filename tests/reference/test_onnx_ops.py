"""Every op that is written as ONNX nodes, run by ONNX Runtime, gives what PyTorch gives.

A line is run by PyTorch, by TinyTorch while it is traced, and as the nodes that come of it, with the batch of
the example and with another one. An op without nodes has a reason.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch.tensor import Op
from tito.core.curriculum import parse

onnx = pytest.importorskip("onnx", reason="pip install 'tinytorch-tito[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="pip install 'tinytorch-tito[onnx]'")
torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")

from tinytorch.nodes import NODES, BakedIn, Unwritten  # noqa: E402   # after the skips
from tinytorch.onnx import export  # noqa: E402

COURSE = Path(__file__).resolve().parents[2] / "modules"


def numbers(n: int, seed: int = 0) -> dict:
    """What lines are made of; everything with `n` in its shape is a batch."""
    rng = np.random.default_rng(seed)
    def f(*shape): return rng.standard_normal(shape).astype(np.float32)
    return {
        "x": f(n, 4, 6), "y": f(n, 4, 6), "m": f(n, 5), "w": f(5, 6), "b": f(5),
        "p": rng.uniform(0.1, 0.9, (n, 4)).astype(np.float32), "t": rng.integers(0, 2,
                                                                                 (n, 4)).astype(np.float32),
        "i": rng.integers(-9, 9, (n, 4)), "j": rng.integers(1, 5, (n, 4)), "flags": rng.random((n, 4)) < 0.5,
        "ids": rng.integers(0, 5, (n, 3)), "line": f(n, 4, 9), "img": f(n, 4, 8, 10), "solid": f(n, 2, 5, 6,
                                                                                                 4),
        "q": f(n, 2, 3, 4), "k": f(n, 2, 5, 4), "v": f(n, 2, 5, 6), "labels": rng.integers(0, 4, (n, 6)),
        "sq": f(n, 3, 3),
        "wild": np.where(rng.random((n, 4)) < 0.3, np.nan, f(n, 4)).astype(np.float32),
    }


F = "t.nn.functional"
LINES = [
    # numbers
    "x + y", "x - y", "t.add(x, y, alpha=2)", "t.sub(x, 2.0, alpha=0.5)", "x * y", "x / y", "i / j", "-x",
    "x * 2", "1 - x", "x.exp()", "p.log()", "p.sqrt()", "p.rsqrt()", "p.reciprocal()", "x ** 2", "p ** 0.5",
    "x.square()", "x.abs()", "x.sin()", "x.cos()", "x.tan()", "p.asin()", "p.acos()", "x.atan()",
    "x.sinh()", "x.cosh()", "x.asinh()", "(p + 1).acosh()", "p.atanh()", "x.erf()", "x.erfc()", "x.sign()",
    "i.sign()", "x.sgn()", "x.floor()", "x.ceil()", "x.trunc()", "x.round()", "t.round(x, decimals=1)",
    "x.frac()", "x.exp2()", "x.expm1()", "p.log1p()", "p.log2()", "p.log10()", "t.hypot(x, y)",
    "t.logaddexp(x, y)", "t.logaddexp2(x, y)", "t.xlogy(t.relu(x), y.abs())", "p.logit()",
    "t.logit(p, eps=0.2)", "t.sinc(t.relu(x))", "t.deg2rad(x)", "t.rad2deg(x)", "t.maximum(x, y)",
    "t.minimum(x, y)", "t.fmax(wild, p)", "t.fmin(wild, p)", "x.clamp(-0.5, 0.5)", "x.clamp(min=0)",
    "x.clamp(max=0.1)", "t.lerp(x, y, 0.3)", "t.addcmul(x, y, y, value=0.5)",
    "t.addcdiv(x, y, y.abs() + 1, value=2)", "x % 2.0", "i % 3", "t.fmod(x, 2.0)", "t.fmod(i, j)",
    "x // 0.5", "i // j", "t.div(x, y, rounding_mode='trunc')", "t.div(i, j, rounding_mode='trunc')",
    "t.heaviside(x, y)", "t.copysign(x, y)", "t.nan_to_num(wild)", "t.nan_to_num(wild, nan=2.0)",
    "t.positive(x)", "i + 1.5", "i + j", "flags + i", "j.to(t.uint8) << 1", "j.to(t.uint8) >> 1",
    "t.fill(x, 3.0)",
    # truths
    "x > y", "x >= 0", "x < y", "x <= y", "i == j", "i != j", "t.where(flags, p, 0.0)",
    "t.where(x > 0, x, y)", "~flags", "flags & (p > 0.5)", "flags | (p > 0.5)", "flags ^ (p > 0.5)",
    "i & j", "i | j", "i ^ j", "~i", "wild.isnan()", "(p / t).isinf()", "(p / t).isposinf()",
    "(-p / t).isneginf()", "(p / t).isfinite()", "t.logical_and(i, j)", "t.logical_or(i, t.zeros_like(j))",
    "t.logical_xor(i, j)", "t.logical_not(i)", "p.masked_fill(flags, -1.0)",
    "p.masked_fill(flags, float('-inf')).softmax(1)",
    # bends
    "x.relu()", "x.sigmoid()", "x.tanh()", "x.softmax(-1)", "x.softmax(1)", "x.log_softmax(2)",
    f"{F}.gelu(x)", f"{F}.gelu(x, approximate='tanh')", f"{F}.leaky_relu(x, 0.2)", f"{F}.prelu(x, b[:4])",
    f"{F}.prelu(x, b[:1])", f"{F}.elu(x, 0.5)", f"{F}.celu(x, 0.5)", f"{F}.selu(x)", f"{F}.silu(x)",
    f"{F}.mish(x)", f"{F}.softplus(x, 2.0)", f"{F}.softplus(x * 20)", f"{F}.logsigmoid(x)",
    f"{F}.softsign(x)", f"{F}.tanhshrink(x)", f"{F}.hardsigmoid(x * 3)", f"{F}.hardswish(x * 3)",
    f"{F}.hardshrink(x)", f"{F}.softshrink(x)", f"{F}.hardtanh(x)", f"{F}.relu6(x * 4)",
    f"{F}.threshold(x, 0.1, 7.0)", f"{F}.glu(x)", f"{F}.softmin(x, dim=1)",
    # reductions
    "x.sum()", "x.sum(1)", "x.sum((1, 2), keepdim=True)", "i.sum(1)", "flags.sum(1)", "x.mean(2)",
    "x.mean((0, 2))", "x.prod(1)", "x.amax(1)", "x.amin((1, 2))", "x.max(1)", "x.min(2, keepdim=True)",
    "x.argmax(1)", "x.argmax()", "x.argmin(-1, keepdim=True)", "x.var(1)", "x.std(2)", "x.logsumexp(1)",
    "x.norm(dim=1)", "x.norm(p=1, dim=2)", "flags.all(1)", "flags.any(1)", "x.cumsum(1)",
    "t.count_nonzero(flags, dim=1)", "t.nansum(wild, 1)", "t.linalg.det(sq)",
    # shapes
    "x.reshape(len(x), 24)", "x.view(-1, 6)", "x.flatten(1)", "x.transpose(1, 2)", "x.permute(2, 0, 1)",
    "x.unsqueeze(1)", "x[:, :1].squeeze(1)", "b.expand(len(x), 5)", "x.mT", "x[0]", "x[:, 1]",
    "x[:, -1, 2:5]", "x[..., None, ::2]", "x[:, 1:3, -2]", "x[:, t.tensor([2, 0, 2])]",
    "x[:, labels[:, 0]]", "w[ids]", "w[ids[:, 0]]", "t.cat([x, y], 1)", "t.stack([x, y], 1)",
    "t.cat([x, x], 0)", "x.split(2, 1)", "x.chunk(3, 2)", "x.unbind(1)", "x.narrow(1, 1, 2)",
    "x.select(2, -1)", "x.repeat(1, 2, 3)", "x.repeat(2, 1, 1, 1)", "x.repeat_interleave(2, 1)",
    "x.flip(1)", "x.flip((1, 2))", "x.roll(2, 1)", "x.roll((1, -1), (1, 2))", "x.tril()", "x.triu(1)",
    "x.diagonal(0, 1, 2)", "x.unfold(2, 3, 2)", "x.clone()", "x.detach()", "x.to(t.float64)", "i.float()",
    "x.int()", "x.bool()", "x.movedim(1, 2)", "t.nn.functional.pad(x, (1, 2))",
    "t.nn.functional.pad(x, (1, 0, 2, 1), value=3.0)", "t.nn.functional.pad(x, (1, 2), mode='reflect')",
    "t.nn.functional.pad(x, (1, 2), mode='replicate')", "t.nn.functional.pad(x, (1, 2), mode='circular')",
    "t.zeros(len(x), 3) + 1", "t.arange(len(x)) * 2", "t.full_like(x, 3.0)",
    # places
    "p.gather(1, j[:, :3] - 1)", "t.take_along_dim(p, j - 1, 1)", "x.index_select(1, t.tensor([3, 1]))",
    "x.take(j)", "p.put(t.tensor([0, 3]), w[0, :2])", "p.put(t.tensor([1, 1]), w[0, :2], accumulate=True)",
    "p.scatter(1, j[:, :2] - 1, 5.0)", "p.scatter_add(1, j - 1, t.ones_like(p))",
    "p.scatter_reduce(1, j - 1, t.ones_like(p) * 0.7, 'amax')",
    "x.index_add(1, t.tensor([1, 1]), y[:, :2], alpha=2)", "x.index_copy(1, t.tensor([2, 0]), y[:, :2])",
    "x.topk(3, 2)", "x.topk(2, 1, largest=False)", "x.sort(2)", "x.sort(1, descending=True)",
    "x.argsort(2)", "x.kthvalue(2, 2)", "flags.nonzero()", "t.argwhere(flags)", "p.masked_select(flags)",
    "t.select_scatter(t.zeros(4, 6), b[:4] * 1, 1, 2)",
    "t.slice_scatter(t.zeros(4, 6), w[:2] * 1, 0, 1, 3)", "t.cdist(x, y)",
    # layers
    "m @ w", f"{F}.linear(x, w, b)", f"{F}.linear(x[:, 0], w)", f"{F}.layer_norm(x, (6,), w[0], w[1])",
    f"{F}.layer_norm(x, (4, 6))", f"{F}.rms_norm(x, (6,), w[0])", f"{F}.group_norm(img, 2, b[:4], b[:4])",
    f"{F}.instance_norm(img)", f"{F}.batch_norm(img, b[:4], b[:4].abs(), b[1:], b[:4])",
    f"{F}.batch_norm(img, None, None, training=True)", f"{F}.normalize(x, dim=1)",
    f"{F}.cosine_similarity(x, y, dim=2)", f"{F}.embedding(ids, w)",
    f"{F}.scaled_dot_product_attention(q, k, v)",
    f"{F}.scaled_dot_product_attention(q, q, q, is_causal=True)",
    f"{F}.scaled_dot_product_attention(q, k, v, attn_mask=t.ones(3, 5).tril() > 0)",
    f"{F}.conv1d(line, w.reshape(5, 2, 3)[:4], b[:4], stride=2, padding=1, groups=2)",
    f"{F}.conv2d(img, KERNEL, b[:3], padding='same')", f"{F}.conv2d(img, KERNEL, None, 2, 1, 2)",
    f"{F}.conv2d(img[0], KERNEL)", f"{F}.conv3d(solid, CUBE, padding=1)",
    f"{F}.conv_transpose1d(line, w[:4].reshape(4, 2, 3), stride=2)",
    f"{F}.conv_transpose2d(img, FILTER, b[:3], 2, 1, 1)",
    f"{F}.conv_transpose3d(solid, CUBE.transpose(0, 1), stride=2)", f"{F}.max_pool1d(line, 2)",
    f"{F}.max_pool2d(img, 3, 2, 1)", f"{F}.max_pool2d(img, 3, 2, ceil_mode=True)",
    f"{F}.max_pool2d(img, 2, dilation=2)", f"{F}.max_pool2d(img, 2, return_indices=True)",
    f"{F}.max_pool3d(solid, 2)", f"{F}.avg_pool1d(line, 3, 2)", f"{F}.avg_pool2d(img, 3, 2, 1)",
    f"{F}.avg_pool2d(img, 3, 2, 1, count_include_pad=False)", f"{F}.avg_pool2d(img, 2, divisor_override=3)",
    f"{F}.avg_pool3d(solid, 2)", f"{F}.adaptive_avg_pool1d(line, 3)", f"{F}.adaptive_avg_pool2d(img, 1)",
    f"{F}.adaptive_avg_pool2d(img, (3, 4))", f"{F}.adaptive_avg_pool3d(solid, (2, 3, 1))",
    f"{F}.adaptive_max_pool1d(line, 4)", f"{F}.adaptive_max_pool2d(img, (1, 1))",
    f"{F}.adaptive_max_pool3d(solid, 2)",
    f"{F}.max_unpool2d(*{F}.max_pool2d(img, 2, return_indices=True), 2)",
    f"{F}.unfold(img, (2, 3), 2, 1, (1, 2))",
    f"{F}.fold({F}.unfold(img, 2, stride=2), (8, 10), 2, stride=2)",
    f"{F}.interpolate(img, scale_factor=2)", f"{F}.interpolate(img, size=(4, 5), mode='bilinear')",
    f"{F}.interpolate(img, size=(16, 25), mode='bilinear', align_corners=True)",
    f"{F}.interpolate(line, size=12, mode='linear')",
    f"{F}.interpolate(img, size=(16, 20), mode='bicubic')",
    f"{F}.interpolate(img, size=(4, 20), mode='nearest-exact')", f"{F}.pixel_shuffle(img, 2)",
    f"{F}.pixel_unshuffle(img, 2)",
    f"{F}.cross_entropy(x.transpose(1, 2)[:, :, 0], labels[:, 0], reduction='none')", f"{F}.mse_loss(x, y)",
    f"{F}.binary_cross_entropy_with_logits(p, target)", f"{F}.binary_cross_entropy(p, target)",
    f"{F}.binary_cross_entropy_with_logits(x[:, :, 0], target, pos_weight=b[:4].abs())",
    f"{F}.smooth_l1_loss(x, y)",
]
OUTSIDE = {"KERNEL": (3, 4, 3, 3), "FILTER": (4, 3, 3, 3), "CUBE": (3, 2, 2, 2, 2)}
FIXED = {"w", "b", *OUTSIDE}


class Program:
    """A line, with the batch as inputs and everything else as constants."""

    def __init__(self, line: str, library):
        self.code = compile(line.replace("t.", "T."), line, "eval")
        self.library = library
        made = np.random.default_rng(9)
        fixed = {name: made.standard_normal(shape).astype(np.float32) for name, shape in OUTSIDE.items()}
        self.fixed = {name: library.tensor(x) for name, x in fixed.items()}
        self.wanted = [name for name in self.code.co_names if name in names_of(2) and name not in FIXED]

    def __call__(self, *inputs):
        every = {name: self.library.tensor(x) for name, x in names_of(2).items() if name in FIXED}
        scope = {"T": self.library, "len": len, "float": float} | every | self.fixed
        return eval(self.code, scope | dict(zip(self.wanted, inputs)))


def names_of(n: int, seed: int = 0) -> dict:
    found = numbers(n, seed)
    return found | {"target": found["t"]}


def flat(out) -> list:
    return [part for one in out for part in flat(one)] if isinstance(out, (tuple, list)) else [out]


def same(got: list, want: list) -> None:
    assert len(got) == len(want)
    for one, other in zip(got, want):
        assert one.shape == tuple(other.shape) and one.dtype == other.numpy().dtype
        np.testing.assert_allclose(one, other.numpy(), rtol=2e-4, atol=2e-5, equal_nan=True)


@pytest.mark.parametrize("line", LINES)
def test_nodes_give_what_pytorch_gives(line):
    ours, theirs = Program(line, tinytorch), Program(line, torch)
    example = [tinytorch.tensor(names_of(2)[name]) for name in ours.wanted]
    axes = {name: {0: "batch"} for name in ours.wanted}
    program = export(ours, tuple(example), input_names=ours.wanted, dynamic_axes=axes)
    for n, seed in ((2, 0), (5, 1)):
        arrays = [names_of(n, seed)[name] for name in ours.wanted]
        want = theirs(*[torch.tensor(x) for x in arrays])
        same(program.run([tinytorch.tensor(x) for x in arrays]), flat(want))


OLD = ["x.sum(1)", "x.split(2, 1)", f"{F}.gelu(x)", f"{F}.layer_norm(x, (6,))", f"{F}.max_pool2d(img, 2)",
       "x.amax(1)", "x[:, 1:3]",
       f"{F}.conv2d(img, KERNEL, b[:3], padding='same')", "p.scatter_add(1, j - 1, p)",
       f"{F}.interpolate(img, scale_factor=2)"]


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22, 23, 24, 25, 26])
@pytest.mark.parametrize("line", OLD)
def test_the_same_in_every_opset_that_is_offered(line, opset):
    ours, theirs = Program(line, tinytorch), Program(line, torch)
    arrays = [names_of(2)[name] for name in ours.wanted]
    program = export(ours, tuple(map(tinytorch.tensor, arrays)), opset_version=opset)
    assert program.model_proto.opset_import[0].version == opset and program.model_proto.ir_version <= 13
    same(program.run(list(map(tinytorch.tensor, arrays))), flat(theirs(*map(torch.tensor, arrays))))


REFUSED = {
    f"{F}.one_hot(ids, 5)": BakedIn,
    "flags.nonzero(as_tuple=True)": Unwritten,
    "x.index_put((t.tensor([0]),), y[:1])": BakedIn,
    "x.norm(p=3, dim=1)": Unwritten,
    f"{F}.avg_pool2d(img, 3, 2, ceil_mode=True)": Unwritten,
    "x[x > 0]": Unwritten,
    f"{F}.interpolate(img, size=(4, 5), mode='bilinear', antialias=True)": Unwritten,
    "x.erfinv()": Unwritten,
    f"{F}.adaptive_max_pool2d(img, 2, return_indices=True)": Unwritten,
    "x.roll(1)": Unwritten,
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_node_is_refused_and_not_guessed(line):
    ours = Program(line, tinytorch)
    arrays = [names_of(2)[name] for name in ours.wanted]
    axes = {name: [0] for name in ours.wanted}
    with pytest.raises(REFUSED[line]):
        export(ours, tuple(map(tinytorch.tensor, arrays)), input_names=ours.wanted, dynamic_axes=axes)

# ---------------------------------------------------------------------------------- ops without nodes


BACK = "runs only on the way back"
ALGEBRA = "ONNX has one node of linear algebra, Det"
NUMBERS = "ONNX has no node for it, and no formula of a few nodes is exact"
GRID = "ONNX Runtime makes bytes of the network in floats: its own grids, its own nodes"
SIZE = "how many numbers come out, or where they go, follows from the numbers"
WITHOUT = {
    **dict.fromkeys(("alignment_slope", "add_rows", "filters_seen", "average_back", "adaptive_back",
                     "fold_margins",
                     "resample_back", "digamma_slope"), BACK),
    **dict.fromkeys(("slogdet", "inv", "solve", "cholesky", "qr", "eigh", "svd", "matrix_rank", "pinv"),
                    ALGEBRA),
    **dict.fromkeys(("signbit", "atan2", "erfinv", "lgamma", "digamma", "gcd", "lcm",
                     "mantissa_and_exponent", "nextafter"), NUMBERS),
    **dict.fromkeys(("masked_scatter", "bags", "isin", "bisect", "mode"), SIZE),
    **dict.fromkeys(("cumprod", "logcumsumexp", "cummax", "cummin"),
                    "ONNX runs along with sums only, before opset 26"),
    "isclose": "a question that tests ask", "isreal": "there are no other numbers here: always True",
    "median_along": "a median is sort and select; ONNX has no node that agrees on ties",
    **dict.fromkeys(("index_fill", "diagonal_scatter", "diag_embed"), "where says the same"),
    **dict.fromkeys(("choose_qparams", "quantize_affine", "dequantize_affine", "fake_quantize_affine",
                     "int8_matmul", "in_floats", "patches"), GRID),
    **dict.fromkeys(("pack_int4", "unpack_int4", "pack_2_4", "unpack_2_4"),
                    "a way of storing, not of computing"),
    "sparse_linear": "ONNX stores sparse tensors, and has no node that multiplies by them",
    "strided": "a graph has no memory to stride through", "alignment": "a loss for training",
}


def ops() -> list[Op]:
    """The ops of all lessons before this one."""
    found = {}
    for lesson in parse((COURSE / "curriculum.toml").read_text("utf-8")):
        if lesson.name == "benchmarking": break
        for name in lesson.modules:
            module = import_module(f"tinytorch.{name}")
            found |= {id(x): x for x in vars(module).values() if isinstance(x, Op)
                      and x.__module__ == module.__name__}
    return list(found.values())


def test_every_op_has_nodes_or_a_reason():
    missing = {op.name for op in ops() if op not in NODES}
    assert missing == set(WITHOUT), "new ops want a rule under @onnx(op), or a reason in WITHOUT"
    assert len(ops()) > 250


def test_every_rule_is_tried_by_some_line():
    """Those whose nodes no line above has made."""
    from tinytorch.exporting import trace
    tried = set()
    for line in LINES:
        program = Program(line, tinytorch)
        inputs = tuple([tinytorch.tensor(names_of(2)[name]) for name in program.wanted])
        tried |= {step.op for step in trace(program, inputs, {}).steps}
    untried = {op.name for op in NODES if op not in tried}
    assert untried == UNTRIED


# see test_onnx_models.py
UNTRIED = {"rnn_layer", "gru_layer", "lstm_layer", "rotate", "put_index", "move"}
