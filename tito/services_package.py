"""The learner's package as a wheel: made from a workspace, and tried where nothing else is."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tito.core import wheels
from tito.core.errors import EnvironmentProblem, NotFound, UsageProblem
from tito.core.outcomes import Finding
from tito.core.wheels import Label
from tito.ports.files import stage, write, write_tree
from tito.ports.wheels import Builder, Environments, Hatchling, Rooms, Said, last_words
from tito.services_course import Course

if TYPE_CHECKING:
    from tito.app import Workspace

Say = Callable[[str], None]
SMOKE = "smoke.py"
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tinytorch", "dist", "*.ipynb")     # beside a program


def silent(line: str) -> None: pass


@dataclass(frozen=True)
class Built:
    """A wheel, and what went into it."""

    wheel: Path
    label: Label
    digest: str                     # SHA-256 of the file
    size: int
    modules: int
    lessons: tuple[str, ...]
    missing: tuple[str, ...]        # lessons that are not in it
    milestones: tuple[str, ...]
    replaced: bool                  # --force wrote over one that was there

    def as_json(self) -> dict[str, Any]:
        return {"wheel": str(self.wheel), "name": self.label.name, "version": self.label.version,
                "licence": wheels.with_the_courses(self.label.licence), "author": self.label.author,
                "sha256": self.digest, "bytes": self.size, "modules": self.modules,
                "lessons": list(self.lessons), "missing": list(self.missing),
                "milestones": list(self.milestones), "replaced": self.replaced}


# ---------------------------------------------------------------------------------------------- building

def build(
    place: Workspace, label: Label, out: Path | None = None, force: bool = False, anyway: bool = False,
    builder: Builder | None = None, say: Say = silent,
) -> Built:
    """The wheel of a workspace's package; refuses what would not be true of it."""
    target = (out or place.root / "dist") / label.file
    there = target.exists()
    if there and not force:
        cure = "--version names a new one, --force writes over it."
        raise UsageProblem(f"{target} is there already.", cure)
    say("looking at your lessons")
    standing = place.standing()
    done = wheels.refuse_unfit(standing, anyway)
    package = packed(place, label)
    facts = wheels.evidence(label, standing, place.course.version, digest_of(package))
    say("building the wheel")
    with stage(place.root / ".tito" / "stage") as folder:
        project, made = folder / "project", folder / "made"
        made.mkdir()
        write_tree(project, wheels.files_of(label, package, facts, courses_licence(place.course)))
        data = (builder or Hatchling()).build(project, made).read_bytes()
    write(target, data)
    return Built(target, label, hashlib.sha256(data).hexdigest(), len(data), len(package),
                 tuple(s.lesson.name for s in done), tuple(facts["missing"]),
                 tuple(m["name"] for m in facts["milestones"]), there)


def packed(place: Workspace, label: Label) -> dict[str, str]:
    """Every file of ./tinytorch as it is installed: modules of lessons, faces, files of one's own."""
    own, course = place.root / "tinytorch", place.course
    there = place.tests.present()
    found = place.tests.runner.imported(place.root)
    if not (Path(found).exists() and Path(found).resolve() == (own / "__init__.py").resolve()):
        said = f"import tinytorch gives {found or 'nothing'}, not the package in {own}."
        raise EnvironmentProblem(said, "`tito doctor` says why.")
    sources = place.sources()
    expected = course.package(sources)
    if place.news(expected):
        raise EnvironmentProblem("tinytorch/ has other files than it should.", "tito doctor --fix")
    more = {name: text for name, text in there.items() if name not in expected}
    return more | course.package(sources, label.name, label.version)


def digest_of(package: Mapping[str, str]) -> str:
    found = hashlib.sha256()
    for name, text in sorted(package.items()): found.update(f"{name}\0{text}\0".encode())
    return f"sha256:{found.hexdigest()}"


def courses_licence(course: Course) -> str:
    """The licence of what the course gave along."""
    path = course.root / "LICENSE"
    if path.exists(): return path.read_text("utf-8")
    raise EnvironmentProblem(f"The course's licence is not in {course.root}.",
                             "pip install --force-reinstall tinytorch-tito")


def licence_text(path: Path) -> str:
    """The words of a licence in a file of the learner's."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise NotFound(f"{path} cannot be read as a licence: {problem}", "--licence MIT") from problem
    if not text.strip(): raise UsageProblem(f"{path} is empty.", "--licence MIT")
    return text


# ---------------------------------------------------------------------------------------------- trying it

def newest(folder: Path) -> Path:
    """The wheel that was built last."""
    found = sorted(folder.glob("*.whl"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    if not found: raise NotFound(f"There is no wheel in {folder}.", "tito package build")
    return found[-1]


def check(
    wheel: Path, course: Course, program: Path | None = None, rooms: Rooms | None = None, say: Say = silent,
) -> list[Finding]:
    """What is found when a wheel is read, installed into a new environment, and used."""
    if not wheel.is_file(): raise NotFound(f"There is no wheel {wheel}.", "tito package build")
    if program and not program.is_file(): raise NotFound(f"There is no program {program}.", "")
    found: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="tito-package-") as name:
        room = Path(name).resolve()
        for finding in Trial(wheel.absolute(), course, program, rooms or Environments(), room, say).steps():
            found.append(finding)
            if finding.status == "bad": break
    return found


@dataclass
class Trial:
    """One wheel, one new environment."""

    wheel: Path
    course: Course
    program: Path | None
    rooms: Rooms
    folder: Path
    say: Say

    def steps(self) -> Iterator[Finding]:
        """One thing after the other: what fails leaves the rest out."""
        self.say("reading the wheel")
        yield archive(self.wheel)
        self.say("making an environment")
        python = self.rooms.make(self.folder / "venv")
        (desk := self.folder / "desk").mkdir()

        def ask(*words: str, **more: str) -> Said: return self.rooms.ask(python, words, desk, more)
        self.say("installing")
        pip = "-m", "pip"
        yield judged("install", ask(*pip, "install", "--no-deps", "--no-index", str(self.wheel)),
                     "pip installs it, alone in a new environment")
        yield judged("pip check", ask(*pip, "check"), "pip misses nothing")
        self.say("importing")
        name, version = self.wheel.name.split("-")[:2]
        yield judged("import", ask("-c", IMPORTED, name, version), "", last=True)
        if (smoke := self.course.root / "capstones" / SMOKE).exists():
            self.say("trying what it can")
            yield judged("smoke", ask("-P", str(smoke)), "", last=True)
        if self.program:
            self.say(f"running {self.program.name}")
            copy = shutil.copytree(self.program.absolute().parent, desk / "program", ignore=LEFT_OUT)
            shipped = {"TINYTORCH_SHIPPED": str(self.course.datasets)}
            yield judged(self.program.name, self.rooms.ask(python, [self.program.name], copy, shipped),
                         "", last=True)


IMPORTED = """\
import sys
from importlib.metadata import version
from pathlib import Path
import tinytorch
name, wanted = sys.argv[1:]
assert Path(tinytorch.__file__).is_relative_to(sys.prefix), f"tinytorch is {tinytorch.__file__}"
assert tinytorch.__version__ == wanted == version(name), f"{tinytorch.__version__} is not {wanted}"
print(f"import tinytorch is {tinytorch.__distribution__} {wanted}")
"""


def judged(name: str, told: Said, fine: str, last: bool = False) -> Finding:
    """A finding about a process that should end with 0; with `last`, what it said last is what was found."""
    if told.code == 0: return Finding(name, "ok", last_words(told.said) if last else fine)
    return Finding(name, "bad", last_words(told.said), "All it said:\n" + told.said[-2000:].rstrip())


def archive(wheel: Path) -> Finding:
    """Whether every file is what RECORD says, no file is missing or unlisted, and METADATA can be read."""
    try:
        with zipfile.ZipFile(wheel) as file:
            files = {name: file.read(name) for name in file.namelist() if not name.endswith("/")}
    except (zipfile.BadZipFile, OSError) as problem:
        return Finding("archive", "bad", f"{wheel.name} is no wheel: {problem}", "tito package build --force")
    if wrong := list(faults(files)):
        return Finding("archive", "bad", f"{wrong[0]}{f' (and {len(wrong) - 1} more)' if wrong[1:] else ''}.",
                       "tito package build --force")
    return Finding("archive", "ok", f"{len(files)} files, each as its RECORD says")


def faults(files: Mapping[str, bytes]) -> Iterator[str]:
    """What is wrong with the files of a wheel, one sentence each."""
    info = next((name.split("/")[0] for name in files if name.endswith(".dist-info/RECORD")), "")
    if not info: return (yield "there is no RECORD in it")
    listed = {row[0]: row[1:] for row in csv.reader(io.StringIO(files[f"{info}/RECORD"].decode())) if row}
    yield from (f"{name} is in RECORD and not in the wheel" for name in listed if name not in files)
    for name, data in files.items():
        if name not in listed: yield f"{name} is in the wheel and not in RECORD"
        elif name != f"{info}/RECORD" and listed[name] != [hash_of(data), str(len(data))]:
            yield f"{name} is not what RECORD says"
    yield from unreadable_metadata(files.get(f"{info}/METADATA", b""))
    if not any(name.startswith("tinytorch/_built/") for name in files): yield "it was not built by tito"


def hash_of(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def unreadable_metadata(data: bytes) -> Iterator[str]:
    from packaging.metadata import Metadata

    try:
        Metadata.from_email(data)
    except (ExceptionGroup, ValueError) as problem:
        yield f"METADATA cannot be read: {problem}"
