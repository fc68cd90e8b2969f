# Generated from modules/02_tensor/appendix_shaping.py by `tito export`. Edit that file, not this one.
"""Joining, cutting and turning tensors, and turning their numbers into another dtype."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np

from .creation import lengths
from .devices import JOURNEYS, beside, window
from .dtypes import Size, as_dtype, device as Device, dtype, dtype_of, int64, named
from .errors import ShapeError
from .methods import METHODS, method
from .tensor import (
    Op, Tensor, broadcast_shapes, common, expand, is_contiguous, permute, reshape, select_index, sharing,
    tensor, transpose, view,
)

__all__ = [
    "place", "places", "several", "along", "joined", "joining", "cat", "stack", "concat", "concatenate",
    "each", "atleast_1d", "atleast_2d", "atleast_3d", "hstack", "vstack", "dstack", "column_stack",
    "row_stack", "block_diag", "split", "sections", "unbind", "chunk", "split_with_sizes", "tensor_split",
    "even", "hsplit", "vsplit", "dsplit", "narrow", "select", "select_scatter", "slice_scatter",
    "diagonal_scatter", "replaced", "fitting", "squeeze", "unsqueeze", "flatten", "unflatten", "ravel",
    "view_as", "reshape_as", "movedim", "t", "adjoint", "swapaxes", "moveaxis", "swapdims", "broadcast_to",
    "broadcast_tensors", "expand_as", "repeat", "tile", "repeat_interleave", "flip", "roll", "fliplr",
    "flipud", "rot90", "diagonal", "diag_embed", "diag", "fill_diagonal_", "diagflat", "tril", "triu",
    "tril_indices", "triu_indices", "unfold", "owner", "address", "strided", "as_strided", "meshgrid",
    "cartesian_prod", "combinations", "memory_format", "preserve_format", "contiguous_format",
    "channels_last", "clone", "contiguous", "detach", "convert", "move", "to", "type_as", "cpu", "cuda",
    "conversion", "CONVERSIONS", "can_cast", "legacy_type", "numel", "dim", "element_size", "data_ptr",
    "storage_offset", "is_same_size", "get_device", "requires_grad_", "deepcopy",
]


def place(dim: int, ndim: int) -> int:
    """The dimension counted from the front; IndexError if there is none of that number."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"there is no dimension {dim} here: dimensions go from {-n} to {n - 1}")
    return dim % n


def places(dims, ndim: int) -> tuple[int, ...]:
    """Several dimensions, or one, counted from the front; none may come twice."""
    found = tuple([place(dim, ndim) for dim in several(dims)])
    if len(set(found)) < len(found): raise ShapeError(f"dimensions {dims} name one of them twice")
    return found


def several(numbers) -> tuple[int, ...]:
    """One whole number or several, as a tuple."""
    return (int(numbers),) if isinstance(numbers, (int, np.integer)) else tuple(numbers)


def along(dim: int, part) -> tuple:
    """The index that takes `part` of one dimension and all of the others."""
    return (slice(None),) * dim + (part,)


def joined(tensors):
    """The arrays in their common dtype."""
    if not tensors: raise ShapeError("nothing to join: the list of tensors is empty")
    return tensors if len({getattr(x, "dtype", None) for x in tensors}) == 1 else common(tensors)


def joining(forward) -> Op:
    """An op that joins tensors of any number."""
    return Op(forward, promote=joined)


@joining
def cat(*tensors, dim=0):
    """Tensors one behind the other along `dim`.  (*, n, *), (*, m, *) -> (*, n + m, *)"""
    return np.concatenate([x for x in tensors if x.shape != (0,)] or tensors, axis=dim)


@joining
def stack(*tensors, dim=0):
    """Tensors of one shape side by side along a new dimension.  (*), (*) -> (2, *)"""
    return np.stack(tensors, axis=dim)


concat = concatenate = cat


def each(grow, tensors):
    """`grow` of a tensor, or of every tensor of several."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)): tensors = tensors[0]
    elif len(tensors) == 1: return grow(tensors[0])
    return tuple([grow(x) for x in tensors])


def atleast_1d(*tensors):
    """A single number becomes a row of one.  () -> (1)"""
    return each(lambda x: x if x.ndim else reshape(x, 1), tensors)


def atleast_2d(*tensors):
    """A row becomes a matrix with one row.  (n) -> (1, n)"""
    return each(lambda x: x if x.ndim > 1 else reshape(x, (1, -1)), tensors)


def atleast_3d(*tensors):
    """A matrix gets a third dimension at its end, a row one on either side.  (n, m) -> (n, m, 1)"""
    def grow(x): return x if x.ndim > 2 else reshape(x, (*x.shape, 1) if x.ndim == 2 else (1, -1, 1))
    return each(grow, tensors)


def hstack(tensors):
    """Tensors beside each other: along dim 1, rows along dim 0.  (n, a), (n, b) -> (n, a + b)"""
    tensors = [atleast_1d(x) for x in tensors]
    return cat(tensors, 0 if not tensors or tensors[0].ndim == 1 else 1)


def vstack(tensors):
    """Tensors below each other, along dim 0.  (a, m), (b, m) -> (a + b, m)"""
    return cat([atleast_2d(x) for x in tensors], 0)


def dstack(tensors):
    """Tensors behind each other, along dim 2.  (n, m, a), (n, m, b) -> (n, m, a + b)"""
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors):
    """Rows as the columns of a matrix; matrices beside each other.  (n), (n) -> (n, 2)"""
    return cat([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in tensors], 1)


row_stack = vstack


def block_diag(*tensors):
    """Matrices along the diagonal of a large one.  (n, m), (k, l) -> (n + k, m + l)"""
    blocks = [atleast_2d(x) for x in tensors or [tensor([])]]
    if any([b.ndim > 2 for b in blocks]):
        raise ShapeError("block_diag takes matrices, rows and single numbers")
    width, rows, left = sum([b.shape[1] for b in blocks]), [], 0
    for b in blocks:
        n, m = b.shape
        rows.append(cat([b.new_zeros(n, left), b, b.new_zeros(n, width - left - m)], 1))
        left += m
    return cat(rows, 0)


@sharing
def split(tensor, /, split_size_or_sections, dim=0):
    """Pieces of one length, but for the last, or of the lengths in a list; views.  (n, *) -> (k, *), …"""
    if tensor.ndim == 0: raise ShapeError("split cannot cut a single number")
    dim = place(dim, tensor.ndim)
    ends = list(itertools.accumulate(sections(split_size_or_sections, tensor.shape[dim])))
    return tuple([tensor[along(dim, slice(start, end))] for start, end in zip([0, *ends], ends)])


def sections(size, n: int) -> list[int]:
    """The lengths of the pieces into which `n` is cut."""
    if not isinstance(size, (int, np.integer)):
        if sum(size) != n or min(size, default=0) < 0:
            raise ShapeError(f"pieces of lengths {list(size)} do not make up {n}")
        return list(size)
    if size < 0 or (size == 0 and n): raise ShapeError(f"split cannot cut {n} into pieces of length {size}")
    return [min(size, n - start) for start in range(0, n, size or 1)] or [0]


@sharing
def unbind(input, /, dim=0):
    """The tensors that stand side by side along `dim`; views.  (n, *) -> (*), …"""
    if input.ndim == 0: raise IndexError("unbind cannot take a single number apart")
    dim = place(dim, input.ndim)
    return tuple([input[(*along(dim, i), ...)] for i in range(input.shape[dim])])


@method
def chunk(input, chunks: int, dim: int = 0):
    """At most `chunks` pieces of equal length, but for the last; views."""
    if chunks < 1: raise ShapeError(f"chunk makes at least 1 piece, not {chunks}")
    n = input.shape[place(dim, input.ndim)] if input.ndim else 0
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


@method
def split_with_sizes(input, split_sizes, dim: int = 0):
    """Pieces of the given lengths; views."""
    return split(input, list(split_sizes), dim)


@method
def tensor_split(input, indices_or_sections, dim: int = 0):
    """So many pieces, of lengths that differ by one at most, or a cut before each index of a list; views."""
    if input.ndim == 0: raise ShapeError("tensor_split cannot cut a single number")
    dim = place(dim, input.ndim)
    cuts, n = indices_or_sections, input.shape[dim]
    if isinstance(cuts, Tensor): cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts < 1: raise ShapeError(f"tensor_split makes at least 1 piece, not {cuts}")
        return split(input, [n // cuts + (i < n % cuts) for i in range(cuts)], dim)
    return tuple([select_index(input, along(dim, slice(*ends))) for ends in zip([0, *cuts], [*cuts, n])])


def even(name: str, dim: int, least: int):
    """hsplit, vsplit or dsplit: tensor_split along `dim`, into pieces that must be of one length."""
    def cut(input, indices_or_sections):
        at = 0 if input.ndim == 1 else dim
        if input.ndim < least: raise ShapeError(f"{name} wants {least} dimensions at least, not {input.ndim}")
        if isinstance(indices_or_sections, int) and input.shape[at] % max(indices_or_sections, 1):
            raise ShapeError(f"{name} cannot cut {input.shape[at]} into {indices_or_sections} equal pieces")
        return tensor_split(input, indices_or_sections, at)
    cut.__name__, cut.__doc__ = name, f"Equal pieces along dim {dim}, or a cut before each index; views."
    return method(cut)


hsplit, vsplit, dsplit = even("hsplit", 1, 1), even("vsplit", 0, 2), even("dsplit", 2, 3)


@sharing
def narrow(input, /, dim, start, length):
    """`length` places along `dim`, from `start` on; a view.  (n, *) -> (length, *)"""
    if input.ndim == 0: raise ShapeError("narrow cannot take a part of a single number")
    dim, start = place(dim, input.ndim), int(start)
    n = input.shape[dim]
    if not -n <= start <= n: raise IndexError(f"narrow cannot start at {start}: the dimension has length {n}")
    start = start + n if start < 0 else start
    if length < 0 or start + length > n:
        raise ShapeError(f"narrow cannot take {length} places from {start} on: there are {n}")
    return input[along(dim, slice(start, start + length))]


@sharing
def select(input, /, dim, index):
    """One place along `dim`, which disappears; a view.  (n, *) -> (*)"""
    return input[(*along(place(dim, input.ndim), int(index)), ...)]


@Op
def select_scatter(input, src, /, dim, index):
    """A copy of the input with `src` in one place along `dim`.  (n, *), (*) -> (n, *)"""
    return replaced(input, src, (*along(place(dim, input.ndim), int(index)), ...))


@Op
def slice_scatter(input, src, /, dim=0, start=None, end=None, step=1):
    """A copy of the input with `src` in a slice of `dim`.  (n, *), (m, *) -> (n, *)"""
    return replaced(input, src, along(place(dim, input.ndim), slice(start, end, step)))


@Op
def diagonal_scatter(input, src, /, offset=0, dim1=0, dim2=1):
    """A copy of the input with `src` along a diagonal.  (n, n, *), (*, n) -> (n, n, *)"""
    out = input.copy()
    fitting(diagonal.forward(out, offset, dim1, dim2), src)[...] = src
    return out


def replaced(input, src, where):
    """A copy of the input with `src` in a part of it."""
    out = input.copy()
    fitting(out[where], src)[...] = src
    return out


def fitting(part, src):
    """The part, if `src` has its shape."""
    if part.shape != src.shape: raise ShapeError(f"{src.shape} does not fit into {part.shape}")
    return part


@sharing
def squeeze(input, /, dim=None):
    """Without its dimensions of length 1, or without those of them in `dim`; a view.  (*, 1, *) -> (*, *)"""
    dims = range(input.ndim) if dim is None else places(dim, input.ndim)
    return input.reshape([n for i, n in enumerate(input.shape) if n != 1 or i not in dims])


@sharing
def unsqueeze(input, /, dim):
    """With a new dimension of length 1 at `dim`; a view.  (*, *) -> (*, 1, *)"""
    return np.expand_dims(input, dim)


@method
def flatten(input, start_dim: int = 0, end_dim: int = -1):
    """Neighbouring dimensions made one: a view where possible.  (*, n, m, *) -> (*, n * m, *)"""
    if input.ndim == 0: return reshape(input, 1)
    start, end = place(start_dim, input.ndim), place(end_dim, input.ndim)
    if start > end:
        raise ShapeError(f"flatten goes from a dimension to a later one, not from {start} to {end}")
    shape = input.shape
    if start == end: return input
    return reshape(input, shape[:start] + (math.prod(shape[start : end + 1]),) + shape[end + 1 :])


@method
def unflatten(input, dim: int, sizes):
    """One dimension made several; one of `sizes` may be -1.  (*, n * m, *) -> (*, n, m, *)"""
    dim, sizes, shape = place(dim, input.ndim), tuple(sizes), input.shape
    known = math.prod([n for n in sizes if n != -1])
    sizes = tuple([shape[dim] // max(known, 1) if n == -1 else n for n in sizes])
    if math.prod(sizes) != shape[dim]:
        raise ShapeError(f"unflatten cannot cut a dimension of length {shape[dim]} into {sizes}")
    return view(input, shape[:dim] + sizes + shape[dim + 1 :])


@method
def ravel(input):
    """All numbers in one row: a view where possible.  (*) -> (n)"""
    return reshape(input, -1)


@method
def view_as(input, other):
    """The same memory in the shape of `other`."""
    return view(input, other.shape)


@method
def reshape_as(input, other):
    """The same numbers in the shape of `other`."""
    return reshape(input, other.shape)


@method
def movedim(input, source, destination):
    """Dimensions moved from their places to others, the rest in order; a view."""
    source, destination = places(source, input.ndim), places(destination, input.ndim)
    if len(source) != len(destination):
        raise ShapeError(f"movedim has {len(source)} dimensions for {len(destination)} places")
    rest = iter([i for i in range(input.ndim) if i not in source])
    came_from = dict(zip(destination, source))
    return permute(input, [came_from[i] if i in came_from else next(rest) for i in range(input.ndim)])


@method
def t(input):
    """A matrix with its dimensions swapped; a view.  (n, m) -> (m, n)"""
    if input.ndim > 2:
        raise ShapeError(f"t is for matrices, not for {input.ndim} dimensions: use mT or permute")
    return input if input.ndim < 2 else transpose(input, 0, 1)


@method
def adjoint(input):
    """The last two dimensions swapped; a view.  (*, n, m) -> (*, m, n)"""
    return transpose(input, -2, -1)


@method
def swapaxes(input, axis0: int, axis1: int):
    """NumPy's name for transpose."""
    return transpose(input, axis0, axis1)


moveaxis, swapdims = movedim, transpose
METHODS.update(moveaxis=movedim, swapdims=transpose)


@method
def broadcast_to(input, *size):
    """Stretched to a shape; a view."""
    return expand(input, lengths("broadcast_to", size))


def broadcast_tensors(*tensors):
    """Tensors stretched to the shape in which they meet; views."""
    shape = broadcast_shapes(*[x.shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


@method
def expand_as(input, other):
    """Stretched to the shape of `other`; a view."""
    return expand(input, other.shape)


@Op
def repeat(input, /, repeats):
    """Copies side by side, so many along each dimension.  (n, m) -> (repeats[0] * n, repeats[1] * m)"""
    repeats = several(repeats)
    if len(repeats) < input.ndim:
        raise ShapeError(f"repeat wants a number for each of {input.ndim} dimensions, not {repeats}")
    if min(repeats, default=0) < 0: raise ShapeError(f"repeat cannot make {repeats} copies")
    return np.tile(input, repeats)


@method
def tile(input, *dims):
    """As repeat, but dimensions without a number stay as they are."""
    dims = lengths("tile", dims)
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


@Op
def repeat_interleave(input, repeats=None, /, dim=None, *, output_size=None):
    """Each place so many times in a row, a number for all or one for each.  (n, *) -> (sum(repeats), *)"""
    if repeats is None: return np.repeat(np.arange(len(input), like=input), input)
    if dim is not None and input.ndim: dim = place(dim, input.ndim)
    return np.repeat(input, repeats, axis=dim if input.ndim else None)


@Op
def flip(input, /, dims):
    """Back to front along each of `dims`.  (*) -> (*)"""
    return np.flip(input, places(dims, input.ndim) if input.ndim else None).copy()


@Op
def roll(input, /, shifts, dims=None):
    """Everything `shifts` places further along `dims`; what falls off the end comes in front.  (*) -> (*)"""
    shifts, dims = several(shifts), () if dims is None else several(dims)
    if len(shifts) != (len(dims) or 1): raise ShapeError(f"roll has shifts {shifts} for dims {dims}")
    return np.roll(input, shifts, dims or None)


@method
def fliplr(input):
    """Columns back to front.  (n, m, *) -> (n, m, *)"""
    if input.ndim < 2: raise ShapeError("fliplr wants columns: at least 2 dimensions")
    return flip(input, 1)


@method
def flipud(input):
    """Rows back to front.  (n, *) -> (n, *)"""
    if input.ndim < 1: raise ShapeError("flipud wants rows: at least 1 dimension")
    return flip(input, 0)


@method
def rot90(input, k: int = 1, dims=(0, 1)):
    """A quarter turn, `k` times, from the first of two dimensions towards the second.  (n, m) -> (m, n)"""
    first, second = places(dims, input.ndim)
    turns = [lambda: METHODS["clone"](input), lambda: transpose(flip(input, second), first, second),
             lambda: flip(input, (first, second)), lambda: transpose(flip(input, first), first, second)]
    return turns[k % 4]()


@sharing
def diagonal(input, /, offset=0, dim1=0, dim2=1):
    """A diagonal of two dimensions, `offset` places above the main one; a view.  (n, n, *) -> (*, n)"""
    first, second = places((dim1, dim2), input.ndim)
    matrix = np.moveaxis(input, (first, second), (-2, -1))
    matrix = matrix[..., max(-offset, 0) :, max(offset, 0) :]
    n = min(matrix.shape[-2:])
    return np.einsum("...ii->...i", matrix[..., :n, :n])


@Op
def diag_embed(input, /, offset=0, dim1=-2, dim2=-1):
    """Zeros, with the last dimension of the input along a diagonal.  (*, n) -> (*, n, n)"""
    first, second = places((dim1, dim2), input.ndim + 1)
    shape = list(input.shape[:-1])
    for dim in sorted((first, second)): shape.insert(dim, input.shape[-1] + abs(offset))
    out = np.zeros_like(input, shape=shape)
    diagonal.forward(out, offset, first, second)[...] = input
    return out


@method
def diag(input, diagonal: int = 0):
    """A matrix with a given diagonal, or the diagonal of a given matrix.  (n) -> (n, n), (n, n) -> (n)"""
    if input.ndim not in (1, 2): raise ShapeError(f"diag takes 1 or 2 dimensions, not {input.ndim}")
    return diag_embed(input, diagonal) if input.ndim == 1 else METHODS["diagonal"](input, diagonal).clone()


@method
def fill_diagonal_(tensor, fill_value):
    """Writes a number along the main diagonal, where all indices are equal."""
    if tensor.ndim < 2: raise ShapeError("fill_diagonal_ wants a matrix: at least 2 dimensions")
    if tensor.ndim > 2 and len(set(tensor.shape)) > 1: raise ShapeError("fill_diagonal_ wants equal lengths")
    METHODS["as_strided"](tensor, (min(tensor.shape),), (sum(tensor.stride()),)).fill_(fill_value)
    return tensor


@method
def diagflat(input, offset: int = 0):
    """A matrix with all the numbers of the input along a diagonal.  (*) -> (n, n)"""
    return diag_embed(ravel(input), offset)


@Op
def tril(input, /, diagonal=0):
    """The part on and below a diagonal, zeros above.  (*, n, m) -> (*, n, m)"""
    if input.ndim < 2: raise ShapeError("tril wants a matrix: at least 2 dimensions")
    return np.tril(input, diagonal)


@Op
def triu(input, /, diagonal=0):
    """The part on and above a diagonal, zeros below.  (*, n, m) -> (*, n, m)"""
    if input.ndim < 2: raise ShapeError("triu wants a matrix: at least 2 dimensions")
    return np.triu(input, diagonal)


def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """Where the part on and below a diagonal is: rows above columns.  () -> (2, n)"""
    return tensor(np.stack(np.tril_indices(row, offset, col)), dtype=dtype or int64, device=device)


def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """Where the part on and above a diagonal is: rows above columns.  () -> (2, n)"""
    return tensor(np.stack(np.triu_indices(row, offset, col)), dtype=dtype or int64, device=device)


@sharing
def unfold(input, /, dimension, size, step):
    """Windows of `size` places, `step` apart, along a dimension; a view.  (n, *) -> (k, *, size)"""
    dim = place(dimension, input.ndim)
    n, stride = (input.shape[dim], input.strides[dim]) if input.ndim else (1, 0)
    if not 0 <= size <= n:
        raise ShapeError(f"unfold cannot fit a window of {size} into a dimension of length {n}")
    if step < 1: raise ShapeError(f"unfold wants a step of at least 1, not {step}")
    if input.ndim == 0: return input.reshape(1)[:size]
    shape, strides = list(input.shape), list(input.strides)
    shape[dim], strides[dim] = (n - size) // step + 1, step * stride
    return dtype_of(input).cast(window(input, [*shape, size], [*strides, stride]))


def owner(array):
    """The array whose memory this one shows."""
    while isinstance(getattr(array, "base", None), type(array)): array = array.base
    return array


def address(array) -> int:
    """Where in memory the first number lies."""
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


@sharing
def strided(input, /, size, stride, shift):
    """A walk through the memory of the input, from `shift` numbers after its first; a view.  (*) -> (size)"""
    memory, itemsize = owner(input).reshape(-1, order="A"), input.itemsize
    first = shift + (address(input) - address(memory)) // itemsize
    last = first + sum([(n - 1) * step for n, step in zip(size, stride)])
    if (0 not in size and not 0 <= first <= last < memory.size) or min(stride, default=0) < 0:
        raise ShapeError(f"as_strided would walk from {first} to {last} in a memory of {memory.size} numbers")
    return dtype_of(input).cast(window(memory[first:], size, [step * itemsize for step in stride]))


@method
def as_strided(input, size, stride, storage_offset: int | None = None):
    """A walk through the memory of the input, with any shape and steps; a view.  (*) -> (size)"""
    start = METHODS["storage_offset"](input)
    shift = 0 if storage_offset is None else storage_offset - start
    return strided(input, size=size, stride=stride, shift=shift)


def meshgrid(*tensors, indexing: str = "ij"):
    """The coordinates of a grid, one tensor for each of its dimensions; views.  (n), (m) -> (n, m), (n, m)"""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)): tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid knows the indexing 'ij' and 'xy', not {indexing!r}")
    if any([x.ndim > 1 for x in tensors]):
        raise ShapeError("meshgrid takes rows, one for each dimension of the grid")
    if indexing == "xy" and len(tensors) > 1:
        y, x, *rest = meshgrid(tensors[1], tensors[0], *tensors[2:])
        return (x, y, *rest)
    rows, n = [atleast_1d(x) for x in tensors], len(tensors)
    shape = Size([row.shape[0] for row in rows])
    lying = [reshape(row, (1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, row in enumerate(rows)]
    return tuple([expand(row, shape) for row in lying])


def cartesian_prod(*tensors):
    """All pairs (triples …) with one number from each.  (n), (m) -> (n * m, 2)"""
    return tensors[0] if len(tensors) == 1 else stack([ravel(grid) for grid in meshgrid(*tensors)], 1)


def combinations(input, r: int = 2, with_replacement: bool = False):
    """All ways of taking `r` numbers out of a row.  (n) -> (n over r, r)"""
    if input.ndim != 1: raise ShapeError(f"combinations takes a row, not {input.ndim} dimensions")
    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    if r == 0: return input.new_empty(0)
    index = np.array(list(pick(range(len(input)), r)), np.int64).reshape(-1, r)
    return select_index(input, beside(index, input.array))


class memory_format:
    """An order in which numbers lie in memory."""

    def __init__(self, name: str): self.name = name
    def __repr__(self): return f"tinytorch.{self.name}"


preserve_format = memory_format("preserve_format")
contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")


@Op
def clone(input, /, *, memory_format=preserve_format):
    """A copy.  (*) -> (*)"""
    if memory_format is preserve_format and 0 not in input.strides: return input.copy(order="K")
    if memory_format is not channels_last: return input.copy()
    if input.ndim != 4: raise ShapeError(f"channels_last is an order for 4 dimensions, not {input.ndim}")
    return np.moveaxis(np.moveaxis(input, 1, -1).copy(), -1, 1)


@method
def contiguous(input, memory_format=contiguous_format):
    """The tensor itself if its numbers lie in order, else a copy in which they do."""
    lies_so = input if memory_format is contiguous_format else permute(input, (0, 2, 3, 1))
    return input if is_contiguous(lies_so) else clone(input, memory_format=memory_format)


@sharing
def detach(input, /):
    """The same memory, cut off from how it was computed; a view.  (*) -> (*)"""
    return input[...]


@Op
def convert(input, /, dtype):
    """The numbers in another dtype.  (*) -> (*)"""
    return as_dtype(dtype).cast(input)


@Op
def move(input, /, device):
    """The numbers on another device.  (*) -> (*)"""
    if device.type not in JOURNEYS:
        raise RuntimeError(f"there is no way to {device} yet: lesson 13 builds it, in its appendix on CUDA")
    return JOURNEYS[device.type](input, device)


@method
def to(
    input, *target, dtype=None, device=None, non_blocking=False, copy=False, memory_format=preserve_format
):
    """The tensor in another dtype, on another device, or like another; itself where nothing changes."""
    for word in target:
        if isinstance(word, Tensor): dtype, device = word.dtype, word.device
        elif isinstance(word, bool) or word is None: continue           # non_blocking, copy
        elif isinstance(word, (str, int, Device)): device = word
        else: dtype = word
    out = input
    if device is not None and Device(device) != out.device:
        moved = move(out, Device(device))
        if moved.array is not out.array: out = moved            # "cuda" may be where it is
    if dtype is not None and as_dtype(dtype) is not out.dtype: out = convert(out, as_dtype(dtype))
    if memory_format is not preserve_format: out = contiguous(out, memory_format)
    return clone(out) if copy and out is input else out


@method
def type_as(input, other):
    """The tensor in the dtype of another."""
    return to(input, other.dtype)


@method
def cpu(input):
    """The tensor in the computer's own memory."""
    return to(input, "cpu")


@method
def cuda(input, device=None, non_blocking=False):
    """The tensor in the memory of a GPU."""
    return to(input, "cuda" if device is None else device)


def conversion(kind: dtype):
    """The method that converts to a dtype."""
    def change(input, memory_format=preserve_format): return to(input, kind, memory_format=memory_format)
    change.__doc__ = f"The tensor in {kind.name}."
    return change


CONVERSIONS = dict(bool="bool", byte="uint8", char="int8", short="int16", int="int32", long="int64",
                   half="float16", float="float32", double="float64")
METHODS.update({name: conversion(named(kind)) for name, kind in CONVERSIONS.items()})


def can_cast(from_, to) -> bool:
    """Whether numbers of one dtype may become another without a change of category: no float turns whole."""
    return as_dtype(to).category >= as_dtype(from_).category


def legacy_type(input, dtype=None, non_blocking=False):
    """The tensor in another dtype, or the name that old programs know its dtype by."""
    if dtype is not None: return to(input, dtype)
    old = {kind: name.capitalize() for name, kind in CONVERSIONS.items()}
    return f"torch.{old[input.dtype.name]}Tensor"


METHODS["type"] = legacy_type


@method
def numel(input) -> int:
    """How many numbers there are."""
    return input.array.size


@method
def dim(input) -> int:
    """How many dimensions there are."""
    return input.array.ndim


@method
def element_size(input) -> int:
    """How many bytes a number takes."""
    return input.array.itemsize


@method
def data_ptr(input) -> int:
    """The address of the first number."""
    return address(input.array)


@method
def storage_offset(input) -> int:
    """How many numbers lie in memory before the first, counted from the tensor whose memory this is."""
    base = input if input._base is None else input._base
    return (address(input.array) - address(base.array)) // input.array.itemsize


@method
def is_same_size(input, other) -> bool:
    """Whether two tensors have the same shape."""
    return input.shape == other.shape


@method
def get_device(input) -> int:
    """The number of the GPU, or -1 for the computer's own memory."""
    return -1 if input.device.type == "cpu" else input.device.index


METHODS.update(nelement=numel, ndimension=dim)


@method
def requires_grad_(tensor, requires_grad: bool = True):
    """Says whether gradients are wanted for this tensor."""
    if requires_grad and not tensor.dtype.is_floating_point:
        raise RuntimeError(f"only floats can have gradients, and this tensor holds {tensor.dtype}")
    if not (requires_grad or tensor.is_leaf):
        raise RuntimeError("you can only change requires_grad flags of leaf variables: take tensor.detach() "
                           "instead")
    tensor.wanted = requires_grad
    return tensor


def deepcopy(tensor, memo: dict):
    """What `copy.deepcopy` calls: the numbers, the flag, and any attribute somebody hung on the tensor."""
    if not tensor.is_leaf:
        raise RuntimeError("only tensors that somebody made can be deep-copied, not results: detach first")
    out = memo[id(tensor)] = copy.copy(tensor)
    own = {name: value for name, value in vars(tensor).items() if name != "_base"}
    vars(out).update(copy.deepcopy(own, memo), _base=None)
    return out


METHODS["deepcopy"] = deepcopy
