# Generated from modules/_reference.py by `tito export`. Edit that file, not this one.
"""The reference package never stands in for a learner's own: inside a workspace it refuses to be imported."""
# ruff: noqa: PTH109, PTH110, PTH118, PTH120
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


def refusal(folder: str) -> str:
    """Why the reference is not imported in a learner's workspace, and what to do."""
    here = os.path.dirname(__file__)
    return (f"this would be the reference tinytorch, in {here}, not the one you write in {folder}. "
            f"Run Python in {folder} (`python -m pytest` instead of `pytest`, no PYTHONSAFEPATH). If "
            "tinytorch/__init__.py is missing there, `tito doctor --fix` brings it back. "
            "TINYTORCH_REFERENCE=1 uses the reference on purpose.")


if os.environ.get("TINYTORCH_REFERENCE") != "1" and (yours := workspace()):
    raise ImportError(refusal(yours))
