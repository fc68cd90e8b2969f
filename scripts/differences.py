"""Hold the names and signatures of torch against ours, and write what differs into docs/differences.md.

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
BUILT_IN = ("", "Tensor", "linalg", "random")       # most of what is there does not tell its signature
PLACES = ("nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize",
          "nn.utils.parametrizations", "autograd", "autograd.function", "autograd.graph", "utils.data",
          "utils.checkpoint", "optim", "optim.lr_scheduler", "optim.swa_utils", "amp", "nn.utils.prune",
          "ao.quantization")

OLD = "deprecated since 2018: `reduction` says the same in one word"
GUESSED = "PyTorch guesses a missing `dim`, and warns"
REASONS = {                 # of a parameter, wherever it turns up, or of `function.parameter`
    "size_average": OLD,
    "reduce": OLD,
    "options": "chooses between chunked kernels, which change the speed and not the result",
    "_stacklevel": "private: how far up a warning points",
    "out": "every op takes `out=`, a function made of several does not",
    "_freeze": "private",
    "_weight": "private: use `from_pretrained`",
    **dict.fromkeys(("softmax.dim", "log_softmax.dim", "softmin.dim"), GUESSED),
    "RNNBase.mode": "the class says which kind it is: RNN, LSTM or GRU",
    "RNNCellBase.device": "a base class: its three children have PyTorch's defaults",
    "RNNCellBase.dtype": "a base class: its three children have PyTorch's defaults",
    **dict.fromkeys(("prepare.observer_non_leaf_module_list", "prepare.prepare_custom_config_dict",
                     "convert.is_reference", "convert.convert_custom_config_dict", "convert.remove_qconfig",
                     "convert.use_precomputed_fake_quant", "fuse_modules.fuser_func",
                     "fuse_modules.fuse_custom_config_dict"),
                    "for quantised modules of one's own, of PyTorch's kind"),
}
IN_PLACE = "takes what the function without the underscore takes, the tensor by position"
LEFT_OUT = {                # why names are missing, by pattern; the first that matches
    r"DataParallel": "one process, several GPUs: PyTorch itself advises against it; see lesson 19",
    r"NLLLoss2d|Container$": "deprecated in PyTorch",
    r"boolean_dispatch|assert_int|handle_torch|has_torch|^bind$|copy_method": "the inside of PyTorch",
    r"_swap_module|traceable_wrapper|opaque|transfer_param": "the inside of PyTorch",
    r"^SparseAdam$": "there is one layout of tensors here: dense",
    r"^swap_in_optimizer": "for PyTorch's compiler, which runs steps without numbers",
    r"^custom_[fb]wd$": "a door for hand-written kernels",
    r"SyncBatchNorm": "comes with lesson 19, distributed",
    r"CrossMapLRN": "its sum never lets go of the first channel; `LocalResponseNorm` does what both promise",
    r"_with_indices|native_channel": "what the function without this word calls inside",
    r"is_multithreading|is_view_replay|kineto|is_tensor_like|^variable$": "the inside of PyTorch",
    r"allow_mutation|get_gradient_edge|region_activ|set_override_stale|set_warn_on": "rarely wanted",
    r"capture_logs|tree_map|device_states|detach_variable": "what checkpointing calls inside",
    r"selective_checkpoint|set_checkpoint_": "chooses op by op what is kept; left out",
    r"Base$": "a base class",
    r"Options$": "chooses between chunked kernels, which change the speed and not the result",
    r"DataPipe|DataChunk|datapipe|deterministic|argument_validation|runtime_validation":
        "data pipes: PyTorch no longer develops them",
    r"convert_conv2d|convert_conv3d": "belongs to PyTorch's compiler",
    r"scaled_mm|scaled_grouped|grouped_mm|ScalingType|Swizzle": "products of 8-bit floats, on some GPUs",
    r"_jit$|script_qconfig|_qconfig_dict$|qconfig_mapping$|qconfig_equals|get_block_size":
        "for the graphs of PyTorch's compilers",
    r"mappings?$|module_class$|_module_list$|propagation_list|custom_config_dict|swap_module|propagate_qconfig|"
    r"get_quantized_operator|get_fuser|observer_state_dict|no_observer_set|default_eval_fn|add_quant_dequant":
        "the inside of PyTorch; here `mapping` is a dict from layers to layers",
    r"^fuse_": "`fuse_modules` and `nn.utils.fuse_conv_bn_eval` do it",
    r"multi_head_attention_forward|_native_multi": "what MultiheadAttention calls inside",
}
LEFT_OUT_THERE = {          # the same for what is built in
    r"complex|view_as_real|^real$|imag|conj|angle|polar|chalf|cfloat|cdouble|resolve_neg|is_neg$|^eig$|eigvals$|geev":
        "there are no complex numbers here",
    r"stft|istft": "there are no complex numbers here",
    r"sparse|coalesce|crow_|ccol_|col_indices|row_indices|^indices|^values|smm$|spmm|hsmm|hspmm|dsmm|saddmm|sspaddmm|"
    r"dense_dim|to_dense|slice_inverse|to_padded|^layout$|is_nested": "there is one layout: dense",
    r"quant|q_per|q_scale|q_zero|qscheme|qparams|int_repr|fake_|fbgemm|fused_moving":
        "tensors have no scale of their own; lesson 12 keeps it beside them",
    r"_backward_": "what `nn.functional` or a module calls inside",
    r"autocast": "comes with lesson 11, training",
    r"cudnn|miopen|mkldnn|xpu|ipu|mtia|maia|is_meta|is_mps|is_xla|vulkan|to_mkldnn|record_stream|pin_memory|is_pinned|share_memory|is_shared|"
    r"thread_safe|num_threads|interop_threads|get_device_module|default_device|matmul_precision|flush_denormal|"
    r"deterministic|warn_always|cupti|_cxx11|distributed": "about PyTorch's own machine room",
    r"storage|set_$|is_set_to|const_data_ptr|data_ptr|as_subclass|module_load|dim_order|new_empty_strided|from_file|"
    r"empty_permuted|resize": "memory is NumPy's, and keeps its size",
    r"^sym_|^import_ir|parse_|^fork$|^wait$|while_loop|merge_type|unify_type|classproperty|typename|get_file_path|"
    r"prepare_multi|init_num|hash_tensor|is_storage|nonzero_static":
        "about PyTorch's compilers and scripts",
    r"^gradient$|^i0_?$|igamma|mvlgamma|binomial|segment_reduce|renorm|histogramdd": "rarely needed",
    r"grad|output_nr|volatile|^name$|anomaly|inference|backward|register_hook|reinforce|vmap":
        "comes with lessons 09 and 17",
    r"^(save|load)$": "comes with lesson 11, training",
    r"^compile$": "comes with lesson 18, compiler",
    r"dlpack": "comes with lesson 20, interop",
    r"_ex$": "gives a number in place of an error",
    r"_copy$|_scatter$|^unsafe_": "a copy of a view: `x.view(…).clone()`",
    r"^native_|^batch_norm|^group_norm|^instance_norm|^(alpha_|feature_|feature_alpha_)?dropout_?$|^embedding|_loss$|"
    r"^kl_div$|binary_cross_entropy|grid_sampler|affine_grid_generator|constant_pad_nd|_with_indices|conv_tbc|"
    r"^(lstm|gru|rnn_tanh|rnn_relu)$|quantized_|norm_except_dim":
        "what `nn.functional` or a module calls inside",
    r"^(lu|ldl|lu_factor|lu_solve|lu_unpack|ldl_factor|ldl_solve)(_ex)?$|lobpcg|pca_lowrank|svd_lowrank|ormqr":
        "NumPy hands out no such factors; `linalg.solve`, `inv` and `svd` use them inside",
    r"^(solve|symeig|svd|cond|matrix_rank|lstsq|triangular_solve|eig|chain_matmul|nuclear_norm|frobenius_norm|range|"
    r"set_default_tensor_type)$": "an old name of what `linalg`, `norm` or `arange` does",
    r"^(apply|map|map2)_$": "one call of Python a number",
    r"^new$|sum_to_size|^index$": "an old name, or one for PyTorch itself",
    r"_$": "`torch.exp_(x)` is `x.exp_()`",
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
    if {p.name for p in found} in ({"args", "kwargs"}, {"args", "kwds"}): return None
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
    home = found_at("torch", place)
    kinds = {"nn": inspect.isclass, "utils.data": callable, "amp": callable}
    counts = kinds.get(place, inspect.isroutine)
    if place.startswith("optim"): return [name for name in home.__all__ if callable(getattr(home, name))]
    if place == "Tensor": return [name for name in dir(home) if name[0] != "_"]
    return [name for name in dir(home) if name[0] != "_" and counts(getattr(home, name))
            and (getattr(getattr(home, name), "__module__", None) or "torch").startswith("torch")]


def found_at(library: str, place: str):
    """A module of a library, its top, or a tensor of it."""
    top = import_module(library)
    if place == "Tensor": return top.Tensor if library == "torch" else top.ones(1, 1)
    return import_module(f"{library}.{place}") if place else top


def compared(place: str) -> tuple[list[Row], list[str], int]:
    """The signatures that differ, the names that are missing, and how many agree."""
    theirs, ours = found_at("torch", place), found_at("tinytorch", place)
    rows, missing, agree = [], [], 0
    for name in public(place):
        if not hasattr(ours, name):
            missing.append(name)
            continue
        if place in BUILT_IN:
            agree += 1
            continue
        wanted, found = [parameters(getattr(home, name)) for home in (theirs, ours)]
        if found is None: found = {"*args": ...}
        if wanted is None or (wanted == found and list(wanted) == list(found)): agree += 1
        else: rows.append(Row(name, written(wanted), written(found), why(name, wanted, found)))
    return rows, missing, agree


def reason_for(name: str, place: str = "nn") -> str:
    patterns = LEFT_OUT_THERE if place in BUILT_IN else LEFT_OUT
    return next((reason for pattern, reason in patterns.items() if re.search(pattern, name)), "")


def section(place: str) -> list[str]:
    rows, missing, agree = compared(place)
    told = f"{agree} signatures are the same (or PyTorch does not say), {len(rows)} differ."
    if place in BUILT_IN: told = f"{agree} names are here, {len(missing)} are not."
    lines = ["", f"### torch.{place}".rstrip("."), "", told]
    if rows: lines += ["", "| name | PyTorch | TinyTorch | why |", "|---|---|---|---|"]
    lines += [f"| `{row.name}` | `{row.theirs}` | `{row.ours}` | {row.why or NOT_YET} |" for row in rows]
    reasons: dict[str, list[str]] = {}
    for name in missing: reasons.setdefault(reason_for(name, place) or NOT_YET, []).append(f"`{name}`")
    if reasons: lines += ["", "| not here | why |", "|---|---|"]
    return lines + [f"| {', '.join(names)} | {reason} |" for reason, names in reasons.items()]


NOT_YET = "(no reason yet)"


def text() -> str:
    """The part of the page that is written by this script."""
    version = torch.__version__.partition("+")[0]
    told = f"Names of parameters, their order and their defaults, held against PyTorch {version}."
    lines = ["## Names", "", f"Functions and methods that PyTorch {version} has. Most do not tell their "
             "signatures: what they take", "and give is held by tables of lines in `tests/reference/`."]
    for place in BUILT_IN: lines += section(place)
    lines += ["", "## Signatures", "", told]
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
