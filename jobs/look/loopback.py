"""A web server for one person, on the loopback of this machine: what every page here is served by.

    LoopbackServer({r"/": page, r"/chunks/(\\d+)": chunk}, port=0).run()

A route is a pattern of a whole path and a function of a `Request`, which answers an `Answer` or raises `NoAnswer`.
Why so much care: a web page from elsewhere may ask the loopback, too, be it by a name of its own that leads here
(DNS rebinding), and what is shown holds text from outside. Invariants: it listens at 127.0.0.1 and nowhere else; it
answers GET alone, and only to a host name of the loopback; a page elsewhere reads nothing, and starts nothing; what
a page of ours asks of any other place, its browser refuses (the policy). No answer has a traceback. A path is a
route or nothing: what is served of a folder are the names that it had when it was listed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import Application, OutputTransform, RequestHandler

from shared.classify import Classify, Kind
from shared.errors import IngestError, StateError

HOST = "127.0.0.1"
THREADS = 8
"""Answers that are made at once."""

MOST_BYTES = 1 << 14
"""Of a request's line and headers, and of a body, which no GET needs."""

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""What a browser lets a page here do (Content-Security-Policy): nothing that leaves this server. A page that needs
more gives a mapping of its own."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer; an answer's own take their place."""

_NAMES = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
"""Host names that no name server has a say in. Any port, as it may be forwarded from another machine."""

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What is asked: the groups of the path's pattern, and of each query argument the last value."""

    parts: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A body of a content type, headers besides `HEADERS`, and an HTTP status."""

    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    @classmethod
    def of_json(cls, value: object) -> Answer:
        """A value as JSON. Ids go as text, as JavaScript has no integers beyond 2^53."""
        return cls(json.dumps(value).encode())


class NoAnswer(Exception):
    """An answer that says why there is none, with its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)


Route = Callable[[Request], Answer]


def files_of(folder: Path, names: Iterable[str] | None = None) -> Route:
    """Serves the files of a folder, not those below it; the pattern's one group is a name. All that it has now, or
    some; any other name is not there, whatever it looks like."""
    known = {name: folder / name for name in (names or (path.name for path in folder.iterdir() if path.is_file()))}

    def answer(request: Request) -> Answer:
        path = known.get(request.parts[0])
        if path is None:
            raise NoAnswer(404, "there is no such file")
        return Answer(path.read_bytes(), _KINDS.get(path.suffix, "application/octet-stream"))

    return answer


def refusal(method: str | None, headers: HTTPHeaders) -> NoAnswer | None:
    """Why a request is refused whatever it asks for; None if it is not."""
    hosts = headers.get_list("Host")
    if len(hosts) != 1 or not _NAMES.fullmatch(hosts[0]):
        return NoAnswer(403, "this server answers to 127.0.0.1 and localhost alone")
    if method != "GET":
        return NoAnswer(405, "this server only shows things: GET is all that it takes")
    # A link may lead here from anywhere; a picture or a script of a page elsewhere may not have work done here.
    if headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate":
        return NoAnswer(403, "a page of another place asks for this")
    return None


class LoopbackServer:
    """Serves `routes` at `address` from now on; `run` answers until `close`, or an interrupt, ends it.

    As a context manager it answers from a thread of its own. `port` 0 is any that is free; StateError for one that
    is not. `classify` tells what is out of reach from what is wrong.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        port: int = 0,
        policy: Mapping[str, str] = POLICY,
        classify: Classify | None = None,
    ) -> None:
        try:
            self._socket = socket.create_server((HOST, port), backlog=128)
        except OSError as error:
            raise StateError(
                f"port {port} of {HOST} cannot be used ({error}); another PORT=n may be free, and without it one "
                "that is free is taken"
            ) from error
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._socket.setblocking(False)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="look")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.run, name="look", daemon=True)
        self._application = _application(routes, policy, self._pool, classify)

    def run(self) -> None:
        """Answers until `close` is called from another thread; what interrupts it is raised."""
        try:
            asyncio.run(self._serve())
        finally:
            self._begun.set()
            # Whoever still reads for an answer that nobody waits for is not waited for either.
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self) -> None:
        server = HTTPServer(self._application, max_header_size=MOST_BYTES, max_body_size=MOST_BYTES)
        server.add_sockets([self._socket])
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        if not self._closed.is_set():
            await self._end.wait()
        server.stop()
        await server.close_all_connections()

    def close(self) -> None:
        """Answers no more; from any thread, and as often as one likes."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._loop is None:
            self._socket.close()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._thread.join()


def _application(
    routes: Mapping[str, Route], policy: Mapping[str, str], pool: ThreadPoolExecutor, classify: Classify | None
) -> Application:
    told = "; ".join(f"{name} {value}" for name, value in policy.items())
    given = {"pool": pool, "classify": classify}
    application = _Guarded(
        [(pattern, _Handler, {**given, "route": route}) for pattern, route in routes.items()],
        default_handler_class=_Handler,
        default_handler_args={**given, "route": _nowhere},
        log_function=lambda _: None,
    )
    application.add_transform(partial(_Headers, told))  # type: ignore[arg-type]  # a class by its signature
    return application


def _nowhere(_: Request) -> Answer:
    raise NoAnswer(404, "there is nothing here")


class _Guarded(Application):
    """Looks at each request before anything else does, whatever route it is for."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        refused = refusal(request.method, request.headers)
        if refused is None:
            return super().find_handler(request, **more)

        def route(_: Request) -> Answer:
            raise refused

        given = {**self.settings["default_handler_args"], "route": route}
        return self.get_handler_delegate(request, _Handler, given)


class _Headers(OutputTransform):
    """Puts what guards an answer into all of them, errors of tornado's own, too."""

    def __init__(self, policy: str, request: HTTPServerRequest) -> None:
        self._policy = policy

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["Content-Security-Policy"] = self._policy
        headers.pop("Server", None)
        return status_code, headers, chunk


class _Handler(RequestHandler):
    """Has a route's function called in another thread, unless whoever asked is gone before its turn comes."""

    _answering: Future[Answer] | None = None

    def initialize(self, route: Route, pool: ThreadPoolExecutor, classify: Classify | None) -> None:
        self._route, self._pool, self._classify = route, pool, classify

    async def _answer(self, *parts: str) -> None:
        arguments = {name: values[-1].decode("utf-8", "replace") for name, values in self.request.arguments.items()}
        try:
            self._answering = self._pool.submit(self._route, Request(parts, arguments))
            answer = await asyncio.wrap_future(self._answering)
        except NoAnswer as error:
            self._say(error.status, error.text)
        except asyncio.CancelledError:
            self._say(503, "nobody waits for this any more")
        except Exception as error:
            self._fail(error)
        else:
            self.set_status(answer.status)
            self.set_header("Content-Type", answer.kind)
            for name, value in answer.headers.items():
                self.set_header(name, value)
            self.finish(answer.body)

    get = head = post = put = delete = patch = options = _answer  # all but one are refused

    def on_connection_close(self) -> None:
        if self._answering is not None:
            self._answering.cancel()

    def _fail(self, error: Exception) -> None:
        outage = self._classify is not None and self._classify(error) is Kind.OUTAGE
        if outage or isinstance(error, IngestError):
            # Not every page has a place for it.
            _log.warning("%s: %s", self.request.path, error)
            self._say(503 if outage else 500, str(error))
        else:
            _log.error("%s cannot be answered", self.request.path, exc_info=error)
            self._say(500, "this cannot be answered; why is said where the command runs")

    def _say(self, status: int, text: str) -> None:
        """Text, whatever it looks like."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        if status == 405:
            self.set_header("Allow", "GET")
        self.finish(text)

    def write_error(self, status_code: int, **_: Any) -> None:
        self._say(status_code, "this request cannot be understood")
