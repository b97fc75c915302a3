"""A TCP proxy in front of a server, whose connections can be cut, refused or held up for a moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

PIECE = 1 << 16
CLOSE_SECONDS = 30.0
"""How long the end of a proxy is waited for; then that is an error, and no test hangs."""


class Proxy:
    """Listens on a free port of its own and passes every connection on to `target` (`name:port`)."""

    def __init__(self, target: str) -> None:
        name, _, port = target.rpartition(":")
        self._target = name, int(port)
        self._open: set[asyncio.WriteTransport] = set()
        self._refusing = 0
        self.turned_away = 0
        """How many connections were refused."""
        self.held_up = 0
        """How many pieces waited to be passed on."""
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = started.result()
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open) // 2

    def cut(self) -> None:
        """Ends all connections; new ones are taken at once."""
        self._call(self._cut)

    def refuse(self, seconds: float | None = None) -> None:
        """Ends all connections, and each new one for a while, or until it relents."""

        def begin() -> None:
            self._refusing += 1
            self._cut()
            if seconds is not None:
                self._loop.call_later(seconds, end)

        def end() -> None:
            self._refusing = max(0, self._refusing - 1)

        self._call(begin)

    def stall(self, seconds: float | None = None) -> None:
        """Passes nothing on for a while, or until it relents; connections stay."""

        def begin() -> None:
            self._flowing.clear()
            if seconds is not None:
                self._loop.call_later(seconds, self._flowing.set)

        self._call(begin)

    def relent(self, after: float = 0.0) -> None:
        """Refuses and holds up nothing any more, from a time on."""

        def begin() -> None:
            self._loop.call_later(after, end)

        def end() -> None:
            self._refusing = 0
            self._flowing.set()

        self._call(begin)

    def restore(self) -> None:
        """Ends what `refuse` and `stall` began, before their time."""

        def end() -> None:
            self._refusing = 0
            self._flowing.set()

        self._call(end)

    def close(self) -> None:
        """Ends everything."""

        async def end() -> None:
            self._server.close()
            self._cut()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(CLOSE_SECONDS)
        self._call(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        self._loop.close()

    def _call(self, action: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(action)

    def _cut(self) -> None:
        for transport in self._open:
            transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.turned_away += 1
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer.transport, far_writer.transport}
        self._open |= ends
        pumps = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in ends:
                end.close()
            self._open -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                self.held_up += not self._flowing.is_set()
                await self._flowing.wait()
                writer.write(piece)
                await writer.drain()
