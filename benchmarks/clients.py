"""Clients that ask as fast as they are answered, in a process of their own.

    python benchmarks/clients.py PORT FILE USERS SECONDS        FILE holds the bytes of one request

Each user has a connection, and asks again as soon as there is an answer. One thread and `select` serve all
of them, so that a request costs the client little, and the server is what is measured. Prints JSON: how many
answers there were, how long they took, and what share of a core the clients needed.
"""

from __future__ import annotations

import json
import math
import re
import selectors
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"         # of an answer that comes in pieces


def question(model: str, x) -> bytes:
    """A request with an array, in binary, as real clients send it."""
    one = {"name": "x", "datatype": "FP32", "shape": x.shape, "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    return (f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: h\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\n"
            f"Content-Length: {len(head) + x.nbytes}\r\n\r\n").encode() + head + x.tobytes()


def prompt(model: str, text: str, words: int, way: str = "generate") -> bytes:
    """A request for the likeliest words that continue a text; way `generate_stream`: one by one."""
    body = json.dumps({"text_input": text, "parameters": {"max_tokens": words, "temperature": 0}}).encode()
    return (f"POST /v2/models/{model}/{way} HTTP/1.1\r\nHost: h\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class User:
    """A connection, and the answer that is arriving on it."""

    def __init__(self, port: int):
        self.line = socket.create_connection(("127.0.0.1", port))
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fileno = self.line.fileno

    def ask(self, which: int, request: bytes) -> None:
        self.which, self.said, self.head, self.whole, self.began = which, b"", 0, math.inf, perf_counter()
        self.line.sendall(request)

    def answered(self) -> bool:
        """Takes in what has arrived; whether that was the last of it."""
        part = self.line.recv(1 << 18)
        if not part: raise ConnectionError("the server hung up")
        self.said += part
        if not self.head and (end := self.said.find(b"\r\n\r\n")) > 0:
            if b" 200 " not in self.said[:16]: raise ValueError(self.said.decode(errors="replace")[:500])
            self.head = end + 4
            if length := LENGTH.search(self.said, 0, self.head): self.whole = self.head + int(length[1])
        return len(self.said) >= self.whole or (self.whole is math.inf and self.said.endswith(LAST_CHUNK))


def load(
    port: int, requests: Sequence[bytes], users: int,
    seconds: float = math.inf, count: float = math.inf,                 # whichever is over first
    hear: Callable[[int, bytes], None] = lambda which, body: None,      # is told every answer
) -> dict:
    """What so many users live through; what they ask goes round."""
    crowd, times, asked, choice = [User(port) for _ in range(users)], [], 0, selectors.DefaultSelector()
    began, busy = perf_counter(), process_time()

    def ask(user) -> None:
        nonlocal asked
        if asked >= count: return
        user.ask(asked % len(requests), requests[asked % len(requests)])
        asked += 1
    for user in crowd:
        choice.register(user, selectors.EVENT_READ)
        ask(user)
    while (now := perf_counter()) < began + seconds and len(times) < count:
        for key, _ in choice.select(1):
            user = key.fileobj
            if not user.answered(): continue
            times.append(perf_counter() - user.began)
            hear(user.which, user.said[user.head :])
            ask(user)
    took, busy = now - began, process_time() - busy
    for user in crowd: user.line.close()
    return told(times, took, busy)


def told(times: list[float], took: float, busy: float) -> dict:
    times = sorted(times)
    at = {f"p{p}": 1000 * times[len(times) * p // 100] for p in (50, 95, 99)}
    return {"requests": len(times), "per_second": len(times) / took, "client": busy / took, **at}


if __name__ == "__main__":
    port, path, users, seconds = sys.argv[1:]
    print(json.dumps(load(int(port), [Path(path).read_bytes()], int(users), float(seconds))))
