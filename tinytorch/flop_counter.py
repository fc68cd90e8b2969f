# Generated from modules/14_benchmarking/appendix_flop_counter.py by `tito export`. Edit that file, not this one.
"""`FlopCounterMode`: the operations of all products, by module, as PyTorch counts them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack

from .autograd import Autograd
from .benchmarking import COSTS
from .costs import sketch
from .hooks import register_module_forward_hook, register_module_forward_pre_hook
from .ledger import FLOPS
from .receipts import Part, Receipt
from .tensor import Op, current_engine, using

__all__ = ["product", "scores", "flop_registry", "products_back", "Counter", "FlopCounterMode"]


def product(name: str) -> Callable:
    """The operations of an op with two factors, its bias left out."""
    return lambda out, x, y, *bias, **settings: COSTS[name](out, x, y, **settings).flops


def scores(out, query, key, value, *masks, **settings):
    """The two products of attention."""
    return FLOPS["attend"](out, query, key, value)


flop_registry: dict[str, Callable] = {
    name: product(name) for name in ("matmul", "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
                                     "conv_transpose2d", "conv_transpose3d")}
flop_registry["attend"] = scores


def products_back(name: str, wanted: list, g, *inputs, **settings) -> float:
    """A product for each factor that wants a gradient; attention shares one between queries and keys."""
    forward = flop_registry[name](g, *inputs, **settings)
    if name != "attend": return forward * sum(wanted[:2])
    q, k, v = wanted[:3]
    return forward / 2 * (v + (q or k) + q + k)


class Counter(Autograd):
    """The engine behind the mode: it tells `note` the operations of every product."""

    def __init__(self, inner, formulas: dict, note: Callable):
        super().__init__(inner)
        self.formulas, self.note = formulas, note

    def run(self, op: Op, inputs: tuple, settings: dict):
        out = self.inner.run(op, inputs, settings)
        if op.name in self.formulas:
            flops = self.formulas[op.name](sketch(out), *[sketch(x) for x in inputs], **settings)
            self.note(op.name, round(flops), out)
        return out

    def write(self, tensor, value, index=...): return self.inner.write(tensor, value, index)

    def pull(self, receipt: Receipt, g, create_graph: bool) -> tuple:
        name = getattr(receipt.op, "name", "")
        if name in flop_registry:
            wanted, inputs = [edge is not None for edge in receipt.edges], map(sketch, receipt.inputs)
            flops = products_back(name, wanted, sketch(g), *inputs, **receipt.settings)
            self.note(f"{name}_backward", round(flops), receipt)
        return super().pull(receipt, g, create_graph)


class FlopCounterMode:
    """`with FlopCounterMode() as counter:` the operations of the block's products, by module and op."""

    def __init__(
        self, mods=None, depth: int | None = 2, display: bool = True, custom_mapping: dict | None = None,
    ):
        if mods is not None:
            warnings.warn("mods argument is not needed anymore, you can stop passing it", stacklevel=2)
        self.depth, self.display = depth, display
        own = {getattr(op, "name", op): formula for op, formula in (custom_mapping or {}).items()}
        self.formulas = flop_registry | own

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts: dict = defaultdict(lambda: defaultdict(int))
        self.flop_counts["Global"] = defaultdict(int)
        self.names, self.at_work, self.makers = {}, [], {}
        self.stack = ExitStack()
        self.stack.enter_context(register_module_forward_pre_hook(self.begin))
        self.stack.enter_context(register_module_forward_hook(self.end, always_call=True))
        self.stack.enter_context(using(Counter(current_engine(), self.formulas, self.note)))
        return self

    def __exit__(self, *error) -> None:
        self.stack.close()
        self.names, self.makers = {}, {}
        if self.display and error[0] is None: print(self.get_table(self.depth))

    def begin(self, module, args) -> None:
        """A module goes to work; the outermost one gives its class's name to all inside."""
        if module not in self.names:
            root = type(module).__name__
            for path, part in module.named_modules(): self.names[part] = f"{root}.{path}" if path else root
        self.at_work.append(self.names[module])

    def end(self, module, args, output) -> None: self.at_work.pop()

    def note(self, name: str, flops: int, of) -> None:
        """Counts operations for the modules at work; on the way back, for those that were at work then."""
        if isinstance(of, Receipt):
            paths = self.makers.get(of.number, ())
        else:
            paths, receipt = tuple(dict.fromkeys(self.at_work)), getattr(of, "receipt", None)
            if isinstance(receipt, Part): receipt = receipt.edges[0]
            if receipt is not None: self.makers[receipt.number] = paths
        for path in ("Global", *paths): self.flop_counts[path][name] += flops

    def get_total_flops(self) -> int:
        """All of them."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[str, int]]:
        """For each module, by its path, and for "Global": the operations by op."""
        return {path: dict(counts) for path, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """A line for each module down to a depth, and its ops below it."""
        depth, total = depth or self.depth or 999_999, self.get_total_flops()
        rows = [("Module", "FLOP", "% Total")]
        for path in ["Global", *sorted(self.flop_counts.keys() - {"Global"})]:
            deep = 0 if path == "Global" else path.count(".") + 1
            if deep > depth: continue
            counts = self.flop_counts[path]
            own = [(f" - {name}", n) for name, n in counts.items()]
            for name, n in [(path, sum(counts.values())), *own]:
                rows.append((" " * deep + name, f"{n:,}", f"{n / total:.2%}" if total else "0%"))
        wide = [max(map(len, column)) for column in zip(*rows)]
        text = [f"{a:{wide[0]}}  {b:>{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]
        return "\n".join([text[0], "-" * len(text[0]), *text[1:]])
