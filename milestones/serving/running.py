"""A server in a process of its own: how it is started, how one waits for it, and what it logged."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path

from client import Client  # milestones/serving/client.py
from gates import Wrong  # milestones/gates.py

import tinytorch

PACKAGE = Path(tinytorch.__file__).resolve().parents[1]


class Running:
    """`python …` with a free port as its last word, on the tinytorch that is imported here."""

    def __init__(self, log: Path, *words):
        self.log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with log.open("w") as file:
            self.process = subprocess.Popen([sys.executable, *map(str, words), str(self.port)], cwd=PACKAGE,
                                            stdout=file, stderr=file,
                                            env={**os.environ, "PYTHONPATH": str(PACKAGE)})
        atexit.register(self.process.kill)
        self.until = time.monotonic() + 120

    def client(self) -> Client: return Client(self.port)

    def started(self) -> Running:
        """Itself, once it answers; Wrong if it does not."""
        while not self.answers():
            last = self.log.read_text("utf-8", "replace").strip().rpartition("\n")[2][:300]
            if self.process.poll() is not None: raise Wrong(f"the server did not start: {last}")
            if time.monotonic() > self.until: raise Wrong(f"the server is not ready in two minutes: {last}")
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            with self.client() as client: return client.send("GET", "/v2/health/ready").status == 200
        except (OSError, HTTPException): return False

    def lines(self) -> list[dict]:
        """What it has logged, as far as it is written."""
        text = self.log.read_text("utf-8")
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]     # others say something as well
