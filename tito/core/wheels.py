"""A learner's package as a product: what it may be called, what is known about it, what a builder is told."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from email.utils import parseaddr
from typing import Any

from tito.core.errors import Locked, UsageProblem
from tito.core.milestones import LessonStanding, Standing

FORMAT = 1
TAKEN = {"tinytorch": "is another project's on the public index",
         "tinytorch-tito": "is the course's own, which holds its solutions"}
PYTHON = ">=3.11"
NUMPY = ("numpy>=2.1",)                     # these two as in the course's own pyproject.toml
EXTRAS = {
    "gpu": ("cupy-cuda13x[ctk]>=14", "ml-dtypes>=0.4"),
    "onnx": ("onnx>=1.17", "onnxruntime>=1.20"),
    "serve": ("starlette>=0.40", "uvicorn>=0.32", "prometheus-client>=0.21",
              "httptools>=0.6; platform_python_implementation == 'CPython'",
              "uvloop>=0.20; platform_python_implementation == 'CPython' and sys_platform != 'win32'"),
}
BACKEND = "hatchling>=1.27"                 # from there on it writes licences as SPDX expressions


@dataclass(frozen=True)
class Label:
    """What stands on the box: name, version, licence, author."""

    name: str                               # tinytorch-ada, in the spelling of PEP 503
    version: str                            # PEP 440
    licence: str                            # an SPDX expression
    licence_text: str
    author: str = ""
    mail: str = ""

    @property
    def file(self) -> str: return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


def label(
    name: str, version: str = "0.1.0", licence: str = "MIT", author: str = "", licence_text: str = "",
) -> Label:
    """A label that every tool understands; UsageProblem with a sentence about what is wrong."""
    name, version = checked_name(name), checked_version(version)
    who, mail = checked_author(author)
    licence = checked_licence(licence)
    text = licence_text or text_of(licence, who or f"the author of {name}")
    return Label(name, version, licence, text, who, mail)


def checked_name(name: str) -> str:
    from packaging.utils import InvalidName, canonicalize_name

    try:
        found = str(canonicalize_name(name, validate=True))
    except InvalidName:
        said = f"'{name}' is no name for a package: letters, digits, and . - _ between them."
        raise UsageProblem(said, f"--name {suggested_name(name)}") from None
    if found in TAKEN:
        raise UsageProblem(f"The name {found} {TAKEN[found]}.", "--name tinytorch-ada, for example.")
    return found


def suggested_name(words: str) -> str:
    """A name made of any words: "Ada's torch" -> tinytorch-ada-s-torch."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    rest = "-".join(re.findall("[a-z0-9]+", plain)).removeprefix("tinytorch").strip("-")
    return f"tinytorch-{rest or 'mine'}" if rest != "tito" else "tinytorch-mine"


def checked_version(version: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(version))
    except InvalidVersion:
        said = f"'{version}' is no version of a package (PEP 440)."
        raise UsageProblem(said, "--version 0.1.0; 1.0rc1 is a candidate, 1.0.post1 a correction.") from None


def checked_author(author: str) -> tuple[str, str]:
    """Ada Lovelace <ada@example.org> -> its two parts."""
    if any(unicodedata.category(c).startswith("C") for c in author):
        raise UsageProblem("A name is written on one line.", '--author "Ada Lovelace <ada@example.org>"')
    if "@" not in author: return author.strip(), ""
    who, mail = parseaddr(author)
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", mail):
        raise UsageProblem(f"'{author}' has no address that can be read.",
                           '--author "Ada Lovelace <ada@example.org>"')
    return who, mail


def checked_licence(licence: str) -> str:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(licence))
    except InvalidLicenseExpression:
        raise UsageProblem(f"'{licence}' is no licence in the words of SPDX.",
                           "--licence MIT, or Apache-2.0, or LicenseRef-Mine with --licence-file.") from None


PERMISSION = """\
Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def text_of(licence: str, holder: str) -> str:
    """The words of a licence that tito knows by heart; of the others only the name."""
    if licence == "MIT": return f"MIT License\n\nCopyright (c) {holder}\n\n{PERMISSION}"
    return f"Copyright (c) {holder}\n\nSPDX-License-Identifier: {licence}\n"


def with_the_courses(licence: str) -> str:
    """The licence of the whole: what the course gave along stays under MIT, whatever the learner chose."""
    if licence == "MIT": return licence
    return f"({licence}) AND MIT" if " " in licence else f"{licence} AND MIT"


# ------------------------------------------------------------------------------------- what is packed

def refuse_unfit(standing: Standing, anyway: bool) -> list[LessonStanding]:
    """The lessons that are in, all as they passed; Locked when code has changed since, or lessons miss."""
    begun = [s for s in standing.lessons if s.mark not in ("unwritten", "locked")]
    if stale := [s for s in begun if s.mark == "stale"]:
        raise Locked(f"{names(stale)} changed since {'it' if len(stale) == 1 else 'they'} passed.",
                     f"`tito module complete {stale[0].lesson.number:02}` tests it again.")
    done = [s for s in begun if s.mark == "done"]
    missing = [s for m in standing.milestones if not m.milestone.optional for s in m.lessons
               if s.mark not in ("done", "unwritten")]
    if not done:
        raise Locked("There is nothing to pack: no lesson is complete.", "tito module start 01")
    if missing and not anyway:
        raise Locked(f"{len(missing)} lessons are not complete: {names(missing)}." if len(missing) > 1 else
                     f"{names(missing)} is not complete.",
                     f"`tito module complete {missing[0].lesson.number:02}` first, or --anyway.")
    return done


def names(lessons: Sequence[LessonStanding]) -> str:
    told = [s.lesson.label for s in lessons[:4]]
    return ", ".join(told) + (" …" if len(lessons) > 4 else "")


def evidence(of: Label, standing: Standing, course: str, code: str) -> dict[str, Any]:
    """What was tested, when, with what result: from the records of the workspace."""
    return {
        "format": FORMAT, "distribution": of.name, "version": of.version, "author": of.author,
        "licence": with_the_courses(of.licence), "course": course, "code": code,
        "lessons": [{
            "number": s.lesson.number, "name": s.lesson.name, "title": s.lesson.title,
            "completed": s.record.completed, "passed": s.record.passed, "tests": s.record.total,
            "points": s.record.points, "possible": s.record.possible, "seconds": s.record.seconds,
            "digest": s.record.digest, "versions": dict(s.record.versions),
        } for s in standing.lessons if s.mark == "done"],
        "missing": [s.lesson.label for s in standing.lessons if s.mark not in ("done", "unwritten")],
        "milestones": [{"name": m.milestone.name, "title": m.milestone.title,
                        "statement": m.milestone.statement, "same_code": not m.stale, **asdict(m.record)}
                       for m in standing.milestones if m.record],
    }


def readme(of: Label, facts: Mapping[str, Any]) -> str:
    """The page that `pip show` and an index print."""
    lessons, gates = facts["lessons"], facts["milestones"]
    passed, tests = (sum(x[what] for x in lessons) for what in ("passed", "tests"))
    rows = "".join(f"| {x['number']:02} {x['title']} | {x['passed']} of {x['tests']} "
                   f"| {x['completed'][:10]} |\n" for x in lessons)
    proofs = "".join(f"- **{g['title']}**, {g['unlocked'][:10]}: {g['statement']}."
                     f"{numbers(g['numbers'])}{'' if g['same_code'] else ' (The code changed since.)'}\n"
                     for g in gates)
    by = f" by {of.author}" if of.author else ""
    missing = f"\nNot built yet: {', '.join(facts['missing'])}.\n" if facts["missing"] else ""
    return f"""\
# {of.name}

A deep-learning framework{by}, written lesson by lesson in the course TinyTorch ({facts['course']}).
It is imported as `tinytorch`; names, arguments and results are PyTorch's.

    python -m venv .venv && .venv/bin/pip install {of.file}
    .venv/bin/python -c "import tinytorch as torch; print(torch.ones(2, 3) * 2)"

It wants an environment of its own: beside `tinytorch-tito`, the course's package, or another learner's, pip
would put one over the other, and all of them refuse to be imported then.

## What was tested

{passed} of {tests} checks and tests passed, in {len(lessons)} lessons. All results, with the digests of the
code, are in `tinytorch/_built/{of.name}.json`.

| lesson | passed | on |
|---|---|---|
{rows}{missing}
## What it has shown

{proofs or 'No milestone is unlocked yet.' + chr(10)}
The lessons are the author's; the files whose first line says "the course's" are the course's, under its MIT
licence (`LICENSE.course`).
"""


def numbers(measured: Mapping[str, Any]) -> str:
    """The numbers of a milestone in brackets, short."""
    told = [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in measured.items()]
    return f" ({', '.join(told)})" if told else ""


def project(of: Label) -> str:
    """The pyproject.toml that the builder reads."""
    people = {key: value for key, value in (("name", of.author), ("email", of.mail)) if value}
    authors = ", ".join(f"{key} = {quoted(value)}" for key, value in people.items())
    extras = "".join(f"{name} = {quoted(wanted)}\n" for name, wanted in EXTRAS.items())
    return f"""\
[build-system]
requires = [{quoted(BACKEND)}]
build-backend = "hatchling.build"

[project]
name = {quoted(of.name)}
version = {quoted(of.version)}
description = "A deep-learning framework, written lesson by lesson"
readme = "README.md"
license = {quoted(with_the_courses(of.licence))}
license-files = ["LICENSE", "LICENSE.course"]
requires-python = {quoted(PYTHON)}
{f'authors = [{{ {authors} }}]' if authors else 'authors = []'}
dependencies = {quoted(NUMPY)}

[project.optional-dependencies]
{extras}
[tool.hatch.build]
ignore-vcs = true

[tool.hatch.build.targets.wheel]
packages = ["tinytorch"]
"""


def quoted(value: str | Sequence[str]) -> str:
    """A text or a list of texts as TOML writes it, which JSON does as well."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


def files_of(
    of: Label, package: Mapping[str, str], facts: Mapping[str, Any], courses_licence: str,
) -> dict[str, str]:
    """Everything that the builder finds in its folder: path -> text."""
    told = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    return {
        "pyproject.toml": project(of), "README.md": readme(of, facts),
        "LICENSE": of.licence_text, "LICENSE.course": courses_licence,
        **{f"tinytorch/{path}": text for path, text in package.items()},
        f"tinytorch/_built/{of.name}.json": told + "\n",
    }
