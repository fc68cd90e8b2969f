"""Lesson 09 against central differences, dual numbers and back-propagation by hand, in float64."""

import gc
import weakref

import numpy as np
import pytest

import tinytorch
from tinytorch import Tensor, no_grad, tensor
from tinytorch.activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from tinytorch.attention import attend, look_up
from tinytorch.autograd import (
    Autograd,
    Flow,
    agrees,
    central_difference,
    gather,
    grad,
    gradient,
    newest_first,
    settled,
    unbroadcast,
)
from tinytorch.dense import linear, standardize, surprise
from tinytorch.receipts import Outline, Receipt
from tinytorch.spatial import avg_pool2d, conv2d, max_pool2d, standardize_channels
from tinytorch.tensor import Engine, Op, add, matmul, sub, using

rng = np.random.default_rng(9)


def numbers(*shape): return np.asarray(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def leaf(x): return tensor(x, requires_grad=True)


def nudged(f, arrays, eps=1e-5):
    """The slopes of f(*arrays), a number, for each number in them, from four points around it."""
    found = []
    for x in arrays:
        slope = np.zeros_like(x)
        for place in np.ndindex(*x.shape):
            there, at = x[place], {}
            for step in (-2, -1, 1, 2):
                x[place] = there + step * eps
                at[step] = f(*arrays)
            x[place] = there
            slope[place] = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * eps)
        found.append(slope)
    return found


def close(found, want, tolerance=1e-6): return np.allclose(found, want, rtol=tolerance, atol=tolerance)


# What is measured at the points of `numbers` (and at their absolute values, where a name begins with a plus).
RULES = {
    "add": (add, (2, 3), (2, 3)),
    "add, stretched": (add, (2, 1), (4, 1, 3)),
    "add, alpha": (lambda x, y: add(x, y, alpha=-2.5), (3,), (2, 3)),
    "sub": (sub, (2, 3), ()),
    "sub, alpha": (lambda x, y: sub(x, y, alpha=3), (2, 1), (1, 3)),
    "neg": (lambda x: -x, (2, 3)),
    "mul": (lambda x, y: x * y, (2, 3), (2, 3)),
    "mul, stretched": (lambda x, y: x * y, (3, 1), (2, 1, 4)),
    "mul, by itself": (lambda x: x * x * x, (4,)),
    "divide": (lambda x, y: x / y, (2, 3), (2, 3)),
    "divide, stretched": (lambda x, y: x / y, (), (2, 3)),
    "divide, by itself": (lambda x: (x + 1.0) / x, (4,)),
    "exp": (lambda x: x.exp(), (2, 3)),
    "+log": (lambda x: x.log(), (2, 3)),
    "+sqrt": (lambda x: x.sqrt(), (2, 3)),
    "sum": (lambda x: x.sum(), (2, 3, 2)),
    "sum, one": (lambda x: x.sum(-2), (2, 3, 2)),
    "sum, several": (lambda x: x.sum((2, 0)), (2, 3, 2)),
    "sum, keepdim": (lambda x: x.sum((0, 1), keepdim=True), (2, 3, 2)),
    "sum, of a number": (lambda x: x.sum(0), ()),
    "mean": (lambda x: x.mean(), (2, 3)),
    "mean, one": (lambda x: x.mean(1), (2, 3, 2)),
    "mean, several": (lambda x: x.mean((-1, 0), keepdim=True), (2, 3, 4)),
    "matmul": (matmul, (2, 3), (3, 4)),
    "matmul, batches": (matmul, (5, 2, 3), (5, 3, 4)),
    "matmul, stretched": (matmul, (2, 1, 2, 3), (4, 3, 2)),
    "matmul, vectors": (matmul, (4,), (4,)),
    "matmul, a row": (matmul, (3,), (2, 3, 4)),
    "matmul, a column": (matmul, (2, 4, 3), (3,)),
    "matmul, by itself": (lambda x: x @ x.mT, (3, 2)),
    "transpose": (lambda x: x.transpose(-1, 0), (2, 3, 4)),
    "permute": (lambda x: x.permute(2, -3, 1), (2, 3, 4)),
    "permute, four": (lambda x: x.permute(3, 0, 2, 1), (2, 3, 1, 2)),
    "reshape": (lambda x: x.mT.reshape(3, -1), (2, 3, 2)),
    "view": (lambda x: x.view(6), (2, 3)),
    "expand": (lambda x: x.expand(4, -1, 3), (2, 1)),
    "relu": (relu, (3, 4)),
    "sigmoid": (sigmoid, (3, 4)),
    "tanh": (tanh, (3, 4)),
    "softmax": (lambda x: softmax(x, 1), (2, 3, 2)),
    "log_softmax": (lambda x: log_softmax(x, 0), (3, 4)),
    "linear": (linear, (5, 3), (2, 3), (2,)),
    "linear, more rows": (linear, (2, 4, 3), (2, 3), (2,)),
    "linear, one row": (linear, (3,), (2, 3), (2,)),
    "linear, no bias": (linear, (5, 3), (2, 3)),
    "surprise": (lambda x: surprise(x, tensor([2, 0, 1, 1])), (4, 3)),
    "surprise, pictures": (lambda x: surprise(x, tensor([[[2, 0]], [[1, -100]]])), (2, 3, 1, 2)),
    "surprise, one": (lambda x: surprise(x, tensor(1)), (3,)),
}
GIVEN = {
    "gelu": (gelu, (3, 4)),
    "standardize": (standardize, (4, 6), (6,), (6,)),
    "standardize channels": (standardize_channels, (3, 2, 2, 2), (2,), (2,)),
    "conv2d": (lambda x, w, b: conv2d(x, w, b, stride=2, padding=1), (2, 3, 5, 4), (2, 3, 3, 2), (2,)),
    "max pool": (lambda x: max_pool2d(x, 2, 1), (1, 2, 3, 4)),
    "average pool": (lambda x: avg_pool2d(x, 2), (1, 2, 4, 4)),
    "look up": (lambda w: look_up(tensor([[1, 1], [3, 0]]), w), (4, 3)),
    "attend": (attend, (2, 3, 4), (2, 5, 4), (2, 5, 4)),
    "index": (lambda x: x[[1, 1, 0], 1:], (2, 3)),
}


def arrays_of(name, shapes):
    return [abs(numbers(*shape)) if name.startswith("+") else numbers(*shape) for shape in shapes]


@pytest.mark.parametrize("name", [*RULES, *GIVEN])
def test_a_rule_says_what_nudging_says(name):
    f, *shapes = (RULES | GIVEN)[name]
    arrays = arrays_of(name, shapes)
    weigh = numbers(*f(*map(Tensor, arrays)).shape)
    found = grad((f(*(inputs := [leaf(a) for a in arrays])) * Tensor(weigh)).sum(), inputs)
    want = nudged(lambda *a: float((f(*map(Tensor, a)).array * weigh).sum()), arrays)
    for n, (dx, slope) in enumerate(zip(found, want)):
        assert dx.shape == slope.shape, f"the gradient for input {n} has the shape of that input"
        assert close(dx.array, slope), f"the gradient for input {n} is how the loss answers to nudges of it"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_gradient_of_its_own(name):
    f, *shapes = RULES[name]
    arrays = arrays_of(name, shapes)
    weigh, again = numbers(*f(*map(Tensor, arrays)).shape), [numbers(*s) for s in shapes]

    def slope(*inputs, create_graph=False):
        first = grad((f(*inputs) * f(*inputs) * Tensor(weigh)).sum(), inputs, create_graph=create_graph)
        return sum([(dx * Tensor(w)).sum() for dx, w in zip(first, again)])
    inputs = [leaf(a) for a in arrays]
    found = grad(slope(*inputs, create_graph=True), inputs, allow_unused=True, materialize_grads=True)
    want = nudged(lambda *a: slope(*[leaf(x) for x in a]).item(), arrays)
    for dx, second in zip(found, want):
        assert close(dx.array, second, 1e-5), "on tensors a rule is remembered like anything else"


@pytest.mark.parametrize("name", RULES)
def test_a_gradient_has_the_dtype_of_its_tensor(name):
    f, *shapes = RULES[name]
    inputs = [leaf(a.astype(np.float32)) for a in arrays_of(name, shapes)]
    f(*inputs).sum().backward()
    assert {x.grad.dtype for x in inputs} == {tinytorch.float32}, "float32 stays float32"


def test_nudging_measures():
    x = numbers(2, 3)
    before = x.copy()
    found = central_difference(lambda x: float(np.sin(x).sum() + x[0, 0] * x[1, 2]), x)
    want = np.cos(x)
    want[0, 0], want[1, 2] = want[0, 0] + x[1, 2], want[1, 2] + x[0, 0]
    assert close(found, want), "each number is nudged alone, up and down"
    assert np.array_equal(x, before), "and put back"
    one = central_difference(lambda x: float(x * x), np.array(3.0))
    assert one.shape == () and close(one, 6.0), "a single number has a slope, too"


def test_the_judge_can_say_no():
    @Op
    def twice(x, /): return 2 * x

    @gradient(twice)
    def _(g, _out, _x): return g * 1.999,
    assert not agrees(twice, (2, 3)), "a rule that is wrong by a two-thousandth is wrong"
    gradient(twice)(lambda g, out, x: (2 * g,))
    assert agrees(twice, (2, 3)), "the last rule that was written counts"


class Dual:
    """A number and how it answers to a nudge: derivatives on the way forward, to compare with."""

    def __init__(self, x, dx): self.x, self.dx = x, dx
    def __add__(self, y): return Dual(self.x + y.x, self.dx + y.dx)
    def __sub__(self, y): return Dual(self.x - y.x, self.dx - y.dx)
    def __mul__(self, y): return Dual(self.x * y.x, self.dx * y.x + self.x * y.dx)


def tangle(leaves, seed, ops=40):
    """The last of many sums, differences and products, each of two numbers that were there before."""
    draw, there = np.random.default_rng(seed), list(leaves)
    for _ in range(ops):
        x, y = [there[n] for n in draw.integers(max(len(there) - 6, 0), len(there), 2)]
        there.append([x + y, x - y, x * y][draw.choice(3, p=[0.4, 0.4, 0.2])])
    return there[-1] + there[-2] * leaves[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_tangle_of_ops_has_the_gradients_that_dual_numbers_find(seed):
    values = np.random.default_rng(seed).uniform(-0.9, 0.9, 3)
    leaves = [leaf(np.array(v)) for v in values]
    tangle(leaves, seed).backward()
    for n, x in enumerate(leaves):
        want = tangle([Dual(v, float(n == m)) for m, v in enumerate(values)], seed).dx
        found = 0.0 if x.grad is None else x.grad.item()
        assert found == pytest.approx(want, rel=1e-9, abs=1e-9), "each way from loss to leaf counts once"


def test_what_is_used_often_is_visited_once():
    x = y = leaf(np.array(1.0))
    for _ in range(60): y = y + y
    assert len(newest_first([y.receipt])) == 60, "60 receipts, though 2^60 ways lead through them"
    y.backward()
    assert x.grad.item() == 2.0**60, "each sum doubles what arrives"


def test_a_long_chain_needs_no_recursion():
    x = y = leaf(np.array(1.0))
    for _ in range(5000): y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0


def test_every_receipt_comes_after_all_that_was_made_from_it():
    a = leaf(np.array(0.5))
    b = tangle([a, a * 2.0, a.exp()], 3)
    order = newest_first([b.receipt, (b * b).receipt])
    place = {receipt: n for n, receipt in enumerate(order)}
    assert len(place) == len(order), "each once"
    for receipt in order:
        assert all(place[edge] > place[receipt] for edge in receipt.edges if isinstance(edge, Receipt))


@pytest.mark.parametrize("big, small", [
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (1, 3)), ((4, 2, 3), (2, 1)), ((4, 2, 3), ()),
    ((2, 0), (2, 1)), ((1, 1), (1,)), ((5, 1, 3), (1, 1, 1)),
])
def test_broadcasting_is_undone_by_sums(big, small):
    g, v = numbers(*big), numbers(*small)
    found = unbroadcast(g, small)
    assert found.shape == small, "in the shape from before"
    assert np.isclose((found * v).sum(), (g * np.broadcast_to(v, big)).sum()), "every copy is paid for, once"
    boxed = unbroadcast(Tensor(g), small)
    assert isinstance(boxed, Tensor) and close(boxed.array, found), "tensors are summed as arrays are"


def test_a_gradient_is_settled_in_shape_and_dtype():
    g = numbers(4, 2, 3)
    assert settled(g, Outline(((2, 1), np.dtype(np.float32)))).shape == (2, 1)
    assert settled(g, np.zeros((3,), np.float32)).dtype == np.float32
    assert settled(g, np.zeros((4, 2, 3))) is g, "what fits is handed on as it is"


def test_gradients_gather():
    first, pending, mine = numbers(3), {}, set()
    before = first.copy()
    for n in range(1, 5):
        gather(pending, mine, "edge", first)
        assert close(pending["edge"], n * before), "what arrives is added to what is there"
    assert np.array_equal(first, before), "the first is somebody else's array"
    gather(pending, mine, "other", first)
    assert pending["other"] is first, "edges gather apart"


def test_backward_adds_to_grad():
    x, c = leaf(numbers(3)), Tensor(numbers(3))
    (x * c).sum().backward()
    there = x.grad
    (x * c).sum().backward()
    assert x.grad is there and close(there.array, 2 * c.array), "in place: who holds .grad sees the sum"
    assert close(grad((x * c).sum(), x)[0].array, c.array), "grad hands over"
    assert close(there.array, 2 * c.array), "and adds to nothing"


def test_leaves_share_no_memory():
    a, b = leaf(numbers(3)), leaf(numbers(3))
    g = Tensor(numbers(3))
    (a + b).backward(g)
    assert not np.shares_memory(a.grad.array, b.grad.array), "what one does to its gradient is its own affair"
    assert not np.shares_memory(a.grad.array, g.array) and not np.shares_memory(b.grad.array, g.array)


def test_only_what_wants_a_gradient_is_remembered():
    x, c = leaf(numbers(3)), Tensor(numbers(3))
    with no_grad():
        quiet = x * c
        assert quiet.receipt is None and not quiet.requires_grad, "nothing is remembered under no_grad"
    assert (c * c).receipt is None, "nothing is remembered of data"
    assert (x > 0).receipt is None and not (x > 0).requires_grad, "a comparison moves in steps: no gradient"
    assert (quiet * x).requires_grad, "and afterwards all is as it was"
    with pytest.raises(RuntimeError): quiet.sum().backward()


def test_no_grad_ends_with_an_error():
    x = leaf(numbers(3))
    with pytest.raises(ZeroDivisionError), no_grad(): raise ZeroDivisionError
    assert (x * 2.0).requires_grad, "an error leaves no silence behind"


def test_a_receipt_keeps_what_its_rule_looks_at():
    x, y = leaf(numbers(3)), leaf(numbers(3))
    kept = (x + y).receipt
    assert [type(part) for part in (*kept.inputs, kept.out)] == [Outline, Outline, type(None)], \
        "a sum looks at no numbers"
    assert isinstance(x.exp().receipt.inputs[0], Outline), "exp looks at its output only"
    assert (x * y).receipt.inputs[0] is x.array, "a product looks at both factors"


def test_what_nobody_holds_is_forgotten():
    x = leaf(numbers(3))
    y = x.exp()
    seen = weakref.ref(y.array)
    loss = (y * y).sum()
    del y
    before = seen() is not None
    loss.backward()
    gc.collect()
    after = seen() is not None
    assert before, "the receipt of the product keeps what it will look at"
    assert not after, "until it has been visited"
    with pytest.raises(RuntimeError, match="retain_graph"): loss.backward()


def test_a_graph_may_be_retained():
    x = leaf(np.array([3.0]))
    y = (x * x).sum()
    for n in (1, 2, 3):
        y.backward(retain_graph=True)
        assert x.grad.item() == 6.0 * n


def test_a_loss_is_a_single_number():
    x = leaf(numbers(3))
    with pytest.raises(RuntimeError, match="scalar"): (x * x).backward()
    (x * x).backward(tensor(np.array([1.0, 0.0, 2.0])))
    assert close(x.grad.array, 2 * x.array * [1, 0, 2]), "else say how the loss answers to each number"


def test_grad_goes_to_its_targets():
    x, y, z = [leaf(numbers(2)) for _ in range(3)]
    between = x * y
    loss = (between * z).sum()
    found = grad(loss, [between, x], retain_graph=True)
    assert close(found[0].array, z.array), "also in the middle of the way"
    assert close(found[1].array, y.array * z.array), "and at its end"
    assert x.grad is y.grad is z.grad is None, "and nowhere else"
    with pytest.raises(RuntimeError): grad(loss, leaf(numbers(2)), retain_graph=True)
    assert grad(loss, leaf(numbers(2)), allow_unused=True) == (None,), "unless the answer may be nothing"


def test_work_is_done_only_where_it_is_wanted():
    @Op
    def picky(x, y, /): return x + y

    @gradient(picky)
    def _(g, _out, _x, _y): return g, lambda: pytest.fail("nobody wanted this gradient")
    x, y = leaf(numbers(2)), leaf(numbers(2))
    picky(x, Tensor(numbers(2))).sum().backward()
    grad(picky(x, y * 2.0).sum(), x)


def test_a_leaf_is_served_before_the_rest_of_the_way():
    x, w, way = leaf(np.array(2.0)), leaf(np.array(5.0)), []

    class Watched(Autograd):
        def pull(self, receipt, *rest):
            way.append(receipt.op.name)
            return super().pull(receipt, *rest)
    Flow(Watched(), lambda leaf, g: way.append(leaf)).run([x.exp() * w], [None])
    assert [step if isinstance(step, str) else "wx"[step is x] for step in way] == ["mul", "w", "exp", "x"]


def test_an_op_without_a_rule_is_named():
    @Op
    def unheard(x, /): return x * 1
    with pytest.raises(NotImplementedError, match="unheard"): unheard(leaf(numbers(2))).sum().backward()


def test_engines_stand_inside_one_another():
    class Counting(Engine):
        ran = 0

        def run(self, op, inputs, settings):
            self.ran += 1
            return super().run(op, inputs, settings)
    inner = Counting()
    with using(Autograd(inner)):
        x = leaf(numbers(3))
        loss = (x * x).sum()
        assert inner.ran == 2, "what computes is the engine inside"
        loss.backward()
    assert close(x.grad.array, 2 * x.array)


def test_what_was_written_over_is_not_used():
    x = leaf(numbers(3))
    y = x.exp()
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="exp"): y.sum().backward()


def test_writing_is_an_op():
    x, y = leaf(numbers(3, 2)), leaf(numbers(2))
    z = x * 1.0
    z[1] = y * 3.0
    (z * z).sum().backward()
    want = 2 * x.array
    want[1] = 0
    assert close(x.grad.array, want), "what was written over answers no more"
    assert close(y.grad.array, 18 * y.array), "what was written does"


def test_a_view_has_the_history_of_its_memory():
    x = leaf(numbers(3, 2))
    z = x * 1.0
    row = z[0]
    z.mul_(2.0)
    row.sum().backward()
    assert close(x.grad.array, [[2, 2], [0, 0], [0, 0]]), "the row was doubled, too"


def test_a_leaf_is_changed_under_no_grad_alone():
    x = leaf(numbers(3))
    with pytest.raises(RuntimeError): x.mul_(2.0)
    with no_grad(): x.mul_(2.0)
    assert x.receipt is None and x.requires_grad


def perceptron(x, labels, w1, b1, w2, b2):
    """Loss and gradients of a network with one hidden layer, by hand."""
    h = np.tanh(x @ w1.T + b1)
    scores = h @ w2.T + b2
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(x)), labels]).mean()
    d = (p - np.eye(p.shape[1])[labels]) / len(x)
    dh = d @ w2 * (1 - h * h)
    return loss, [dh.T @ x, dh.sum(0), d.T @ h, d.sum(0)]


def test_a_network_learns_as_by_hand():
    x, labels = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    draw = np.random.default_rng(1)
    own = [draw.normal(0, 1, shape) for shape in [(8, 2), (8,), (2, 8), (2,)]]
    weights = [leaf(w) for w in own]
    for _ in range(300):
        w1, b1, w2, b2 = weights
        loss = surprise(linear(tanh(linear(Tensor(x), w1, b1)), w2, b2), tensor(labels)).mean()
        loss.backward()
        want, gradients = perceptron(x, labels, *own)
        assert loss.item() == pytest.approx(want), "the surprise at the right answers, on average"
        for w, mine, g in zip(weights, own, gradients):
            assert close(w.grad.array, g, 1e-7), "every gradient is that of back-propagation by hand"
            with no_grad(): w.sub_(0.5 * w.grad)
            w.grad = None
            mine -= 0.5 * g
    assert loss.item() < 0.02, "one or the other, but not both: learned"
    with no_grad(): scores = linear(tanh(linear(Tensor(x), w1, b1)), w2, b2)
    assert scores.argmax(1).tolist() == labels.tolist()
