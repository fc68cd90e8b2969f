"""An installed package never stands in for the one that is being written, nor is it mixed with another."""
# ruff: noqa: PTH109, PTH110, PTH112, PTH118, PTH120, PTH208
# os.path and not pathlib, which would cost every import 5 ms

import os


def workspace() -> str:
    """The learner's workspace that Python runs in, or ""."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:           # the folder was deleted under our feet
        return ""
    while not os.path.exists(os.path.join(folder, ".tito", "workspace.json")):
        folder, below = os.path.dirname(folder), folder
        if folder == below: return ""
    return folder


def owners() -> list[str]:
    """The distributions whose files lie in this folder: the course's, and those of `tito package build`."""
    here, built = os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "_built")
    course = ["tinytorch-tito"] if os.path.exists(os.path.join(here, "_reference.py")) else []
    learners = os.listdir(built) if os.path.isdir(built) else []
    return course + sorted(name[:-5] for name in learners if name.endswith(".json"))


def refusal(folder: str) -> str:
    """Why what is installed is not imported in a learner's workspace, and what to do."""
    whose = "the reference tinytorch" if owners()[:1] in ([], ["tinytorch-tito"]) else f"the {owners()[0]}"
    return (f"this would be {whose}, in {os.path.dirname(__file__)}, not the one you write in {folder}. "
            f"Run Python in {folder} (`python -m pytest` instead of `pytest`, no PYTHONSAFEPATH). If "
            "tinytorch/__init__.py is missing there, `tito doctor --fix` brings it back. "
            "TINYTORCH_REFERENCE=1 uses what is installed on purpose.")


def mixture(names: list[str]) -> str:
    """Why a folder into which pip has put two packages of this name is not imported, and what to do."""
    return (f"in {os.path.dirname(__file__)} lie the files of {' and of '.join(names)}, one over the other. "
            f"Uninstall all of them (pip uninstall {' '.join(names)}), and give each an environment of its "
            "own: python -m venv.")


if len(owners()) > 1: raise ImportError(mixture(owners()))
if os.environ.get("TINYTORCH_REFERENCE") != "1" and (yours := workspace()):
    raise ImportError(refusal(yours))
