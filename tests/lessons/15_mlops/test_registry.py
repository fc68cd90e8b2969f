"""The registry of lesson 15: versions that never change, aliases that remember, and two writers at once."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tinytorch import nn
from tinytorch.mlops import Alias, Tampered, publish, sign, standing, versions
from tinytorch.packages import words
from tinytorch.registry import Registry

KEY = b"key"
PLAN = words("tinytorch.nn.Linear", 2, 1)


def linear(value: float):
    model = nn.Linear(2, 1)
    for p in model.parameters(): p.data.fill_(value)
    return model


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path, KEY)
    for n in (1, 2, 3):
        registry.publish("line", linear(float(n)), architecture=PLAN, metrics={"accuracy": n / 10},
                         code="c" * 64)
    return registry


def value(package) -> float: return package.model.bias.item()


def test_versions_and_aliases(registry):
    assert registry.names() == ["line"] and registry.versions("line") == [1, 2, 3]
    registry.promote("line", "production", 1)
    registry.promote("line", "production", 3, "better")
    registry.promote("line", "trial", 2)
    assert registry.aliases("line") == {"production": 3, "trial": 2}
    assert value(registry.load("line", "production")) == 3.0 and value(registry.load("line", 2)) == 2.0
    assert registry.roll_back("line", "production", "worse") == 1
    assert value(registry.load("line", "production")) == 1.0
    moves = registry.alias("line", "production").moves()
    assert [move["why"] for move in moves] == ["", "better", "worse"] and all(move["when"] for move in moves)


def test_what_was_in_use_at_a_time(registry):
    folder = registry.root / "line" / "aliases" / "production"
    folder.mkdir(parents=True)
    for n, move in enumerate([{"to": 1, "when": "2026-01-01"}, {"to": 2, "when": "2026-02-01"},
                              {"back": True, "when": "2026-03-01"}], 1):
        (folder / f"{n:04}").write_text(json.dumps(move), "utf-8")
    asked = ["2025-12-31", "2026-01-15", "2026-02-15", "2026-03-15"]
    assert [registry.in_use("line", "production", when) for when in asked] == [None, 1, 2, 1]


def test_a_version_that_is_not_there_is_a_sentence(registry):
    with pytest.raises(LookupError, match="no version 9: there are 1, 2, 3"): registry.load("line", 9)
    with pytest.raises(LookupError, match="'production'"): registry.load("line", "production")
    with pytest.raises(LookupError): registry.promote("line", "production", 9)
    with pytest.raises(LookupError, match="no version to go back to"): registry.roll_back("line",
                                                                                          "production")
    registry.promote("line", "production", 1)
    with pytest.raises(LookupError): registry.roll_back("line", "production")


def test_a_package_that_was_changed_is_not_promoted_nor_loaded(registry):
    path = registry.folder("line", 2) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    for act in (partial(registry.promote, "line", "production", 2), partial(registry.load, "line", 2),
                partial(registry.compare, "line", 1, 2)):
        with pytest.raises(Tampered, match="weights"): act()


def test_what_is_not_signed_gets_no_number(registry):
    def unsigned(folder): (folder / "x").write_text("x", "utf-8")
    with pytest.raises(FileNotFoundError): registry.publish_folder("line", unsigned)
    with pytest.raises(Tampered): registry.publish_folder("line", lambda folder: sign(folder, b"another"))
    assert registry.versions("line") == [1, 2, 3]


def test_two_versions_side_by_side(registry):
    told = registry.compare("line", 1, 3)
    assert told["metrics.accuracy"] == (0.1, 0.3)
    assert set(told) == {"metrics.accuracy", "file facts.json", "file weights.safetensors"}


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a b", "a\n"])
def test_names_lead_nowhere_else(registry, name):
    with pytest.raises(ValueError, match="no name"): registry.versions(name)
    with pytest.raises(ValueError, match="no name"): registry.alias("line", name)


def test_many_who_publish_at_once_get_a_number_each(tmp_path):
    def fill(who, folder):
        (folder / "who").write_text(str(who), "utf-8")
        time.sleep(0.001)

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda who: publish(tmp_path, partial(fill, who)), range(24)))
    assert sorted(numbers) == versions(tmp_path) == list(range(1, 25))
    assert [int((tmp_path / f"{n:04}" / "who").read_text()) for n in numbers] == list(range(24))


def test_of_many_who_move_an_alias_at_once_each_either_moves_it_or_hears_of_it(tmp_path):
    alias = Alias(tmp_path)

    def move(n):
        try: return alias.promote(n) is None
        except FileExistsError: return False

    with ThreadPoolExecutor(8) as pool: moved = list(pool.map(move, range(40)))
    told = [one["to"] for one in alias.moves()]
    assert len(told) == sum(moved) >= 1 and sorted(told) == [n for n in range(40) if moved[n]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n:04}" for n in range(1, len(told) + 1)]


def killed(act) -> None:
    """Runs `act(kill)` in a child that kills itself when `kill` is called."""
    child = os.fork()
    if child == 0:
        try: act(lambda: os.kill(os.getpid(), signal.SIGKILL))
        finally: os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_who_is_killed_in_the_middle_leaves_the_old_state(registry, monkeypatch):
    registry.promote("line", "production", 1)

    def half(kill):
        def fill(folder):
            (folder / "weights.safetensors").write_bytes(b"half")
            kill()
        registry.publish_folder("line", fill)
    killed(half)
    assert registry.versions("line") == [1, 2, 3]

    def moving(kill):
        os.fsync = lambda handle: kill()
        registry.promote("line", "production", 2)
    killed(moving)
    assert registry.aliases("line") == {"production": 1} and value(registry.load("line", "production")) == 1.0
    assert registry.sweep(older_than=-1) == 2, "what they left behind can be swept away"
    registry.promote("line", "production", 2)
    assert registry.aliases("line") == {"production": 2}
    assert registry.publish("line", linear(4.0), architecture=PLAN) == 4


def test_piles_of_moves_come_back_to_where_they_were():
    moves = []
    for n in range(1, 50): moves.append({"to": n})
    for n in range(48, 0, -1):
        moves.append({"back": True})
        assert standing(moves)[-1] == n
