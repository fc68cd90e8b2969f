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


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that is none: the stand-in for CuPy, which tests/stand_in.py describes."""
    import tinytorch.cuda
    from tests.stand_in import cupy, waits
    from tinytorch.devices import JOURNEYS
    monkeypatch.setattr(tinytorch.cuda, "probe", lambda: (cupy, ""))
    monkeypatch.setattr(tinytorch.cuda, "AT_FIRST_USE", [])
    for way in JOURNEYS: monkeypatch.setitem(JOURNEYS, way, JOURNEYS[way])
    waits.clear()
    yield waits
    tinytorch.cuda.ledger.cache_clear()
