"""Looks are taken by one thread, however long a service takes; whoever asks waits for a moment, and is told.

Invariants: one look at a time; what was not begun when the page is gone is not begun at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared.look.watch import View, Watch

PATIENCE = 2.0
"""Seconds for which an answer waits for the look that it asked for."""


class Refresher:
    """Has a watch refreshed by a thread of its own, which no process waits for."""

    def __init__(self, watch: Watch, clock: Callable[[], float] = time.monotonic) -> None:
        self._watch, self._clock = watch, clock
        self._changed = threading.Condition()
        self._wanted: dict[View, tuple[int, bool]] = {}
        """Those that wait for a look, the first one first: the number of that look, and whether all is read."""
        self._asked = self._looked = 0
        self._begun: float | None = None
        self._error: Exception | None = None
        threading.Thread(target=self._run, name="refresher", daemon=True).start()

    def ask(self, view: View, at_once: bool, patience: float) -> float:
        """Has a view refreshed, and waits for it for a moment; for how many seconds a look that has not ended has
        been under way, 0 where none is. Raises what the last look raised."""
        with self._changed:
            if view not in self._wanted:
                self._asked += 1
            number, before = self._wanted.get(view, (self._asked, False))
            self._wanted[view] = number, at_once or before
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._looked >= number, patience)
            error, self._error = self._error, None
            if error is not None:
                raise error
            begun = self._begun
            return 0.0 if self._looked >= number or begun is None else max(0.0, self._clock() - begun)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._wanted))
                view, (number, at_once) = next(iter(self._wanted.items()))
                del self._wanted[view]
                self._begun = self._clock()
            error: Exception | None = None
            try:
                self._watch.refresh(view, at_once)
            except Exception as met:
                error = met
            with self._changed:
                self._begun, self._error = None, error or self._error
                self._looked = number
                self._changed.notify_all()
