# Generated from modules/16_capstone/appendix_repository.py by `tito export`. Edit that file, not this one.
"""Models in a folder: built from a list, loaded, tried, replaced while they are used."""

from __future__ import annotations

import json
import math
import time
import timeit
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Condition, Lock, Thread

import numpy as np

from .attention import GPT
from .capstone import Batcher, Loan, Refused, Shelf, Text
from .dataloader import CharTokenizer
from .layers import Module
from .mlops import MANIFEST, Tampered
from .modes import no_grad
from .packages import Package, load_package, prepared
from .qconfigs import load_quantized
from .quick import QuickWriter
from .safetensors import load_file, save_file
from .tensor import Tensor
from .wire import DATATYPES, Port, strings

__all__ = [
    "BUILDERS", "built", "keep", "MOMENT", "Answerer", "Scribe", "Author", "Repository", "numbered",
    "mark_of", "opened_version", "Prepared", "opened_package",
]


BUILDERS = ("MLP", "LeNet5", "AlexNetSmall", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "resnet18", "resnet34",
            "resnet50", "resnet20", "mobilenet_v2", "UNet", "ViT", "GPT")


def built(config: dict) -> Module:
    """The module that a config describes, without its weights."""
    name, arguments = config.get("model"), config.get("arguments", {})
    if name not in BUILDERS: raise ValueError(f"model is one of {', '.join(BUILDERS)}, not {name!r}")
    if isinstance(arguments, list): return getattr(import_module("tinytorch.models"), name)(*arguments)
    return getattr(import_module("tinytorch.models"), name)(**arguments)


def keep(module: Module, folder, config: dict) -> None:
    """Writes a version of a model: its weights, and what config says of it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(module.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


MOMENT = 0.001                  # seconds that the thread which holds the connections has to spare


class Answerer:
    """A version of a model: arrays in, arrays out, behind a batcher."""

    platform = "tinytorch_module"

    def __init__(self, name: str, version: str, config: dict, module: Module):
        self.name, self.version, self.module = name, version, module.eval()
        self.inputs = [Port.of(told) for told in config["inputs"]]
        self.outputs = [Port.of(told) for told in config["outputs"]]
        self.labels, self.max_batch = config.get("labels"), config.get("max_batch", 32)
        row = [np.zeros(self.example(p), DATATYPES[p.datatype]) for p in self.inputs]
        self.check(self.function(*row))
        self.batcher = Batcher(self.function, self.max_batch, config.get("max_delay", 0.0),
                               config.get("bound", 1024), config.get("workers", 1))
        self.brief = config.get("at_once", True) and self.takes_a_moment(row)

    @no_grad()
    def function(self, *arrays) -> tuple:
        """What the module says, as arrays.  (rows, …) -> (rows, …)"""
        said = self.module(*[Tensor(array) for array in arrays])
        return tuple([x.array for x in (said if isinstance(said, tuple) else (said,))])

    @staticmethod
    def example(port: Port) -> tuple: return tuple([1 if n == -1 else n for n in port.shape])

    def check(self, arrays: Sequence) -> None:
        for port, array in zip(self.outputs, arrays, strict=True):
            if not port.fits(array.shape) or array.dtype != DATATYPES[port.datatype]:
                raise ValueError(f"{port.name} is {array.dtype} of shape {array.shape}, not {port.told}")

    def takes_a_moment(self, row: Sequence) -> bool:
        """Whether a row always takes less than a MOMENT: of some calls, the one that nothing came between."""
        if self.batcher.max_delay or any([-1 in port.shape[1:] for port in self.inputs]): return False
        return min(timeit.repeat(lambda: self.function(*row), number=1, repeat=5)) < MOMENT

    def submit(self, inputs: Sequence, deadline: float, parameters: dict, alone: bool = False):
        """A future of the outputs; `alone` if nobody else is asking just now."""
        if alone and self.brief and len(inputs[0]) == 1:
            future = self.batcher.at_once(*inputs, deadline=deadline)
            if future: return future
        return self.batcher.submit(*inputs, deadline=deadline)

    @property
    def waiting(self) -> int: return sum([ask.rows for ask in list(self.batcher.line)])
    def close(self) -> None: Thread(target=self.batcher.close).start()


class Scribe:
    """Continues the texts of many, together."""

    def __init__(self, model: GPT, at_once: int = 16, bound: int = 64, clock=time.monotonic):
        self.writer, self.at_once, self.bound, self.clock = QuickWriter(model), at_once, bound, clock
        self.line, self.listeners, self.closed, self.stirred = deque(), {}, False, Condition()
        self.told = lambda texts, seconds: None
        self.thread = Thread(target=self.work, daemon=True)
        self.thread.start()

    def submit(self, text: Text, hear: Callable, deadline: float = math.inf) -> None:
        """hear(word) is called for every word, then hear(None), or hear(an error)."""
        if not 0 < len(text.ids) <= self.writer.model.block_size:
            raise Refused(f"a text of 1 to {self.writer.model.block_size} words can be continued")
        with self.stirred:
            if self.closed: raise Refused("it is being shut down", 503, 1.0)
            if len(self.line) >= self.bound: raise Refused(f"{self.bound} texts are waiting", 429, 1.0)
            self.line.append((text, hear, deadline))
            self.stirred.notify()

    def work(self) -> None:
        while self.welcome():
            began, texts = self.clock(), self.writer.texts
            try: said = self.writer.step()
            except Exception as error:
                self.give_up(error)
                continue
            self.told(len(texts), self.clock() - began)
            for text, word in said: self.tell(text, word)

    def welcome(self) -> bool:
        """Takes new texts in, waiting for some if there are none; False when it is over."""
        with self.stirred:
            while not (self.line or self.writer.texts or self.closed): self.stirred.wait()
            room = self.at_once - len(self.writer.texts)
            new = [self.line.popleft() for _ in range(min(room, len(self.line)))]
        for text, hear, deadline in new:
            if text.done: hear(None)
            elif self.clock() >= deadline: hear(Refused("the deadline is over", 504))
            else: self.begin(text, hear, deadline)
        return bool(self.writer.texts or self.line or not self.closed)

    def begin(self, text: Text, hear: Callable, deadline: float) -> None:
        try: self.writer.begin(text)
        except Exception as error: hear(error)
        else: self.listeners[text] = hear, deadline

    def tell(self, text: Text, word: int) -> None:
        if text not in self.listeners: return                   # it has left, and said one word more
        hear, deadline = self.listeners[text]
        hear(word)
        if self.clock() >= deadline: text.done = True
        if not text.done: return
        hear(None)
        del self.listeners[text]

    def give_up(self, error: Exception) -> None:
        """A step failed: everybody who was being written for is told, and the writer starts anew."""
        self.writer = QuickWriter(self.writer.model)
        for hear, _ in self.listeners.values(): hear(error)
        self.listeners.clear()

    def close(self) -> None:
        """Takes in no more, writes what was begun to its end, and ends."""
        with self.stirred:
            self.closed = True
            self.stirred.notify_all()
        self.thread.join()


class Author:
    """A version of a GPT: texts in, texts out, behind a scribe."""

    platform, labels, max_batch = "tinytorch_gpt", None, 16
    inputs, outputs = [Port("text_input", "BYTES", (-1,))], [Port("text_output", "BYTES", (-1,))]
    limits = {"max_tokens": (int, 1, 4096), "temperature": (float, 0, 100), "top_k": (int, 0, 10**6),
              "top_p": (float, 0, 1), "repetition_penalty": (float, 0.01, 100), "seed": (int, 0, 2**63 - 1)}

    def __init__(self, name: str, version: str, config: dict, module: GPT):
        self.name, self.version, self.letters = name, version, CharTokenizer(config["letters"])
        rows = len(module.transformer.wte.weight)
        if len(self.letters) != rows: raise ValueError(f"{len(self.letters)} letters do not fit {rows} rows")
        self.block_size = module.block_size
        self.scribe = Scribe(module, config.get("max_batch", self.max_batch), config.get("bound", 64))

    def text(self, prompt: str, parameters: dict) -> Text:
        """The text that somebody wants continued; one that is too long keeps its end."""
        try: ids = self.letters.encode(prompt)
        except ValueError as error: raise Refused(str(error)) from error
        how = {name: self.setting(name, parameters[name]) for name in self.limits if name in parameters}
        return Text(ids[-self.block_size :], how.pop("max_tokens", 40), **how)

    def setting(self, name: str, value):
        kind, least, most = self.limits[name]
        wrong = isinstance(value, bool) or not isinstance(value, (int, kind))
        if wrong or not least <= value <= most:
            raise Refused(f"{name} is a number from {least} to {most}, not {value!r}"[:200])
        return value

    def submit(self, inputs: Sequence, deadline: float, parameters: dict, alone: bool = False):
        """A future of the whole texts."""
        prompts = [prompt.decode("utf-8", "replace") for prompt in inputs[0]]
        texts = [self.text(prompt, parameters) for prompt in prompts]
        answer, open_ = Future(), len(texts)

        def hear(word) -> None:
            nonlocal open_
            if isinstance(word, Exception):
                for text in texts: text.done = True
                if not answer.done(): answer.set_exception(word)
            elif word is None and (open_ := open_ - 1) == 0 and not answer.done():
                said = [self.letters.decode(text.ids).encode() for text in texts]
                answer.set_result((strings(said, len(said)),))
        for text in texts: self.scribe.submit(text, hear, deadline)
        return answer

    @property
    def waiting(self) -> int: return len(self.scribe.line)
    def close(self) -> None: Thread(target=self.scribe.close).start()


class Repository:
    """The models of some folders, by name and version; a folder is a repository, or that of one model."""

    def __init__(self, *folders, opened: Callable | None = None):
        self.folders, self.opened = [Path(folder) for folder in folders], opened or opened_version
        self.shelf, self.lock, self.greet = Shelf(), Lock(), lambda model: None     # greets every new model
        self.versions: dict[str, list[str]] = {}                # name -> what is being lent, the newest last
        self.marks: dict[tuple[str, str], tuple] = {}           # what the files looked like
        self.reasons: dict[str, str] = {}                       # name -> why it could not be loaded

    def names(self) -> list[str]:
        """All models that are in the folder or being lent."""
        return sorted({*self.places(), *self.versions})

    def places(self) -> dict[str, Path]:
        """Every model of the folders, and its own folder."""
        found = {}
        for folder in self.folders:
            for path in [folder] if numbered(folder) else sorted(folder.iterdir()):
                if path.is_dir(): found.setdefault(path.resolve().name, path)
        return found

    def on_disk(self, name: str) -> dict[str, Path]:
        """The versions in the folder of a model, the oldest first."""
        place = self.places().get(name)
        return {path.name: path for path in numbered(place)} if place else {}

    def load(self, name: str) -> None:
        """Lends what is in the folder now; ValueError, and no change for this version, if one is wrong."""
        with self.lock:
            found, wrong = self.on_disk(name), []
            if not found: raise Refused(f"there is no model {name[:50]!r} in the repository", 404)
            for version, path in found.items():
                mark = mark_of(path)
                if self.marks.get((name, version)) == mark: continue
                try: model = self.opened(name, version, path)
                except Exception as error: wrong.append(f"version {version}: {type(error).__name__}: {error}")
                else:
                    self.greet(model)
                    self.shelf.put(f"{name}/{version}", model)
                    self.marks[name, version] = mark
            lent = [version for version in found if (name, version) in self.marks]
            gone = [version for version in self.versions.get(name, []) if version not in found]
            if lent: self.versions[name] = lent                 # nobody is sent to what will be gone
            else: self.versions.pop(name, None)
            for version in gone: self.forget(name, version)
            self.reasons[name] = "; ".join(wrong)
        if wrong: raise Refused(f"{name} was not loaded: {self.reasons[name]}"[:500], 400)

    def unload(self, name: str) -> None:
        """Lends this model no more; those who use it are answered first."""
        with self.lock:
            if name not in self.versions: raise Refused(f"there is no model {name[:50]!r} to unload", 404)
            for version in self.versions.pop(name): self.forget(name, version)
            self.reasons[name] = "unloaded"

    def forget(self, name: str, version: str) -> None:
        self.marks.pop((name, version), None)
        self.shelf.remove(f"{name}/{version}")

    def load_all(self) -> None:
        """Loads every model; what cannot be loaded is told in reasons."""
        for name in self.names():
            try: self.load(name)
            except Refused: continue

    @contextmanager
    def lent(self, name: str, version: str | None = None) -> Iterator:
        """A version of a model, the newest if none is named; Refused, 404, if there is none."""
        loan = self.loan(name, version)
        try: yield loan.thing
        finally: loan.leave()

    def loan(self, name: str, version: str | None = None) -> Loan:
        """The same for those who say themselves when they leave."""
        while True:
            loan = self.shelf.loans.get(self.key(name, version))
            if loan is not None and loan.enter(): return loan   # else it was replaced just now: look again

    def key(self, name: str, version: str | None) -> str:
        versions = self.versions.get(name)
        if not versions: raise Refused(f"there is no model {name[:50]!r}", 404)
        if version is not None and version not in versions:
            raise Refused(f"{name} has no version {version[:20]!r}: it has {', '.join(versions)}", 404)
        return f"{name}/{version or versions[-1]}"

    def close(self) -> None:
        """Lends nothing any more; those who are being answered still are."""
        for name in list(self.versions): self.unload(name)


def numbered(folder: Path) -> list[Path]:
    """The versions in the folder of a model, the oldest first."""
    found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))


def mark_of(folder: Path) -> tuple:
    """What tells a version from one that replaced it."""
    return tuple([(path.name, (stat := path.stat()).st_mtime_ns, stat.st_size, stat.st_ino)
                  for path in sorted(folder.iterdir())])


def opened_version(name: str, version: str, folder: Path):
    """What a folder of a repository holds, ready to answer."""
    about = folder / "config.json"
    if not about.exists() and (folder / MANIFEST).exists():
        raise ValueError("it is signed, and opened with its key (--key FILE)")
    config = json.loads(about.read_text("utf-8"))
    module = load_quantized(built(config), load_file(folder / "model.safetensors"), inplace=True)
    return (Author if "letters" in config else Answerer)(name, version, config, module)


class Prepared(Module):
    """A model, and what is done to raw input before it sees it."""

    def __init__(self, package: Package):
        super().__init__()
        self.model, self.steps = package.model, package.facts["preprocessing"]

    def forward(self, x): return self.model(prepared(x, self.steps))


def opened_package(key: bytes, builders: Mapping[str, Callable] | None = None) -> Callable:
    """For Repository(…, opened=…): versions that were signed with this key, checked when they are loaded."""
    def opened(name: str, version: str, folder: Path):
        if not (folder / MANIFEST).exists(): raise Tampered("nobody signed it: it is not lent")
        package = load_package(folder, key, builders)
        if "letters" in package.facts: return Author(name, version, package.facts, package.model)
        return Answerer(name, version, package.facts, Prepared(package))
    return opened
