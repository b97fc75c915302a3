"""Looks at a run in a thread of its own, so that whoever shows them is never held up by a service.

Invariants: the thread keeps no process alive; what it meets beside outages is raised where the looks are shown.
"""

from __future__ import annotations

import queue
import threading

from shared.operate.run import Run
from shared.operate.status import RunStatus
from shared.operate.watching import Unseen, looks


class Over(Exception):
    """There are no more looks: the run is finished, or nothing is under way."""


class Looker:
    """The looks of `shared.operate.watching`, one after the other."""

    def __init__(self, run: Run) -> None:
        self._found: queue.Queue[RunStatus | Unseen | BaseException] = queue.Queue()
        self._stop = threading.Event()
        threading.Thread(target=self._look, args=(run,), name="looks", daemon=True).start()

    def next(self, seconds: float) -> RunStatus | Unseen | None:
        """The next look; None if none was taken within so many seconds. Raises Over after the last."""
        try:
            found = self._found.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """No more looks are taken; one under way is not waited for."""
        self._stop.set()

    def _look(self, run: Run) -> None:
        try:
            for look in looks(run, wait=self._stop.wait):
                self._found.put(look)
                if self._stop.is_set():
                    return
            self._found.put(Over())
        except BaseException as error:
            self._found.put(error)
