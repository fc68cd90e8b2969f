"""Make a page that runs the lessons in the browser: JupyterLite, with the package and the notebooks.

    python book/lab.py [FOLDER]         (default: build/lab; the page is FOLDER/site/index.html)
      --pyodide FOLDER                  a whole Pyodide distribution, to need nothing from elsewhere

Python itself comes from npm's `pyodide`, if npm is there, and what its kernel is made of from PyPI; both lie
beside the page. NumPy for it is in neither: without --pyodide it is fetched from its own server when the
first cell of a notebook runs. To look at it takes a server: python -m http.server --directory build/lab/site
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tito.checkout import open_checkout  # noqa: E402
from tito.core.lesson import NotebookCell, notebook  # noqa: E402
from tito.ports.notebooks import NotebooksOnDisk  # noqa: E402

FIRST = NotebookCell("first-cell", "code", """\
# Run me first. In the browser the course's package stands in for yours: you write this lesson's cells, and
# their checks run right here. What you write stays in this browser; on your machine, `tito` keeps it.
import piplite
await piplite.install("tinytorch-tito", deps=False)
try:
    await piplite.install("numpy")
    import numpy
except Exception:
    raise ImportError("NumPy could not be fetched, and the lessons need it. This page was built without it: "
                      "go online and start the kernel again, or build the page with --pyodide.") from None""")
START = """\
# The lessons, in the browser

Open a notebook at the left, and run its first cell. Nothing is installed; Python runs in this page.

{numpy} Lessons that start processes, threads or servers (08, 13 and 16) want a machine of their own.
"""
FETCHED = "NumPy is fetched from Pyodide's server by a notebook's first cell: this page does not have it."
LOCAL = "NumPy comes with this page; nothing is fetched from elsewhere."


def contents(folder: Path, has_numpy: bool) -> None:
    """The learner's notebooks, with blanks, and a page to begin with."""
    course = open_checkout(ROOT)
    for lesson in course.curriculum if course else ():
        if lesson.name not in course.written(): continue
        cells = [FIRST, *notebook(course.chapter(lesson))[1:]]
        NotebooksOnDisk().write(cells, folder / lesson.notebook)
    (folder / "README.md").write_text(START.format(numpy=LOCAL if has_numpy else FETCHED), "utf-8")


def local_python(folder: Path, given: Path | None) -> bool:
    """Pyodide in the page's folder; whether NumPy is with it."""
    if given:
        shutil.copytree(given, folder, dirs_exist_ok=True)
    elif npm := shutil.which("npm"):
        from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION
        folder.mkdir(parents=True)
        wanted = f"pyodide@{PYODIDE_VERSION}"
        subprocess.run([npm, "pack", wanted], cwd=folder, check=True, capture_output=True)
        archive = next(folder.glob("*.tgz"))
        subprocess.run(["tar", "-xzf", archive.name, "--strip-components=1"], cwd=folder, check=True)
        archive.unlink()
        complete(folder)
    return any(folder.glob("numpy-*.whl"))


KERNEL = ("micropip", "ipython", "jedi", "packaging")       # what the kernel asks for; none of it is compiled


def complete(folder: Path) -> None:
    """Beside Pyodide what its kernel needs; in its list the others lead to where they can be fetched."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_LOCK
    place = folder / PYODIDE_LOCK
    lock = json.loads(place.read_text("utf-8"))
    packages, needed, waiting = lock["packages"], set(), list(KERNEL)
    while waiting:
        if (name := canonicalize_name(waiting.pop())) in needed: continue
        needed.add(name)
        waiting += packages[name]["depends"]
    fetch([f"{name}=={packages[name]['version']}" for name in sorted(needed)], folder)
    wheels = {canonicalize_name(path.name.partition("-")[0]): path for path in folder.glob("*.whl")}
    for name, entry in packages.items():
        if path := wheels.get(name):
            entry |= {"file_name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        else: entry["file_name"] = f"{PYODIDE_CDN_URL}/{entry['file_name']}"
    place.write_text(json.dumps(lock), "utf-8")


def fetch(packages: list[str], folder: Path) -> None:
    """Wheels from PyPI that run in every Python, the browser's included."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_PYTHON_VERSION
    words = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", PYODIDE_PYTHON_VERSION]
    words = [sys.executable, "-m", "pip", "download", *words, "--dest", str(folder), *packages]
    subprocess.run(words, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "lab")
    parser.add_argument("--pyodide", type=Path)
    asked = parser.parse_args()
    place = asked.folder.resolve()
    shutil.rmtree(place, ignore_errors=True)
    has_numpy = local_python(place / "source" / "static" / "pyodide", asked.pyodide)
    contents(place / "source" / "files", has_numpy)
    wheels = place / "source" / "pypi"
    fetch(["comm"], wheels)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(ROOT)], check=True)
    kernel = {"@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True}}
    page = {"appName": "TinyTorch", "litePluginSettings": kernel}
    settings = {"jupyter-lite-schema-version": 0, "jupyter-config-data": page}
    (place / "source" / "jupyter-lite.json").write_text(json.dumps(settings, indent=2), "utf-8")
    print(f"JupyterLite {version('jupyterlite-core')}; NumPy {'is with it' if has_numpy else 'is fetched'}")
    source, site = place / "source", place / "site"
    folders = ["--lite-dir", source, "--contents", source / "files", "--output-dir", site]
    return subprocess.run([sys.executable, "-m", "jupyterlite_core", "build", *folders], cwd=place).returncode


if __name__ == "__main__": sys.exit(main())
