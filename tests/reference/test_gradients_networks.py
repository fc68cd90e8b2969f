"""Gradients of layers, losses and their functions against PyTorch: once, twice, in both widths, and by nudging."""
# ruff: noqa: E501      a line of the tables is a program

import re
import warnings
from zlib import crc32

import numpy as np
import pytest

import tinytorch as tt
import tinytorch.attention
import tinytorch.bands
import tinytorch.pieces

RANDOM = np.random.default_rng(5)


def numbers(*shape): return RANDOM.standard_normal(shape)
def positive(*shape): return RANDOM.uniform(0.1, 0.9, shape)
def whole(n, *shape): return RANDOM.integers(0, n, shape)


def logarithms(*shape):
    x = numbers(*shape)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


SHAPES = {1: (2, 4, 11), 2: (2, 4, 9, 8), 3: (2, 4, 6, 5, 7)}
ARRAYS = {
    # dense layers and losses
    "x": numbers(4, 6), "y": numbers(4, 6), "z": numbers(4, 6), "xyz": numbers(2, 3, 4, 6), "one": numbers(6), "none": numbers(0, 6),
    "w": numbers(5, 6), "b": numbers(5), "s": numbers(6), "shift": numbers(6), "ss": numbers(4, 6), "shifts": numbers(4, 6),
    "p": positive(4, 6), "q": positive(4, 6), "weight": positive(4, 6), "pw": positive(6), "rows": positive(4), "var": positive(4, 6),
    "line": numbers(4, 1), "cw": positive(6), "logs": logarithms(4, 6), "soft": np.exp(logarithms(4, 6)), "picture": numbers(3, 6, 2, 4),
    "bw": numbers(3, 6, 6), "bb": numbers(3), "big": 30 * numbers(4, 6),
    "labels": whole(6, 4), "some": np.array([1, -100, 5, -100]), "all_ignored": np.full(4, -100), "spots": whole(6, 3, 2, 4), "signs": np.array([1.0, -1, -1, 1]),
    "sides": np.sign(numbers(4, 6)), "yes": (numbers(4, 6) > 0) * 1.0, "several": np.array([[3, 1, -1, 0, 0, 0], [-1, 0, 0, 0, 0, 0], [0, 5, 2, 1, -1, -1], [5, 4, 3, 2, 1, 0]]),
    "scores": numbers(12, 3, 7), "text": 1 + whole(6, 3, 4), "twice": np.array([[1, 1, 1, 2]] * 3), "row": 1 + whole(6, 9),
    # pictures
    **{f"x{n}": numbers(*shape) for n, shape in SHAPES.items()},
    **{f"w{n}": numbers(6, 4, *(3,) * n) for n in SHAPES}, **{f"g{n}": numbers(6, 2, *(3,) * n) for n in SHAPES},
    **{f"o{n}": numbers(6, 4, *(1,) * n) for n in SHAPES}, **{f"e{n}": numbers(6, 4, *(2,) * n) for n in SHAPES},
    **{f"d{n}": numbers(8, 1, *(3,) * n) for n in SHAPES}, **{f"dd{n}": numbers(4, 1, *(3,) * n) for n in SHAPES},
    **{f"t{n}": numbers(4, 6, *(3,) * n) for n in SHAPES}, **{f"u{n}": numbers(4, 3, *(2,) * n) for n in SHAPES},
    "c6": numbers(6), "c8": numbers(8), "c4": numbers(4), "m4": numbers(4), "n4": numbers(4), "v4": positive(4), "pixel": numbers(3, 4, 1, 1), "w47": numbers(6, 4, 4, 2),
    "wide": numbers(3, 20, 40, 41), "ww": numbers(17, 20, 3, 3), "many": numbers(40, 1, 28, 28), "wm": numbers(6, 1, 5, 5), "flat": numbers(5, 4), "columns": numbers(2, 36, 42),
    "tall": numbers(70, 4), "wall": numbers(2, 24, 9),
    # words
    "table": numbers(7, 5), "ids": whole(7, 3, 4), "id_line": whole(7, 9), "starts": np.array([0, 3, 3, 7]), "ends": np.array([0, 3, 3, 7, 9]), "each": positive(9), "each2": positive(3, 4), "flatten": np.array([[1.0, 1], [1, 1], [0, 1]]),
    "Q": numbers(2, 3, 5, 4), "K": numbers(2, 3, 7, 4), "V": numbers(2, 3, 7, 6), "M": numbers(5, 7), "B": numbers(5, 7) > 0, "dark": np.tile([[True], [False], [True], [False], [True]], (1, 7)),
    "Q1": numbers(5, 4), "KV": numbers(2, 1, 7, 4), "angles": numbers(5, 2), "K6": numbers(2, 6, 7, 4), "Q6": numbers(2, 6, 5, 4), "K2": numbers(2, 2, 7, 4),
    "steps": numbers(6, 3, 4), "h": numbers(2, 3, 5), "cell": numbers(2, 3, 5), "sentence": numbers(6, 4),
    "E": numbers(5, 2, 8), "S": numbers(7, 2, 8), "S2": numbers(7, 2, 6), "pad": np.array([[False] * 5 + [True] * 2, [False] * 7]),
}


class Run:
    """A line in one of the libraries: its results as one number, and the gradients of that; then the same of these."""

    def __init__(self, t, line: str, kind=np.float64, twice=False, create_graph=False, step=0.0):
        self.t, self.kind, self.step, self.given = t, kind, step, {}
        for name in sorted(set(re.findall(r"[A-Za-z]\w*", line)) & set(ARRAYS)):
            self.given[name] = self.leaf(name, ARRAYS[name], f"{name}.detach" not in line)
        *statements, last = line.split(";")
        scope = {"t": t, "F": t.nn.functional, "nn": t.nn, "rnn": t.nn.utils.rnn, "layer": self.layer, **self.given}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for statement in statements: exec(statement.strip(), scope)
            results = dict(enumerate(tensors(eval(last, scope))))
            self.leaves = {name: x for name, x in self.given.items() if x.dtype.is_floating_point}
            self.first = self.pull(results, twice or create_graph)
            self.value, self.grads = self.loss.item(), arrays(self.first)
            if twice:
                self.second = self.pull({name: g for name, g in self.first.items() if g is not None and g.requires_grad}, False)
                self.value, self.grads = 0.0 if self.loss is None else self.loss.item(), self.grads | arrays(self.second, " again")

    def leaf(self, name: str, array, moves: bool = True):
        """A tensor, a step away from what it usually is; if it has floats, it wants a gradient."""
        if array.dtype.kind != "f": return self.t.tensor(array)
        if moves: array = array + self.step * direction(name, array.shape)
        return self.t.tensor(array.astype(self.kind)).requires_grad_()

    def layer(self, made):
        """The module with the same weights in both libraries."""
        random = np.random.default_rng(9)
        def drawn(x): return random.uniform(0.2, 0.9, tuple(x.shape))
        for name, p in sorted(made.named_parameters()):
            array = drawn(p) * random.choice([-1, 1], tuple(p.shape))
            p.data, self.given[name] = self.leaf(name, array).detach(), p
        for name, p in sorted(made.named_buffers()):
            if "num" not in name: p.data = self.t.tensor(drawn(p).astype(self.kind))
        return made

    def pull(self, results: dict, create_graph: bool) -> dict:
        """The gradients of all results together, each number of which counts another amount."""
        self.loss = None
        for name, y in results.items():
            part = (y * self.t.tensor(1 + direction(f"of {name}", y.shape).astype(self.kind))).sum()
            self.loss = part if self.loss is None else self.loss + part
        if self.loss is None: return dict.fromkeys(self.leaves)
        found = self.t.autograd.grad(self.loss, list(self.leaves.values()), create_graph=create_graph, allow_unused=True)
        return dict(zip(self.leaves, found))


def direction(name: str, shape: tuple): return np.random.default_rng(crc32(name.encode())).standard_normal(tuple(shape))
def arrays(found: dict, ending="") -> dict: return {name + ending: None if g is None else g.numpy(force=True) for name, g in found.items()}


def tensors(value) -> list:
    """The float tensors in a result."""
    if value is None: return []
    if isinstance(value, (tuple, list)): return [x for part in value for x in tensors(part)]
    return [value] if value.dtype.is_floating_point else []


def same(ours: dict, theirs: dict, tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, want in theirs.items():
        found = ours[name]
        if want is None or found is None:           # nothing has arrived, which is as good as zeros
            assert not np.any([g for g in (found, want) if g is not None]), name
            continue
        assert found.shape == want.shape and found.dtype == want.dtype, (name, found.shape, want.shape, found.dtype)
        far = np.abs(want[np.isfinite(want)]).max(initial=0)
        np.testing.assert_allclose(found, want, rtol=0, atol=tolerance * max(far, 1e-6), err_msg=name)

DENSE = ["", "F.linear(x, w, b)", "F.linear(xyz, w, b)", "F.linear(xyz, w)", "F.linear(one, w, b)", "F.linear(none, w, b)", "F.linear(x, w[0])", "F.layer_norm(x, (6,))", "F.layer_norm(x, (6,), s, shift)", "F.layer_norm(xyz, (6,), s, shift, 0.1)", "F.layer_norm(xyz, (4, 6), ss, shifts)", "F.layer_norm(x, (6,), None, shift)", "F.layer_norm(none, (6,), s, shift)", "F.rms_norm(x, (6,))", "F.rms_norm(xyz, (6,), s)", "F.rms_norm(xyz, (4, 6), ss, 0.1)", "F.bilinear(x, y, bw, bb)", "F.bilinear(xyz, xyz, bw)", "F.cosine_similarity(x, y)", "F.cosine_similarity(xyz, x, -1)", "F.pairwise_distance(x, y)", "F.pairwise_distance(x, y, 1.0, keepdim=True)", "F.pairwise_distance(x, y, 3.0)", "F.normalize(x)", "F.normalize(x, 1.0, 0)", "t.pdist(x)", "layer(nn.Linear(6, 3))(x)", "layer(nn.LayerNorm(6))(xyz)", "layer(nn.LayerNorm((4, 6), bias=False))(xyz)", "layer(nn.RMSNorm(6))(xyz)", "layer(nn.Bilinear(6, 6, 4))(x, y)", "layer(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)))(x)", ""][1:-1]

LOSSES = ["", "F.cross_entropy(x, labels)", "F.cross_entropy(x, labels, reduction='sum')", "F.cross_entropy(x, labels, reduction='none')", "F.cross_entropy(big, labels)", "F.cross_entropy(x, some)", "F.cross_entropy(x, labels, ignore_index=1)", "F.cross_entropy(x, some, cw.detach())", "F.cross_entropy(x, some, cw.detach(), label_smoothing=0.2)", "F.cross_entropy(x, labels, label_smoothing=0.2, reduction='none')", "F.cross_entropy(x, some, label_smoothing=0.1, reduction='sum')", "F.cross_entropy(x, all_ignored, reduction='sum')", "F.cross_entropy(x, soft)", "F.cross_entropy(x, soft, cw.detach(), label_smoothing=0.3)", "F.cross_entropy(x, soft, reduction='none')", "F.cross_entropy(picture, spots)", "F.cross_entropy(picture, spots, cw.detach(), reduction='none')", "F.cross_entropy(one, labels[0])", "F.nll_loss(logs, labels)", "F.nll_loss(logs, some, cw.detach())", "F.nll_loss(logs, some, reduction='none')", "F.nll_loss(picture, spots)", "F.mse_loss(x, y)", "F.mse_loss(x, y, reduction='sum')", "F.mse_loss(x, line)", "F.l1_loss(x, y)", "F.smooth_l1_loss(x, y)", "F.smooth_l1_loss(x, y, beta=0.3, reduction='none')", "F.smooth_l1_loss(x, y, beta=0.0)", "F.huber_loss(x, y, delta=0.7)", "F.binary_cross_entropy(p, q)", "F.binary_cross_entropy(p, q, weight.detach(), reduction='none')", "F.binary_cross_entropy_with_logits(x, q)", "F.binary_cross_entropy_with_logits(x, q, weight.detach(), reduction='sum')", "F.binary_cross_entropy_with_logits(x, q, pos_weight=pw.detach())", "F.binary_cross_entropy_with_logits(big, yes.detach(), weight.detach(), pos_weight=pw.detach(), reduction='none')", "F.soft_margin_loss(x, sides.detach())", "F.multilabel_soft_margin_loss(x, yes.detach())", "F.multilabel_soft_margin_loss(x, yes.detach(), cw.detach(), reduction='none')", "F.kl_div(logs, soft.detach())", "F.kl_div(logs, soft, reduction='batchmean')", "F.kl_div(logs, logs * 0.5, reduction='sum', log_target=True)", "F.poisson_nll_loss(x, p.detach())", "F.poisson_nll_loss(p, q.detach(), log_input=False)", "F.gaussian_nll_loss(x, y, var)", "F.gaussian_nll_loss(x, y, rows.unsqueeze(1), full=True, reduction='none')", "F.margin_ranking_loss(x[:, 0], y[:, 0], signs.detach(), 0.3)", "F.hinge_embedding_loss(p, sides.detach())", "F.multi_margin_loss(x, labels)", "F.multi_margin_loss(x, labels, 2, 0.5, cw.detach(), reduction='none')", "F.multilabel_margin_loss(x, several)", "F.multilabel_margin_loss(x, several, reduction='none')", "F.cosine_embedding_loss(x, y, signs.detach(), 0.1)", "F.triplet_margin_loss(x, y, z)", "F.triplet_margin_loss(x, y, z, 0.5, 1.0, swap=True, reduction='none')", "F.triplet_margin_with_distance_loss(x, y, z, distance_function=F.cosine_similarity)", "F.ctc_loss(t.log_softmax(scores, -1), text, (12, 12, 12), (4, 4, 4))", "F.ctc_loss(t.log_softmax(scores, -1), text, (12, 8, 5), (4, 1, 3), reduction='none')", "F.ctc_loss(t.log_softmax(scores, -1), twice, (12, 11, 9), (4, 3, 0), reduction='sum')", "F.ctc_loss(t.log_softmax(scores, -1), row, (12, 10, 12), (2, 4, 3))", "F.ctc_loss(t.log_softmax(scores, -1), text, (12, 12, 2), (4, 4, 4), zero_infinity=True)", "F.ctc_loss(t.log_softmax(scores[:, 0], -1), text[0], (12,), (4,))", ""][1:-1]

EACH_WAY = """
F.conv{n}d(x{n}, w{n}, c6)
F.conv{n}d(x{n}, w{n})
F.conv{n}d(x{n}, w{n}, c6, stride=2)
F.conv{n}d(x{n}, w{n}, c6, padding=1)
F.conv{n}d(x{n}, w{n}, c6, padding=2)
F.conv{n}d(x{n}, w{n}, c6, padding=3)
F.conv{n}d(x{n}, w{n}, c6, stride=3, padding=2)
F.conv{n}d(x{n}, w{n}, c6, stride=2, padding=1)
F.conv{n}d(x{n}, w{n}, c6, padding=2, dilation=2)
F.conv{n}d(x{n}, w{n}, c6, stride=3, padding=2, dilation=2)
F.conv{n}d(x{n}, w{n}, c6, stride=2, padding=1, dilation=2)
F.conv{n}d(x{n}, w{n}, c6, padding='same')
F.conv{n}d(x{n}, e{n}, c6, padding='same')
F.conv{n}d(x{n}, e{n}, c6, padding='same', dilation=3)
F.conv{n}d(x{n}, e{n}, c6, stride=2)
F.conv{n}d(x{n}, g{n}, c6, 1, 1, 1, 2)
F.conv{n}d(x{n}, g{n}, c6, 2, 0, 1, 2)
F.conv{n}d(x{n}, d{n}, c8, padding=1, groups=4)
F.conv{n}d(x{n}, d{n}, c8, stride=2, padding=1, groups=4)
F.conv{n}d(x{n}, dd{n}, c4, padding=1, groups=4)
F.conv{n}d(x{n}, o{n}, c6)
F.conv{n}d(x{n}, o{n}, c6, stride=2)
F.conv{n}d(x{n}, o{n}, c6, padding=1)
F.conv{n}d(x{n}[0], w{n}, c6, padding=1)
F.conv{n}d(x{n}[:0], w{n}, c6)
F.conv{n}d(x{n}[:1], w{n}, c6)
F.conv{n}d(x{n}[..., ::2], w{n}, c6, padding=1)
F.conv_transpose{n}d(x{n}, t{n}, c6)
F.conv_transpose{n}d(x{n}, t{n}, c6, stride=2)
F.conv_transpose{n}d(x{n}, t{n}, None, stride=2, padding=1, output_padding=1)
F.conv_transpose{n}d(x{n}, t{n}, c6, stride=3, padding=2, output_padding=2)
F.conv_transpose{n}d(x{n}, t{n}, c6, padding=1, dilation=2)
F.conv_transpose{n}d(x{n}, t{n}, c6, 1, 0, 1, 1, 2)
F.conv_transpose{n}d(x{n}, u{n}, c6, 2, 0, 1, 2)
F.conv_transpose{n}d(x{n}[0], t{n}, c6)
F.conv_transpose{n}d(x{n}[:0], t{n}, c6)
F.max_pool{n}d(x{n}, 2)
F.max_pool{n}d(x{n}, 3, 2)
F.max_pool{n}d(x{n}, 3, 2, 1)
F.max_pool{n}d(x{n}, 3, 1, 1)
F.max_pool{n}d(x{n}, 2, 3)
F.max_pool{n}d(x{n}, 2, 1, 0, 2)
F.max_pool{n}d(x{n}, 2, 2, 1, ceil_mode=True)
F.max_pool{n}d(x{n}[0], 2)
F.max_pool{n}d(x{n}.relu(), 3, 2)
F.max_pool{n}d(x{n}, 3, 2, 1, return_indices=True)
F.avg_pool{n}d(x{n}, 2)
F.avg_pool{n}d(x{n}, 3, 2, 1)
F.avg_pool{n}d(x{n}, 3, 2, 1, count_include_pad=False)
F.avg_pool{n}d(x{n}, 3, 2, 1, ceil_mode=True)
F.avg_pool{n}d(x{n}, 2, 3)
F.avg_pool{n}d(x{n}[0], 3, 1)
F.adaptive_avg_pool{n}d(x{n}, 3)
F.adaptive_avg_pool{n}d(x{n}, 1)
F.adaptive_avg_pool{n}d(x{n}[0], 4)
F.adaptive_max_pool{n}d(x{n}, 3)
F.adaptive_max_pool{n}d(x{n}, 1)
F.adaptive_max_pool{n}d(x{n}, 4, return_indices=True)
F.lp_pool{n}d(x{n}.abs(), 3, 2)
F.lp_pool{n}d(x{n}.abs(), 2, 3, 1)
y, at = F.max_pool{n}d(x{n}, 2, return_indices=True); F.max_unpool{n}d(y, at, 2, output_size=x{n}.shape)
F.batch_norm(x{n}, None, None, c4, m4, True)
F.batch_norm(x{n}, None, None, None, None, True, 0.1, 0.1)
F.batch_norm(x{n}, n4.detach(), v4.detach(), c4, m4)
F.batch_norm(x{n}, n4.detach(), v4.detach(), None, None)
F.group_norm(x{n}, 2, c4, m4)
F.group_norm(x{n}, 1)
F.group_norm(x{n}, 4, c4, None, 0.1)
F.instance_norm(x{n}, None, None, c4, m4)
F.instance_norm(x{n}, n4.detach(), v4.detach(), c4, m4, False)
F.pad(x{n}, (1, 2))
F.pad(x{n}, (-1, 2), value=3.0)
F.pad(x{n}, (1, 0) * {n}, 'reflect')
F.pad(x{n}, (3, 1) * {n}, 'replicate')
F.pad(x{n}, (2, 1) * {n}, 'circular')
F.pad(x{n}[0], (2, 3) * {n}, 'reflect')
F.interpolate(x{n}, scale_factor=2)
F.interpolate(x{n}, size=(4,) * {n}, mode='nearest-exact')
F.interpolate(x{n}, scale_factor=0.6)
F.interpolate(x{n}, size=(3,) * {n}, mode='area')
layer(nn.Conv{n}d(4, 6, 3, stride=2, padding=1))(x{n})
layer(nn.Conv{n}d(4, 6, 3, padding=1, padding_mode='reflect'))(x{n})
layer(nn.Conv{n}d(4, 6, 3, padding='same', padding_mode='circular', groups=2))(x{n})
layer(nn.ConvTranspose{n}d(4, 6, 3, 2, 1, 1))(x{n})
layer(nn.BatchNorm{n}d(4))(x{n})
layer(nn.BatchNorm{n}d(4)).eval()(x{n})
layer(nn.BatchNorm{n}d(4, affine=False, track_running_stats=False))(x{n})
layer(nn.GroupNorm(2, 4))(x{n})
layer(nn.InstanceNorm{n}d(4, affine=True, track_running_stats=True))(x{n})
layer(nn.LPPool{n}d(2, 2))(x{n}.abs())
"""
SPATIAL = [line.format(n=n) for n in SHAPES for line in EACH_WAY.split("\n")[1:-1]] + ["", "F.conv2d(x2, w47, c6, (2, 3), (2, 1), (1, 2))", "F.conv2d(wide, ww)", "F.conv2d(wide, ww, None, 2, 1)", "F.conv2d(many, wm, c6, padding=2)", "F.conv2d(many, wm, c6)", "F.conv2d(pixel, o2, c6)", "F.conv2d(pixel, w2, c6, padding=1)", "F.conv2d(x2.permute(0, 1, 3, 2), w2, c6, padding=1)", "F.conv2d(x2, w2.flip(-1), c6)", "F.max_pool2d(x2, (3, 2), (2, 1), (1, 0))", "F.avg_pool2d(x2, (3, 2), (2, 3), (1, 0), divisor_override=5)", "F.avg_pool3d(x3, 2, divisor_override=3)", "F.adaptive_avg_pool2d(x2, (None, 3))", "F.adaptive_avg_pool2d(x2, (12, 5))", "F.adaptive_max_pool2d(x2, (2, 5))", "F.batch_norm(flat, None, None, c4, m4, True)", "F.batch_norm(tall, None, None, c4, m4, True)", "F.local_response_norm(x2, 3)", "F.interpolate(x1, scale_factor=1.7, mode='linear')", "F.interpolate(x1, size=5, mode='linear', align_corners=True)", "F.interpolate(x2, scale_factor=2, mode='bilinear')", "F.interpolate(x2, size=(5, 13), mode='bilinear', align_corners=True)", "F.interpolate(x2, size=(4, 3), mode='bilinear', antialias=True)", "F.interpolate(x2, size=(5, 13), mode='bicubic')", "F.interpolate(x2, size=(4, 3), mode='bicubic', antialias=True)", "F.interpolate(x3, scale_factor=1.5, mode='trilinear')", "F.unfold(x2, 3)", "F.unfold(x2, (2, 3), 2, 1, (2, 1))", "F.fold(columns, (8, 9), 3)", "F.fold(wall, (4, 4), 2)", "F.pixel_shuffle(x2, 2)", "F.pixel_unshuffle(x2[..., :8, :], 2)", "F.channel_shuffle(x2, 2)", ""][1:-1]

WORDS = ["", "F.embedding(ids, table)", "F.embedding(ids, table, padding_idx=2)", "F.embedding(ids, table, scale_grad_by_freq=True)", "F.embedding(ids[:0], table)", "layer(nn.Embedding(7, 5, padding_idx=-2))(ids)", "F.embedding_bag(ids, table)", "F.embedding_bag(ids, table, mode='sum', per_sample_weights=each2)", "F.embedding_bag(ids, table, mode='max')", "F.embedding_bag(id_line, table, starts)", "F.embedding_bag(id_line, table, starts, mode='sum', padding_idx=3)", "F.embedding_bag(id_line, table, starts, mode='mean', padding_idx=3)", "F.embedding_bag(id_line, table, starts, mode='max', padding_idx=3)", "F.embedding_bag(id_line, table, starts, mode='sum', per_sample_weights=each)", "F.embedding_bag(id_line, table, ends, mode='sum', include_last_offset=True)", "layer(nn.EmbeddingBag(7, 5, mode='max'))(ids)", "F.scaled_dot_product_attention(Q, K, V)", "F.scaled_dot_product_attention(Q, K, V, M)", "F.scaled_dot_product_attention(Q, K, V, B)", "F.scaled_dot_product_attention(Q, K, V, dark)", "F.scaled_dot_product_attention(Q, K, V, is_causal=True)", "F.scaled_dot_product_attention(Q, K, V, scale=0.3)", "F.scaled_dot_product_attention(K, K, K)", "F.scaled_dot_product_attention(Q1, KV[0, 0], KV[1, 0])", "F.scaled_dot_product_attention(Q, KV.expand(2, 3, 7, 4), KV.expand(2, 3, 7, 4), M)", "F.scaled_dot_product_attention(Q6, K2, K2, enable_gqa=True)", "F.scaled_dot_product_attention(5 * Q, 5 * K, V)", "layer(nn.MultiheadAttention(8, 2))(E, S, S)", "layer(nn.MultiheadAttention(8, 2))(E, S, S, key_padding_mask=pad)[0]", "layer(nn.MultiheadAttention(8, 2))(E, S, S, key_padding_mask=pad, need_weights=False)", "layer(nn.MultiheadAttention(8, 2))(S, S, S, need_weights=False)", "layer(nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True, kdim=6, vdim=6, bias=False))(E, S2, S2)", "layer(nn.TransformerEncoderLayer(8, 2, 16, 0.0))(E)", "layer(nn.TransformerEncoderLayer(8, 2, 16, 0.0, 'gelu', norm_first=True, batch_first=True))(E)", "layer(nn.TransformerDecoderLayer(8, 2, 16, 0.0))(E, S)", "t.lstm_cell(steps[0], (h[0], cell[0]), *layer(nn.LSTMCell(4, 5)).parameters())", "layer(nn.RNNCell(4, 5))(steps[0], h[0])", "layer(nn.RNNCell(4, 5, nonlinearity='relu'))(steps[0])", "layer(nn.LSTMCell(4, 5))(steps[0], (h[0], cell[0]))", "layer(nn.LSTMCell(4, 5, bias=False))(sentence[0])", "layer(nn.GRUCell(4, 5))(steps[0], h[0])", ""][1:-1] + [line.format(N=N, H=H) for N, H in (("RNN", "h"), ("GRU", "h"), ("LSTM", "(h, cell)")) for line in ["", "layer(nn.{N}(4, 5))(steps)", "layer(nn.{N}(4, 5, 2))(steps, {H})", "layer(nn.{N}(4, 5, bidirectional=True))(steps, {H})", "layer(nn.{N}(4, 5, 2, bidirectional=True, batch_first=True))(steps)", "layer(nn.{N}(4, 5, bias=False))(steps)", "layer(nn.{N}(4, 5))(steps)[1]", "layer(nn.{N}(4, 5))(sentence)", "layer(nn.{N}(4, 5, 2))(steps[:1], {H})[0]", "out, h_n = layer(nn.{N}(4, 5, 2, bidirectional=True))(rnn.pack_padded_sequence(steps, t.tensor([6, 4, 1]))); out.data, h_n", "out, h_n = layer(nn.{N}(4, 5, 2))(rnn.pack_padded_sequence(steps, t.tensor([2, 6, 5]), enforce_sorted=False), {H}); rnn.pad_packed_sequence(out)[0], h_n", ""][1:-1]] + ["", "layer(nn.RNN(4, 5, nonlinearity='relu'))(steps)", "layer(nn.LSTM(4, 5, proj_size=3))(steps)", "layer(nn.LSTM(4, 5, 2, bidirectional=True, proj_size=3))(steps)", "out, h_n = layer(nn.LSTM(4, 5, 2, proj_size=2))(rnn.pack_padded_sequence(steps, t.tensor([6, 4, 1]))); out.data, h_n", ""][1:-1]

LINES = DENSE + LOSSES + SPATIAL + WORDS


@pytest.mark.parametrize("line", LINES)
def test_gradients_are_pytorchs(line):
    torch = pytest.importorskip("torch")
    want = Run(torch, line).grads
    same(Run(tt, line).grads, want, 1e-9)
    same(Run(tt, line, np.float32).grads, {name: g if g is None else g.astype(np.float32) for name, g in want.items()}, 1e-5)


@pytest.mark.parametrize("line", LINES)
def test_shortcuts_agree_with_their_rules(line):
    same(Run(tt, line).grads, Run(tt, line, create_graph=True).grads, 1e-11)


@pytest.mark.parametrize("line", LINES)
def test_gradients_of_gradients_are_pytorchs(line):
    torch = pytest.importorskip("torch")
    try: want = Run(torch, line, twice=True).grads
    except RuntimeError as error: pytest.skip(f"PyTorch has none: {error}")
    same(Run(tt, line, twice=True).grads, want, 1e-9)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("line", [line for line in LINES if not re.search("padding_idx=-?2|by_freq", line)])
def test_gradients_are_what_a_nudge_finds(line, twice):
    """All numbers are nudged at once, each in a direction of its own."""
    if twice and "ctc" in line: pytest.skip("the rule of its rule is not written, here or in PyTorch")
    found, after, before = [Run(tt, line, twice=twice, step=step) for step in (0, 1e-6, -1e-6)]
    grads = found.second if twice else found.first
    want = sum([(g.detach().numpy() * direction(name, g.shape)).sum() for name, g in grads.items() if g is not None])
    far = max([np.abs(g.detach().numpy()).max(initial=0) for g in grads.values() if g is not None], default=0)
    assert abs((after.value - before.value) / 2e-6 - want) <= 1e-6 * max(1, far, abs(found.value), abs(want))


@pytest.mark.parametrize("line", [line for line in WORDS if re.search("attention|Attention|Transformer", line)])
def test_bands_and_pieces_leave_attention_as_it_is(line, monkeypatch):
    torch = pytest.importorskip("torch")
    for module in (tt.bands, tt.attention): monkeypatch.setattr(module, "BAND", 2)
    monkeypatch.setattr(tt.pieces, "PIECE", 7)
    same(Run(tt, line).grads, Run(torch, line).grads, 1e-9)


@pytest.mark.parametrize("causal", [False, True])
def test_looks_that_are_forgotten_are_the_same_in_bands(causal, monkeypatch):
    from tinytorch.attention import attend, causal_mask
    for module in (tt.bands, tt.attention): monkeypatch.setattr(module, "BAND", 3)
    q, k, v, keep = [tt.tensor(numbers(2, 7, 5 if n < 3 else 7), requires_grad=True) for n in range(4)]
    mask = tt.tensor(causal_mask(7), dtype=tt.float64, requires_grad=True) if causal else None
    given = [x for x in (q, k, v, keep, mask) if x is not None]
    found = [tt.autograd.grad(attend(q, k, v, mask, keep), given, tt.ones(2, 7, 5, dtype=tt.float64), create_graph=plain)
             for plain in (False, True)]
    for quick, plain in zip(*found): np.testing.assert_allclose(quick.detach().numpy(), plain.detach().numpy(), atol=1e-12)


def test_relu_hands_on_the_gradient_of_what_is_no_number():
    torch = pytest.importorskip("torch")
    for create_graph in (False, True):
        found = []
        for t in (torch, tt):
            x = t.tensor([float("nan"), -1.0, 0.0, 2.0], requires_grad=True)
            found.append(t.autograd.grad(t.relu(x), x, t.tensor([2.0, 3.0, 4.0, 5.0]), create_graph=create_graph)[0])
        assert found[1].tolist() == found[0].tolist() == [2.0, 0.0, 0.0, 5.0]
