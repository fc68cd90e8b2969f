"""Whatever bytes arrive: an understood request or a refusal with a sentence, and never anything else."""

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="pip install 'tinytorch-tito[dev]'")
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinytorch.capstone import Refused
from tinytorch.models import MLP
from tinytorch.repository import Repository, keep
from tinytorch.wire import DATATYPES, Port, Request, request_of, response_of, to_bytes

PORTS = [Port("x", "FP32", (-1, 2)), Port("s", "BYTES", (-1,)), Port("n", "INT8", (-1, -1))]
OUT = [Port("y", "FP32", (-1, 2))]
QUICK = settings(max_examples=150, deadline=None)


def understood(body: bytes, length: str | None = None, ports=PORTS) -> Request | Refused:
    try: return request_of(body, length, ports, OUT)
    except Refused as refused:
        assert 400 <= refused.status <= 501 and 5 < len(str(refused)) < 400
        return refused


def told(name, datatype, shape, **more): return {"name": name, "datatype": datatype, "shape": shape, **more}


GOOD = json.dumps({"id": "1", "inputs": [
    told("x", "FP32", [2, 2], parameters={"binary_data_size": 16}), told("s", "BYTES", [2], data=["a", "b"]),
    told("n", "INT8", [2, 1], data=[[1], [2]])], "outputs": [{"name": "y"}]}).encode()
BODY = GOOD + np.arange(4, dtype="<f4").tobytes()


def test_the_good_one_is_good():
    assert [x.tolist() for x in understood(BODY, str(len(GOOD))).inputs] == [
        [[0, 1], [2, 3]], [b"a", b"b"], [[1], [2]]]


@QUICK
@given(st.binary(max_size=300), st.none() | st.text(max_size=8) | st.integers(-5, 400).map(str))
def test_any_bytes(body, length): understood(body, length)


@QUICK
@given(st.data())
def test_the_good_one_with_something_changed(data):
    body, length = bytearray(BODY), len(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    understood(bytes(body), str(length + data.draw(st.integers(-2, 2))))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-10**400, 10**400) | st.integers(-2, 2) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=5), inside, max_size=3))


@QUICK
@given(st.dictionaries(st.sampled_from(["id", "inputs", "outputs", "parameters"]), ANY), st.data())
def test_any_json_with_the_right_keys(some, data):
    keys = st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), ANY)
    inputs = [told("x", "FP32", [2, 2], data=[1, 2, 3, 4]) | data.draw(keys) for _ in range(2)]
    for body in (some, some | {"inputs": inputs}): understood(json.dumps(body).encode(), ports=PORTS[:1])


async def posted(app, body: bytes, length: str | None) -> tuple[int, bytes]:
    """What a client gets for a body, without a network."""
    headers = [(b"host", b"h"), *([(b"inference-header-content-length", length.encode())] if length else [])]
    scope = {"type": "http", "method": "POST", "path": "/v2/models/m/infer", "headers": headers}
    sent = []

    async def receive(): return {"type": "http.request", "body": body, "more_body": False}
    async def send(message): sent.append(message)
    await app(scope, receive, send)
    return sent[0]["status"], b"".join([message.get("body", b"") for message in sent[1:]])


def test_no_body_brings_a_traceback_to_a_client(tmp_path, capfd):
    service = pytest.importorskip("tinytorch.service", reason="pip install 'tinytorch-tito[serve]'")
    ports = {"inputs": [told("x", "FP32", [-1, 2])], "outputs": [told("y", "FP32", [-1, 3])]}
    keep(MLP(2, 3), tmp_path / "m/1", {"model": "MLP", "arguments": [2, 3], **ports})
    head = json.dumps({"inputs": [told("x", "FP32", [2, 2], parameters={"binary_data_size": 16})]}).encode()
    whole = head + np.ones(4, "<f4").tobytes()

    async def everything(bodies):
        server, statuses = service.Server(Repository(tmp_path)), set()
        async with server.lifespan(None):
            for body, length in bodies:
                status, said = await posted(server.app, body, length)
                statuses.add(status)
                assert status in (200, 400, 501) or (status == 500 and b"not finite" in said), (body, said)
                assert b"Traceback" not in said and (status == 200 or set(json.loads(said)) == {"error"})
        return statuses

    bodies = [(whole, str(len(head)))]

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def gather(data):
        body, length = bytearray(whole), len(head) + data.draw(st.integers(-2, 2))
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(st.integers(0, len(body)))
            body[at : at + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
        bodies.append((bytes(body), data.draw(st.sampled_from([None, str(length), "-1", "x"]))))
    gather()
    assert {200, 400} <= asyncio.run(everything(bodies))
    assert '"error"' not in capfd.readouterr().err, "nothing went wrong in here"


def array_of(name: str):
    shape = st.tuples(st.integers(1, 4), st.integers(1, 3))
    if name == "BYTES":
        return shape.flatmap(lambda s: arrays(object, s, elements=st.binary(max_size=5)))
    finite = {"allow_nan": False, "allow_infinity": False} if name.startswith("FP") else None
    return arrays(DATATYPES[name], shape, elements=finite)


@pytest.mark.parametrize("name", DATATYPES)
def test_what_is_written_in_bytes_is_read_again(name):
    port = Port("x", name, (-1, -1))

    @settings(max_examples=25, deadline=None)
    @given(array_of(name))
    def check(array):
        data = to_bytes(array)
        size = {"binary_data_size": len(data)}
        head = json.dumps({"inputs": [told("x", name, array.shape, parameters=size)]}).encode()
        found = understood(head + data, str(len(head)), [port]).inputs[0]
        assert found.dtype == array.dtype and np.array_equal(found, array)
    check()


@pytest.mark.parametrize("name", [name for name in DATATYPES if name != "BYTES"])
def test_what_is_written_in_json_is_read_again(name):
    port = Port("x", name, (-1, -1))

    @settings(max_examples=25, deadline=None)
    @given(array_of(name))
    def check(array):
        said, length = response_of(Request([], outputs=[("x", False)]), "m", "1", [port], [array])
        assert length is None
        again = json.loads(said)["outputs"]
        found = understood(json.dumps({"inputs": again}).encode(), ports=[port]).inputs[0]
        assert np.array_equal(found, array), "every number comes back exactly"
    check()
