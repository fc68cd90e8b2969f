# Generated from modules/16_capstone/appendix_service.py by `tito export`. Edit that file, not this one.
"""A server of models: the Open Inference Protocol, version 2, over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import signal
import sys
import time
import traceback
import zlib
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from .capstone import Refused
from .frontpage import PAGE
from .repository import Author, Repository, opened_package
from .watching import Metrics, Pulse, log, request_id
from .wire import parsed, request_of, response_of

__all__ = [
    "LARGEST", "SLOWEST", "TURN", "MOST_SECONDS", "OWN_ONLY", "EXTENSIONS", "INFER", "Server", "Bridge",
    "put_off", "nothing_here", "events", "excuse", "details", "event", "check_origin", "in_triton_words",
    "version", "Watched", "Loop", "serve", "main",
]


try:
    import uvicorn
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
    from starlette.routing import Route, Router
except ImportError as error:
    raise ImportError("serving wants packages of its own: pip install 'tinytorch-tito[serve]'") from error

LARGEST = 16 * 2**20            # bytes of a body
SLOWEST = 30.0                  # seconds in which a body has to arrive
TURN = 0.0002                   # seconds until another thread may have its turn
MOST_SECONDS = 60.0             # that an answer may take, if the client does not say
OWN_ONLY = ("default-src 'none'; connect-src 'self'; img-src data:; "
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'")        # what the page at / may load
EXTENSIONS = ["model_repository", "model_configuration", "binary_tensor_data", "statistics", "generate"]
INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")


class Server:
    """Serves a repository; `app` speaks ASGI."""

    def __init__(self, repository: Repository, largest: int = LARGEST, slowest: float = SLOWEST,
                 most_seconds: float = MOST_SECONDS, watch: float = 0.0):
        self.repository, self.largest, self.slowest = repository, largest, slowest
        self.most_seconds, self.watch = most_seconds, watch
        self.metrics, self.pulses, self.draining, self.bridge = Metrics(), {}, False, Bridge()
        repository.greet = self.listen
        model = "/v2/models/{name}"
        routes = [
            Route("/", self.front),
            Route("/metrics", self.prometheus),
            Route("/v2", self.about),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2/models/stats", self.statistics),
            Route("/v2/repository/index", self.index, methods=["POST"]),
            Route("/v2/repository/models/{name}/load", self.load, methods=["POST"]),
            Route("/v2/repository/models/{name}/unload", self.unload, methods=["POST"]),
        ]
        for path in (model, model + "/versions/{version}"):
            routes += [
                Route(path, self.metadata),
                Route(path + "/ready", self.model_ready),
                Route(path + "/config", self.config),
                Route(path + "/stats", self.statistics),
                Route(path + "/infer", self.infer_slowly, methods=["POST"]),
                Route(path + "/generate", self.generate, methods=["POST"]),
                Route(path + "/generate_stream", self.generate_stream, methods=["POST"]),
            ]
        router = Router(routes, redirect_slashes=False, default=nothing_here, lifespan=self.lifespan)
        self.app = Watched(router, self)

    @asynccontextmanager
    async def lifespan(self, app):
        await asyncio.to_thread(self.repository.load_all)
        for name, why in self.repository.reasons.items():
            if why: log(event="not loaded", model=name, why=why)
        log(event="ready", models=self.repository.versions)
        watching = asyncio.create_task(self.look_again()) if self.watch else None
        yield
        if watching: watching.cancel()
        await asyncio.to_thread(self.repository.close)
        log(event="ended")

    async def look_again(self) -> None:
        """Loads what has changed in the folder, from time to time."""
        while True:
            await asyncio.sleep(self.watch)
            await asyncio.to_thread(self.repository.load_all)

    # ------------------------------------------------------------------------------------------ about

    async def front(self, request): return HTMLResponse(PAGE, headers={"Content-Security-Policy": OWN_ONLY})
    async def live(self, request): return JSONResponse({"live": True})

    async def ready(self, request):
        return JSONResponse({"ready": not self.draining}, 503 if self.draining else 200)

    async def about(self, request):
        return JSONResponse({"name": "tinytorch", "version": version(), "extensions": EXTENSIONS})

    async def prometheus(self, request):
        for name, versions in list(self.repository.versions.items()):
            for number in versions:
                with suppress(Refused), self.repository.lent(name, number) as model:
                    self.metrics.waiting.labels(name, number).set(model.waiting)
        return Response(self.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def metadata(self, request):
        with self.lent(request) as model:
            return JSONResponse({
                "name": model.name, "versions": self.repository.versions.get(model.name, [model.version]),
                "platform": model.platform, "inputs": [port.told for port in model.inputs],
                "outputs": [port.told for port in model.outputs], "max_batch": model.max_batch,
                **({"labels": model.labels} if model.labels else {})})

    async def config(self, request):
        with self.lent(request) as model:
            return JSONResponse({
                "name": model.name, "platform": model.platform, "max_batch_size": model.max_batch,
                "input": [in_triton_words(port) for port in model.inputs],
                "output": [in_triton_words(port) for port in model.outputs]})

    async def model_ready(self, request):
        with self.lent(request) as model:
            told = {"name": model.name, "ready": not self.draining}
        return JSONResponse(told, 503 if self.draining else 200)

    async def statistics(self, request):
        wanted = request.path_params.get("name")
        if wanted: self.repository.key(wanted, request.path_params.get("version"))
        return JSONResponse({"model_stats": [
            {"name": name, "version": number, "inference_count": pulse.count, **pulse.told()}
            for (name, number), pulse in sorted(self.pulses.items())
            if pulse.count and wanted in (None, name)]})

    # ------------------------------------------------------------------------------------- repository

    async def index(self, request):
        repository, rows = self.repository, []
        for name in await asyncio.to_thread(repository.names):
            versions = repository.versions.get(name, [])
            rows += [{"name": name, "version": v, "state": "READY", "reason": ""} for v in versions]
            if not versions:
                rows.append({"name": name, "version": "", "state": "UNAVAILABLE",
                             "reason": repository.reasons.get(name, "not loaded")})
        return JSONResponse(rows)

    async def load(self, request):
        body = await self.sent_with(request)
        if body and parsed(body).get("parameters"):             # Triton takes a config or files along
            raise Refused("models come from the folder, and not with a request", 501)
        return await self.change(request, self.repository.load)

    async def unload(self, request):
        await self.sent_with(request)
        return await self.change(request, self.repository.unload)

    async def change(self, request, verb):
        await asyncio.to_thread(verb, request.path_params["name"])
        return Response()

    # --------------------------------------------------------------------------------------- questions

    def lent(self, request):
        return self.repository.lent(request.path_params["name"], request.path_params.get("version"))

    async def infer(self, name: str, version: str | None, headers: dict, receive) -> tuple[bytes, list]:
        """The body of an answer, and its headers."""
        body = await self.body(headers, receive)
        loan = self.repository.loan(name, version)
        try:
            model, length = loan.thing, headers.get(b"inference-header-content-length")
            asked = request_of(body, length and length.decode("latin-1"), model.inputs, model.outputs)
            seconds = self.seconds(asked.parameters)
            until = time.monotonic() + seconds
            await asyncio.sleep(0)                              # who came at the same time borrows it as well
            future = model.submit(asked.inputs, until, asked.parameters, alone=loan.users == 1)
            arrays = future.result() if future.done() else await self.bridge.crossed(future, seconds)
            said, length = response_of(asked, model.name, model.version, model.outputs, arrays)
        finally: loan.leave()
        size = (b"content-length", b"%d" % len(said))
        if length is None: return said, [size, (b"content-type", b"application/json")]
        return said, [size, (b"content-type", b"application/octet-stream"),
                      (b"inference-header-content-length", b"%d" % length)]

    async def infer_slowly(self, request):
        """The same, where the path did not look as expected: behind a prefix, say."""
        which, headers = request.path_params, dict(request.scope["headers"])
        said, headers = await self.infer(which["name"], which.get("version"), headers, request.receive)
        return Response(said, headers={name.decode(): value.decode() for name, value in headers})

    async def generate(self, request):
        said = [part async for part in self.written(request, await self.sent_with(request))]
        return JSONResponse(said[0] | {"text_output": "".join([part["text_output"] for part in said])})

    async def generate_stream(self, request):
        parts = self.written(request, await self.sent_with(request))
        first = await anext(parts)                              # what is refused is refused before it begins
        return StreamingResponse(events(first, parts), media_type="text/event-stream",
                                 headers={"Cache-Control": "no-store"})

    async def written(self, request, body: bytes):
        """What is written, part by part; who stops listening ends it."""
        told = parsed(body)
        prompt, parameters = told.get("text_input"), told.get("parameters", {})
        if not isinstance(prompt, str) or not isinstance(parameters, dict):
            raise Refused("text_input is a string, and parameters, if there are any, an object")
        with self.lent(request) as model:
            if not isinstance(model, Author): raise Refused(f"{model.name} does not write")
            loop, words = asyncio.get_running_loop(), asyncio.Queue()
            text = model.text(prompt, parameters)

            def hear(word) -> None:                             # in the thread of the scribe
                if not loop.is_closed(): loop.call_soon_threadsafe(words.put_nowait, word)
            model.scribe.submit(text, hear, time.monotonic() + self.seconds(parameters))
            about = {"model_name": model.name, "model_version": model.version}
            try:
                while (word := await words.get()) is not None:
                    if isinstance(word, Exception): raise word
                    yield about | {"text_output": model.letters.decode([word])}
                yield about | {"text_output": ""}               # there is always a part
            finally: text.done = True

    def seconds(self, parameters: dict) -> float:
        """How long the client waits: `timeout` is in microseconds, as Triton's clients say it."""
        asked = parameters.get("timeout", math.inf)
        if isinstance(asked, bool) or not isinstance(asked, (int, float)) or not asked > 0:
            raise Refused("timeout is a number of microseconds")
        return min(asked, 1e6 * self.most_seconds) / 1e6

    def listen(self, model) -> None:
        """Has the model tell the metrics about every batch."""
        names, writes = (model.name, model.version), isinstance(model, Author)
        rows, busy = self.metrics.batches.labels(*names), self.metrics.busy.labels(*names)

        def told(count: int, seconds: float) -> None:
            rows.observe(count)
            busy.inc(seconds)
            if writes: self.metrics.words.labels(*names).inc(count)
        (model.scribe if writes else model.batcher).told = told

    async def sent_with(self, request) -> bytes:
        return await self.body(dict(request.scope["headers"]), request.receive)

    async def body(self, headers: dict, receive) -> bytes:
        """All of a body; Refused when it is too large or too slow."""
        check_origin(headers)
        claimed = headers.get(b"content-length", b"0")
        if claimed.isdigit() and int(claimed) > self.largest: raise self.too_large()
        try:
            async with asyncio.timeout(self.slowest): found = await self.received(receive)
        except TimeoutError: raise Refused(f"no body within {self.slowest:g} seconds", 408) from None
        coding = headers.get(b"content-encoding", b"identity")
        return found if coding == b"identity" else self.unpacked(found, coding.decode("latin-1"))

    async def received(self, receive) -> bytes:
        """The parts of a body as one; most bodies have one part, which is not copied."""
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect": raise ClientDisconnect
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > self.largest: raise self.too_large()
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def too_large(self) -> Refused: return Refused(f"a body has at most {self.largest} bytes", 413)

    def unpacked(self, data: bytes, coding: str) -> bytes:
        if coding not in ("gzip", "deflate"): raise Refused(f"the coding {coding[:20]!r} is not known", 415)
        reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try: found = reader.decompress(data, self.largest + 1)
        except zlib.error as error: raise Refused(f"this is not {coding}") from error
        if len(found) > self.largest: raise self.too_large()
        if not reader.eof: raise Refused(f"the {coding} is cut off")
        return found


class Bridge:
    """Brings answers from the threads that compute to the loop that waits."""

    def __init__(self): self.arrived, self.called = deque(), False

    async def crossed(self, future, seconds: float):
        """The answer; who stops waiting takes the question back, if nobody has begun with it."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        future.add_done_callback(partial(self.arrive, waiter))
        late = loop.call_later(seconds, put_off, waiter)
        try:
            await waiter
            return future.result()
        finally:
            late.cancel()
            future.cancel()                                     # no harm to one that is done

    def arrive(self, waiter, future) -> None:                   # in the thread that answered
        self.arrived.append(waiter)
        loop = waiter.get_loop()
        if self.called or loop.is_closed(): return
        self.called = True
        loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        self.called = False
        while self.arrived:
            waiter = self.arrived.popleft()
            if not waiter.done(): waiter.set_result(None)


def put_off(waiter) -> None:
    if not waiter.done(): waiter.set_exception(Refused("the deadline is over", 504))


async def nothing_here(scope, receive, send):
    if scope["type"] == "http": raise Refused(f"there is nothing at {scope['path'][:100]}", 404)


async def events(first: dict, rest):
    """Parts as server-sent events; an error that comes in the middle is an event as well."""
    yield event(first)
    try:
        async for part in rest: yield event(part)
    except Exception as error:
        if not isinstance(error, Refused): log(event="a stream broke off", error=details(error))
        yield event({"error": excuse(error)})
    finally: await rest.aclose()


def excuse(error: Exception) -> str:
    """What a client is told: all of what was refused, and of what went wrong in here only its kind."""
    if isinstance(error, Refused): return str(error)
    return f"a {type(error).__name__} in here; the log says more"


def details(error: Exception) -> str: return "".join(traceback.format_exception(error))


def event(told: dict) -> bytes: return b"data: " + json.dumps(told).encode() + b"\n\n"


def check_origin(headers: dict) -> None:
    """A page of somebody else, open in the same browser, may not send requests here."""
    origin = headers.get(b"origin")
    if origin and origin.split(b"://")[-1] != headers.get(b"host"):
        raise Refused("requests from pages of another server are refused", 403)


def in_triton_words(port) -> dict:
    """A port as Triton's configurations say it: without the batch, and BYTES are a STRING."""
    kind = "STRING" if port.datatype == "BYTES" else port.datatype
    return {"name": port.name, "data_type": f"TYPE_{kind}", "dims": list(port.shape[1:])}


def version() -> str:
    import tinytorch
    return tinytorch.__version__


class Watched:
    """An app that numbers, times and counts its requests, and turns errors into answers."""

    def __init__(self, app, server: Server): self.app, self.server, self.known = app, server, {}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http": return await self.app(scope, receive, send)
        began, server, headers = time.perf_counter(), self.server, dict(scope["headers"])
        told = {"id": request_id(headers.get(b"x-request-id")), "method": scope["method"],
                "path": scope["path"][:200], "status": 499}
        own = b"x-request-id", told["id"].encode()
        quick = INFER.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        which = dict(zip(("name", "version"), quick.groups())) if quick else {}

        async def answer(message):
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), own]
            await send(message)
        server.metrics.flying.inc()
        try:
            if quick:
                said, about = await server.infer(*quick.groups(), headers, receive)
                await answer({"type": "http.response.start", "status": 200, "headers": about})
                await answer({"type": "http.response.body", "body": said})
            else:
                scope = {**scope, "app": self}
                await self.app(scope, receive, answer)
        except ClientDisconnect: told["why"] = "the client went away"
        except Exception as error:
            if told["status"] != 499: raise                     # in the middle of an answer
            await self.answer_to(error, told)(scope, receive, answer)
        finally:
            server.metrics.flying.dec()
            self.note(scope.get("path_params", which), told, time.perf_counter() - began)

    def answer_to(self, error: Exception, told: dict) -> Response:
        """The answer to a request that went wrong."""
        if isinstance(error, Refused):
            told["why"] = str(error)
            after = error.retry_after
            later = {} if after is None else {"Retry-After": str(max(1, math.ceil(after)))}
            return JSONResponse({"error": excuse(error)}, error.status, later)
        if isinstance(error, HTTPException): return JSONResponse({"error": error.detail}, error.status_code)
        told["error"] = details(error)
        return JSONResponse({"error": excuse(error)}, 500)

    def note(self, which: dict, told: dict, seconds: float) -> None:
        """Counts and logs a request; what names no model, or a version that is not there, is only logged."""
        versions = self.server.repository.versions.get(which.get("name")) or [None]
        version, question = which.get("version") or versions[-1], told["method"] == "POST"
        if version in versions and version is not None:
            counter, timer, pulse = self.tallies(which["name"], version, told["status"])
            counter.inc()
            if question and told["path"].startswith("/v2/models/"):
                timer.observe(seconds)
                pulse.beat(seconds, told["status"] < 400)
        log(**told, ms=round(1000 * seconds, 2))

    def tallies(self, name: str, version: str, status: int) -> tuple:
        """Where requests of this kind are counted; looked up once, which costs more than to count."""
        if (name, version, status) not in self.known:
            metrics, pulses = self.server.metrics, self.server.pulses
            self.known[name, version, status] = (
                metrics.requests.labels(name, version, str(status)), metrics.seconds.labels(name, version),
                pulses.setdefault((name, version), Pulse()))
        return self.known[name, version, status]


class Loop(uvicorn.Server):
    """uvicorn, which tells the server that it is ending."""

    def __init__(self, server: Server, **settings):
        lean = {"access_log": False, "proxy_headers": False, "server_header": False, "ws": "none"}
        super().__init__(uvicorn.Config(server.app, log_level="warning", lifespan="on", **lean, **settings))
        self.serving = server

    def handle_exit(self, sig, frame) -> None:
        self.serving.draining = True
        super().handle_exit(sig, frame)


def serve(
    *folders, host: str = "127.0.0.1", port: int = 8000,
    drain: float = 30.0,            # seconds for what was begun, when it ends
    watch: float = 0.0,             # look for new versions every so many seconds; 0: never
    opened=None,                    # (name, version, folder) -> a model, if not as usual
    **settings,                     # of Server
) -> None:
    """Serves the models of some folders until SIGTERM or Ctrl-C."""
    sys.setswitchinterval(TURN)
    server = Server(Repository(*folders, opened=opened), watch=watch, **settings)
    loop = Loop(server, host=host, port=port, timeout_graceful_shutdown=drain, backlog=2048)
    for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, lambda *_: None)   # no error, an end
    log(event="starting", url=f"http://{host}:{port}", folders=[str(Path(f).resolve()) for f in folders])
    loop.run()


def main(arguments=None) -> None:
    """`python -m tinytorch.service FOLDER…`."""
    parser = argparse.ArgumentParser("tinytorch.service", description="Serves the models of a folder.")
    parser.add_argument("folders", nargs="+", help="repositories, NAME/VERSION/…, or models, VERSION/…")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--drain", type=float, default=30.0, help="seconds for what was begun, at the end")
    parser.add_argument("--watch", type=float, default=0.0, help="look for new versions every so often")
    parser.add_argument("--key", type=Path, help="a file whose bytes are the key: lend only what it signed")
    chosen = vars(parser.parse_args(arguments))
    key = chosen.pop("key")                                     # a file, for all can read a command's words
    serve(*chosen.pop("folders"), opened=opened_package(key.read_bytes()) if key else None, **chosen)


if __name__ == "__main__": main()
