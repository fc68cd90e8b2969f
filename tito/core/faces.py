"""The faces of the package: `tinytorch`, `tinytorch.nn`, … hand on what the lessons' modules define."""

from __future__ import annotations

import builtins
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tito.core.curriculum import Curriculum, Lesson, module_of
from tito.core.export import banner, defined_names, wrapped
from tito.core.lesson import LessonProblem

Names = Mapping[str, Iterable[str]]             # module -> the names it defines

TAIL = "\n\n# Added by `tito export`: what PyTorch keeps under this name, too.\n"


@dataclass
class Face:
    """One dotted name of the package, with what it can hand on and what it cannot yet."""

    path: str                                                           # tinytorch.nn
    package: bool                                                       # has faces below it
    found: dict[str, tuple[str, str]] = field(default_factory=dict)     # name -> module, spelling there
    late: dict[str, tuple[str, str]] = field(default_factory=dict)      # of those, what waits to be asked for
    later: dict[str, list[str]] = field(default_factory=dict)           # lesson -> names

    @property
    def file(self) -> str:
        inside = self.path.split(".")[1:]
        return "/".join([*inside, "__init__"]) + ".py" if self.package else "/".join(inside) + ".py"

    @property
    def module(self) -> str: return self.path.removeprefix("tinytorch.")
    @property
    def dots(self) -> str: return "." * (self.path.count(".") + self.package)


def package(
    curriculum: Curriculum,
    sources: Mapping[str, str],     # module -> source, of what is exported so far
    version: str,
    course: Names,                  # module -> names, of all lessons that are written
    given: Mapping[str, str],       # the files beside curriculum.toml: _missing.py, pytorch_names.txt …
    reference: bool = False,        # the course's own solution, not a learner's package
    installed_as: str = "",         # the distribution that a learner makes of it: tinytorch-ada
) -> dict[str, str]:
    """Every file of the package, by its path inside it."""
    own = {module: source.partition(TAIL)[0] for module, source in sources.items()}
    modules = {module: defined_names(source) for module, source in own.items()}
    files = {path: moved(source, path.count("/") + 1) for module, source in own.items()
             for path in [curriculum.file_of(module)]}
    theirs = pytorch_names(given.get("pytorch_names.txt", ""))
    for path, source in faces(curriculum, modules, reference, version, course, theirs, installed_as).items():
        files[path] = files.get(path, "") + source
    files["_missing.py"] = _copied("_missing.py", given, reference)
    if reference:
        files["_reference.py"] = _copied("_reference.py", given, reference)
    if installed_as:
        files["_installed.py"] = _copied("_reference.py", given, reference)
    first = banner(_origin("pytorch_names.txt", reference))
    files["_pytorch_names.py"] = _pytorch_source(given.get("pytorch_names.txt", ""), first)
    return files


def _copied(name: str, given: Mapping[str, str], reference: bool) -> str:
    return f"{banner(_origin(name, reference))}\n{given[name]}"


def _origin(name: str, reference: bool) -> str:
    return f"modules/{name}" if reference else f"the course's modules/{name}"


def installed(curriculum: Curriculum, files: Mapping[str, str]) -> dict[str, str]:
    """Of a package's files, the modules that lessons exported, without what faces added to them."""
    names = {curriculum.file_of(module): module for lesson in curriculum for module in lesson.modules}
    return {names[path]: moved(source.partition(TAIL)[0], 1)
            for path, source in files.items() if path in names}


def moved(source: str, depth: int) -> str:
    """The module with imports that start as many folders up as it lies deep: `from ..tensor`."""
    return re.sub(r"^from \.+", f"from {'.' * depth}", source, flags=re.MULTILINE)


def faces(
    curriculum: Curriculum,
    modules: Names,
    reference: bool,
    version: str = "0",
    course: Names | None = None,
    theirs: Names | None = None,    # what PyTorch has, by the path there: torch.nn
    installed_as: str = "",
) -> dict[str, str]:
    """The source of each face, by its path inside the package.

    Where a lesson's module has the same path as a face, it is the face: the source is what to append to it.
    """
    modules = {module: tuple(names) for module, names in modules.items()}
    course = modules if course is None else course
    all_faces = _filled(curriculum, modules, course, theirs or {})
    if reference:
        _refuse_undefined(curriculum, modules, all_faces)
        _refuse_hidden(modules, all_faces["tinytorch"])
    late = {module_of(file) for lesson in curriculum for file in lesson.late}
    for face in all_faces.values():
        face.late = {name: place for name, place in face.found.items() if place[0] in late - {face.module}}
    loaded = [module for lesson in curriculum if lesson.fills_tables for module in lesson.modules
              if module in modules and module not in late]
    closed = {face.path: _opening(curriculum, face.path) for face in all_faces.values()
              if not _is_open(face, all_faces, modules)}
    files = {}
    for face in all_faces.values():
        if face.module in modules:
            files[face.file] = _tail(face, _below(face, all_faces, closed))
        elif face.path not in closed:
            files[face.file] = _face_source(face, all_faces, closed, reference, version, loaded, installed_as)
    written = {lesson.label for lesson in curriculum if lesson.module in course}
    files["_names.py"] = _names_source(all_faces, closed, written, reference)
    return files


def unlisted(curriculum: Curriculum, modules: Names) -> dict[str, list[str]]:
    """Public names of lessons that spell out what they hand on, and forgot these."""
    found = {}
    for lesson in curriculum:
        entries = {entry.lstrip("-") for listed in lesson.exports.values() for entry in listed}
        if entries & {"*", "torch.*"}: continue
        if rest := [name for name in _public(lesson, modules) if name not in entries]:
            found[lesson.label] = rest
    return found


# ------------------------------------------------------------------------------- which name is from where

def _filled(curriculum: Curriculum, modules: Names, course: Names, theirs: Names) -> dict[str, Face]:
    """Every face the curriculum names, and those above them, with what the lessons list for it."""
    paths = {"tinytorch"} | {path for lesson in curriculum for path in lesson.exports}
    paths |= {path.rsplit(".", n)[0] for path in paths for n in range(1, path.count(".") + 1)}
    all_faces = {path: Face(path, any(p.startswith(f"{path}.") for p in paths)) for path in sorted(paths)}
    all_faces["tinytorch"].package = True
    public = {lesson.name: _public(lesson, {**course, **modules}) for lesson in curriculum}
    places = {lesson.name: _places_in(lesson, modules, theirs) for lesson in curriculum}
    for face in all_faces.values():
        for lesson in curriculum:
            for name in _listed(lesson, face.path, public[lesson.name], theirs):
                if place := places[lesson.name].get(name):
                    face.found.pop(name, None)          # a later lesson's comes later in the file
                    face.found[name] = place
                else:
                    face.later.setdefault(lesson.label, []).append(name)
    return all_faces


def _listed(lesson: Lesson, face: str, public: list[str], theirs: Names) -> list[str]:
    """The names a lesson gives to a face: those of its modules ("*"), those of them that PyTorch has
    there, too ("torch.*"), those it spells out, without those it leaves out ("-name")."""
    entries = lesson.exports.get(face, ())
    if not entries: return []
    shared = set(theirs.get(face.replace("tinytorch", "torch", 1), ()))
    wild = {"*": public, "torch.*": [name for name in public if name in shared]}
    names = dict.fromkeys(name for entry in entries for name in wild.get(entry, [entry]))
    return [name for name in names if name[:1] != "-" and f"-{name}" not in entries]


def _public(lesson: Lesson, modules: Names) -> list[str]:
    names = (name for module in lesson.modules for name in modules.get(module, ()))
    return list(dict.fromkeys(plain(name) for name in names if not name.startswith("_")))


def plain(name: str) -> str:
    """`sum_` is spelt so because Python has a `sum` of its own; outside it is `sum`."""
    return name[:-1] if name.endswith("_") and hasattr(builtins, name[:-1]) else name


def _places_in(lesson: Lesson, modules: Names, theirs: Names) -> dict[str, tuple[str, str]]:
    """Name -> the module that defines it, and its spelling there; the exact spelling wins.

    A module that PyTorch has too comes last: `torch.norm` is not what `torch.linalg.norm` is.
    """
    order = sorted((lesson.module, *lesson.modules), key=lambda module: f"torch.{module}" in theirs)
    exact = {name: (module, name) for module in reversed(order) for name in modules.get(module, ())}
    return {name[:-1]: place for name, place in exact.items() if name.endswith("_")} | exact


def _refuse_undefined(curriculum: Curriculum, modules: Names, all_faces: Mapping[str, Face]) -> None:
    for lesson in curriculum:
        for face in all_faces.values():
            if lesson.module in modules and (names := face.later.get(lesson.label)):
                raise LessonProblem(
                    f"lesson {lesson.label} lists {', '.join(names)} for {face.path}, "
                    f"but no exported cell of {', '.join(lesson.files)} defines it.",
                    "Define it under `#| export`, or take it off the list in modules/curriculum.toml.",
                )


def _refuse_hidden(modules: Names, top: Face) -> None:
    """A module that is loaded after a name was handed on takes its place: `tinytorch.sums` is the module."""
    for name, (module, _) in top.found.items():
        if name in modules and name != module:
            said = f"tinytorch.{name} would be the module {name}.py, not what {module}.py defines."
            raise LessonProblem(said, f"Rename the lesson's file that makes {name}.py.")


def _is_open(face: Face, all_faces: Mapping[str, Face], modules: Names) -> bool:
    below = (f for f in all_faces.values() if f.path.startswith(f"{face.path}."))
    return bool(face.path == "tinytorch" or face.found or face.module in modules
                or any(_is_open(f, all_faces, modules) for f in below))


def _opening(curriculum: Curriculum, path: str) -> str:
    """The lesson that first puts something into a face or below it."""
    return next(lesson.label for lesson in curriculum
                if any(face == path or face.startswith(f"{path}.") for face in lesson.exports))


# -------------------------------------------------------------------------------------- sources of faces

def _head(reference: bool, docstring: str) -> str:
    return f'{banner(_origin("curriculum.toml", reference))}\n"""{docstring}"""\n'


def _face_source(
    face: Face, all_faces: Mapping[str, Face], closed: Mapping[str, str], reference: bool, version: str,
    loaded: list[str], installed_as: str = "",
) -> str:
    below = _below(face, all_faces, closed)
    root = face.path == "tinytorch"
    docstring = ("TinyTorch: a deep-learning framework, built lesson by lesson." if root
                 else f"{face.path}: what the lessons define under PyTorch's name for it.")
    parts = [_head(reference, docstring)]
    if root and reference:
        parts.append("from . import _reference  # refuses to stand in for a learner's own package")
    if root and installed_as:
        parts.append("from . import _installed  # refuses to stand in for the package that is being written")
    if root:
        parts.append("from . import _missing  # has a sentence for each name that is not here\n")
    if root and loaded:         # first: a module that is a face asks for names of others at its end
        parts.append("# what these define is not handed on: they fill tables\n"
                     + _statement("from . import ", loaded, "()"))
    if imports := _imports(face):
        parts.append(imports)
    if seen := _seen(face, below):
        parts.append(seen)
    if root:
        parts.append(f'__version__ = "{version}"\n')
    if root and installed_as:
        parts.append(f'__distribution__ = "{installed_as}"\n')
    if root and not reference and not installed_as:
        parts.append("__workspace__ = True     # this is a learner's own package\n")
    hiding = [name for name in face.found if hasattr(builtins, name)]
    parts.append(_assigned("__all__", [name for name in face.found if name not in hiding]))
    more = [*hiding, *below, *(["__version__"] if root else [])]
    names = ["*__all__", *map(_quoted, more)]
    parts.append(f"\n{FINDER}\n\n{_statement('def __dir__(): return ', names, '[]', always=True)}")
    return "\n".join(parts)


def _below(face: Face, all_faces: Mapping[str, Face], closed: Mapping[str, str]) -> list[str]:
    return [f.path.rpartition(".")[2] for f in all_faces.values()
            if f.path.rpartition(".")[0] == face.path and f.path not in closed]


def _tail(face: Face, below: list[str]) -> str:
    """What a lesson's module needs besides its own cells to be a face."""
    found = {name: place for name, place in face.found.items() if place != (face.module, name)}
    elsewhere = Face(face.path, face.package, found, face.late)
    imports = f"{_imports(elsewhere)}\n{_assigned('__all__', list(found), '+=')}\n\n" if found else "\n"
    seen = _seen(face, below)
    return TAIL + imports + (f"\n{seen}\n" if seen else "") + FINDER


def _seen(face: Face, below: list[str]) -> str:
    """What is imported when it is first used, for those who read the file without running it."""
    lines = [f"from . import {', '.join(below)}"] if below else []
    lines += [line for module, names in _by_module(face.late).items()
              for line in _statement(f"from {face.dots}{module} import ", names, "()").splitlines()]
    return SEEN + "".join(f"    {line}\n" for line in lines) if lines else ""


def _imports(face: Face) -> str:
    at_once = {name: place for name, place in face.found.items() if name not in face.late}
    return "".join(_statement(f"from {face.dots}{module} import ", names, "()")
                   for module, names in _by_module(at_once).items())


def _by_module(found: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    """What to import from each module."""
    modules: dict[str, list[str]] = {}
    for name, (module, spelling) in found.items():
        modules.setdefault(module, []).append(spelling if spelling == name else f"{spelling} as {name}")
    return modules


def _assigned(target: str, names: list[str], sign: str = "=") -> str:
    return _statement(f"{target} {sign} ", list(map(_quoted, names)), "[]", always=True)


def _statement(start: str, items: list[str], brackets: str, always: bool = False) -> str:
    """On one line if it fits, else in brackets over several."""
    line = f"{start}{brackets[0]}{', '.join(items)}{brackets[1]}" if always else start + ", ".join(items)
    return f"{line}\n" if len(line) <= 110 else f"{start}{brackets[0]}\n{wrapped(items)}\n{brackets[1]}\n"


def _quoted(name: str) -> str: return f'"{name}"'


def _names_source(
    all_faces: Mapping[str, Face], closed: Mapping[str, str], written: set[str], reference: bool,
) -> str:
    later = {face.path: face.later for face in all_faces.values() if face.later}
    labels = sorted({label for lessons in later.values() for label in lessons} - written)
    return _head(reference, "What the package has, and what is to come.") + NAMES.format(
        later="".join(f'    "{path}": {{\n{_entries(names, 8)}    }},\n' for path, names in later.items()),
        closed="".join(f'    "{path}": "{label}",\n' for path, label in closed.items()),
        late="".join(f'    "{face.path}": {{\n{_places(face.late)}    }},\n'
                     for face in all_faces.values() if face.late),
        open=_assigned("OPEN", [path for path in all_faces if path not in closed]),
        being_written=_assigned("BEING_WRITTEN", labels),
    )


def _places(found: Mapping[str, tuple[str, str]]) -> str:
    return "".join(f'        "{name}": ("tinytorch.{module}", "{spelling}"),\n'
                   for name, (module, spelling) in found.items())


@lru_cache(2)
def pytorch_names(text: str) -> Mapping[str, list[str]]:
    """What pytorch_names.txt says: `[torch.nn]` is the title of the names below it."""
    entries, title = dict[str, list[str]](), "torch"
    for line in text.splitlines():
        if line.startswith("["):
            title = line.strip("[] ")
        elif not line.startswith("#"):
            entries.setdefault(title, []).extend(line.split())
    return entries


@lru_cache(2)
def _pytorch_source(text: str, first: str) -> str:
    names = _entries(pytorch_names(text), 4)
    return f'{first}\n"""What PyTorch calls by a name."""\n\nNAMES = {{\n{names}}}\n'


def _entries(names: Mapping[str, Iterable[str]], indent: int) -> str:
    """The inside of a dictionary whose values are strings of names."""
    return "".join(f"{' ' * indent}{_quoted(key)}: {_words(some, indent)},\n" for key, some in names.items())


def _words(names: Iterable[str], indent: int) -> str:
    lines = textwrap.wrap(" ".join(names), 98 - indent)
    if len(lines) == 1 and len(lines[0]) < 70:
        return _quoted(lines[0])
    space = "\n" + " " * (indent + 4)
    return "(" + space + space.join(_quoted(f"{line} ") for line in lines) + space[:-4] + ")"


SEEN = '''\
TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
'''

FINDER = '''\
def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)
'''

NAMES = '''
LATER = {{                   # face -> lesson -> the names it brings
{later}}}

CLOSED = {{                  # face without any name yet -> the lesson that opens it
{closed}}}

LATE = {{                    # face -> the names whose module waits until one of them is asked for
{late}}}

{open}
{being_written}'''
