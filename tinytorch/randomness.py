# Generated from modules/02_tensor/appendix_randomness.py by `tito export`. Edit that file, not this one.
"""Random numbers that can be repeated: the same as PyTorch's, for the same seed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import numpy as np

from .creation import boxed_on, kind_or_default, lengths
from .dtypes import COUNTS, as_dtype, bool_, device as Device, dtype, dtype_of, finfo, float64, iinfo, int64
from .errors import ShapeError, shape_of
from .methods import method
from .tensor import Tensor, copy_, expand, is_contiguous

__all__ = [
    "first_words", "STATE", "Generator", "default_generator", "manual_seed", "seed", "initial_seed",
    "get_rng_state", "set_rng_state", "fork_rng", "DRAWS", "replaceable", "fractions", "coins", "between",
    "counts", "normals", "in_blocks", "turned", "in_pairs", "waits", "drawn", "floats", "rand", "randn",
    "randint", "whole_bounds", "randperm", "rand_like", "randn_like", "randint_like", "normal", "written",
    "uniform_", "normal_", "random_", "any_counts", "exponential_", "log_normal_", "cauchy_", "geometric_",
    "bernoulli_", "bernoulli", "probabilities", "multinomial", "put_back", "complain_about", "poisson",
]


def first_words(seed: int):
    """The 624 words with which the twister starts."""
    words = [seed & 0xFFFFFFFF]
    for i in range(1, 624): words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + i) & 0xFFFFFFFF)
    return np.array(words, np.uint32)


STATE = np.dtype({
    "names": ["seed", "left", "seeded", "used", "words", "spare", "has_spare"],
    "formats": ["u8", "i4", "i4", "u8", ("u8", 624), "f8", "i4"],
    "offsets": [0, 8, 12, 16, 24, 5024, 5040], "itemsize": 5056,
})


class Generator:
    """A source of random numbers, with a state that can be kept and brought back."""

    def __init__(self, device="cpu"):
        self.device = Device(device)
        self.manual_seed(67280421310721)

    def manual_seed(self, seed: int) -> Generator:
        """Starts from this seed, of which the last 32 bits count."""
        if not -(2**63) <= seed < 2**64: raise ValueError(f"a seed has 64 bits, and {seed} has more")
        self._seed, self._source, self.spare = int(seed) % 2**64, None, None
        return self

    def seed(self) -> int:
        """Starts from a seed that nobody chose, and says which."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).initial_seed()

    def initial_seed(self) -> int:
        """The seed that it started from."""
        return self._seed

    @property
    def source(self):
        """NumPy's twister, made at the first draw: numpy.random takes long to load."""
        if self._source is None: self.resume(first_words(self._seed), 624)
        return self._source

    def resume(self, words, used: int) -> None:
        """Goes on from 624 words of which so many are used up."""
        bits = np.random.MT19937(0)
        bits.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": used}}
        self._source = np.random.Generator(bits)

    def words(self, n: int):
        """The next n words of 32 bits."""
        return self.source.integers(0, 2**32, n, np.uint32)

    def long_words(self, n: int):
        """The next n words of 64 bits, each made of two."""
        return self.source.integers(0, 2**64, n, np.uint64)

    def get_state(self) -> Tensor:
        """All that the next numbers depend on, as bytes."""
        twister = self.source.bit_generator.state["state"]
        state, used = np.zeros(1, STATE), twister["pos"]
        state["seed"], state["seeded"], state["words"] = self._seed, 1, twister["key"]
        state["left"], state["used"] = 625 - used, used
        if self.spare is not None: state["spare"], state["has_spare"] = self.spare, 1
        return Tensor(state.view(np.uint8))

    def set_state(self, new_state: Tensor) -> Generator:
        """Goes on from a state that was kept."""
        if not isinstance(new_state, Tensor) or new_state.array.dtype != np.uint8:
            raise TypeError("a random state is a tensor of bytes, as get_state() gives it")
        if new_state.shape != (STATE.itemsize,):
            raise RuntimeError(f"a random state is {STATE.itemsize} bytes long, not {shape_of(new_state)}")
        state = np.ascontiguousarray(new_state.array).view(STATE)[0]
        self._seed, self.spare = int(state["seed"]), float(state["spare"]) if state["has_spare"] else None
        self.resume(state["words"].astype(np.uint32), 625 - int(state["left"]))
        return self


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Makes all that is drawn from now on repeatable."""
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Starts from a seed that nobody chose, and says which."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the numbers of today started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """All that the next numbers depend on, as bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Goes on from a state that was kept."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices=None, enabled: bool = True) -> Iterator[None]:
    """`with fork_rng():` draws inside the block, and goes on afterwards as if nothing had been drawn."""
    before = get_rng_state()
    try: yield
    finally:
        if enabled: set_rng_state(before)


DRAWS: dict[Callable, Callable] = {}    # other bodies, which draw the same in less time: see lesson 13


def replaceable(draw: Callable) -> Callable:
    """A function that draws, or another body for it, if the table has one."""
    @wraps(draw)
    def either(source, n, *how): return DRAWS.get(either, draw)(source, n, *how)
    return either


@replaceable
def fractions(source: Generator, n: int, kind: dtype):
    """Numbers from 0 up to 1, in double precision for doubles, else in single."""
    if kind is float64: return (source.long_words(n) & (2**53 - 1)) * 2.0**-53
    return (source.words(n) & 0xFFFFFF).astype(np.float32) * 2.0**-24


@replaceable
def coins(source: Generator, n: int, p: float):
    """True with probability p, n times."""
    return fractions(source, n, float64) < p


def between(source: Generator, n: int, kind: dtype, low: float = 0.0, high: float = 1.0):
    """Numbers from low up to high."""
    x = fractions(source, n, kind)
    if (low, high) != (0, 1):
        low, high = [x.dtype.type(bound) for bound in (low, high)]
        x = (x.astype(np.float64) * (high - low) + low).astype(x.dtype)         # rounded once, at the end
    elif kind.itemsize > 2: return x
    x = kind.cast(x)
    x[x >= high] = low
    return x


def counts(source: Generator, n: int, low: int, high: int):
    """Whole numbers from low up to high; the few words that do not divide evenly do no harm below 2²⁸."""
    words = source.words(n) if high - low < 2**28 else source.long_words(n)
    return (words % (high - low)).astype(np.int64) + low


def normals(source: Generator, n: int, kind: dtype, mean: float = 0.0, std: float = 1.0, blocks: bool = True):
    """Normal numbers around a mean."""
    x = in_blocks(source, n, kind) if blocks and n >= 16 else in_pairs(source, n)
    return kind.cast(x if (mean, std) == (0, 1) else x * float(std) + float(mean))


def in_blocks(source: Generator, n: int, kind: dtype):
    full = n - n % 16                           # small floats leave out the fractions that nobody turns
    whole = turned(fractions(source, n if kind.itemsize > 2 else full, kind)[:full])
    return whole if full == n else np.concatenate([whole[: n - 16], turned(fractions(source, 16, kind))])


def turned(x):
    """Blocks of eight distances and eight angles as points."""
    x = x.reshape(-1, 2, 8)
    distance, angle = np.sqrt(-2 * np.log(1 - x[:, 0])), 2 * math.pi * x[:, 1]
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1).reshape(-1)


def in_pairs(source: Generator, n: int):
    saved = [] if source.spare is None else [source.spare]
    pairs = max(n - len(saved) + 1, 0) // 2
    angle, distance = fractions(source, 2 * pairs, float64).reshape(-1, 2).T
    angle, distance = 2 * math.pi * angle, np.sqrt(-2 * np.log1p(-distance))
    points = np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)
    x = np.concatenate([saved, points.reshape(-1)])
    source.spare = float(x[n]) if len(x) > n else None
    return x[:n]


def waits(source: Generator, n: int):
    """How long one waits for something that comes once in a unit of time on average."""
    return -np.log1p(-fractions(source, n, float64))


def drawn(name: str, draw, shape: tuple, generator, dtype, device, requires_grad) -> Tensor:
    """A new tensor of floats that `draw(source, n, kind)` draws."""
    kind, shape = floats(name, kind_or_default(dtype)), lengths(name, shape)
    array = draw(generator or default_generator, math.prod(shape), kind)
    return boxed_on(array.reshape(shape), device, requires_grad)


def floats(name: str, kind: dtype) -> dtype:
    if not kind.is_floating_point: raise NotImplementedError(f"{name} draws floats, not {kind}")
    return kind


def rand(*shape, size=None, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Numbers from 0 up to 1, each as likely as any other.  () -> (size)"""
    shape = shape if size is None else (size,)
    return drawn("rand", between, shape, generator, dtype, device, requires_grad)


def randn(*shape, size=None, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor:
    """Normal numbers, around 0 with a spread of 1.  () -> (size)"""
    shape = shape if size is None else (size,)
    return drawn("randn", normals, shape, generator, dtype, device, requires_grad)


def randint(
    *bounds,                    # high, or low and high, and perhaps size
    low=0, high=None, size=None, generator=None, dtype=int64, device=None, requires_grad=False,
) -> Tensor:
    """Whole numbers from low up to, and without, high.  () -> (size)"""
    if size is None: *bounds, size = bounds
    if len(bounds) == 2: low, high = bounds
    elif bounds: low, high = (low, bounds[0]) if high is None else (bounds[0], high)
    shape, kind = lengths("randint", (size,)), as_dtype(dtype)
    array = counts(generator or default_generator, math.prod(shape), *whole_bounds(low, high, kind))
    return boxed_on(kind.cast(array.reshape(shape)), device, requires_grad)


def whole_bounds(low, high, kind: dtype) -> tuple[int, int]:
    """The bounds, once there is a number between them that the dtype can hold."""
    low, high = int(low), int(high)
    if low >= high: raise RuntimeError(f"there is no whole number from {low} up to {high}")
    if kind.category == COUNTS and not iinfo(kind).min <= low < high <= iinfo(kind).max + 1:
        raise RuntimeError(f"{kind} cannot hold numbers from {low} to {high - 1}")
    return low, high


def randperm(n: int, *, generator=None, dtype=int64, device=None, requires_grad=False) -> Tensor:
    """The numbers from 0 to n - 1 in any order: each changes places with one behind it.  () -> (n)"""
    (n,) = lengths("randperm", (n,))
    words = (generator or default_generator).words(max(n - 1, 0))
    order = list(range(n))
    for i, ahead in enumerate((words % np.arange(n, 1, -1, dtype=np.uint32)).tolist()):
        order[i], order[i + ahead] = order[i + ahead], order[i]
    return boxed_on(as_dtype(dtype).cast(np.array(order, np.int64)), device, requires_grad)


def rand_like(input, **options) -> Tensor:
    """Numbers from 0 up to 1, in the shape and dtype of the input.  (*) -> (*)"""
    return rand(size=input.shape, **({"dtype": input.dtype, "device": input.device} | options))


def randn_like(input, **options) -> Tensor:
    """Normal numbers, in the shape and dtype of the input.  (*) -> (*)"""
    return randn(size=input.shape, **({"dtype": input.dtype, "device": input.device} | options))


def randint_like(input, *bounds, **options) -> Tensor:
    """Whole numbers from low up to high, in the shape and dtype of the input.  (*) -> (*)"""
    return randint(*bounds, size=input.shape, **({"dtype": input.dtype, "device": input.device} | options))


def normal(mean, std=1.0, size=None, *, generator=None, dtype=None, device=None, requires_grad=False):
    """Normal numbers around a mean; tensors give each number its own mean and spread.  (*), (*) -> (*)"""
    if size is not None:
        out = drawn("normal", normals, (size,), generator, dtype, device, False)
        return (out * std + mean).requires_grad_(requires_grad)
    where = next((x for x in (mean, std) if isinstance(x, Tensor)), None)
    if where is None: raise TypeError("normal of two numbers wants a size: normal(0.0, 1.0, (2, 3))")
    if isinstance(std, Tensor) and std.array.size and std.array.min() < 0:
        raise RuntimeError("normal wants a spread of 0 or more, and one of these is less")
    shape = np.broadcast_shapes(*[x.shape for x in (mean, std) if isinstance(x, Tensor)])
    return randn(size=shape, generator=generator, dtype=where.dtype, device=where.device) * std + mean


def written(tensor: Tensor, numbers) -> Tensor:
    """Writes numbers over a tensor, in the order in which they lie in memory."""
    steps, dims = tensor.array.strides, range(tensor.ndim)
    order = sorted(dims, key=lambda d: -abs(steps[d]))
    numbers = numbers.reshape([tensor.shape[d] for d in order]).transpose([order.index(d) for d in dims])
    return copy_(tensor, boxed_on(numbers, None if tensor.device.type == "cpu" else tensor.device))


@method
def uniform_(tensor, from_=0.0, to=1.0, *, generator=None) -> Tensor:
    """Numbers from `from_` up to `to`, each as likely as any other.  (*) -> (*)"""
    if from_ > to: raise RuntimeError(f"uniform_ draws from a lower bound up to a higher: {from_}, {to}")
    kind = floats("uniform_", tensor.dtype)
    return written(tensor, between(generator or default_generator, tensor.array.size, kind, from_, to))


@method
def normal_(tensor, mean=0.0, std=1.0, *, generator=None) -> Tensor:
    """Normal numbers around a mean.  (*) -> (*)"""
    if std < 0: raise RuntimeError(f"normal_ wants a spread of 0 or more, not {std}")
    source, n, kind = generator or default_generator, tensor.array.size, floats("normal_", tensor.dtype)
    return written(tensor, normals(source, n, kind, mean, std, blocks=is_contiguous(tensor)))


@method
def random_(tensor, *bounds, generator=None) -> Tensor:
    """Whole numbers up to a bound, from one to another, or all that the dtype can count.  (*) -> (*)"""
    source, n, kind = generator or default_generator, tensor.array.size, tensor.dtype
    if not bounds: return written(tensor, any_counts(source, n, kind))
    low, high = bounds if len(bounds) == 2 else (0, *bounds)
    return written(tensor, counts(source, n, *whole_bounds(low, high, kind)))


def any_counts(source: Generator, n: int, kind: dtype):
    """Whole numbers from 0 to the last one before which none is missing."""
    last = 2 ** (round(-math.log2(finfo(kind).eps)) + 1) if kind.is_floating_point else \
        1 if kind is bool_ else iinfo(kind).max
    words = source.long_words(n) if kind.itemsize == 8 else source.words(n)
    return words % (last + 1)


@method
def exponential_(tensor, lambd=1.0, *, generator=None) -> Tensor:
    """How long one waits for something that comes `lambd` times in a unit of time.  (*) -> (*)"""
    if not lambd > 0: raise RuntimeError(f"exponential_ wants a rate above 0, not {lambd}")
    floats("exponential_", tensor.dtype)
    return written(tensor, waits(generator or default_generator, tensor.array.size) / lambd)


@method
def log_normal_(tensor, mean=1.0, std=2.0, *, generator=None) -> Tensor:
    """Numbers whose logarithms are normal.  (*) -> (*)"""
    if not std > 0: raise RuntimeError(f"log_normal_ wants a spread above 0, not {std}")
    floats("log_normal_", tensor.dtype)
    return written(tensor, np.exp(in_pairs(generator or default_generator, tensor.array.size) * std + mean))


@method
def cauchy_(tensor, median=0.0, sigma=1.0, *, generator=None) -> Tensor:
    """Where a beam that turns evenly meets a wall: numbers without a mean.  (*) -> (*)"""
    if not sigma > 0: raise RuntimeError(f"cauchy_ wants a spread above 0, not {sigma}")
    floats("cauchy_", tensor.dtype)
    angle = math.pi * (fractions(generator or default_generator, tensor.array.size, float64) - 0.5)
    return written(tensor, median + sigma * np.tan(angle))


@method
def geometric_(tensor, p, *, generator=None) -> Tensor:
    """How many times one tries until something of probability p happens.  (*) -> (*)"""
    if not 0 < p < 1: raise RuntimeError(f"geometric_ wants a probability above 0 and below 1, not {p}")
    tries = np.log(fractions(generator or default_generator, tensor.array.size, float64)) / math.log1p(-p)
    return written(tensor, np.ceil(tries))


@method
def bernoulli_(tensor, p=0.5, *, generator=None) -> Tensor:
    """1 with probability p, else 0.  (*) -> (*)"""
    source, n = generator or default_generator, tensor.array.size
    if isinstance(p, Tensor):
        chance = probabilities(expand(p, tensor.shape))
        return written(tensor, fractions(source, n, p.dtype).reshape(tensor.shape) < chance)
    if not 0 <= p <= 1: raise RuntimeError(f"a probability is from 0 to 1, not {p}")
    return written(tensor, coins(source, n, p))


@method
def bernoulli(input, p=None, *, generator=None) -> Tensor:
    """1 with the probability that the input holds, or with probability p, else 0.  (*) -> (*)"""
    out = Tensor(np.empty_like(input.array, order="C"))
    return bernoulli_(out, input if p is None else p, generator=generator)


def probabilities(p: Tensor):
    """The array of probabilities, once it is known to be one."""
    array = p.cpu().array
    floats("bernoulli", p.dtype)
    if array.size and not 0 <= array.min() <= array.max() <= 1:
        raise RuntimeError("a probability is from 0 to 1, and some of these are not")
    return array


@method
def multinomial(input, num_samples: int, replacement: bool = False, *, generator=None) -> Tensor:
    """Places picked by their weights, with or without putting them back.  (*, n) -> (*, k)"""
    source, weights = generator or default_generator, input.cpu().array
    complain_about(weights, num_samples, replacement)
    if replacement and num_samples > 1: return boxed_on(put_back(source, weights, num_samples), input.device)
    rate = weights / waits(source, weights.size).astype(weights.dtype).reshape(weights.shape)
    return boxed_on(np.argsort(-rate, -1, kind="stable")[..., :num_samples], input.device)


def put_back(source: Generator, weights, n: int):
    """Places where fractions fall among the weights, stacked up to 1."""
    heights = np.cumsum(weights, -1, dtype=weights.dtype)
    rows = (heights / heights[..., -1:]).reshape(-1, weights.shape[-1])
    falls = fractions(source, len(rows) * n, float64).reshape(-1, n)
    places = [np.searchsorted(row, fall) for row, fall in zip(rows, falls)]
    return np.array(places, np.int64).reshape(*weights.shape[:-1], n)


def complain_about(weights, n: int, replacement: bool) -> None:
    """Says what is wrong with weights, or with the number of samples."""
    if weights.ndim not in (1, 2): raise ShapeError(f"weights are a line or more, not {shape_of(weights)}")
    if not dtype_of(weights).is_floating_point: raise RuntimeError("the weights of multinomial are floats")
    if n <= 0: raise RuntimeError(f"multinomial cannot pick {n}")
    if not replacement and n > weights.shape[-1]:
        raise RuntimeError(f"multinomial cannot pick {n} of {weights.shape[-1]} without putting them back")
    if weights.size and not (np.isfinite(weights).all() and weights.min() >= 0):
        raise RuntimeError("weights are finite and not below 0, and some of these are not so")
    if (weights.sum(-1) <= 0).any(): raise RuntimeError("multinomial cannot pick where all weights are 0")


@method
def poisson(input, generator=None) -> Tensor:
    """How often something happens that does so `input` times on average.  (*) -> (*)

    The only ones here that are not PyTorch's numbers, though from the same source.
    """
    rate = input.cpu().array
    floats("poisson", input.dtype)
    if rate.size and rate.min() < 0: raise RuntimeError("a rate is not below 0, and one of these is")
    counted = (generator or default_generator).source.poisson(rate)
    return boxed_on(input.dtype.cast(np.asarray(counted)), input.device)
