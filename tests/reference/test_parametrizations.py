"""Computed parameters: weight norm, spectral norm, orthogonal weights, and one's own, against PyTorch."""
# ruff: noqa: E501      a line of the tables is a program

import pickle
from copy import deepcopy
from importlib import import_module

import pytest

import tinytorch as tt
from tinytorch.layers import Module, Parameter


def names(t):
    path = f"{t.__name__}.nn.utils"
    return {"nn": t.nn, "U": t.nn.utils, "P": import_module(f"{path}.parametrizations"),
            "Z": import_module(f"{path}.parametrize"), "x": t.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])}


LINES = """
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); [m(x), m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4), dim=None); [m(x), m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4), dim=1); [m(x), m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.weight_norm(nn.Conv2d(3,4,2)); [m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); m
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4), 'bias'); [m.bias, *m.state_dict().values()]
t.manual_seed(0); list(P.weight_norm(nn.Linear(3,4)).state_dict())
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); Z.remove_parametrizations(m,'weight'); [m, m.weight]
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); Z.remove_parametrizations(m,'weight', False)
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); m.load_state_dict({'weight_g':t.ones(4,1),'weight_v':t.ones(4,3),'bias':t.zeros(4)}); m(x)
t.manual_seed(0); m=P.weight_norm(nn.Linear(3,4)); m.weight=t.ones(4,3); [*m.state_dict().values()]
t.manual_seed(0); m=P.spectral_norm(nn.Linear(3,4)); [m(x), m(x), m.eval()(x), *m.state_dict().values()]
t.manual_seed(0); m=P.spectral_norm(nn.Conv2d(3,4,2), n_power_iterations=3); [m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.spectral_norm(nn.ConvTranspose2d(3,4,2)); [m.weight, *m.state_dict().values()]
t.manual_seed(0); m=P.spectral_norm(nn.Linear(3,4),'bias'); m(x)
P.spectral_norm(nn.Linear(3,4), dim=5)
P.spectral_norm(nn.Linear(3,4), n_power_iterations=0)
P.spectral_norm(nn.Linear(3,4), 'no')
P.weight_norm(nn.Linear(3,4), 'no')
t.manual_seed(0); m=P.spectral_norm(nn.Linear(3,4)); list(m.state_dict())
t.manual_seed(0); m=P.spectral_norm(nn.Linear(3,4)); m
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,4)); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(3,5)); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(5,3)); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(5,3), use_trivialization=False); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(3,5), use_trivialization=False); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,4), 'weight', 'cayley'); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,4), 'weight', 'cayley', use_trivialization=False); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,6), 'weight', 'matrix_exp', use_trivialization=False); [m.weight.detach(), *m.state_dict().values()]
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,6), 'weight', 'cayley', use_trivialization=False); m.weight=t.eye(6,4)
P.orthogonal(nn.Linear(4,6), 'weight', 'turn')
P.orthogonal(nn.Linear(4,6), 'bias')
t.manual_seed(0); m=P.orthogonal(nn.Linear(4,4)); m
t.manual_seed(0); m=U.weight_norm(nn.Linear(3,4)); [m(x), m.weight, *m.state_dict().values()]
t.manual_seed(0); m=U.weight_norm(nn.Linear(3,4)); list(m.state_dict())
t.manual_seed(0); m=U.weight_norm(nn.Linear(3,4),dim=None); [m(x), *m.state_dict().values()]
t.manual_seed(0); m=U.weight_norm(nn.Linear(3,4)); U.remove_weight_norm(m); [m(x), m, m.weight]
t.manual_seed(0); m=U.weight_norm(nn.Linear(3,4)); U.weight_norm(m)
U.remove_weight_norm(nn.Linear(3,4))
t.manual_seed(0); m=U.spectral_norm(nn.Linear(3,4)); [m(x), m(x), m.eval()(x), *m.state_dict().values()]
t.manual_seed(0); m=U.spectral_norm(nn.Linear(3,4)); list(m.state_dict())
t.manual_seed(0); m=U.spectral_norm(nn.ConvTranspose2d(3,4,2),n_power_iterations=2); m.state_dict()['weight_u']
t.manual_seed(0); m=U.spectral_norm(nn.Linear(3,4)); m(x); U.remove_spectral_norm(m); [m(x), list(m.state_dict())]
Z.is_parametrized(P.weight_norm(nn.Linear(3,4)))
Z.is_parametrized(nn.Linear(3,4)), Z.is_parametrized(P.weight_norm(nn.Linear(3,4)),'bias')
Z.type_before_parametrizations(P.weight_norm(nn.Linear(3,4))).__name__
Z.register_parametrization(nn.Linear(3,4),'weight',nn.Flatten(0))
Z.register_parametrization(nn.Linear(3,4),'weight',nn.ReLU()).weight.shape
t.manual_seed(0); m=Z.register_parametrization(nn.Linear(3,4),'weight',nn.ReLU()); Z.register_parametrization(m,'weight',nn.Tanh()); [m(x), m, *m.state_dict().values()]
t.manual_seed(0); m=Z.register_parametrization(nn.Linear(3,4),'weight',nn.ReLU()); Z.remove_parametrizations(m,'weight'); [m.weight, m]
t.manual_seed(0); m=Z.register_parametrization(nn.Linear(3,4),'weight',nn.ReLU()); Z.remove_parametrizations(m,'weight',False); [m.weight, m]
m=Z.register_parametrization(nn.Linear(3,4),'weight',nn.ReLU()); m.weight=t.ones(4,3)
t.manual_seed(0); m = P.weight_norm(nn.Linear(3, 4)); m(x).square().sum().backward(); [p.grad for p in m.parameters()]
t.manual_seed(0); m = P.spectral_norm(nn.Linear(3, 4)); m(x).square().sum().backward(); [p.grad for p in m.parameters()]
t.manual_seed(0); m = P.orthogonal(nn.Linear(3, 3).double(), orthogonal_map='matrix_exp'); m(x.double()).pow(3).sum().backward(); [p.grad for p in m.parameters()]
t.manual_seed(0); m = P.orthogonal(nn.Linear(3, 5).double()); m(x.double()).pow(3).sum().backward(); [p.grad for p in m.parameters()]
t.manual_seed(0); m = U.weight_norm(nn.Linear(3, 4)); m(x).square().sum().backward(); [p.grad for p in m.parameters()]
""".strip().splitlines()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_line_means_the_same_in_both_libraries(agree_as_layers, line): agree_as_layers(line, names)


class Doubled(Module):
    calls = 0

    def forward(self, x):
        Doubled.calls += 1
        return x * 2


def layer():
    made = Module()
    made.weight = Parameter(tt.tensor([1.0, 2.0]))
    return tt.nn.utils.parametrize.register_parametrization(made, "weight", Doubled())


def test_a_copy_has_a_class_and_numbers_of_its_own():
    one = layer()
    two = deepcopy(one)
    two.parametrizations.weight.original.data.fill_(5.0)
    tt.nn.utils.parametrize.remove_parametrizations(two, "weight")
    assert two.weight.tolist() == [10.0, 10.0] and one.weight.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="state_dict"): pickle.dumps(one)


def test_inside_of_cached_it_is_computed_once():
    one = layer()
    Doubled.calls = 0
    with tt.nn.utils.parametrize.cached(): assert one.weight is one.weight
    assert Doubled.calls == 1
    assert one.weight is not one.weight


def test_the_parameter_stays_the_same_object():
    made = Module()
    made.weight = kept = Parameter(tt.tensor([1.0, 2.0]))
    tt.nn.utils.parametrize.register_parametrization(made, "weight", Doubled())
    assert list(made.parameters()) == [kept] or next(made.parameters()) is kept
    tt.nn.utils.parametrize.remove_parametrizations(made, "weight")
    assert made.weight is kept and kept.tolist() == [2.0, 4.0]
