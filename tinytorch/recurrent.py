# Generated from modules/07_attention/appendix_recurrent.py by `tito export`. Edit that file, not this one.
"""Networks that read one step after the other: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import warnings
from itertools import accumulate, groupby

import numpy as np

from .creation import empty, zeros
from .dense import dropout
from .errors import ShapeError, shape_of
from .layers import Module, Parameter
from .packing import PackedSequence
from .shaping import cat, stack
from .tensor import METHODS, Kept, Op, Tensor, reshape, transpose

__all__ = [
    "walk", "heard", "halved", "total", "switched", "rnn_layer", "gru_layer", "lstm_layer", "RNNBase",
    "check_sizes", "check_input", "RNN", "LSTM", "GRU", "cell", "check_cell", "rnn_tanh_cell",
    "rnn_relu_cell", "gru_cell", "lstm_cell", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell",
]


def walk(sizes, reverse: bool) -> list[tuple[int, int]]:
    """Where each step begins in the line and how many sequences it has, in the order of walking."""
    steps = [(end - n, n) for end, n in zip(accumulate(sizes), sizes)]
    return steps[::-1] if reverse else steps


def heard(input, weight, bias, steps: list[tuple[int, int]], at_once: int = 256):
    """For each step where it begins, its sequences, and what the input says to their gates, (gates, n)."""
    while steps:
        many = max(1, at_once // max(steps[0][1], 1))
        now, steps = steps[:many], steps[many:]
        first, last = min(now[0], now[-1])[0], sum(max(now[0], now[-1]))
        said = weight @ input[first:last].T
        if bias is not None: said += bias[:, None]
        for start, n in now: yield start, n, said[:, start - first : start - first + n]


def halved(x, gates: int, switches: int, order=None):
    """Weights or biases with the inputs of the first gates halved, in another order of gates if wanted."""
    if x is None: return None
    parts = x.reshape(gates, -1, *x.shape[1:])
    parts = parts[order] if order else parts.copy()
    parts[:switches] *= 0.5
    return parts.reshape(x.shape)


def total(one, other):
    """The sum of two biases, of which there may be none."""
    return one if other is None else other if one is None else one + other


def switched(x) -> None:
    """From tanh to sigmoid, over x."""
    x *= 0.5
    x += 0.5


@Op
def rnn_layer(input, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, /, *, sizes, nonlinearity="tanh",
              reverse=False):
    """h = tanh(w_ih x + b_ih + w_hh h + b_hh).  (N, in), (B, H) … -> (N, H), (B, H)"""
    out, h = np.empty_like(input, shape=(len(input), weight_hh.shape[1])), h.T.copy()
    for start, n, said in heard(input, weight_ih, total(bias_ih, bias_hh), walk(sizes, reverse)):
        new = weight_hh @ h[:, :n]
        new += said
        h[:, :n] = np.tanh(new, out=new) if nonlinearity == "tanh" else np.maximum(new, 0, out=new)
        out[start : start + n] = h[:, :n].T
    return out, h.T.copy()


@Op
def gru_layer(input, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, /, *, sizes, reverse=False):
    """r, z = σ(…), n = tanh(… + r (w_hn h + b_hn)), h = (1 - z) n + z h.

    (N, in), (B, H) … -> (N, H), (B, H)
    """
    H = weight_hh.shape[1]
    out, h = np.empty_like(input, shape=(len(input), H)), h.T.copy()
    weight_ih, weight_hh, bias_ih, bias_hh = [
        halved(x, 3, 2) for x in (weight_ih, weight_hh, bias_ih, bias_hh)]
    weight_hh = weight_hh.T.copy().T        # column by column
    for start, n, said in heard(input, weight_ih, bias_ih, walk(sizes, reverse)):
        state = h[:, :n]
        gates = weight_hh @ state
        if bias_hh is not None: gates += bias_hh[:, None]
        switches, new = gates[: 2 * H], gates[2 * H :]
        switches += said[: 2 * H]
        np.tanh(switches, out=switches)
        switched(switches)
        new *= switches[:H]
        new += said[2 * H :]
        np.tanh(new, out=new)
        state -= new
        state *= switches[H:]
        state += new
        out[start : start + n] = state.T
    return out, h.T.copy()


@Op
def lstm_layer(input, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, /, *, sizes,
               reverse=False):
    """i, f, o = σ(…), g = tanh(…), c = f c + i g, h = o tanh(c), by w_hr made shorter if it is there.

    (N, in), (B, H), (B, H) … -> (N, H), (B, H), (B, H). Kept for each step of the walk, of its n sequences:
    c, (H, n), and i, f, o, g, (4, H, n).
    """
    (N, into), (B, width), H, steps = input.shape, h.shape, c.shape[1], walk(sizes, reverse)
    parts = [halved(x, 4, 3, [0, 1, 3, 2]) for x in (weight_ih, weight_hh, total(bias_ih, bias_hh))]
    weight = np.concatenate([x.reshape(4 * H, -1) for x in parts if x is not None], axis=1)
    heard = np.ones_like(weight, shape=(weight.shape[1], B))        # the input, the state, 1 for the bias
    heard[into : into + width], c = h.T, c.T.copy()
    out, room, asked = [np.empty_like(c, shape=shape) for shape in ((N, width), (H, B), (4 * H, B))]
    gates, cells = [np.empty_like(c, shape=(len(steps), *shape)) for shape in ((4, H, B), (H, B))]
    for n, alike in groupby(zip(steps, gates, cells), key=lambda step: step[0][1]):
        all_heard, answer, told, before = heard[:, :n], asked[:, :n], room[:, :n], c[:, :n]
        now, said = all_heard[:into], all_heard[into : into + width]
        for (start, _), gate, cell in alike:
            now[...] = input[start : start + n].T
            np.matmul(weight, all_heard, out=answer)                # always there: it stays in the cache
            flat, (write, keep, say, new), cell = gate.reshape(4 * H, B)[:, :n], gate[..., :n], cell[:, :n]
            np.tanh(answer, out=flat)
            switched(flat[: 3 * H])
            np.multiply(keep, before, out=cell)
            cell += np.multiply(write, new, out=told)
            np.tanh(cell, out=told)
            if weight_hr is None: np.multiply(say, told, out=said)
            else: said[...] = weight_hr @ np.multiply(say, told, out=told)
            out[start : start + n], before = said.T, cell
        c[:, :n] = before
    told = [[one[..., :n] for one, (_, n) in zip(many, steps)] for many in (cells, gates)]
    return Kept((out, heard[into : into + width].T.copy(), c.T.copy()), *told)


class RNNBase(Module):
    """What RNN, LSTM and GRU have in common: layers, directions, and the shapes of batches."""

    gates, states, step = 1, 1, rnn_layer

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device=None, dtype=None,
    ):
        super().__init__()
        check_sizes(hidden_size, num_layers, dropout, proj_size)
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        for layer, ending in self.walks():
            into = input_size if layer == 0 else self.width * (1 + bidirectional)
            shapes = {"weight_ih": (self.gates * hidden_size, into),
                      "weight_hh": (self.gates * hidden_size, self.width)}
            if bias: shapes |= dict.fromkeys(("bias_ih", "bias_hh"), (self.gates * hidden_size,))
            if proj_size: shapes["weight_hr"] = proj_size, hidden_size
            for name, shape in shapes.items():
                setattr(self, name + ending, Parameter(empty(*shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def width(self) -> int: return self.proj_size or self.hidden_size

    def walks(self) -> list[tuple[int, str]]:
        """For each layer and direction, the layer and the ending of its weights' names."""
        endings = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, f"_l{layer}{ending}") for layer in range(self.num_layers) for ending in endings]

    def weights(self, ending: str) -> list:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [self._parameters.get(name + ending) for name in names[: 5 if self.proj_size else 4]]

    @property
    def all_weights(self) -> list[list]:
        return [[w for w in self.weights(ending) if w is not None] for _, ending in self.walks()]

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters(): weight.data.uniform_(-bound, bound)

    def flatten_parameters(self) -> None:
        """PyTorch moves weights together for the GPU's library; here they stay where they are."""

    def settings(self) -> dict: return {}

    def forward(self, input, hx=None):
        """The states of the last layer at all steps, and of all layers after the last."""
        if isinstance(input, PackedSequence): return self.packed(input, hx)
        check_input(self, input)
        single, along = input.ndim == 2, 1 if self.batch_first else 0
        if single: input, along = METHODS["unsqueeze"](input, 1), 0
        elif self.batch_first: input = transpose(input, 0, 1)
        T, B = input.shape[:2]
        hx = self.beginning(hx, input, B, single)
        out, hx = self.layers(reshape(input, (T * B, self.input_size)), hx, [B] * T)
        out = reshape(out, (T, B, out.shape[-1]))
        if single: return METHODS["squeeze"](out, 1), self.told([METHODS["squeeze"](x, 1) for x in hx])
        return transpose(out, 0, 1) if along else out, self.told(hx)

    def packed(self, input: PackedSequence, hx):
        data, sizes, order, back = input
        if data.shape[-1] != self.input_size:
            raise RuntimeError(f"{type(self).__name__} wants {self.input_size} numbers a step, "
                               f"not {data.shape[-1]}")
        sizes_list = sizes.tolist()
        hx = self.beginning(hx, data, sizes_list[0], False)
        if order is not None: hx = [METHODS["index_select"](x, 1, order) for x in hx]
        out, hx = self.layers(data, hx, sizes_list)
        if back is not None: hx = [METHODS["index_select"](x, 1, back) for x in hx]
        return PackedSequence(out, sizes, order, back), self.told(hx)

    def beginning(self, hx, input, batch: int, single: bool) -> list:
        """The states to start from: those given, of the right shape, or zeros."""
        layers = len(self.walks())
        shapes = [(layers, batch, width) for width in (self.width, self.hidden_size)[: self.states]]
        if hx is None: return [zeros(*shape, dtype=input.dtype, device=input.device) for shape in shapes]
        hx = list(hx) if self.states > 1 else [hx]
        if single: hx = [METHODS["unsqueeze"](x, 1) if x.ndim == 2 else x for x in hx]
        for x, shape in zip(hx, shapes):
            if tuple(x.shape) != shape:
                raise ShapeError(f"{type(self).__name__} wants states of shape {shape}, not {shape_of(x)}")
        return hx

    def layers(self, line, hx: list, sizes: list[int]):
        """All layers along a line; the line that comes out, and the last states."""
        ends, walks, directions = [], self.walks(), 1 + self.bidirectional
        for at in range(0, len(walks), directions):
            if at and self.dropout: line = dropout(line, self.dropout, self.training)
            told = [type(self).step(line, *[x[at + d] for x in hx], *self.weights(walks[at + d][1]),
                                    sizes=sizes, reverse=bool(d), **self.settings())
                    for d in range(directions)]
            line = cat([out for out, *_ in told], -1) if directions > 1 else told[0][0]
            ends += [states for _, *states in told]
        return line, [stack(states) for states in zip(*ends)]

    def told(self, hx: list): return hx[0] if self.states == 1 else tuple(hx)

    def extra_repr(self) -> str:
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
                 "bidirectional": False}
        different = [f", {name}={getattr(self, name)}" for name, value in usual.items()
                     if getattr(self, name) != value]
        return f"{self.input_size}, {self.hidden_size}" + "".join(different)


def check_sizes(hidden_size, num_layers, dropout, proj_size) -> None:
    """Complains about what no recurrent network can be."""
    if isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(f"dropout leaves out with a probability from 0 to 1, not {dropout}")
    for name, value in {"hidden_size": hidden_size, "num_layers": num_layers}.items():
        if not isinstance(value, int): raise TypeError(f"{name} is a whole number, not {value!r}")
        if value <= 0: raise ValueError(f"{name} is above 0, not {value}")
    if not 0 <= proj_size < hidden_size:
        raise ValueError(f"proj_size is from 0 up to hidden_size {hidden_size}, not {proj_size}")
    if dropout and num_layers == 1:
        warnings.warn("dropout stands between layers, and there is only one", stacklevel=4)


def check_input(network: RNNBase, input) -> None:
    """Complains about a batch that the network cannot read."""
    name = type(network).__name__
    if input.ndim not in (2, 3):
        raise ValueError(f"{name} reads (T, in) or (T, B, in), or (B, T, in) with batch_first, "
                         f"not {shape_of(input)}")
    if input.shape[-1] != network.input_size:
        raise RuntimeError(f"{name} wants {network.input_size} numbers a step, not {input.shape[-1]}")
    if input.shape[1 if network.batch_first and input.ndim == 3 else 0] == 0:
        raise RuntimeError(f"{name} wants at least one step, not a sequence of none: {shape_of(input)}")
    weight = network.weight_ih_l0
    if input.dtype != weight.dtype:
        raise ValueError(f"{name} holds weights of {weight.dtype} and cannot read {input.dtype}")


class RNN(RNNBase):
    """h = tanh(w_ih x + b_ih + w_hh h + b_hh), layer by layer.  (T, B, in) -> (T, B, H), (layers, B, H)"""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device=None, dtype=None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"an RNN bends by 'tanh' or 'relu', not by {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def settings(self) -> dict: return {"nonlinearity": self.nonlinearity}


class LSTM(RNNBase):
    """A state to remember and one to say, and three gates.  (T, B, in) -> (T, B, H), (h, c)"""

    gates, states, step = 4, 2, lstm_layer


class GRU(RNNBase):
    """One state and two gates.  (T, B, in) -> (T, B, H), (layers, B, H)"""

    gates, step = 3, gru_layer

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None, dtype=None,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         device=device, dtype=dtype)


def cell(step: Op, states: int, input, hx, weights: tuple, **settings):
    """One step of a layer, of a batch or of a single sequence."""
    check_cell(input, hx, weights)
    single = input.ndim == 1
    arrays = [METHODS["unsqueeze"](x, 0) if single else x for x in (input, *hx)]
    told = step(*arrays, *weights, sizes=[arrays[0].shape[0]], **settings)[1:]
    told = [METHODS["squeeze"](x, 0) if single else x for x in told]
    return told[0] if states == 1 else tuple(told)


def check_cell(input, hx, weights) -> None:
    """Complains about inputs and states that do not go with the weights."""
    wants, width = weights[0].shape[1], weights[1].shape[1]
    if input.shape[-1] != wants:
        raise RuntimeError(f"the cell wants {wants} numbers a step, not {input.shape[-1]}")
    for x in hx:
        if x.ndim != input.ndim or tuple(x.shape) != (*input.shape[:-1], width):
            raise RuntimeError(f"the cell wants states of shape {(*input.shape[:-1], width)} with inputs "
                               f"{shape_of(input)}, not {shape_of(x)}")


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """One step of an RNN with tanh.  (B, in), (B, H) … -> (B, H)"""
    return cell(rnn_layer, 1, input, [hx], (w_ih, w_hh, b_ih, b_hh))


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """One step of an RNN with relu.  (B, in), (B, H) … -> (B, H)"""
    return cell(rnn_layer, 1, input, [hx], (w_ih, w_hh, b_ih, b_hh), nonlinearity="relu")


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None) -> Tensor:
    """One step of a GRU.  (B, in), (B, H) … -> (B, H)"""
    return cell(gru_layer, 1, input, [hx], (w_ih, w_hh, b_ih, b_hh))


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None) -> tuple[Tensor, Tensor]:
    """One step of an LSTM.  (B, in), ((B, H), (B, H)) … -> (B, H), (B, H)"""
    return cell(lstm_layer, 2, input, list(hx), (w_ih, w_hh, b_ih, b_hh))


class RNNCellBase(Module):
    """What the cells have in common: their weights."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device, dtype):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        def room(*shape): return Parameter(empty(*shape, device=device, dtype=dtype))
        self.weight_ih = room(num_chunks * hidden_size, input_size)
        self.weight_hh = room(num_chunks * hidden_size, hidden_size)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, room(num_chunks * hidden_size) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for weight in self.parameters(): weight.data.uniform_(-bound, bound)

    def state(self, input, hx):
        """The state given, or zeros."""
        if input.ndim not in (1, 2):
            raise ValueError(f"{type(self).__name__} reads (in) or (B, in), not {shape_of(input)}")
        if hx is not None: return hx
        return zeros(*input.shape[:-1], self.hidden_size, dtype=input.dtype, device=input.device)

    def weights(self) -> tuple: return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        bend = getattr(self, "nonlinearity", "tanh")
        return text if bend == "tanh" else f"{text}, nonlinearity={bend}"


class RNNCell(RNNCellBase):
    """One step of an RNN.  (B, in), (B, H) -> (B, H)"""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"an RNN bends by 'tanh' or 'relu', not by {self.nonlinearity!r}")
        step = rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell
        return step(input, self.state(input, hx), *self.weights())


class LSTMCell(RNNCellBase):
    """One step of an LSTM.  (B, in), (h, c) -> (h, c)"""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        hx = (self.state(input, None),) * 2 if hx is None else hx
        return lstm_cell(input, hx, *self.weights())


class GRUCell(RNNCellBase):
    """One step of a GRU.  (B, in), (B, H) -> (B, H)"""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None): return gru_cell(input, self.state(input, hx), *self.weights())
