"""Whole networks as ONNX files: ONNX Runtime answers as they do, for batches of every size."""

import numpy as np
import pytest

import tinytorch
from tinytorch import models, nn, randint, randn, tensor
from tinytorch.rotary import rotary_angles, rotate

onnx = pytest.importorskip("onnx", reason="pip install 'tinytorch-tito[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="pip install 'tinytorch-tito[onnx]'")

from tinytorch.exporting import format_for, leaves  # noqa: E402   after the skips
from tinytorch.nodes import BakedIn, Unwritten  # noqa: E402
from tinytorch.onnx import ONNXProgram, export  # noqa: E402

CLOSE = 1e-4


def lively(model):
    """The model with weights, means and variances that are all in use: fresh ones hide mistakes."""
    tinytorch.manual_seed(1)
    for name, x in [*model.named_parameters(), *model.named_buffers()]:
        if not x.is_floating_point(): continue
        if "var" in name: x.data = x.data * 0 + randn(*x.shape).abs() + 0.5
        elif x.ndim < 2: x.data = x.data + 0.1 * randn(*x.shape)
        elif not x.data.any(): x.data = 0.1 * randn(*x.shape)
    return model.eval()


def answers(source, inputs: dict) -> list:
    """What ONNX Runtime makes of a file or of its bytes."""
    session = runtime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return session.run(None, {name: x.array for name, x in inputs.items()})


def agrees(model, example: dict, dynamic: dict, *others: dict, **settings) -> ONNXProgram:
    """Exports, and compares the example and the others with what the model says."""
    program = export(model, tuple(example.values()), input_names=list(example), dynamic_axes=dynamic,
                     **settings)
    for inputs in (example, *others):
        with tinytorch.no_grad(): want = leaves(model(*inputs.values()))
        for mine, theirs in zip(want, answers(program.model_proto.SerializeToString(), inputs), strict=True):
            assert mine.shape == theirs.shape and mine.array.dtype == theirs.dtype
            assert np.abs(mine.array - theirs).max() <= CLOSE * max(1.0, np.abs(mine.array).max())
    return program


SLOW = pytest.mark.slow
PICTURES = [
    pytest.param(models.lenet5, (1, 28, 28), id="LeNet-5"),
    pytest.param(lambda: models.lenet5(8), (1, 8, 8), id="LeNet-5 of 8 x 8"),
    pytest.param(lambda: models.AlexNetSmall(hidden=64), (3, 32, 32), id="AlexNetSmall"),
    pytest.param(lambda: models.vgg11(num_classes=10, hidden=16), (3, 32, 32), id="VGG-11", marks=SLOW),
    pytest.param(lambda: models.vgg11_bn(num_classes=10, hidden=16), (3, 64, 64), id="VGG-11 with norms",
                 marks=SLOW),
    pytest.param(lambda: models.vgg16(num_classes=10, hidden=16), (3, 32, 32), id="VGG-16", marks=SLOW),
    pytest.param(lambda: models.resnet18(num_classes=10, small=True, width=16), (3, 32, 32),
                 id="ResNet-18, small"),
    pytest.param(lambda: models.resnet18(num_classes=10), (3, 64, 64), id="ResNet-18", marks=SLOW),
    pytest.param(lambda: models.resnet34(num_classes=10), (3, 64, 64), id="ResNet-34", marks=SLOW),
    pytest.param(lambda: models.resnet50(num_classes=10), (3, 64, 64), id="ResNet-50", marks=SLOW),
    pytest.param(models.resnet20, (3, 32, 32), id="ResNet-20"),
    pytest.param(lambda: models.resnet20(shortcut=models.projection), (3, 32, 32), id="ResNet-20, projected"),
    pytest.param(lambda: models.mobilenet_v2(num_classes=10, width_mult=0.25), (3, 32, 32), id="MobileNetV2"),
    pytest.param(lambda: models.UNet(width=4, depth=3), (3, 32, 16), id="U-Net"),
    pytest.param(lambda: models.ViT(num_layers=2), (3, 32, 32), id="ViT"),
    pytest.param(lambda: models.MLP(12, 8, 3), (12,), id="MLP"),
]


@pytest.mark.parametrize("make, shape", PICTURES)
def test_models_of_pictures_take_any_batch(make, shape):
    program = agrees(lively(make()), {"x": randn(2, *shape)}, {"x": {0: "batch"}},
                     {"x": randn(1, *shape)}, {"x": randn(5, *shape)})
    graph = program.model_proto.graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_gpt_takes_any_batch_of_any_length():
    model = lively(models.GPT(50, 16, 2, 2, 16))
    program = agrees(model, {"idx": randint(0, 50, (2, 5))}, {"idx": {0: "batch", 1: "time"}},
                     {"idx": randint(0, 50, (1, 1))}, {"idx": randint(0, 50, (3, 16))})
    shape = program.model_proto.graph.output[0].type.tensor_type.shape
    assert [dim.dim_param or dim.dim_value for dim in shape.dim] == ["batch", "time", 50]


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
                                      {"bias": False}],
                         ids=["plain", "two layers, both ways", "no bias"])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_networks_take_any_batch_of_any_length(kind, settings):
    batch = 0 if settings.get("batch_first") else 1
    agrees(lively(kind(4, 6, **settings)), {"x": randn(3, 5, 4)}, {"x": {batch: "batch", 1 - batch: "time"}},
           {"x": randn(1, 1, 4)}, {"x": randn(7, 2, 4)})


def test_a_recurrent_network_goes_on_from_a_state():
    agrees(lively(nn.RNN(4, 6, nonlinearity="relu")), {"x": randn(3, 2, 4), "h": randn(1, 2, 6)}, {})
    example = {"x": randn(3, 2, 4), "h": randn(1, 2, 6), "c": randn(1, 2, 6)}
    class Going(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 6)
        def forward(self, x, h, c): return self.lstm(x, (h, c))
    agrees(lively(Going()), example, {name: {1: "batch"} for name in example},
           {"x": randn(3, 5, 4), "h": randn(1, 5, 6), "c": randn(1, 5, 6)})
    agrees(lively(nn.LSTMCell(4, 6)), {"x": randn(2, 4)}, {"x": {0: "batch"}}, {"x": randn(3, 4)})
    agrees(lively(nn.GRUCell(4, 6)), {"x": randn(2, 4), "h": randn(2, 6)}, {})


@pytest.mark.parametrize("make, example", [
    (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), {"src": (2, 5, 16)}),
    (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2),
     {"src": (2, 5, 16)}),
    (lambda: nn.TransformerDecoderLayer(16, 4, 32, batch_first=True), {"tgt": (2, 5, 16), "memory": (2, 7,
                                                                                                     16)}),
], ids=["encoder layer", "encoder", "decoder layer"])
def test_transformers(make, example):
    agrees(lively(make()), {name: randn(*shape) for name, shape in example.items()},
           {name: {0: "batch"} for name in example},
           {name: randn(3, *shape[1:]) for name, shape in example.items()})


def test_multihead_attention_with_its_weights_and_rotary_places():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.look = nn.MultiheadAttention(8, 2, batch_first=True)
            self.register_buffer("angles", rotary_angles(5, 8))
        def forward(self, x):
            x = rotate(x, self.angles)
            return self.look(x, x, x)
    agrees(lively(Both()), {"x": randn(2, 5, 8)}, {"x": {0: "batch"}}, {"x": randn(4, 5, 8)})


def test_an_input_that_is_written_over_stays_as_it_was_and_a_constant_is_what_it_was_then():
    def program(x):
        room = tinytorch.zeros(3)
        first = x + room
        x.mul_(2.0)
        room.add_(5.0)
        return first, x + room
    x = randn(2, 3)
    before = x.tolist()
    program_ = export(program, (x,))
    assert x.tolist() == before
    got = program_.run([x])
    assert np.allclose(got[0], x.array) and np.allclose(got[1], 2 * x.array + 5)


def test_writing_into_a_tensor():
    def program(x):
        room = tinytorch.zeros(4, 3)
        room[1:3] = x.sum(0)
        room[:, -1] = 2.0
        room[0, 0] = 5.0
        return room, x.clone().add_(1).relu_()
    agrees(program, {"x": randn(2, 3)}, {})

# ------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("program, said", [
    (lambda x: x / len(x), None),
    (lambda x: x / float(len(x)), "an input of true_divide is 2.0"),
    (lambda x: x.reshape(-1).reshape(2, -1), None),
    (lambda x: tinytorch.nn.functional.adaptive_avg_pool1d(x.T[None], 3), "only .1, 1. can follow"),
    (lambda x: x + tinytorch.arange(len(x))[:, None] ** 2 * 1.0, None),
    (lambda x: x + tensor([[float(n * n)] for n in range(len(x))]), "constant of shape .2, 1."),
    (lambda x: x[int(x.argmax().item()) % 2], "baked in"),
    (lambda x: tinytorch.full((len(x) + 1, 3), 1.0), "number 3"),
], ids=["divided by an int", "by a float", "a fixed shape", "parts", "made of arange", "a constant",
        "read off", "one more"])
def test_what_would_be_baked_in_is_refused_and_what_would_not_is_right(program, said):
    if said is None:
        agrees(program, {"x": randn(2, 3)}, {"x": {0: "n"}}, {"x": randn(4, 3)}, {"x": randn(6, 3)})
    else:
        with pytest.raises(BakedIn, match=said): export(program, (randn(2, 3),), dynamic_axes={"x": [0]})


def test_dropout_is_off_and_the_model_as_it_was_afterwards():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    model[1].eval()
    before = [x.tolist() for x in model.state_dict().values()]
    program = export(model, (randn(4, 3),))
    assert [part.training for part in model] == [True, False, True] and model.training
    assert [x.tolist() for x in model.state_dict().values()] == before
    assert [node.kind for node in program.page.nodes] == ["Gemm", "BatchNormalization", "Identity"]


def test_an_op_without_nodes_is_named_and_can_be_given_some():
    with pytest.raises(Unwritten, match=r"@onnx\(erfinv\)"): export(lambda x: x.erfinv(), (randn(2),))
    table = {tinytorch.erfinv: lambda page, x: page.node("Erf", x)}
    program = export(lambda x: x.erfinv(), (randn(2),), custom_translation_table=table)
    assert [node.kind for node in program.page.nodes] == ["Erf", "Identity"]
    with pytest.raises(Unwritten): export(lambda x: x.erfinv(), (randn(2),))


def test_mistakes_in_the_call():
    x = randn(2, 3)
    for settings, said in [({"opset_version": 17}, "18 to 26"), ({"opset_version": 27}, "18 to 26"),
                           ({"dynamic_axes": {"y": [0]}}, "speaks of y"), ({"dynamic_axes": {"x": [2]}},
                                                                           "no dim 2"),
                           ({"input_names": ["a", "b"]}, "2 names for 1"), ({"output_names": ["a", "b"]},
                                                                            "2 names for 1"),
                           ({"dynamic_axes": {"x": [0]}, "dynamic_shapes": ({0: "n"},)}, "one of them")]:
        with pytest.raises(ValueError, match=said): export(lambda x: x + 1, (x,), **settings)
    with pytest.raises(TypeError): export(lambda x: x.tolist(), (x,))

# --------------------------------------------------------------------------------------------- the file


def test_the_file_holds_the_weights_by_their_names(tmp_path):
    model = lively(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    program = export(model, randn(2, 3), tmp_path / "it.onnx", input_names=["x"], output_names=["y"])
    proto = onnx.load(tmp_path / "it.onnx")
    onnx.checker.check_model(proto, full_check=True)
    held = {x.name: onnx.numpy_helper.to_array(x) for x in proto.graph.initializer}
    state = model.state_dict()
    assert held.keys() == state.keys() and all(np.array_equal(held[name], state[name].array) for name in held)
    assert proto.producer_name == "tinytorch" and [x.name for x in proto.graph.output] == ["y"]
    x = randn(2, 3)
    assert np.allclose(answers(str(tmp_path / "it.onnx"), {"x": x})[0], model(x).array, atol=1e-6)
    assert np.allclose(program(x)[0].array, model(x).array, atol=1e-6), "a program can be called"


def test_weights_beside_the_file(tmp_path):
    model = lively(nn.Linear(100, 50))
    export(model, randn(2, 100), tmp_path / "it.onnx", external_data=True)
    assert (tmp_path / "it.onnx").stat().st_size < 2000 < (tmp_path / "it.onnx.data").stat().st_size
    x = randn(2, 100)
    assert np.allclose(answers(str(tmp_path / "it.onnx"), {"input": x})[0], model(x).array, atol=1e-5)


def test_opset_and_format_are_pinned_to_what_onnx_runtime_loads():
    proto = export(lambda x: x + 1, (randn(2),)).model_proto
    assert proto.opset_import[0].version == min(26, onnx.defs.onnx_opset_version()) and proto.ir_version <= 13
    assert [format_for(n) for n in (18, 21, 26)] == [8, 10, 13]


def test_dynamic_shapes_says_the_same_as_dynamic_axes():
    class Named:
        __name__ = "batch"
    def program(x, more): return x + more["y"]
    x, y = randn(2, 3), randn(2, 3)
    for shapes in ({"x": {0: "batch"}, "more": {"y": {0: "batch"}}}, ({0: Named()}, {"y": {0: Named()}}),
                   {"x": ("batch", None), "more": {"y": {0: "batch", 1: None}}}):
        graph = export(program, (x, {"y": y}), dynamic_shapes=shapes).model_proto.graph
        dims = [[d.dim_param or d.dim_value for d in one.type.tensor_type.shape.dim]
                for one in (*graph.input, *graph.output)]
        assert dims == [["batch", 3]] * 3


def test_keywords_and_outputs_of_every_form():
    def program(x, *, scale, flag=True):
        return {"sum": x + scale, "both": (x if flag else scale, [scale * 2])}
    x, scale = randn(2), randn(2)
    program_ = export(program, (x,), kwargs={"scale": scale}, output_names=["first"])
    assert [one.name for one in program_.inputs] == ["x", "scale"]
    got = program_.run([x, scale])
    assert np.allclose(got[0], (x + scale).array) and np.allclose(got[1], x.array)
    assert np.allclose(got[2], (scale * 2).array) and len(got) == 3


def test_weights_as_inputs():
    model = nn.Linear(3, 2)
    proto = export(model, randn(1, 3), export_params=False).model_proto
    assert {x.name for x in proto.graph.input} == {"input", "weight", "bias"} and not proto.graph.initializer
    proto = export(model, randn(1, 3), keep_initializers_as_inputs=True).model_proto
    assert {x.name for x in proto.graph.input} == {"input", "weight",
                                                   "bias"} and len(proto.graph.initializer) == 2


def test_verify_finds_a_wrong_translation():
    wrong = {tinytorch.exp: lambda page, x: page.node("Sin", x)}
    with pytest.raises(AssertionError, match="differs"):
        export(lambda x: x.exp(), (randn(2),), custom_translation_table=wrong, verify=True)
    export(lambda x: x.exp(), (randn(2),), verify=True)


def test_the_nodes_can_be_read(capsys):
    program = export(nn.Linear(3, 2), randn(1, 3), verbose=True)
    assert "gemm = Gemm(input, weight, bias, transB=1)" in capsys.readouterr().out and "26" in repr(program)
