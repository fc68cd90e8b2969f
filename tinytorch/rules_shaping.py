# Generated from modules/09_autograd/appendix_rules_shaping.py by `tito export`. Edit that file, not this one.
"""Gradients of the ops that change where numbers stand."""

from __future__ import annotations

import math

import numpy as np

from .autograd import bare
from .creation import fill
from .devices import window
from .dtypes import device_of
from .indexing import index_add, put_index
from .overwriting import zeros_beside
from .receipts import gradient
from .shaping import (
    address, along, cat, clone, convert, diag_embed, diagonal, diagonal_scatter, flip, move, movedim, narrow,
    owner, place, repeat, repeat_interleave, roll, select, select_scatter, several, slice_scatter, split,
    squeeze, stack, strided, tril, triu, unbind, unfold, unsqueeze,
)
from .tensor import reshape, select_index

__all__ = ["given", "on_zeros", "pasted"]


@gradient(cat)
def _(g, _out, *_tensors, dim):
    """Each takes back its part; an old empty one of shape (0,) had none."""
    dim, start, parts = place(dim, g.ndim), 0, []
    for x in _tensors:
        if x.shape == (0,):
            parts.append(zeros_beside(g, (0,)))
            continue
        parts.append(narrow(g, dim, start, x.shape[dim]))
        start += x.shape[dim]
    return parts


@gradient(stack)
def _(g, _out, *_tensors, dim): return unbind(g, dim)


def given(parts, outlines) -> list:
    """The gradients of several outputs, with zeros for those of which none arrived."""
    like = next(part for part in parts if part is not None)
    return [zeros_beside(like, outline.shape) if part is None else part
            for part, outline in zip(parts, outlines)]


@gradient(split)
def _(g, _out, _x, dim): return cat(given(g, _out), dim),


@gradient(unbind)
def _(g, _out, _x, dim): return stack(given(g, _out), dim),


def on_zeros(g, shape, index):
    """Zeros, with g where the index says."""
    return put_index(zeros_beside(g, shape), g, index)


@gradient(narrow)
def _(g, _out, _x, dim, start, length):
    dim, start = place(dim, _x.ndim), int(start)
    start = start + _x.shape[dim] if start < 0 else start
    return on_zeros(g, _x.shape, along(dim, slice(start, start + length))),


@gradient(select)
def _(g, _out, _x, dim, index): return on_zeros(g, _x.shape, along(place(dim, _x.ndim), int(index))),


@gradient(select_scatter)
def _(g, _out, _x, _src, dim, index): return pasted(g, along(place(dim, _x.ndim), int(index)))


@gradient(slice_scatter)
def _(g, _out, _x, _src, dim, start, end, step):
    return pasted(g, along(place(dim, _x.ndim), slice(start, end, step)))


def pasted(g, index):
    """The gradients of a page and of what was pasted over a part of it."""
    return lambda: put_index(g, 0.0, index), lambda: select_index(g, (*index, ...))


@gradient(diagonal)
def _(g, _out, _x, offset, dim1, dim2):
    return diagonal_scatter(zeros_beside(g, _x.shape), g, offset, dim1, dim2),


@gradient(diagonal_scatter)
def _(g, _out, _x, _src, offset, dim1, dim2):
    return (lambda: diagonal_scatter(g, zeros_beside(g, _src.shape), offset, dim1, dim2),
            lambda: diagonal(g, offset, dim1, dim2))


@gradient(diag_embed)
def _(g, _out, _x, offset, dim1, dim2): return diagonal(g, offset, dim1, dim2),


@gradient(tril)
def _(g, _out, _x, diagonal): return tril(g, diagonal),


@gradient(triu)
def _(g, _out, _x, diagonal): return triu(g, diagonal),


@gradient(squeeze, unsqueeze)
def _(g, _out, _x): return reshape(g, _x.shape),


@gradient(flip)
def _(g, _out, _x, dims): return flip(g, dims),


@gradient(roll)
def _(g, _out, _x, shifts, dims): return roll(g, tuple([-shift for shift in several(shifts)]), dims),


@gradient(clone)
def _(g, _out, _x): return g,


@gradient(convert)
def _(g, _out, _x):
    """The engine takes every gradient to the dtype of its tensor; that is all there is to do."""
    return g,


@gradient(move)
def _(g, _out, x): return move(g, device_of(bare(x))),


@gradient(fill)
def _(g, _out, _x, _value): return lambda: zeros_beside(g, _x.shape), lambda: g.sum()


@gradient(repeat)
def _(g, _out, _x, repeats):
    repeats = several(repeats)
    shape = (1,) * (len(repeats) - _x.ndim) + tuple(_x.shape)
    apart = reshape(g, tuple([n for pair in zip(repeats, shape) for n in pair]))
    return reshape(apart.sum(axis=tuple(range(0, 2 * len(repeats), 2))), _x.shape),


@gradient(repeat_interleave)
def _(g, _out, _x, repeats, dim):
    """The copies lie behind each other; each goes back to the place it was made of."""
    at = 0 if dim is None or _x.ndim == 0 else place(dim, _x.ndim)
    shape = (math.prod(_x.shape),) if dim is None or _x.ndim == 0 else _x.shape
    times = bare(repeats)
    came_from = np.repeat(np.arange(shape[at], like=bare(g)), times)
    return reshape(index_add(zeros_beside(g, shape), at, came_from, g), _x.shape), None


@gradient(unfold)
def _(g, _out, _x, dimension, size, step):
    dim, shape = place(dimension, _x.ndim), tuple(_x.shape) or (1,)
    lying = movedim(g, -1, dim + 1) if _x.ndim else reshape(g, (1, -1))         # (*, windows, size, *)
    k = lying.shape[dim]
    places = step * np.arange(k, like=bare(g)).reshape(-1, 1) + np.arange(size, like=bare(g))
    lying = reshape(lying, shape[:dim] + (k * size,) + shape[dim + 1 :])
    return reshape(index_add(zeros_beside(g, shape), dim, places.reshape(-1), lying), _x.shape),


@gradient(strided)
def _(g, _out, x, size, stride, shift):
    """Numbers that the input itself shows several times, as an expanded one does, share what arrives."""
    array = bare(x)
    memory, itemsize = owner(array), array.itemsize
    line, first = np.arange(memory.size, like=array), (address(array) - address(memory)) // itemsize

    def walk(shape, steps, start):
        return window(line[start:], shape, [line.itemsize * step for step in steps])
    here = walk(array.shape, [step // itemsize for step in array.strides], first)
    there = walk(tuple(size), tuple(stride), first + shift)
    arrived = put_index(zeros_beside(g, line.shape), g, (there,), True)
    times = np.bincount(here.reshape(-1), minlength=memory.size)
    return select_index(arrived, (here,)) / times[here],
