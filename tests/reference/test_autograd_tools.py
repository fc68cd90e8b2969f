"""The tools around lesson 09's engine against PyTorch: hooks, autograd.Function, checkpointing, searching,
judging."""

import gc
import tracemalloc
import warnings
import weakref
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tinytorch

torch = pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")


def plain(x):
    """Lists, numbers and names, whichever library they come from."""
    if isinstance(x, (tuple, list)): return [plain(y) for y in x]
    return x.detach().tolist() if hasattr(x, "detach") else x


def agree(found, expected):
    """Whether two nests of lists hold the same numbers, nearly, and the same of everything else."""
    if isinstance(expected, list): return len(found) == len(expected) and all(map(agree, found, expected))
    if isinstance(expected, float): return found == pytest.approx(expected, 1e-5, 1e-6)
    return type(found) is type(expected) and found == expected


def outcome(program, t):
    """What a program returns in one library, or the kind of error and what it says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try: return plain(program(t))
        except Exception as error: return [kind.__name__
                                           for kind in type(error).__mro__][-4:], str(error)[:45]


def alike(program):
    theirs = outcome(program, torch)
    ours = outcome(program, tinytorch)
    assert agree(ours, theirs), f"{ours} instead of {theirs}"


def refused(program, *words):
    """Both refuse, with the same kind of error."""
    with pytest.raises(Exception) as theirs: program(torch)
    with pytest.raises(type(theirs.value).__bases__[0] if type(theirs.value).__module__ != "builtins"
                       else type(theirs.value)) as ours:
        program(tinytorch)
    for word in words: assert word in str(ours.value), (str(ours.value), str(theirs.value))


def leaf(t, *numbers, dtype="float32"): return t.tensor(numbers, dtype=getattr(t, dtype), requires_grad=True)


# ------------------------------------------------------------------------------------------------- hooks

def hook_sees_and_replaces(t):
    x, seen = leaf(t, 1.0, 2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(plain(g)))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(plain(g)))
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    return seen, x.grad


def hook_is_removed(t):
    x, seen = leaf(t, 1.0), []
    handle = x.register_hook(lambda g: seen.append(1))
    (x * 2).backward()
    handle.remove()
    (x * 2).backward()
    with x.register_hook(lambda g: g * 0): (x * 2).backward()
    return seen, x.grad


def hook_waits_for_all_of_it(t):
    x, seen = leaf(t, 1.0, 2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(plain(g)))
    (y * y + y).sum().backward()
    x.grad = None
    return seen


def hook_stays_with_what_was_written_over(t):
    x, seen = leaf(t, 1.0, 2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("old", plain(g))))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("new", plain(g))))
    y.sum().backward()
    return seen, x.grad


def hook_in_grad(t):
    x = leaf(t, 1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    x.register_hook(lambda g: g + 1)
    loss = y.sum()
    return t.autograd.grad(loss, y, retain_graph=True), t.autograd.grad(loss, x)


def hook_of_one_of_several_outputs(t):
    x, seen = leaf(t, 1.0, 2.0), []
    a, b = Two(t).apply(x)
    b.register_hook(lambda g: seen.append(plain(g)) or g * 10)
    (a + b * 2).sum().backward()
    return seen, x.grad


def Two(t):
    class Two(t.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x * 1, x * 2

        @staticmethod
        def backward(ctx, g, h): return g + 2 * h
    return Two


def after_accumulation(t):
    x, seen = leaf(t, 1.0), []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(plain(p.grad)))
    (x * 2).backward()
    (x * 3).backward()
    return seen


def optimizer_in_backward(t):
    x = leaf(t, 1.0)

    def step(p):
        with t.no_grad(): p.sub_(p.grad)
        p.grad = None
    x.register_post_accumulate_grad_hook(step)
    (x * 2).backward()
    return x, x.grad is None


def retained(t):
    x = leaf(t, 1.0, 2.0)
    y = x * 2
    before = y.retains_grad
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    x.retain_grad()
    return before, y.retains_grad, x.retains_grad, y.grad, x.grad


def retained_twice_and_written_over(t):
    x = leaf(t, 1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    loss = (y * y).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return y.grad, x.grad


def receipt_hooks(t):
    x, seen = leaf(t, 1.0, 2.0), []
    y = x * t.tensor([3.0, 4.0])
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(plain([list(inputs), list(outputs)])))
    y.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 10, None))
    y.grad_fn.register_prehook(lambda outputs: (outputs[0] + 1,))
    y.sum().backward()
    return seen, x.grad


def receipt_of_several_outputs(t):
    x, seen = leaf(t, 1.0, 2.0), []
    a, b = Two(t).apply(x)
    a.grad_fn.register_prehook(lambda outputs: seen.append(plain(list(outputs))))
    (a + b).sum().backward()
    return seen, (a + b).grad_fn.next_functions[1][1]


def names_of_receipts(t):
    x = leaf(t, 1.0, 2.0)
    y = (x * 2 + x).exp().sum()
    names, node = [], y.grad_fn
    while node.next_functions:
        names.append(node.name())
        node = node.next_functions[0][0]
    return names, Two(t).apply(x)[0].grad_fn.name(), x.grad_fn


@pytest.mark.parametrize("program", [
    hook_sees_and_replaces, hook_is_removed, hook_waits_for_all_of_it,
    hook_stays_with_what_was_written_over, hook_in_grad,
    hook_of_one_of_several_outputs, after_accumulation, optimizer_in_backward, retained,
    retained_twice_and_written_over,
    receipt_hooks, receipt_of_several_outputs, names_of_receipts,
], ids=lambda f: f.__name__)
def test_hooks_do_what_pytorchs_do(program): alike(program)


def hooked_backward(hook):
    def program(t):
        y = leaf(t, 1.0, 2.0) * 2
        y.register_hook(hook(t))
        y.sum().backward()
    return program


@pytest.mark.parametrize(("program", "word"), [
    (lambda t: t.ones(2).register_hook(print), "doesn't require gradient"),
    (lambda t: t.ones(2).retain_grad(), "requires_grad=False"),
    (lambda t: (leaf(t, 1.0) * 2).register_post_accumulate_grad_hook(print), "non-leaf"),
    (hooked_backward(lambda t: lambda g: t.ones(3)), "size"),
    (hooked_backward(lambda t: lambda g: 3), "int"),
    (hooked_backward(lambda t: lambda g: g.to(t.float64)), "type"),
], ids=str)
def test_hooks_that_make_no_sense_are_refused(program, word): refused(program, word)


# --------------------------------------------------------------------------------------- hooks of modules

def network(t):
    net = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh(), t.nn.Linear(3, 1))
    with t.no_grad():
        for n, p in enumerate(net.parameters()): p.copy_(t.linspace(-1, 1, p.numel()).reshape(p.shape)
                                                         + n / 10)
    return net


def gradients(net): return [p.grad for p in net.parameters()]


def full_hooks(t):
    net, seen, x = network(t), [], leaf(t, [1.0, 2.0], [3.0, -1.0])
    net[0].register_full_backward_hook(lambda m, i,
                                       o: seen.append(["first", type(m).__name__, plain(list(i)),
                                                       plain(list(o))]))
    net[2].register_full_backward_hook(lambda m, i, o: (i[0] * 10,))
    net.register_full_backward_pre_hook(lambda m, o: (o[0] * 2,))
    net.register_full_backward_pre_hook(lambda m, o: seen.append(plain(list(o))), prepend=True)
    net(x).sum().backward()
    return seen, gradients(net), x.grad


def hooks_where_no_input_wants_a_gradient(t):
    net, seen = network(t), []
    net.register_full_backward_hook(lambda m, i, o: seen.append([plain(list(i)), plain(list(o))]))
    net(t.ones(1, 2)).sum().backward()
    return seen, gradients(net)


def older_hook(t):
    net, seen, x = network(t), [], leaf(t, [1.0, 2.0])
    net[1].register_backward_hook(lambda m, i, o: seen.append([plain(list(i)), plain(list(o))]))
    net(x).sum().backward()
    return seen


def hooks_of_every_module(t):
    net, seen, x = network(t), [], leaf(t, [1.0, 2.0])
    module = t.nn.modules.module
    handles = [module.register_module_full_backward_hook(lambda m, i,
                                                         o: seen.append([type(m).__name__, plain(list(i))])),
               module.register_module_full_backward_pre_hook(lambda m,
                                                             o: seen.append([type(m).__name__,
                                                                             plain(list(o))]))]
    net(x).sum().backward()
    for handle in handles: handle.remove()
    net(x).sum().backward()
    return seen


def hooks_of_a_module_with_several_ends(t):
    class Ends(t.nn.Module):
        def forward(self, x, scale, y): return x * scale, y + 1
    ends, seen, x, y = Ends(), [], leaf(t, 1.0), leaf(t, 2.0)
    ends.register_full_backward_hook(lambda m, i, o: seen.append([plain(list(i)), plain(list(o))]))
    a, _ = ends(x, 3.0, y)
    (a * 2).sum().backward()
    return seen, x.grad, y.grad


def removed_hooks(t):
    net, seen, x = network(t), [], leaf(t, [1.0, 2.0])
    with net.register_full_backward_hook(lambda m, i, o: seen.append(1)): net(x).sum().backward()
    net(x).sum().backward()
    return seen


@pytest.mark.parametrize("program",
                         [full_hooks, hooks_where_no_input_wants_a_gradient, older_hook,
                          hooks_of_every_module,
                                     hooks_of_a_module_with_several_ends, removed_hooks],
                         ids=lambda f: f.__name__)
def test_hooks_of_modules_do_what_pytorchs_do(program): alike(program)


def both_kinds(t):
    net = network(t)
    net.register_full_backward_hook(print)
    net.register_backward_hook(print)


def too_few(t):
    net = network(t)
    net.register_full_backward_hook(lambda m, i, o: ())
    net(leaf(t, [1.0, 2.0])).sum().backward()


@pytest.mark.parametrize(("program", "word"), [(both_kinds, "Cannot use both"), (too_few, "invalid number")])
def test_hooks_of_modules_are_refused_alike(program, word): refused(program, word)


# ----------------------------------------------------------------------------------- autograd.Function

def function(t, name="F", **methods):
    """A Function with these static methods."""
    return type(name, (t.autograd.Function,), {key: staticmethod(f) for key, f in methods.items()})


def save(ctx, *tensors): ctx.save_for_backward(*tensors)


def cube(t):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3 if t is torch else x * x * x

    def backward(ctx, g):
        x, = ctx.saved_tensors
        return 3 * g * x * x
    return function(t, "Cube", forward=forward, backward=backward)


def twice_through(t):
    x = leaf(t, 1.0, -2.0)
    g, = t.autograd.grad(cube(t).apply(x).sum(), x, create_graph=True)
    h, = t.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, t.autograd.grad(h.sum(), x), repr(cube(t).apply(x))


def setup_apart(t):
    def setup_context(ctx, inputs, output): ctx.scale = inputs[1]
    scaled = function(t, "Scaled", forward=lambda x, scale=2.0: x * scale, setup_context=setup_context,
                      backward=lambda ctx, g: (g * ctx.scale, None))
    x = leaf(t, 1.0)
    (scaled.apply(x) + scaled.apply(x, 3.0) + scaled.apply(x, scale=4.0)).backward()
    return x.grad


def by_keyword(t):
    scaled = function(t, forward=lambda ctx, x, scale=2.0: setattr(ctx, "scale", scale) or x * scale,
                      backward=lambda ctx, g: (g * ctx.scale, None))
    x = leaf(t, 1.0)
    scaled.apply(x, scale=5.0).backward()
    return x.grad


def asks_what_is_wanted(t):
    seen = []
    product = function(t, forward=lambda ctx, x, y, n: seen.append(ctx.needs_input_grad) or save(ctx, x, y)
                       or x * y * n,
                       backward=lambda ctx, g: (seen.append(ctx.needs_input_grad), (g * 2, None, None))[1])
    x = leaf(t, 1.0)
    product.apply(x, t.tensor([2.0]), 3).backward()
    return seen, x.grad


def several_outputs(t):
    seen = []
    def forward(ctx, x):
        mask = x > 0
        ctx.mark_non_differentiable(mask)
        return x * 2, mask, "text", x * 3

    def backward(ctx, *gs):
        seen.append([None if g is None or isinstance(g, str) else plain(g) for g in gs])
        return gs[0] * 2
    x = leaf(t, 1.0, -1.0)
    a, mask, text, b = function(t, forward=forward, backward=backward).apply(x)
    a.sum().backward()
    return a.requires_grad, mask.requires_grad, text, b.requires_grad, [seen[0][0], seen[0][3]], x.grad


def nothing_arrives_as_none(t):
    seen = []

    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3
    f = function(t, forward=forward, backward=lambda ctx, g, h: seen.append(h) or g * 2)
    x = leaf(t, 1.0)
    f.apply(x)[0].backward()
    return seen, x.grad


def written_over_inside(t):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    f = function(t, forward=forward, backward=lambda ctx, g: g * 2)
    x = leaf(t, 1.0, 2.0)
    y = x * 1
    z = f.apply(y)
    v = (x * 1)
    w = v[:1]
    f.apply(w)
    (z.sum() + (v * t.tensor([10.0, 100.0])).sum()).backward()
    return z is y, y, v, x.grad


def handed_through(t):
    f = function(t, forward=lambda ctx, x: x, backward=lambda ctx, g: g * 2)
    x = leaf(t, 1.0)
    y = f.apply(x)
    y.backward()
    return y is x, x.is_leaf, x.grad


def output_is_saved(t):
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y
    f = function(t, forward=forward, backward=lambda ctx, g: g * ctx.saved_tensors[0])
    x = leaf(t, 0.0, 1.0)
    g, = t.autograd.grad(f.apply(x).sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


def without_gradients(t):
    x = leaf(t, 1.0)
    with t.no_grad(): y = cube(t).apply(x)
    return y.requires_grad, cube(t).apply(x.detach()).requires_grad


def gradients_are_stretched_back(t):
    f = function(t, forward=lambda ctx, x: x.expand(3, 2), backward=lambda ctx, g: g)
    x = leaf(t, 1.0, 2.0)
    f.apply(x).sum().backward()
    return x.grad


def once(t):
    def backward(ctx, g): return 2 * g * ctx.saved_tensors[0]
    f = function(t, forward=lambda ctx, x: save(ctx, x) or x * x,
                 backward=t.autograd.function.once_differentiable(backward))
    x = leaf(t, 3.0)
    f.apply(x).backward()
    g, = t.autograd.grad(f.apply(x) * x, x, create_graph=True)
    g.backward()


def vjp_by_its_other_name(t):
    x = leaf(t, 3.0)
    function(t, forward=lambda ctx, x: x * 1, vjp=lambda ctx, g: g * 7).apply(x).backward()
    return x.grad


@pytest.mark.parametrize("program", [
    twice_through, setup_apart, by_keyword, asks_what_is_wanted, several_outputs, nothing_arrives_as_none,
    written_over_inside,
    handed_through, output_is_saved, without_gradients, gradients_are_stretched_back, vjp_by_its_other_name,
], ids=lambda f: f.__name__)
def test_functions_do_what_pytorchs_do(program): alike(program)


def returning(*gradients):
    def program(t):
        f = function(t, forward=lambda ctx, x, n: x * n, backward=lambda ctx,
                     g: tuple([f(t, g) for f in gradients]))
        f.apply(leaf(t, 1.0, 2.0), 3).sum().backward()
    return program


def backward_twice(t):
    y = cube(t).apply(leaf(t, 1.0)).sum()
    y.backward()
    y.backward()


def saved_and_written_over(t):
    x = leaf(t, 1.0) * 1
    y = cube(t).apply(x)
    x.mul_(2)
    y.backward()


def output_written_over(t):
    f = function(t, forward=lambda ctx, x: (lambda y: save(ctx, y) or y)(x.exp()), backward=lambda ctx,
                 g: g * ctx.saved_tensors[0])
    y = f.apply(leaf(t, 1.0))
    y.mul_(2)
    y.backward()


def dirty_leaf(t):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    function(t, forward=forward).apply(leaf(t, 1.0))


def g_(t, g): return g
def none_(t, g): return None
def three_(t, g): return t.ones(3)
def int_(t, g): return 3


@pytest.mark.parametrize(("program", "word"), [
    (returning(g_), "expected 2, got 1"), (returning(g_, none_, g_), "got 3"),
    (returning(g_, g_), "position 2"),
    (returning(three_, none_), "got [3] but expected shape compatible with [2]"),
    (returning(int_, none_), "got int"),
    (backward_twice, "second time"), (saved_and_written_over, "modified by an inplace operation"),
    (output_written_over, "modified by an inplace operation"), (dirty_leaf, "leaf Variable"),
    (once, "once_differentiable"),
    (lambda t: function(t).apply(leaf(t, 1.0)), "implement the forward"),
    (lambda t: function(t, forward=lambda ctx, x: x * 1).apply(leaf(t, 1.0)).backward(), "backward or vjp"),
    (lambda t: function(t, forward=lambda ctx, x: save(ctx, 3) or x * 1).apply(leaf(t, 1.0)), "argument 0 is "
                                                                                              "of type int"),
    (lambda t: function(t, forward=lambda ctx, x: ctx.mark_dirty(x) or x * 1).apply(leaf(t, 1.0) * 1),
     "marked as dirty"),
], ids=str)
def test_functions_are_refused_alike(program, word): refused(program, word)


def test_a_function_keeps_nothing_alive_that_it_does_not_need():
    gc.collect()
    gc.disable()
    try:
        x = tinytorch.tensor(np.ones(10), requires_grad=True)
        def forward(ctx, x):
            y = x * 2
            ctx.save_for_backward(y)
            return y
        f = function(tinytorch, forward=forward, backward=lambda ctx, g: g * ctx.saved_tensors[0])
        y = f.apply(x)
        receipt = weakref.ref(y.receipt)
        del y
        assert receipt() is None, "a saved output must not lead back to its own receipt"
    finally: gc.enable()


# --------------------------------------------------------------------------------------- saved tensors

def packed(t):
    x, seen = leaf(t, 1.0, 2.0), []
    with t.autograd.graph.saved_tensors_hooks(lambda a: seen.append(("pack", plain(a))) or a,
                                              lambda a: seen.append(("unpack", plain(a))) or a):
        y = (x * leaf(t, 3.0, 4.0)).exp()
    z = y + 2
    z.sum().backward()
    return sorted(seen), x.grad


def packed_on_a_shelf(t):
    shelf, x, w = [], leaf(t, [1.0, 2.0], [3.0, 4.0]), leaf(t, [0.5, -1.0], [1.0, 2.0])

    def pack(a):
        shelf.append(a.detach().numpy().copy())
        return len(shelf) - 1
    with t.autograd.graph.saved_tensors_hooks(pack, lambda n: t.tensor(shelf[n])):
        y = ((x @ w).tanh() @ w).sigmoid()
    g, = t.autograd.grad(y.sum(), w, create_graph=True)
    return g, t.autograd.grad(g.sum(), [w, x])


def packed_in_a_function(t):
    x, count = leaf(t, 1.0, 2.0), []
    with t.autograd.graph.saved_tensors_hooks(lambda a: count.append(1) or a.numpy(force=True),
                                              lambda a: t.tensor(a) + 1):
        y = cube(t).apply(x)
    y.sum().backward()
    return x.grad


def saved_on_cpu(t):
    x = leaf(t, 1.0, 2.0)
    with t.autograd.graph.save_on_cpu(): y = (x * x).exp()
    y.sum().backward()
    return x.grad


def innermost_packs(t):
    x, seen = leaf(t, 1.0), []
    hooks = t.autograd.graph.saved_tensors_hooks
    with hooks(lambda a: seen.append("outer") or a, lambda a: a):
        with hooks(lambda a: seen.append("inner") or a, lambda a: a): y = x.exp()
        z = y.exp()
    z.backward()
    return seen, x.grad


@pytest.mark.parametrize("program",
                         [packed, packed_on_a_shelf, packed_in_a_function, saved_on_cpu, innermost_packs],
                         ids=lambda f: f.__name__)
def test_saved_tensors_go_through_hooks(program): alike(program)


def unpacks_to_nothing(t):
    with t.autograd.graph.saved_tensors_hooks(lambda a: a, lambda a: 3): y = leaf(t, 1.0).exp()
    y.backward()


def hooks_where_they_are_forbidden(t):
    graph = t.autograd.graph
    with graph.disable_saved_tensors_hooks("not here"), graph.saved_tensors_hooks(lambda a: a,
                                                                                  lambda a: a): pass


@pytest.mark.parametrize(("program", "word"), [(unpacks_to_nothing, "expected to be a Tensor"),
                                               (hooks_where_they_are_forbidden, "not here")])
def test_hooks_for_saved_tensors_are_refused_alike(program, word): refused(program, word)


def several_gradients(t):
    x, y, seen = leaf(t, 1.0), leaf(t, 2.0), []
    t.autograd.graph.register_multi_grad_hook([x, y], lambda gs: seen.append(plain(list(gs))))
    handle = t.autograd.graph.register_multi_grad_hook([x, y], lambda g: seen.append("first"), mode="any")
    (x * y).backward()
    handle.remove()
    (x * y).backward()
    return [len(seen), seen[-1]]


def version_is_counted(t):
    x = leaf(t, 1.0) * 1
    y = x * x
    t.autograd.graph.increment_version(x)
    y.backward()


def test_several_gradients_are_waited_for(): alike(several_gradients)
def test_memory_that_somebody_else_wrote_over(): refused(version_is_counted, "modified by an inplace "
                                                                             "operation")


# ----------------------------------------------------------------------------------------- checkpoints

WAYS = pytest.mark.parametrize("reentrant", [False, True], ids=["tickets", "reentrant"])


def checkpointed(reentrant, seed=0):
    def program(t):
        checkpoint = t.utils.checkpoint.checkpoint if t is torch else tinytorch.utils.checkpoint.checkpoint
        net, x, calls = network(t), leaf(t, [1.0, 2.0], [0.5, -1.0]), []

        def block(x, scale):
            calls.append(t.is_grad_enabled())
            return net(x) * scale, x.tanh()
        a, b = checkpoint(block, x, 3.0, use_reentrant=reentrant)
        (a.sum() + (b * b).sum()).backward()
        return calls, a, gradients(net), x.grad
    return program


@WAYS
def test_a_checkpoint_gives_what_the_function_gives(reentrant): alike(checkpointed(reentrant))


@WAYS
def test_dropout_leaves_out_the_same_numbers_the_second_time(reentrant):
    from tinytorch.utils.checkpoint import checkpoint
    x = tinytorch.ones(1000)
    x.requires_grad = True
    tinytorch.manual_seed(7)
    y = checkpoint(lambda x: tinytorch.nn.functional.dropout(x * 1, 0.5) * x, x, use_reentrant=reentrant)
    after = tinytorch.rand(3).tolist()
    y.sum().backward()
    assert x.grad.tolist() == (2 * y).tolist(), "where a number was left out, no gradient may come back"
    tinytorch.manual_seed(7)
    tinytorch.nn.functional.dropout(x, 0.5)
    assert tinytorch.rand(3).tolist() == after


def nested(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    x, calls = leaf(t, 0.5, 1.0), []

    def inner(x):
        calls.append("inner")
        return x.sigmoid().exp()

    def outer(x, by):
        calls.append("outer")
        y = checkpoint(inner, x.tanh(), use_reentrant=False)
        return checkpoint(inner, y * by, use_reentrant=False)
    z = checkpoint(outer, x, use_reentrant=False, by=2.0)
    z.sum().backward()
    return calls[:3], x.grad


def retained_checkpoint(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    x = leaf(t, 0.5, 1.0)
    y = checkpoint(lambda x: x.exp().sigmoid(), x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    y.backward()
    g, = t.autograd.grad(checkpoint(lambda x: x.exp() * x, x, use_reentrant=False).sum(), x,
                         create_graph=True)
    return x.grad, g, t.autograd.grad(g.sum(), x)


def in_segments(t):
    module = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"])
    net, x = network(t), leaf(t, [1.0, 2.0])
    y = module.checkpoint_sequential(net, 2, x, use_reentrant=False)
    module.checkpoint_sequential([t.tanh, t.sigmoid, t.tanh], 3, y, use_reentrant=True).sum().backward()
    return y, gradients(net), x.grad


def nobody_wants_a_gradient(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    with t.no_grad(): y = checkpoint(lambda x: x * 2, leaf(t, 1.0), use_reentrant=False)
    return y, y.requires_grad


@pytest.mark.parametrize("program", [nested, retained_checkpoint, in_segments, nobody_wants_a_gradient],
                         ids=lambda f: f.__name__)
def test_checkpoints_do_what_pytorchs_do(program): alike(program)


def changes_its_mind(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    lengths = [2, 3]
    def moody(x): return x[: lengths.pop()].exp().tanh()
    checkpoint(moody, leaf(t, 1.0, 2.0, 3.0), use_reentrant=False).sum().backward()


def does_less_the_second_time(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    times = [1, 3]

    def moody(x):
        for _ in range(times.pop()): x = x.exp()
        return x
    checkpoint(moody, leaf(t, 0.1), use_reentrant=False).sum().backward()


def unknown_word(t):
    checkpoint = __import__(f"{t.__name__}.utils.checkpoint", fromlist=["x"]).checkpoint
    checkpoint(lambda x: x, leaf(t, 1.0), use_reentrant=True, scale=3)


@pytest.mark.parametrize(("program", "word"),
                         [(changes_its_mind, "different metadata"), (does_less_the_second_time, "different "
                                                                                                "number"),
                                               (unknown_word, "Unexpected keyword")])
def test_checkpoints_are_refused_alike(program, word): refused(program, word)


@WAYS
def test_a_checkpoint_keeps_memory_for_one_piece_only(reentrant):
    from tinytorch.utils.checkpoint import checkpoint

    def piece(x):
        for _ in range(10): x = x.sigmoid()
        return x

    def peak(run):
        x = tinytorch.tensor(np.ones(250_000, np.float32), requires_grad=True)        # 1 MB
        tracemalloc.start()
        try:
            y = x
            for _ in range(6): y = run(y)
            y.sum().backward()
            return tracemalloc.get_traced_memory()[1] / 1e6, x.grad.array
        finally: tracemalloc.stop()
    all_of_it, expected = peak(piece)
    less, found = peak(lambda x: checkpoint(piece, x, use_reentrant=reentrant))
    np.testing.assert_array_equal(found, expected)
    assert all_of_it > 60 and less < 0.4 * all_of_it, f"{less:.0f} MB of {all_of_it:.0f}"


def test_a_checkpoint_without_a_way_asks_for_one():
    from tinytorch.utils.checkpoint import checkpoint
    with pytest.warns(UserWarning, match="use_reentrant"): checkpoint(lambda x: x * 2,
                                                                      tinytorch.ones(1).requires_grad_())


# ------------------------------------------------------------------------------------------- searching

def test_the_line_that_made_a_nan_is_named():
    with pytest.warns(UserWarning, match="Anomaly Detection"), tinytorch.autograd.detect_anomaly():
        x = tinytorch.tensor([0.0], requires_grad=True)
        y = x.sqrt() * 0                                                    # the line to blame
        with np.errstate(invalid="ignore"), pytest.warns(UserWarning, match="the line to blame"), \
                pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th "
                                                  "output"):
            y.backward()


def test_the_line_whose_rule_raised_is_named():
    broken = function(tinytorch, "Broken", forward=lambda ctx, x: x * 2, backward=lambda ctx, g: 1 / 0)
    with tinytorch.autograd.set_detect_anomaly(True):
        y = broken.apply(tinytorch.ones(1).requires_grad_())                # a broken rule
        assert tinytorch.is_anomaly_enabled() and tinytorch.is_anomaly_check_nan_enabled()
        with pytest.warns(UserWarning, match="a broken rule"), pytest.raises(ZeroDivisionError): y.backward()
    assert not tinytorch.is_anomaly_enabled()


def test_what_ran_before_the_search_began_has_no_line():
    y = tinytorch.tensor([0.0], requires_grad=True).sqrt() * 0
    with np.errstate(invalid="ignore"), tinytorch.autograd.set_detect_anomaly(True), \
            pytest.raises(RuntimeError, match="nan"), \
            pytest.warns(UserWarning, match="No forward pass"): y.backward()


def test_a_search_may_leave_nan_alone():
    x = tinytorch.tensor([0.0], requires_grad=True)
    with tinytorch.autograd.set_detect_anomaly(True, check_nan=False): (x.sqrt() * 0).backward()
    assert np.isnan(x.grad.item())


# --------------------------------------------------------------------------------------------- judging

def double(t, *numbers): return leaf(t, *numbers, dtype="float64")


def wrong(t): return function(t, forward=lambda ctx, x: x * x, backward=lambda ctx, g: g).apply


@pytest.mark.parametrize("check", [
    lambda t: t.autograd.gradcheck(lambda x: x * x, (double(t, 1.0, 2.0),)),
    lambda t: t.autograd.gradcheck(lambda x, y: (x @ y, (x * 2).exp()),
                                   (double(t, [1.0, 2.0]), double(t, [0.5], [-1.0]))),
    lambda t: t.autograd.gradcheck(lambda x, y: x * y, [double(t, 1.0), t.tensor([2.0], dtype=t.float64)]),
    lambda t: t.autograd.gradcheck(lambda x: x * x, double(t, 1.0, 2.0), fast_mode=True),
    lambda t: t.autograd.gradcheck(wrong(t), (double(t, 1.0, 2.0),), raise_exception=False),
    lambda t: t.autograd.gradcheck(wrong(t), (double(t, 1.0, 2.0),), raise_exception=False, fast_mode=True),
    lambda t: t.autograd.gradcheck(lambda x: x.detach(), (double(t, 1.0),), raise_exception=False),
    lambda t: t.autograd.gradcheck(lambda x: (x > 0).double() if t is torch else (x > 0).to(t.float64),
                                   (double(t, 1.0),)),
    lambda t: t.autograd.gradgradcheck(lambda x: x.exp() * x, (double(t, 0.5, -1.0),)),
    lambda t: t.autograd.gradgradcheck(cube(t).apply, (double(t, 0.5, -1.0),)),
    lambda t: t.autograd.gradgradcheck(lambda x, y: (x @ y).sigmoid(),
                                       (double(t, [1.0, 2.0]), double(t, [0.5], [-1.0]))),
    lambda t: t.autograd.gradgradcheck(
        function(t, forward=lambda ctx, x: save(ctx, x.detach()) or x * x,
                 backward=lambda ctx, g: 2 * g * ctx.saved_tensors[0].detach()).apply, (double(t, 1.0),),
                 raise_exception=False),
])
def test_a_judgement_is_pytorchs(check):
    assert check(tinytorch) is check(torch)


@pytest.mark.parametrize(("check", "word"), [
    (lambda t: t.autograd.gradcheck(wrong(t), (double(t, 1.0, 2.0),)), "Jacobian mismatch for output 0 with "
                                                                       "respect to input 0"),
    (lambda t: t.autograd.gradcheck(lambda x: x, (t.ones(2),)), "requires_grad=True"),
    (lambda t: t.autograd.gradcheck(lambda x: x * 1, (double(t, 1.0).expand(3),)), "stride 0"),
    (lambda t: t.autograd.gradcheck(lambda x: x.detach(), (double(t, 1.0),)), "expected to be zero"),
])
def test_a_judge_refuses_as_pytorchs_does(check, word): refused(check, word)


def test_a_judge_warns_of_short_floats():
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        tinytorch.autograd.gradcheck(lambda x: x * 2, (leaf(tinytorch, 1.0),), atol=0.1)


# ------------------------------------------------------------------------------------------- a picture

def test_a_picture_shows_ops_parameters_and_shapes(tmp_path):
    net = network(tinytorch)
    picture = tinytorch.autograd.draw(net(tinytorch.ones(4, 2)).sum(), net)
    picture.save(tmp_path / "graph.svg")
    svg = ElementTree.parse(tmp_path / "graph.svg").getroot()
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"linear", "tanh", "sum", "loss", "0.weight", "2.bias", "3 × 2", "4 × 3", "data"} <= set(texts)
    assert texts.count("linear") == 2 and picture._repr_svg_() == (tmp_path / "graph.svg").read_text("utf-8")


def test_boxes_of_a_picture_do_not_overlap_and_numbers_flow_down():
    x = tinytorch.ones(2).requires_grad_()
    parts = [x * n for n in range(6)]
    while len(parts) > 1: parts = [parts[0] + parts[-1], *parts[1:-1], parts[0] * x][: len(parts) - 1]
    svg = ElementTree.fromstring(tinytorch.autograd.draw(parts[0].sum()).svg)
    boxes = [[float(box.get(key)) for key in ("x", "y", "width", "height")]
             for box in svg.iter("{http://www.w3.org/2000/svg}rect")]
    for n, (x1, y1, w1, h1) in enumerate(boxes):
        assert all([x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1 for x2, y2, w2,
                    h2 in boxes[:n]])
    for path in svg.iter("{http://www.w3.org/2000/svg}path"):
        heights = [float(pair.split()[1])
                   for pair in path.get("d").replace("M", " ").replace("C", ",").split(",")
                   if len(pair.split()) == 2]
        assert heights == sorted(heights)


def test_a_long_graph_can_be_drawn():
    y = tinytorch.ones(1).requires_grad_()
    for _ in range(2000): y = y * 2.0
    assert tinytorch.autograd.draw(y).svg.count("<rect") == 2002
