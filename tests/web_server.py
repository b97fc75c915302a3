"""A web server on a free port of this machine that serves files and lists none."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Files(BaseHTTPRequestHandler):
    """Serves files by name, below any path; other names that are numbers get that status, and all others 404."""

    def __init__(self, files: Mapping[str, bytes], head: bool, *arguments: Any) -> None:
        self.files, self.head = files, head
        super().__init__(*arguments)

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[1]
        data = self.files.get(name, b"")
        self.send_response(200 if name in self.files else int(name) if name.isdecimal() else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        if self.head:
            self.do_GET()
        else:
            self.send_response(405)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(files: Mapping[str, bytes], head: bool = True) -> Iterator[str]:
    """The address of a server of files, which answers HEAD or does not."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, files, head))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
