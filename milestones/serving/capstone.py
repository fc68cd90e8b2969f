"""A capstone, worked out: a device with room for 48 KiB reads meters, and one day the scanners are replaced.

    tito milestone run serving --data digits | mnist

A network is trained, pressed into bytes, sealed, and served by a server that watches what it is asked. The
new scanners see pale ink on grey paper: the watch rings, the network learns anew, and its second version
takes over while people are asking. Everything is done by your package; what it reads is judged here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np

import tinytorch as tt
import tinytorch.nn.functional as F
from tinytorch import datasets, monitoring, registry
from tinytorch.ao import quantization
from tinytorch.models import MLP
from tinytorch.optim import AdamW
from tinytorch.optim.lr_scheduler import CosineAnnealingLR
from tinytorch.repository import opened_version
from tinytorch.safetensors import load_file, save_file
from tinytorch.serve import Answerer, keep, serve
from tinytorch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset
from tinytorch.watching import log

HERE = Path(os.environ.get("TITO_ASSETS") or Path(__file__).resolve().parent)
sys.path += [str(HERE), str(HERE.parent)]

from client import Client, agreed  # noqa: E402  milestones/serving/client.py
from digits import DATA, moved  # noqa: E402  milestones/digits.py
from gates import Gates, Wrong  # noqa: E402  milestones/gates.py
from running import Running  # noqa: E402  milestones/serving/running.py

os.environ.setdefault("TINYTORCH_SHIPPED", str(DATA))       # where tinytorch.datasets looks for the digits
BUDGET, READS, LOST = 48 * 1024, {"digits": 0.92, "mnist": 0.94}, 0.01     # bytes; at least; at most less
HIDDEN = {64: 192, 784: 48}                 # neurons between, by pixels
STEPS, RATE = {"digits": 1000, "mnist": 2500}, {"digits": 1e-2, "mnist": 3e-3}
COPIES, KEY = {"digits": 7, "mnist": 1}, b"the key of the workshop"
HARDER = {"digits": 0.04, "mnist": 0.08}    # what two kinds of paper cost a network of this size, at most
WINDOW, MANY, FEW = 300, 0.5, 0.2           # questions in a look; shares of features that ring and that calm
WATCH = "watch.safetensors"                 # what a version was taught with, beside its weights


# ----------------------------------------------------------------------- the server, in a process of its own


class Watching(Answerer):
    """A version of a model that looks, again and again, whether it is still asked what it was made for."""

    def __init__(self, name: str, version: str, config: dict, module, taught_with):
        self.seen, self.watch = deque(), monitoring.DriftWatch(coarse(taught_with))
        self.alarm = monitoring.Alarm("drift", MANY, FEW, after=2)
        super().__init__(name, version, config, module)
        self.seen.clear()                   # of the trial before it was lent

    def function(self, x) -> tuple:
        self.seen.extend(x)
        if len(self.seen) >= WINDOW:
            window = np.stack([self.seen.popleft() for _ in range(WINDOW)])
            threading.Thread(target=self.look, args=(window,)).start()
        return super().function(x)

    def look(self, window) -> None:
        """One line in the log: what share of the features has drifted, and whether the alarm is on."""
        share = self.watch.check(coarse(window)).share
        log(event="watch", version=self.version, drifted=share, alarm=self.alarm.check(share))


def coarse(rows) -> np.ndarray:
    """Pictures as a watch sees them: 16 means.  (N, side * side) -> (N, 16)"""
    side = round(rows.shape[1] ** 0.5)
    return rows.reshape(-1, 4, side // 4, 4, side // 4).mean((2, 4)).reshape(-1, 16)


def opened(name: str, version: str, folder: Path):
    """A version from the folder, with its watch."""
    usual = opened_version(name, version, folder)
    usual.close()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return Watching(name, version, config, usual.module, load_file(folder / WATCH)["pictures"].numpy())


CONFIG = {"model": "MLP", "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 10]}],
          "labels": [str(digit) for digit in range(10)], "max_batch": 32, "max_delay": 0.002}


def config_of(pixels: int) -> dict:
    return {"arguments": [pixels, HIDDEN[pixels], 10],
            "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, pixels]}]}

# ------------------------------------------------------------------------------------------ the workshop


class Workshop:
    """Data, versions and customers of one capstone; its `steps` are told, and judged, in order."""

    def __init__(self, data: str):
        self.name, self.dice = data, np.random.default_rng(2026)
        self.kept = tempfile.TemporaryDirectory(prefix="capstone-", ignore_cleanup_errors=True)
        self.folder = Path(self.kept.name)
        self.shelf, self.released = registry.Registry(self.folder / "registry", KEY), self.folder / "released"
        self.running: Running | None = None

    def pictures(self, train: bool, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of pixels from 0 to 1, and labels; known hands to learn from, unknown ones to judge by."""
        found = {"digits": datasets.Digits, "mnist": datasets.MNIST}[self.name](train=train)
        x = found.data.numpy()[:most].astype(np.float32) / 255
        return x.reshape(len(x), -1), found.targets.numpy()[:most]

    # ------------------------------------------------------------------------------------------ versions

    def trained(self, x, y):
        """A network that has learned these rows, and how other hands might have written them."""
        side, copies = round(x.shape[1] ** 0.5), COPIES[self.name]
        more = [moved(x.reshape(-1, side, side), self.dice).reshape(x.shape) for _ in range(copies)]
        data = TensorDataset(tt.tensor(np.concatenate([x, *more])), tt.tensor(np.tile(y, copies + 1)))
        tt.manual_seed(2026)
        model, steps = MLP(x.shape[1], HIDDEN[x.shape[1]], 10), STEPS[self.name]
        optimizer = AdamW(model.parameters(), lr=RATE[self.name])
        schedule = CosineAnnealingLR(optimizer, steps)
        loader = DataLoader(data, batch_size=None, sampler=BatchSampler(RandomSampler(data), 64, False))
        for rows, labels in islice(chain.from_iterable(repeat(loader)), steps):
            loss = F.cross_entropy(model(rows), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return model.eval()

    def pressed(self, model, examples):
        """The network in eight bits, with inputs on the grids that these examples need."""
        model.qconfig = quantization.get_default_qconfig()
        watched = quantization.prepare(model)
        with tt.no_grad(): watched(tt.tensor(examples))
        return quantization.convert(watched)

    def publish(self, model, taught_with, accuracy: float) -> int:
        """Seals a version, with what is known about it, and lets `live` stand for it."""
        plan = registry.words("tinytorch.models.MLP", *config_of(taught_with.shape[1])["arguments"])
        data = registry.digest_of_data(TensorDataset(tt.tensor(taught_with)))
        number = self.shelf.publish(
            "meters", model, architecture=registry.words("pressed", plan), metrics={"accuracy": accuracy},
            data=data, licence="MIT", use="Reads the digits of meters from pictures of them.")
        self.shelf.promote("meters", "live", number)
        return number

    def release(self, version: int, taught_with) -> Path:
        """Unpacks a sealed version, and what its watch needs, into the folder that the server looks at."""
        def skeleton(model): return self.pressed(model, np.zeros((1, taught_with.shape[1]), np.float32))
        package = self.shelf.load("meters", version, builders={"pressed": skeleton})
        draft, place = self.folder / "draft", self.released / "meters" / str(version)
        keep(package.model, draft, CONFIG | config_of(taught_with.shape[1]))
        save_file({"pictures": tt.tensor(taught_with)}, draft / WATCH)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(draft, place)           # seen whole, or not at all
        return place

    # ----------------------------------------------------------------------------------------- customers

    def ask(self, x, users: int = 4) -> tuple[np.ndarray, set[str]]:
        """What customers are told who bring these pictures, a few at a time, and by which versions."""
        parts = np.array_split(np.arange(len(x)), max(1, len(x) // 3))

        def customer(n):
            told = []
            with self.running.client() as client:
                for rows in parts[n::users]:
                    reply = client.infer("meters", pixels=x[rows])
                    told.append((rows, reply.arrays["scores"].argmax(1), reply.version))
            return told
        answers, versions = np.zeros(len(x), np.int64), set()
        with ThreadPoolExecutor(users) as pool:
            for told in pool.map(customer, range(users)):
                for rows, digits, version in told:
                    answers[rows] = digits
                    versions.add(version)
        return answers, versions

    def looks(self) -> list[dict]:
        """What the watch has said so far."""
        return [line for line in self.running.lines() if line.get("event") == "watch"]


def grey(x):
    """What the new scanners see: paper that is grey, and ink that is pale."""
    return (0.45 + 0.35 * x).astype(np.float32)


def share_of(told, truth) -> float: return float((told == truth).mean())


def score_of(model, x, y) -> float:
    with tt.no_grad(): return share_of(model(tt.tensor(x)).numpy().argmax(1), y)


def story(shop: Workshop) -> Gates:
    """The steps, from data to the second version."""
    steps = Gates()
    (x, y), (new, truth) = shop.pictures(True, 20_000), shop.pictures(False, 2000)
    often = 1 + 2 * WINDOW // len(new)          # so many rounds make the watch look twice
    numbers, versions, least = steps.numbers, {}, READS[shop.name]

    @steps.test("a network is trained, and pressed into the room there is")
    def _():
        plain = shop.trained(x, y)
        versions[1] = shop.pressed(plain, x[:500])
        before, after = score_of(plain, new, truth), score_of(versions[1], new, truth)
        shop.publish(versions[1], x, after)
        shop.release(1, x[:500])
        size = (shop.released / "meters/1/model.safetensors").stat().st_size
        numbers.update(trained=before, pressed=after, bytes=size)
        if before < least:
            raise Wrong("it reads too few digits of unknown hands", f"{least:.0%}", f"{before:.1%}")
        if before - after > LOST:
            raise Wrong("eight bits cost more than a point", f"{before:.1%}", f"{after:.1%}")
        if size > BUDGET: raise Wrong("it does not fit onto the device", f"{BUDGET:,} bytes", f"{size:,}")

    @steps.test("customers come, and all is quiet")
    def _():
        words = HERE / "capstone.py", "serve", shop.released
        shop.running = Running(shop.folder / "log", *words).started()
        told, _ = shop.ask(np.tile(new, (often, 1)))
        score, drift = share_of(told[: len(new)], truth), last_look(shop, "1")["drifted"]
        numbers.update(calm=score, calm_drift=drift)
        if score < numbers["pressed"] - LOST:
            raise Wrong("it reads less when customers ask", f"{numbers['pressed']:.1%}", f"{score:.1%}")
        if shop.looks()[-1]["alarm"]: raise Wrong("no alarm rings on an ordinary day", 0, drift)

    @steps.test("the scanners are replaced, and the watch rings")
    def _():
        looks, asked = len(shop.looks()), 0
        window = monitoring.Window(500)
        while asked < 10 * WINDOW:
            some = shop.dice.integers(0, len(new), 100)
            told, _ = shop.ask(grey(new[some]))
            for right in told == truth[some]: window.update(right)
            asked += len(some)
            if any([look["alarm"] for look in shop.looks()[looks:]]): break
        else: raise Wrong("the pictures are others, and the watch says so", "an alarm", f"none in {asked}")
        numbers.update(rang_after=asked, grey=window.accuracy, grey_drift=shop.looks()[-1]["drifted"])
        if not window.below(least):
            raise Wrong("grey paper does harm", f"below {least:.0%}", f"{window.accuracy:.1%}")

    @steps.test("it learns on, and its second version takes over while people are asking")
    def _():
        both, labels = np.concatenate([x, grey(x)]), np.concatenate([y, y])
        mixed = shop.dice.permutation(len(both))[:1000]
        versions[2] = shop.pressed(shop.trained(both, labels), both[mixed[:500]])
        score = score_of(versions[2], grey(new), truth)
        shop.publish(versions[2], both, score)
        shop.release(2, grey(x[:500]))
        over, seen = threading.Event(), set()

        def customers():
            while not over.is_set(): seen.update(shop.ask(grey(new[:60]), 2)[1])
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(customers)
            time.sleep(0.2)
            try:
                with shop.running.client() as client:
                    agreed(client.post("/v2/repository/models/meters/load", {}))
            finally:
                time.sleep(0.2)
                over.set()
            asking.result()
        if not seen <= {"1", "2"}: raise Wrong("every answer is that of a version", "1 and 2", seen)
        told, by = shop.ask(np.tile(grey(new), (often, 1)))
        served, look = share_of(told[: len(new)], truth), last_look(shop, "2")
        numbers.update(second=score, second_served=served, second_drift=look["drifted"],
                       second_white=score_of(versions[2], new, truth))
        if by != {"2"}: raise Wrong("after the change the second version answers", "2", by)
        again = least - HARDER[shop.name]
        if served < again: raise Wrong("grey paper is read again", f"{again:.0%}", f"{served:.1%}")
        if look["alarm"]: raise Wrong("what it was taught with rings no alarm", "quiet", look)

    @steps.test("what was done can be looked up, and the server ends when it is told to")
    def _():
        facts = shop.shelf.facts("meters", "live")
        if facts["metrics"]["accuracy"] != numbers["second"]:
            raise Wrong("what is live is the second version", numbers["second"], facts["metrics"])
        if facts["data"] == shop.shelf.facts("meters", 1)["data"]:
            raise Wrong("other data has another digest", "two digests", facts["data"])
        if f"{numbers['second']:.4g}" not in registry.card(facts):
            raise Wrong("the card says how well it reads", numbers["second"], "another number")
        failed = [answer for answer in Client.heard if answer != ("meters", "200")]
        numbers.update(answers=len(Client.heard))
        if failed: raise Wrong("not one answer in two days was missing", "200", failed[0])
        if sys.platform == "win32": return
        shop.running.process.send_signal(signal.SIGTERM)
        code = shop.running.process.wait(60)
        if code != 0: raise Wrong("an end that was asked for is no error", 0, code)
    return steps


def last_look(shop: Workshop, version: str) -> dict:
    """The second look of a version's watch, which thinks for a moment."""
    until = time.monotonic() + 30
    while len(found := [look for look in shop.looks() if look["version"] == version]) < 2:
        if time.monotonic() > until: raise Wrong(f"{2 * WINDOW} questions are looked at twice", 2, len(found))
        time.sleep(0.05)
    return found[-1]


TOLD = """
  In eight bits it takes {bytes:,} bytes, and reads {pressed:.1%} of the digits of unknown hands.
  The watch rang {rang_after} questions after the scanners were replaced; {grey:.0%} of those were read.
  The second version reads {second_served:.1%} of grey paper and {second_white:.1%} of white, and took
  over while people were asking: {answers:,} requests in all, and as many answers.
"""


def run(data: str) -> int:
    """The capstone, step by step; 0 if all went well."""
    print(__doc__)
    try: steps = story(Workshop(data))
    except FileNotFoundError as missing: steps = nothing_to_learn_from(str(missing))
    if not steps.run(): return 1
    print(TOLD.format(**steps.numbers))
    return 0


def nothing_to_learn_from(why: str) -> Gates:
    steps = Gates()

    @steps.test("the data are there")
    def _(): raise Wrong(why)
    return steps


def main(words=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=list(READS), default="digits")
    return run(parser.parse_args(words).data)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]: serve(sys.argv[2], port=int(sys.argv[3]), opened=opened)
    else: sys.exit(main())
