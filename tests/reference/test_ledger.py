"""The ledger against counts by hand, and against PyTorch's own counter of FLOPs."""

import pytest

import tinytorch as tt
from tinytorch.layers import Module, Parameter, Sequential
from tinytorch.ledger import short, summary


class Affine(Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = Parameter(tt.ones(i, o)), Parameter(tt.ones(o))

    def forward(self, x): return x @ self.weight + self.bias


def mlp(): return Sequential(Affine(784, 256), tt.nn.ReLU(), Affine(256, 10))


def test_a_network_of_three_layers_by_hand():
    found = summary(mlp(), (64, 784))
    first, bend, last = (line.page for line in found.lines[1:])
    assert first.flops == 2 * 64 * 784 * 256 + 64 * 256, "a product and a sum for each pair, then the bias"
    assert bend.flops == 64 * 256 and last.flops == 2 * 64 * 256 * 10 + 640
    assert bend.bytes == 2 * 4 * 64 * 256, "relu reads every number once and writes one"
    product, shift = 64 * 784 + 784 * 256 + 64 * 256, 64 * 256 + 256 + 64 * 256
    assert first.bytes == 4 * (product + shift)
    assert found.parameters == found.learning == 784 * 256 + 256 + 2560 + 10
    assert found.bytes_held == 4 * found.parameters
    assert [line.page.shapes for line in found.lines] == [[(64, 10)], [(64, 256)], [(64, 256)], [(64, 10)]]


def test_products_are_counted_as_pytorch_counts_them():
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    for left, right in [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((7, 2, 3, 4), (4, 6))]:
        with FlopCounterMode(display=False) as counter: torch.ones(left) @ torch.ones(right)
        found = summary(Times(), tt.ones(left), tt.ones(right))
        assert found.flops == counter.get_total_flops()


class Times(Module):
    def forward(self, x, y): return x @ y


def test_views_are_free_and_copies_compute_nothing():
    class Views(Module):
        def forward(self, x): return tt.cat([x.T.reshape(3, 2), x.T[:, :2]])
    found = summary(Views(), (2, 3))
    assert found.flops == 0 and found.lines[0].page.bytes == 4 * (6 + 6 + 12), "only cat moves numbers"


def test_what_is_shared_counts_once_and_what_runs_twice_runs_twice():
    layer = Affine(4, 4)
    found = summary(Sequential(layer, layer), (2, 4))
    assert found.parameters == 20 and len(found.lines) == 2
    assert found.lines[1].page.calls == 2 and found.flops == 2 * (2 * 2 * 4 * 4 + 8)
    assert "x2" in repr(found)


def test_it_leaves_no_trace():
    model = mlp()
    model[0].eval()
    model[2].requires_grad_(False)
    found = summary(model, (1, 784))
    assert [part.training for part in model.modules()] == [True, False, True, True]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert found.parameters - found.learning == 2570 and "2,570 of them frozen" in repr(found)
    with pytest.raises(RuntimeError): summary(model, (1, 5))
    assert not any(part._forward_hooks for part in model.modules()), "also when something goes wrong"


def test_the_table():
    lines = repr(summary(mlp(), (64, 784))).split("\n")
    assert lines[0].split() == ["layer", "output", "parameters", "FLOPs", "moves"]
    assert lines[3].split() == ["0", "Affine", "(64,", "256)", "200,960", "25.7", "M", "1.20", "MB"]
    assert lines[-1] == "203,530 parameters, 814 kB; 26.1 MFLOP; moves 1.42 MB"
    assert len({len(line) for line in lines[:-1]}) == 1, "all rows are as wide"


@pytest.mark.parametrize(("n", "text"), [
    (0, "0 "), (7, "7 "), (999, "999 "), (1000, "1.00 k"), (12345, "12.3 k"), (999999, "1.00 M"),
    (2 * 10**9, "2.00 G"), (10**20, "100000 P")])
def test_large_numbers_are_short(n, text): assert short(n) == text


def test_skip_init_leaves_the_generator_alone():
    class Drawn(Module):
        def __init__(self, n, device=None):
            super().__init__()
            self.w = Parameter(tt.randn(n))
    tt.manual_seed(0)
    want = tt.rand(3).tolist()
    tt.manual_seed(0)
    assert tt.nn.utils.skip_init(Drawn, 4).w.shape == (4,)
    assert tt.rand(3).tolist() == want
    with pytest.raises(RuntimeError): tt.nn.utils.skip_init(Affine, 2, 2)
