"""Layers that learn their width from their first input, against PyTorch."""
# ruff: noqa: E501      a line of the tables is a program

from copy import deepcopy

import numpy as np
import pytest

import tinytorch as tt

SHAPES = {1: (2, 4, 7), 2: (2, 4, 6, 7), 3: (2, 4, 5, 6, 7)}
X = {f"x{n}": np.random.default_rng(n).standard_normal(shape).astype("f") for n, shape in SHAPES.items()}


def names(t): return {**{name: t.tensor(x) for name, x in X.items()}, "nn": t.nn, "F": t.nn.functional}


EACH = """
t.manual_seed(0); m = nn.{layer}; y = m(x{n}); [y, type(m).__name__, *m.state_dict().values()]
t.manual_seed(0); m = nn.{layer}.double(); y = m(x{n}.double()); [y, list(m.state_dict())]
m = nn.{layer}; repr(m)
m = nn.{layer}; m(x{n}); repr(m)
m = nn.{layer}; [repr(p) for p in m.parameters()]
m = nn.{layer}; list(m.state_dict())
m = nn.{layer}; m.has_uninitialized_params()
m = nn.{layer}; m.weight.shape
t.manual_seed(0); m = nn.{layer}; y = m(x{n}[0]); y
m = nn.{layer}; m(x{n}[0, 0, 0])
""".strip().splitlines()

LINEAR = ["LazyLinear(3)", "LazyLinear(3, bias=False)"]
LAYERS = ["LazyConv{n}d(6, 3)", "LazyConv{n}d(6, 3, stride=2, padding=1, groups=2, bias=False)",
          "LazyConvTranspose{n}d(6, 3, 2)", "LazyBatchNorm{n}d()", "LazyBatchNorm{n}d(1e-3, None)",
          "LazyInstanceNorm{n}d(affine=True)"]

LINES = [line.format(layer=layer, n=1) for layer in LINEAR for line in EACH if "[0" not in line]
LINES += [line.format(layer=layer.format(n=n), n=n) for n in SHAPES for layer in LAYERS for line in EACH
          if not ("Norm" in layer and "[0" in line)]
LINES += """
m = nn.LazyLinear(3); m.load_state_dict(nn.Linear(7, 3).state_dict()); [m.weight.shape, m.has_uninitialized_params(), m(x1).shape]
t.manual_seed(0); s = nn.Conv2d(4, 3, 2).state_dict(); m = nn.LazyConv2d(3, 2); m.load_state_dict(s); m(x2)
m = nn.Linear(7, 3); m.load_state_dict(nn.LazyLinear(3).state_dict())
nn.LazyConv2d(6, 3, groups=3)(x2)
p = nn.UninitializedParameter(dtype=t.float64); p.materialize((2, 3)); [p.shape, type(p).__name__, p.dtype]
p = nn.UninitializedBuffer(); p.materialize((2, 3)); p.shape
nn.parameter.is_lazy(nn.UninitializedParameter()), nn.parameter.is_lazy(nn.Parameter(t.ones(2)))
""".strip().splitlines()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:Initializing zero-element")
def test_a_line_means_the_same_in_both_libraries(agree_as_layers, line): agree_as_layers(line, names)


def test_an_optimizer_may_hold_the_parameters_already():
    model = tt.nn.Sequential(tt.nn.LazyConv2d(3, 3), tt.nn.Flatten(), tt.nn.LazyLinear(2))
    held = list(model.parameters())
    model(tt.randn(2, 4, 6, 7))
    assert all(a is b for a, b in zip(held, model.parameters()))
    assert [tuple(p.shape) for p in held] == [(3, 4, 3, 3), (3,), (2, 60), (2,)]


def test_a_copy_waits_for_an_input_of_its_own():
    one = tt.nn.LazyLinear(3)
    two = deepcopy(one)
    one(tt.ones(2, 5))
    two(tt.ones(2, 4))
    assert one.weight.shape == (3, 5) and two.weight.shape == (3, 4)
    assert not one._forward_pre_hooks and not one._load_state_dict_pre_hooks, "nothing is left of the waiting"
