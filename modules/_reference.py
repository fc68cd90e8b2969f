"""The reference package never stands in for a learner's own: inside a workspace it refuses to be imported."""

import os
from pathlib import Path


def workspace() -> Path | None:
    """The learner's workspace that Python runs in."""
    try:
        here = Path.cwd()
    except FileNotFoundError:           # the folder was deleted under our feet
        return None
    return next((f for f in (here, *here.parents) if (f / ".tito" / "workspace.json").exists()), None)


def refusal(folder: Path) -> str:
    """Why the reference is not imported in a learner's workspace, and what to do."""
    here = Path(__file__).parent
    return (f"this would be the reference tinytorch, in {here}, not the one you write in {folder}. "
            f"Run Python in {folder} (`python -m pytest` instead of `pytest`, no PYTHONSAFEPATH). If "
            "tinytorch/__init__.py is missing there, `tito doctor --fix` brings it back. "
            "TINYTORCH_REFERENCE=1 uses the reference on purpose.")


if os.environ.get("TINYTORCH_REFERENCE") != "1" and (yours := workspace()):
    raise ImportError(refusal(yours))
