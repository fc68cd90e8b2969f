"""Event files of ours, read by the real TensorBoard; and beside those that PyTorch writes."""

import io

import numpy as np
import pytest

from tinytorch import Tensor, bfloat16, nn, ones, tensor
from tinytorch.events import crc32c, pixels_of
from tinytorch.utils.tensorboard import SummaryWriter

pytest.importorskip("tensorboard", reason="the reference is TensorBoard itself")
pytestmark = pytest.mark.filterwarnings("ignore")       # TensorBoard warns of its own libraries

rng = np.random.default_rng(3)


@pytest.fixture
def written(tmp_path):
    """What TensorBoard finds in the folder of a writer."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(write, folder: str = "", **settings):
        with SummaryWriter(str(tmp_path), **settings) as writer: write(writer)
        found = EventAccumulator(str(tmp_path / folder), {"tensors": 0, "images": 0})
        return found.Reload()
    return read


def test_checksums_are_those_of_tensorboard():
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c as reference
    for n in [*range(300), 1000, 4096, 5000]:
        data = rng.integers(0, 256, n, np.uint8).tobytes()
        assert crc32c(data) == reference(data), f"{n} bytes"


def test_records_and_their_checksums_are_read(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    with SummaryWriter(str(tmp_path)) as writer: writer.add_scalar("a", 1.5, 3, walltime=12.5)
    [file] = tmp_path.iterdir()
    first, second = EventFileLoader(str(file)).Load()
    assert first.file_version == "brain.Event:2"
    assert (second.wall_time, second.step, second.summary.value[0].tag) == (12.5, 3, "a")
    data = file.read_bytes()
    file.write_bytes(data[:-3])                                 # a power cut
    assert len(list(EventFileLoader(str(file)).Load())) == 1, "what was cut off is skipped"


def test_scalars(written):
    steps = [(0, 1.0), (1, 0.5), (2**40, -3e-8), (3, float("inf"))]
    found = written(lambda w: [w.add_scalar("loss/train", tensor(x), step) for step, x in steps])
    assert [(e.step, e.value) for e in found.Scalars("loss/train")] == [(s, np.float32(x)) for s, x in steps]


@pytest.mark.parametrize("in_double", [False, True])
def test_scalars_of_the_new_style(written, in_double):
    from tensorboard.util import tensor_util
    found = written(lambda w: w.add_scalar("a", 0.1, 1, new_style=True, double_precision=in_double))
    [one] = found.Tensors("a")
    assert tensor_util.make_ndarray(one.tensor_proto) == (0.1 if in_double else np.float32(0.1))


def test_several_scalars_have_folders_of_their_own(written):
    found = written(lambda w: w.add_scalars("net/loss", {"train": 1.0, "test": 2.0}, 5), "net_loss_test")
    assert [(e.step, e.value) for e in found.Scalars("net/loss")] == [(5, 2.0)]


def test_text(written):
    from tensorboard.util import tensor_util
    found = written(lambda w: w.add_text("note", "**überall** 3 < 4", 2))
    [one] = found.Tensors("note/text_summary")
    assert one.step == 2
    assert tensor_util.make_ndarray(one.tensor_proto).tolist() == ["**überall** 3 < 4".encode()]
    assert found.SummaryMetadata("note/text_summary").plugin_data.plugin_name == "text"


def histogram(found, tag):
    [one] = found.Histograms(tag)
    return one.histogram_value


@pytest.mark.parametrize("values", [
    rng.standard_normal(1000), np.zeros(5), np.array([-1e-15, 1e-15, 3.0]), np.arange(7), np.array([2.5]),
    np.linspace(-5, 5, 100).reshape(10, 10),
], ids=["normal", "zeros", "tiny", "whole", "one", "grid"])
def test_histograms_count_every_value(written, values):
    h = histogram(written(lambda w: w.add_histogram("h", Tensor(values), 1)), "h")
    flat = values.reshape(-1).astype(float)
    assert (h.min, h.max, h.num) == (flat.min(), flat.max(), flat.size)
    np.testing.assert_allclose([h.sum, h.sum_squares], [flat.sum(), (flat**2).sum()], rtol=1e-12, atol=1e-20)
    assert len(h.bucket) == len(h.bucket_limit) and sum(h.bucket) == flat.size
    for limit, count in zip(h.bucket_limit, np.cumsum(h.bucket)):
        assert (flat < limit).sum() <= count <= (flat <= limit).sum(), "so many lie below the limit"


LIMITS = [1e-12 * 1.1**n for n in range(774)]


@pytest.mark.parametrize("bins", ["tensorflow", "auto", 12])
@pytest.mark.parametrize("values", [rng.standard_normal(500), np.array([0.0, 1e-3, 5.0])],
                         ids=["many", "three"])
def test_histograms_are_pytorchs(written, bins, values):
    summary = pytest.importorskip("torch.utils.tensorboard.summary")
    limits = [-x for x in LIMITS[::-1]] + [0] + LIMITS if bins == "tensorflow" else bins
    theirs = summary.histogram("h", values, limits).value[0].histo
    ours = histogram(written(lambda w: w.add_histogram("h", values, 0, bins)), "h")
    assert [n for n in ours.bucket if n] == [n for n in theirs.bucket if n]
    np.testing.assert_allclose(ours.bucket_limit[1:], list(theirs.bucket_limit)[-len(ours.bucket) + 1 :],
                               rtol=1e-9)


def test_pictures(written):
    image = pytest.importorskip("PIL.Image", reason="a PNG is read by Pillow")
    pixels = rng.integers(0, 256, (3, 5, 7), np.uint8)
    found = written(lambda w: [w.add_image("bytes", pixels), w.add_image("floats", Tensor(pixels / 255.0)),
                               w.add_image("grey", pixels[0], dataformats="HW")])
    for tag, expected in [("bytes", pixels), ("grey", np.stack([pixels[0]] * 3))]:
        [one] = found.Images(tag)
        assert (one.height, one.width) == (5, 7)
        shown = np.asarray(image.open(io.BytesIO(one.encoded_image_string)))
        assert np.array_equal(shown, expected.transpose(1, 2, 0))
    got = np.asarray(image.open(io.BytesIO(found.Images("floats")[0].encoded_image_string)))
    assert abs(got.transpose(2, 0, 1).astype(int) - pixels).max() <= 1, "floats from 0 to 1 are bytes to 255"


@pytest.mark.parametrize(("order", "shape"), [
    ("CHW", (3, 4, 5)), ("HWC", (4, 5, 3)), ("HW", (4, 5)), ("WH", (5, 4)), ("NCHW", (10, 3, 4, 5)),
    ("NHWC", (3, 4, 5, 1)), ("CHW", (4, 4, 5)),
])
def test_pictures_of_any_order_are_pytorchs(order, shape):
    utils = pytest.importorskip("torch.utils.tensorboard._utils")
    x = rng.random(shape).astype(np.float32)
    theirs = (utils.convert_to_HWC(x, order) * 255).clip(0, 255).astype(np.uint8)
    assert np.array_equal(pixels_of(Tensor(x), order), theirs)


def test_a_purged_step_starts_a_new_session(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    with SummaryWriter(str(tmp_path)) as writer:
        for n in range(10): writer.add_scalar("a", float(n), n)
    with SummaryWriter(str(tmp_path), purge_step=6) as writer:
        for n in (6, 7): writer.add_scalar("a", 100.0 + n, n)
    found = EventAccumulator(str(tmp_path)).Reload().Scalars("a")
    assert [(e.step, e.value) for e in found] == [(n, n) for n in range(6)] + [(6, 106.0), (7, 107.0)]


def test_a_graph(written):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    graph = written(lambda w: w.add_graph(net, ones(2, 3))).Graph()
    nodes = {node.name: node for node in graph.node}
    assert [node.op for node in graph.node if node.op != "Placeholder"] == ["linear", "relu", "linear"]
    assert list(nodes["linear_0"].input) == ["input_0", "0/weight", "0/bias"]
    assert list(nodes["linear_2"].input) == ["relu_1", "2/weight", "2/bias"]


def test_short_floats_are_written_as_long_ones(written):
    found = written(lambda w: w.add_histogram("h", ones(3, dtype=bfloat16)))
    assert histogram(found, "h").num == 3
