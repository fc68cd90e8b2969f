# Generated from modules/15_mlops/appendix_exporting.py by `tito export`. Edit that file, not this one.
"""A model as an ONNX file, checked."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import nodes_layers, nodes_numbers, nodes_shapes
from .mlops import Tracer, write_nodes
from .modes import no_grad
from .nodes import NODES, BakedIn, Names, Node, Page, Step, Value, Varying, merged, value_of
from .shaping import clone
from .tensor import Tensor, using

__all__ = [
    "ROWS", "OLDEST", "NEWEST", "NEWEST_FORMAT", "package", "opset_for", "leaves", "grown", "names_of",
    "varying_dims", "spread", "SIZES", "resized", "other_lengths", "at_work", "Run", "trace", "together",
    "merged_inputs", "weights_of", "export", "called_with", "input_names_for", "second_run", "ONNXProgram",
    "translated", "proto_of", "format_for", "tidied",
]


ROWS = nodes_layers, nodes_numbers, nodes_shapes        # whoever imports them has their rows in the column


OLDEST, NEWEST, NEWEST_FORMAT = 18, 26, 13


def package(name: str = "onnx"):
    """The package of that name, or an error that says how to get it."""
    try: return __import__(name)
    except ImportError as error:
        raise ImportError(f"ONNX needs the package {name!r}: pip install 'tinytorch-tito[onnx]'") from error


def opset_for(wanted: int | None) -> int:
    """The opset to write: the newest that the onnx package and ONNX Runtime know, or the one asked for."""
    newest = min(NEWEST, package().defs.onnx_opset_version())
    if wanted is None: return newest
    if not OLDEST <= wanted <= newest:
        raise ValueError(f"opset_version={wanted} is not from {OLDEST} to {newest}: older ones spell "
                         "reductions another way, and ONNX Runtime does not load newer ones")
    return wanted


def leaves(tree) -> list:
    """The tensors in lists, tuples and dicts, from left to right."""
    if isinstance(tree, Tensor): return [tree]
    if isinstance(tree, Mapping): return [x for part in tree.values() for x in leaves(part)]
    return [x for part in tree for x in leaves(part)] if isinstance(tree, (tuple, list)) else []


def grown(tree, change: Callable):
    """The same tree, with every tensor changed."""
    if isinstance(tree, Tensor): return change(tree)
    if isinstance(tree, Mapping): return type(tree)({key: grown(part, change) for key, part in tree.items()})
    if not isinstance(tree, (tuple, list)): return tree
    parts = [grown(part, change) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def names_of(dims) -> dict[int, str]:
    """Which dimensions vary, and what they are called; "" where nobody says."""
    if dims is None: return {}
    if not isinstance(dims, Mapping):           # [0, 2] says which; ("batch", None) says it for each
        dims = dict.fromkeys(dims, "") if all([isinstance(d, int) for d in dims]) else dict(enumerate(dims))
    called = {dim: name if isinstance(name, str) else getattr(name, "__name__", "") for dim,
              name in dims.items()}
    return {dim: name for dim, name in called.items() if dims[dim] is not None
            and not isinstance(dims[dim], int)}


def varying_dims(inputs: list[str], args: dict, dynamic_axes, dynamic_shapes) -> dict[str, dict[int, str]]:
    """For each input the dimensions that vary and their names; those without a name get one."""
    if dynamic_axes is not None and dynamic_shapes is not None:
        raise ValueError("dynamic_axes and dynamic_shapes say the same: use one of them")
    given = dict(dynamic_axes or {})
    if dynamic_shapes is not None:
        if not isinstance(dynamic_shapes, Mapping): dynamic_shapes = dict(zip(args, dynamic_shapes))
        given = dict(zip(inputs,
                         [dims for name, x in args.items() for dims in spread(dynamic_shapes.get(name), x)]))
    return {name: {dim: called or f"{name}_dim_{dim}" for dim, called in names_of(given.get(name)).items()}
            for name in inputs}


def spread(dims, tree) -> list:
    """What is said of an argument, for each tensor in it."""
    if isinstance(tree, Tensor): return [dims]
    if dims is None: return [None] * len(leaves(tree))
    parts = zip(dims.values(), tree.values()) if isinstance(tree, Mapping) else zip(dims, tree)
    return [x for said, part in parts for x in spread(said, part)]


# other lengths than n; the i-th size that varies changes by another step than the first
SIZES = (
    lambda n, i: 2 * n + 1 + i, lambda n, i: n * (2 + i), lambda n, i: n + 1 + i, lambda n, i: n - 1 - i,
    lambda n, i: n // (2 + i),
)


def resized(x: Tensor, lengths: dict[int, int]) -> Tensor:
    """A tensor with other lengths along some dimensions, made of the same numbers, one place further on."""
    array = np.roll(x.array.reshape(-1), 1).reshape(x.shape) if x.array.size else x.array
    for dim, n in lengths.items(): array = np.take(array, np.arange(n) % max(x.shape[dim], 1), axis=dim)
    return Tensor(np.ascontiguousarray(array))


def other_lengths(tensors: list[Tensor], dims: list[dict[int, str]], grow: Callable) -> dict[str, int]:
    """For each size that varies another length."""
    found: dict[str, int] = {}
    for x, said in zip(tensors, dims):
        for dim, name in said.items():
            if not 0 <= dim < x.ndim:
                raise ValueError(f"an input of shape {tuple(x.shape)} has no dim {dim}")
            n = found.setdefault(name, x.shape[dim])
            if n != x.shape[dim]:
                raise ValueError(f"{name} is {n} in one input and {x.shape[dim]} in another")
    return {name: grow(n, i) for i, (name, n) in enumerate(found.items())}


@contextmanager
def at_work(model):
    """The model in evaluation mode, and afterwards every part as it was."""
    modes = [(part, part.training) for part in model.modules()] if hasattr(model, "modules") else []
    if modes: model.eval()
    try: yield
    finally:
        for part, training in modes: part.training = training


class Run(NamedTuple):
    """One time that the model ran: what went in, what happened, what came out."""

    inputs: list[Tensor]
    steps: list[Step]
    answer: Any
    before: dict                    # the numbers of tensors that were written over, before that

    @property
    def outputs(self) -> list[Tensor]: return leaves(self.answer)


def trace(model, args: tuple, kwargs: dict) -> Run:
    """What happens when the model is called."""
    with no_grad(), using(Tracer()) as tracer: answer = model(*args, **kwargs)
    return Run(leaves((args, kwargs)), tracer.steps, answer, tracer.before)


def together(one: list[Step], two: list[Step]) -> list[Step]:
    """The steps of two runs as one list, in which numbers vary that differ."""
    for n, (a, b) in enumerate(zip(one, two)):
        if a.op is not b.op:
            raise BakedIn(f"the model takes another way for other inputs: step {n} is {a.op.name} for one "
                          f"and {b.op.name} for the other. A graph has no branch, and no loop over a size "
                          "that varies")
    if len(one) != len(two):
        raise BakedIn(f"the model takes {len(one)} steps for some inputs and {len(two)} for others: a loop "
                      "over a size that varies cannot be written as a graph")
    return [Step(a.op, merged_inputs(a, b), merged(a.settings, b.settings, a.op.name), a.out, b)
            for a, b in zip(one, two)]


def merged_inputs(a: Step, b: Step) -> tuple:
    return tuple([x if hasattr(x, "dtype") else merged(x, y, f"an input of {a.op.name}")
                  for x, y in zip(a.inputs, b.inputs)])


def weights_of(model) -> dict[str, Tensor]:
    """Parameters and buffers, by the names of the state_dict."""
    if not hasattr(model, "named_parameters"): return {}
    return dict([*model.named_parameters(remove_duplicate=False),
                 *model.named_buffers(remove_duplicate=False)])


def export(
    model,                                  # a module, or any function of tensors
    args=(),                                # what it is called with, as an example
    f=None,                                 # a path; None: only the program is returned
    *,
    kwargs: dict | None = None,
    verbose: bool | None = None,            # prints the nodes
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,       # 18 to 26
    dynamo: bool = True,                    # PyTorch's way to choose among exporters; there is one here
    external_data: bool = False,            # weights in a file beside it: needed from 2 GB on
    dynamic_shapes=None,
    custom_translation_table: dict | None = None,   # rules for ops, as under @onnx(op)
    optimize: bool = True,                  # the runtime does it
    verify: bool = False,                   # runs the file in ONNX Runtime on the example, and compares
    export_params: bool = True,             # False: weights become inputs
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping | None = None,
    do_constant_folding: bool = True,       # the runtime does it
) -> ONNXProgram:
    """Writes what the model computes as an ONNX file, and checks it.

    A number that follows from the size of an input, and would be baked into the file, is a BakedIn error.
    """
    opset = opset_for(opset_version)
    args, kwargs = args if isinstance(args, tuple) else (args,), dict(kwargs or {})
    given = called_with(model, args, kwargs)
    inputs = input_names_for(given, input_names)
    dims = varying_dims(inputs, given, dynamic_axes, dynamic_shapes)
    known = (*inputs, *(output_names or ()))
    if unknown := [name for name in dynamic_axes or {} if name not in known]:
        raise ValueError(f"dynamic_axes speaks of {', '.join(unknown)}; the inputs are {', '.join(inputs)}")
    with at_work(model):
        one = trace(model, *grown((args, kwargs), clone))           # a model may write over its input
        two = second_run(model, args, kwargs, list(dims.values()))
    if not one.outputs: raise TypeError(f"a graph ends in tensors, and the model answers {one.answer!r}")
    program = ONNXProgram(Page(opset), model, dims)
    program.write(one, two, list(output_names or ()), custom_translation_table or {})
    program.finish(export_params, keep_initializers_as_inputs)
    if verbose: print(program)
    if f is not None: program.save(f, external_data=external_data)
    if verify: program.compare(leaves((args, kwargs)), one.outputs)
    return program


def called_with(model, args: tuple, kwargs: dict) -> dict:
    """The arguments by the names of the function's parameters."""
    call = getattr(model, "forward", model)
    bound = inspect.signature(call).bind(*args, **kwargs).arguments
    kinds = inspect.signature(call).parameters
    found: dict = {}
    for name, x in bound.items():
        if kinds[name].kind is inspect.Parameter.VAR_POSITIONAL:
            found |= {f"{name}_{i}": part for i, part in enumerate(x)}
        elif kinds[name].kind is inspect.Parameter.VAR_KEYWORD: found |= x
        else: found[name] = x
    return found


def input_names_for(given: dict, wanted: Sequence[str] | None) -> list[str]:
    """A name for each tensor that goes in."""
    names = [name if len(found) == 1 else f"{name}_{i}" for name, x in given.items()
             for found in [leaves(x)] for i in range(len(found))]
    wanted = list(wanted or ())
    if len(wanted) > len(names):
        raise ValueError(f"input_names has {len(wanted)} names for {len(names)} inputs")
    return wanted + names[len(wanted) :]


def second_run(model, args: tuple, kwargs: dict, dims: list[dict[int, str]]) -> Run:
    """A run with other inputs; their sizes are tried until the model takes them."""
    tensors, refused = leaves((args, kwargs)), None
    for grow in SIZES if any(dims) else SIZES[:1]:
        lengths = other_lengths(tensors, dims, grow)
        if any([n < 1 for n in lengths.values()]): continue
        sizes = iter([{dim: lengths[name] for dim, name in said.items()} for said in dims])
        other = grown((args, kwargs), lambda x, sizes=sizes: resized(x, next(sizes)))
        try: return trace(model, *other)
        except (ValueError, IndexError, RuntimeError) as error: refused = refused or error
    names = ", ".join(sorted(lengths)) or "nothing"
    raise BakedIn(f"{names} should vary, but the model takes no other: {refused}") from refused


class ONNXProgram:
    """A model as nodes, and as the protocol buffer that is in the file."""

    def __init__(self, page: Page, model, dims: dict[str, dict[int, str]]):
        self.page, self.model, self.dims = page, model, dims
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.model_proto = None

    def __str__(self):
        lines = [f"{', '.join(x.name for x in self.inputs)} -> {', '.join(x.name for x in self.outputs)}"]
        return "\n".join([*lines, *map(str, self.page.nodes)])

    def __repr__(self): return f"<ONNXProgram of {len(self.page.nodes)} nodes, opset {self.page.opset}>"

    def write(self, one: Run, two: Run, wanted: list[str], translations: dict) -> None:
        """Writes all steps as nodes; then inputs and outputs have their names."""
        page, names = self.page, Names(self.page, weights_of(self.model), one.before | two.before)
        if len(wanted) > len(one.outputs):
            raise ValueError(f"output_names has {len(wanted)} names for {len(one.outputs)} outputs")
        for name in (*self.dims, *wanted): page.fresh(name)
        for name, x, twin in zip(self.dims, one.inputs, two.inputs):
            self.inputs.append(page.note(value_of(name, x, twin)))
            names.put(x, self.inputs[-1])
        with translated(translations): write_nodes(page, together(one.steps, two.steps), names)
        wanted += [page.fresh("output") for _ in one.outputs[len(wanted) :]]
        for name, x, twin in zip(wanted, one.outputs, two.outputs):
            page.about = f"output {name}"
            value = names.of(x, twin)
            page.nodes.append(Node("Identity", (value.name,), (name,), {}))
            self.outputs.append(value._replace(name=name))

    def finish(self, export_params: bool, as_inputs: bool) -> None:
        """Leaves out what nobody reads, and makes the protocol buffer."""
        onnx = package()
        page = self.page
        page.nodes = tidied(page.nodes, {x.name for x in self.outputs})
        read = {name for node in page.nodes for name in node.inputs}
        weights = {name: array for name, array in page.constants.items() if name in read}
        h = onnx.helper
        initial = [onnx.numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape), name)
                   for name, x in weights.items()]
        inputs = [self.told(x) for x in self.inputs]
        own = {x for x in weights_of(self.model)}
        if not export_params or as_inputs:
            inputs += [h.make_tensor_value_info(name, h.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                       for name, x in weights.items() if name in own or as_inputs]
        if not export_params: initial = [x for x in initial if x.name not in own]
        graph = h.make_graph([proto_of(node) for node in page.nodes], type(self.model).__name__, inputs,
                             [self.told(x) for x in self.outputs], initial)
        from tinytorch import __version__
        self.model_proto = h.make_model(
            graph, opset_imports=[h.make_opsetid("", page.opset)], producer_name="tinytorch",
            producer_version=__version__, ir_version=format_for(page.opset))
        onnx.checker.check_model(self.model_proto, full_check=self.model_proto.ByteSize() < 2**30)

    def told(self, x: Value):
        """An input or output as the file describes it: lengths that vary by their names."""
        h = package().helper
        called = {}
        for value in self.inputs:
            for dim, name in self.dims[value.name].items():
                n = value.shape[dim]
                if isinstance(n, Varying): called[int(n), n.other] = name
        shape = [called.get((int(n), n.other)) if isinstance(n, Varying) else int(n) for n in x.shape]
        return h.make_tensor_value_info(x.name, h.np_dtype_to_tensor_dtype(x.kind), shape)

    def save(self, destination, *, external_data: bool = False) -> None:
        """Writes the file, and the weights beside it if asked for, or if they are too many for one file."""
        onnx, path = package(), Path(os.fspath(destination))
        if not external_data and self.model_proto.ByteSize() < 2**31 - 2**20:
            path.write_bytes(self.model_proto.SerializeToString())
            return
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model_proto)
        path.with_name(path.name + ".data").unlink(missing_ok=True)
        onnx.save_model(copy, path, save_as_external_data=True, location=path.name + ".data",
                        size_threshold=1024)

    def compare(self, inputs: list[Tensor], answers: list[Tensor], close: float = 1e-4) -> None:
        """Runs the program in ONNX Runtime; AssertionError if it answers otherwise than the model."""
        for name, mine, theirs in zip([x.name for x in self.outputs], answers, self.run(inputs)):
            far = np.abs(mine.array - theirs).max(initial=0) / max(1.0, np.abs(mine.array).max(initial=0))
            if not far <= close: raise AssertionError(f"{name} differs by {far:.1e} in ONNX Runtime")

    def run(self, inputs: list) -> list:
        """What ONNX Runtime answers, as arrays."""
        session = package("onnxruntime").InferenceSession(
            self.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
        feeds = {x.name: np.asarray(given) for x, given in zip(self.inputs, inputs)}
        return session.run([x.name for x in self.outputs], feeds)

    def __call__(self, *inputs) -> list[Tensor]:
        """What ONNX Runtime answers, as tensors."""
        return [Tensor(x) for x in self.run(list(inputs))]


@contextmanager
def translated(table: dict):
    """Other rules for some ops, for a while."""
    usual = dict(NODES)
    NODES.update(table)
    try: yield
    finally:
        NODES.clear()
        NODES.update(usual)


def proto_of(node: Node):
    """A node as ONNX has it."""
    h = package().helper
    attributes = {key: h.np_dtype_to_tensor_dtype(x) if isinstance(x, np.dtype) else x
                  for key, x in node.attributes.items()}
    return h.make_node(node.kind, node.inputs, node.outputs, name=f"{node.kind}_{node.outputs[0]}",
                       **attributes)


def format_for(opset: int) -> int:
    """The version of the file format: the one that came with the opset."""
    table = package().helper.OP_SET_ID_VERSION_MAP
    return min(table.get(("ai.onnx", opset), NEWEST_FORMAT), NEWEST_FORMAT)


def tidied(nodes: list[Node], wanted: set[str]) -> list[Node]:
    """The nodes that somebody reads, without those that only pass something on."""
    passed, kept, needed = {}, [], set(wanted)
    for node in nodes:
        node = node._replace(inputs=tuple([passed.get(name, name) for name in node.inputs]))
        if node.kind == "Identity" and node.outputs[0] not in wanted: passed[node.outputs[0]] = node.inputs[0]
        else: kept.append(node)
    read: list[Node] = []
    for node in reversed(kept):
        if needed.isdisjoint(node.outputs): continue
        needed.update(node.inputs)
        read.append(node)
    return read[::-1]
