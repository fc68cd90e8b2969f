"""The worked capstone, on the reference: from data to a second version, and what happens without data."""

import os
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="pip install 'tinytorch-tito[serve]'")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/serving/milestone.py"
LEAST = {"digits": 0.92, "mnist": 0.94}


@pytest.mark.slow
@pytest.mark.parametrize("data", LEAST)
def test_a_second_version_takes_over_when_the_world_has_changed(data, play):
    if data == "mnist" and not (Path(os.environ.get("TINYTORCH_DATA", "")) / "mnist").is_dir():
        pytest.skip("MNIST does not lie in TINYTORCH_DATA")
    code, text, report = play(PROGRAM, PROGRAM, "--data", data)
    assert [t for t in report["tests"] if t["status"] != "passed"] == [] and code == 0
    n = report["numbers"]
    assert n["pressed"] >= LEAST[data] - 0.01 and n["bytes"] <= 48 * 1024
    assert n["calm_drift"] < 0.2 < 0.5 < n["grey_drift"] and n["grey"] < LEAST[data] - 0.1
    assert n["second_served"] > n["grey"] + 0.1 and n["second_drift"] < 0.5
    assert "The second version reads" in text


def test_without_the_data_it_says_which_file_is_missing(play, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_DATA", str(tmp_path))
    code, _, report = play(PROGRAM, PROGRAM, "--data", "mnist")
    [only] = report["tests"]
    assert code == 1 and only["status"] == "failed" and "is not in" in only["message"]
