"""The server of lesson 16 and real clients: tritonclient over a socket, httpx, and raw bytes.

tritonclient is what people use to talk to such servers; what it sends by default has to be understood.
"""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinytorch import Tensor, manual_seed, no_grad
from tinytorch.capstone import Refused
from tinytorch.models import GPT, MLP
from tinytorch.packages import save_package, words
from tinytorch.repository import Answerer, Repository, built, keep, opened_version

uvicorn = pytest.importorskip("uvicorn", reason="pip install 'tinytorch-tito[serve]'")
httpx = pytest.importorskip("httpx", reason="pip install 'tinytorch-tito[dev]'")
triton = pytest.importorskip("tritonclient.http", reason="pip install 'tinytorch-tito[dev]'")

from tinytorch.service import Bridge, Server, events  # noqa: E402  only where uvicorn and starlette are installed

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "abcdefgh"
MLP_CONFIG = {
    "model": "MLP", "arguments": [4, 8, 3], "max_delay": 0.0,
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}
GPT_CONFIG = {"model": "GPT", "arguments": [len(LETTERS), 64, 1, 2, 8], "letters": LETTERS}
rng = np.random.default_rng(16)


def fill(folder: Path, seed: int = 1) -> Path:
    manual_seed(seed)
    keep(MLP(4, 8, 3), folder / "small/1", MLP_CONFIG)
    keep(GPT(len(LETTERS), 64, 1, 2, 8), folder / "writer/1", GPT_CONFIG)
    return folder


class Slow(Answerer):
    """Takes its time, as long as the first number of its input says; raises where that is below 0."""

    def __init__(self, name, version, config, module):
        super().__init__(name, version, config | {"at_once": False}, module)

    def function(self, x):
        if (x < 0).any(): raise ValueError("secret things")
        if (x > 98).any(): raise StopIteration
        time.sleep(float(x.max()))
        return super().function(x)


def opened(name, version, folder):
    model = opened_version(name, version, folder)
    return Slow(name, version, MLP_CONFIG, model.module) if name == "slow" else model


@contextlib.contextmanager
def running(server: Server):
    """The server on a socket, in a thread."""
    loop = uvicorn.Server(uvicorn.Config(server.app, port=0, log_level="error", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    while not loop.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = loop.servers[0].sockets[0].getsockname()[1]
    try: yield f"127.0.0.1:{port}"
    finally:
        loop.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("repository"))
    keep(MLP(4, 8, 3), folder / "slow/1", MLP_CONFIG)
    return folder


@pytest.fixture(scope="module")
def server(folder): return Server(Repository(folder, opened=opened), largest=100_000, slowest=1.0)


@pytest.fixture(scope="module")
def place(server):
    with running(server) as place: yield place


@pytest.fixture(scope="module")
def client(place):
    with httpx.Client(base_url=f"http://{place}", timeout=20) as client: yield client


def asked(rows, **more) -> dict:
    x = np.asarray(rows, np.float32)
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": x.shape, "data": x.tolist()}], **more}


def numbers(n=1): return rng.standard_normal((n, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def direct(folder):
    """What the model says when it is called, without any server."""
    model = opened_version("small", "1", folder / "small/1")
    model.close()

    def call(x):
        with no_grad(): return model.module(Tensor(x)).array
    return call


# -------------------------------------------------------------------------------------- tritonclient

@pytest.fixture
def real(place):
    with triton.InferenceServerClient(place) as client: yield client


def test_triton_asks_about_everything(real):
    assert real.is_server_live() and real.is_server_ready() and real.is_model_ready("small")
    assert real.is_model_ready("small", "1") and not real.is_model_ready("small", "2")
    assert not real.is_model_ready("nope")
    assert real.get_server_metadata()["name"] == "tinytorch"
    assert "binary_tensor_data" in real.get_server_metadata()["extensions"]
    told = real.get_model_metadata("small")
    assert told["inputs"] == MLP_CONFIG["inputs"] and told["outputs"] == MLP_CONFIG["outputs"]
    assert told["versions"] == ["1"]
    states = {row["name"]: row["state"] for row in real.get_model_repository_index()}
    assert states["small"] == states["writer"] == "READY"


@pytest.mark.parametrize("outputs_in_binary", [True, False, None])
@pytest.mark.parametrize("inputs_in_binary", [True, False])
def test_triton_infers(real, direct, inputs_in_binary, outputs_in_binary):
    x = numbers(3)
    one = triton.InferInput("x", list(x.shape), "FP32")
    one.set_data_from_numpy(x, binary_data=inputs_in_binary)
    wish = None if outputs_in_binary is None else [triton.InferRequestedOutput("y", outputs_in_binary)]
    found = real.infer("small", [one], outputs=wish, request_id="seven", model_version="1", timeout=5_000_000)
    np.testing.assert_allclose(found.as_numpy("y"), direct(x), atol=1e-6)
    assert found.get_response()["id"] == "seven" and found.get_response()["model_version"] == "1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_triton_compresses(real, direct, coding):
    x = numbers(2)
    one = triton.InferInput("x", list(x.shape), "FP32")
    one.set_data_from_numpy(x)
    found = real.infer("small", [one], request_compression_algorithm=coding,
                       response_compression_algorithm=coding)
    np.testing.assert_allclose(found.as_numpy("y"), direct(x), atol=1e-6)


def test_triton_infers_without_waiting(place, direct):
    xs = [numbers(1 + n % 3) for n in range(40)]
    with triton.InferenceServerClient(place, concurrency=4) as real:
        waiting = []
        for x in xs:
            one = triton.InferInput("x", list(x.shape), "FP32")
            one.set_data_from_numpy(x)
            waiting.append(real.async_infer("small", [one]))
        for x, future in zip(xs, waiting):
            np.testing.assert_allclose(future.get_result().as_numpy("y"), direct(x), atol=1e-6)


def test_triton_has_a_text_continued(real):
    one = triton.InferInput("text_input", [2], "BYTES")
    one.set_data_from_numpy(np.array([b"abc", b"h"], object))
    found = real.infer("writer", [one], parameters={"max_tokens": 4, "seed": 3}).as_numpy("text_output")
    assert [len(text) for text in found] == [7, 5] and found[0].startswith(b"abc")


@pytest.mark.parametrize(("name", "x", "kind", "status"), [
    ("nope", np.float32([[1, 2, 3, 4]]), "FP32", 404), ("small", np.float32([[1, 2, 3]]), "FP32", 400),
    ("small", np.float64([[1, 2, 3, 4]]), "FP64", 400),
])
def test_triton_is_told_what_is_wrong(real, name, x, kind, status):
    one = triton.InferInput("x", list(x.shape), kind)
    one.set_data_from_numpy(x)
    with pytest.raises(triton.InferenceServerException) as problem: real.infer(name, [one])
    assert problem.value.status() == str(status) and len(problem.value.message()) > 10


def test_triton_unloads_and_loads(real):
    real.unload_model("slow")
    assert not real.is_model_ready("slow")
    assert {"name": "slow", "version": "", "state": "UNAVAILABLE", "reason": "unloaded"} in (
        real.get_model_repository_index())
    real.load_model("slow")
    assert real.is_model_ready("slow")
    with pytest.raises(triton.InferenceServerException, match="no model"): real.load_model("nope")


def test_triton_asks_for_statistics(real):
    one = triton.InferInput("x", [1, 4], "FP32")
    one.set_data_from_numpy(numbers())
    before = {row["name"]: row for row in real.get_inference_statistics()["model_stats"]}
    real.infer("small", [one])
    after = real.get_inference_statistics("small")["model_stats"][0]
    assert after["inference_count"] == before.get("small", {"inference_count": 0})["inference_count"] + 1
    assert after["p50"] <= after["p99"]


def an_input():
    one = triton.InferInput("x", [1, 4], "FP32")
    one.set_data_from_numpy(numbers())
    return [one]


CALLS = {       # every call of tritonclient's, and whether it is served
    "is_server_live": (lambda c: c.is_server_live(), True),
    "is_server_ready": (lambda c: c.is_server_ready(), True),
    "is_model_ready": (lambda c: c.is_model_ready("small"), True),
    "get_server_metadata": (lambda c: c.get_server_metadata()["version"], True),
    "get_model_metadata": (lambda c: c.get_model_metadata("small", "1")["name"] == "small", True),
    "get_model_config": (lambda c: c.get_model_config("small", "1")["max_batch_size"] == 32, True),
    "get_model_repository_index": (lambda c: c.get_model_repository_index(), True),
    "load_model": (lambda c: c.load_model("small") is None, True),
    "unload_model": (lambda c: c.unload_model("slow") is c.load_model("slow") is None, True),
    "get_inference_statistics": (lambda c: "model_stats" in c.get_inference_statistics(), True),
    "infer": (lambda c: c.infer("small", an_input()).as_numpy("y").shape == (1, 3), True),
    "async_infer": (lambda c: c.async_infer("small", an_input()).get_result().as_numpy("y").any(), True),
    "update_trace_settings": (lambda c: c.update_trace_settings(), False),
    "get_trace_settings": (lambda c: c.get_trace_settings(), False),
    "update_log_settings": (lambda c: c.update_log_settings({}), False),
    "get_log_settings": (lambda c: c.get_log_settings(), False),
    "get_system_shared_memory_status": (lambda c: c.get_system_shared_memory_status(), False),
    "register_system_shared_memory": (lambda c: c.register_system_shared_memory("a", "b", 4), False),
    "unregister_system_shared_memory": (lambda c: c.unregister_system_shared_memory(), False),
    "get_cuda_shared_memory_status": (lambda c: c.get_cuda_shared_memory_status(), False),
    "register_cuda_shared_memory": (lambda c: c.register_cuda_shared_memory("a", b"", 0, 4), False),
    "unregister_cuda_shared_memory": (lambda c: c.unregister_cuda_shared_memory(), False),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_of_triton_is_served_or_refused_with_a_sentence(real, name):
    call, served = CALLS[name]
    if served: assert call(real)
    else:
        with pytest.raises(triton.InferenceServerException, match="there is nothing at /v2/") as problem:
            call(real)
        assert problem.value.status() == "404"


def test_no_call_of_triton_is_forgotten():
    ours = {"close", "generate_request_body", "parse_response_body"}        # what never reaches a server
    public = {name for name in vars(triton.InferenceServerClient) if not name.startswith("_")}
    assert public - ours == set(CALLS)


def test_triton_is_told_the_ports_in_its_own_words(real):
    told = real.get_model_config("small")
    assert told["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
    assert told["output"] == [{"name": "y", "data_type": "TYPE_FP32", "dims": [3]}]
    assert real.get_model_config("writer")["input"][0]["data_type"] == "TYPE_STRING"


def test_triton_brings_no_models_along(real):
    for more in ({"config": "{}"}, {"config": "{}", "files": {"file:1/model.onnx": b"?"}}):
        with pytest.raises(triton.InferenceServerException, match="from the folder") as problem:
            real.load_model("small", **more)
        assert problem.value.status() == "501"
    assert real.is_model_ready("small")


# -------------------------------------------------------------------------------------- over HTTP

@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v2", 200), ("GET", "/v2/health/live", 200), ("GET", "/v2/health/ready", 200),
    ("GET", "/v2/models/small", 200), ("GET", "/v2/models/small/versions/1/ready", 200),
    ("GET", "/metrics", 200), ("GET", "/v2/models/small/versions/3", 404), ("GET", "/nothing", 404),
    ("GET", "/v2/models/small/infer", 405), ("POST", "/v2", 405), ("GET", "/", 200),
    ("GET", "/v2/models/%2e%2e%2f", 404), ("GET", "/v2/models//ready", 404),
    ("POST", "/v2/models/small/generate", 400), ("POST", "/v2/models/small/infer", 400),
])
def test_paths(client, method, path, status):
    found = client.request(method, path)
    assert found.status_code == status and found.headers["x-request-id"]
    if status >= 400: assert set(found.json()) == {"error"}


def test_an_id_goes_through(client):
    assert client.get("/v2", headers={"X-Request-Id": "mine"}).headers["x-request-id"] == "mine"
    assert client.get("/v2", headers={"X-Request-Id": "x" * 1000}).headers["x-request-id"] != "x" * 1000


def test_a_model_that_raises_is_no_secret_and_tells_none(client, capfd):
    found = client.post("/v2/models/slow/infer", json=asked([[-1, 0, 0, 0]]))
    assert found.status_code == 500 and "ValueError" in found.json()["error"]
    assert "secret" not in found.text and "Traceback" not in found.text
    lines = {}

    def logged():
        """The line about the request: it is written when the answer has been sent."""
        told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        lines.update({line["id"]: line for line in told if "id" in line})
        return lines.get(found.headers["x-request-id"])
    line = eventually(logged)
    assert "secret things" in line["error"] and line["status"] == 500 and line["ms"] >= 0
    assert client.post("/v2/models/slow/infer", json=asked([[0, 0, 0, 0]])).status_code == 200


def test_a_model_that_says_stop_stops_nothing(client):
    assert client.post("/v2/models/slow/infer", json=asked([[99, 0, 0, 0]])).status_code == 500
    assert client.post("/v2/models/slow/infer", json=asked([[0, 0, 0, 0]])).status_code == 200


@pytest.mark.parametrize("send", [
    lambda client, big: client.post("/v2/models/small/infer", content=big),
    lambda client, big: client.post("/v2/models/small/infer", content=iter([big[:60_000], big[60_000:]])),
    lambda client, big: client.post("/v2/models/small/infer", headers={"Content-Encoding": "gzip"},
                                    content=__import__("gzip").compress(b"0" * 50_000_000)),
], ids=["in one piece", "in pieces", "after unpacking"])
def test_too_large(client, send):
    found = send(client, b"x" * 100_001)
    assert found.status_code == 413 and "100000" in found.json()["error"]


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_codings_that_are_not_what_they_say(client, coding):
    found = client.post("/v2/models/small/infer", headers={"Content-Encoding": coding}, content=b"{}")
    assert found.status_code in (400, 415)


def test_a_page_of_somebody_else_may_not_ask(client, place):
    evil = {"Origin": "http://evil.example"}
    for path in ("/v2/models/small/infer", "/v2/repository/models/small/unload"):
        assert client.post(path, json=asked(numbers()), headers=evil).status_code == 403
    own = client.post("/v2/models/small/infer", json=asked(numbers()), headers={"Origin": f"http://{place}"})
    assert own.status_code == 200


def test_a_deadline(client):
    began = time.monotonic()
    found = client.post("/v2/models/slow/infer", json=asked([[0.5, 0, 0, 0]], parameters={"timeout": 50_000}))
    assert found.status_code == 504 and time.monotonic() - began < 0.45
    for wrong in (0, -5, True):
        found = client.post("/v2/models/small/infer", json=asked(numbers(), parameters={"timeout": wrong}))
        assert found.status_code == 400


def test_a_client_that_would_wait_for_ever(client):
    found = client.post("/v2/models/small/infer", json=asked(numbers(), parameters={"timeout": 10**400}))
    assert found.status_code == 200


def test_numbers_for_prometheus(client):
    client.post("/v2/models/small/infer", json=asked(numbers()))
    page = client.get("/metrics").text
    assert re.search(r'tinytorch_requests_total\{model="small",status="200",version="1"\} [1-9]', page)
    assert "tinytorch_batch_rows_bucket" in page and "tinytorch_requests_in_flight 1.0" in page
    client.post("/v2/models/writer/generate", json={"text_input": "a", "parameters": {"max_tokens": 3}})
    page = client.get("/metrics").text
    assert re.search(r'tinytorch_words_total\{model="writer",version="1"\} [1-9]', page)


def raw(place: str, data: bytes, wait: float = 5) -> bytes:
    """What comes back for some bytes on a socket."""
    host, port = place.split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as line:
        line.sendall(data)
        found = b""
        with contextlib.suppress(TimeoutError):
            while part := line.recv(65536): found += part
        return found


def test_what_is_not_there_is_not_counted(client):
    for path in ("small/versions/77", "nobody"):
        assert client.post(f"/v2/models/{path}/infer", json=asked(numbers())).status_code == 404
    page = client.get("/metrics").text
    assert "77" not in re.findall(r'version="(\w+)"', page), "strangers name no metrics"
    assert "nobody" not in page


def test_numbers_that_came_together_go_back_apart(client, direct):
    xs = [numbers(1 + n % 3) for n in range(60)]

    def ask(x): return client.post("/v2/models/small/infer", json=asked(x)).json()["outputs"][0]
    with ThreadPoolExecutor(20) as pool:
        for x, found in zip(xs, pool.map(ask, xs)):
            np.testing.assert_allclose(np.reshape(found["data"], found["shape"]), direct(x), atol=1e-5)


def test_a_body_that_drips_is_late_as_a_whole(place):
    host, port = place.split(":")
    head = b"POST /v2/models/small/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(head)
        for _ in range(8):                                  # a byte every 0.2 seconds; the limit here is one
            with contextlib.suppress(ConnectionError): line.sendall(b"{")
            time.sleep(0.2)
        assert b" 408 " in line.recv(4096)


def test_a_body_that_does_not_come(place):
    head = b"POST /v2/models/small/infer HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    assert b" 408 " in raw(place, head + b"Content-Length: 9\r\n\r\n{")


def test_old_clients(place):
    assert raw(place, b"GET /v2 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\x16\x03\x01", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n"])
def test_what_is_no_http(place, data):
    assert b"Traceback" not in raw(place, data, wait=1)


def test_who_goes_away_leaves_no_trace(place, server, client):
    body = json.dumps(asked([[0.05, 0, 0, 0]])).encode()
    head = f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for cut in (10, len(head), len(head) + 5, len(head) + len(body)):
        host, port = place.split(":")
        with socket.create_connection((host, int(port))) as line: line.sendall((head + body)[:cut])
    assert client.post("/v2/models/slow/infer", json=asked([[0, 0, 0, 0]])).status_code == 200
    assert eventually(lambda: server.metrics.flying._value.get() == 0)


def eventually(fact, seconds=10):
    """Whether a fact comes true soon."""
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end: time.sleep(0.01)
    return fact()


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError], ids=["nobody reads it", "it is closed"])
def test_a_log_that_cannot_be_written_costs_nobody_an_answer(client, monkeypatch, error):
    class Broken:
        def write(self, text): raise error
        def flush(self): pass
    monkeypatch.setattr(sys, "stderr", Broken())
    for _ in range(3): assert client.post("/v2/models/small/infer", json=asked(numbers())).is_success
    assert client.get("/nothing").status_code == 404


# ------------------------------------------------------------------------------------------- streams

def parts_of(response):
    return [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]


def test_a_stream_is_what_would_have_been_written_at_once(client):
    how = {"text_input": "abc", "parameters": {"max_tokens": 12, "seed": 5}}
    whole = client.post("/v2/models/writer/generate", json=how).json()
    with client.stream("POST", "/v2/models/writer/generate_stream", json=how) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        parts = parts_of(response)
    assert "".join([p["text_output"] for p in parts]) == whole["text_output"]
    assert len(whole["text_output"]) == 12
    assert {p["model_name"] for p in parts} == {"writer"}


def test_an_error_in_mid_stream_is_an_event_and_tells_no_secret(capfd):
    async def rest():
        yield {"text_output": "b"}
        raise ValueError("secret things")

    async def parts(): return [part async for part in events({"text_output": "a"}, rest())]
    *said, last = asyncio.run(parts())
    assert len(said) == 2 and b"ValueError" in last and b"secret" not in last
    assert "secret things" in capfd.readouterr().err


def test_streams_of_many_at_once_are_those_of_each_alone(client):
    def said(seed):
        how = {"text_input": LETTERS[seed % 8], "parameters": {"max_tokens": 5 + seed, "seed": seed}}
        return client.post("/v2/models/writer/generate", json=how).json()["text_output"]
    alone = [said(seed) for seed in range(12)]
    with ThreadPoolExecutor(12) as pool: assert list(pool.map(said, range(12))) == alone


@pytest.mark.parametrize("wrong", [
    {}, {"text_input": 5}, {"text_input": "xyz"}, {"text_input": ""}, {"text_input": "a", "parameters": []},
    {"text_input": "a", "parameters": {"top_p": 7}}, {"text_input": "a", "parameters": {"max_tokens": "9"}},
])
def test_a_stream_that_cannot_begin_is_refused_before_it_does(client, wrong):
    assert client.post("/v2/models/writer/generate_stream", json=wrong).status_code == 400


def test_who_leaves_a_stream_makes_room(folder, place, server):
    with server.repository.lent("writer") as model: scribe = model.scribe
    step, said = scribe.writer.step, []

    def slowly():
        time.sleep(0.05)
        said.append(1)
        return step()
    scribe.writer.step = slowly                                 # 60 words would take three seconds
    body = json.dumps({"text_input": "a", "parameters": {"max_tokens": 60}}).encode()
    head = f"POST /v2/models/writer/generate_stream HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}"
    host, port = place.split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(head.encode() + b"\r\n\r\n" + body)
        assert line.recv(1000)
    assert eventually(lambda: not scribe.listeners and not scribe.writer.texts)
    scribe.writer.step = step
    assert len(said) < 40, "what nobody listens to is not written to its end"


# ----------------------------------------------------------------------------------- without a server

def test_only_the_server_needs_its_packages():
    code = """
import sys
sys.modules["starlette"] = sys.modules["uvicorn"] = sys.modules["prometheus_client"] = None
import tinytorch.serve
from tinytorch.serve import Batcher, Repository, generate, speculate
assert not any(name.startswith("tinytorch.service") for name in sys.modules)
try: tinytorch.serve.Server
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    said = "serving wants packages of its own: pip install 'tinytorch-tito[serve]'\n"
    assert done.stdout == said, done.stderr


def test_no_answer_is_left_on_the_bridge():
    """Eight threads answer two thousand questions as fast as they can; whoever waits is woken."""
    async def ask(bridge, n):
        future = Future()
        pool.submit(future.set_result, n)
        return await bridge.crossed(future, 20)

    async def crowd():
        bridge = Bridge()
        for start in range(0, 2000, 50):
            found = await asyncio.gather(*[ask(bridge, n) for n in range(start, start + 50)])
            assert found == list(range(start, start + 50))
        late = Future()
        with pytest.raises(Refused, match="deadline"): await bridge.crossed(late, 0.01)
        assert late.cancelled(), "nobody computes what nobody waits for"
    with ThreadPoolExecutor(8) as pool: asyncio.run(crowd())


# ------------------------------------------------------------------------------------ alone, at once

class Where(Answerer):
    """Notes in which thread it computes."""

    def function(self, x):
        self.__dict__.setdefault("threads", []).append(threading.current_thread())
        return super().function(x)


@pytest.mark.parametrize(("changed", "rows", "users", "here"), [
    ({}, 1, 1, True), ({}, 2, 1, False), ({}, 1, 9, False),
    ({"at_once": False}, 1, 1, False), ({"max_delay": 0.001}, 1, 1, False),
])
def test_a_row_that_comes_alone_is_answered_where_it_is(tmp_path, monkeypatch, changed, rows, users, here):
    monkeypatch.setattr("tinytorch.repository.MOMENT", 10.0)        # however busy this machine is
    config = MLP_CONFIG | changed
    keep(MLP(4, 8, 3), tmp_path / "m/1", config)

    async def crowd():
        server = Server(Repository(tmp_path, opened=lambda name, version, _: Where(
            name, version, config, built(config))))
        async with server.lifespan(None), httpx.AsyncClient(
                transport=httpx.ASGITransport(server.app), base_url="http://test") as client:
            with server.repository.lent("m") as model: model.threads.clear()
            asks = [client.post("/v2/models/m/infer", json=asked(np.ones((rows, 4)))) for _ in range(users)]
            assert {found.status_code for found in await asyncio.gather(*asks)} == {200}
            return set(model.threads)
    found = asyncio.run(crowd())
    assert (found == {threading.current_thread()}) is here
    assert here or threading.current_thread() not in found


@pytest.mark.parametrize(("shape", "seconds", "brief"), [([-1, 4], 0, True), ([-1, -1], 0, False),
                                                         ([-1, 4], 0.002, False)])
def test_only_what_always_takes_a_moment_is_answered_at_once(shape, seconds, brief):
    class Sleepy(Answerer):
        def function(self, x):
            time.sleep(seconds)
            return np.zeros((len(x), 3), np.float32),
    inputs = [{"name": "x", "datatype": "FP32", "shape": shape}]
    model = Sleepy("m", "1", MLP_CONFIG | {"inputs": inputs}, MLP(4, 3))
    model.close()
    assert model.brief is brief


# -------------------------------------------------------------------------- refusing, replacing, ending

def test_behind_a_prefix_it_answers_the_same(folder):
    async def both():
        server = Server(Repository(folder, opened=opened))
        async with server.lifespan(None):
            for prefix in ("", "/api"):
                transport = httpx.ASGITransport(server.app, root_path=prefix)
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                    body = asked(np.ones((2, 4)), id="7")
                    found = await client.post(f"{prefix}/v2/models/small/infer", json=body)
                    yield found.status_code, found.json()

    async def said(): return [found async for found in both()]
    first, second = asyncio.run(said())
    assert first == second and first[0] == 200 and first[1]["id"] == "7"


def test_a_full_line_is_refused_with_a_time_to_come_back(tmp_path):
    config = MLP_CONFIG | {"bound": 4, "max_batch": 1}
    keep(MLP(4, 8, 3), tmp_path / "slow/1", config)

    def opened(name, version, folder):
        return Slow(name, version, config, built(config))

    async def crowd():
        server = Server(Repository(tmp_path, opened=opened))
        async with server.lifespan(None), httpx.AsyncClient(
                transport=httpx.ASGITransport(server.app), base_url="http://test") as client:
            body = asked([[0.1, 0, 0, 0]])
            found = await asyncio.gather(*[
                client.post("/v2/models/slow/infer", json=body) for _ in range(12)])
        return [(r.status_code, r.headers.get("retry-after")) for r in found]
    found = asyncio.run(crowd())
    assert {status for status, _ in found} == {200, 429}
    assert all([int(after) >= 1 for status, after in found if status == 429])
    assert 4 <= [status for status, _ in found].count(200) <= 6


def test_a_model_is_replaced_while_many_use_it(tmp_path):
    def with_value(value):
        model = MLP(4, 3)
        for p in model.parameters(): p.data.fill_(value)
        keep(model, tmp_path / "m/1", MLP_CONFIG | {"arguments": [4, 3]})
    with_value(0.0)
    with (running(Server(Repository(tmp_path))) as place,
          httpx.Client(base_url=f"http://{place}", timeout=20) as client):
        stop = threading.Event()

        def use(_):
            seen = []
            while not stop.is_set():
                found = client.post("/v2/models/m/infer", json=asked(np.ones((1, 4))))
                assert found.status_code == 200, found.text
                seen.append(found.json()["outputs"][0]["data"][0])
            return seen
        with ThreadPoolExecutor(4) as pool:
            users = pool.map(use, range(4))
            for value in range(1, 8):
                with_value(float(value))
                assert client.post("/v2/repository/models/m/load").status_code == 200
                time.sleep(0.05)
            stop.set()
            for seen in users:
                assert set(seen) <= {5.0 * v for v in range(8)}, "the old answer or the new, and no other"
                assert seen == sorted(seen), "once it is new, it never is old again"
        found = client.post("/v2/models/m/infer", json=asked(np.ones((1, 4)))).json()
        assert found["outputs"][0]["data"][0] == 35.0


@contextlib.contextmanager
def served(folder: Path, *settings):
    """A server in a process of its own, with its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tinytorch.service", str(folder), "--port", str(port), *settings]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        process.lines = []

        def listen():
            for line in process.stderr: process.lines.append(json.loads(line))
        threading.Thread(target=listen, daemon=True).start()
        process.place = f"127.0.0.1:{port}"
        assert eventually(lambda: answers(process.place), 180)
        yield process
        process.kill()
        process.wait()


@pytest.fixture
def process(tmp_path):
    with served(fill(tmp_path)) as process: yield process


def answers(place: str) -> bool:
    try: return httpx.get(f"http://{place}/v2/health/ready").status_code == 200
    except httpx.TransportError: return False


def test_only_what_was_signed_is_served(tmp_path):
    def sign(name, key):
        ports = {about: MLP_CONFIG[about] for about in ("inputs", "outputs")}
        save_package(tmp_path / "models" / name / "1", MLP(4, 8, 3), name=name, key=key, **ports,
                     architecture=words("tinytorch.models.MLP", 4, 8, 3))
    for name, key in [("good", b"a key"), ("strange", b"another"), ("changed", b"a key")]: sign(name, key)
    (tmp_path / "models/changed/1/facts.json").write_text("{}")
    keep(MLP(4, 8, 3), tmp_path / "models/plain/1", MLP_CONFIG)
    (tmp_path / "key").write_bytes(b"a key")
    said = {"strange": "not signed with this", "changed": "facts.json was changed", "plain": "nobody signed"}
    with served(tmp_path / "models", "--key", str(tmp_path / "key")) as process:
        with triton.InferenceServerClient(process.place) as real:
            rows = {row["name"]: row for row in real.get_model_repository_index()}
        assert {name for name, row in rows.items() if row["state"] == "READY"} == {"good"}
        for name, why in said.items(): assert why in rows[name]["reason"]
        found = httpx.post(f"http://{process.place}/v2/models/good/infer", json=asked(numbers()))
        assert found.status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_what_the_pages_tell_curl_is_answered(tmp_path):
    letters = "".join(map(chr, range(32, 127)))
    keep(GPT(len(letters), 64, 1, 2, 8), tmp_path / "sonnets/1",
         GPT_CONFIG | {"arguments": [len(letters), 64, 1, 2, 8], "letters": letters})
    pages = [page.read_text("utf-8") for page in (ROOT / "README.md", ROOT / "docs/serving.md")]
    lines = [line for page in pages for line in re.findall(r"^ *curl (?:.*\\\n)*.*", page, re.MULTILINE)]
    assert lines
    with served(tmp_path) as process:
        for line in lines:
            words = shlex.split(line.replace("\\\n", " ").replace("127.0.0.1:8000", process.place))
            done = subprocess.run([*words, "-sS", "--fail"], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (line, done.stderr)
            said = [json.loads(part[6:])["text_output"] for part in done.stdout.splitlines() if part]
            assert len("".join(said)) == 40


def test_an_end_under_load_answers_everybody(process):
    stop, cut = threading.Event(), []

    def use(n):
        statuses, (host, port) = [], process.place.split(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=20)) as line:
            while not stop.is_set():
                try:
                    line.request("POST", "/v2/models/small/infer", json.dumps(asked(numbers())))
                    found = line.getresponse()
                    statuses.append(found.status)
                    found.read()
                except ConnectionError: break           # closed between two requests: nothing was begun
                except http.client.HTTPException as error:
                    cut.append(error)                   # an answer broke off
                    break
        return statuses

    def stream():
        how = {"text_input": "abc", "parameters": {"max_tokens": 60, "seed": 1}}
        where = f"http://{process.place}/v2/models/writer/generate_stream"
        with httpx.stream("POST", where, json=how, timeout=20) as response:
            began.set()
            return parts_of(response)
    began = threading.Event()
    with ThreadPoolExecutor(5) as pool:
        users, text = [pool.submit(use, n) for n in range(4)], pool.submit(stream)
        assert began.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, "an end that was asked for is no error"
        stop.set()
        for user in users: assert set(user.result()) == {200}
        answers = sum([len(user.result()) for user in users])
        assert len([part for part in text.result() if part["text_output"]]) == 60
    assert cut == []
    assert eventually(lambda: process.lines[-1].get("event") == "ended")
    assert not [line for line in process.lines if "error" in line]
    told = [line for line in process.lines if line.get("path", "").endswith("/infer")]
    assert len(told) == answers, "what the server took on, and nothing else, was answered"
