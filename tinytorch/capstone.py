# Generated from modules/16_capstone/capstone.py by `tito export`. Edit that file, not this one.
"""Writing with a memory, and the middle of a server: who waits, who goes together, who is turned away."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock, Semaphore, Thread

import numpy as np

from .activations import softmax
from .attention import GPT, CausalSelfAttention, attend, merge_heads, split_heads
from .elementwise import where
from .errors import ShapeError
from .indexing import sort
from .modes import no_grad
from .randomness import Generator, rand
from .reductions import cumsum
from .shaping import cat, split
from .tensor import Tensor, tensor

__all__ = [
    "Cache", "nothing_read", "remember", "places", "allowed", "look_back", "read", "discouraged", "top_k",
    "top_p", "drawn", "Text", "padded", "joined", "kept", "Writer", "step", "stream", "generate", "Refused",
    "Ask", "admit", "patience", "take", "answer", "Batcher", "Loan", "Shelf",
]


class Cache:
    """Keys and values of what a GPT has read of some texts, which all end in the same column.

    A text that is shorter than another begins later: `start` is the column of its first word.
    """

    def __init__(self, store, start, length: int = 0):
        self.store, self.start, self.length = store, np.asarray(start), length

    def make_room(self, columns: int) -> None:
        """Room for so many columns in all."""
        if columns <= self.store.shape[-2]: return
        bigger = max(columns, 2 * self.store.shape[-2], 16)
        store = np.zeros_like(self.store, shape=(*self.store.shape[:-2], bigger, self.store.shape[-1]))
        store[..., : self.length, :] = self.store[..., : self.length, :]
        self.store = store


def nothing_read(model: GPT, start: Sequence[int]) -> Cache:
    """An empty cache for as many texts as there are starts."""
    table, heads = model.transformer.wte.weight, model.transformer.h[0].attn.n_head
    shape = len(model.transformer.h), 2, len(start), heads, 0, table.shape[1] // heads
    return Cache(np.zeros_like(table.array, shape=shape), start)


def remember(cache: Cache, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Appends the keys and values of new words; all so far.  (B, heads, T, H) -> (B, heads, length + T, H)"""
    new = cache.length + k.shape[-2]
    cache.make_room(new)
    keys, values = cache.store[layer]
    keys[:, :, cache.length : new] = k.array
    values[:, :, cache.length : new] = v.array
    return Tensor(keys[:, :, :new]), Tensor(values[:, :, :new])


def places(start, old: int, T: int) -> Tensor:
    """The places of T new words after `old` columns, in each text; 0 on padding.  (B) -> (B, T)"""
    return Tensor(np.maximum(np.arange(old, old + T) - start[:, None], 0))


def allowed(start, old: int, T: int) -> Tensor:
    """0 where a new word may look, -inf where not; for every head.  (B) -> (B, 1, T, old + T)"""
    column, query = np.arange(old + T), np.arange(old, old + T)[:, None]
    visible = (column >= start[:, None, None]) & (column <= query)
    return Tensor(np.where(visible, 0, -math.inf).astype(np.float32)[:, None])


def look_back(attn: CausalSelfAttention, x: Tensor, cache: Cache, layer: int, mask=None) -> Tensor:
    """New words look at all words so far, themselves included.  (B, T, C) -> (B, T, C)"""
    q, k, v = split(split_heads(attn.c_attn(x), 3 * attn.n_head), attn.n_head, dim=-3)
    k, v = remember(cache, layer, k, v)
    return attn.c_proj(merge_heads(attend(q, k, v, mask)))


@no_grad()
def read(model: GPT, ids: Tensor, cache: Cache, last: bool = False) -> Tensor:
    """The scores after each new word, or after the last alone.  (B, T) -> (B, T, vocab) or (B, 1, vocab)"""
    parts, old, T = model.transformer, cache.length, ids.shape[1]
    if old + T - cache.start.min() > model.block_size:
        raise ShapeError(f"{old + T - cache.start.min()} words do not fit into {model.block_size} places")
    hides = T > 1 or cache.start.any()                  # a single new word of unpadded texts sees everything
    mask = allowed(cache.start, old, T).to(ids.device) if hides else None
    x = parts.wte(ids) + parts.wpe(places(cache.start, old, T).to(ids.device))
    for layer, block in enumerate(parts.h):
        x = x + look_back(block.attn, block.ln_1(x), cache, layer, mask)
        x = x + block.mlp(block.ln_2(x))
    cache.length = old + T
    return model.lm_head(parts.ln_f(x[:, -1:] if last else x)).cpu()        # words are chosen on the host


def discouraged(scores: Tensor, used: Sequence[int], penalty: float) -> Tensor:
    """The scores, with those of used words made less: divided if above 0, multiplied if below.  (n) -> (n)"""
    array, used = scores.array.copy(), list(used)
    old = array[used]
    array[used] = np.where(old > 0, old / penalty, old * penalty)
    return Tensor(array)


def top_k(scores: Tensor, k: int) -> Tensor:
    """The k best scores; the others are -inf.  (n) -> (n)"""
    least = sort(scores, descending=True).values[min(k, len(scores)) - 1]
    return where(scores < least, -math.inf, scores)


def top_p(scores: Tensor, p: float) -> Tensor:
    """The fewest best scores whose shares make up p; the others are -inf.  (n) -> (n)"""
    best, order = sort(softmax(scores, -1), descending=True)       # shares, largest first, and whose they are
    stays = np.empty(len(scores), bool)
    stays[order.array] = (cumsum(best, 0) - best < p).array
    return where(Tensor(stays), scores, -math.inf)


def drawn(shares: Tensor, u: float) -> int:
    """The word whose piece of the line from 0 to 1 the point u, below 1, falls into.  (n) -> a number"""
    ends = cumsum(shares.double(), 0).array
    return int((ends > u * ends[-1]).argmax())


@dataclass(eq=False)
class Text:
    """A text that is being continued, and how. Temperature 0 takes the likeliest word."""

    ids: list[int]
    max_new_tokens: int = 20
    temperature: float = 1.0
    top_k: int = 0                      # 0: all words
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: Sequence[int] = ()            # words that end it

    def __post_init__(self):
        self.ids, self.most = list(self.ids), len(self.ids) + self.max_new_tokens
        self.generator = Generator()
        if self.seed is None: self.generator.seed()
        else: self.generator.manual_seed(self.seed)
        self.done = self.most <= len(self.ids)

    def add(self, word: int) -> None:
        self.ids.append(word)
        self.done = self.done or word in self.stop or len(self.ids) >= self.most

    def choose(self, scores: Tensor) -> int:
        """The next word.  (vocab) -> a number"""
        if self.repetition_penalty != 1: scores = discouraged(scores, self.ids, self.repetition_penalty)
        if self.temperature == 0: return int(scores.argmax())
        if self.temperature != 1: scores = scores / self.temperature
        if self.top_k: scores = top_k(scores, self.top_k)
        if self.top_p < 1: scores = top_p(scores, self.top_p)
        return drawn(softmax(scores, -1), rand(1, generator=self.generator).item())


def padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, list[int]]:
    """Texts as rows that all end in the last column, and in which column each starts."""
    longest = max([len(ids) for ids in texts])
    start = [longest - len(ids) for ids in texts]
    return tensor([[0] * n + list(ids) for n, ids in zip(start, texts)]), start


def joined(a: Cache, b: Cache) -> Cache:
    """Both caches as one: the texts of a, then those of b."""
    length, texts = max(a.length, b.length), len(a.start)
    shape = (*a.store.shape[:2], texts + len(b.start), a.store.shape[3], length, a.store.shape[5])
    store = np.zeros_like(a.store, shape=shape)                 # (layers, 2, B, heads, room, H)
    store[:, :, :texts, :, length - a.length :] = a.store[..., : a.length, :]
    store[:, :, texts:, :, length - b.length :] = b.store[..., : b.length, :]
    start = np.concatenate([a.start + length - a.length, b.start + length - b.length])
    return Cache(store, start, length)


def kept(cache: Cache, rows: Sequence[int]) -> Cache:
    """The cache of these of its texts, without columns in which none of them has a word."""
    rows = list(rows)
    first = cache.start[rows].min()
    store = cache.store[:, :, rows, :, first : cache.length]
    return Cache(store, cache.start[rows] - first, cache.length - first)


class Writer:
    """Continues texts together, with a model that is put to work; they may come and go at every step."""

    def __init__(self, model: GPT):
        self.model, self.texts, self.cache, self.scores = model.eval(), [], None, None

    def begin(self, *texts: Text) -> None:
        """Reads new texts, together, and takes them in beside those that are being written."""
        room = self.model.block_size
        for text in texts:
            if not 0 < len(text.ids) <= room:
                raise ShapeError(f"a text of 1 to {room} words can be continued, not one of {len(text.ids)}")
            text.most = min(text.most, room + 1)                # the last word needs no place of its own
        new = [text for text in texts if not text.done]
        if not new: return
        ids, start = padded([text.ids for text in new])
        cache = nothing_read(self.model, start)
        scores = read(self.model, ids, cache, last=True)[:, -1]
        if self.texts: cache, scores = joined(self.cache, cache), cat([self.scores, scores])
        self.texts, self.cache, self.scores = self.texts + new, cache, scores

    def step(self) -> list[tuple[Text, int]]: return step(self)


def step(writer: Writer) -> list[tuple[Text, int]]:
    """A word for each text: who said what. Those that are done leave; the others are read on."""
    said = [(text, text.choose(scores)) for text, scores in zip(writer.texts, writer.scores)]
    for text, word in said: text.add(word)
    rows = [n for n, text in enumerate(writer.texts) if not text.done]
    if 0 < len(rows) < len(said): writer.cache = kept(writer.cache, rows)
    writer.texts = [writer.texts[n] for n in rows]
    if rows:
        last = tensor([[text.ids[-1]] for text in writer.texts])
        writer.scores = read(writer.model, last, writer.cache)[:, -1]
    return said


def stream(model: GPT, ids: Sequence[int], writer=Writer, **how) -> Iterator[int]:
    """The words that continue a text, one after the other; `how` are the fields of Text."""
    writer, text = writer(model), Text(ids, **how)
    writer.begin(text)
    while writer.texts: yield writer.step()[0][1]


def generate(model: GPT, texts: Sequence[Sequence[int]], writer=Writer, **how) -> list[list[int]]:
    """All texts, continued; with a seed, the n-th one is drawn from seed + n."""
    seed, how = how.pop("seed", None), dict(how)
    writer, whole = writer(model), [Text(ids, seed=None if seed is None else seed + n, **how)
                                    for n, ids in enumerate(texts)]
    writer.begin(*whole)
    while writer.texts: writer.step()
    return [text.ids for text in whole]


class Refused(Exception):
    """A request that is not answered, and why: the status is that of HTTP."""

    def __init__(self, why: str, status: int = 400, retry_after: float | None = None):
        super().__init__(why)
        self.status, self.retry_after = status, retry_after


@dataclass(eq=False)
class Ask:
    """A request that waits: some arrays with the same number of rows, and who wants the answer."""

    inputs: tuple
    came: float = 0.0                   # seconds, by the clock of whoever keeps the line
    deadline: float = math.inf          # when nobody wants the answer any more
    answer: Future = field(default_factory=Future)

    @property
    def rows(self) -> int: return len(self.inputs[0])
    @property
    def kind(self) -> tuple: return tuple([(x.shape[1:], x.dtype) for x in self.inputs])


def admit(line: deque[Ask], ask: Ask, bound: int, pace: float) -> None:
    """Puts a request at the end of the line, unless more than `bound` rows would wait: then Refused, 429."""
    waiting = sum([a.rows for a in line])
    if line and waiting + ask.rows > bound:
        raise Refused(f"{waiting} rows are waiting already: come back later", 429, waiting * pace)
    line.append(ask)


def patience(line: deque[Ask], max_batch: int, max_delay: float, now: float) -> float:
    """How many seconds the first in line (there is one) waits for company, from now on; 0: not at all."""
    if sum([a.rows for a in line]) >= max_batch: return 0.0
    return max(0.0, line[0].came + max_delay - now)


def take(line: deque[Ask], max_batch: int, now: float) -> list[Ask]:
    """Takes the next batch from the front of the line. Who is late gets Refused, 504; who left, nothing."""
    taken = []
    while line:
        ask = line[0]
        count = sum([a.rows for a in taken]) + ask.rows
        if taken and (ask.kind != taken[0].kind or count > max_batch): break
        line.popleft()
        if not ask.answer.set_running_or_notify_cancel(): continue
        if now >= ask.deadline: ask.answer.set_exception(Refused("the deadline is over", 504))
        else: taken.append(ask)
    return taken


def answer(asks: list[Ask], function: Callable) -> None:
    """Answers requests with one call of a function from arrays to a tuple of arrays."""
    try:
        stacked = [np.concatenate(parts) for parts in zip(*[ask.inputs for ask in asks])]
        ends = np.cumsum([ask.rows for ask in asks])[:-1]
        pieces = [np.split(out, ends) for out in function(*stacked)]
        for ask, *own in zip(asks, *pieces): ask.answer.set_result(tuple(own))
    except Exception as error:
        if len(asks) == 1: asks[0].answer.set_exception(error)
        else:
            for ask in asks: answer([ask], function)


class Batcher:
    """Answers requests together, up to max_batch rows at once; nobody waits for others beyond max_delay."""

    def __init__(
        self, function: Callable,           # arrays -> a tuple of arrays, row by row
        max_batch: int = 32,                # rows
        max_delay: float = 0.002,           # seconds
        bound: int = 1024,                  # rows that may wait
        workers: int = 1,                   # threads that call the function
        clock: Callable[[], float] = time.monotonic,
    ):
        self.function, self.max_batch, self.max_delay, self.bound = function, max_batch, max_delay, bound
        self.clock, self.line, self.stirred, self.closed, self.pace = clock, deque(), Condition(), False, 0.0
        self.told = lambda rows, seconds: None      # hears of every batch
        self.turns = Semaphore(workers)             # who computes has one
        self.threads = [Thread(target=self.work, daemon=True) for _ in range(workers)]
        for thread in self.threads: thread.start()

    def submit(self, *inputs, deadline: float = math.inf) -> Future:
        """Puts a request in line; a future of its answer. Refused if the line is full or closed."""
        ask = Ask(inputs, self.clock(), deadline)
        with self.stirred:
            if self.closed: raise Refused("it is being shut down", 503, 1.0)
            admit(self.line, ask, self.bound, self.pace)
            self.stirred.notify()
        return ask.answer

    def at_once(self, *inputs, deadline: float = math.inf) -> Future | None:
        """A future that is done, by this thread, if nobody else waits or computes; else None."""
        if self.line or not self.turns.acquire(blocking=False): return None
        try:
            ask = Ask(inputs, self.clock(), deadline)
            self.attend(take(deque([ask]), self.max_batch, self.clock()))
            return ask.answer
        finally: self.turns.release()

    def work(self) -> None:
        while (asks := self.next_batch()) is not None:
            with self.turns: self.attend(asks)

    def attend(self, asks: list[Ask]) -> None:
        """Answers them, and notes how long it took."""
        if not asks: return
        began, count = self.clock(), sum([ask.rows for ask in asks])
        answer(asks, self.function)
        seconds = self.clock() - began
        self.pace = seconds / count if not self.pace else 0.9 * self.pace + 0.1 * seconds / count
        self.told(count, seconds)

    def next_batch(self) -> list[Ask] | None:
        """Waits for one; None when there will be no more."""
        with self.stirred:
            while True:
                if self.line:
                    pause = patience(self.line, self.max_batch, self.max_delay, self.clock())
                    if pause <= 0 or self.closed: return take(self.line, self.max_batch, self.clock())
                    self.stirred.wait(pause)
                elif self.closed: return None
                else: self.stirred.wait()

    def close(self) -> None:
        """Takes in no more, answers everybody who waits, and ends."""
        with self.stirred:
            self.closed = True
            self.stirred.notify_all()
        for thread in self.threads: thread.join()


class Loan:
    """Something in use by several at once, closed when it is retired and nobody uses it any more."""

    def __init__(self, thing):
        self.thing, self.users, self.retired, self.lock = thing, 0, False, Lock()

    def enter(self) -> bool:
        """One more uses it; False, and nothing else, if it is retired."""
        with self.lock:
            if self.retired: return False
            self.users += 1
            return True

    def leave(self) -> None:
        """One less uses it; the last one, after it was retired, closes it."""
        with self.lock:
            self.users -= 1
            over = self.retired and self.users == 0
        if over: self.thing.close()

    def retire(self) -> None:
        """Nobody else may use it; closes it, if nobody does."""
        with self.lock:
            over = not self.retired and self.users == 0
            self.retired = True
        if over: self.thing.close()


class Shelf:
    """What is being lent under which name."""

    def __init__(self): self.loans, self.lock = {}, Lock()

    def put(self, name: str, thing) -> None:
        """Lends this under the name from now on; what was there is closed after its last use."""
        with self.lock: old, self.loans[name] = self.loans.get(name), Loan(thing)
        if old: old.retire()

    def remove(self, name: str) -> None:
        with self.lock: old = self.loans.pop(name, None)
        if old: old.retire()

    @contextmanager
    def lent(self, name: str):
        """`with shelf.lent(name) as thing`; KeyError if nothing has this name."""
        while not (loan := self.loans[name]).enter(): pass      # replaced just now: look again
        try: yield loan.thing
        finally: loan.leave()
