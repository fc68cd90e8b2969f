"""The table of differences is up to date, and every difference in it has a reason."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_page_of_differences_is_what_the_script_writes():
    pytest.importorskip("torch", reason="PyTorch is the reference: pip install 'tinytorch-tito[dev]'")
    findings = runpy.run_path(str(ROOT / "scripts" / "differences.py"))["findings"]
    assert findings() == []
