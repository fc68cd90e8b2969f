# %% [markdown]
# # Layers
#
# A network is a tree with numbers at its leaves. Whoever wants to train it, save it, move it to a GPU or only
# count it has to visit every leaf, and must not miss one: a number that is not found is not trained, and
# nothing complains.
#
# GPT-2 has 124 million numbers, in 148 leaves. Its authors never wrote a list of them. In this lesson you
# build what spares them the list: a `Module` that knows its parts because you gave them names, and a walk
# through the tree that everything else is made of.

# %%
#| export
"""Modules: what networks are made of, and how a network finds its own parameters."""

# %%
#| export
from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tinytorch.activations import relu
from tinytorch.creation import ones, zeros
from tinytorch.errors import shape_of
from tinytorch.hooks import HOOKS, Hooks, asked
from tinytorch.housekeeping import (
    DRAWERS,
    KINDS,
    Housekeeping,
    IncompatibleKeys,
    Row,
    complaint,
    found,
    put,
    put_in_place,
    refused,
    repeated,
    take_out,
)
from tinytorch.tensor import Tensor, tensor

# %% [markdown]
# ## A list that somebody forgets
#
# A network without any classes: two matrices, two biases, a function, and a list of what can be learned.

# %%
w1, b1 = ones(3, 4), zeros(4)
w2, b2 = ones(4, 1), zeros(1)
learned = [w1, b1, w2]

def network(x): return relu(x @ w1 + b1) @ w2 + b2

network(tensor([[1.0, 2.0, 3.0]]))

# %% [markdown]
# Did you see that a tensor is missing from the list? Neither does Python. The cure is to keep no list: a
# tensor that can be learned is of a class of its own, and says so itself.
#
# **Your turn.** A **parameter** is a tensor that shares the memory it is given, and wants a gradient unless
# it is told otherwise. `Tensor(array)` is a box around an array, without a copy; `x.requires_grad_(flag)`
# sets the flag, and refuses for whole numbers.

# %%
#| export exercise
class Parameter(Tensor):
    """A tensor that a module owns and that training changes; it shares the memory it is given."""

    def __init__(self, data=None, requires_grad: bool = True):
        if data is None: data = zeros(0)
        #| hint What does Tensor.__init__ want: the box that you were given, or what is in it?
        #| hint super().__init__(data.array) makes this box around the same numbers. Then set the flag.
        ### BEGIN SOLUTION
        super().__init__(data.array if isinstance(data, Tensor) else data)
        self.requires_grad_(requires_grad)
        ### END SOLUTION

    def __repr__(self): return "Parameter containing:\n" + super().__repr__()

# %%
#| check 1
x = tensor([1.0, 2.0])
p = Parameter(x)
assert isinstance(p, Tensor) and p.tolist() == [1.0, 2.0], \
    "a parameter is a tensor with the numbers it was given"
x[0] = 5.0
assert p.tolist() == [5.0, 2.0], "a parameter shares the memory it is given: it makes no copy"
assert p.requires_grad is True and x.requires_grad is False, \
    "a parameter wants a gradient; the tensor it is made of does not"
assert Parameter(x, requires_grad=False).requires_grad is False, \
    "requires_grad=False makes a parameter that stands still"
assert type(p * 2) is Tensor, "what is computed from a parameter is an ordinary tensor"
assert Parameter(x.array).tolist() == [5.0, 2.0], "a bare array will do, too"

# %% [markdown]
# Some tensors belong to a network and do not learn: a running average, a mask, a table of positions. They are
# called **buffers**.

# %%
#| export
class Buffer(Tensor):
    """A tensor that belongs to a module's state and does not learn; `persistent`: it is saved, too."""

    def __init__(self, data=None, *, persistent: bool = True):
        super().__init__(zeros(0).array if data is None else data.array)
        self.persistent = persistent

# %% [markdown]
# ## Three drawers
#
# Here is the class that all networks are made of. Python calls `__setattr__` for every `self.name = value`,
# and that is all the magic there is: a module looks at the value and puts it into one of three drawers,
# `_parameters`, `_buffers` and `_modules`, or, if it is none of these, where attributes go anyway.
#
# Every other line hands on to a function of the same idea, which you will meet below. Calling a module,
# `model(x)`, runs its `forward`; the base classes, in two appendices, see to that, and to moving, printing
# and looking up.

# %%
#| export
class Module(Hooks, Housekeeping):
    """A network, or a part of one: it has parameters, buffers, parts of its own, and a forward."""

    def __init__(self):
        self.__dict__.update({name: {} for name in (*DRAWERS, *HOOKS)}, training=True)
        self.__dict__["_non_persistent_buffers_set"] = set()

    def forward(self, *input):
        raise NotImplementedError(f"{type(self).__name__} has no forward: write def forward(self, x)")

    def __setattr__(self, name: str, value) -> None: put(self, drawer_for(self, name, value), name, value)
    def __getattr__(self, name: str): return found(self, name)
    def __delattr__(self, name: str) -> None: take_out(self, name)

    def named_modules(self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True):
        return walk(self, set() if memo is None else memo, prefix, remove_duplicate)

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True):
        return members(self, "_buffers", prefix, recurse, remove_duplicate)

    def named_children(self): return members(self, "_modules", recurse=False)

    def train(self, mode: bool = True): return switch(self, mode)
    def eval(self): return self.train(False)

    def get_extra_state(self): raise NotImplementedError("override get_extra_state and set_extra_state, both")
    def set_extra_state(self, state) -> None: self.get_extra_state()

    def state_dict(self, *, destination=None, prefix: str = "", keep_vars: bool = False):
        return state_of(self, OrderedDict() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(self, state_dict: Mapping, strict: bool = True, assign: bool = False):
        return load(self, OrderedDict(state_dict), strict, assign)


KINDS.update(_parameters=Parameter, _modules=Module, _buffers=Buffer)

# %% [markdown]
# **Your turn.** Which drawer? Ask one after the other, in the order of `KINDS`, which says what class lies in
# each. If the value is of that class, there it goes. If the *name* already lies there, it stays: None keeps
# its place free, and among the buffers any other tensor will do. Anything else would turn a parameter into a
# mere attribute that nobody trains: refuse, with a `TypeError` that says the name. And if no drawer wants it,
# it is an ordinary attribute.

# %%
#| export exercise
def drawer_for(module: Module, name: str, value) -> str | None:
    """Where `module.name = value` puts the value: a drawer, or None for an ordinary attribute."""
    #| hint Go through KINDS.items(). Does isinstance(value, kind) hold? Then you have found the drawer.
    #| hint If not, does the name lie there? vars(module).get(drawer, ()) is the drawer, if there is one yet.
    #| hint If it does: None may go there, a Tensor may go to "_buffers", and the rest is a TypeError.
    ### BEGIN SOLUTION
    for drawer, kind in KINDS.items():
        if isinstance(value, kind): return drawer
        if name not in vars(module).get(drawer, ()): continue
        if value is None or (drawer == "_buffers" and isinstance(value, Tensor)): return drawer
        raise TypeError(f"{name!r} takes a {kind.__name__} or None, not {type(value).__name__}")
    return None
    ### END SOLUTION

# %%
#| check 3
part = Module()
part.weight, part.inner, part.mean, part.size = Parameter(ones(2)), Module(), Buffer(zeros(2)), 3
assert "weight" in part._parameters, "a Parameter goes into the drawer of parameters"
assert "inner" in part._modules, "a Module goes into the drawer of parts"
assert "mean" in part._buffers, "a Buffer goes into the drawer of buffers"
assert part.size == 3 and "size" in vars(part), "a number is an ordinary attribute"
assert drawer_for(part, "note", ones(2)) is None, \
    "an ordinary tensor is an ordinary attribute: it does not learn"
part.mean = ones(2)
assert part._buffers["mean"].tolist() == [1.0, 1.0] and "mean" not in vars(part), \
    "a name among the buffers takes any tensor, and stays a buffer"
part.weight = None
assert part._parameters == {"weight": None}, "None keeps the place of a parameter"
part.inner = None
assert part._modules == {"inner": None}, "None keeps the place of a part"
part.scale = Parameter(ones(1))
try: told = part.__setattr__("scale", ones(1))
except TypeError as error: told = str(error)
assert told and "scale" in told, "a parameter is not replaced by an ordinary tensor: TypeError, with its name"
try: told = drawer_for(part, "scale", Module())
except TypeError as error: told = str(error)
assert "scale" in told, "nor by a module: whoever wants that deletes the parameter first"
part.mean = Parameter(ones(2))
assert "mean" in part._parameters and "mean" not in part._buffers, \
    "a parameter may take the place of a buffer: its own drawer is asked first"

# %% [markdown]
# Now parts can be written by themselves, and put into each other:

# %%
class Affine(Module):
    """A linear map and a shift.  (n, i) -> (n, o)"""

    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = Parameter(ones(i, o)), Parameter(zeros(o))

    def forward(self, x): return x @ self.weight + self.bias

class Network(Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = Affine(3, 4), Affine(4, 1)

    def forward(self, x): return self.last(relu(self.first(x)))

net = Network()
net, net(tensor([[1.0, 2.0, 3.0]]))

# %% [markdown]
# That print is the picture of a tree, and it was drawn from the drawers.
#
# ## The walk
#
# A part has a **path**: the names on the way to it, with dots between them, `first` or
# `encoder.layers.0.attention`. The whole has the empty path.
#
# **Your turn.** Walk through the tree: yield `(path, module)` for the module itself, then for what is below
# each of its parts, in the order of their names. A part that lies in two places is visited once, the first
# time, unless `remove_duplicate` is False; `seen` is the set of those that were visited. A place may be empty
# (None). Everything else in this lesson stands on these lines.

# %%
#| export exercise
def walk(module: Module, seen: set, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple]:
    """The module and all modules below it, with their paths; those in `seen` are left out."""
    if module in seen: return
    #| hint yield prefix, module. Before that, write the module into seen, if duplicates are to be left out.
    #| hint For each name and part in module._modules.items(): `yield from walk(...)` with a longer prefix.
    #| hint The path below the empty path has no dot: below(prefix, name) knows that.
    ### BEGIN SOLUTION
    if remove_duplicate: seen.add(module)
    yield prefix, module
    for name, part in module._modules.items():
        if part is not None: yield from walk(part, seen, below(prefix, name), remove_duplicate)
    ### END SOLUTION


def below(path: str, name: str) -> str:
    """The path of what is called `name` at `path`."""
    return f"{path}.{name}" if path else name

# %%
#| check 3
def paths(*start):
    try: return [path for path, _ in walk(*start)]
    except AttributeError as error: return [str(error)]

root, left, leaf = Module(), Module(), Module()
root.left, root.empty, root.right, left.leaf, left.twin = left, Module(), Module(), leaf, leaf
root.empty = None
assert paths(left, set())[:1] == [""], "the walk begins with the module itself, under the empty path"
assert "leaf" in paths(left, set()), "a part's path is its name, and there is no dot in front of it"
assert "None" not in paths(root, set())[0], "a place that is empty (None) is not visited"
assert "left.leaf" in paths(root, set()), "the path of a part of a part has a dot between the names"
assert paths(root, set())[1:] == ["left", "left.leaf", "right"], \
    "what is below a part comes before the next part, and a part in two places comes once"
assert dict(walk(root, set()))["left.leaf"] is leaf, "each path comes with the module that lies there"
assert paths(root, set(), "", False) == ["", "left", "left.leaf", "left.twin", "right"], \
    "with remove_duplicate=False a part shows up under each of its paths"
assert paths(root, {left}, "net") == ["net", "net.right"], \
    "the prefix comes in front of every path, and what was seen before is left out with all that is below it"
leaf.back = root
assert len(list(walk(root, set()))) == 4, \
    "a part may know the whole: who is seen before going on does not go in circles"

# %% [markdown]
# Why a generator? `list(walk(model, set()))` of a large model would be a list that nobody asked for; a
# generator hands out one pair at a time, and stops when nobody asks on.
#
# **Your turn.** Everything that lies in one drawer, anywhere in the tree. A tensor that two parts share is
# one tensor: it comes once, under its first name. (Language models do that on purpose: one matrix turns words
# into vectors, and the same one turns vectors into words.)

# %%
#| export exercise
def members(
    module: Module, drawer: str, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True,
) -> Iterator[tuple]:
    """All that lies in a drawer of the module, and with `recurse` of the modules below, with paths."""
    seen: set = set()
    everywhere = module.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
    parts = everywhere if recurse else [(prefix, module)]
    #| hint Two loops: over the (path, part) of parts, and over vars(part)[drawer].items().
    #| hint Leave out None, and whatever is in seen. When duplicates are to be left out, write it into seen.
    ### BEGIN SOLUTION
    for path, part in parts:
        for name, value in vars(part)[drawer].items():
            if value is None or value in seen: continue
            if remove_duplicate: seen.add(value)
            yield below(path, name), value
    ### END SOLUTION

# %%
#| check 2
tied = Module()
tied.a, tied.b, tied.free = Module(), Module(), Parameter(ones(1))
tied.a.weight = tied.b.weight = Parameter(ones(2))
tied.b.scale = Parameter(ones(1))
tied.b.register_parameter("bias", None)
names = [name for name, _ in members(tied, "_parameters")]
assert names[:2] == ["free", "a.weight"], \
    "a module's own come first, then those of its parts, with their paths"
assert "b.bias" not in names, "an empty place holds no parameter"
assert names == ["free", "a.weight", "b.scale"], \
    "a tensor that two parts share comes once, under its first name"
names = [name for name, _ in members(tied, "_parameters", remove_duplicate=False)]
assert names == ["free", "a.weight", "b.weight", "b.scale"], \
    "with remove_duplicate=False it comes under both names"
assert [name for name, _ in members(tied, "_parameters", "m", recurse=False)] == ["m.free"], \
    "recurse=False stays with the module itself, and the prefix comes first"
assert [name for name, _ in members(tied, "_modules", recurse=False)] == ["a", "b"], \
    "it works for every drawer"
assert dict(members(tied, "_parameters"))["a.weight"] is tied.b.weight, "each name comes with its tensor"

# %% [markdown]
# The question of this lesson is answered. How many numbers does the network learn, and in how many bytes?

# %%
for name, p in net.named_parameters(): print(f"{name:13} {tuple(p.shape)!s:7} {p.numel():3}")
sum(p.numel() for p in net.parameters()), sum(p.numel() * p.element_size() for p in net.parameters())

# %% [markdown]
# ## Two modes
#
# Some layers do one thing while a network learns and another while it works: they drop numbers at random, or
# they collect averages. `model.eval()` tells the whole tree that it is serious now.
#
# **Your turn.** Set `training` here, and ask each of the children to do the same. Ask them by their method
# `train`, so that a part may have its own opinion (people freeze layers by overriding it).

# %%
#| export exercise
def switch(module: Module, mode: bool) -> Module:
    """Tells a module and all that is below it whether they are learning; returns the module."""
    if not isinstance(mode, bool): raise ValueError(f"training is True or False, not {mode!r}")
    #| hint Who is below this module? module.children() knows the next level. Who tells the level after that?
    #| hint Set module.training, call child.train(mode) for each child, return the module.
    ### BEGIN SOLUTION
    module.training = mode
    for child in module.children(): child.train(mode)
    return module
    ### END SOLUTION

# %%
#| check 1
class Frozen(Module):
    def train(self, mode=True): return super().train(False)

whole = Module()
whole.part, whole.frozen = Module(), Frozen()
whole.part.deep = Module()
assert whole.eval() is whole, "train() and eval() return the module, so that calls can follow each other"
assert not whole.training and not whole.part.deep.training, "the mode reaches every part, however deep"
whole.train()
assert whole.training and whole.part.deep.training, "train() switches everything back"
assert not whole.frozen.training, "each child is asked by its own train(mode), which it may have overridden"

# %% [markdown]
# ## Saving
#
# The **state** of a module is a dict from paths to tensors: its parameters and those buffers that are not
# marked as temporary. It holds no code and no classes. That is what a checkpoint is, and why weights that
# were trained in PyTorch can be read here: the names are the same.
#
# **Your turn.** What does one module, without its parts, put into the dict?

# %%
#| export exercise
def own_state(module: Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters of the module itself, then its buffers that are to be saved, with their names."""
    #| hint Two loops. module._non_persistent_buffers_set holds the names of buffers that are not saved.
    #| hint An empty place (None) is not saved either.
    ### BEGIN SOLUTION
    for name, value in module._parameters.items():
        if value is not None: yield name, value
    for name, value in module._buffers.items():
        if value is not None and name not in module._non_persistent_buffers_set: yield name, value
    ### END SOLUTION

# %% [markdown]
# The whole dict is the walk, and your pairs at each stop. Before and after, **hooks** may have a say:
# functions that somebody has hung on a module, to be called at that moment. That code is given.

# %%
#| export
def below_all(module: Module, prefix: str = "") -> list[tuple[str, Module]]:
    """All parts, under each of their paths, with a dot at the end: what comes next is a name."""
    paths = module.named_modules(remove_duplicate=False)
    return [(f"{prefix}{path}." if path else prefix, part) for path, part in paths]


def state_of(module: Module, state, prefix: str, keep_vars: bool):
    """What `state_dict` returns: the state of all parts, looking at the memory of the module."""
    parts = below_all(module, prefix)
    for start, part in parts:
        for hook, _ in asked(part._state_dict_pre_hooks): hook(part, start, keep_vars)
        state.update({start + name: value if keep_vars else value.data for name, value in own_state(part)})
        if says_more(part): state[start + "_extra_state"] = part.get_extra_state()
    for start, part in reversed(parts):
        for hook, _ in asked(part._state_dict_hooks): hook(part, state, start, {})
    return state


def says_more(module: Module) -> bool: return type(module).get_extra_state is not Module.get_extra_state

# %%
#| check 2
norm = Module()
norm.register_buffer("mean", zeros(2))
norm.register_buffer("scratch", zeros(2), persistent=False)
norm.weight, norm.bias, norm.part = Parameter(ones(2)), None, Module()
norm.part.weight = Parameter(ones(1))
norm.register_parameter("later", None)
norm.register_buffer("maybe", None)
names = [name for name, _ in own_state(norm)]
assert names[:1] == ["weight"], "the parameters come first, whatever was set first"
assert "mean" in names, "a buffer is part of the state"
assert "scratch" not in names, "a buffer that is not persistent is not saved"
assert names == ["weight", "mean"], "only what the module itself holds, and no empty places"
assert list(norm.state_dict()) == ["weight", "mean", "part.weight"], \
    "the state dict has one entry a tensor, by its path"
assert norm.state_dict()["weight"].requires_grad is False, \
    "what is saved are numbers: the tensors in it do not learn"
norm.state_dict()["mean"][0] = 7.0
assert norm.mean.tolist() == [7.0, 0.0], "the state looks at the module's memory, and costs nothing"

# %% [markdown]
# ## Loading
#
# A checkpoint that does not fit is an everyday accident: another version of the code, a layer renamed, a
# class more. The worst reply is to load what fits and be silent, and the second worst is to stop at the
# first difference. **Your turn.** Find all three kinds.

# %%
#| export
class Differences(NamedTuple):
    """How a state and a module differ."""

    missing: list[str]          # in the module, not in the state
    unexpected: list[str]       # in the state, not in the module
    misshaped: list[str]        # in both, in different shapes

# %%
#| export exercise
def compare(own: Mapping, given: Mapping) -> Differences:
    """How the state that a module has, and the one that it is given, differ."""
    #| hint Three list comprehensions over keys. In the third, be sure of both before you compare shapes.
    ### BEGIN SOLUTION
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    misshaped = [key for key in own if key in given and own[key].shape != given[key].shape]
    return Differences(missing, unexpected, misshaped)
    ### END SOLUTION

# %%
#| check 2
own = {"a": ones(2), "b": ones(2, 3), "c": ones(1), "d": ones(3)}
found_out = compare(own, {"d": ones(3), "b": ones(3, 2), "x": ones(1), "c": zeros(1), "y": ones(2)})
assert found_out.missing == ["a"], "missing is what the module has and the state has not"
assert found_out.unexpected == ["x", "y"], "unexpected is what the state has and the module has not"
assert found_out.misshaped == ["b"], "misshaped is what both have, in different shapes: (2, 3) is not (3, 2)"
assert compare(own, own) == ([], [], []), "equal states do not differ, and equal shapes are enough"

# %% [markdown]
# Then the numbers go over, into the memory that is already there: others hold on to these parameters, for
# instance the optimizer of lesson 10, and would go on training the old ones if you put new ones in their
# place. **Your turn.**

# %%
#| export exercise
def take_over(own: Mapping, given: Mapping) -> None:
    """Writes the numbers that were given over those of the same name, in place."""
    #| hint x.copy_(y) writes y over x. Write over own[key].data: the parameter itself may be under watch.
    ### BEGIN SOLUTION
    for key in own:
        if key in given: own[key].data.copy_(given[key])
    ### END SOLUTION

# %%
#| check 2
p, q = Parameter(zeros(2)), Parameter(zeros(1))
memory, saved = p.array, {"p": tensor([1, 2]), "else": ones(3)}
take_over({"p": p, "q": q}, saved)
assert p.tolist() == [1.0, 2.0], "the numbers that were given arrive under their names"
assert p.array is memory, "they are written into the memory that was there: an optimizer holds on to it"
assert p.dtype.name == "float32" and p.requires_grad, "a parameter keeps its dtype, and stays a parameter"
p.data.mul_(10.0)
assert saved["p"].tolist() == [1, 2], \
    "what was given is copied, not shared: training on must not change a checkpoint"
assert q.tolist() == [0.0], "what was not given stays as it was"

# %% [markdown]
# The rest is politeness, and done by the appendix on housekeeping: `complaint` makes a sentence of all the
# differences, and nothing is written before everything is known to fit.

# %%
#| export
def load(module: Module, state: OrderedDict, strict: bool, assign: bool) -> IncompatibleKeys:
    """What `load_state_dict` does: all of it, or, if something does not fit, nothing."""
    parts, missing, unexpected, wrong = below_all(module), [], [], []
    for start, part in parts:
        for hook, _ in asked(part._load_state_dict_pre_hooks):      # it may rename keys, and complain
            hook(part, state, start, {}, strict, missing, unexpected, wrong)
    if wrong: raise RuntimeError(refused(module, wrong))
    own = {start + name: value for start, part in parts for name, value in own_state(part)}
    more = {f"{start}_extra_state": part for start, part in parts if says_more(part)}
    given = {key: value for key, value in state.items() if key not in more}
    differences = compare(own, given)
    differences.missing.extend([*missing, *[key for key in more if key not in state]])
    differences.unexpected.extend(unexpected)
    hooks = [(part, part._load_state_dict_post_hooks) for _, part in reversed(parts)]
    after = [(part, hook) for part, table in hooks for hook, _ in asked(table)]
    if said := complaint(module, differences, own, given, strict and not after): raise RuntimeError(said)
    if assign: put_in_place(parts, own, given)
    else: take_over(own, given)
    for key, part in more.items():
        if key in state: part.set_extra_state(state[key])
    for part, hook in after: hook(part, IncompatibleKeys(differences.missing, differences.unexpected))
    if said := complaint(module, differences, own, given, strict): raise RuntimeError(said)
    return IncompatibleKeys(differences.missing, differences.unexpected)

# %%
try: net.load_state_dict({"first.weight": ones(4, 3), "first.bias": zeros(4), "head.weight": ones(4, 1)})
except RuntimeError as error: print(error)

# %% [markdown]
# ## One after the other
#
# Most networks are a row of modules. **Your turn.** `forward` hands the input to the first, its output to the
# second, and so on. (Iterating over a `Row` yields its parts.)

# %%
#| export exercise
class Sequential(Row, Module):
    """Modules one after the other: each takes what the one before it gives."""

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args)
        for name, module in named: self.add_module(str(name), module)

    def forward(self, input):
        #| hint What does the second module get? And what comes out when there is no module at all?
        #| hint Call the module, module(input), and not its forward: hooks hang on the call.
        ### BEGIN SOLUTION
        for module in self: input = module(input)
        return input
        ### END SOLUTION

    def _some(self, items): return type(self)(OrderedDict(items))

    def __add__(self, other):
        if not isinstance(other, Sequential): raise ValueError(f"Sequential + {type(other).__name__}")
        return Sequential(*self, *other)

    def extend(self, sequential): return super().extend(sequential)
    def __mul__(self, times: int): return Sequential(*repeated(self, times))
    def __rmul__(self, times: int): return self * times

    def __imul__(self, times: int):
        self._renumber(repeated(self, times))
        return self

# %%
#| check 1
class Step(Module):
    def forward(self, x): return self.f(x)

def step(f):
    made = Step()
    made.f = f
    return made

double, plus_one = step(lambda x: x * 2), step(lambda x: x + 1)
assert Sequential(double, plus_one)(3) == 7, \
    "the first module gets the input, the second what the first gives"
assert Sequential(plus_one, double, double)(0) == 4, "each module runs, in order, once for each place it has"
assert Sequential()(5) == 5, "an empty row hands its input on"
calls = []
double.register_forward_hook(lambda module, args, output: calls.append(output))
Sequential(double)(1)
assert calls == [2], "call the module, not its forward: hooks hang on the call"
assert Sequential(double, plus_one)[0] is double, "the parts are known by their numbers"

# %% [markdown]
# ## The first numbers
#
# All weights 1 is a bad start, and all weights 0 a worse one: then all neurons of a layer are the same, and
# stay so. So they are drawn at random. How large should they be? Call the root of the variance the **spread**
# of some numbers (statistics says standard deviation, and the method is `std`). Guess, for a network with 50
# layers of width 100: does it matter whether the weights have a spread of 0.1 or of 0.2?

# %%
from tinytorch import manual_seed, randn

def depths(spread, layers=50, width=100):
    """How far the numbers spread after each layer."""
    manual_seed(0)
    x, sizes = randn(64, width), []
    for _ in range(layers):
        x = relu(x @ (spread * randn(width, width)))
        sizes.append(x.std().item())
    return sizes

for spread in (0.1, 0.2): print(spread, [f"{depths(spread)[n]:.1e}" for n in (0, 9, 24, 49)])

# %% [markdown]
# Each output is a sum of `n` products of a weight and an input. Independent things around 0 add their
# variances, so one layer multiplies the variance by `n · spread²`, and 50 layers do it 50 times. Only
# `spread = gain / √n` keeps the signal alive, with a `gain` for what the bend takes away.
#
# `n` is the **fan-in**, the number of inputs that one output sees. PyTorch keeps a linear layer's weight as
# `(out, in)`, and a convolution's as `(out, in, height, width)`, where an output sees `in` channels at every
# place of the window. On the way back (lesson 09) everything flows in the other direction, and what counts is
# the **fan-out**.
#
# **Your turn.** Both.

# %%
#| export exercise
def fans(tensor: Tensor) -> tuple[int, int]:
    """The fan-in and the fan-out of a weight.  (out, in, *window)"""
    if tensor.ndim < 2: raise ValueError(f"a fan needs a weight (out, in, ...), not {shape_of(tensor)}")
    out, into, *window = tensor.shape
    #| hint How many numbers does one output of a convolution see: in how many channels, at how many places?
    #| hint math.prod(window) is the number of places, and 1 when there is no window.
    ### BEGIN SOLUTION
    return into * math.prod(window), out * math.prod(window)
    ### END SOLUTION

# %%
#| check 1
assert fans(zeros(10, 784)) == (784, 10), \
    "a linear layer's weight is (out, in): each output sees `in` numbers"
assert fans(zeros(64, 3, 5, 5)) == (75, 1600), \
    "a window of 5 x 5 over 3 channels shows 75 numbers to each output"
assert fans(zeros(8, 4, 3)) == (12, 24), "the window may have any number of dimensions"

# %% [markdown]
# And the gain? Relu throws half of the signal away: of numbers around 0, half are negative, so the mean of
# the squares is halved. To make up for it the *variance* must be doubled, the spread multiplied by √2. If the
# negative half passes with a slope `a`, it still carries `a²` of its share.
#
# **Your turn.** The gain for `leaky_relu`, from which `relu` is the case `a = 0`. The other numbers are
# PyTorch's.

# %%
#| export exercise
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What to multiply the spread of the weights by, before this bend, to keep the signal's size."""
    gains = {"tanh": 5 / 3, "selu": 3 / 4, "sigmoid": 1, "linear": 1}
    if nonlinearity.startswith("conv"): return 1
    if nonlinearity in gains: return gains[nonlinearity]
    if nonlinearity not in ("relu", "leaky_relu"):
        raise ValueError(f"no gain is known for {nonlinearity!r}: only relu, leaky_relu, {', '.join(gains)}")
    a = 0 if nonlinearity == "relu" else 0.01 if param is None else param
    if type(a) not in (int, float): raise ValueError(f"the slope of leaky_relu is a number, not {a!r}")
    #| hint Which share of the mean square is left: one half from the positive side, and from the negative?
    #| hint The gain squared, times that share, is 1.
    ### BEGIN SOLUTION
    return math.sqrt(2 / (1 + a * a))
    ### END SOLUTION

# %%
#| check 1
assert abs(calculate_gain("relu") - math.sqrt(2)) < 1e-9, \
    "relu halves the mean square: the spread grows by the root of 2"
assert abs(calculate_gain("leaky_relu", 1) - 1) < 1e-9, \
    "a slope of 1 is no bend at all: nothing to make up for"
assert abs(calculate_gain("leaky_relu", 0.5) - math.sqrt(1.6)) < 1e-9, \
    "the negative half keeps a squared of its share: (1 + a * a) / 2 is left"

# %%
#| export
def fan_of(tensor: Tensor, mode: str) -> int:
    """The fan that counts: "fan_in" keeps the signal's size on the way there, "fan_out" on the way back."""
    found = dict(zip(("fan_in", "fan_out"), fans(tensor)))
    if mode.lower() not in found: raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    return found[mode.lower()]

# %% [markdown]
# **Your turn.** Put the two together.

# %%
#| export exercise
def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator=None,
) -> Tensor:
    """Normal numbers that keep the size of the signal; He et al. 2015.  (out, in, *window)"""
    fan = fan_of(tensor, mode)
    #| hint The spread is the gain, for this bend and its slope a, over the root of the fan.
    #| hint tensor.data.normal_(0, spread, generator=generator) draws the numbers in place; return the tensor.
    ### BEGIN SOLUTION
    tensor.data.normal_(0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator=generator)
    return tensor
    ### END SOLUTION

# %%
#| check 2
from tinytorch import Generator, manual_seed

manual_seed(1)
w = Parameter(zeros(400, 200))
assert kaiming_normal_(w) is w and w.requires_grad, \
    "the numbers are drawn in place, and the tensor is returned"
assert abs(w.data.std().item() * 10 - 1) < 0.03, \
    "200 inputs and a gain of root 2: a spread of root(2 / 200) = 0.1"
assert abs(w.data.mean().item()) < 0.002, "the numbers lie around 0"
spread = kaiming_normal_(w, mode="fan_out").data.std().item()
assert abs(spread * math.sqrt(200) - 1) < 0.03, "mode='fan_out' counts the 400 outputs instead"
spread = kaiming_normal_(w, nonlinearity="linear").data.std().item()
assert abs(spread * math.sqrt(200) - 1) < 0.03, "without a bend the gain is 1"
spread = kaiming_normal_(w, 3.0).data.std().item()
assert abs(spread * math.sqrt(1000) - 1) < 0.03, "the slope a belongs to the gain"
draws = [kaiming_normal_(zeros(2, 2), generator=Generator().manual_seed(7)).tolist() for _ in range(2)]
assert draws[0] == draws[1], "a generator that is given is the one to draw from"

# %% [markdown]
# Draw the 50 layers, for a spread that is a third too small, one that is right, and one a third too large.
# Each line of the page is a factor of ten:

# %%
right, page = math.sqrt(2 / 100), [[" "] * 50 for _ in range(15)]
for letter, factor in (("-", 2 / 3), ("=", 1.0), ("+", 4 / 3)):
    for column, size in enumerate(depths(right * factor)):
        page[min(max(7 - round(math.log10(size)), 0), 14)][column] = letter
print("\n".join(map("".join, page)))

# %% [markdown]
# The middle line is the start of nearly every network since 2015. The others die or explode, whatever the
# optimizer does later.
#
# ## What a module costs
#
# Guess: how much longer does `layer(x)` take than the line of arithmetic in it?

# %%
from tinytorch import timed

layer, x = Affine(4, 4), ones(1, 4)
w, b = layer.weight, layer.bias
print("the arithmetic", timed(lambda: x @ w + b))
print("the module    ", timed(lambda: layer(x)))
print("the walk      ", timed(lambda: list(net.parameters())))

# %% [markdown]
# Parameters are found by `__getattr__`, which Python asks only after it has looked everywhere else. That is a
# fraction of a microsecond for each access: nothing for a layer that multiplies matrices, and a reason why a
# thousand tiny modules are slower than one large one.
#
# ## Challenges
#
# 1. Write `freeze(model, "encoder.*")`, which switches off `requires_grad` for all parameters whose path
#    matches. It is two lines. Which function of Python's library matches such patterns?
# 2. Move a weight from one part to another: `b.weight = a.weight; del a.weight`. What do `state_dict` and
#    `load_state_dict` make of that? And of a parameter that lies in a plain Python list?
# 3. `walk` calls itself. What happens with a chain of two thousand modules, each inside the other? Write it
#    with a stack of its own.
# 4. Print the tree of a network as a picture with `├──` and `└──`, with the number of parameters below each
#    branch.
# 5. Try a gain of 1 for `tanh` in `depths`. Neither explodes nor dies. Where does it settle, and why?
#
# ## Design note: attributes that register themselves
#
# `self.weight = Parameter(...)` is an assignment with a side effect, and Python programmers are right to
# frown on those. Other frameworks do without. In JAX's the parameters are a plain nested dict beside the
# model, and `apply(parameters, x)` takes both: nothing hidden, every function pure, and saving is trivial,
# because the state *is* the dict. The price is that every layer is written twice, once as a function and once
# as the shapes of its dict, and that a shared weight has to be passed around by hand.
#
# What decides here is the mistake you can make. With a dict beside the model you can forget to pass a
# parameter on, and Python tells you at once. With attributes you can hide one in a plain list, and nobody
# tells you ever: `self.layers = [Affine(3, 4)]` is the oldest bug in PyTorch programs. For it there is
# `ModuleList`, in the appendix.
