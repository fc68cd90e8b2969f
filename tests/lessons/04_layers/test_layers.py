"""Lesson 04 on trees, states and weights that the lesson's checks do not use."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, manual_seed, tensor
from tinytorch.layers import (
    Buffer,
    Module,
    Parameter,
    Sequential,
    calculate_gain,
    compare,
    fans,
    kaiming_normal_,
    members,
    own_state,
    take_over,
    walk,
)

rng = np.random.default_rng(4)
TREES = [np.random.default_rng(seed) for seed in range(8)]


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def grown(random, depth=3):
    """A random tree, and what it should say: its modules, parameters and buffers, by path, in order."""
    model, modules, parameters, buffers = Module(), [""], [], []
    for name in random.permutation(list("abcdef"))[: random.integers(0, 4)]:
        parameters.append(str(name))
        setattr(model, str(name), Parameter(Tensor(numbers(*random.integers(1, 4, 2)))))
    for name in random.permutation(list("uvw"))[: random.integers(0, 3)]:
        buffers.append(str(name))
        model.register_buffer(str(name), Tensor(numbers(2)))
    for name in random.permutation(list("xyz"))[: random.integers(0, 4) if depth else 0]:
        part, *below = grown(random, depth - 1)
        setattr(model, str(name), part)
        for mine, theirs in zip((modules, parameters, buffers), below):
            mine += [f"{name}.{path}" if path else str(name) for path in theirs]
    return model, modules, parameters, buffers


class Affine(Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = Parameter(Tensor(numbers(i, o))), Parameter(Tensor(numbers(o)))

    def forward(self, x): return x @ self.weight + self.bias


@pytest.mark.parametrize("random", TREES, ids=lambda _: "tree")
def test_everything_in_a_tree_is_found_in_order(random):
    model, modules, parameters, buffers = grown(random)
    assert [path for path, _ in walk(model, set())] == modules, "each part before what is below it"
    assert [path for path, _ in model.named_parameters()] == parameters, "in the order of the walk"
    assert [path for path, _ in model.named_buffers()] == buffers, "in the order of the walk"
    assert sorted(model.state_dict()) == sorted(parameters + buffers), "the state holds all of them"
    for path, part in walk(model, set()): assert model.get_submodule(path) is part
    for path, p in model.named_parameters(): assert model.get_parameter(path) is p


@pytest.mark.parametrize("random", TREES, ids=lambda _: "tree")
def test_a_state_goes_from_one_tree_to_its_twin(random):
    model = grown(random)[0]
    twin = copy.deepcopy(model)
    for p in twin.parameters(): p.data.zero_()
    memory = [p.array for p in twin.parameters()]
    assert repr(twin.load_state_dict(model.state_dict())) == "<All keys matched successfully>"
    for (name, mine), (other, theirs) in zip(twin.state_dict().items(), model.state_dict().items()):
        assert name == other and np.array_equal(mine.array, theirs.array), "the numbers arrive"
    assert all(p.array is old for p, old in zip(twin.parameters(), memory)), "in the memory that was there"


def test_a_parameter_shares_memory_and_wants_a_gradient():
    x = numbers(3, 4)
    p = Parameter(Tensor(x))
    assert p.array is x and p.requires_grad, "a box around the same numbers"
    assert not Parameter(Tensor(x), requires_grad=False).requires_grad
    assert not Parameter(tensor([1, 2]), requires_grad=False).requires_grad, "whole numbers may stand still"
    with pytest.raises(RuntimeError): Parameter(tensor([1, 2]))
    assert type(p + 1) is Tensor, "what is computed from a parameter is none"
    assert repr(p).startswith("Parameter containing:")


@pytest.mark.parametrize(("value", "drawer"), [
    (lambda: Parameter(Tensor(numbers(2))), "_parameters"), (lambda: Buffer(Tensor(numbers(2))), "_buffers"),
    (Module, "_modules"), (lambda: Sequential(), "_modules"),
])
@pytest.mark.parametrize("before", [None, 3, "word"])
def test_a_value_goes_into_its_drawer(value, drawer, before):
    model, value = Module(), value()
    model.it = before
    model.it = value
    assert vars(model)[drawer] == {"it": value} and "it" not in vars(model), "into the drawer"
    assert model.it is value, "and is found there"
    model.it = None
    assert vars(model)[drawer] == {"it": None} and model.it is None, "None keeps the place"
    del model.it
    assert not hasattr(model, "it"), "and del gives it up"


@pytest.mark.parametrize("wrong", [3, "word", [1.0], Module])
def test_what_lies_in_a_drawer_is_not_replaced_by_something_else(wrong):
    model = Affine(2, 2)
    model.part = Module()
    with pytest.raises(TypeError, match="weight"): model.weight = wrong
    with pytest.raises(TypeError, match="weight"): model.weight = Tensor(numbers(2, 2))
    if wrong is not Module:
        with pytest.raises(TypeError, match="part"): model.part = wrong
    assert isinstance(model.weight, Parameter), "the parameter is still there"


def test_shared_parts_and_tensors_come_once():
    a, b = Affine(2, 2), Affine(2, 2)
    b.weight = a.weight
    model = Sequential(a, b, a)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(model.modules())) == 3, "the model, a and b"
    every = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert every == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
    assert list(model.state_dict()) == every, "a state dict has an entry for each path"
    twin = pickle.loads(pickle.dumps(Sequential(Sequential(), Sequential())))
    assert len(twin) == 2 and [name for name, _ in members(twin, "_modules", recurse=False)] == ["0", "1"]


def test_modes_reach_all_parts():
    model = Sequential(Affine(1, 1), Sequential(Affine(1, 1), Affine(1, 1)))
    assert model.eval() is model and not any(part.training for part in model.modules())
    assert model.train() is model and all(part.training for part in model.modules())
    assert not model[1].eval()[0].training and model[0].training, "a part alone can be switched"


def test_own_state_is_what_a_module_itself_saves():
    model = Affine(2, 3)
    model.register_buffer("kept", Tensor(numbers(1)))
    model.register_buffer("scratch", Tensor(numbers(1)), persistent=False)
    model.loose, model.part = Buffer(Tensor(numbers(1)), persistent=False), Affine(1, 1)
    assert [name for name, _ in own_state(model)] == ["weight", "bias", "kept"]
    assert dict(own_state(model))["weight"] is model.weight


def test_states_are_compared_and_complaints_are_complete():
    own = {name: Tensor(numbers(*shape)) for name, shape in dict(a=(2, 3), b=(4,), c=(), d=(1, 4)).items()}
    given = {name: Tensor(numbers(*shape)) for name, shape in dict(a=(3, 2), d=(4,), c=(), e=(1,)).items()}
    assert compare(own, given) == (["b"], ["e"], ["a", "d"])
    model = Sequential(Affine(2, 3), Affine(3, 1))
    state, before = model.state_dict(), model[0].bias.tolist()
    state["0.bias"] = Tensor(np.zeros(3, np.float32))
    state["1.weight"], state["other"] = Tensor(numbers(1, 3)), Tensor(numbers(1))
    del state["1.bias"]
    with pytest.raises(RuntimeError) as error: model.load_state_dict(state)
    for word in ("0.bias", "1.weight", "(1, 3)", "(3, 1)", "1.bias", "other"):
        assert (word in str(error.value)) == (word != "0.bias"), "all differences, and nothing else"
    assert model[0].bias.tolist() == before, "nothing is written when something does not fit"
    state["1.weight"] = model[1].weight
    assert model.load_state_dict(state, strict=False) == (["1.bias"], ["other"]), "strict=False only tells"
    assert model[0].bias.tolist() == [0.0] * 3


def test_numbers_are_taken_over_in_the_dtype_that_is_there():
    own, given = {"w": Parameter(Tensor(numbers(3)))}, {"w": Tensor(np.array([1.0, 2.0, 3.0]))}
    take_over(own, given)
    given["w"].array[0] = 9.0
    assert own["w"].tolist() == [1.0, 2.0, 3.0] and own["w"].array.dtype == np.float32


def test_a_row_of_modules_is_a_composition():
    layers = [Affine(3, 4), Affine(4, 2), Affine(2, 5)]
    x = want = numbers(6, 3)
    for layer in layers: want = want @ layer.weight.array + layer.bias.array
    assert np.allclose(Sequential(*layers)(Tensor(x)).array, want, atol=1e-5)
    assert np.allclose(Sequential(Sequential(*layers[:2]), layers[2])(Tensor(x)).array, want, atol=1e-5)
    assert Sequential({"first": layers[0]}).first is layers[0], "a dict names the parts"


@pytest.mark.parametrize(("shape", "want"), [((5, 7), (7, 5)), ((8, 2, 3), (6, 24)), ((4, 3, 2, 5), (30, 40)),
                                             ((2, 3, 1, 2, 3), (18, 12))])
def test_fans(shape, want):
    assert fans(Tensor(numbers(*shape))) == want


def test_a_fan_needs_two_dimensions():
    with pytest.raises(ValueError): fans(Tensor(numbers(3)))


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.2, 1.0, 2.0])
def test_the_gain_keeps_the_mean_square(slope):
    x = np.random.default_rng(0).standard_normal(200_000)
    bent = np.where(x > 0, x, slope * x) * calculate_gain("leaky_relu", slope)
    assert math.isclose((bent**2).mean(), 1, rel_tol=0.02)


def test_gains_by_name():
    assert calculate_gain("relu") == math.sqrt(2)
    assert calculate_gain("conv2d") == calculate_gain("linear") == 1
    assert calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001) and calculate_gain("tanh") == 5 / 3
    with pytest.raises(ValueError): calculate_gain("unheard of")


@pytest.mark.parametrize(("shape", "mode", "n"), [((300, 200), "fan_in", 200), ((300, 200), "fan_out", 300),
                                                  ((50, 30, 5, 5), "fan_in", 750)])
@pytest.mark.parametrize(("bend", "a", "gain"), [("relu", 0, 2), ("tanh", 0, 25 / 9), ("leaky_relu", 2, 0.4)])
def test_kaiming_has_the_spread_it_promises(shape, mode, n, bend, a, gain):
    manual_seed(0)
    w = Parameter(Tensor(np.zeros(shape, np.float32)))
    assert kaiming_normal_(w, a, mode, bend) is w
    assert math.isclose(w.array.std(), math.sqrt(gain / n), rel_tol=0.03) and abs(w.array.mean()) < 0.005


def test_a_signal_survives_fifty_layers():
    manual_seed(0)
    x = numbers(64, 100)
    for _ in range(50):
        w = kaiming_normal_(Tensor(np.zeros((100, 100), np.float32)), nonlinearity="relu")
        x = np.maximum(x @ w.array.T, 0)
    assert 0.05 < x.std() < 5, "neither dead nor exploded"


def test_it_is_all_in_the_face():
    assert tinytorch.nn.Module is Module and tinytorch.nn.Sequential is Sequential
    assert tinytorch.nn.Parameter is Parameter and tinytorch.nn.init.kaiming_normal_ is kaiming_normal_
