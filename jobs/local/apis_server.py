"""Google's REST APIs on the loopback, by a project in memory: what `doctor` asks, over real HTTP.

Each service is a folder of its name, as in http://127.0.0.1:PORT/storage.googleapis.com/storage/v1/b/BUCKET.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shared.memory.cloud import MemoryCloud, error


class ApisServer:
    """Serves a project at `host` until it is closed; `asked` has what was asked, with the token it came with."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud, self.asked))
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(cloud: MemoryCloud, asked: list[tuple[str, str | None]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(content or b"{}"))

        def _answer(self, body: Mapping[str, Any] | None) -> None:
            address = f"https:/{self.path}"
            authorization = self.headers.get("Authorization")
            asked.append((address, authorization))
            known = authorization is None or authorization.startswith("Bearer ")
            found = cloud.route(address, body, authorization is None) if known else error(401, "a wrong token")
            self._send(*found)

        def _send(self, code: int, body: Mapping[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

    return Handler
