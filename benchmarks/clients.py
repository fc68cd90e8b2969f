"""Clients that ask as fast as they are answered, in a process of their own.

    python benchmarks/clients.py PORT FILE USERS SECONDS        FILE holds the bytes of one request

Each user has a connection, and sends the request again as soon as it is answered. One thread and `select` serve all
of them, so a request costs the client some twenty microseconds. Prints one line of JSON: how many answers there were in
how many seconds, what share of one core the client itself needed, and how long answers took.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
from pathlib import Path
from time import perf_counter, process_time

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class User:
    """A connection, and the answer that is arriving on it."""

    def __init__(self, port: int, request: bytes):
        self.line, self.request = socket.create_connection(("127.0.0.1", port)), request
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fileno, self.said, self.whole = self.line.fileno, b"", 0

    def ask(self) -> None:
        self.said, self.whole, self.began = b"", 0, perf_counter()
        self.line.sendall(self.request)

    def answered(self) -> bool:
        """Takes in what has arrived; whether that was the last of it."""
        part = self.line.recv(1 << 18)
        if not part: raise ConnectionError("the server hung up")
        self.said += part
        if not self.whole:
            head = self.said.find(b"\r\n\r\n")
            if head < 0: return False
            if b" 200 " not in self.said[:16]: raise ValueError(self.said.decode(errors="replace")[:500])
            self.whole = head + 4 + int(LENGTH.search(self.said, 0, head)[1])
        return len(self.said) >= self.whole


def load(port: int, request: bytes, users: int, seconds: float) -> dict:
    """What so many users live through who ask for so many seconds."""
    crowd, times, choice = [User(port, request) for _ in range(users)], [], selectors.DefaultSelector()
    for user in crowd: choice.register(user, selectors.EVENT_READ)
    began, busy = perf_counter(), process_time()
    for user in crowd: user.ask()
    while (now := perf_counter()) < began + seconds:
        for key, _ in choice.select(1):
            user = key.fileobj
            if not user.answered(): continue
            times.append((now := perf_counter()) - user.began)
            user.ask()
    took, busy = now - began, process_time() - busy
    for user in crowd: user.line.close()
    return told(times, took, busy)


def told(times: list[float], took: float, busy: float) -> dict:
    times = sorted(times)
    at = {f"p{p}": 1000 * times[min(len(times) - 1, len(times) * p // 100)] for p in (50, 95, 99)}
    return {"requests": len(times), "per_second": len(times) / took, "client": busy / took, **at}


if __name__ == "__main__":
    port, path, users, seconds = sys.argv[1:]
    print(json.dumps(load(int(port), Path(path).read_bytes(), int(users), float(seconds))))
