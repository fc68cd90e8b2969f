"""Lesson 12 against NumPy in float64 and whole numbers, on cases that the lesson's checks do not use."""

import copy

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, manual_seed, nn, no_grad, tensor
from tinytorch.compared import Compared, Row, front, measured
from tinytorch.compression import (
    Observer,
    QuantizedLinear,
    bytes_on_disk,
    calibrated,
    channels,
    choose_qparams,
    dequantize_affine,
    distillation_loss,
    extremes,
    facing,
    int8_matmul,
    least_error,
    magnitude_mask,
    masked,
    percentiles,
    put_mask,
    quantize_affine,
    replace,
    round_trip,
    take_off_mask,
    too_much,
    widened,
)
from tinytorch.int4 import Int4Linear, pack_int4, quantize_int4, unpack_int4
from tinytorch.lora import LoRALinear, add_lora, lora_state_dict, merge_lora
from tinytorch.low_rank import LowRankLinear, rank_for, thin_factors, with_low_rank
from tinytorch.models import GPT, MLP, lenet5
from tinytorch.observers import MSEObserver, PercentileObserver
from tinytorch.optim import SGD
from tinytorch.patterns import (
    GradualPruning,
    n_m_mask,
    n_m_structured,
    pack_2_4,
    shrink,
    unpack_2_4,
)
from tinytorch.pruning import ln_structured, remove
from tinytorch.qconfigs import (
    convert,
    get_default_qconfig,
    load_quantized,
    prepare,
    quantize_dynamic,
    quantize_embeddings,
)
from tinytorch.quantized_layers import QuantizedConv2d
from tinytorch.safetensors import load, load_file, save, save_file
from tinytorch.sparse_rows import SparseLinear
from tinytorch.training import Trainer
from tinytorch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(12)


def numbers(*shape): return rng.standard_normal(shape).astype(np.float32)


def network(): return nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Sequential(nn.Linear(20, 7), nn.ReLU()))


# ---------------------------------------------------------------------------------------------- grids

RANGES = [(-3.0, 5.0), (0.5, 4.0), (-9.0, -2.0), (-1e-3, 1e6), (0.0, 0.0), (-7.0, 7.0)]


@pytest.mark.parametrize("ends", [(-128, 127), (0, 255), (-8, 7), (-2, 1), (0, 15)])
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_zero_is_one_of_the_places_and_the_range_fits(low, high, ends):
    scale, zero = choose_qparams(tensor(low), tensor(high), *ends)
    assert ends[0] <= zero.item() <= ends[1], "the zero point is one of the places"
    assert round_trip(tensor([0.0]), scale, zero, None, *ends).item() == 0.0, "0 comes back as 0, exactly"
    reach = (np.array(ends) - zero.item()) * scale.item()
    step = scale.item() * 0.51
    assert reach[0] <= min(low, 0) + step and reach[1] >= max(high, 0) - step, \
        "the grid reaches from one end to the other, but for half a step"


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_a_symmetric_grid_has_zero_in_the_middle(low, high):
    scale, zero = choose_qparams(tensor(low), tensor(high), symmetric=True)
    assert zero.item() == 0
    assert np.isclose(scale.item(), max(abs(low), abs(high)) / 127.5, atol=2e-7), "the larger side decides"


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_a_number_is_off_by_at_most_half_a_step(axis):
    x = Tensor(numbers(5, 6, 4) * np.array([1, 10, 0.1, 3], np.float32))
    scale, zero = choose_qparams(*extremes(x, axis))
    off = np.abs(round_trip(x, scale, zero, axis).array - x.array)
    assert (off <= 0.5001 * facing(scale, 3, axis).array).all()


def test_places_are_bytes_and_come_back():
    places = Tensor(np.arange(-128, 128, dtype=np.int8))
    back = dequantize_affine(places, 0.25, 3)
    assert quantize_affine(back, 0.25, 3).array.dtype == np.int8, "places are stored in bytes"
    assert np.array_equal(quantize_affine(back, 0.25, 3).array, places.array), "numbers of places stay there"
    assert quantize_affine(tensor([300.0]), 1.0, 0, None, 0, 255).array.dtype == np.uint8
    assert quantize_affine(tensor([300.0]), 1.0, 0, None, 0, 1000).array.dtype == np.int16


def test_channels_and_facing_are_each_others_way_back():
    x = Tensor(numbers(3, 4, 5, 6))
    for axis in range(-4, 4):
        means = channels(x, axis).mean(1)
        others = tuple([d for d in range(4) if d != axis % 4])
        assert np.allclose(means.array, x.array.mean(others), atol=1e-6)
        assert np.allclose(facing(means, 4, axis).array, x.array.mean(others, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_percentiles_are_numpys(share):
    x = numbers(4, 500)
    tails = [(1 - share) / 2, (1 + share) / 2]
    for axis, want in [(None, np.quantile(x, tails)), (0, np.quantile(x, tails, axis=1)),
                       (1, np.quantile(x, tails, axis=0))]:
        found = percentiles(Tensor(x), axis, share)
        assert np.allclose([end.array for end in found], want, atol=1e-5)


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_the_least_error_is_no_larger_than_that_of_any_part(bits):
    ends = -2 ** (bits - 1), 2 ** (bits - 1) - 1
    x = Tensor(np.random.default_rng(bits).standard_t(3, (3, 1000)).astype(np.float32))
    def errors(low, high):
        off = round_trip(x, *choose_qparams(low, high, *ends), 0, *ends) - x
        return (off.array.astype(float) ** 2).mean(1)
    low, high = extremes(x, 0)
    found = errors(*least_error(x, 0, *ends))
    for n in range(50):
        part = 1 - n / 50
        assert (found <= errors(low * part, high * part) * (1 + 1e-5)).all()
    assert (found < errors(low, high)).all(), "heavy tails are worth a cut at few bits"


# -------------------------------------------------------------------------------------- whole numbers

@pytest.mark.parametrize("k", [1, 7, 1023, 1024, 1025, 4100])
def test_products_of_bytes_are_exact(k):
    x, w = rng.integers(-128, 128, (3, k), np.int8), rng.integers(-128, 128, (5, k), np.int8)
    found = int8_matmul(Tensor(x), Tensor(w)).array
    assert found.dtype == np.int32
    assert np.array_equal(found, x.astype(np.int64) @ w.T.astype(np.int64)), "not one unit is lost"


def test_the_worst_case_is_exact():
    x = np.full((1, 9000), -128, np.int8)
    x[0, ::2] = 127
    assert int8_matmul(Tensor(x), Tensor(x)).item() == 4500 * (128**2 + 127**2)


def test_zero_points_are_taken_out():
    x, w = rng.integers(-128, 128, (3, 40)), rng.integers(-128, 128, (5, 40))
    zx, zw = -77, rng.integers(-9, 9, 5)
    found = x @ w.T - too_much(x.sum(1, keepdims=True), w.sum(1), zx, zw, 40)
    assert np.array_equal(found, (x - zx) @ (w - zw[:, None]).T)


# --------------------------------------------------------------------------------------------- layers

@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("static", [True, False])
def test_a_layer_of_bytes_computes_what_its_grids_say(axis, symmetric, static):
    layer, x = nn.Linear(30, 8), Tensor(numbers(2, 5, 30) + 1)
    grid = choose_qparams(*extremes(layer.weight.data, axis), symmetric=symmetric)
    inputs = choose_qparams(*extremes(x)) if static else None
    small = QuantizedLinear.from_float(layer, axis, inputs, grid)
    on_grid = round_trip(x, *choose_qparams(*extremes(x))).array.astype(float)
    weight = round_trip(layer.weight.data, *grid, axis).array.astype(float)
    want = on_grid @ weight.T + layer.bias.array
    assert np.allclose(small(x).array, want, atol=1e-5), "the numbers of both grids, multiplied"
    assert small.weight.dtype.name == "int8" and small(x).dtype.name == "float32"


def test_no_rows_are_no_trouble():
    assert QuantizedLinear.from_float(nn.Linear(6, 3), 0)(tinytorch.zeros(0, 6)).shape == (0, 3)


def test_a_layer_finds_its_sums_anew_when_its_weight_changes():
    layer, x = nn.Linear(6, 3, bias=False), tensor(numbers(4, 6) + 2)
    small = QuantizedLinear.from_float(layer)
    small(x)
    other = QuantizedLinear.from_float(nn.Linear(6, 3, bias=False))
    small.load_state_dict(other.state_dict())
    assert np.allclose(small(x).array, other(x).array, atol=1e-6)


def test_the_file_of_a_layer_has_a_byte_for_each_weight(tmp_path):
    model = network()
    small = quantize_dynamic(model)
    assert bytes_on_disk(nn.Linear(1000, 100)) > 400_000
    assert bytes_on_disk(QuantizedLinear.from_float(nn.Linear(1000, 100), 0)) < 103_000
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    raw = (tmp_path / "small.safetensors").read_bytes()
    assert b'"0.weight":{"dtype":"I8","shape":[20,12]' in raw, "the file holds int8"
    assert small[0].weight.array.tobytes() in raw, "these very bytes"
    again = load_quantized(model, load_file(tmp_path / "small.safetensors"))
    x = Tensor(numbers(3, 12))
    assert np.array_equal(again(x).array, small(x).array), "what is loaded answers as what was saved"


def test_a_static_layer_survives_a_file():
    model, x = network(), Tensor(numbers(8, 12))
    grids = calibrated(model, [x])
    def swap(part): return QuantizedLinear.from_float(part, 0, grids[part]) if part in grids else None
    plain = copy.deepcopy(model.state_dict())
    small = replace(model, swap)
    fresh = network()
    fresh.load_state_dict(plain)
    again = load_quantized(fresh, load(save(small.state_dict())))
    assert again[0].input_scale is not None and np.array_equal(again(x).array, small(x).array)


def test_embeddings_are_rows_of_bytes():
    model = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 2))
    small = quantize_embeddings(model)
    ids = tensor([[1, 5], [99, 0]])
    assert np.abs(small(ids).array - model(ids).detach().array).max() < 0.05
    assert small[0].weight.dtype.name == "int8" and type(small[1]) is nn.Linear
    assert load_quantized(model, small.state_dict())[0].weight.dtype.name == "int8"


def test_a_convolution_of_bytes_is_near_the_convolution():
    conv, x = nn.Conv2d(3, 5, 3, stride=2, padding=1), Tensor(numbers(2, 3, 9, 8))
    wanted, small = conv(x).detach().array, QuantizedConv2d.from_float(conv, 0)
    assert np.abs(small(x).array - wanted).max() < 0.03 * np.abs(wanted).max()
    single = small(Tensor(x.array[0])).array
    assert np.allclose(single, small(Tensor(x.array[:1])).array[0]), "a single picture"


NETWORKS = [
    (lambda: GPT(65, 32, 2, 2, 32), tensor(np.arange(20)[None])),
    (lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), Tensor(numbers(2, 5, 32))),
    (lenet5, Tensor(numbers(2, 1, 28, 28))),
    (lambda: MLP(12, 30, 30, 4), Tensor(numbers(5, 12))),
]


@pytest.mark.parametrize(("make", "x"), NETWORKS)
def test_networks_that_know_nothing_of_bytes_hold_them(make, x):
    manual_seed(0)
    model = make().eval()
    model.qconfig = get_default_qconfig()
    watched = prepare(model)
    def first(out): return (out[0] if isinstance(out, tuple) else out).array
    with no_grad():
        wanted, _ = first(model(x)), watched(x)
        for small in (quantize_dynamic(model), convert(watched)):
            assert bytes_on_disk(small) < 0.9 * bytes_on_disk(model)
            assert np.abs(first(small(x)) - wanted).max() < 0.05 * np.abs(wanted).max()
            again = load_quantized(make().eval(), load(save(small.state_dict())))
            assert np.array_equal(first(again(x)), first(small(x))), "and so do those from a file"


def test_replacing_changes_leaves_and_nothing_else():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.ReLU()}), shared)
    relu, dictionary = model[1]["b"], model[1]
    new = replace(model, lambda part: nn.Identity() if type(part) is nn.Linear else None)
    assert new is model and model[1] is dictionary and model[1]["b"] is relu
    assert model[0] is model[2] and type(model[1]["a"]) is nn.Identity
    assert [name for name, _ in model.named_parameters()] == []


# ------------------------------------------------------------------------------------------ observers

def test_an_observer_is_as_wide_as_all_batches_together():
    batches = [numbers(4, 3) * n for n in (1, 5, 2)]
    for axis in (None, 0, 1):
        observer = Observer(axis)
        for batch in batches: observer(Tensor(batch))
        others = None if axis is None else 1 - axis
        assert np.array_equal(observer.min_val.array, np.min([b.min(others) for b in batches], 0))
        assert np.array_equal(observer.max_val.array, np.max([b.max(others) for b in batches], 0))
    low, high = widened(tensor(-100.0), tensor(100.0), Tensor(batches[0]))
    assert (low.item(), high.item()) == (-100.0, 100.0)


def test_an_observer_saves_what_it_saw():
    observer, other = Observer(), Observer()
    observer(tensor([1.0, 4.0]))
    other.load_state_dict(observer.state_dict())
    assert other.calculate_qparams()[0].item() == observer.calculate_qparams()[0].item()


def test_observers_that_try_agree_with_the_functions():
    x = np.random.default_rng(0).standard_t(3, 5000).astype(np.float32)
    found = MSEObserver(quant_min=0, quant_max=15)
    found(Tensor(x))
    want = choose_qparams(*least_error(Tensor(x), None, 0, 15), 0, 15)
    assert [a.item() for a in found.calculate_qparams()] == [a.item() for a in want]
    found = PercentileObserver(0.9)
    for part in np.split(x, 5): found(Tensor(part))
    assert np.allclose([end.item() for end in found.ends()], np.quantile(x, [0.05, 0.95]), atol=1e-4)


# -------------------------------------------------------------------------------------------- pruning

@pytest.mark.parametrize("amount", [0, 1, 17, 60, 0.1, 0.5, 0.99, 1.0])
def test_the_smallest_go_and_as_many_as_were_asked_for(amount):
    x = numbers(6, 10)
    mask = magnitude_mask(Tensor(x), amount).array
    gone = amount if isinstance(amount, int) else round(amount * 60)
    assert (mask == 0).sum() == gone and mask.dtype == np.float32
    if 0 < gone < 60: assert np.abs(x[mask == 0]).max() <= np.abs(x[mask == 1]).min()


def test_pruning_twice_multiplies():
    x, mask = Tensor(numbers(8, 8)), None
    for left in (32, 16, 8): assert (mask := magnitude_mask(x, 0.5, mask)).sum().item() == left
    assert (mask.array * magnitude_mask(x, 56).array == mask.array).all(), "the same as at once"


def test_a_masked_layer_learns_without_waking_the_dead():
    manual_seed(0)
    layer = nn.Linear(10, 4)
    mask = magnitude_mask(layer.weight, 0.7)
    optimizer = SGD(layer.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    put_mask(layer, "weight", mask)
    before = layer.weight.detach().array.copy()
    for _ in range(5):
        optimizer.zero_grad()
        (layer(Tensor(numbers(6, 10))) ** 2).sum().backward()
        optimizer.step()
    layer(Tensor(numbers(6, 10)))
    after = layer.weight.detach().array
    assert (after[mask.array == 0] == 0).all() and (after != before)[mask.array == 1].all()
    take_off_mask(layer, "weight")
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"], "with its old name"
    assert not layer._forward_pre_hooks
    assert np.array_equal(layer.weight.detach().array, after), "what is left is the parameter"


def test_a_masked_layer_can_be_copied_and_loaded():
    layer = nn.Linear(5, 3)
    put_mask(layer, "weight", magnitude_mask(layer.weight, 0.5))
    with no_grad(): layer(tensor(numbers(1, 5)))
    other = copy.deepcopy(layer)
    other.weight_orig.data.fill_(1.0)
    x = tensor(np.ones((1, 5), np.float32))
    assert np.allclose((other(x) - other.bias).detach().array, layer.weight_mask.array.sum(1)), \
        "the copy has a mask of its own"
    layer.load_state_dict(other.state_dict())
    assert np.allclose(layer(x).detach().array, other(x).detach().array)
    assert np.array_equal(masked(layer, "weight").detach().array, layer.weight_mask.array)


def test_two_of_four():
    x = numbers(6, 16)
    mask = n_m_mask(Tensor(x)).array.reshape(-1, 4)
    assert (mask.sum(1) == 2).all()
    runs = np.abs(x).reshape(-1, 4)
    assert np.allclose((runs * mask).sum(1), np.sort(runs, 1)[:, 2:].sum(1), atol=1e-6), "the two largest"
    kept, places = pack_2_4(Tensor(x * mask.reshape(x.shape)))
    assert kept.shape == (6, 8) and places.array.nbytes == 6 * 2, "four bits a run say where the two stood"
    assert np.array_equal(unpack_2_4(kept, places).array, x * mask.reshape(x.shape))
    sparse = np.zeros((1, 8), np.float32)
    sparse[0, 5] = 3
    assert np.array_equal(unpack_2_4(*pack_2_4(Tensor(sparse))).array, sparse), "fewer than two are fine"
    with pytest.raises(RuntimeError): pack_2_4(Tensor(x))
    layer = n_m_structured(nn.Linear(8, 3), "weight", 1, 4)
    assert layer.weight_mask.sum().item() == 6


def test_rows_that_go_change_nothing():
    first, last, x = nn.Linear(6, 10), nn.Linear(10, 3), Tensor(numbers(4, 6))
    remove(ln_structured(first, "weight", 4, 2, 0), "weight")
    small = shrink(first, last, lambda x: x.relu())
    assert small[0].weight.shape == (6, 6) and small[1].weight.shape == (3, 6)
    found, wanted = small[1](small[0](x).relu()), last(first(x).relu())
    assert np.allclose(found.detach().array, wanted.detach().array, atol=1e-5)


def test_gradual_pruning_follows_its_curve():
    manual_seed(0)
    model, data = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 2)), TensorDataset(
        Tensor(numbers(64, 10)), tensor(np.arange(64) % 2))
    schedule = GradualPruning(0.8, end=16, every=2)
    Trainer(model, SGD(model.parameters(), lr=0.1), DataLoader(data, 8), callbacks=[schedule]).fit(3)
    assert [schedule.share_at(n) for n in (0, 8, 99)] == [0, 0.8 * (1 - 0.5**3), 0.8]
    assert model[0].weight_mask.mean().item() == pytest.approx(0.2, abs=0.01)
    with no_grad(): model(Tensor(numbers(1, 10)))
    assert (model[0].weight.array == 0).mean() == pytest.approx(0.8, abs=0.01)


# ------------------------------------------------------------------------------------------- sparse rows

@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_sparse_layer_is_the_layer(share):
    layer = nn.Linear(20, 9)
    layer.weight.data.mul_(magnitude_mask(layer.weight, share))
    x = Tensor(numbers(3, 2, 20))
    assert np.allclose(SparseLinear.from_float(layer)(x).array, layer(x).detach().array, atol=1e-5)


def test_rows_go_there_and_back():
    x = numbers(6, 5) * (rng.random((6, 5)) > 0.6)
    rows = tensor(x).to_sparse_csr()
    assert np.array_equal(rows.to_dense().array, x.astype(np.float32))
    assert rows.crow_indices().tolist() == [0, *np.cumsum((x != 0).sum(1)).tolist()]
    with pytest.raises(RuntimeError): tensor([1.0]).to_sparse_csr()


# -------------------------------------------------------------------------------- four bits, low rank, LoRA

def test_two_places_share_a_byte():
    places = Tensor(rng.integers(0, 16, (3, 10), np.uint8))
    packed = pack_int4(places)
    assert packed.array.nbytes == 15 and np.array_equal(unpack_int4(packed).array, places.array)
    with pytest.raises(RuntimeError): pack_int4(tensor([1, 16]))
    with pytest.raises(RuntimeError): pack_int4(tensor([1, 2, 3]))


@pytest.mark.parametrize(("inputs", "group"), [(64, 32), (50, 16), (7, 4)])
def test_a_layer_of_four_bits_is_off_by_half_a_step(inputs, group):
    layer = nn.Linear(inputs, 6)
    small = Int4Linear.from_float(layer, group)
    off = np.abs(small.dequantized().array - layer.weight.detach().array)
    steps = np.repeat(small.weight_scale.array.astype(np.float32), group, 1)[:, :inputs]
    assert (off <= 0.6 * steps).all(), "half a step, and what rounding the scale to float16 costs"
    x = Tensor(numbers(2, inputs))
    wanted = x.array @ small.dequantized().array.T + layer.bias.array
    assert np.allclose(small(x).detach().array, wanted, atol=1e-5)


def test_four_bits_are_an_eighth_of_the_file():
    model = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256))
    small = quantize_int4(model, 128)
    assert bytes_on_disk(small) < bytes_on_disk(model) / 7
    x = Tensor(numbers(4, 512))
    off = small(x).detach().array - model(x).detach().array
    assert np.sqrt((off**2).mean()) < 0.15 * model(x).array.std()


def test_thin_factors_are_the_best_there_are():
    w = numbers(8, 12)
    stretch = np.linalg.svd(w)[1]
    for rank in (1, 4, 8):
        up, down = thin_factors(Tensor(w), rank)
        off = np.linalg.norm(up.array @ down.array - w)
        assert np.isclose(off, np.sqrt((stretch[rank:] ** 2).sum()), atol=1e-4), "Eckart and Young"
    energy = np.cumsum(stretch**2) / (stretch**2).sum()
    assert rank_for(Tensor(w), 0.9) == int((energy < 0.9).sum()) + 1


def test_a_layer_is_made_thin_only_where_that_is_smaller():
    wide, full = nn.Linear(40, 40), nn.Linear(40, 40)
    wide.weight.data.copy_(Tensor(numbers(40, 3) @ numbers(3, 40)))
    thin = with_low_rank(nn.Sequential(wide, full), 0.999)
    x = Tensor(numbers(5, 40))
    assert type(thin[0]) is LowRankLinear and thin[0].rank == 3 and type(thin[1]) is nn.Linear
    assert np.allclose(thin(x).detach().array, full(wide(x)).detach().array, atol=1e-3)


def test_lora_begins_as_the_model_and_ends_merged():
    manual_seed(0)
    model, x = network(), Tensor(numbers(6, 12))
    changed = add_lora(model, r=2, lora_alpha=4, target=lambda path: path != "0")
    assert np.array_equal(changed(x).detach().array, model(x).detach().array), "at first nothing has changed"
    learns = [name for name, p in changed.named_parameters() if p.requires_grad]
    assert learns == ["2.0.lora_A", "2.0.lora_B"], "the model stands still"
    optimizer = SGD([p for p in changed.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (changed(x) ** 2).mean().backward()
        optimizer.step()
    merged, after = merge_lora(changed), changed(x).detach().array
    assert np.allclose(merged(x).detach().array, after, atol=1e-5) and type(merged[2][0]) is nn.Linear
    assert not np.allclose(after, model(x).detach().array)
    fresh = add_lora(model, r=2, lora_alpha=4, target=lambda path: path != "0")
    fresh.load_state_dict(lora_state_dict(changed), strict=False)
    assert np.allclose(fresh(x).detach().array, after), "the changes alone are enough to store"
    assert isinstance(changed[2][0], LoRALinear)


# -------------------------------------------------------------------------------------------- distilling

@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_distance_from_a_teacher(temperature):
    a, b, labels = numbers(5, 4), numbers(5, 4), np.array([0, 1, 2, 3, 0])
    def shares(x, T):
        e = np.exp(x.astype(float) / T)
        return e / e.sum(1, keepdims=True)
    p, q = shares(b, temperature), shares(a, temperature)
    soft = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    hard = -np.log(shares(a, 1)[np.arange(5), labels]).mean()
    found = distillation_loss(Tensor(a), Tensor(b), tensor(labels), temperature, 0.7).item()
    assert np.isclose(found, 0.7 * soft + 0.3 * hard, rtol=1e-4)
    assert abs(distillation_loss(Tensor(b), Tensor(b)).item()) < 1e-6, "who says the same is at no distance"


def test_gradients_have_one_size_at_every_temperature():
    """T² makes up for what dividing by T takes: Hinton's reason for it."""
    a, b = numbers(50, 10), numbers(50, 10)
    sizes = []
    for temperature in (10.0, 100.0):
        x = tensor(a, requires_grad=True)
        distillation_loss(x, Tensor(b), None, temperature).backward()
        sizes.append(np.abs(x.grad.array).mean())
    assert np.isclose(*sizes, rtol=0.1)


def test_the_course_has_pytorchs_places_for_it():
    assert tinytorch.ao.nn.quantized.dynamic.Linear is QuantizedLinear
    assert tinytorch.nn.utils.prune.ln_structured is ln_structured
    assert tinytorch.ao.quantization.quantize_dynamic is tinytorch.quantization.quantize_dynamic


def test_who_is_beaten_on_both_axes_is_not_on_the_front():
    rows = [Row("large", 100, 90.0, 1.0), Row("small", 10, 80.0, 1.0), Row("beaten", 50, 79.0, 0.1),
            Row("between", 50, 85.0, 9.0), Row("same", 10, 80.0, 2.0)]
    assert [row.name for row in front(rows)] == ["small", "same", "between", "large"]
    found = measured("a layer", layer := nn.Linear(3, 2), lambda model: 7.0, tensor(numbers(1, 3)))
    assert (found.bytes, found.score) == (bytes_on_disk(layer), 7.0) and found.seconds > 0
    assert "* large" in repr(Compared(rows)) and "  beaten" in repr(Compared(rows))
