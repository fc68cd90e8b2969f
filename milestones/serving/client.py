"""A client of the Open Inference Protocol, version 2, written by its specification on the standard library.

It knows nothing of tinytorch. It asks what KServe's and Triton's clients ask: in JSON, or with numbers as
they lie in memory behind the JSON (the binary tensor extension); and for texts, word by word.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from select import select
from typing import ClassVar, NamedTuple

import numpy as np

DATATYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "UINT8": "|u1"}
NAMES = {np.dtype(spelt): name for name, spelt in DATATYPES.items()}
LENGTH = "Inference-Header-Content-Length"


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes
    seconds: float = 0.0

    @property
    def told(self): return json.loads(self.body)


class Refusal(Exception):
    """The server said no: its status, its sentence, and when to come back."""

    def __init__(self, answer: Answer):
        super().__init__(answer.body[:300].decode("utf-8", "replace"))
        self.status, self.retry_after = answer.status, answer.headers.get("retry-after")


class Reply(NamedTuple):
    """What a model answered, and which version of it."""

    arrays: dict[str, np.ndarray]
    version: str
    id: str
    seconds: float


class Client:
    """One connection, kept open. Of all of them, `heard` says which model answered, and with which status."""

    heard: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, port: int, timeout: float = 30):
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def __enter__(self): return self
    def __exit__(self, *_): self.line.close()

    def begin(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None):
        """A request, and the answer as far as it has come: status and headers."""
        if self.line.sock and select([self.line.sock], [], [], 0)[0]: self.line.close()     # idle too long
        self.line.request(method, path, body, headers or {})
        found = self.line.getresponse()
        if "/models/" in path: self.heard.append((path.split("/models/")[1].split("/")[0], str(found.status)))
        return found

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None) -> Answer:
        """The whole answer, whatever it is."""
        began = time.perf_counter()
        return whole(self.begin(method, path, body, headers))._replace(seconds=time.perf_counter() - began)

    def get(self, path: str): return agreed(self.send("GET", path)).told
    def post(self, path: str, told: dict) -> Answer: return self.send("POST", path, json.dumps(told).encode())

    def infer(self, model: str, binary: bool = True, id: str = "", **arrays) -> Reply:
        """What the model says to these arrays, which have the names of its inputs; Refusal if it does not."""
        body, headers = question(arrays, binary, id)
        return reply(agreed(self.send("POST", f"/v2/models/{model}/infer", body, headers)))

    def generate(self, model: str, text: str, **parameters) -> str:
        """The words that continue a text, all at once."""
        asked = {"text_input": text, "parameters": parameters}
        return agreed(self.post(f"/v2/models/{model}/generate", asked)).told["text_output"]

    def stream(self, model: str, text: str, **parameters) -> Iterator[str]:
        """The same words, each as soon as it is there."""
        asked = json.dumps({"text_input": text, "parameters": parameters}).encode()
        found = self.begin("POST", f"/v2/models/{model}/generate_stream", asked)
        if found.status != 200: raise Refusal(whole(found))
        for line in found:
            if not line.startswith(b"data: "): continue
            told = json.loads(line[6:])
            if "error" in told: raise ValueError(told["error"])
            yield told["text_output"]

    def metrics(self, name: str) -> list[tuple[dict, float]]:
        """What Prometheus would collect under a name: labels and a number each."""
        page = agreed(self.send("GET", "/metrics")).body.decode()
        return [sample(line) for line in page.splitlines() if line.startswith(f"{name}{{")]


def whole(found) -> Answer:
    """What the server said, to its end."""
    return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())


def agreed(answer: Answer) -> Answer:
    if answer.status != 200: raise Refusal(answer)
    return answer


def question(arrays: dict, binary: bool, id: str = "") -> tuple[bytes, dict]:
    """The body of a request, and its headers."""
    inputs, behind = [], b""
    for name, array in arrays.items():
        one = {"name": name, "datatype": NAMES[array.dtype], "shape": list(array.shape)}
        if binary:
            one["parameters"] = {"binary_data_size": array.nbytes}
            behind += array.tobytes()
        else: one["data"] = array.reshape(-1).tolist()
        inputs.append(one)
    told = {"inputs": inputs, "parameters": {"binary_data_output": binary}}
    if id: told["id"] = id
    head = json.dumps(told).encode()
    return head + behind, {LENGTH: str(len(head)), "X-Request-Id": id} if binary else {"X-Request-Id": id}


def reply(answer: Answer) -> Reply:
    """The arrays of an answer."""
    length = int(answer.headers.get(LENGTH.lower(), len(answer.body)))
    told, rest, arrays = json.loads(answer.body[:length]), answer.body[length:], {}
    for one in told["outputs"]:
        kind = np.dtype(DATATYPES[one["datatype"]])
        if "data" in one: flat = np.array(one["data"], kind)
        else:
            size = one["parameters"]["binary_data_size"]
            flat, rest = np.frombuffer(rest[:size], kind), rest[size:]
        arrays[one["name"]] = flat.reshape(one["shape"])
    return Reply(arrays, told["model_version"], told.get("id", ""), answer.seconds)


def sample(line: str) -> tuple[dict, float]:
    """A line such as `requests_total{model="m",status="200"} 3.0`; no label holds a comma here."""
    labels, _, value = line.partition("{")[2].rpartition("} ")
    pairs = [label.split("=", 1) for label in labels.split(",")]
    return {name: value.strip('"') for name, value in pairs}, float(value)
