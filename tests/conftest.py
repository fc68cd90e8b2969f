"""What tests of several folders need."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def data() -> Path:
    """The folder of real data: TINYTORCH_REAL_DATA, or shared/data beside the checkout."""
    given = os.environ.get("TINYTORCH_REAL_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir(): pytest.skip(f"there is no real data in {folder}")
    return folder
