"""What the code itself tells: the package name by name, its ops, PyTorch's and NumPy's words, and `tito`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import partial
from html import escape
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import click
import numpy as np
from chapters import fenced
from chapters import html as raw

import tinytorch
from tinytorch.column import KERNELS
from tinytorch.costs import COSTS
from tinytorch.methods import METHODS
from tinytorch.nodes import NODES
from tinytorch.receipts import RULES
from tinytorch.tensor import Op
from tito.checkout import Checkout
from tito.cli import tito
from tito.core.curriculum import Lesson, module_of
from tito.core.faces import pytorch_names


def fragments(package: Package) -> dict[str, str]:
    """What pages of the front matter have for `<!-- name -->`."""
    here, names = pytorch(package)
    return {"places": places(package), "ops": ops(package), "pytorch-places": here, "pytorch-names": names,
            "numpy": numpy(), "commands": "\n\n".join(commands(tito, "tito"))}


def pages(package: Package) -> Iterator[tuple[str, str]]:
    """A page for each place of the package."""
    return ((f"api/{face}.md", face_page(face, package)) for face in package.faces)


# ------------------------------------------------------------------------------------------ the package

class Name(NamedTuple):
    """A public name of the package, where it is handed on."""

    face: str                   # tinytorch.nn
    name: str                   # Linear
    thing: Any
    first: str                  # the full name under which it is described

    @property
    def full(self) -> str: return f"{self.face}.{self.name}"


class Package:
    """The package as it is when it is imported: its faces, and what each of them hands on."""

    def __init__(self, course: Checkout):
        self.course = course
        self.faces: list[str] = import_module("tinytorch._names").OPEN
        self.home = {f"tinytorch.{module_of(file)}": (lesson, file) for lesson in course.curriculum
                     if lesson.name in course.written() for file in lesson.files}
        self.names: dict[str, list[Name]] = {}
        described: dict[int, str] = {}
        for face in self.faces:
            module = import_module(face)
            things = {name: getattr(module, name) for name in handed_on(module)}
            self.names[face] = [Name(face, name, thing, self._first(described, face, name, thing))
                                for name, thing in sorted(things.items()) if not inspect.ismodule(thing)]

    def _first(self, described: dict[int, str], face: str, name: str, thing: Any) -> str:
        """Where a thing is described: the face that has it first; a plain value has no identity."""
        if not (callable(thing) or documented(thing)): return f"{face}.{name}"
        return described.setdefault(id(thing), f"{face}.{name}")

    def place(self, thing: Any) -> tuple[Lesson, str] | None:
        """The lesson's file that defines a thing."""
        return self.home.get(getattr(thing, "__module__", None) or "")

    def source(self, thing: Any) -> str:
        """A link to the code of a thing in its chapter."""
        if not (place := self.place(thing)): return ""
        lesson, file = place
        page = "index" if file == lesson.name else file.removeprefix("appendix_")
        name = getattr(thing, "__qualname__", getattr(thing, "name", "")).partition(".")[0]
        where = "" if file == lesson.name else f", {module_of(file)}"
        anchor = f"#code-{name}" if name in self.course.names[module_of(file)] else ""
        link = f"../lessons/{lesson.folder}/{page}.html{anchor}"
        said = f"Lesson {lesson.number:02} {escape(lesson.title + where)}"
        return raw(f'<p class="written-in"><a href="{link}">{said}</a></p>')


def handed_on(module: ModuleType) -> list[str]:
    """The public names of a face. Rules are known by their op, and stand in the table of ops."""
    names = dir(module) if "__dir__" in vars(module) else module.__all__
    public = [name for name in names if not name.startswith("_") or name == "__version__"]
    return [name for name in public if not name.endswith("_rule")]


def documented(thing: Any) -> str:
    """The docstring that was written for a thing, and not the one of its kind."""
    text = inspect.getdoc(thing) or ""
    if text == (inspect.getdoc(type(thing)) or "") and not inspect.isclass(thing): text = ""
    if not text and isinstance(thing, partial): text = documented(thing.func)
    return text


def described(name: Name, module: ModuleType) -> str:
    """The docstring of a name; what writes in place says so."""
    text = documented(name.thing)
    if text or not name.name.endswith("_"): return text
    return f"`{name.name[:-1]}`, written into its first argument." if hasattr(module, name.name[:-1]) else ""


# ---------------------------------------------------------------------------------------- one name's entry

def signature(thing: Any) -> str:
    """How it is called, as far as it says so; defaults that have no short spelling are `…`."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [parameter.replace(annotation=inspect.Parameter.empty, default=_default(parameter.default))
                  for parameter in found.parameters.values()]
    return str(inspect.Signature(parameters))


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty or value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (tuple, list) and len(value) < 5: return type(value)(map(_default, value))
    return _Spelt(getattr(value, "__name__", None) or (repr(value) if len(repr(value)) < 30 else "..."))


class _Spelt:
    def __init__(self, text: str): self.text = text if re.fullmatch(r"[\w.]+", text) else "..."
    def __repr__(self) -> str: return self.text


def docstring(text: str) -> str:
    """A docstring as MyST: shapes and examples keep their lines, the rest is prose."""
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", text.strip()))) if text.strip() else ""


def _paragraph(text: str) -> str:
    if text.lstrip().startswith(">>>"): return fenced(text, "{code-block} pycon", "\n")
    shapes = re.match(r"[(*\w].* -> ", text) and text.count("\n") < 3 and ". " not in text
    if shapes or text.startswith((" ", "\t")): return fenced(inspect.cleandoc(text))
    sentence, _, rest = text.partition("  ")
    if " -> " in rest and "\n" not in rest.strip(): return f"{plain(sentence)}\n\n{fenced(rest.strip())}"
    return plain(text)


def plain(text: str) -> str:
    """Text whose signs mean nothing to Markdown, outside of its `code`."""
    parts = re.split(r"(`[^`]+`)", text)
    parts[::2] = [re.sub(r"([*_<>\[\]$\\{}|#])", r"\\\1", part) for part in parts[::2]]
    return re.sub(r"^(\s*)([-+]|\d+\.)(\s)", r"\1\\\2\3", "".join(parts), flags=re.MULTILINE)


def entry(name: Name, package: Package) -> str:
    """The description of a name, as a directive of Sphinx's Python domain."""
    thing = name.thing
    if name.first != name.full:
        said = f"The same as {{py:obj}}`{name.first}`."
        return directive(_kind(thing), name.full + (signature(thing) if callable(thing) else ""), said)
    parts = [docstring(described(name, import_module(name.face))), package.source(thing)]
    if not callable(thing): return directive("py:data", name.full, told(repr(thing)), *parts)
    if thing is tinytorch.Tensor: parts.append(ops_as_methods())
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        heads = {f"{name.full}.{method}{signature_of_method(f)}": f for method, f in methods(thing)}
        parts += [directive("py:method", head, docstring(documented(f))) for head, f in heads.items()]
    return directive(_kind(thing), name.full + signature(thing), *parts)


def told(value: str) -> str:
    """The value of a constant, if it is short."""
    return f"`{value}`" if len(value) < 60 and "\n" not in value and " at 0x" not in value else ""


def ops_as_methods() -> str:
    names = ", ".join(f"`{name}`" for name in sorted(METHODS) if not name.startswith("_"))
    return f"Ops whose first input is a tensor are methods, too: {names}."


def _kind(thing: Any) -> str:
    if inspect.isclass(thing): return "py:exception" if issubclass(thing, BaseException) else "py:class"
    return "py:function" if callable(thing) else "py:data"


def methods(kind: type) -> list[tuple[str, Any]]:
    """The public methods and properties that a class defines itself, and that say what they do."""
    own = {name: getattr(kind, name, None) for name in vars(kind) if name[0] != "_" and name != "extra_repr"}
    return [(name, f) for name, f in own.items()
            if (callable(f) or isinstance(f, property)) and documented(f) and not isinstance(f, Op)]


def signature_of_method(f: Any) -> str:
    if isinstance(f, property): return ""
    return re.sub(r"\((self|cls)(, )?(/(, )?)?", "(", signature(f), count=1)


def directive(kind: str, head: str, *parts: str) -> str:
    inside = "\n\n".join(filter(None, parts))
    colons = ":" * (3 + max((len(run) - 2 for run in re.findall(r"^:{3,}", inside, re.MULTILINE)), default=0))
    return f"{colons}{{{kind}}} {head}\n{inside}\n{colons}"


# ----------------------------------------------------------------------------------------------- API pages

def places(package: Package) -> str:
    rows = "\n".join(f"| [{face}]({face}.md) | {len(names)} | {first_words(names)} |"
                     for face, names in package.names.items() if names)
    inside = fenced("\n".join(package.faces), "{toctree}", ":hidden:\n\n")
    return f"| place | names | such as |\n|---|---:|---|\n{rows}\n\n{inside}"


def first_words(names: Iterable[Name]) -> str:
    return ", ".join(f"`{name.name}`" for name in list(names)[:5])


def face_page(face: str, package: Package) -> str:
    said = (inspect.getdoc(import_module(face)) or "").partition("\n\n")[0]
    names = package.names[face]
    entries = "\n\n".join(entry(name, package) for name in names)
    return f"# {face}\n\n{plain(said)}\n\n{entries}\n"


# ---------------------------------------------------------------------------------------------------- ops

def ops(package: Package) -> str:
    """Rows and columns of the framework: every op, and what each column knows of it."""
    rows = [op_row(op, package) for op in every_op(package)]
    return "| op | in | gradient | kernels | cost | ONNX |\n|---|---|---|---|---|---|\n" + "\n".join(rows)


def every_op(package: Package) -> list[Any]:
    found = {id(x): x for module in package.home for x in vars(import_module(module)).values()
             if isinstance(x, Op) and x.__module__ == module}
    return sorted(found.values(), key=lambda op: op.name)


def op_row(op: Any, package: Package) -> str:
    place = package.place(op)
    lesson = f"[{place[0].number:02}](../lessons/{place[0].folder}/{_page(*place)})" if place else ""
    gradient = ("none" if RULES[op] is None else "yes") if op in RULES else ""
    engines = {kernel.engine for device in ("cpu", "cuda") for kernel in KERNELS.get((op, device), ())}
    cells = [f"`{op.name}`", lesson, gradient, ", ".join(sorted(engines)), "yes" if op.name in COSTS else "",
             "yes" if op in NODES else ""]
    return f"| {' | '.join(cells)} |"


def _page(lesson: Lesson, file: str) -> str:
    return "index.md" if file == lesson.name else f"{file.removeprefix('appendix_')}.md"


# ------------------------------------------------------------------------------------------------ migration

def pytorch(package: Package) -> tuple[str, str]:
    """How much of each of PyTorch's places there is here, and which names."""
    counts, names = [], []
    for place, theirs in pytorch_names(package.course.beside["pytorch_names.txt"]).items():
        there = [name for name in theirs if name in _ours(place, package)]
        counts.append(f"| `{place}` | {len(there)} | {len(theirs)} |")
        if there: names.append(f"## {place}\n\n{', '.join(f'`{name}`' for name in there)}")
    return "| place | here | there |\n|---|---:|---:|\n" + "\n".join(counts), "\n\n".join(names)


def _ours(place: str, package: Package) -> set[str]:
    if place == "torch.Tensor":
        return set(dir(tinytorch.Tensor))
    face = place.replace("torch", "tinytorch", 1)
    return set(dir(import_module(face))) if face in package.faces else set()


NUMPY = (       # what you wrote with NumPy, what it is here; both run when the book is made, and must agree
    ("np.array([[1, 2], [3, 4]])", "tensor([[1, 2], [3, 4]])"),
    ("np.zeros((2, 3))", "zeros(2, 3)"),
    ("np.full((2, 3), 7.0)", "full((2, 3), 7.0)"),
    ("np.arange(0, 10, 2)", "arange(0, 10, 2)"),
    ("np.linspace(0, 1, 5)", "linspace(0, 1, 5)"),
    ("np.eye(3)", "eye(3)"),
    ("np.zeros_like(a)", "zeros_like(x)"),
    ("a.astype(np.int64)", "x.long()"),
    ("a.shape", "x.shape"),
    ("a.size", "x.numel()"),
    ("a.reshape(3, 2)", "x.reshape(3, 2)"),
    ("a.ravel()", "x.flatten()"),
    ("a.T", "x.T"),
    ("np.transpose(c, (2, 0, 1))", "z.permute(2, 0, 1)"),
    ("np.swapaxes(c, 0, 1)", "z.transpose(0, 1)"),
    ("np.expand_dims(a, 0)", "x.unsqueeze(0)"),
    ("a[:, None]", "x[:, None]"),
    ("np.squeeze(a[None])", "x[None].squeeze()"),
    ("np.concatenate([a, b], axis=1)", "cat([x, y], dim=1)"),
    ("np.stack([a, b])", "stack([x, y])"),
    ("np.split(a, 3, axis=1)[0]", "chunk(x, 3, dim=1)[0]"),
    ("np.tile(a, (2, 1))", "x.tile(2, 1)"),
    ("np.repeat(a, 2, axis=0)", "x.repeat_interleave(2, dim=0)"),
    ("np.broadcast_to(a, (4, 2, 3))", "x.expand(4, 2, 3)"),
    ("np.flip(a, 1)", "x.flip(1)"),
    ("a @ b.T", "x @ y.T"),
    ("np.einsum('ij,kj->ik', a, b)", "einsum('ij,kj->ik', x, y)"),
    ("a.sum(axis=0)", "x.sum(dim=0)"),
    ("a.mean(axis=1, keepdims=True)", "x.mean(dim=1, keepdim=True)"),
    ("a.var(ddof=1)", "x.var()"),
    ("a.max(axis=1)", "x.max(dim=1).values"),
    ("a.argmax(axis=1)", "x.argmax(dim=1)"),
    ("np.sort(a, axis=1)", "x.sort(dim=1).values"),
    ("np.cumsum(a, axis=1)", "x.cumsum(dim=1)"),
    ("np.take_along_axis(a, i, 1)", "x.gather(1, j)"),
    ("np.where(a > 0, a, 0)", "where(x > 0, x, 0)"),
    ("np.clip(a, 0, 1)", "x.clamp(0, 1)"),
    ("np.maximum(a, b)", "maximum(x, y)"),
    ("np.isclose(a, b)", "isclose(x, y)"),
    ("np.linalg.norm(a)", "linalg.norm(x)"),
    ("np.linalg.inv(d)", "linalg.inv(w)"),
    ("np.unique(i)", "j.unique()"),
    ("np.nonzero(a > 0)[0]", "(x > 0).nonzero()[:, 0]"),
    ("np.copyto(e, a)", "v.copy_(x)"),
)


def numpy() -> str:
    """NumPy's words beside ours; every row is run, and both sides must come to the same."""
    theirs = {"a": np.array([[1.5, -2, 0.5], [0.25, 3, -1]]), "b": np.array([[0.5, 1, -1], [2.0, 0, 4]]),
              "c": np.arange(24.0).reshape(2, 3, 4), "d": np.array([[2.0, 1], [1, 1]]),
              "i": np.array([[0, 2], [1, 1]]), "e": np.zeros((2, 3))}
    ours = dict(zip("xyzwjv", map(tinytorch.tensor, theirs.values())))
    rows = [_agreed(one, other, {"np": np, **theirs}, {**vars(tinytorch), **ours}) for one, other in NUMPY]
    return "| NumPy | TinyTorch |\n|---|---|\n" + "\n".join(rows)


def _agreed(one: str, other: str, there: dict[str, Any], here: dict[str, Any]) -> str:
    theirs, ours = eval(one, dict(there)), eval(other, dict(here))
    if theirs is None: theirs, ours = there["e"], here["v"]            # what is written into
    if not np.allclose(np.asarray(theirs, float), np.asarray(getattr(ours, "array", ours), float), atol=1e-6):
        raise AssertionError(f"{one} is {theirs}, but {other} is {ours}")
    return f"| `{one}` | `{other}` |"


# ---------------------------------------------------------------------------------------------------- tito

def commands(command: click.Command, path: str, parent: click.Context | None = None) -> Iterator[str]:
    with click.Context(command, info_name=path.split()[-1], parent=parent, max_content_width=88) as context:
        context.terminal_width = 88
        level = "#" * min(2 + path.count(" "), 4)
        told = fenced(command.get_help(context), "{code-block} none", ":class: output\n\n")
        yield f"{level} {path}\n\n{told}"
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inside = command.get_command(context, name)
                if inside is not None: yield from commands(inside, f"{path} {name}", context)
