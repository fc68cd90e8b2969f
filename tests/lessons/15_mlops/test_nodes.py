"""The tracer of lesson 15, and numbers that must not be baked into a graph. """

import numpy as np
import pytest

from tinytorch import nn, randn, tensor, zeros
from tinytorch.exporting import opset_for, second_run, together, trace
from tinytorch.mlops import Tracer, open_shape, write_nodes
from tinytorch.nodes import BakedIn, Names, Node, Page, Unwritten, Value, Varying, merged, play, value_of
from tinytorch.tensor import current_engine, using


def written(program, *inputs, dims=({0: "batch"},)):
    """The nodes of a program whose first dimension varies, and the value it ends in."""
    one = trace(program, inputs, {})
    two = second_run(program, inputs, {}, [*dims, *[{}] * (len(inputs) - len(dims))])
    page = Page()
    names = Names(page, before=one.before | two.before)
    for name, x, twin in zip("xyz", one.inputs, two.inputs): names.put(x, page.note(value_of(name, x, twin)))
    write_nodes(page, together(one.steps, two.steps), names)
    return page, names.of(one.outputs[0], two.outputs[0])


def test_a_traced_program_gives_what_it_gave_and_keeps_its_engine():
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), randn(2, 3)
    before = current_engine()
    with using(Tracer()) as tracer: out = net(x)
    assert out.tolist() == net(x).tolist() and current_engine() is before
    assert [step.op.name for step in tracer.steps] == ["linear", "tanh"] and out.requires_grad


def test_a_batch_is_not_baked_in():
    page, out = written(lambda x: x.reshape(len(x), -1).relu(), randn(2, 3, 4))
    for n in (1, 2, 7):
        x = randn(n, 3, 4)
        assert play(page, out, x=x.array).tolist() == x.relu().reshape(n, 12).tolist()
    assert page.constants and all((2 not in row.tolist()) for row in page.constants.values())


def test_a_product_of_two_sizes_that_vary_is_minus_one():
    page, out = written(lambda x: x.reshape(-1, 4).reshape(len(x), x.shape[1], 2, 2), randn(2, 3, 4),
                        dims=({0: "batch", 1: "time"},))
    x = randn(5, 7, 4)
    assert play(page, out, x=x.array).shape == (5, 7, 2, 2)


@pytest.mark.parametrize("program, said", [
    (lambda x: x / float(len(x)), "another"),
    (lambda x: x[: len(x) // 2], "baked in"),
    (lambda x: sum([x[i] for i in range(len(x))], zeros(3)), "loop"),
    (lambda x: x + tensor(np.sin(np.arange(3.0 * len(x), dtype=np.float32)).reshape(-1, 3)), "baked in"),
    (lambda x: x.relu() if len(x) % 2 else x.tanh(), "another way"),
    (lambda x: x * x.sum().item(), "another"),
    (lambda x: x.split(1), "cuts"),
], ids=["a divisor", "half a batch", "a loop", "a constant", "a branch", "a number read off the input",
        "pieces"])
def test_what_follows_from_a_size_or_a_number_of_the_example_is_refused(program, said):
    with pytest.raises(BakedIn, match=said): written(program, randn(2, 3))


def test_an_op_without_nodes_is_named():
    with pytest.raises(Unwritten, match="erfinv"): written(lambda x: x.erfinv(), randn(2, 3))


def test_a_view_of_what_was_written_over_is_refused():
    def program(x):
        y = x * 1.0
        view = y.reshape(-1)
        y.relu_()
        return view + 1.0
    with pytest.raises(Unwritten, match="written over"): written(program, randn(2, 3))


def test_writing_over_the_whole_of_a_tensor_is_followed():
    page, out = written(lambda x: (x @ tensor(np.eye(3, dtype=np.float32))).relu_().relu(), randn(2, 3))
    x = randn(4, 3)
    assert np.allclose(play(page, out, x=x.array), np.maximum(x.array, 0))


def test_a_constant_that_is_written_over_is_what_it_was_before():
    def program(x):
        room = zeros(3)
        first = x + room
        room.add_(5.0)
        return first + room
    page, _ = written(lambda x: program(x).relu(), tensor([[1.0, 2.0, 3.0]]))
    constants = [array.tolist() for array in page.constants.values()]
    assert [0.0, 0.0, 0.0] in constants, "zeros, and not what is there after the last step"


def test_numbers_that_differ_vary_and_other_things_are_refused():
    assert merged((2, 3), (4, 3), "shape")[0].other == 4
    assert merged({"dim": (1, None)}, {"dim": (1, None)}, "settings") == {"dim": (1, None)}
    assert merged([5, 5], [6, 6, 6], "sizes").length.other == 3
    for one, two in ((0.5, 0.25), ("a", "b"), (True, 1), ((1, 2), (1, 2, 3)), (None, 1)):
        with pytest.raises(BakedIn, match=r"settings (is|has)"): merged(one, two, "settings")


def test_a_varying_number_is_no_attribute():
    with pytest.raises(BakedIn, match="axis is 2"): Page().node("Softmax", Value("x"), axis=Varying(2, 3))


def test_lengths_are_read_off_the_first_value_that_shows_them():
    page = Page()
    batch = Varying(2, 3)
    page.note(Value("x", (4, batch), np.dtype(np.float32)))
    assert page.lengths([batch, 5]).name == page.nodes[-1].outputs[0]
    assert page.nodes[0] == Node("Shape", ("x",), ("shape",), {"start": 1, "end": 2})
    with pytest.raises(BakedIn, match="the number 9"): page.lengths([Varying(9, 10)])
    assert open_shape(page, [Varying(9, 10), batch]) == [-1, batch]


def test_tied_weights_have_one_name_and_constants_of_one_value_are_written_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    page = Page()
    names = Names(page, dict([*net.named_parameters(remove_duplicate=False)]))
    x = randn(1, 2)
    names.put(x, Value("x", (1, 2), np.dtype(np.float32)))
    write_nodes(page, trace(net, (x,), {}).steps, names)
    assert set(page.constants) == {"0.weight", "0.bias", "1.bias"}
    assert page.constant(1.0) is page.constant(1.0)


def test_without_the_onnx_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"tinytorch-tito\[onnx\]"): opset_for(None)
