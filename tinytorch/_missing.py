# Generated from modules/_missing.py by `tito export`. Edit that file, not this one.
"""What to say when a name is not in the package."""

import sys
from importlib import import_module
from opcode import opmap

from tinytorch._names import BEING_WRITTEN, CLOSED, LATE, LATER, OPEN


def find(face: str, name: str):
    """What waited to be asked for, or the face below this one; else the error that says why there is none."""
    if name in LATE.get(face, ()): return _fetched(face, name)
    if f"{face}.{name}" in OPEN: return import_module(f"{face}.{name}")
    if _import_asks(): raise ImportError(sentence(face, name), name=face)
    raise AttributeError(sentence(face, name), name=name, obj=None)      # None: Python need not guess, too


def sentence(face: str, name: str) -> str:
    """Why `face.name` is not there, and what to do about it."""
    return reason(face, name) or f"module {face!r} has no attribute {name!r}{_guess(face, name)}"


def reason(face: str, name: str) -> str:
    """Which lesson brings a name, or that none does; "" for a name nobody knows."""
    whole = f"{face}.{name}"
    if whole == "tinytorch.__workspace__": return _not_yours()
    if name.startswith("_"): return ""
    if whole in CLOSED: return f"{whole} opens with {_lesson(CLOSED[whole])}"
    for label, names in LATER.get(face, {}).items():
        if name in names.split(): return f"{whole} is built in {_lesson(label)}"
    return _left_out(face, name)


def _fetched(face: str, name: str):
    """A name of a module that was not loaded so far; from now on the face has it."""
    module, spelling = LATE[face][name]
    found = getattr(import_module(module), spelling)
    setattr(sys.modules[face], name, found)
    return found


class Modules:
    """Asked last, when `import tinytorch.optim` finds no file: says which lesson makes it."""

    @staticmethod
    def find_spec(name: str, path=None, target=None):
        face, _, last = name.rpartition(".")
        if face.partition(".")[0] == "tinytorch" and (why := reason(face, last)):
            raise ModuleNotFoundError(why, name=name)


sys.meta_path.append(Modules)


def _lesson(label: str) -> str:
    """A lesson, and how to get there."""
    if label in BEING_WRITTEN: return f"lesson {label}, which is still being written"
    return f"lesson {label}: tito module start {label[:2]}"


def _not_yours() -> str:
    where = sys.modules["tinytorch"].__path__[0]
    return (f"this is the reference tinytorch, in {where}, not the one you write. Open the notebook in the "
            "folder where your tinytorch/ lies, and restart the kernel")


def _left_out(face: str, name: str) -> str:
    from tinytorch._pytorch_names import NAMES
    theirs = "torch" + face.removeprefix("tinytorch")
    if name not in NAMES.get(theirs, "").split(): return ""
    return f"{face}.{name} is not part of this course: PyTorch has {theirs}.{name}, TinyTorch leaves it out"


def _guess(face: str, name: str) -> str:
    if name[0] == "_": return ""        # Python itself asks for __path__, while it imports
    from difflib import get_close_matches
    near = get_close_matches(name, dir(sys.modules[face]), 1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _import_asks() -> bool:
    """Whether `from face import name` asks: Python would hide an AttributeError behind its own sentence."""
    asking = sys._getframe(3)           # above find and __getattr__
    return asking.f_code.co_code[asking.f_lasti] == opmap["IMPORT_FROM"]
