"""What serving costs: a word with a cache, a request over HTTP, and both in PyTorch behind the same server.

    python benchmarks/bench_serving.py [words] [http]       needs the `dev` extra; a few minutes

CPU seconds on one thread where nobody waits for anybody, the best of rounds that take turns; before anything
is timed, answers must agree. Over HTTP, the clients are a process of their own (`clients.py`), and the
servers are two: TinyTorch's models and PyTorch's, behind the same handler and with the same batching.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from versus import machine, table, torch_on_one_thread, write  # first: it sets how many threads

torch = torch_on_one_thread()

import numpy as np  # noqa: E402
from clients import load, prompt, question  # noqa: E402

from tinytorch import Tensor, cat, manual_seed  # noqa: E402
from tinytorch.capstone import joined, nothing_read  # noqa: E402
from tinytorch.models import GPT, MLP, LeNet5  # noqa: E402
from tinytorch.repository import opened_version  # noqa: E402
from tinytorch.serve import Answerer, QuickWriter, Repository, Server, generate, keep  # noqa: E402
from tinytorch.service import TURN, Loop  # noqa: E402

F = torch.nn.functional

VOCABULARY, PLACES, LAYERS, HEADS, WIDTH, WORDS = 65, 256, 4, 4, 128, 100
ROUNDS = 7
SECONDS, CROWDS = 2.0, (1, 4, 32)
LETTERS = "".join([chr(33 + n) for n in range(VOCABULARY)])
MODELS = {
    "MLP 784-1024-1024-10": ("MLP", [784, 1024, 1024, 10], (784,)),
    "LeNet-5": ("LeNet5", [], (1, 28, 28)),
}


class Theirs:
    """The same GPT with PyTorch's functions, and a cache with room for all places."""

    def __init__(self, model: GPT):
        self.weights = {name: torch.from_numpy(np.array(x.array)) for name, x in model.state_dict().items()}

    def of(self, name: str): return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
    def linear(self, x, name: str): return F.linear(x, *self.of(name))
    def norm(self, x, name: str): return F.layer_norm(x, (WIDTH,), *self.of(name))

    @torch.inference_mode()
    def generate(self, texts: list[list[int]], words: int) -> list[list[int]]:
        ids, size = torch.tensor(texts), (len(texts), HEADS, PLACES, WIDTH // HEADS)
        self.cache, self.seen = [(torch.empty(size), torch.empty(size)) for _ in range(LAYERS)], 0
        new = ids
        for _ in range(words):
            new = self.read(new).argmax(-1, keepdim=True)
            ids = torch.cat([ids, new], 1)
        return ids.tolist()

    def read(self, ids):
        """The scores after the last word.  (B, T) -> (B, vocabulary)"""
        old, self.seen = self.seen, self.seen + ids.shape[1]
        x = F.embedding(ids, self.weights["transformer.wte.weight"])
        return self.through(x + self.weights["transformer.wpe.weight"][old : self.seen], self.cache, old)

    def through(self, x, cache, old: int):
        """All layers, whose keys and values are kept behind `old` columns."""
        for layer in range(LAYERS):
            block = f"transformer.h.{layer}"
            x = x + self.look(self.norm(x, f"{block}.ln_1"), f"{block}.attn", *cache[layer], old)
            wide = F.gelu(self.linear(self.norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"), approximate="tanh")
            x = x + self.linear(wide, f"{block}.mlp.c_proj")
        return F.linear(self.norm(x[:, -1], "transformer.ln_f"), self.weights["lm_head.weight"])

    def look(self, x, name: str, keys, values, old: int):
        B, T, _ = x.shape
        q, k, v = [part.view(B, T, HEADS, -1).transpose(1, 2)
                   for part in self.linear(x, f"{name}.c_attn").split(WIDTH, -1)]
        keys[:, :, old : self.seen], values[:, :, old : self.seen] = k, v
        seen = F.scaled_dot_product_attention(
            q, keys[:, :, : self.seen], values[:, :, : self.seen], is_causal=T > 1)
        return self.linear(seen.transpose(1, 2).reshape(B, T, WIDTH), f"{name}.c_proj")


def best(*runs) -> list[float]:
    """The least CPU time of each, in turns."""
    found = [[] for _ in runs]
    for _ in range(ROUNDS):
        for times, run in zip(found, runs):
            began = process_time()
            run()
            times.append(process_time() - began)
    return [min(times) for times in found]


def written_by(model: GPT) -> GPT:
    """The same, with weights that have preferences."""
    for p in model.parameters(): p.data.normal_(0.0, 0.1)
    return model


def words() -> str:
    """A word of a GPT that remembers what it has read, in CPU time."""
    manual_seed(0)
    model, rows = written_by(GPT(VOCABULARY, PLACES, LAYERS, HEADS, WIDTH)).eval(), []
    theirs, how = Theirs(model), {"max_new_tokens": WORDS, "temperature": 0.0}
    for texts in (1, 8):
        begun = np.random.default_rng(texts).integers(0, VOCABULARY, (texts, 8)).tolist()

        def lesson(begun=begun): return generate(model, begun, **how)
        def quick(begun=begun): return generate(model, begun, QuickWriter, **how)
        def other(begun=begun): return theirs.generate(begun, WORDS)
        assert lesson() == quick() == other(), "the texts differ"
        a, b, c = [1000 * seconds / WORDS for seconds in best(lesson, quick, other)]
        rows.append([f"{texts} at once", f"{a:.2f} ms", f"{b:.2f} ms", f"{c:.2f} ms", f"{a / c:.2f}",
                     f"**{b / c:.2f}**", f"{1000 * texts / b:,.0f}"])
    return table(["a word of a GPT with a cache", "the lesson's writer", "the server's", "PyTorch",
                  "lesson / PyTorch", "server / PyTorch", "words a second, server's"], rows)


def words_with(kernels: str) -> str:
    """The same in a process that has these kernels."""
    done = subprocess.run([sys.executable, __file__, "times"], stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "TINYTORCH_KERNELS": kernels})
    return done.stdout.strip()

# ------------------------------------------------------------------------------------------ over HTTP


class Torch(Answerer):
    """The same weights, the same handler, the same line: only the arithmetic is PyTorch's."""

    def __init__(self, name: str, version: str, config: dict, module):
        weights = [torch.from_numpy(np.array(p.array)) for p in module.parameters()]
        self.layers = list(zip(weights[::2], weights[1::2]))
        self.pictures = config["model"] == "LeNet5"
        super().__init__(name, version, config, module)

    @torch.inference_mode()
    def function(self, x) -> tuple:
        x, layers = torch.from_numpy(np.ascontiguousarray(x)), self.layers
        if self.pictures:
            x = F.max_pool2d(F.relu(F.conv2d(x, *layers[0], padding=2)), 2)
            x = F.max_pool2d(F.relu(F.conv2d(x, *layers[1])), 2).flatten(1)
            layers = layers[2:]
        for weight, bias in layers[:-1]: x = F.relu(F.linear(x, weight, bias))
        return F.linear(x, *layers[-1]).numpy(),


class TheirReader(Theirs):
    """The same GPT, reading into the server's own cache, whose texts come and go."""

    @torch.inference_mode()
    def read(self, ids, cache):
        """The scores after the last of some new words.  (B, T) -> (B, vocabulary)"""
        ids, old, start = torch.as_tensor(ids), cache.length, torch.from_numpy(cache.start)[:, None]
        ids = ids.view(len(start), -1)
        new, columns = torch.arange(old, old + ids.shape[1]), torch.arange(old + ids.shape[1])
        cache.make_room(len(columns))
        self.store, cache.length = torch.from_numpy(cache.store), len(columns)
        self.mask = None
        if len(new) > 1 or start.any():
            self.mask = ((columns >= start[..., None]) & (columns <= new[:, None]))[:, None]
        x = F.embedding(ids, self.weights["transformer.wte.weight"])
        x = x + F.embedding(new - start, self.weights["transformer.wpe.weight"])
        return self.through(x, self.store, old)

    def look(self, x, name: str, keys, values, old: int):
        B, T, _ = x.shape
        q, k, v = [part.view(B, T, HEADS, -1).transpose(1, 2)
                   for part in self.linear(x, f"{name}.c_attn").split(WIDTH, -1)]
        keys[:, :, old : old + T], values[:, :, old : old + T] = k, v
        seen = F.scaled_dot_product_attention(q, keys[:, :, : old + T], values[:, :, : old + T], self.mask)
        return self.linear(seen.transpose(1, 2).reshape(B, T, WIDTH), f"{name}.c_proj")


class TheirWriter(QuickWriter):
    """The server's writer: all but choosing the words is PyTorch's."""

    def __init__(self, model: GPT):
        super().__init__(model)
        reader = TheirReader(model)
        self.sheets = SimpleNamespace(read=lambda ids, cache: reader.read(ids, cache).numpy())

    def begin(self, text) -> None:
        text.most = min(text.most, self.model.block_size + 1)
        cache = nothing_read(self.model, [0])
        scores = Tensor(self.sheets.read([text.ids], cache))
        if self.texts: cache, scores = joined(self.cache, cache), cat([self.scores, scores])
        self.texts, self.cache, self.scores = [*self.texts, text], cache, scores


def opened_with(package: str):
    def opened(name: str, version: str, folder: Path):
        model = opened_version(name, version, folder)
        if package == "tinytorch": return model
        if name == "writer":
            model.scribe.writer = TheirWriter(model.scribe.writer.model)
            return model
        model.close()
        return Torch(name, version, json.loads((folder / "config.json").read_text()), model.module)
    return opened


def serve(package: str, folder: str, port: str) -> None:
    """A server, in this process."""
    sys.setswitchinterval(TURN)
    Loop(Server(Repository(folder, opened=opened_with(package))), port=int(port), backlog=2048).run()


class Contender:
    """A server in a process of its own."""

    def __init__(self, package: str, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, __file__, "serve", package, str(folder), str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)): break
            sleep(0.05)

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def answer(self, request: bytes) -> bytes:
        """The body that comes back."""
        found: list[bytes] = []
        load(self.port, [request], 1, count=1, hear=lambda which, body: found.append(body))
        return found[0]

    def under(self, file: Path, users: int) -> dict:
        """What so many users see, and what a request costs."""
        before, clients = self.cpu(), Path(__file__).with_name("clients.py")
        command = [sys.executable, str(clients), str(self.port), str(file), str(users), str(SECONDS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seen = json.loads(done.stdout)
        return seen | {"cpu": (self.cpu() - before) / seen["requests"]}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def fill(folder: Path) -> None:
    """Every model twice: together in batches, and one at a time."""
    manual_seed(0)
    for number, (builder, arguments, shape) in enumerate(MODELS.values()):
        module = {"MLP": MLP, "LeNet5": LeNet5}[builder](*arguments)
        config = {"model": builder, "arguments": arguments, "bound": 10**6,
                  "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, *shape]}],
                  "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]}
        keep(module, folder / f"together{number}/1", config | {"max_batch": 32})
        keep(module, folder / f"alone{number}/1", config | {"max_batch": 1})
    keep(written_by(GPT(VOCABULARY, PLACES, LAYERS, HEADS, WIDTH)), folder / "writer/1",
         {"model": "GPT", "arguments": [VOCABULARY, PLACES, LAYERS, HEADS, WIDTH], "letters": LETTERS})


def middle(runs: list[dict]) -> dict:
    """The run with the middle p99; of CPU time the least."""
    return sorted(runs, key=lambda run: run["p99"])[len(runs) // 2] | {"cpu": min(run["cpu"] for run in runs)}


def over_http(rounds: int = 2) -> str:
    pages = []
    with tempfile.TemporaryDirectory() as place:
        folder, file = Path(place, "models"), Path(place, "request")
        fill(folder)
        servers = {name: Contender(name, folder) for name in ("tinytorch", "torch")}
        try:
            for number, (model, (_, _, shape)) in enumerate(MODELS.items()):
                runs, x = {}, np.random.default_rng(0).random((1, *shape), np.float32)
                asked = question(f"together{number}", x)
                ours, theirs = [np.frombuffer(server.answer(asked)[-40:], "<f4")
                                for server in servers.values()]
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
                for _ in range(rounds):
                    for users in CROWDS:
                        for way in ("together", "alone"):
                            file.write_bytes(question(f"{way}{number}", x))
                            for name, server in servers.items():
                                runs.setdefault((name, way, users), []).append(server.under(file, users))
                found = {key: middle(tries) for key, tries in runs.items()}
                pages += [rows_of(model, found), gains(found)]
                pages.append(added(folder / f"together{number}/1", x, servers["tinytorch"].port, asked))
        finally:
            for server in servers.values(): server.close()
    return "\n\n".join(pages)


def texts_over_http(rounds: int = 5) -> str:
    """What a word of a text costs that is asked for over HTTP, whole and in a stream."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder, file = Path(place, "models"), Path(place, "request")
        fill(folder)
        servers = {name: Contender(name, folder) for name in ("tinytorch", "torch")}
        try:
            for way in ("generate", "generate_stream"):
                asked = prompt("writer", LETTERS[:8], WORDS, way)
                ours, theirs = [server.answer(asked) for server in servers.values()]
                assert ours == theirs, "the texts differ"
                file.write_bytes(asked)
                for users in (1, 8):
                    runs = {name: [] for name in servers}
                    for _ in range(rounds):
                        for name, server in servers.items(): runs[name].append(server.under(file, users))
                    rows.append(row_of(f"`{way}`, {users} at once", *runs.values()))
        finally:
            for server in servers.values(): server.close()
    return table(["a word of a text, over HTTP", "tinytorch", "torch", "tinytorch / torch", "CPU, tinytorch",
                  "CPU, torch", "tinytorch / torch", "words a second, tinytorch"], rows)


def row_of(what: str, ours: list[dict], theirs: list[dict]) -> list[str]:
    """The middle run by the clock, and the least CPU time."""
    times = [1000 / median([run["per_second"] for run in runs]) / WORDS for runs in (ours, theirs)]
    cpu = [1000 * min([run["cpu"] for run in runs]) / WORDS for runs in (ours, theirs)]
    return [what, *[f"{t:.2f} ms" for t in times], f"**{times[0] / times[1]:.2f}**",
            *[f"{t:.2f} ms" for t in cpu], f"**{cpu[0] / cpu[1]:.2f}**", f"{1000 / times[0]:,.0f}"]


def rows_of(model: str, found: dict) -> str:
    columns = ["clients", "a second", "p50", "p95", "p99", "CPU a request", "clients' share of a core"]
    return table([model, *columns], [
        [f"{name}, {way}", str(users), f"{run['per_second']:,.0f}",
         *[f"{run[p]:.1f} ms" for p in ("p50", "p95", "p99")],
         f"{1e6 * run['cpu']:.0f} µs", f"{run['client']:.0%}"]
        for (name, way, users), run in sorted(found.items(), reverse=True)])


def gains(found: dict) -> str:
    """Requests a second in batches over one at a time, whose p99 is allowed to be what it is in batches."""
    lines = []
    for name in ("tinytorch", "torch"):
        together = found[name, "together", max(CROWDS)]
        alone = [found[name, "alone", users] for users in CROWDS]
        fair = [run["per_second"] for run in alone if run["p99"] <= together["p99"]]
        gain = together["per_second"] / max(fair or [alone[0]["per_second"]])
        lines.append(f"{name}: {gain:.1f} times the requests a second at equal p99, "
                     f"{alone[-1]['cpu'] / together['cpu']:.1f} times in CPU time")
    return "Batches gain, " + "; ".join(lines) + "."


def added(folder: Path, x, port: int, asked: bytes, windows: int = 40, calls: int = 100) -> str:
    """What the server adds to a call, for one client: p50 of short windows, with and without it in turns."""
    model, direct, served = opened_version("m", "1", folder), [], []
    for _ in range(windows):
        times = []
        for _ in range(calls):
            began = perf_counter()
            model.function(x)
            times.append(perf_counter() - began)
        direct.append(1000 * median(times))
        served.append(load(port, [asked], 1, count=calls)["p50"])
    model.close()
    told = [f"{name} {at(served):.2f} ms, and {at(direct):.2f} ms without a server: it adds "
            f"**{at(served) - at(direct):.2f} ms**" for name, at in (("in the middle window", median),
                                                                     ("in the calmest quarter", calmest))]
    return f"One client, p50 of {calls} requests, {windows} times: {'; '.join(told)}."


def calmest(windows: list[float]) -> float:
    """What a window takes in which the machine does little else."""
    return float(np.quantile(windows, 0.25))


def main(*parts: str) -> None:
    if parts[:1] == ("serve",): return serve(*parts[1:])
    if parts == ("times",): return print(words())
    about = machine(f"PyTorch {torch.__version__}")
    if "http" in parts or not parts:
        write("bench_serving.py http", f"{about}\n\n{over_http()}\n\n{texts_over_http()}")
    if "words" in parts or not parts:
        plain, fast = [words_with(kernels) for kernels in ("numpy", "fast")]
        write("bench_serving.py words", f"{about}\n\nWithout kernels:\n\n{plain}\n\n"
                                        f"With `TINYTORCH_KERNELS=fast`:\n\n{fast}")
    return None


if __name__ == "__main__": main(*sys.argv[1:])
