# Generated from modules/02_tensor/appendix_products.py by `tito export`. Edit that file, not this one.
"""Products of vectors, matrices and more, all of them arranged for `matmul`."""

from __future__ import annotations

import math
from functools import cache
from itertools import chain

import numpy as np

from .dtypes import dtype_of
from .errors import ShapeError, shape_of
from .methods import into, method
from .shaping import diagonal, place, roll, several
from .tensor import Op, Tensor, add, expand, matmul, mul, permute, reshape, sum_

__all__ = [
    "wants", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "scaled", "addmm", "addmv", "addr",
    "baddbmm", "addbmm", "LETTERS", "einsum", "spelled", "read", "labelled", "lone", "contracted",
    "unstretched", "permuted", "shaped", "tensordot", "kron", "trace", "cross", "cdist", "through_product",
    "length_of",
]


def wants(name: str, **ndims: tuple[Tensor, int]) -> None:
    """Complains about inputs with another number of dimensions than the product wants."""
    for given, (tensor, ndim) in ndims.items():
        if tensor.ndim != ndim:
            raise ShapeError(f"{name} wants {ndim} dimensions for {given}, not {shape_of(tensor)}")


@method
def mm(input, mat2, *, out=None):
    """The product of two matrices.  (n, k), (k, m) -> (n, m)"""
    wants("mm", input=(input, 2), mat2=(mat2, 2))
    return into(out, matmul(input, mat2))


@method
def bmm(input, mat2, *, out=None):
    """The products of two batches of matrices.  (b, n, k), (b, k, m) -> (b, n, m)"""
    wants("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm cannot take {shape_of(input)} and {shape_of(mat2)}: one batch is longer")
    return into(out, matmul(input, mat2))


@method
def mv(input, vec, *, out=None):
    """The product of a matrix and a vector.  (n, k), (k) -> (n)"""
    wants("mv", input=(input, 2), vec=(vec, 1))
    return into(out, matmul(input, vec))


@method
def dot(input, tensor, *, out=None):
    """The sum of the products of two lines of numbers.  (n), (n) -> ()"""
    wants("dot", input=(input, 1), tensor=(tensor, 1))
    return into(out, matmul(input, tensor))


@method
def vdot(input, other):
    """The same as dot: the numbers are real.  (n), (n) -> ()"""
    return dot(input, other)


@method
def inner(input, other):
    """The dot products along the last dimension of both.  (*, n), (k*, n) -> (*, k*)"""
    if not (input.ndim and other.ndim): return mul(input, other)
    return tensordot(input, other, ([-1], [-1]))


@method
def outer(input, vec2):
    """Every number of one times every number of the other.  (n), (m) -> (n, m)"""
    wants("outer", input=(input, 1), vec2=(vec2, 1))
    return mul(reshape(input, (-1, 1)), vec2)


@method
def ger(input, vec2):
    """The same as outer, as BLAS calls it.  (n), (m) -> (n, m)"""
    return outer(input, vec2)


def scaled(input, product, beta, alpha):
    """`beta * input + alpha * product`, in the shape of the product."""
    if alpha != 1: product = mul(product, alpha)
    if beta == 0: return product
    there = expand(input, product.shape)
    return add(product, there if beta == 1 else mul(there, beta))


@method
def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """The product of two matrices, added to the input.  (n, m), (n, k), (k, m) -> (n, m)"""
    return into(out, scaled(input, mm(mat1, mat2), beta, alpha))


@method
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """The product of a matrix and a vector, added to the input.  (n), (n, k), (k) -> (n)"""
    return scaled(input, mv(mat, vec), beta, alpha)


@method
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """The outer product of two vectors, added to the input.  (n, m), (n), (m) -> (n, m)"""
    return scaled(input, outer(vec1, vec2), beta, alpha)


@method
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """Products of matrices, added to the input.  (b, n, m), (b, n, k), (b, k, m) -> (b, n, m)"""
    return into(out, scaled(input, bmm(batch1, batch2), beta, alpha))


@method
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """The sum of products of matrices, added to the input.  (n, m), (b, n, k), (b, k, m) -> (n, m)"""
    return scaled(input, sum_(bmm(batch1, batch2), 0), beta, alpha)


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(equation, *operands):
    """The sum of products that the letters of an equation describe; `...` stands for any dimensions.

    `einsum("ij,jk->ik", a, b)` is `a @ b`. Numbers may stand for the letters: `einsum(a, [0, 1], b, [1, 2])`.
    """
    if isinstance(equation, Tensor): equation, operands = spelled(equation, *operands)
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)): operands = operands[0]
    inputs, output = read(equation, tuple([x.ndim for x in operands]))
    x, labels = lone(operands[0], inputs[0], inputs[1:], output)
    for i, y in enumerate(operands[1:], 1):
        y, others = lone(y, inputs[i], [labels, *inputs[i + 1 :]], output)
        x, labels = contracted(x, labels, y, others, {*output, *chain(*inputs[i + 1 :])})
    return permuted(x, labels, output)


def spelled(*parts) -> tuple[str, tuple]:
    """Tensors and lists of numbers, one after the other, as an equation of letters and its operands."""
    def letters(numbers): return "".join(["..." if n is ... else LETTERS[n] for n in numbers])
    terms = ",".join([letters(numbers) for numbers in parts[1::2]])
    if len(parts) % 2: terms += "->" + letters(parts[-1])
    return terms, parts[: len(parts) // 2 * 2 : 2]


@cache
def read(equation: str, ndims: tuple[int, ...]) -> tuple[list[list], list]:
    """The labels of each operand, and of the output."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ShapeError(f"einsum {equation!r} is about {len(terms)} tensors, not about {len(ndims)}")
    inputs = [labelled(term, ndim, equation) for term, ndim in zip(terms, ndims)]
    seen = [*chain(*inputs)]
    dots = sorted({label for label in seen if isinstance(label, int)})
    once = sorted([label for label in seen if isinstance(label, str) and seen.count(label) == 1])
    output = labelled(right, None, equation, dots) if arrow else dots + once
    for label in output:
        if label not in seen: raise RuntimeError(f"einsum {equation!r}: no input has {label!r}")
        if output.count(label) > 1: raise RuntimeError(f"einsum {equation!r}: the output has {label!r} twice")
    return inputs, output


def labelled(term: str, ndim: int | None, equation: str, dots: list = ()) -> list:
    """A term as a list of labels; for ... those that make up `ndim`, or `dots`."""
    before, ellipsis, after = term.partition("...")
    if not set(before + after) <= set(LETTERS):
        raise RuntimeError(f"einsum {equation!r}: {term!r} must be letters, and at most one '...'")
    if ndim is not None:
        left = ndim - len(before + after)
        if left < 0 or (left and not ellipsis):
            raise ShapeError(f"einsum {equation!r}: {term!r} stands for a tensor of {ndim} dimensions")
        dots = range(-left, 0)
    return [*before, *(dots if ellipsis else ()), *after]


def lone(x, labels: list, others: list[list], output) -> tuple[Tensor, list]:
    """A tensor whose labels all differ, and are all wanted by the others or by the output."""
    for label in [label for label in set(labels) if labels.count(label) > 1]:
        while labels.count(label) > 1:
            i, j = [at for at, other in enumerate(labels) if other == label][:2]
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: {label!r} is {x.shape[i]} and {x.shape[j]} long in {shape_of(x)}")
            x, labels = diagonal(x, 0, i, j), [*labels[:i], *labels[i + 1 : j], *labels[j + 1 :], label]
    wanted = {*output, *chain(*others)}
    alone = tuple([i for i, label in enumerate(labels) if label not in wanted])
    return (sum_(x, alone) if alone else x), [label for label in labels if label in wanted]


def contracted(x, mine: list, y, yours: list, kept: set) -> tuple[Tensor, list]:
    """The product of two tensors, summed over the labels that both have and nobody wants kept."""
    x, mine, y, yours = unstretched(x, mine, y, yours)
    (x, mine), (y, yours) = lone(x, mine, [yours], kept), lone(y, yours, [mine], kept)
    both = [label for label in mine if label in yours and label in kept]
    summed = [label for label in mine if label in yours and label not in kept]
    left = [label for label in mine if label not in yours]
    right = [label for label in yours if label not in mine]
    size = dict(zip(mine + yours, (*x.shape, *y.shape)))
    x, y = permuted(x, mine, both + left + summed), permuted(y, yours, both + summed + right)
    shape = [[size[label] for label in part] for part in (both, left, summed, right)]
    b, (n, k, m) = shape[0], [math.prod(part) for part in shape[1:]]
    product = matmul if summed else mul         # where nothing is summed, the columns have length 1
    out = product(shaped(x, (*b, n, k)), shaped(y, (*b, k, m)))
    return shaped(out, (*b, *shape[1], *shape[3])), both + left + right


def unstretched(x, mine: list, y, yours: list) -> tuple[Tensor, list, Tensor, list]:
    """The same without the dimensions of length 1 that stretch along one of the other tensor."""
    sizes, others = dict(zip(mine, x.shape)), dict(zip(yours, y.shape))
    if all([n == others.get(label, n) for label, n in sizes.items()]): return x, mine, y, yours
    for label in set(mine) & set(yours):
        n, m = sizes[label], others[label]
        if n != m and 1 not in (n, m):
            raise ShapeError(f"einsum: {label!r} is {n} long in one tensor and {m} in another")
    stretch = [label for label in mine if label in others and sizes[label] == 1 != others[label]]
    extend = [label for label in yours if label in sizes and others[label] == 1 != sizes[label]]
    x, y = [shaped(t, [n for n, label in zip(t.shape, labels) if label not in gone])
            for t, labels, gone in ((x, mine, stretch), (y, yours, extend))]
    return x, [m for m in mine if m not in stretch], y, [m for m in yours if m not in extend]


def permuted(x, labels: list, wanted: list):
    """The dimensions in the order of `wanted`."""
    return x if labels == wanted else permute(x, [labels.index(label) for label in wanted])


def shaped(x, shape):
    return x if x.shape == tuple(shape) else reshape(x, shape)


def tensordot(a, b, dims=2):
    """The sum of products over the last `dims` of one and the first of the other, or over two lists."""
    if isinstance(dims, Tensor): dims = dims.tolist()
    if isinstance(dims, int): dims = range(a.ndim - dims, a.ndim), range(dims)
    mine, yours = [[place(d, x.ndim) for d in several(part)] for x, part in zip((a, b), dims)]
    if [a.shape[d] for d in mine] != [b.shape[d] for d in yours]:
        raise ShapeError(f"tensordot cannot sum dims {mine} of {shape_of(a)} with {yours} of {shape_of(b)}")
    left, right = [[d for d in range(x.ndim) if d not in part] for x, part in ((a, mine), (b, yours))]
    n, k, m = [math.prod([x.shape[d] for d in part]) for x, part in ((a, left), (a, mine), (b, right))]
    x, y = reshape(permute(a, left + mine), (n, k)), reshape(permute(b, yours + right), (k, m))
    return reshape(matmul(x, y), [a.shape[d] for d in left] + [b.shape[d] for d in right])


@method
def kron(input, other):
    """Every number of the input times all of the other, block by block.  (n, m), (k, l) -> (n k, m l)"""
    ndim = max(input.ndim, other.ndim)
    outer_shape, inner_shape = [(1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other)]
    blocks = mul(reshape(input, [n for length in outer_shape for n in (length, 1)]),
                 reshape(other, [n for length in inner_shape for n in (1, length)]))
    return reshape(blocks, [n * m for n, m in zip(outer_shape, inner_shape)])


@method
def trace(input):
    """The sum along the diagonal of a matrix.  (n, m) -> ()"""
    wants("trace", input=(input, 2))
    return sum_(diagonal(input))


@method
def cross(input, other, dim=None):
    """The vectors at right angles to pairs of vectors in space.  (*, 3), (*, 3) -> (*, 3)

    Without a dim the vectors lie along the first one of length 3.
    """
    if input.ndim != other.ndim:
        raise ShapeError(f"cross cannot take {shape_of(input)} and {shape_of(other)}: their dims differ")
    if dim is None: dim = next((d for d, n in enumerate(input.shape) if n == 3), -1)
    if not input.shape[dim] == other.shape[dim] == 3:
        raise ShapeError(f"cross wants length 3 in dim {dim}, not {shape_of(input)} and {shape_of(other)}")
    return (roll(input, -1, dim) * roll(other, -2, dim)) - (roll(input, -2, dim) * roll(other, -1, dim))


@Op
def cdist(x1, x2, /, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The distances between the rows of one and the rows of the other.  (*, n, k), (*, m, k) -> (*, n, m)"""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist wants rows of one length, not {shape_of(x1)} and {shape_of(x2)}")
    if not (dtype_of(x1).is_floating_point and dtype_of(x2).is_floating_point):
        raise RuntimeError(f"cdist wants floats, not {dtype_of(x1)} and {dtype_of(x2)}")
    many = max(x1.shape[-2], x2.shape[-2]) > 25 and "donot" not in compute_mode
    if p == 2 and (many or compute_mode == "use_mm_for_euclid_dist"): return through_product(x1, x2)
    return length_of(x1[..., :, None, :] - x2[..., None, :, :], p, -1)


def through_product(x, y):
    squares = (x * x).sum(-1)[..., :, None] + (y * y).sum(-1)[..., None, :] - 2 * (x @ y.mT)
    return np.sqrt(np.maximum(squares, 0))


def length_of(x, p: float, axis, keepdims: bool = False):
    """The p-norm along one dimension or several."""
    along = {"axis": axis, "keepdims": keepdims}
    if p == 2: return np.sqrt((x * x).sum(**along))
    if p == 0: return (x != 0).sum(**along).astype(x.dtype)
    x = np.abs(x)
    if p == 1: return x.sum(**along)
    if abs(p) == math.inf: return x.max(**along) if p > 0 else x.min(**along)
    return (x**p).sum(**along) ** (1 / p)
