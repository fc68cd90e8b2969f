"""Lesson 03 and its appendix against PyTorch, line by line."""

import inspect

import numpy as np
import pytest

import tinytorch
import tinytorch.nn.functional as F

pytestmark = pytest.mark.usefixtures("each_choice")


def given(t):
    """What every line may use."""
    far = t.tensor([-1e4, -100.0, -20.0, 20.0, 100.0, 1e4])
    return {"x": t.tensor([[-0.5, 0.3, 3.0, -3.0], [-2.5, 0.0, 7.0, 25.0]]), "F": t.nn.functional, "far": far}


CHANGING = [
    "relu", "elu", "celu", "selu", "silu", "mish", "relu6", "hardtanh", "hardsigmoid", "hardswish",
    "leaky_relu", "rrelu",
]
BENDS = [
    *CHANGING, "sigmoid", "tanh", "gelu", "softplus", "logsigmoid", "softsign", "tanhshrink", "hardshrink",
    "softshrink",
]
OTHERS = ["threshold", "glu", "softmin", "softmax", "log_softmax", "gumbel_softmax"]

SETTINGS = """
F.gelu(x, approximate='tanh')
F.leaky_relu(x, 0.2)
F.leaky_relu(x, negative_slope=2.0)
F.elu(x, 0.5)
F.celu(x, alpha=0.7)
F.celu(x, -0.7)
F.softplus(x, 2, 10)
F.softplus(x, beta=0.5)
F.hardtanh(x, -2.0, 2.5)
F.hardtanh(x, max_val=4)
F.threshold(x, 0.1, 20.0)
F.hardshrink(x, 1.0)
F.softshrink(x, lambd=1.0)
F.rrelu(x, 0.1, 0.3)
F.glu(x)
F.glu(x, 0)
F.glu(x, dim=-2)
t.prelu(x, t.tensor([0.25]))
F.prelu(x, t.tensor([0.1, 0.2, 0.3, 0.4]))
F.prelu(t.ones(2, 3, 2) * -1, t.tensor([0.1, 0.2, 0.3]))
F.prelu(t.tensor([-1.0, 2.0]), t.tensor([0.5]))
""".strip().splitlines()

ALONG = """
F.softmax(t.zeros(0, 3), 0)
F.log_softmax(t.zeros(0, 3), 0)
F.softmax(t.zeros(2, 0), -1)
t.softmax(x, 1)
t.softmax(x, dim=0)
t.softmax(x, 1, dtype=t.float64)
t.softmax(far, 0)
t.softmax(t.tensor(2.0), 0)
t.softmax(t.tensor([1.0, -inf]), 0)
t.softmax(t.tensor([-inf, -inf]), 0)
t.softmax(t.tensor([inf, 0.0]), 0)
t.softmax(t.tensor([1, 2]), 0, dtype=t.float32)
t.softmax(t.ones(2, 3, 4), 1)
t.softmax(x.t(), 1)
F.softmax(x, 0)
x.softmax(-1)
t.log_softmax(x, 1)
t.log_softmax(far, 0)
t.log_softmax(x * inf, 1)
t.log_softmax(t.tensor(2.0), -1)
F.log_softmax(x, dim=-2)
x.log_softmax(-1, dtype=t.float64)
F.softmin(x, 1)
""".strip().splitlines()

IN_PLACE = [
    *[f"F.{name}(x, inplace=True); x" for name in CHANGING],
    *[f"t.{name}_(x); x" for name in ("relu", "selu", "celu", "rrelu", "sigmoid", "tanh")],
    *[f"F.{name}_(x); x" for name in ("relu", "leaky_relu", "elu", "celu", "selu", "hardtanh", "rrelu")],
    *"""
F.threshold_(x, 0.0, 1.0); x
F.threshold(x, 0.1, 20.0, True); x
F.leaky_relu(x, 0.3, True)
F.relu(x, True); x
t.threshold_(x, 1.0, -1.0)
x.relu_(); x
x.sigmoid_()
x.tanh_()
y = x[0]; F.relu_(y); x
""".strip().splitlines(),
]

WHOLE = """
F.relu(t.tensor([-1, 2]))
F.relu6(t.tensor([-1, 9]))
F.hardtanh(t.tensor([-3, 9]))
F.threshold(t.tensor([-3, 9]), 1, 7)
F.softsign(t.tensor([-3, 1]))
F.tanhshrink(t.tensor([-3, 1]))
t.sigmoid(t.tensor([1, 2]))
t.tanh(t.tensor([True]))
""".strip().splitlines()

WRONG = """
t.softmax(x, 2)
t.log_softmax(x, -3)
t.softmax(x)
F.gelu(x, approximate='fast')
F.celu(x, 0.0)
F.glu(t.ones(3))
F.glu(t.tensor(1.0))
F.prelu(x, t.ones(3))
F.softshrink(x, -1.0)
F.relu(x, 1, 2)
""".strip().splitlines()


@pytest.mark.parametrize("name", BENDS)
@pytest.mark.parametrize("kind, tolerance", [("float32", 1), ("float64", 1), ("float16", 3)])
def test_a_bend_bends_as_in_pytorch(agree, name, kind, tolerance):
    agree(f"F.{name}(x.to(t.{kind}))", given, tolerance=tolerance)
    agree(f"F.{name}(far.to(t.{kind}))", given, tolerance=tolerance)


@pytest.mark.parametrize("line", [*SETTINGS, *ALONG, *IN_PLACE, *WHOLE, *WRONG])
def test_a_line_means_the_same_in_both_libraries(agree, line):
    agree(line, given, tolerance=3)


@pytest.mark.parametrize("name", [*BENDS, *OTHERS])
def test_parameters_have_pytorchs_names_in_pytorchs_order(name):
    theirs = getattr(pytest.importorskip("torch").nn.functional, name)
    try: wanted = inspect.signature(theirs).parameters
    except ValueError: pytest.skip("PyTorch does not say")
    ours = getattr(F, name)
    is_op = hasattr(ours, "forward")
    mine = [*ours.inputs, *ours.settings] if is_op else list(inspect.signature(ours).parameters)
    assert mine == [p for p in wanted if p != "_stacklevel"]


def test_a_random_slope_lies_between_its_bounds():
    tinytorch.manual_seed(0)
    slopes = -F.rrelu(tinytorch.full((10_000,), -1.0), 0.1, 0.4, training=True).array
    assert slopes.min() >= 0.1 and slopes.max() <= 0.4 and abs(slopes.mean() - 0.25) < 0.01


def test_gumbel_softmax_chooses_as_often_as_softmax_says():
    tinytorch.manual_seed(0)
    scores = tinytorch.tensor([0.0, 1.0, 2.0])
    chosen = F.gumbel_softmax(scores.expand(20_000, 3), hard=True).array
    assert set(np.unique(np.round(chosen, 6))) == {0.0, 1.0}
    assert np.allclose(chosen.mean(0), tinytorch.softmax(scores, 0).array, atol=0.02)
    soft = F.gumbel_softmax(scores.expand(5, 3), tau=0.5).array
    assert np.allclose(soft.sum(1), 1, atol=1e-6) and ((soft > 0) & (soft < 1)).all()
