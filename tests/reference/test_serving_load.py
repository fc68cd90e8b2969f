"""A server under load: a hundred thousand requests, and thousands of connections that say nothing."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="pip install 'tinytorch-tito[serve]'")

from tinytorch.models import MLP
from tinytorch.repository import keep

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    """A server in a process of its own; its port and its process."""
    config = {"model": "MLP", "arguments": [64, 32, 10], "max_delay": 0.0,
              "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
              "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]}
    keep(MLP(64, 32, 10), tmp_path / "m/1", config)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tinytorch.service", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)): break
            time.sleep(0.05)
        yield port, process
        process.terminate()
        assert process.wait(60) == 0


def request(x) -> bytes:
    size = {"binary_data_size": x.nbytes}
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": x.shape, "parameters": size}],
            "parameters": {"binary_data_output": True}}
    head = json.dumps(told).encode()
    return (f"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nInference-Header-Content-Length: {len(head)}\r\n"
            f"Content-Length: {len(head) + x.nbytes}\r\n\r\n").encode() + head + x.tobytes()


async def ask(reader, writer, x):
    """The status and the numbers of the answer."""
    writer.write(request(x))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(re.search(rb"\r\ncontent-length: (\d+)", head)[1]))
    numbers = np.frombuffer(body[-40:], "<f4") if b" 200 " in head[:20] else None
    return int(head.split()[1]), numbers


async def crowd(port: int, users: int, each: int, answers: dict) -> int:
    """Every user asks one after the other; how many were answered, all of them rightly."""
    async def user(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for k in range(each):
            which = (n * 31 + k) % 50
            status, numbers = await ask(reader, writer, np.full((1, 64), which / 10, np.float32))
            assert status == 200
            np.testing.assert_allclose(numbers, answers.setdefault(which, numbers), atol=1e-4)
        writer.close()
        return each
    return sum(await asyncio.gather(*[user(n) for n in range(users)]))


def memory(process) -> int:
    """Bytes in use, as Linux counts."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_over_a_hundred_thousand_requests(server):
    port, process = server
    answers = {}
    assert asyncio.run(crowd(port, 16, 625, answers)) == 10_000
    before = memory(process)
    assert asyncio.run(crowd(port, 16, 5625, answers)) == 90_000
    assert memory(process) - before < 8 * 2**20
    assert len({tuple(a) for a in answers.values()}) == 50, "fifty questions, fifty answers, none for another"


def test_thousands_that_say_nothing_keep_nobody_from_asking(server):
    port, _ = server

    async def check():
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2000)]
        for _, writer in idle[::2]: writer.write(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nConte")
        found = await asyncio.wait_for(crowd(port, 4, 25, {}), 60)
        for _, writer in idle: writer.close()
        return found
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200: pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2200), hard))
    assert asyncio.run(check()) == 100
