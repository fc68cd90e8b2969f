"""Hold the signatures of torch.nn against ours, and write what differs into docs/differences.md.

    python scripts/differences.py           writes the tables between the two markers
    python scripts/differences.py --check   says what is out of date or has no reason yet; exit code 1

Needs the `dev` extra. What differs in behaviour is told by hand, above the tables.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

PAGE = Path(__file__).resolve().parents[1] / "docs" / "differences.md"
BEGIN = "<!-- from here on written by scripts/differences.py -->"
END = "<!-- to here -->"
PLACES = ("nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "utils.data")

OLD = "deprecated since 2018: `reduction` says the same in one word"
GUESSED = "PyTorch guesses a missing `dim`, and warns"
REASONS = {                 # of a parameter, wherever it turns up, or of `function.parameter`
    "size_average": OLD,
    "reduce": OLD,
    "options": "chooses between chunked kernels, which change the speed and not the result",
    "_stacklevel": "private: how far up a warning points",
    "out": "a result is a new tensor; nothing is written into one that is handed in",
    "_freeze": "private",
    "_weight": "private: use `from_pretrained`",
    **dict.fromkeys(("softmax.dim", "log_softmax.dim", "softmin.dim"), GUESSED),
    "RNNBase.mode": "the class says which kind it is: RNN, LSTM or GRU",
    "RNNCellBase.device": "a base class: its three children have PyTorch's defaults",
    "RNNCellBase.dtype": "a base class: its three children have PyTorch's defaults",
}
IN_PLACE = "takes what the function without the underscore takes, the tensor by position"
LEFT_OUT = {                # why names are missing, by pattern; the first that matches
    r"Lazy|Uninitialized": "a shape that is not known until the first call is hard to print, save and count",
    r"DataParallel": "one process, several GPUs: PyTorch itself advises against it; see lesson 19",
    r"NLLLoss2d|Container$": "deprecated in PyTorch",
    r"upsample(_nearest|_bilinear)?$|UpsamplingNearest|UpsamplingBilinear": "an old name of `interpolate`",
    r"boolean_dispatch|assert_int|handle_torch|has_torch|^bind$|copy_method": "the inside of PyTorch",
    r"clip_grad|get_total_norm": "comes with lesson 11, training",
    r"SyncBatchNorm": "comes with lesson 19, distributed",
    r"spectral_norm|weight_norm": "rewrites a module's parameters before each call; not built yet",
    r"[fF]ractional_?[mM]ax|CrossMapLRN|conv_tbc|affine_grid|grid_sample": "not built yet",
    r"_with_indices|native_channel": "what the function without this word calls inside",
    r"Base$": "a base class",
    r"Options$": "chooses between chunked kernels, which change the speed and not the result",
    r"AdaptiveLogSoftmax": "a softmax for enormous vocabularies, which sub-word tokens have made unnecessary",
    r"DataPipe|DataChunk|datapipe|deterministic|argument_validation|runtime_validation":
        "data pipes: PyTorch no longer develops them",
    r"fuse_|convert_conv2d|convert_conv3d": "belongs to PyTorch's compiler",
    r"scaled_mm|scaled_grouped|grouped_mm|ScalingType|Swizzle": "products of 8-bit floats, on some GPUs",
    r"multi_head_attention_forward|_native_multi": "what MultiheadAttention calls inside",
}


class Row(NamedTuple):
    """A signature that is not PyTorch's."""

    name: str
    theirs: str
    ours: str
    why: str


def parameters(thing) -> dict[str, object] | None:
    """The parameters and their defaults, in order; None where nobody says."""
    if hasattr(thing, "promote"):                       # an op of ours
        known = inspect.signature(thing.forward).parameters
        return {name: plain(known[name].default if name in known else False)
                for name in (*thing.inputs, *thing.settings)}
    try: found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError): return told(thing)
    if {p.name for p in found} == {"args", "kwargs"}: return None
    return {("*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else "") + p.name:
            plain(p.default) for p in found}


def told(thing) -> dict[str, object] | None:
    """What the first line of a builtin's documentation says: linear(input, weight, bias=None) -> Tensor."""
    line = re.match(r"\s*[\w.]+\(([^)]*)\)", thing.__doc__ or "")
    if not line: return None
    found = {}
    for part in [part.strip() for part in line.group(1).split(",") if part.strip() not in ("", "*", "/")]:
        name, _, default = part.partition("=")
        found[name.strip()] = plain(eval(default, {}) if default else inspect.Parameter.empty)
    return found


def plain(default) -> object:
    """A default as it can be compared: numbers by value, PyTorch's things by their names."""
    if default is inspect.Parameter.empty: return ...
    if isinstance(default, (bool, str, type(None))): return default
    if isinstance(default, (int, float)): return float(default)
    told = re.sub(r"<[\w.]*?(\w+) object at \w+>", r"a \1", repr(default))
    return re.sub(r"\b(torch|tinytorch)\.|<(?:op|function) (\w+)[^>]*>", r"\2", told)


def written(found: dict | None) -> str:
    if found is None: return "(*args)"
    return ", ".join(name if default is ... else f"{name}={default:g}" if isinstance(default, float)
                     else f"{name}={default!r}" for name, default in found.items())


def why(name: str, theirs: dict, ours: dict) -> str:
    """The reasons for all that differs, or "" if one of them is missing."""
    if name.endswith("_") and "**settings" in ours: return IN_PLACE
    changed = [p for p in {**theirs, **ours} if theirs.get(p, "absent") != ours.get(p, "absent")]
    moved = [p for p in theirs if p in ours] != [p for p in ours if p in theirs]
    reasons = [REASONS.get(f"{name}.{p}", REASONS.get(p, "")) for p in changed]
    if moved: reasons.append(REASONS.get(f"{name}.order", ""))
    return "" if "" in reasons else "; ".join(dict.fromkeys(reasons))


def public(place: str) -> list[str]:
    """What PyTorch means to be used there: its own classes of modules, and its functions."""
    home = import_module(f"torch.{place}")
    kinds = {"nn": inspect.isclass, "utils.data": callable}
    counts = kinds.get(place, inspect.isroutine)
    return [name for name in dir(home) if name[0] != "_" and counts(getattr(home, name))
            and (getattr(getattr(home, name), "__module__", None) or "torch").startswith("torch")]


def compared(place: str) -> tuple[list[Row], list[str], int]:
    """The signatures that differ, the names that are missing, and how many agree."""
    theirs, ours = import_module(f"torch.{place}"), import_module(f"tinytorch.{place}")
    rows, missing, agree = [], [], 0
    for name in public(place):
        if not hasattr(ours, name):
            missing.append(name)
            continue
        wanted, found = [parameters(getattr(home, name)) for home in (theirs, ours)]
        if found is None: found = {"*args": ...}
        if wanted is None or (wanted == found and list(wanted) == list(found)): agree += 1
        else: rows.append(Row(name, written(wanted), written(found), why(name, wanted, found)))
    return rows, missing, agree


def reason_for(name: str) -> str:
    return next((reason for pattern, reason in LEFT_OUT.items() if re.search(pattern, name)), "")


def section(place: str) -> list[str]:
    rows, missing, agree = compared(place)
    told = f"{agree} signatures are the same (or PyTorch does not say), {len(rows)} differ."
    lines = ["", f"### torch.{place}", "", told]
    if rows: lines += ["", "| name | PyTorch | TinyTorch | why |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | `{row.theirs}` | `{row.ours}` | {row.why or NOT_YET} |" for row in rows]
    reasons: dict[str, list[str]] = {}
    for name in missing: reasons.setdefault(reason_for(name) or NOT_YET, []).append(f"`{name}`")
    if reasons: lines += ["", "| not here | why |", "|---|---|"]
    return lines + [f"| {', '.join(names)} | {reason} |" for reason, names in reasons.items()]


NOT_YET = "(no reason yet)"


def text() -> str:
    """The part of the page that is written by this script."""
    version = torch.__version__.partition("+")[0]
    told = f"Names of parameters, their order and their defaults, held against PyTorch {version}."
    lines = ["## Signatures", "", told]
    for place in PLACES: lines += section(place)
    return "\n".join([BEGIN, "", *lines, "", END])


def page(old: str, new: str) -> str:
    """The page with the new part in place of the old one, or behind the rest."""
    before, _, rest = old.partition(BEGIN)
    return before.rstrip() + "\n\n" + new + (rest.partition(END)[2] or "\n")


def findings() -> list[str]:
    """What is out of date or has no reason yet."""
    old, new = PAGE.read_text("utf-8"), text()
    stale = [] if page(old, new) == old else ["out of date: python scripts/differences.py"]
    return stale + [f"no reason yet: {line}" for line in new.splitlines() if NOT_YET in line]


if __name__ == "__main__":
    if "--check" in sys.argv:
        print("\n".join(found := findings()))
        sys.exit(bool(found))
    PAGE.write_text(page(PAGE.read_text("utf-8"), text()), "utf-8")
    print("\n".join(findings()))
