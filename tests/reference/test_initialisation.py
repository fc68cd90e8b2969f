"""First numbers for weights: the same as PyTorch's, draw by draw."""

import inspect
import warnings

import numpy as np
import pytest

import tinytorch as tt


def names(t):
    t.manual_seed(0)
    return {"init": t.nn.init, "w": t.empty(5, 7), "c": t.empty(4, 3, 3, 2), "P": t.nn.Parameter,
            "d": t.empty(6, 4, dtype=t.float64), "g": t.Generator().manual_seed(5), "tall": t.empty(9, 4)}


SAME = """
init.uniform_(w)
init.uniform_(w, -2.0, 3.0)
init.uniform_(w, a=1.0, b=2.0, generator=g)
init.normal_(w)
init.normal_(w, 1.0, 0.1)
init.normal_(w, mean=1.0, std=0.1, generator=g)
init.normal_(d)
init.normal_(t.empty(3))
init.constant_(w, 0.3)
init.ones_(w), init.zeros_(d)
init.eye_(w), init.eye_(tall), init.eye_(d)
init.eye_(c)
init.dirac_(c), init.dirac_(t.empty(3, 3, 5)), init.dirac_(t.empty(2, 4, 3, 3, 3)), init.dirac_(c, 2)
init.dirac_(w)
init.dirac_(c, 3)
init.xavier_uniform_(w)
init.xavier_uniform_(c, 2.0)
init.xavier_uniform_(w, gain=2.0, generator=g)
init.xavier_normal_(w)
init.xavier_normal_(c, 0.5, g)
init.kaiming_uniform_(w)
init.kaiming_uniform_(w, a=5**0.5)
init.kaiming_uniform_(c, mode="fan_out", nonlinearity="relu")
init.kaiming_uniform_(w, 0.2, "fan_in", "leaky_relu", g)
init.kaiming_uniform_(w, mode="FAN_OUT")
init.kaiming_uniform_(w, mode="both")
init.kaiming_normal_(w)
init.kaiming_normal_(c, a=0.1)
init.kaiming_normal_(c, mode="fan_out", nonlinearity="relu")
init.kaiming_normal_(d, nonlinearity="tanh", generator=g)
init.kaiming_normal_(w, mode="both")
init.kaiming_normal_(w, nonlinearity="what")
init.kaiming_uniform_(t.empty(3))
init.xavier_normal_(t.empty(3))
init.orthogonal_(t.empty(3))
init.sparse_(w, 0.3)
init.sparse_(w, 0.5, 2.0, g)
init.sparse_(c, 0.3)
init.trunc_normal_(w)
init.trunc_normal_(t.empty(500))
init.trunc_normal_(t.empty(500), 1.0, 2.0, 0.0, 3.0)
init.trunc_normal_(t.empty(500), std=0.02)
init.trunc_normal_(t.empty(50), 0.0, 1.0, 1.5, 4.0)
init.trunc_normal_(t.empty(50), 0.0, 1.0, -4.0, -1.5, g)
init.trunc_normal_(t.empty(50, dtype=t.float64), 0.0, 1.0, -0.1, 0.1)
[init.calculate_gain(n) for n in ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh")]
[init.calculate_gain(n) for n in ("relu", "leaky_relu", "selu")]
init.calculate_gain("leaky_relu", 0.2), init.calculate_gain("leaky_relu", 1)
init.calculate_gain("what")
init.calculate_gain("leaky_relu", "what")
init.calculate_gain("leaky_relu", True)
init._calculate_fan_in_and_fan_out(c), init._calculate_fan_in_and_fan_out(w)
p = P(w); init.ones_(p) is p, p.requires_grad
p = P(w); init.kaiming_uniform_(p); init.zeros_(p); p
init.xavier_uniform(w)
init.constant(w, 2.0)
init.normal(w, 0.0, 2.0)
"""


@pytest.mark.parametrize("line", SAME.strip().split("\n"))
def test_first_numbers(line, agree):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # of names of yesterday, and of means that are far away
        agree(f"out = ({line}); (out, t.rand(3))" if ";" not in line else line, names)


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (4, 3, 2, 2), (1, 6), (6, 1), (0, 3)], ids=str)
@pytest.mark.parametrize("gain", [1, 0.5])
def test_orthogonal(shape, gain, agree):
    agree(f"out = init.orthogonal_(t.empty({shape}), {gain}); (out, t.rand(3))", names, tolerance=10)


def test_orthogonal_turns_and_does_not_stretch():
    q = tt.nn.init.orthogonal_(tt.empty(8, 5)).array
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-6)


OLD = """normal uniform constant eye dirac xavier_uniform xavier_normal kaiming_uniform kaiming_normal
orthogonal sparse"""


@pytest.mark.parametrize("name", OLD.split())
def test_names_of_yesterday_warn(name):
    fill = getattr(tt.nn.init, name)
    assert fill.__name__ == name
    arguments = {"constant": (1.0,), "sparse": (0.1,)}.get(name, ())
    shape = (2, 2, 1) if name == "dirac" else (2, 2)
    with pytest.warns(FutureWarning, match=f"{name}_"): fill(tt.empty(shape), *arguments)


def test_signatures():
    torch = pytest.importorskip("torch")
    for name in dir(torch.nn.init):
        if not name.endswith("_") or name.startswith("_"): continue
        theirs, ours = (inspect.signature(getattr(lib.nn.init, name)) for lib in (torch, tt))
        assert [(p.name, p.default) for p in ours.parameters.values()] == \
            [(p.name, p.default) for p in theirs.parameters.values()], name
