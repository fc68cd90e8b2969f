"""The arrows between the folders point inwards; a file leaves other files' classes alone."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TITO = sorted((ROOT / "tito").rglob("*.py"))
TINYTORCH = sorted((ROOT / "tinytorch").rglob("*.py"))

# Who may import what of ours. A folder may always import itself.
ARROWS = {
    "tito.core": (),
    "tito.ports": ("tito.core",),
    "tito.view": ("tito.core",),
    "tito.app": ("tito.core", "tito.ports"),
    "tito.checkout": ("tito.core", "tito.ports", "tito.app"),
    "tito.inspection": ("tito.core", "tito.ports", "tito.app", "tito.checkout"),
    "tito.commands": ("tito.core", "tito.app", "tito.checkout", "tito.inspection", "tito.view"),
    "tito.cli": ("tito.core", "tito.commands"),
    "tito.__main__": ("tito.cli",),
    "tito": (),
    "tinytorch": (),
}
HEAVY = ("numpy", "jupytext", "nbformat", "nbgrader", "pytest", "distributed")      # only where they are used
CONSOLE, DISK = ("click", "rich"), ("os", "time", "subprocess", "shutil", "tempfile")


def name_of(path: Path) -> str:
    """tito/core/errors.py -> tito.core.errors"""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def house(name: str) -> str:
    """The longest part of a module's name that has arrows of its own: tito.core.errors -> tito.core."""
    parts = name.replace("tito.services_", "tito.app.services_").split(".")       # rooms of app
    return next((h for n in range(len(parts), 0, -1) if (h := ".".join(parts[:n])) in ARROWS), name)


def imported(node: ast.AST, inside: str):
    """The modules an import statement names; `from .x import y` is spelt out."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = inside.split(".")[:-node.level] if node.level else []
        module = ".".join(base + ([node.module] if node.module else []))
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names if module in ("tito", "tinytorch"))


def imports(path: Path):
    """Every import of a file, wherever it stands, type checking included: (module, line)."""
    inside = name_of(path) + (".__init__" if path.name == "__init__.py" else "")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        yield from ((module, node.lineno) for module in imported(node, inside))


def at_the_top(path: Path):
    """The modules imported as soon as the file is."""
    for node in ast.parse(path.read_text("utf-8")).body:
        yield from imported(node, name_of(path))


def outward(path: Path) -> list[str]:
    """The imports of a file that point outwards, as sentences."""
    home = house(name_of(path))
    ours = [(m, line) for m, line in imports(path) if m.startswith(("tito.", "tinytorch"))]
    return [f"{path.relative_to(ROOT)}:{line}: {home} may not import {module}"
            for module, line in ours if house(module) not in (home, *ARROWS[home])]


def foreign_attributes(path: Path) -> list[str]:
    """Assignments to attributes of a class that this file imported, as sentences."""
    tree = ast.parse(path.read_text("utf-8"))
    names = [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
    borrowed = {name for name in names if name[:1].isupper()}
    targets = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(): targets += node.targets
            case ast.AugAssign() | ast.AnnAssign(): targets.append(node.target)
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[target, *_]):
                targets.append(ast.Attribute(target, "…", lineno=node.lineno))
    attributes = [t for t in targets if isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name)]
    return [f"{path.relative_to(ROOT)}:{t.lineno}: {t.value.id}.{t.attr} belongs to another file"
            for t in attributes if t.value.id in borrowed]


@pytest.mark.parametrize("path", TITO + TINYTORCH, ids=name_of)
def test_no_arrow_points_outwards(path):
    assert outward(path) == []


@pytest.mark.parametrize("path", TITO, ids=name_of)
def test_tito_starts_without_heavy_imports(path):
    assert [module for module in at_the_top(path) if module.split(".")[0] in HEAVY] == []


@pytest.mark.parametrize("path", [p for p in TITO if house(name_of(p)) == "tito.core"], ids=name_of)
def test_core_has_no_console_and_no_disk(path):
    assert [m for m, _ in imports(path) if m.split(".")[0] in CONSOLE + DISK] == []


@pytest.mark.parametrize("path", TINYTORCH, ids=name_of)
def test_no_file_assigns_an_attribute_of_anothers_class(path):
    assert foreign_attributes(path) == []


# ------------------------------------------------------------------------------ and these tests can fail

@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a file into a repository of its own, and name it."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path
    return write


@pytest.mark.parametrize(("name", "line"), [
    ("tito/core/plan.py", "import tito.app"),
    ("tito/core/plan.py", "from ..view import x"),
    ("tito/core/plan.py", "from tito import app"),
    ("tito/core/plan.py", "def f():\n    import tito.cli"),
    ("tito/view/list.py", "from tito.commands import module"),
    ("tito/ports/runner.py", "import tinytorch"),
    ("tito/commands/module.py", "from tito.ports.files import Files"),
    ("tinytorch/tensor.py", "from tito.core import errors"),
])
def test_an_outward_arrow_is_found(name, line, written):
    assert len(outward(written(name, line))) == 1


@pytest.mark.parametrize("line", ["Tensor.exp = exp", "setattr(Tensor, 'exp', exp)", "if 1: Tensor.n += 1"])
def test_a_changed_class_is_found(line, written):
    assert len(foreign_attributes(written("tinytorch/more.py", f"from .tensor import Tensor\n{line}"))) == 1
    assert foreign_attributes(written("tinytorch/own.py", f"class Tensor: pass\n{line}")) == []
