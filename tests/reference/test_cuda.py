"""tinytorch.cuda, and whole trainings on a GPU that is none: CuPy's stand-in, for which nobody need wait."""
# ruff: noqa: E501      a table reads better in one line

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinytorch as t
from tests import stand_in
from tests.stand_in import NAMES, Array

nn, F = t.nn, t.nn.functional


# ------------------------------------------------------------------------------------------ without a GPU


@pytest.mark.parametrize("how, said", [
    ("sys.modules['cupy'] = None", "pip install 'tinytorch-tito[gpu]'"),
    ("import types; sys.modules['cupy'] = m = types.ModuleType('cupy'); "
     "m.cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: 0, "
     "CUDARuntimeError=OSError))", "finds no GPU"),
])
def test_without_a_gpu_the_error_says_what_is_missing(how, said):
    """In a process of its own, which may or may not have a GPU."""
    code = f"import sys\n{how}\nimport tinytorch as t\nassert not t.cuda.is_available()\n" \
           "assert t.cuda.device_count() == 0 and t.cuda.memory_allocated() == 0\nt.cuda.manual_seed(0)\n" \
           "for use in (lambda: t.ones(2).cuda(), lambda: t.zeros(2, device='cuda'), t.cuda.synchronize):\n" \
           "    try: use()\n    except RuntimeError as error: print(error)\n"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert len(lines := told.stdout.splitlines()) == 3 and all([said in line for line in lines]), told.stdout


def test_importing_does_not_import_cupy():
    code = "import sys, tinytorch; tinytorch.cuda.Stream; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ------------------------------------------------------------------------------------- there and back


def test_a_tensor_says_where_it_is(gpu):
    x = t.tensor([1.5, 2.0]).cuda()
    assert str(x.device) == "cuda:0" and x.is_cuda and not x.is_cpu and x.get_device() == 0
    assert repr(x) == "tensor([1.5000, 2.0000], device='cuda:0')"
    assert x.device == t.device("cuda:0") == t.device("cuda", 0) == t.device(0) != t.device("cpu")
    assert x.to("cuda") is x and x.cuda() is x and x.to("cuda:0") is x and x.to(0) is x
    assert x.cpu().tolist() == [1.5, 2.0] and x.cpu().device == t.device("cpu")
    assert type(x.array) is Array and type(x.cpu().array) is np.ndarray


@pytest.mark.parametrize("made", [
    "t.zeros(2, device=d)", "t.ones(2, device=d)", "t.empty(2, device=d)", "t.full((2,), 3, device=d)",
    "t.eye(2, device=d)", "t.arange(3, device=d)", "t.linspace(0, 1, 3, device=d)", "t.rand(2, device=d)",
    "t.randn(2, device=d)", "t.randint(0, 3, (2,), device=d)", "t.randperm(3, device=d)",
    "t.tensor([1], device=d)", "t.as_tensor([1], device=d)", "t.asarray([1], device=d)",
    "t.scalar_tensor(1, device=d)", "t.hann_window(3, device=d)", "t.tril_indices(2, 2, device=d)",
    "t.zeros_like(t.ones(2), device=d)", "t.ones(2).new_zeros(2, device=d)", "t.zeros(2, device=d).new_ones(3)",
    "t.rand_like(t.zeros(2, device=d))", "t.empty_like(t.zeros(2, device=d))",
    "nn.Linear(2, 3, device=d).weight", "nn.LayerNorm(3, device=d).bias", "nn.Conv2d(1, 2, 3, device=d).weight",
    "nn.Embedding(3, 2, device=d).weight", "nn.LSTM(2, 3, device=d).weight_ih_l0",
    "nn.BatchNorm2d(3, device=d).running_var", "nn.MultiheadAttention(4, 2, device=d).in_proj_weight",
])
def test_whatever_makes_numbers_makes_them_where_it_is_told(made, gpu):
    assert str(eval(made, {"t": t, "nn": nn, "d": "cuda"}).device) == "cuda:0"


def test_a_device_can_be_the_default(gpu):
    with t.device("cuda"):
        assert t.zeros(2).is_cuda and t.tensor([1.0]).is_cuda and nn.Linear(2, 2).bias.is_cuda
        with t.device("cpu"): assert t.zeros(2).is_cpu
        assert t.get_default_device() == t.device("cuda")
    assert t.zeros(2).is_cpu and t.get_default_device() == t.device("cpu")
    t.set_default_device("cuda")
    assert t.ones(1).is_cuda
    t.set_default_device(None)
    assert t.ones(1).is_cpu


def test_a_module_moves_with_all_it_has(gpu):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    weight = net[0].weight
    assert net.cuda() is net and all([x.is_cuda for x in net.state_dict().values()])
    assert net[0].weight is weight, "the parameters stay who they are: an optimizer holds them"
    net.to("cpu", t.float64)
    assert net[0].weight.is_cpu and net[0].weight.dtype is t.float64
    assert net.to(t.device("cuda", 0))[1].running_mean.is_cuda


def test_a_journey_is_part_of_the_graph(gpu):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = (x.cuda() * 3).cpu() * 2
    y.sum().backward()
    assert x.grad.is_cpu and x.grad.tolist() == [6.0, 6.0]
    leaf = t.tensor([1.0], device="cuda", requires_grad=True)
    (leaf.cpu() * 2).backward()
    assert leaf.grad.is_cuda and leaf.grad.item() == 2.0


def test_numpy_has_to_be_asked_to_copy(gpu):
    x = t.ones(2).cuda()
    with pytest.raises(TypeError, match="cuda:0"): x.numpy()
    with pytest.raises(TypeError): np.asarray(x)
    assert x.numpy(force=True).tolist() == [1.0, 1.0]


def test_what_is_packed_comes_home(gpu, tmp_path):
    net = nn.Linear(2, 2).cuda()
    again = pickle.loads(pickle.dumps(net))
    assert again.weight.is_cpu and again.weight.tolist() == net.weight.tolist() and net.weight.is_cuda
    t.save(net.state_dict(), tmp_path / "net.safetensors")
    state = t.load(tmp_path / "net.safetensors")
    assert state["weight"].is_cpu and t.load(tmp_path / "net.safetensors", map_location="cuda")["weight"].is_cuda
    net.load_state_dict(state)
    assert net.weight.is_cuda, "a state goes where the module is"


def test_a_copy_stays(gpu):
    x = t.nn.Parameter(t.ones(2).cuda())
    for y in (copy.copy(x), copy.deepcopy(x), x.clone(), copy.deepcopy(nn.Linear(2, 2).cuda()).weight):
        assert y.is_cuda
    assert copy.copy(x).array is x.array and copy.deepcopy(x).array is not x.array


def test_a_bfloat16_is_the_same_number_on_both_sides(gpu):
    pytest.importorskip("ml_dtypes", reason="CuPy's bfloat16 is that of ml_dtypes")
    x = t.tensor([1.0, 1 / 3, -1e38, float("inf")]).bfloat16()
    there = x.cuda()
    assert there.dtype is t.bfloat16 and there.is_cuda and there.array.dtype.itemsize == 2
    assert there.cpu().float().tolist() == x.float().tolist() and there.cpu().dtype is t.bfloat16
    assert (there * 2).dtype is t.bfloat16 and there.float().cpu().tolist() == x.float().tolist()
    assert t.ones(2, device="cuda").to(t.bfloat16).cpu().tolist() == [1.0, 1.0]


# ------------------------------------------------------------------------------------------- meetings


@pytest.mark.parametrize("meet", [
    "x + y", "y + x", "x @ y", "t.where(x > 0, x, y)", "t.cat([x, y])", "F.linear(x, y)", "F.mse_loss(x, y)",
    "F.conv1d(x[None], y[None])", "t.addmm(x, y, y)", "F.layer_norm(x, (2,), y[0])", "t.stack([x, y])",
    "t.outer(x[0], y[0])", "F.embedding(i, y)", "x.masked_fill(y > 0, 1.0)", "x.lerp(y, 0.5)",
])
def test_tensors_on_two_devices_do_not_meet(meet, gpu):
    x, i = t.ones(2, 2).cuda(), t.tensor([0, 1]).cuda()
    with pytest.raises(RuntimeError, match=r"same device.*cuda:0 and cpu"):
        eval(meet, {"t": t, "F": F, "x": x, "y": t.ones(2, 2), "i": i})


def test_a_single_number_goes_where_the_others_are(gpu):
    x, two = t.ones(2).cuda(), t.tensor(2.0)
    assert (x * two).tolist() == (two * x).tolist() == [2.0, 2.0] and (x * two).is_cuda
    assert (x * two.double()).dtype is t.float32 and t.where(x > 0, x, two).is_cuda


def test_an_index_may_come_from_the_cpu(gpu):
    x = t.arange(6.0).reshape(2, 3)
    y = x.cuda()
    assert y[t.tensor([1, 0])].tolist() == x[[1, 0]].tolist() and y[x > 2].tolist() == x[x > 2].tolist()
    y[t.tensor([0])] = t.zeros(3)
    y[1, 2] = t.tensor(9.0)
    assert y.tolist() == [[0.0, 0.0, 0.0], [3.0, 4.0, 9.0]] and y.is_cuda
    with pytest.raises(RuntimeError, match="cuda:0"): x[t.tensor([1]).cuda()]


def test_copy_crosses_over(gpu):
    x, y = t.zeros(2).cuda(), t.ones(2)
    assert x.copy_(y).tolist() == [1.0, 1.0] and x.is_cuda
    assert y.copy_(x * 3).tolist() == [3.0, 3.0] and y.is_cpu


def test_in_place_changes_and_views_are_known_to_gradients(gpu):
    x = t.arange(6.0, device="cuda", requires_grad=True)
    y = x * 1
    y.reshape(2, 3)[:, 1] *= 5
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 5.0, 1.0, 1.0, 5.0, 1.0] and x.grad.is_cuda


# ------------------------------------------------------------------------------------------- training


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.memory, self.said = nn.Embedding(11, 6), nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 11)

    def forward(self, x): return self.said(self.memory(self.words(x))[0])


def lenet():
    return nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(4, 6, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(96, 5))


def mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.1), nn.Linear(16, 5))


def gpt(): return t.models.GPT(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=8)


NETS = {"mlp": (mlp, (8, 12), 5), "lenet": (lenet, (4, 1, 20, 20), 5), "gpt": (gpt, (2, 8), 11),
        "lstm": (Reader, (2, 7), 11)}
OPTIMIZERS = {
    "mlp": lambda p: t.optim.Adam(p, 1e-3), "lenet": lambda p: t.optim.SGD(p, 0.1, momentum=0.9),
    "gpt": lambda p: t.optim.AdamW(p, 1e-3), "lstm": lambda p: t.optim.RMSprop(p, 1e-3),
}


def trained(name: str, device: str, looked=None, steps: int = 3, wrap=None) -> tuple[list, dict]:
    """A training: the losses, and the weights in the end. `looked` is told when a step is done."""
    make, shape, classes = NETS[name]
    t.manual_seed(4)
    words = len(shape) == 2 and name != "mlp"
    batch = t.randint(0, 11, shape) if words else t.randn(*shape)
    labels = t.randint(0, classes, shape if words else shape[:1])
    net, batch, labels = make().to(device), batch.to(device), labels.to(device)
    optimizer, losses = OPTIMIZERS[name](net.parameters()), []
    if looked is not None: looked()
    for _ in range(steps):
        optimizer.zero_grad()
        scores = net(batch)
        loss = F.cross_entropy(scores.reshape(-1, classes), labels.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        if looked is not None: looked()
    return [loss.item() for loss in losses], {key: x.cpu().numpy() for key, x in net.state_dict().items()}


@pytest.mark.parametrize("name", NETS)
def test_a_training_is_the_same_on_a_gpu(name, gpu):
    losses, weights = trained(name, "cpu")
    found, there = trained(name, "cuda")
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    for key, x in weights.items(): np.testing.assert_allclose(there[key], x, rtol=2e-3, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("name", NETS)
def test_a_step_waits_for_nothing(name, gpu):
    """But for what the forwards of lesson 07 look at; their bodies for a GPU do not, and are tested below."""
    seen = []
    trained(name, "cuda", lambda: seen.append(gpu[:]) or gpu.clear())
    lookups = {"gpt": 2 * 3 + 2, "lstm": 3}.get(name, 0)        # min, max and len of ids; a mask in each attention
    assert [len(waits) for waits in seen[1:]] == [lookups] * 3, seen


@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_with_their_bodies_for_a_gpu_embeddings_and_attention_do_not_wait_either(name, gpu):
    from tinytorch.attention import attend, look_up
    from tinytorch.column import kernel, withdraw
    from tinytorch.cuda_kernels import WAITING
    bodies = [(ops, body) for ops, gradient, body in WAITING if set(ops) & {attend, look_up}]
    for ops, body in bodies: kernel(*ops, device="cuda")(body)
    try:
        seen = []
        found, _ = trained(name, "cuda", lambda: seen.append(gpu[:]) or gpu.clear())
        assert seen[1:] == [[]] * 3
        np.testing.assert_allclose(found, trained(name, "cpu")[0], rtol=1e-4)
    finally:
        for _, body in bodies: withdraw(body)


def test_mixed_precision_on_a_gpu_is_float16(gpu):
    net, x = nn.Linear(4, 3).cuda(), t.randn(5, 4).cuda()
    scaler = t.amp.GradScaler("cuda")
    with t.autocast("cuda"):
        y = net(x)
        assert y.dtype is t.float16 and y.is_cuda
        loss = F.cross_entropy(y, t.zeros(5, dtype=t.int64, device="cuda"))
        assert loss.dtype is t.float32
    with t.autocast("cuda", t.bfloat16): assert net(x).dtype is t.bfloat16
    optimizer = t.optim.SGD(net.parameters(), 0.1)
    before = net.weight.detach().clone()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert net.weight.dtype is t.float32 and not t.equal(net.weight, before)


def test_a_loader_pins_what_a_gpu_will_fetch(gpu):
    data = t.utils.data.TensorDataset(t.arange(4.0), t.arange(4))
    loader = t.utils.data.DataLoader(data, 2, pin_memory=True)
    assert not next(iter(loader))[0].is_pinned(), "no GPU is in use so far"
    t.devices.JOURNEYS["pinned"] = t.cuda.pinned
    try:
        batch = next(iter(loader))
        assert [x.is_pinned() for x in batch] == [True, True] and batch[0].tolist() == [0.0, 1.0]
        assert batch[0].to("cuda", non_blocking=True).tolist() == [0.0, 1.0]
        assert t.ones(2).pin_memory().is_pinned() and not t.ones(2).is_pinned()
    finally: del t.devices.JOURNEYS["pinned"]


# -------------------------------------------------------------------------------------- tinytorch.cuda


def test_the_stand_in_has_nothing_that_cupy_has_not():
    for made, name in [(stand_in.CUDA, "cupy.cuda"), (stand_in.RUNTIME, "cupy.cuda.runtime")]:
        assert set(vars(made)) - {"runtime"} <= set(NAMES[name]), name
    for kind in (stand_in.Device, stand_in.Event, stand_in.MemoryPool, stand_in.MemoryHook):
        mine = {word for word in vars(kind) if word[0] != "_"}
        assert mine - {"at", "freed"} <= set(NAMES[f"cupy.cuda.{kind.__name__}"]), kind
    mine = {word for word in vars(Array) if word[0] != "_"} - {"held"}
    assert mine <= set(NAMES["ndarray"])


def test_what_a_gpu_is_called(gpu):
    assert t.cuda.is_available() and t.cuda.device_count() == 1 and t.cuda.current_device() == 0
    assert t.cuda.get_device_name() == "Stand-in" and t.cuda.get_device_capability(0) == (9, 0)
    told = t.cuda.get_device_properties("cuda:0")
    assert (told.total_memory, told.multi_processor_count, told.warp_size) == (8 << 30, 2, 32)
    assert t.cuda.is_bf16_supported() and t.cuda.mem_get_info() == (5 << 30, 8 << 30)
    with t.cuda.device(0): assert t.ones(1).cuda().is_cuda
    t.cuda.set_device(0)
    with pytest.raises(RuntimeError, match="cuda:3"): t.ones(1, device="cuda:3")


def test_streams_and_events(gpu):
    side, start, end = t.cuda.Stream(), t.cuda.Event(enable_timing=True), t.cuda.Event(enable_timing=True)
    start.record()
    with t.cuda.stream(side):
        assert t.cuda.current_stream() == side != t.cuda.default_stream()
        end.record()
    assert t.cuda.current_stream() == t.cuda.default_stream()
    t.cuda.current_stream().wait_stream(side)
    side.synchronize()
    t.cuda.synchronize()
    assert start.elapsed_time(end) >= 0 and end.query() and gpu == ["synchronize"] * 2
    with pytest.raises(RuntimeError): t.cuda.Event().elapsed_time(end)


def test_memory_is_counted(gpu):
    counted = t.cuda.ledger()
    assert t.cuda.memory_allocated() == 3 << 20 == t.cuda.max_memory_allocated()
    counted.malloc_postprocess(device_id=0, size=900, mem_size=1024, mem_ptr=0, pmem_id=0)
    counted.malloc_postprocess(device_id=0, size=900, mem_size=1024, mem_ptr=0, pmem_id=1)
    counted.free_postprocess(device_id=0, mem_size=1024, mem_ptr=0, pmem_id=0)
    assert t.cuda.max_memory_allocated() == (3 << 20) + 2048
    told = t.cuda.memory_stats()
    assert told["allocation.all.current"] == 1 and told["allocated_bytes.all.peak"] == (3 << 20) + 2048
    assert "Stand-in" in t.cuda.memory_summary() and "3.0 MB" in t.cuda.memory_summary()
    t.cuda.reset_peak_memory_stats()
    assert t.cuda.max_memory_allocated() == 3 << 20
    t.cuda.empty_cache()
    assert t.cuda.memory_reserved() == 3 << 20


def test_a_seed_means_the_same_everywhere(gpu):
    t.manual_seed(3)
    here = t.randn(4).tolist()
    t.cuda.manual_seed_all(3)
    assert t.randn(4, device="cuda").tolist() == here
    with t.device("cuda"):
        t.manual_seed(3)
        assert t.empty(4).normal_().tolist() == here
