# Generated from modules/15_mlops/appendix_nodes_shapes.py by `tito export`. Edit that file, not this one.
"""Nodes for shapes, slices, indices, and for joining and cutting."""

from __future__ import annotations

import numpy as np

from . import indexing, room, shaping
from .dtypes import as_dtype
from .mlops import reshaped
from .nodes import NODES, BakedIn, Page, Unwritten, Value, Varying, onnx
from .tensor import Tensor, expand, permute, select_index, transpose

__all__ = [
    "FAR", "order_of", "sliced", "full", "places_in", "is_mask", "is_number", "places_value", "picked",
    "triangle", "fixed", "at", "spread_out", "in_order",
]


FAR = 2**62                     # where a slice ends that goes to the end


@onnx(shaping.detach, shaping.clone, shaping.move)
def _(page, x, memory_format=None, device=None): return page.node("Identity", x)

@onnx(shaping.convert)
def _(page, x, dtype): return page.cast(x, as_dtype(dtype).numpy)

def order_of(page: Page, x: Value, order) -> Value:
    return page.node("Transpose", x, perm=[int(d) for d in order])

@onnx(transpose)
def _(page, x, dim0, dim1):
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return order_of(page, x, order)

@onnx(permute)
def _(page, x, dims): return order_of(page, x, [d % x.ndim for d in dims])

@onnx(expand)
def _(page, x, size):
    size = (size,) if isinstance(size, int) else tuple(size)
    lengths = (1,) * (len(size) - x.ndim) + tuple(x.shape)
    lengths = [old if new == -1 else new for old, new in zip(lengths, size)]
    return page.node("Expand", x, page.lengths(lengths))

@onnx(shaping.squeeze)
def _(page, x, dim=None):
    dims = range(x.ndim) if dim is None else [d % max(x.ndim, 1) for d in shaping.several(dim)]
    away = [d for d in dims if d < x.ndim and x.shape[d] == 1 and not isinstance(x.shape[d], Varying)]
    return page.node("Squeeze", x, page.lengths(away)) if away else page.node("Identity", x)

@onnx(shaping.unsqueeze)
def _(page, x, dim): return page.node("Unsqueeze", x, page.lengths(dim))


def sliced(page: Page, x: Value, cuts: dict[int, slice]) -> Value:
    """The value between some places along some dimensions."""
    cuts = {dim: cut for dim, cut in cuts.items() if cut != slice(None)}
    if not cuts: return x
    steps = [cut.step or 1 for cut in cuts.values()]
    whole = [(0, FAR) if step > 0 else (FAR, -FAR) for step in steps]
    starts = [first if cut.start is None else cut.start for cut, (first, _) in zip(cuts.values(), whole)]
    ends = [last if cut.stop is None else cut.stop for cut, (_, last) in zip(cuts.values(), whole)]
    return page.node("Slice", x, *map(page.lengths, (starts, ends, list(cuts), steps)))


def full(index, ndim: int) -> list:
    """An index with a part for every dimension."""
    index = list(index) if isinstance(index, tuple) else [index]
    eaten = sum([0 if part is None or part is ... else places_in(part) for part in index])
    rest = [slice(None)] * (ndim - eaten)
    where = next((i for i, part in enumerate(index) if part is ...), len(index))
    return index[:where] + rest + index[where + 1 :]


def places_in(part) -> int:
    """How many dimensions a part of an index takes: a mask takes as many as it has."""
    return part.ndim if is_mask(part) else 1


def is_mask(part) -> bool:
    """Whether a part of an index says yes or no to places, rather than name them."""
    return str(getattr(part, "dtype", getattr(part, "kind", ""))) == "bool" or isinstance(part, bool)


def is_number(part) -> bool: return isinstance(part, (int, np.integer)) and not isinstance(part, bool)


@onnx(select_index)
def _(page, x, index):
    parts = full(index, x.ndim)
    if any(map(is_mask, parts)):
        raise Unwritten("an index of True and False has no node here: where(mask, x, y) has")
    cuts, numbers, fancy, new, dim = {}, {}, {}, [], 0
    for at, part in enumerate(parts):
        if part is None: new.append(at - len(numbers))
        else:
            (numbers if is_number(part) else cuts if isinstance(part, slice) else fancy)[dim] = part
            dim += 1
    for d in reversed(numbers): x = page.node("Gather", x, page.single(numbers[d]), axis=d)
    def left(found): return {d - sum([n < d for n in numbers]): part for d, part in found.items()}
    x = sliced(page, x, left(cuts))
    if fancy: x = picked(page, x, left(fancy), bool(new))
    elif new: x = page.node("Unsqueeze", x, page.lengths(new))
    return page.node("Identity", x)


def places_value(page: Page, places) -> Value:
    """Places as a value of int64."""
    if isinstance(places, Value): return page.cast(places, np.int64)
    if isinstance(places, Tensor): places = places.array
    return page.constant(np.asarray(places).astype(np.int64))


def picked(page: Page, x: Value, fancy: dict, new: bool) -> Value:
    """The places that tensors name, along one dimension or along the first few together: x[rows, columns]."""
    dims = sorted(fancy)
    if new or (len(dims) > 1 and dims != list(range(len(dims)))):
        raise Unwritten(f"an index with places along dims {dims}, or with None beside them, has no node "
                        "here: put them first")
    rows = [places_value(page, fancy[dim]) for dim in dims]
    if len(rows) == 1: return page.node("Gather", x, rows[0], axis=dims[0])
    meeting = np.broadcast_shapes(*[tuple(map(int, row.shape)) for row in rows])
    if any([isinstance(n, Varying) for row in rows for n in row.shape]):
        raise BakedIn(f"{page.about} picks as many places as the inputs are long")
    together = [page.node("Unsqueeze", page.node("Expand", row, page.lengths(meeting)), page.lengths(-1))
                for row in rows]
    return page.node("GatherND", x, page.node("Concat", *together, axis=-1))


@onnx(shaping.narrow)
def _(page, x, dim, start, length):
    dim = dim % x.ndim
    if start < 0: start += x.shape[dim]
    return sliced(page, x, {dim: slice(start, start + length)})

@onnx(shaping.select)
def _(page, x, dim, index): return page.node("Gather", x, page.constant(np.array(int(index))), axis=dim)

@onnx(shaping.unbind)
def _(page, x, dim=0):
    dim = dim % x.ndim
    if isinstance(x.shape[dim], Varying):
        raise BakedIn(f"{page.about} has an output for each of {x.shape[dim]}")
    return tuple([page.node("Gather", x, page.constant(np.array(i)), axis=dim) for i in range(x.shape[dim])])

@onnx(shaping.split)
def _(page, x, split_size_or_sections, dim=0):
    dim = dim % x.ndim
    lengths = shaping.sections(split_size_or_sections, x.shape[dim])
    if isinstance(x.shape[dim], Varying):
        raise BakedIn(f"{page.about} cuts {x.shape[dim]} into {len(lengths)}")
    return page.node("Split", x, page.lengths(lengths), outputs=len(lengths), axis=dim)

@onnx(shaping.cat)
def _(page, *inputs, dim=0):
    inputs = [x for x in inputs if x.shape != (0,)] or list(inputs)
    return page.node("Concat", *inputs, axis=dim)

@onnx(shaping.stack)
def _(page, *inputs, dim=0):
    at = page.lengths(dim % (inputs[0].ndim + 1))
    return page.node("Concat", *[page.node("Unsqueeze", x, at) for x in inputs],
                     axis=dim % (inputs[0].ndim + 1))

@onnx(shaping.repeat)
def _(page, x, repeats):
    repeats = shaping.several(repeats)
    if len(repeats) > x.ndim: x = reshaped(page, x, (1,) * (len(repeats) - x.ndim) + tuple(x.shape))
    return page.node("Tile", x, page.lengths(repeats))

@onnx(shaping.repeat_interleave)
def _(page, x, repeats=None, dim=None, output_size=None):
    if not isinstance(repeats, int):
        raise Unwritten("repeat_interleave with a number for each place has no node: only with one for all")
    if dim is None: x, dim, shape = page.node("Reshape", x, page.lengths(-1)), 0, (-1,)
    else: dim, shape = dim % x.ndim, tuple(x.shape)
    wide = page.node("Unsqueeze", x, page.lengths(dim + 1))
    wide = page.node("Tile", wide, page.lengths([1] * (dim + 1) + [repeats] + [1] * (len(shape) - dim - 1)))
    return page.node("Reshape", wide, page.lengths([*shape[:dim], -1, *shape[dim + 1 :]]))

@onnx(shaping.flip)
def _(page, x, dims):
    return sliced(page, x, {d % x.ndim: slice(None, None, -1) for d in shaping.several(dims)})

@onnx(shaping.roll)
def _(page, x, shifts, dims=None):
    if dims is None: raise Unwritten("roll without dims has no node: name them")
    for shift, dim in zip(shaping.several(shifts), shaping.several(dims)):
        dim = dim % x.ndim
        if isinstance(x.shape[dim], Varying): raise BakedIn(f"{page.about} shifts along a length that varies")
        cut = -shift % max(x.shape[dim], 1)
        halves = [sliced(page, x, {dim: slice(cut, None)}), sliced(page, x, {dim: slice(None, cut)})]
        x = page.node("Concat", *halves, axis=dim)._replace(shape=x.shape, kind=x.kind) if cut else x
    return x

@onnx(shaping.tril)
def _(page, x, diagonal=0): return triangle(page, x, diagonal, 0)

@onnx(shaping.triu)
def _(page, x, diagonal=0): return triangle(page, x, diagonal, 1)

def triangle(page: Page, x: Value, diagonal: int, upper: int) -> Value:
    return page.node("Trilu", x, page.constant(np.array(diagonal)), upper=upper)

@onnx(shaping.unfold)
def _(page, x, dimension, size, step):
    dim = dimension % x.ndim
    if isinstance(x.shape[dim], Varying): raise BakedIn(f"{page.about} cuts windows of a length that varies")
    places = np.arange(size) + step * np.arange((x.shape[dim] - size) // step + 1)[:, None]
    taken = page.node("Gather", x, page.constant(places), axis=dim)             # (*, places, size, *)
    return order_of(page, taken, [d for d in range(x.ndim + 1) if d != dim + 1] + [dim + 1])


@onnx(indexing.put_index)
def _(page, x, values, index, accumulate=False):
    values = page.cast(values, x.kind) if isinstance(values, Value) else page.like(values, x)
    if index is ...:
        return values if values.shape == x.shape else page.node("Expand", values, page.lengths(x.shape))
    if any([isinstance(n, Varying) for n in x.shape]) or not fixed(index):
        raise BakedIn(f"{page.about} writes into a part of a tensor whose size varies: put the parts "
                      "together by cat, or choose by where")
    places = np.arange(np.prod(x.shape, dtype=np.int64)).reshape(x.shape)[index]
    coordinates = np.stack(np.unravel_index(places, x.shape), -1)
    values = page.node("Expand", values, page.lengths(places.shape))
    meet = "add" if accumulate else None
    return page.node("ScatterND", x, page.constant(coordinates), values, reduction=meet)


def fixed(index) -> bool:
    """Whether an index is made of numbers, slices, None and the like."""
    parts = index if isinstance(index, tuple) else (index,)
    return all([part is None or part is ... or is_number(part) or isinstance(part, slice) for part in parts])


@onnx(shaping.select_scatter)
def _(page, x, src, dim, index): return NODES[indexing.put_index](page, x, src, at(dim % x.ndim, index))

@onnx(shaping.slice_scatter)
def _(page, x, src, dim=0, start=None, end=None, step=1):
    return NODES[indexing.put_index](page, x, src, at(dim % x.ndim, slice(start, end, step)))

def at(dim: int, part) -> tuple: return (slice(None),) * dim + (part,)

@onnx(indexing.gather)
def _(page, x, index, dim, sparse_grad=False): return page.node("GatherElements", x, index, axis=dim)

@onnx(indexing.take_along_dim)
def _(page, x, index, dim=None):
    if dim is not None: return page.node("GatherElements", x, index, axis=dim)
    return page.node("Gather", *[page.node("Reshape", part, page.lengths(-1)) for part in (x, index)])

@onnx(indexing.index_select)
def _(page, x, index, dim): return page.node("Gather", x, index, axis=dim)

@onnx(indexing.take)
def _(page, x, index): return page.node("Gather", page.node("Reshape", x, page.lengths(-1)), index)

@onnx(indexing.scatter)
def _(page, x, index, src, dim, reduce=None):
    meet = {None: None, "add": "add", "multiply": "mul"}[reduce]
    if not isinstance(src, Value): src = page.node("Expand", page.like(src, x), page.lengths(index.shape))
    return page.node("ScatterElements", x, index, src, axis=dim, reduction=meet)

@onnx(indexing.scatter_add)
def _(page, x, index, src, dim): return page.node("ScatterElements", x, index, src, axis=dim, reduction="add")

@onnx(indexing.scatter_reduce)
def _(page, x, index, src, reduce, dim, include_self=True):
    meet = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in meet or not include_self:
        raise Unwritten(f"scatter_reduce by {reduce!r}, include_self={include_self}, has no node")
    return page.node("ScatterElements", x, index, src, axis=dim, reduction=meet[reduce])

@onnx(indexing.index_add)
def _(page, x, index, source, dim, alpha=1):
    if alpha != 1: source = page.node("Mul", source, page.like(alpha, x))._replace(shape=source.shape)
    return page.node("ScatterElements", x, spread_out(page, index, source, dim % x.ndim), source, axis=dim,
                     reduction="add")

@onnx(indexing.index_copy)
def _(page, x, index, source, dim):
    return page.node("ScatterElements", x, spread_out(page, index, source, dim % x.ndim), source, axis=dim)

def spread_out(page: Page, index: Value, source: Value, dim: int) -> Value:
    """A line of places along a dimension, as a place for each number of the source."""
    line = reshaped(page, index, [-1 if d == dim else 1 for d in range(source.ndim)])
    return page.node("Expand", line, page.lengths(source.shape))

@onnx(indexing.put)
def _(page, x, index, source, accumulate=False):
    line, places, numbers = [page.node("Reshape", part, page.lengths(-1)) for part in (x, index, source)]
    out = page.node("ScatterElements", line, places, numbers, axis=0, reduction="add" if accumulate else None)
    return reshaped(page, out, x.shape)

@onnx(indexing.argwhere)
def _(page, x): return page.node("Transpose", page.node("NonZero", x), perm=[1, 0])

@onnx(indexing.kthvalue)
def _(page, x, k, dim=-1, keepdim=False):
    at = page.constant(np.array([k - 1]))
    found = [page.node("Gather", part, at, axis=dim)
             for part in page.node("TopK", x, page.lengths(k), outputs=2, axis=dim, largest=0, sorted=1)]
    return tuple(found if keepdim else [page.node("Squeeze", part, page.lengths(dim)) for part in found])

@onnx(indexing.topk)
def _(page, x, k, dim=-1, largest=True, sorted=True):
    return page.node("TopK", x, page.lengths(k), outputs=2, axis=dim, largest=int(largest),
                     sorted=int(sorted))

@onnx(indexing.sort)
def _(page, x, dim=-1, descending=False, stable=False): return in_order(page, x, dim, descending)

@onnx(indexing.argsort)
def _(page, x, dim=-1, descending=False, stable=False): return in_order(page, x, dim, descending)[1]

def in_order(page: Page, x: Value, dim: int, descending: bool) -> tuple:
    return page.node("TopK", x, page.lengths(x.shape[dim]), outputs=2, axis=dim, largest=int(descending),
                     sorted=1)

@onnx(indexing.nonzero)
def _(page, x, as_tuple=False):
    if as_tuple: raise Unwritten("nonzero(as_tuple=True) has no node: ask for the one tensor")
    return page.node("Transpose", page.node("NonZero", x), perm=[1, 0])

@onnx(indexing.masked_select)
def _(page, x, mask):
    flat = [page.node("Reshape", part, page.lengths(-1)) for part in (x, mask)]
    return page.node("Compress", *flat)


@onnx(room.pad)
def _(page, x, pad, mode="constant", value=None):
    pad = tuple(pad)
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    ends = page.lengths([first for first, _ in pairs] + [last for _, last in pairs])
    kind = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    if kind == "wrap" and page.opset < 19: raise Unwritten("pad in mode 'circular' needs opset 19 or newer")
    return page.node("Pad", x, ends, page.like(value or 0, x) if kind == "constant" else None, mode=kind)

@onnx(shaping.diagonal)
def _(page, x, offset=0, dim1=0, dim2=1):
    first, second = dim1 % x.ndim, dim2 % x.ndim
    if isinstance(x.shape[first], Varying) or isinstance(x.shape[second], Varying):
        raise BakedIn(f"{page.about} takes the diagonal of a matrix whose size varies")
    rest = [d for d in range(x.ndim) if d not in (first, second)]
    x = order_of(page, x, [first, second, *rest])._replace(shape=x.shape)
    n = len(np.diagonal(np.empty((x.shape[first], x.shape[second])), offset))
    places = np.arange(n)[:, None] + np.array([[max(-offset, 0), max(offset, 0)]])
    return order_of(page, page.node("GatherND", x, page.constant(places)), [*range(1, len(rest) + 1), 0])
