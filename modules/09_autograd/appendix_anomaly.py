# %% [markdown]
# # Appendix: where does the nan come from?
#
# A loss of nan says nothing about where it began, and a gradient of nan even less: it began in some rule,
# deep in backward, whose op ran long ago in a line of the forward that nobody remembers. So let somebody
# remember. Here is an engine that notes for every receipt the line that asked for it, and looks at what
# each rule hands on. It is slow, and it is on only while you search.

# %%
#| export
"""An engine that remembers which line ran each op, and names it when its gradient goes wrong."""

# %%
#| export
from __future__ import annotations

import traceback
import warnings
from pathlib import Path
from weakref import WeakKeyDictionary

from tinytorch.autograd import Autograd, bare, remembering_engine
from tinytorch.receipts import Part, Receipt
from tinytorch.tensor import Op, _default, set_default_engine, using

PACKAGE = str(Path(__file__).parent)

# %%
#| export
LINES: WeakKeyDictionary[Receipt, traceback.StackSummary] = WeakKeyDictionary()


class Watchful(Autograd):
    """Remembers who asked for each op, and checks every gradient."""

    def __init__(self, inner, check_nan: bool = True):
        super().__init__(inner)
        self.check_nan = check_nan

    def record(self, op: Op, inputs: tuple, settings: dict, out):
        out = super().record(op, inputs, settings, out)
        for part in out if isinstance(out, tuple) else (out,):
            if part.receipt is not None: self.noted(whole(part.receipt))
        return out

    def noted(self, receipt: Receipt) -> None:
        """Remembers the lines that led to a receipt."""
        LINES.setdefault(receipt, callers())

    def pull(self, receipt: Receipt, g, create_graph: bool) -> list:
        try: found = [dx() if callable(dx) and edge is not None else dx
                      for dx, edge in zip(super().pull(receipt, g, create_graph), receipt.edges)]
        except Exception:
            self.tell(receipt)
            raise
        for place, (dx, edge) in enumerate(zip(found, receipt.edges) if self.check_nan else ()):
            if edge is None or dx is None or not (bare(dx) != bare(dx)).any(): continue
            self.tell(receipt)
            raise RuntimeError(f"Function '{receipt.name()}' returned nan values in its {place}th output.")
        return found

    def tell(self, receipt: Receipt) -> None:
        """Warns, with the lines that led to the op."""
        if receipt in LINES:
            lines = "".join(traceback.format_list(LINES[receipt]))
            told = f"Traceback of forward call that caused the error:\n{lines}"
        else:
            told = ("No forward pass information available. Enable detect anomaly during forward pass for "
                    "more information.")
        warnings.warn(f"Error detected in {receipt.name()}. {told}", stacklevel=3)


def whole(receipt: Receipt) -> Receipt:
    """The receipt of all outputs, for the receipt of one of them."""
    return receipt.edges[0] if isinstance(receipt, Part) else receipt


def callers() -> traceback.StackSummary:
    """The lines that led here, up to where this package begins."""
    frames = traceback.StackSummary.extract(traceback.walk_stack(None), lookup_lines=False)
    return traceback.StackSummary.from_list([frame for frame in reversed(frames)
                                             if not frame.filename.startswith(PACKAGE)])

# %% [markdown]
# It stands at the door for the length of a block, or, by `set_detect_anomaly(True)`, until it is sent away.

# %%
#| export
class detect_anomaly:
    """`with detect_anomaly():` the forward line of an op whose rule raises, or gives nan, is named in a
    warning."""

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        warnings.warn("Anomaly Detection has been enabled. This mode will increase the runtime and should "
                      "only be enabled for "
                      "debugging.", stacklevel=2)

    def __enter__(self) -> None:
        self.watching = using(Watchful(remembering_engine().inner, self.check_nan))
        self.watching.__enter__()

    def __exit__(self, *error): self.watching.__exit__(*error)


class set_detect_anomaly:
    """Switches the search on or off, from here on or to the end of `with`."""

    def __init__(self, mode: bool, check_nan: bool = True):
        self.before = _default[0]
        inner = remembering_engine().inner
        set_default_engine(Watchful(inner, check_nan) if mode else Autograd(inner))

    def __enter__(self) -> None: pass
    def __exit__(self, *error): set_default_engine(self.before)


def is_anomaly_enabled() -> bool:
    """Whether somebody is watching for gradients that go wrong."""
    return isinstance(remembering_engine(), Watchful)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a gradient of nan counts as one that went wrong."""
    return getattr(remembering_engine(), "check_nan", True)
