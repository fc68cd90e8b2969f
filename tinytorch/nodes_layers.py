# Generated from modules/15_mlops/appendix_nodes_layers.py by `tito export`. Edit that file, not this one.
"""Nodes for convolutions, pools, norms, embeddings, attention and recurrent layers."""

from __future__ import annotations

import math

import numpy as np

from . import (
    attention, convolution, dense, normalization, pooling, products, recurrent, resampling, root_mean_square,
    rotary, spatial,
)
from .mlops import reshaped
from .nodes import BakedIn, Page, Repeated, Unwritten, Value, Varying, onnx
from .room import each_way, margins

__all__ = [
    "in_batches", "flat", "WAYS", "pool_settings", "ends_inside", "max_rule", "places_in_picture",
    "average_rule", "adaptive_rule", "parts_along", "per_channel", "standardized", "HOW", "steps_of", "gates",
    "walked",
]


def in_batches(page: Page, x: Value, ways: int, write):
    """What `write` makes of the value, which is a batch of pictures, or becomes one for a while."""
    if x.ndim == ways + 2: return write(x)
    at = page.lengths(0)
    out = write(page.node("Unsqueeze", x, at)._replace(shape=(1, *x.shape), kind=x.kind))
    if isinstance(out, Value): return page.node("Squeeze", out, at)
    return tuple([page.node("Squeeze", part, at) for part in out])


def flat(pairs) -> list[int]:
    """Room before and after, as ONNX writes it: all befores, then all afters."""
    return [first for first, _ in pairs] + [last for _, last in pairs]


@onnx(spatial.conv2d, convolution.conv1d, convolution.conv3d)
def _(page, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    ways, kernel = weight.ndim - 2, weight.shape[2:]
    stride, dilation = each_way("stride", stride, ways), each_way("dilation", dilation, ways)
    return in_batches(page, x, ways, lambda x: page.node(
        "Conv", x, weight, bias, kernel_shape=list(kernel), strides=list(stride), dilations=list(dilation),
        group=groups, pads=flat(margins(padding, kernel, stride, dilation))))

@onnx(convolution.conv_transpose1d, convolution.conv_transpose2d, convolution.conv_transpose3d)
def _(page, x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    ways = weight.ndim - 2
    stride, dilation = [list(each_way("stride", n, ways)) for n in (stride, dilation)]
    padding, more = [list(each_way("padding", n, ways, 0)) for n in (padding, output_padding)]
    return in_batches(page, x, ways, lambda x: page.node(
        "ConvTranspose", x, weight, bias, kernel_shape=list(weight.shape[2:]), strides=stride,
        dilations=dilation, group=groups, pads=padding * 2, output_padding=more))


WAYS = {pool: ways for ways, pools in {
    1: (pooling.max_pool1d, pooling.avg_pool1d, pooling.adaptive_avg_pool1d, pooling.adaptive_max_pool1d),
    2: (spatial.max_pool2d, spatial.avg_pool2d, pooling.adaptive_avg_pool2d, pooling.adaptive_max_pool2d),
    3: (pooling.max_pool3d, pooling.avg_pool3d, pooling.adaptive_avg_pool3d, pooling.adaptive_max_pool3d),
}.items() for pool in pools}


def pool_settings(ways: int, kernel_size, stride, padding) -> dict:
    """Kernel, strides and room as ONNX wants them."""
    kernel = list(each_way("kernel_size", kernel_size, ways))
    stride = kernel if stride in (None, ()) else list(each_way("stride", stride, ways))
    pads = list(each_way("padding", padding, ways, 0)) * 2
    return {"kernel_shape": kernel, "strides": stride, "pads": pads}


def ends_inside(page: Page, x: Value, settings: dict, ceil_mode: bool) -> dict:
    """The settings with room behind the picture for the last windows that ceil_mode adds."""
    if not ceil_mode: return settings
    ways, pads = len(settings["kernel_shape"]), list(settings["pads"])
    dilations = settings.get("dilations", [1] * ways)
    for i, (k, s, d) in enumerate(zip(settings["kernel_shape"], settings["strides"], dilations)):
        n = x.shape[x.ndim - ways + i]
        if isinstance(n, Varying):
            raise BakedIn(f"{page.about} with ceil_mode, over pictures whose size varies")
        places = spatial.pool_length(int(n), k, s, pads[i], d, True)
        pads[ways + i] = max(pads[ways + i], (places - 1) * s + (k - 1) * d + 1 - n - pads[i])
    return settings | {"pads": pads}


def max_rule(ways: int):
    """The rule of a max pool."""
    def rule(page, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        settings = pool_settings(ways, kernel_size, stride, padding)
        settings["dilations"] = list(each_way("dilation", dilation, ways))
        settings = ends_inside(page, x, settings, ceil_mode)
        if not return_indices: return in_batches(page, x, ways, lambda x: page.node("MaxPool", x, **settings))
        return in_batches(page, x, ways, lambda x: places_in_picture(page, x, ways, settings))
    return rule


def places_in_picture(page: Page, x: Value, ways: int, settings: dict) -> tuple[Value, Value]:
    """The largest numbers, and where in their picture: ONNX counts on through all pictures of a batch."""
    size = x.shape[-ways:]
    if any([isinstance(n, Varying) for n in size]):
        raise BakedIn(f"{page.about} says where in a picture of {tuple(size)}, whose size varies")
    out, places = page.node("MaxPool", x, outputs=2, **settings)
    return out, page.node("Mod", places, page.constant(np.array(math.prod(size))))


def average_rule(ways: int):
    """The rule of an average pool."""
    def rule(page, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
             divisor_override=None):
        settings = pool_settings(ways, kernel_size, stride, padding)
        if ends_inside(page, x, settings, ceil_mode) != settings:
            raise Unwritten("an average over windows that hang over the end (ceil_mode) has no node that all "
                            "read")
        def write(x):
            out = page.node("AveragePool", x,
                            count_include_pad=int(count_include_pad or divisor_override is not None),
                            **settings)
            if divisor_override is None: return out
            return page.node("Mul", out, page.like(math.prod(settings["kernel_shape"]) / divisor_override, x))
        return in_batches(page, x, ways, write)
    return rule


for pool in (pooling.max_pool1d, spatial.max_pool2d, pooling.max_pool3d): onnx(pool)(max_rule(WAYS[pool]))
for pool in (pooling.avg_pool1d, spatial.avg_pool2d, pooling.avg_pool3d): onnx(pool)(average_rule(WAYS[pool]))


def adaptive_rule(ways: int, kind: str):
    """The rule of an adaptive pool: a plain one, where parts are of one size; else a mean for each part."""
    def rule(page, x, output_size, return_indices=False):
        if return_indices: raise Unwritten("an adaptive pool that tells places has no node")
        size = (output_size,) * ways if isinstance(output_size, int) else tuple(output_size)
        lengths = x.shape[-ways:]
        size = [n if wanted is None else wanted for wanted, n in zip(size, lengths)]
        if all([n == 1 for n in size]):
            return in_batches(page, x, ways, lambda x: page.node(f"Global{kind}Pool", x))
        if any([isinstance(n, Varying) for n in lengths]):
            raise BakedIn(f"{page.about} cuts pictures whose size varies into {size} parts: only (1, 1) can "
                          "follow")
        for dim, (n, wanted) in enumerate(zip(lengths, size), x.ndim - ways):
            x = parts_along(page, x, dim, int(n), wanted, "ReduceMean" if kind == "Average" else "ReduceMax")
        return x
    return rule


def parts_along(page: Page, x: Value, dim: int, n: int, wanted: int, kind: str) -> Value:
    """One number for each part of a dimension; parts may overlap by one."""
    if n == wanted: return x
    cuts = [(i * n // wanted, -(-(i + 1) * n // wanted)) for i in range(wanted)]
    pieces = [page.node(kind, page.node("Slice", x, *map(page.lengths, (start, end, dim))), page.lengths(dim),
                        keepdims=1) for start, end in cuts]
    return page.node("Concat", *pieces, axis=dim)._replace(
        shape=(*x.shape[:dim], wanted, *x.shape[dim + 1 :]), kind=x.kind)


for pool, ways in WAYS.items():
    if pool.name.startswith("adaptive"):
        onnx(pool)(adaptive_rule(ways, "Max" if "max" in pool.name else "Average"))


@onnx(pooling.put_back)
def _(page, x, places, size):
    batch, room = x.shape[: x.ndim - len(size)], math.prod(size)
    empty = page.node("Expand", page.like(0, x), page.lengths([*batch, room]))
    lines = [reshaped(page, part, [*batch, math.prod(x.shape[len(batch) :])]) for part in (places, x)]
    return reshaped(page, page.node("ScatterElements", empty, *lines, axis=-1), [*batch, *size])

@onnx(resampling.take_windows)
def _(page, x, kernel_size, dilation, padding, stride):
    x_padded = page.node("Pad", x, page.lengths([0, 0, *padding, 0, 0, *padding]), page.like(0, x))
    lengths = []
    for dim, n, k, d, p, s in zip((2, 4), x.shape[2:], kernel_size, dilation, padding, stride):
        if isinstance(n, Varying): raise BakedIn(f"{page.about} takes windows of pictures whose size varies")
        # (k, places)
        places = d * np.arange(k)[:, None] + s * np.arange((n + 2 * p - d * (k - 1) - 1) // s + 1)
        lengths.append(places.shape[1])
        x_padded = page.node("Gather", x_padded, page.constant(places), axis=dim)
    windows = page.node("Transpose", x_padded, perm=[0, 1, 2, 4, 3, 5])         # (N, C, kh, kw, H', W')
    shape = [0, x.shape[1] * math.prod(kernel_size), math.prod(lengths)]
    return page.node("Reshape", windows, page.lengths(shape))

@onnx(resampling.add_windows)
def _(page, x, output_size, kernel_size, dilation, padding, stride, places):
    return page.node("Col2Im", x, page.lengths(output_size), page.lengths(kernel_size),
                     dilations=list(dilation),
                     pads=list(padding) * 2, strides=list(stride))


def per_channel(page: Page, x: Value, like: Value) -> Value:
    """A row of one number for each channel, so that it meets (N, C, *)."""
    return reshaped(page, x, (-1, *[1] * (like.ndim - 2)))


@onnx(spatial.rescale_channels)
def _(page, x, mean, var, weight=None, bias=None, eps=1e-5):
    channels = (int(mean.shape[0]),)
    if weight is None: weight = page.constant(np.ones(channels, x.kind))
    if bias is None: bias = page.constant(np.zeros(channels, x.kind))
    return page.node("BatchNormalization", x, weight, bias, mean, var, epsilon=float(eps))

@onnx(spatial.standardize_channels)
def _(page, x, weight=None, bias=None, eps=1e-5):
    return standardized(page, x, [0, *range(2, x.ndim)], eps, weight and per_channel(page, weight, x),
                        bias and per_channel(page, bias, x))

def standardized(page: Page, x: Value, dims: list[int], eps: float, weight=None, bias=None) -> Value:
    """Mean 0 and variance 1 over some dimensions, then a weight and a bias."""
    over = page.lengths(dims)
    distance = page.node("Sub", x, page.node("ReduceMean", x, over, keepdims=1))
    variance = page.node("ReduceMean", page.node("Mul", distance, distance), over, keepdims=1)
    out = page.node("Div", distance, page.node("Sqrt", page.node("Add", variance, page.like(eps, x))))
    if weight is not None: out = page.node("Mul", out, weight)
    return out if bias is None else page.node("Add", out, bias)

@onnx(dense.standardize)
def _(page, x, weight=None, bias=None, last=1, eps=1e-5):
    if weight is None: weight = page.constant(np.ones(tuple(map(int, x.shape[x.ndim - last :])), x.kind))
    return page.node("LayerNormalization", x, weight, bias, axis=-last, epsilon=float(eps))

@onnx(root_mean_square.rescale)
def _(page, x, weight=None, last=1, eps=1e-5):
    over = page.lengths(list(range(x.ndim - last, x.ndim)))
    square = page.node("ReduceMean", page.node("Mul", x, x), over, keepdims=1)
    out = page.node("Div", x, page.node("Sqrt", page.node("Add", square, page.like(eps, x))))
    return out if weight is None else page.node("Mul", out, weight)

@onnx(normalization.standardize_groups)
def _(page, x, weight=None, bias=None, num_groups=1, eps=1e-5):
    groups = page.node("Reshape", x, page.lengths([0, num_groups, -1]))._replace(shape=(1, 1, 1), kind=x.kind)
    out = page.node("Reshape", standardized(page, groups, [2], eps), page.node("Shape", x))
    if weight is not None: out = page.node("Mul", out, per_channel(page, weight, x))
    return out if bias is None else page.node("Add", out, per_channel(page, bias, x))


@onnx(dense.surprise)
def _(page, x, target, ignore_index=-100):
    return page.node("SoftmaxCrossEntropyLoss", x, page.cast(target, np.int64), reduction="none",
                     ignore_index=ignore_index)

@onnx(dense.binary_surprise)
def _(page, x, target):
    """max(x, 0) - x t + log(1 + exp(-|x|))."""
    soft = page.node("Softplus", page.node("Neg", page.node("Abs", x)))
    large = page.node("Sub", page.node("Relu", x), page.node("Mul", x, target))
    return page.node("Add", large, soft)

@onnx(products.cdist)
def _(page, x, y, p=2.0, compute_mode=""):
    if p not in (1, 2): raise Unwritten(f"cdist of order {p} has no node: orders 1 and 2 have")
    rows, columns = page.node("Unsqueeze", x, page.lengths(-2)), page.node("Unsqueeze", y, page.lengths(-3))
    return page.node(f"ReduceL{int(p)}", page.node("Sub", rows, columns), page.lengths(-1), keepdims=0)


HOW = {                         # ONNX's words: the mode, where new pixels stand, and how places are rounded
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest-exact": ("nearest", "half_pixel", "round_prefer_ceil"),
    **dict.fromkeys(("linear", "bilinear", "trilinear"), ("linear", "pytorch_half_pixel", None)),
    "bicubic": ("cubic", "pytorch_half_pixel", None),
}


@onnx(resampling.resample)
def _(page, x, size, scales, mode="nearest", align_corners=False, antialias=False):
    kind, places, rounding = HOW[mode]
    if align_corners: places = "align_corners"
    how = {"mode": kind, "coordinate_transformation_mode": places, "nearest_mode": rounding,
           "cubic_coeff_a": -0.75 if kind == "cubic" else None}
    if antialias: raise Unwritten("resample with antialias has no node that agrees with PyTorch's")
    ways = x.ndim - 2
    factors = page.constant(np.array([1.0, 1.0, *[1 / scale for scale in scales]], np.float32))
    if any([isinstance(n, Varying) for n in x.shape[2:]]): return page.node("Resize", x, None, factors, **how)
    if any([math.floor(int(n) / s) != new or abs(n / new - s) > 1e-6 * s
            for n, s, new in zip(x.shape[2:], scales, size)]):
        raise Unwritten(f"resample by factors {[1 / s for s in scales]} that do not make {tuple(size)} "
                        "exactly: give the size")
    sizes = page.lengths([*x.shape[:2], *size[-ways:]])
    return page.node("Resize", x, None, None, sizes, **how)


@onnx(attention.look_up)
def _(page, ids, weight, padding_idx=None, scale_grad_by_freq=False): return page.node("Gather", weight, ids)

@onnx(attention.attend)
def _(page, query, key, value, mask=None, keep=None, scale=None):
    if keep is not None: raise Unwritten("attention with dropout is for training: model.eval()")
    if scale is None: scale = 1 / math.sqrt(query.shape[-1])
    dims = list(range(key.ndim))
    turned = page.node("Transpose", key, perm=[*dims[:-2], dims[-1], dims[-2]])
    scores = page.node("MatMul", page.node("Mul", query, page.like(scale, query)), turned)
    if mask is not None: scores = page.node("Add", scores, page.cast(mask, query.kind))
    return page.node("MatMul", page.node("Softmax", scores, axis=-1), value)

@onnx(rotary.rotate)
def _(page, x, angles, interleaved=False):
    if interleaved: raise Unwritten("rotate of neighbours (interleaved) has no node here: that of halves has")
    first, second = page.node("Split", x, outputs=2, axis=-1, num_outputs=2)
    cos, sin = [page.cast(page.node(kind, angles)._replace(kind=angles.kind), x.kind)
                for kind in ("Cos", "Sin")]
    parts = [page.node("Sub", page.node("Mul", first, cos), page.node("Mul", second, sin)),
             page.node("Add", page.node("Mul", first, sin), page.node("Mul", second, cos))]
    return page.node("Concat", *parts, axis=-1)


def steps_of(page: Page, x: Value, sizes) -> tuple:
    """T and B, for sequences that are all of one length."""
    if len(set(map(int, sizes))) > 1:
        raise Unwritten("a recurrent layer over sequences of several lengths has no node")
    return (sizes.length if isinstance(sizes, Repeated) else len(sizes)), sizes[0]


def gates(page: Page, x: Value | None, order: list[int], rows: int) -> Value:
    """Weights or biases with their gates in ONNX's order, and a dimension for directions."""
    if x is None: return page.constant(np.zeros((1, rows), np.float32))
    pieces = page.node("Split", x, outputs=len(order), axis=0, num_outputs=len(order))
    x = page.node("Concat", *[pieces[i] for i in order], axis=0) if len(order) > 1 else x
    return page.node("Unsqueeze", x, page.lengths(0))


def walked(page: Page, kind: str, x: Value, states: list, weights: list, sizes, reverse: bool,
           order: list[int], **more):
    """The node of a recurrent layer, and what our op gives: the line of states, and the last ones."""
    (T, B), w_ih, w_hh, b_ih, b_hh = steps_of(page, x, sizes), *weights
    if x.kind != np.float32: raise Unwritten(f"{kind} of {x.kind} has no node that all read: float32 has")
    hidden = int(w_hh.shape[1])
    rows = len(order) * hidden
    box = reshaped(page, x, (T, B, x.shape[1]))
    biases = None
    if b_ih is not None or b_hh is not None:
        biases = page.node("Concat", *[gates(page, b, order, rows) for b in (b_ih, b_hh)], axis=1)
    first = [page.node("Unsqueeze", state, page.lengths(0)) for state in states]
    direction = "reverse" if reverse else "forward"
    weights = [gates(page, w, order, rows) for w in (w_ih, w_hh)]
    out, *last = page.node(kind, box, *weights, biases, None, *first, outputs=1 + len(states),
                           hidden_size=hidden,
                           direction=direction, **more)
    line = reshaped(page, out, (-1, hidden))                              # (T, 1, B, H) -> (T B, H)
    return line, *[page.node("Squeeze", state, page.lengths(0)) for state in last]


@onnx(recurrent.rnn_layer)
def _(page, x, h, w_ih, w_hh, b_ih=None, b_hh=None, sizes=(), nonlinearity="tanh", reverse=False):
    bend = {"tanh": "Tanh", "relu": "Relu"}[nonlinearity]
    return walked(page, "RNN", x, [h], [w_ih, w_hh, b_ih, b_hh], sizes, reverse, [0], activations=[bend])

@onnx(recurrent.gru_layer)
def _(page, x, h, w_ih, w_hh, b_ih=None, b_hh=None, sizes=(), reverse=False):
    return walked(page, "GRU", x, [h], [w_ih, w_hh, b_ih, b_hh], sizes, reverse, [1, 0, 2],
                  linear_before_reset=1)

@onnx(recurrent.lstm_layer)
def _(page, x, h, c, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None, sizes=(), reverse=False):
    if w_hr is not None: raise Unwritten("an LSTM with proj_size has no node")
    return walked(page, "LSTM", x, [h, c], [w_ih, w_hh, b_ih, b_hh], sizes, reverse, [0, 3, 1, 2])
