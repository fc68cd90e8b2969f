"""Modules, containers and hooks: the same lines on PyTorch and on TinyTorch."""

import copy
import inspect
import pickle
import sys
import warnings
from collections import OrderedDict
from types import SimpleNamespace

import pytest

import tinytorch


def names(t):
    """Classes and modules of a library, made anew for every line."""
    nn = t.nn

    class Affine(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            self.i, self.o = i, o
            self.weight = nn.Parameter(t.arange(float(i * o)).reshape(i, o).to(t.float32))
            self.bias = nn.Parameter(t.zeros(o))
            self.register_buffer("seen", t.tensor(0))
            self.register_buffer("scratch", t.zeros(o), persistent=False)

        def forward(self, x): return x @ self.weight + self.bias
        def extra_repr(self): return f"{self.i}, {self.o}"

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(Affine(2, 3), nn.ReLU(), Affine(3, 2))
            self.head, self.none = Affine(2, 1), None
            self.scale = nn.Parameter(t.tensor([2.0]))

        def forward(self, x): return self.head(self.body(x)) * self.scale

    class Extra(nn.Module):
        def __init__(self, note=None):
            super().__init__()
            self.note = note

        def get_extra_state(self): return {"note": self.note}
        def set_extra_state(self, state): self.note = state["note"]

    class Frozen(Affine):
        def train(self, mode=True): return super().train(False)

    class Many(nn.Module):
        def forward(self, x, y=1, *, z=0): return x, x + y + z
        def extra_repr(self): return "one\ntwo"

    def keys(x): return [key for key, *_ in (x.items() if hasattr(x, "items") else x)]
    def log(*lines):
        """A list, and functions that write into it."""
        kept = []
        return kept, lambda *x: kept.append([type(y).__name__ for y in x])

    return {
        "add": lambda m, a, o: o + 1, "double": lambda m, a, o: o * 2,
        "rename": lambda m, d, p, *r: d.update(scale=d.pop("old")),
        "refuse": lambda m, d, p, l, s, a, b, e: e.append("no"),
        "forgive": lambda m, k: k.missing_keys.clear(),
        "nn": nn, "P": nn.Parameter, "Affine": Affine, "Network": Network, "Extra": Extra, "Frozen": Frozen,
        "Many": Many, "net": Network(), "x": t.tensor([[1.0, -2.0], [0.5, 3.0]]), "keys": keys, "log": log,
        "copy": copy, "OrderedDict": OrderedDict, "seq": nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid()),
    }


LINES = """
repr(P(t.ones(2)))
P(t.ones(2)).requires_grad, P(t.ones(2), False).requires_grad, P(t.ones(2), requires_grad=False).requires_grad
P(t.ones(2, dtype=t.int64))
P(t.ones(2, dtype=t.int64), requires_grad=False).dtype
P().shape
p = t.ones(2); q = P(p); p[0] = 5.0; q
type(P(t.ones(2)) * 2).__name__, type(P(t.ones(2)).data).__name__, type(P(t.ones(2)).detach()).__name__
isinstance(P(t.ones(2)), t.Tensor), isinstance(nn.Buffer(t.ones(2)), t.Tensor)
copy.deepcopy(P(t.ones(2))), type(copy.deepcopy(P(t.ones(2)))).__name__
net(x)
repr(net)
repr(nn.Module()), repr(nn.Sequential()), repr(Many()), repr(nn.Sequential(Many()))
[n for n, _ in net.named_modules()]
[n for n, _ in net.named_modules(prefix="net")]
[n for n, _ in net.named_modules(memo={net.head})]
[type(m).__name__ for m in net.modules()]
[n for n, _ in net.named_children()]
[n for n, _ in net.named_parameters()]
[n for n, _ in net.named_parameters(prefix="net")]
[n for n, _ in net.named_parameters(recurse=False)]
[n for n, _ in net.named_parameters("net", False)]
[n for n, _ in net.named_buffers()]
[p.shape for p in net.parameters()]
len(list(net.parameters())), len(list(net.buffers())), len(list(net.parameters(recurse=False)))
keys(net.state_dict())
keys(net.state_dict(prefix="net."))
keys(net.state_dict(destination={"first": 0}))
[v.requires_grad for v in net.state_dict().values()]
[v.requires_grad for v in net.state_dict(keep_vars=True).values()]
type(net.state_dict()).__name__
net.state_dict()["scale"][0] = 7.0; net.scale
net.b = net.head; [n for n, _ in net.named_modules()]
net.b = net.head; [n for n, _ in net.named_modules(remove_duplicate=False)]
net.b = net.head; keys(net.state_dict())
net.b = net.head; [len(list(x)) for x in (net.parameters(), net.modules(), net.children())]
net.b = net.head; [n for n, _ in net.named_parameters(remove_duplicate=False)]
net.head.weight = net.scale; [n for n, _ in net.named_parameters()]
net.head.bias = None; [n for n, _ in net.named_parameters()], keys(net.state_dict())
net.head.bias = None; net.head.bias
net.head.weight = t.ones(2)
net.head.weight = 3
net.head = t.ones(2)
net.head = None; repr(net)
net.head.seen = t.tensor(3); net.head.seen, keys(net.head.named_buffers())
net.head.seen = 3
net.head.seen = None; keys(net.head.named_buffers()), keys(net.state_dict())
net.new = nn.Buffer(t.ones(1)); keys(net.named_buffers()), keys(net.state_dict())
net.new = nn.Buffer(t.ones(1), persistent=False); keys(net.named_buffers()), keys(net.state_dict())
net.head.seen = P(t.ones(1)); keys(net.head.named_parameters()), keys(net.head.named_buffers())
net.scale = nn.ReLU(); keys(net.named_parameters(recurse=False)), keys(net.named_children())
net.n = t.ones(2); net.n = P(t.ones(2)); keys(net.named_parameters(recurse=False)), "n" in net.__dict__
net.body = nn.ReLU(); keys(net.named_children())
del net.scale; keys(net.named_parameters(recurse=False))
del net.head; keys(net.named_children())
del net.head.seen; keys(net.head.named_buffers())
del net.nothing
net.nothing
hasattr(net, "nothing"), hasattr(net, "scale"), hasattr(net, "head"), hasattr(net.head, "seen")
net.register_parameter("a.b", P(t.ones(1)))
net.register_parameter("", P(t.ones(1)))
net.register_parameter("scale", P(t.ones(1))); net.scale
net.register_parameter("head", P(t.ones(1)))
net.register_parameter("forward", P(t.ones(1)))
net.register_parameter("p", t.ones(1))
net.register_parameter("p", None); net.p, keys(net.named_parameters(recurse=False))
net.register_parameter(3, None)
net.register_buffer("a.b", t.ones(1))
net.register_buffer("head", t.ones(1))
net.register_buffer("b", 3)
net.register_buffer("b", None); net.b
net.register_buffer("b", t.ones(2), False); keys(net.named_buffers(recurse=False)), keys(net.state_dict())[:3]
net.add_module("m", nn.ReLU()); net.m
net.add_module("a.b", nn.ReLU())
net.add_module("m", 3)
net.add_module("m", None); net.m
net.add_module("scale", nn.ReLU())
net.register_module("m", nn.ReLU()); net.m
nn.Module()(x)
net.train(False) is net, net.training, net.head.training
net.eval() is net, [m.training for m in net.modules()]
net.eval().train(); [m.training for m in net.modules()]
net.f = Frozen(1, 1); net.train(); net.f.training, net.training
net.train("yes")
net.requires_grad_(False) is net, [p.requires_grad for p in net.parameters()]
net.head.requires_grad_(False); [n for n, p in net.named_parameters() if p.requires_grad]
seen = []; net.apply(lambda m: seen.append(type(m).__name__)) is net, seen
net.double(); [p.dtype for p in net.parameters()], [b.dtype for b in net.buffers()]
net.half(); net.scale.dtype
net.double().float(); net(x)
net.to(t.float64)(x.double())
net.to(dtype=t.float64); net.scale.dtype
net.to("cpu"); net.scale.device.type
net.w = P(t.ones(2, 3, 4, 5)); net.to(memory_format=t.channels_last); net.w.stride(), net.scale.stride()
net.to("cpu", t.float64); net.scale.dtype
net.to(t.ones(1, dtype=t.float64)); net.scale.dtype, net.head.seen.dtype
net.to(device="cpu", dtype=t.float16); net.scale.dtype
net.to(t.int64)
net.type(t.float64); net.head.seen.dtype
p = net.scale; net.double(); net.scale is p, p.dtype
net.b = net.head; net.double(); net.b.weight is net.head.weight
net.cpu() is net
net.zero_grad(); net.scale.grad
net.scale.grad = t.ones(1); net.zero_grad(); net.scale.grad
net.scale.grad = t.ones(1); net.zero_grad(set_to_none=False); net.scale.grad
net.get_submodule("body.2").weight
net.get_submodule("") is net
net.get_submodule("body.9")
net.get_submodule("scale")
net.get_parameter("body.0.weight")
net.get_parameter("body.0.seen")
net.get_parameter("nothing.weight")
net.get_buffer("body.0.seen")
net.get_buffer("scale")
net.set_submodule("body.1", nn.Tanh()); net.body
net.set_submodule("head", nn.Tanh(), strict=True); net.head
net.set_submodule("other", nn.Tanh(), strict=True)
net.set_submodule("", nn.Tanh())
"scale" in dir(net), "head" in dir(net), "seen" in dir(net.head), "0" in dir(net.body)
c = copy.deepcopy(net); c.scale.data.fill_(9.0); net.scale, c.scale, c.scale.requires_grad
c = copy.deepcopy(net); c.head.weight is net.head.weight, repr(c) == repr(net)
net.b = net.head; c = copy.deepcopy(net); c.b is c.head, c.b.weight is c.head.weight
c = copy.copy(net); c.scale is net.scale
m = Extra("a"); m.state_dict()
m = nn.Sequential(Extra("a")); n = nn.Sequential(Extra()); n.load_state_dict(m.state_dict()); n[0].note
nn.Sequential(Extra()).load_state_dict({})
other = Network(); other.scale.data.fill_(5.0); net.load_state_dict(other.state_dict()); net.scale
net.load_state_dict(net.state_dict())
net.load_state_dict({})
net.load_state_dict({}, strict=False).missing_keys
s = net.state_dict(); s["new"] = t.ones(1); net.load_state_dict(s)
s = net.state_dict(); s["new"] = t.ones(1); net.load_state_dict(s, strict=False).unexpected_keys
s = net.state_dict(); del s["scale"]; repr(net.load_state_dict(s, strict=False)).lstrip("_")
s = net.state_dict(); s["scale"] = t.ones(2); net.load_state_dict(s)
s = net.state_dict(); s["scale"] = t.ones(2); net.load_state_dict(s, strict=False)
net.load_state_dict({"scale": t.tensor([3])}, strict=False); net.scale
net.load_state_dict({"scale": t.tensor([3.0], dtype=t.float64)}, strict=False); net.scale
n = t.tensor([3.0]); p = net.scale; net.load_state_dict({"scale": n}, strict=False); net.scale is p
n = t.tensor([3.0]); net.load_state_dict({"scale": n}, strict=False); n[0] = 9.0; net.scale
n = t.ones(1); net.load_state_dict({"scale": n}, False, True); n[0] = 9.0; net.scale, type(net.scale).__name__
net.scale.requires_grad = False; net.load_state_dict({"scale": t.ones(1)}, False, True); net.scale
net.load_state_dict(5)
"""

CONTAINERS = """
seq(x)
nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))
nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())).a
nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh()))[1:]
nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())) + seq
nn.Sequential(3)
len(seq), [type(m).__name__ for m in seq]
seq[0], seq[-1], seq[1:], seq[:2][0], seq[::2]
seq[3]
seq[-4]
seq["a"]
seq[1] = nn.ReLU6(); seq
seq[9] = nn.ReLU6()
seq[1] = 3
del seq[1]; seq
del seq[:2]; seq
del seq[7]
seq.append(nn.ReLU()) is seq, seq
seq.append(3)
seq.extend([nn.ReLU(), nn.ELU()]); seq
seq.extend(nn.Sequential(nn.ELU())); seq
seq.extend(3)
seq.insert(1, nn.ELU()); seq
seq.insert(-1, nn.ELU()); seq
seq.insert(3, nn.ELU()); seq
seq.insert(9, nn.ELU())
seq.pop(0), seq
seq.pop(-1), len(seq)
seq.pop(9)
seq + nn.Sequential(nn.ELU())
seq + 3
seq += nn.Sequential(nn.ELU()); seq
seq * 2
2 * seq
(seq * 2)[3] is seq[0]
seq *= 2; seq
seq * 0
seq * 1.5
nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])
nn.ModuleList([Affine(1, 2) for _ in range(3)] + [Affine(2, 2)])
nn.ModuleList([nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU())])
nn.ModuleList(), nn.ModuleList([]), len(nn.ModuleList())
nn.ModuleList(nn.ReLU() for _ in range(2))
nn.ModuleList([3])
nn.ModuleList(3)
m = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.ELU()]); m[0], m[-1], m[1:], m[::2]
m = nn.ModuleList([nn.ReLU()]); m[1]
m = nn.ModuleList([nn.ReLU()]); m[0] = nn.Tanh(); m
m = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.ELU()]); del m[1]; m, keys(m.named_children())
m = nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.ELU()]); del m[:2]; m
m = nn.ModuleList([nn.ReLU()]); m.append(nn.Tanh()) is m, m.extend([nn.ELU()]) is m, m
m = nn.ModuleList([nn.ReLU()]); m.extend(nn.Tanh())
m = nn.ModuleList([nn.ReLU()]); m += [nn.Tanh()]; m
m = nn.ModuleList([nn.ReLU()]); m + [nn.Tanh()], m
m = nn.ModuleList([nn.ReLU(), nn.Tanh()]); m.insert(1, nn.ELU()), m
m = nn.ModuleList([nn.ReLU(), nn.Tanh()]); m.pop(0), m
m = nn.ModuleList([nn.ReLU(), nn.Tanh()]); nn.Tanh in [type(x) for x in m], m[0] in m
m = nn.ModuleList([Affine(1, 1), Affine(1, 1)]); keys(m.state_dict())
nn.ModuleList()(x)
nn.ModuleDict({"b": nn.ReLU(), "a": nn.Tanh()})
nn.ModuleDict([("b", nn.ReLU()), ["a", nn.Tanh()]])
nn.ModuleDict([("b",)])
nn.ModuleDict(3)
nn.ModuleDict(), len(nn.ModuleDict())
m = nn.ModuleDict({"b": nn.ReLU()}); m["b"], m.b, "b" in m, "c" in m, list(m), list(m.keys())
m = nn.ModuleDict({"b": nn.ReLU()}); m["c"]
m = nn.ModuleDict({"b": nn.ReLU()}); m["c"] = nn.Tanh(); m, [k for k, _ in m.items()], list(m.values())
m = nn.ModuleDict({"b": nn.ReLU()}); m["c"] = 3
m = nn.ModuleDict({"b": nn.ReLU()}); m["keys"] = nn.ReLU()
m = nn.ModuleDict({"b": nn.ReLU()}); m["a.b"] = nn.ReLU()
m = nn.ModuleDict({"b": nn.ReLU(), "c": nn.ELU()}); del m["b"]; m
m = nn.ModuleDict({"b": nn.ReLU(), "c": nn.ELU()}); m.pop("b"), m
m = nn.ModuleDict({"b": nn.ReLU()}); m.update({"b": nn.ELU(), "d": nn.Tanh()}); m
m = nn.ModuleDict({"b": nn.ReLU()}); m.update(nn.ModuleDict({"z": nn.Tanh()})); m
m = nn.ModuleDict({"b": nn.ReLU()}); m.clear(); m
nn.ParameterList([t.ones(2, 3), P(t.zeros(1)), "word", t.ones(())])
nn.ParameterList(), len(nn.ParameterList())
nn.ParameterList(t.ones(2))
nn.ParameterList(3)
m = nn.ParameterList([t.ones(2), "word"]); m[0], m[-1], m[1], len(m), list(m)[1], keys(m.named_parameters())
m = nn.ParameterList([t.ones(2), t.zeros(1), t.ones(3)]); m[1:], type(m[0]).__name__
m = nn.ParameterList([t.ones(2)]); m[1]
m = nn.ParameterList([t.ones(2)]); m[0] = t.zeros(3); m[0], keys(m.state_dict())
m = nn.ParameterList([t.ones(2)]); m.append(t.zeros(3)) is m, m.extend([t.ones(1)]) is m, m
m = nn.ParameterList([t.ones(2)]); m += [t.zeros(3)]; m
nn.ParameterList([t.ones(2)])(x)
nn.ParameterDict({"b": t.ones(2, 3), "a": P(t.zeros(1)), "c": 5})
nn.ParameterDict(OrderedDict(b=t.ones(2), a=t.ones(1)))
nn.ParameterDict([("b", t.ones(2)), ("a", t.ones(1))])
nn.ParameterDict(), len(nn.ParameterDict())
nn.ParameterDict({"b": t.ones(1)})(x)
nn.ParameterDict({1: t.ones(1)})
m = nn.ParameterDict({"b": t.ones(1)}); m["b"], m.b, "b" in m, list(m), list(m.keys()), keys(m.items())
m = nn.ParameterDict({"b": t.ones(1)}); m["c"]
m = nn.ParameterDict({"b": t.ones(1)}); m["c"] = t.zeros(2); keys(m.named_parameters()), list(reversed(m))
m = nn.ParameterDict({"b": t.ones(1), "c": t.ones(2)}); del m["b"]; m
m = nn.ParameterDict({"b": t.ones(1), "c": t.ones(2)}); m.pop("b"), m.popitem(), len(m)
m = nn.ParameterDict({"b": t.ones(1)}); m.get("b"), m.get("z"), m.get("z", 3)
m = nn.ParameterDict({"b": t.ones(1)}); m.setdefault("b", 3), m.setdefault("z", t.ones(2)), m
m = nn.ParameterDict({"b": t.ones(1)}); m.clear(); m
m = nn.ParameterDict({"b": t.ones(1)}); m.update({"z": t.ones(2), "a": t.ones(3)}); m
m = nn.ParameterDict({"b": t.ones(1)}); m.update(3)
m = nn.ParameterDict({"b": t.ones(1)}); c = m.copy(); c.b is m.b, c
nn.ParameterDict({"b": t.ones(1)}) | nn.ParameterDict({"a": t.ones(2)})
m = nn.ParameterDict({"b": t.ones(1)}); m |= nn.ParameterDict({"a": t.ones(2)}); m
nn.ParameterDict().fromkeys(["a", "b"], 3)
"""

HOOKS = """
net.head.register_forward_hook(lambda m, a, o: o * 2); net(x)
net.head.register_forward_hook(lambda m, a, o: None); net(x)
h = net.head.register_forward_hook(lambda m, a, o: o * 2); h.remove(); h.remove(); net(x)
net.head.register_forward_pre_hook(lambda m, a: (a[0] * 2,)); net(x)
net.head.register_forward_pre_hook(lambda m, a: a[0] * 2); net(x)
kept, f = log(); net.head.register_forward_hook(f); net(x); kept
kept, f = log(); net.head.register_forward_pre_hook(f); net(x); kept
h = net.head; h.register_forward_hook(add); h.register_forward_hook(double); net(x)
h = net.head; h.register_forward_hook(add); h.register_forward_hook(double, prepend=True); net(x)
m = Many(); m.register_forward_pre_hook(lambda m, a, k: (a, {**k, "z": 5}), with_kwargs=True); m(x, y=2)
m = Many(); m.register_forward_pre_hook(lambda m, a, k: None, with_kwargs=True); m(x, y=2)
m = Many(); m.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True); m(x, y=2)
m = Many(); m.register_forward_hook(lambda m, a, k, o: (o[0], k["z"]), with_kwargs=True); m(x, z=4)
m = Many(); m.register_forward_hook(lambda m, a, o: o[1]); m(x)
kept, f = log(); m = nn.Module(); m.register_forward_hook(f, always_call=True); hasattr(m, "x") or kept
kept, f = log(); net.head.register_forward_hook(f); c = copy.deepcopy(net); c(x); kept
s = []; net.register_state_dict_post_hook(lambda m, d, p, l: d.update(new=0)); keys(net.state_dict())
s = []; net.head.register_state_dict_post_hook(lambda m, d, p, l: s.append(p)); net.state_dict(prefix="n."); s
s = []; net.head.register_state_dict_pre_hook(lambda m, p, k: s.append((p, k))); net.state_dict(); str(s)
net.register_load_state_dict_pre_hook(rename); net.load_state_dict({"old": t.ones(1)}, False); net.scale
s = {"old": t.ones(1)}; net.register_load_state_dict_pre_hook(rename); net.load_state_dict(s, False); keys(s)
net.register_load_state_dict_post_hook(forgive); net.load_state_dict({})
f = lambda m, k: None; net.register_load_state_dict_post_hook(f); net.load_state_dict({})
net.register_load_state_dict_pre_hook(refuse); net.load_state_dict(net.state_dict())
h = nn.modules.module.register_module_forward_hook(lambda m, a, o: o + 1); y = net(x); h.remove(); y, net(x)
h = nn.modules.module.register_module_forward_pre_hook(lambda m, a: a[0] + 1); y = net(x); h.remove(); y
"""

UTILS = """
nn.utils.parameters_to_vector(net.parameters())
nn.utils.vector_to_parameters(t.arange(100.0), net.parameters()); net.body[0].weight, net.head.bias
u, p = nn.utils, list(net.parameters()); u.vector_to_parameters(u.parameters_to_vector(p) * 2, p); net(x)
nn.utils.vector_to_parameters([1.0], net.parameters())
nn.utils.vector_to_parameters(t.ones(3), net.parameters())
nn.utils.parameters_to_vector([])
"""

BENDS = """
nn.ReLU(), nn.ReLU(True), nn.ReLU(inplace=True), nn.ReLU6(), nn.ReLU6(True)
nn.Sigmoid(), nn.Tanh(), nn.LogSigmoid(), nn.Softsign(), nn.Tanhshrink()
nn.SiLU(), nn.SiLU(True), nn.Mish(), nn.Mish(True)
nn.Hardswish(), nn.Hardswish(True), nn.Hardsigmoid(), nn.Hardsigmoid(True)
nn.ELU(), nn.ELU(2.0, True), nn.CELU(), nn.CELU(1.3, True), nn.SELU(), nn.SELU(True)
nn.LeakyReLU(), nn.LeakyReLU(0.2, True), nn.PReLU(), nn.PReLU(3), nn.RReLU(), nn.RReLU(0.1, 0.2, True)
nn.GELU(), nn.GELU("tanh"), nn.GLU(), nn.GLU(1), nn.Softplus(), nn.Softplus(2, 10)
nn.Hardshrink(), nn.Hardshrink(1), nn.Softshrink(), nn.Softshrink(0.1)
nn.Hardtanh(), nn.Hardtanh(-2, 3, True), nn.Threshold(0.1, 20), nn.Threshold(0.1, 20, True)
nn.Hardtanh(min_value=-3.0, max_value=2.0)
nn.Threshold(1)
nn.Softmax(), nn.Softmax(1), nn.LogSoftmax(-1), nn.Softmin(1), nn.Softmax2d()
[f()(x) for f in (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid)]
[f()(x) for f in (nn.ELU, nn.CELU, nn.SELU, nn.LeakyReLU, nn.GELU, nn.GLU, nn.Softplus, nn.Hardshrink)]
[f()(x) for f in (nn.Softshrink, nn.Hardtanh, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink)]
nn.ELU(2.0)(x), nn.CELU(2.0)(x), nn.LeakyReLU(0.3)(x), nn.GELU("tanh")(x), nn.Softplus(2, 1)(x)
nn.Hardshrink(0.7)(x), nn.Softshrink(0.7)(x), nn.Hardtanh(-0.5, 0.7)(x)
nn.Threshold(0.6, 9.0)(x), nn.GLU(0)(x)
nn.Softmax(0)(x), nn.Softmax(1)(x), nn.LogSoftmax(1)(x), nn.Softmin(1)(x)
nn.Softmax()(x), nn.LogSoftmax()(x[0])
nn.Softmax2d()(x.reshape(1, 2, 2, 1)), nn.Softmax2d()(x.reshape(2, 2, 1))
nn.Softmax2d()(x)
y = x.clone(); nn.ReLU(True)(y) is y, y
m = nn.LeakyReLU(); m.negative_slope = 0.5; m(x), m
nn.PReLU()(x), nn.PReLU(2)(x), nn.PReLU(2, 0.5).weight
nn.PReLU(3)(x)
nn.PReLU(dtype=t.float64).weight.dtype, keys(nn.PReLU().state_dict())
nn.RReLU().eval()(x)
"""


def table(text): return [line for line in text.strip().split("\n") if line]


@pytest.mark.parametrize("line", table(LINES))
def test_modules(line, agree): agree(line, names)


@pytest.mark.parametrize("line", table(CONTAINERS))
def test_containers(line, agree): agree(line, names)


@pytest.mark.parametrize("line", table(HOOKS))
def test_hooks(line, agree): agree(line, names)


@pytest.mark.parametrize("line", table(UTILS))
def test_utils(line, agree): agree(line, names)


@pytest.mark.parametrize("line", table(BENDS))
def test_bends_as_modules(line, agree):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)        # of dim=None
        agree(line, names)


# ---------------------------------------------------------------------------------------- of our own

class Pickled(tinytorch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = tinytorch.nn.Parameter(tinytorch.ones(2, 3))
        self.tied, self.inner = self.w, tinytorch.nn.Sequential(tinytorch.nn.ReLU())
        self.register_buffer("b", tinytorch.zeros(1), persistent=False)


def test_a_module_is_pickled_with_what_it_shares(monkeypatch):
    monkeypatch.setitem(sys.modules, Pickled.__module__, SimpleNamespace(Pickled=Pickled))
    model = Pickled().eval()
    twin = pickle.loads(pickle.dumps(model))
    assert repr(twin) == repr(model) and not twin.training and twin.tied is twin.w
    assert isinstance(twin.w, tinytorch.nn.Parameter) and twin.w.requires_grad
    assert list(twin.state_dict()) == list(model.state_dict()) == ["w", "tied"]


def test_a_class_that_forgets_super_is_told_so():
    class Net(tinytorch.nn.Module):
        def __init__(self): self.w = tinytorch.nn.Parameter(tinytorch.ones(1))
    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"): Net()


def test_a_property_that_fails_says_why():
    class Net(tinytorch.nn.Module):
        @property
        def width(self): return self.hidden.shape[0]
    with pytest.raises(AttributeError, match="hidden"): _ = Net().width


def test_what_does_not_fit_is_told_in_full_and_nothing_is_written():
    model = tinytorch.nn.ParameterDict({name: tinytorch.ones(n) for name, n in dict(a=2, b=3, c=1).items()})
    state = {"a": tinytorch.zeros(2), "b": tinytorch.zeros(4), "d": tinytorch.zeros(1)}
    with pytest.raises(RuntimeError) as error: model.load_state_dict(state)
    for words in ('"b" has shape (4,) in the state and (3,) in the module', 'missing in the state: "c"',
                  'unexpected in the state: "d"'):
        assert words in str(error.value)
    assert model.a.tolist() == [1.0, 1.0], "not even what would have fitted"


def test_a_hook_that_is_always_called_hears_of_an_error():
    model, heard = tinytorch.nn.Module(), []
    model.register_forward_hook(lambda m, a, o: heard.append(o), always_call=True)
    model.register_forward_hook(lambda m, a, o: heard.append("never"))
    with pytest.raises(NotImplementedError): model(1)
    assert heard == [None]


def test_a_later_lesson_can_bring_methods():
    from tinytorch.housekeeping import MODULE_METHODS, module_method

    @module_method
    def count(module, each=1): return each * len(list(module.modules()))
    try: assert tinytorch.nn.Sequential(tinytorch.nn.ReLU()).count(2) == 4
    finally: del MODULE_METHODS["count"]


# ---------------------------------------------------------------------------------------- signatures

SETTLED = """CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSoftmax Mish RReLU ReLU
ReLU6 SELU SiLU Softmax Softmin Softplus Softshrink Threshold"""
SHARED = {
    "Module": """forward register_buffer register_parameter add_module register_module
        get_submodule set_submodule get_parameter get_buffer apply cuda cpu type float double
        half bfloat16 to_empty register_forward_pre_hook register_forward_hook
        register_state_dict_pre_hook register_state_dict_post_hook
        register_load_state_dict_pre_hook register_load_state_dict_post_hook load_state_dict
        parameters named_parameters buffers named_buffers children named_children modules
        named_modules train eval requires_grad_ zero_grad extra_repr get_extra_state
        set_extra_state""",
    "Sequential": "__init__ append insert extend forward",
    "ModuleList": "__init__ insert append extend",
    "ModuleDict": "__init__ clear pop keys items values update",
    "ParameterList": "__init__ append extend",
    "ParameterDict": "__init__ copy setdefault clear pop popitem get keys items values update fromkeys",
    "PReLU": "__init__ forward reset_parameters",
    **dict.fromkeys(SETTLED.split(), "__init__ forward"),
}
METHODS = [f"{kind}.{method}" for kind, methods in SHARED.items() for method in methods.split()]


@pytest.mark.parametrize("name", METHODS)
def test_signatures(name):
    torch = pytest.importorskip("torch")
    kind, method = name.split(".")
    theirs, ours = (inspect.signature(getattr(getattr(lib.nn, kind), method)) for lib in (torch, tinytorch))
    assert arguments(ours) == arguments(theirs)


def arguments(signature): return [(p.name, p.default, p.kind) for p in signature.parameters.values()]
