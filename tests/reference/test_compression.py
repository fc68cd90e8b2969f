"""Lesson 12 against PyTorch: grids, observers, layers of bytes, pruning, and a distance from a teacher."""

import copy

import numpy as np
import pytest

import tinytorch
from tinytorch.compression import (
    QuantizedLinear,
    bytes_on_disk,
    distillation_loss,
    int8_matmul,
    least_error,
    quantize_affine,
)
from tinytorch.datasets import MNIST
from tinytorch.quantized_layers import QuantizedConv2d, QuantizedEmbedding
from tinytorch.sparse_rows import SparseLinear
from tinytorch.training import Accuracy, Trainer, evaluate
from tinytorch.utils.data import DataLoader, TensorDataset

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated"),
    pytest.mark.filterwarnings("ignore:must run observer"),
    pytest.mark.filterwarnings("ignore:Please use quant_min"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:.*reduce_range will be deprecated"),
    pytest.mark.filterwarnings("ignore:.*TypedStorage is deprecated"),
]
pytest.importorskip("torch.nn.utils.prune")
LIBRARIES = torch, tinytorch


def numbers(*shape, seed=0): return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def given(t):
    """What every line may use."""
    return {
        "q": t.ao.quantization,
        "x": t.tensor(numbers(6, 8)),
        "b": t.tensor(numbers(2, 3, 4, 5, seed=1)),
        "scales": t.tensor([0.1, 0.02, 0.05]),
        "zeros": t.tensor([0, 5, -7]),
        "exact": t.tensor([-1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 1000.0, -1000.0]),
    }


# ---------------------------------------------------------------------------------------------- grids

LINES = """
t.quantize_per_tensor(x, 0.1, 10, t.quint8).int_repr()
t.quantize_per_tensor(x, 0.01, 0, t.qint8).int_repr()
t.quantize_per_tensor(x, 0.01, 0, t.qint8).dequantize()
t.quantize_per_tensor(x, 0.001, 3, t.qint32).int_repr()
t.quantize_per_tensor(exact, 1.0, 2, t.qint8).int_repr()
t.quantize_per_tensor(exact, 1.0, 254, t.quint8).int_repr()
t.quantize_per_tensor(exact * 1e6, 0.5, 0, t.qint8).dequantize()
t.quantize_per_tensor(x, 0.1, 10, t.quint8).q_scale()
t.quantize_per_tensor(x, 0.1, 10, t.quint8).q_zero_point()
t.q_zero_point(t.quantize_per_tensor(x, 0.1, 10, t.quint8))
t.quantize_per_tensor(x, t.tensor(0.1), t.tensor(10), t.quint8).int_repr()
t.quantize_per_tensor(x, 0.1, 300, t.quint8)
t.quantize_per_channel(b, scales, zeros, 1, t.qint8).int_repr()
t.quantize_per_channel(b, scales, zeros, 1, t.qint8).dequantize()
t.quantize_per_channel(b, scales, zeros, 0, t.qint8)
t.q_per_channel_axis(t.quantize_per_channel(b, scales, zeros, 1, t.qint8))
t.quantize_per_channel(b, scales.double(), zeros, 1, t.qint8).q_per_channel_scales().float()
t.quantize_per_channel(b, scales, zeros, 1, t.qint8).q_scale()
t.quantize_per_tensor(x, 0.1, 0, t.qint8).q_per_channel_scales()
t.quantize_per_tensor_dynamic(x, t.quint8, False).int_repr()
t.quantize_per_tensor_dynamic(x, t.quint8, True).int_repr()
t.quantize_per_tensor_dynamic(x, t.qint8, False).dequantize()
t.quantize_per_tensor_dynamic(x.abs() + 1, t.quint8, False).q_scale()
t.dequantize(t.quantize_per_tensor(x, 0.1, 10, t.quint8))
t.int_repr(t.quantize_per_tensor(x, 0.1, 10, t.quint8))
t.quantize_per_tensor(x, 0.1, 10, t.quint8).is_quantized
t.fake_quantize_per_tensor_affine(x, 0.1, 10, 0, 255)
t.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7)
t.fake_quantize_per_tensor_affine(exact, 1.0, 0, -128, 127)
t.fake_quantize_per_tensor_affine(exact, 1.0, 1, -128, 127)
t.fake_quantize_per_tensor_affine(x, t.tensor(0.1), t.tensor(3), -8, 7)
t.fake_quantize_per_tensor_affine(x, 0.1, 10, -8, 7)
t.fake_quantize_per_tensor_affine(x, 0.1, 0, 7, -8)
t.fake_quantize_per_channel_affine(b, scales, zeros.int(), 1, -128, 127)
t.fake_quantize_per_channel_affine(b, scales, zeros.int(), 1, -8, 7)
t.fake_quantize_per_channel_affine(x.T[:3], scales, zeros.int(), 0, -128, 127)
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_a_line_about_grids_agrees(line, agree): agree(line, given)


def test_nearly_every_number_goes_to_the_place_that_pytorch_finds():
    """PyTorch multiplies with 1 / scale and adds in one step; only ties can differ, by one place."""
    x = 3 * numbers(100_000)
    for scale, zero in [(0.037, 5), (0.0123, -9), (1 / 3, 0)]:
        theirs = torch.quantize_per_tensor(torch.tensor(x), scale, zero, torch.qint8).int_repr().numpy()
        ours = quantize_affine(tinytorch.tensor(x), scale, zero).array
        apart = np.abs(theirs.astype(int) - ours)
        assert apart.max() <= 1 and apart.sum() <= 3
        steps = (x / np.float32(scale))[apart == 1]
        assert np.allclose(steps % 1, 0.5, atol=1e-4), "a difference is a tie"


GRADIENTS = """
t.fake_quantize_per_tensor_affine(x, 0.1, 10, 0, 255)
t.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7)
t.fake_quantize_per_channel_affine(b, scales.detach(), zeros.int(), 1, -8, 7)
"""


@pytest.mark.parametrize("line", GRADIENTS.strip().splitlines())
def test_gradients_go_straight_through_but_not_where_it_clips(line):
    found = []
    for t in LIBRARIES:
        names = {**given(t), "t": t}
        for name in ("x", "b"): names[name].requires_grad = True
        out = eval(line, names)
        weigh = t.tensor(np.cos(np.arange(out.numel(), dtype=np.float32)).reshape(out.shape))
        (out * weigh).sum().backward()
        found.append([names[name].grad for name in ("x", "b") if names[name].grad is not None])
    assert len(found[0]) == len(found[1]) == 1
    theirs, ours = found[0][0].numpy(), found[1][0].array
    np.testing.assert_array_equal(ours, theirs)
    assert (theirs == 0).any() and (theirs != 0).any(), "some are clipped, and some are not"


# ------------------------------------------------------------------------------------------ observers

OBSERVERS = """
q.MinMaxObserver()
q.MinMaxObserver(dtype=t.qint8)
q.MinMaxObserver(dtype=t.qint8, qscheme=t.per_tensor_symmetric)
q.MinMaxObserver(qscheme=t.per_tensor_symmetric)
q.MinMaxObserver(reduce_range=True)
q.MinMaxObserver(dtype=t.qint8, quant_min=-8, quant_max=7)
q.MinMaxObserver(quant_min=0, quant_max=127)
q.MovingAverageMinMaxObserver()
q.MovingAverageMinMaxObserver(averaging_constant=0.3, dtype=t.qint8, qscheme=t.per_tensor_symmetric)
q.PerChannelMinMaxObserver(1)
q.PerChannelMinMaxObserver(ch_axis=1, dtype=t.qint8, qscheme=t.per_channel_symmetric)
q.PerChannelMinMaxObserver(dtype=t.qint8)
q.MovingAveragePerChannelMinMaxObserver(0.2, 1, t.qint8, t.per_channel_symmetric)
q.default_observer()
q.default_weight_observer()
q.default_per_channel_weight_observer()
q.MinMaxObserver.with_args(dtype=t.qint8)()
"""


@pytest.mark.parametrize("line", OBSERVERS.strip().splitlines())
@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_an_observer_finds_the_grid_that_pytorch_finds(line, shift):
    found = []
    for t in LIBRARIES:
        observer = eval(line, {**given(t), "t": t})
        for seed in range(3): observer(t.tensor(numbers(4, 6, seed=seed) * (seed + 1) + shift))
        found.append([np.asarray(x.tolist()).reshape(-1) for x in observer.calculate_qparams()])
    (scale, zero), (our_scale, our_zero) = found
    np.testing.assert_allclose(our_scale, scale, rtol=1e-6)
    assert np.array_equal(our_zero, zero)


def test_an_observer_that_saw_nothing_says_so():
    with pytest.raises(RuntimeError, match="calibrate"):
        tinytorch.ao.quantization.MinMaxObserver().calculate_qparams()


def test_the_least_error_is_found_by_trying_in_numpy():
    x = np.random.default_rng(3).standard_t(3, 3000)
    def off(part, bits):
        low, high = x.min() * part, x.max() * part
        scale = (high - low) / (2**bits - 1)
        zero = np.clip(-(2 ** (bits - 1)) - np.rint(low / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        places = np.clip(np.rint(x / scale) + zero, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return (((places - zero) * scale - x) ** 2).mean()
    for bits in (3, 4, 8):
        best = min([1 - n / 50 for n in range(50)], key=lambda part: off(part, bits))
        _, high = least_error(tinytorch.tensor(x), None, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        assert np.isclose(high.item(), x.max() * best), "the same part of the range"


# --------------------------------------------------------------------------------------------- layers

def twins(make, seed=0):
    """The same layer in both libraries."""
    theirs, ours = make(torch), make(tinytorch)
    for n, (name, p) in enumerate(ours.named_parameters()):
        values = numbers(*p.shape, seed=seed + n) / 4
        p.data.copy_(tinytorch.tensor(values))
        dict(theirs.named_parameters())[name].data.copy_(torch.tensor(values))
    return theirs, ours


@pytest.fixture
def full_range():
    """PyTorch's engine that uses all 256 places for inputs."""
    before, torch.backends.quantized.engine = torch.backends.quantized.engine, "qnnpack"
    yield
    torch.backends.quantized.engine = before


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 20), (1, 20), (2, 3, 20)])
def test_dynamic_quantisation_gives_pytorchs_numbers(shape, bias, full_range):
    def make(t): return t.nn.Sequential(t.nn.Linear(20, 30, bias=bias), t.nn.ReLU(), t.nn.Linear(30, 4))
    theirs, ours = twins(make)
    x = numbers(*shape, seed=9)
    small = torch.ao.quantization.quantize_dynamic(theirs)
    mine = tinytorch.ao.quantization.quantize_dynamic(ours)
    assert np.array_equal(mine[0].weight.array, small[0].weight().int_repr().numpy())
    with torch.no_grad(): wanted = small(torch.tensor(x)).numpy()
    np.testing.assert_allclose(mine(tinytorch.tensor(x)).array, wanted, rtol=1e-5, atol=1e-6)
    assert isinstance(ours[0], tinytorch.nn.Linear), "the model that was given stays as it was"


SPECS = """
{t.nn.Linear}
{'0'}
{'2.0'}
{t.nn.Linear: q.default_dynamic_qconfig}
{'0': q.per_channel_dynamic_qconfig, '2.0': q.default_dynamic_qconfig}
{t.nn.ReLU}
set()
"""


@pytest.mark.parametrize("spec", SPECS.strip().splitlines())
def test_a_spec_chooses_the_layers_that_pytorch_chooses(spec, full_range):
    def make(t):
        return t.nn.Sequential(t.nn.Linear(8, 8), t.nn.ReLU(), t.nn.Sequential(t.nn.Linear(8, 3)))
    kinds = []
    for t, model in zip(LIBRARIES, twins(make)):
        small = t.ao.quantization.quantize_dynamic(model, eval(spec, {"t": t, "q": t.ao.quantization}))
        kinds.append([isinstance(part, t.ao.nn.quantized.dynamic.Linear)
                      for part in (small[0], small[1], small[2][0])])
    assert kinds[0] == kinds[1]


def static_pair(make, x, per_channel):
    """A layer on grids found from x, in both libraries, and the output's grid."""
    theirs, ours = twins(make)
    t, q = torch, torch.ao.quantization
    theirs.qconfig = q.QConfig(q.MinMaxObserver, q.default_per_channel_weight_observer if per_channel
                               else q.default_weight_observer)
    wrapped = q.QuantWrapper(theirs).eval()
    wrapped.qconfig = theirs.qconfig
    prepared = q.prepare(wrapped)
    prepared(t.tensor(x))
    converted = q.convert(prepared)
    ours.qconfig = tinytorch.ao.quantization.QConfig(
        tinytorch.ao.quantization.MinMaxObserver,
        getattr(tinytorch.ao.quantization, "default_per_channel_weight_observer" if per_channel
                else "default_weight_observer"))
    prepared = tinytorch.ao.quantization.prepare(ours)
    prepared(tinytorch.tensor(x))
    return converted, tinytorch.ao.quantization.convert(prepared)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("make", "shape"), [
    (lambda t: t.nn.Linear(20, 30), (16, 20)),
    (lambda t: t.nn.Linear(20, 30, bias=False), (16, 20)),
    (lambda t: t.nn.Conv2d(3, 8, 3, padding=1), (2, 3, 8, 9)),
    (lambda t: t.nn.Conv2d(3, 8, (3, 2), stride=2, padding=(2, 1)), (2, 3, 9, 8)),
    (lambda t: t.nn.Conv2d(3, 8, 3, dilation=2, bias=False), (2, 3, 9, 8)),
    (lambda t: t.nn.Conv2d(3, 8, 1), (2, 3, 4, 4)),
])
def test_static_layers_give_pytorchs_places(make, shape, per_channel, full_range):
    x = numbers(*shape, seed=4) + 1
    theirs, ours = static_pair(make, x, per_channel)
    assert np.array_equal(ours.weight.array, theirs.module.weight().int_repr().numpy())
    with torch.no_grad(): wanted = theirs.module(theirs.quant(torch.tensor(x)))
    found = ours(tinytorch.tensor(x))
    zero = wanted.q_zero_point()
    places = quantize_affine(found, wanted.q_scale(), zero, None, 0, 255).array.astype(int)
    apart = np.abs(places - wanted.int_repr().numpy())
    assert apart.max() <= 1 and (apart > 0).mean() < 0.01, "but for ties, the places on PyTorch's output grid"


def test_embeddings_are_off_by_at_most_half_a_step():
    table = tinytorch.nn.Embedding(50, 16)
    small = QuantizedEmbedding.from_float(table)
    ids = tinytorch.tensor([[3, 4], [49, 0]])
    off = np.abs(small(ids).array - table(ids).detach().array)
    assert (off <= 0.5001 * small.weight_scale.array[ids.array][..., None]).all()
    assert small.weight.dtype.name == "int8" and small.weight.array.nbytes == 800


def test_pictures_are_padded_with_the_zero_point():
    conv = tinytorch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    conv.weight.data.fill_(1.0)
    x = tinytorch.tensor(numbers(1, 1, 4, 4) + 3)
    small = QuantizedConv2d.from_float(conv, inputs=(tinytorch.tensor(0.05), tinytorch.tensor(-128)))
    assert np.abs(small(x).array - conv(x).detach().array).max() < 9 * 0.03


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_other_margins_are_laid_before_the_grid(mode):
    conv = tinytorch.nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode)
    x = tinytorch.tensor(numbers(2, 2, 5, 5))
    assert np.abs(QuantizedConv2d.from_float(conv, 0)(x).array - conv(x).detach().array).max() < 0.05


def test_int8_matmul_is_exact():
    rng = np.random.default_rng(0)
    for m, k, n in [(1, 1, 1), (3, 5000, 7), (4, 1024, 4), (4, 1025, 4), (2, 0, 3), (0, 5, 3)]:
        x, w = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (n, k), np.int8)
        found = int8_matmul(tinytorch.Tensor(x), tinytorch.Tensor(w)).array
        assert found.dtype == np.int32 and np.array_equal(found, x.astype(np.int64) @ w.T.astype(np.int64))
    with pytest.raises(RuntimeError): int8_matmul(tinytorch.ones(2, 2), tinytorch.ones(2, 2))


# ------------------------------------------------------------------------------------------- training

def test_a_network_feels_its_grids_as_in_pytorch():
    """FakeQuantize on a weight: the same outputs and gradients, over several steps of training."""
    found = []
    for t, layer in zip(LIBRARIES, twins(lambda t: t.nn.Linear(6, 4))):
        q = t.ao.quantization
        fake = q.FakeQuantize(observer=q.MovingAveragePerChannelMinMaxObserver, quant_min=-8, quant_max=7,
                              dtype=t.qint8, qscheme=t.per_channel_symmetric, averaging_constant=1.0)
        inputs = q.FakeQuantize(observer=q.MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
        optimizer, outs = t.optim.SGD(layer.parameters(), lr=0.1), []
        for seed in range(6):
            x = t.tensor(numbers(5, 6, seed=seed))
            out = t.nn.functional.linear(inputs(x), fake(layer.weight), layer.bias)
            (out * out).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            outs.append(out.detach().numpy())
            if seed == 3: fake.apply(q.disable_observer)
        found.append([*outs, layer.weight.detach().numpy()])
    for mine, other in zip(found[1], found[0]): np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_what_was_felt_is_what_is_converted():
    tinytorch.manual_seed(0)
    q, nn = tinytorch.ao.quantization, tinytorch.nn
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    before = model[3].weight
    model.qconfig = q.get_default_qat_qconfig()
    q.prepare_qat(model.train(), inplace=True)
    assert list(model.parameters())[2] is model[3].bias or any(p is before for p in model.parameters()), \
        "an optimizer that knew the parameters knows them still"
    optimizer = tinytorch.optim.SGD(model.parameters(), lr=0.1)
    x = tinytorch.tensor(numbers(16, 1, 6, 6))
    for _ in range(5):
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()
    model.eval()
    model.apply(q.disable_observer)
    with tinytorch.no_grad(): felt = model(x)
    small = q.convert(model)
    assert type(small[0]) is QuantizedConv2d and type(small[3]) is QuantizedLinear
    np.testing.assert_allclose(small(x).array, felt.array, atol=2e-2 * np.abs(felt.array).max())


# -------------------------------------------------------------------------------------------- pruning

PRUNED = """
prune.l1_unstructured(m, 'weight', 0.3)
prune.l1_unstructured(m, 'weight', 7)
prune.l1_unstructured(m, 'weight', amount=0.5)
prune.l1_unstructured(m, 'bias', 2)
prune.l1_unstructured(m, 'weight', 0.5, importance_scores=-m.weight)
prune.l1_unstructured(m, 'weight', 0)
prune.l1_unstructured(m, 'weight', 1.0)
prune.l1_unstructured(m, 'weight', 0.3); prune.l1_unstructured(m, 'weight', 0.5)
prune.l1_unstructured(m, 'weight', 0.3); prune.l1_unstructured(m, 'weight', 5)
prune.ln_structured(m, 'weight', 0.5, 2, 0)
prune.ln_structured(m, 'weight', 2, 1, 1)
prune.ln_structured(m, 'weight', amount=1, n=float('inf'), dim=-1)
prune.ln_structured(m, 'weight', 0.34, n=2, dim=0); prune.ln_structured(m, 'weight', 0.5, 2, 1)
prune.ln_structured(m, 'weight', 2, 2, 0); prune.l1_unstructured(m, 'weight', 0.25)
prune.l1_unstructured(m, 'weight', 0.4); prune.ln_structured(m, 'weight', 2, 1, 0)
prune.ln_structured(m, 'weight', 2, 2, 0); prune.ln_structured(m, 'weight', 0.5, 2, 0)
prune.identity(m, 'weight')
prune.identity(m, 'weight'); prune.l1_unstructured(m, 'weight', 3)
prune.custom_from_mask(m, 'weight', mask)
prune.custom_from_mask(m, 'weight', mask); prune.l1_unstructured(m, 'weight', 0.5)
prune.l1_unstructured(m, 'weight', 0.5); prune.custom_from_mask(m, 'weight', mask)
prune.global_unstructured([(m, 'weight'), (m, 'bias')], prune.L1Unstructured, amount=0.4)
prune.global_unstructured([(m, 'weight'), (m, 'bias')], prune.L1Unstructured, amount=9)
prune.identity(m, 'bias'); prune.global_unstructured([(m, 'bias')], prune.L1Unstructured, amount=0.4)
prune.l1_unstructured(m, 'weight', 0.5); prune.remove(m, 'weight')
prune.l1_unstructured(m, 'weight', 0.3); prune.l1_unstructured(m, 'weight', 0.5); prune.remove(m, 'weight')
prune.l1_unstructured(m, 'weight', 0.5); prune.l1_unstructured(m, 'bias', 0.5); prune.remove(m, 'weight')
prune.remove(m, 'weight')
prune.l1_unstructured(m, 'weight', -1)
prune.l1_unstructured(m, 'weight', 1.5)
prune.l1_unstructured(m, 'weight', 'half')
prune.l1_unstructured(m, 'weight', 1000)
prune.ln_structured(m, 'bias', 1, 2, 0)
prune.global_unstructured([(m, 'weight')], prune.LnStructured, amount=0.5, n=2)
"""


@pytest.mark.parametrize("line", PRUNED.strip().splitlines())
def test_pruning_leaves_what_pytorch_leaves(line):
    """The state, the weight, whether it is pruned, and how many hooks there are; or the kind of error."""
    found = []
    for t, m in zip(LIBRARIES, twins(lambda t: t.nn.Linear(6, 4))):
        prune = t.nn.utils.prune
        mask = t.tensor((numbers(4, 6, seed=3) > 0).astype(np.float32))
        try: exec("\n".join(line.split("; ")), {"prune": prune, "m": m, "mask": mask})
        except Exception as error:
            found.append(error)
            continue
        m(t.ones(1, 6))
        state = {name: x.numpy() for name, x in m.state_dict().items()}
        state["pruned"] = m.weight.detach().numpy()
        found.append((state, prune.is_pruned(m), len(m._forward_pre_hooks)))
    theirs, ours = found
    if isinstance(theirs, Exception):
        kind = (RuntimeError, ValueError) if type(theirs) is RuntimeError else type(theirs)
        assert isinstance(ours, kind), f"{ours!r} is no {theirs!r}"
        return
    assert sorted(ours[0]) == sorted(theirs[0]) and ours[1:] == theirs[1:]
    for name, x in theirs[0].items(): np.testing.assert_array_equal(ours[0][name], x, err_msg=name)


def test_random_pruning_leaves_out_as_many_as_were_asked_for():
    prune = tinytorch.nn.utils.prune
    m = prune.random_unstructured(tinytorch.nn.Linear(10, 10), "weight", 0.3)
    assert m.weight_mask.sum().item() == 70
    m = prune.random_structured(tinytorch.nn.Linear(10, 6), "weight", 2, 0)
    assert sorted(m.weight_mask.sum(1).tolist()) == [0, 0, 10, 10, 10, 10]


def test_a_method_prunes_a_tensor_without_a_module():
    x = numbers(4, 5)
    found = [t.nn.utils.prune.L1Unstructured(amount=0.4).prune(t.tensor(x)).numpy() for t in LIBRARIES]
    np.testing.assert_array_equal(*found)


def test_what_is_masked_stays_away_through_training_as_in_pytorch():
    found = []
    for t, m in zip(LIBRARIES, twins(lambda t: t.nn.Linear(6, 4))):
        t.nn.utils.prune.l1_unstructured(m, "weight", 0.5)
        optimizer = t.optim.SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
        for seed in range(4):
            optimizer.zero_grad()
            (m(t.tensor(numbers(5, 6, seed=seed))) ** 2).sum().backward()
            optimizer.step()
        m(t.ones(1, 6))
        found.append((m.weight.detach().numpy(), m.weight_orig.detach().numpy(), m.weight_mask.numpy()))
    for mine, other in zip(found[1], found[0]): np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    assert (found[1][0][found[1][2] == 0] == 0).all()


def test_a_container_is_a_list_of_methods():
    for t in LIBRARIES:
        prune, m = t.nn.utils.prune, t.nn.Linear(6, 4)
        prune.l1_unstructured(m, "weight", 2)
        prune.ln_structured(m, "weight", 1, 2, 0)
        hook = next(iter(m._forward_pre_hooks.values()))
        container = hook[0] if isinstance(hook, tuple) else hook
        assert [type(x) for x in container] == [prune.L1Unstructured, prune.LnStructured]
        assert len(container) == 2 and container[0]._tensor_name == "weight"


# ------------------------------------------------------------------------------------------- sparse rows

def test_rows_are_compressed_as_in_pytorch():
    x = numbers(5, 7) * (numbers(5, 7, seed=2) > 0.5)
    x[2] = 0
    theirs, ours = torch.tensor(x).to_sparse_csr(), tinytorch.tensor(x).to_sparse_csr()
    for name in ("crow_indices", "col_indices", "values"):
        np.testing.assert_array_equal(getattr(ours, name)().array, getattr(theirs, name)().numpy())
    assert ours._nnz() == theirs._nnz()
    np.testing.assert_array_equal(ours.to_dense().array, x)
    y = numbers(7, 3)
    np.testing.assert_allclose((ours @ tinytorch.tensor(y)).array, x @ y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((ours @ tinytorch.tensor(y[:, 0])).array, x @ y[:, 0], rtol=1e-5, atol=1e-6)
    again = tinytorch.sparse_csr_tensor(ours.crow_indices(), ours.col_indices(), ours.values(), (5, 7))
    np.testing.assert_array_equal(again.to_dense().array, x)


def test_a_sparse_layer_is_the_layer():
    layer = tinytorch.nn.Linear(9, 5)
    layer.weight.data.copy_(tinytorch.tensor(numbers(5, 9) * (numbers(5, 9, seed=1) > 0.3)))
    x = tinytorch.tensor(numbers(2, 3, 9))
    np.testing.assert_allclose(SparseLinear.from_float(layer)(x).array, layer(x).detach().array, atol=1e-5)
    layer.weight.data.zero_()
    np.testing.assert_allclose(SparseLinear.from_float(layer)(x).array, layer(x).detach().array, atol=1e-6)


# ------------------------------------------------------------------------------------------ distilling

@pytest.mark.parametrize("temperature", [1.0, 2.0, 7.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_distance_from_a_teacher_is_made_of_pytorchs_losses(temperature, alpha):
    a, b, labels = numbers(6, 5), 2 * numbers(6, 5, seed=1), np.array([0, 1, 4, 3, 2, 0])
    F, scores = torch.nn.functional, torch.tensor(a, requires_grad=True)
    soft = F.kl_div(F.log_softmax(scores / temperature, 1), F.softmax(torch.tensor(b) / temperature, 1),
                    reduction="batchmean") * temperature**2
    wanted = alpha * soft + (1 - alpha) * F.cross_entropy(scores, torch.tensor(labels))
    wanted.backward()
    mine = tinytorch.tensor(a, requires_grad=True)
    found = distillation_loss(mine, tinytorch.tensor(b), tinytorch.tensor(labels), temperature, alpha)
    found.backward()
    assert np.isclose(found.item(), wanted.item(), rtol=1e-5)
    np.testing.assert_allclose(mine.grad.array, scores.grad.numpy(), rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------------------- programs for PyTorch

def test_a_program_of_pytorchs_tutorial_runs():
    """Eager-mode static quantisation, as its documentation writes it."""
    def program(torch):
        class M(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.quant = torch.ao.quantization.QuantStub()
                self.conv = torch.nn.Conv2d(1, 1, 1)
                self.relu = torch.nn.ReLU()
                self.dequant = torch.ao.quantization.DeQuantStub()

            def forward(self, x):
                x = self.quant(x)
                x = self.conv(x)
                x = self.relu(x)
                return self.dequant(x)

        model_fp32 = M()
        model_fp32.conv.weight.data.fill_(0.7)
        model_fp32.conv.bias.data.fill_(0.1)
        model_fp32.eval()
        model_fp32.qconfig = torch.ao.quantization.get_default_qconfig("x86")
        prepared = torch.ao.quantization.prepare(model_fp32)
        input_fp32 = torch.tensor(numbers(4, 1, 4, 4))
        prepared(input_fp32)
        model_int8 = torch.ao.quantization.convert(prepared)
        return model_int8(input_fp32)
    theirs, ours = program(torch), program(tinytorch)
    assert np.abs(ours.numpy() - theirs.numpy()).max() < 0.03


def test_batch_norms_are_merged_before():
    def make(t):
        return t.nn.Sequential(t.nn.Conv2d(1, 3, 3), t.nn.BatchNorm2d(3), t.nn.ReLU(), t.nn.Flatten(),
                               t.nn.Linear(48, 2), t.nn.BatchNorm1d(2))
    found = []
    for t, model in zip(LIBRARIES, twins(make)):
        model(t.tensor(numbers(8, 1, 6, 6)))
        fused = t.ao.quantization.fuse_modules(model.eval(), [["0", "1", "2"], ["4", "5"]])
        x = t.tensor(numbers(2, 1, 6, 6, seed=5))
        np.testing.assert_allclose(fused(x).detach().numpy(), model(x).detach().numpy(), atol=1e-5)
        found.append((fused(x).detach().numpy(), [type(fused[n]).__name__ for n in (1, 3, 5)]))
    np.testing.assert_allclose(found[1][0], found[0][0], atol=1e-5)
    assert found[1][1] == found[0][1] == ["Identity", "Flatten", "Identity"]


def test_a_shared_model_is_copied_once():
    model = tinytorch.nn.Sequential(layer := tinytorch.nn.Linear(3, 3), layer)
    small = tinytorch.ao.quantization.quantize_dynamic(copy.deepcopy(model))
    assert small[0] is small[1]


# ----------------------------------------------------------------------------------------- the real one

@pytest.mark.slow
def test_on_mnist_a_quarter_of_the_bytes_and_an_eighth_answer_as_well(data):
    """An MLP that learned 20,000 digits: int8 and int4 lose less than a point on the 10,000 others."""
    q, nn = tinytorch.ao.quantization, tinytorch.nn
    train, test = [TensorDataset(one.data.float().reshape(-1, 784) / 255, one.targets)
                   for one in (MNIST(data), MNIST(data, train=False))]
    tinytorch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    some = DataLoader(TensorDataset(*[x[:20_000] for x in train.tensors]), 64, shuffle=True)
    Trainer(model, tinytorch.optim.Adam(model.parameters(), lr=2e-3), some).fit(2)
    def right(net): return evaluate(net, DataLoader(test, 1000), accuracy=Accuracy())["accuracy"]
    before, size = right(model), bytes_on_disk(model)
    assert before > 0.94
    for small, share in [(q.quantize_dynamic(model), 0.26), (q.quantize_int4(model), 0.16)]:
        assert bytes_on_disk(small) < share * size
        assert right(small) > before - 0.01
