"""A server under load: a hundred thousand requests, and thousands of connections that say nothing."""

import contextlib
import importlib.util
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

from tinytorch import Tensor, no_grad
from tinytorch.models import MLP
from tinytorch.repository import keep

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("clients", ROOT / "benchmarks/clients.py")
clients = importlib.util.module_from_spec(spec)
spec.loader.exec_module(clients)
pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path):
    """A server in a process of its own: its port, its process, and the answers to fifty questions."""
    config = {"model": "MLP", "arguments": [64, 32, 10], "max_delay": 0.0,
              "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}],
              "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]}
    model = MLP(64, 32, 10)
    keep(model, tmp_path / "m/1", config)
    with no_grad(): answers = model(Tensor(np.arange(50, dtype=np.float32)[:, None].repeat(64, 1) / 10)).array
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tinytorch.service", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)): break
            time.sleep(0.05)
        yield port, process, answers
        process.terminate()
        assert process.wait(60) == 0


QUESTIONS = [clients.question("m", np.full((1, 64), n / 10, np.float32)) for n in range(50)]


def crowd(port: int, users: int, count: int, answers: list) -> int:
    """Users who ask fifty questions in turn; how many were answered, all of them rightly."""
    found = [[] for _ in QUESTIONS]

    def hear(which: int, body: bytes) -> None: found[which].append(body[-40:])
    clients.load(port, QUESTIONS, users, count=count, hear=hear)
    for bodies, answer in zip(found, answers, strict=True):
        numbers = np.frombuffer(b"".join(bodies), "<f4").reshape(-1, 10)
        np.testing.assert_allclose(numbers, np.broadcast_to(answer, numbers.shape), atol=1e-4)
    return sum([len(bodies) for bodies in found])


def memory(process) -> int:
    """Bytes in use, as Linux counts."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_flat_over_a_hundred_thousand_requests(server, capsys):
    port, process, answers = server
    curve = []
    for _ in range(10):
        assert crowd(port, 16, 10_000, answers) == 10_000
        curve.append(memory(process) / 2**20)
        with capsys.disabled(): print(f"{len(curve)}0,000 requests: {curve[-1]:.1f} MiB", flush=True)
    assert max(curve) - curve[0] < 8


def test_thousands_that_say_nothing_keep_nobody_from_asking(server):
    import resource
    port, _, answers = server
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200: pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2200), hard))
    with contextlib.ExitStack() as idle:
        for n in range(2000):
            line = idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            if n % 2: line.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nConte")
        assert crowd(port, 4, 100, answers) == 100
