"""A worker says what it is at, so that whoever watches a run sees chunks that take long, and who has them.

Why seldom: a chunk of a second is done before anybody has looked, and a write for each would double what a run asks
of Firestore. Invariants: nothing is decided by it; a worker that has been at work for less than `EVERY_SECONDS`
says nothing, and none says more than once in that time, so a process writes two records a minute at the most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.plan.grid import Chunk
from shared.run.facts import AtWork
from shared.run.ports import Completion

_log = logging.getLogger(__name__)

EVERY_SECONDS = 30.0


@dataclass
class Saying:
    """When one worker spoke last; `clock` gives seconds."""

    worker: str
    clock: Callable[[], float]
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def begins(self, completion: Completion, chunk: Chunk, now_ms: int) -> None:
        """Notes a chunk that is begun (`now_ms` since 1970), as well as it can."""
        if self.clock() - self._last < EVERY_SECONDS:
            return
        self._last = self.clock()
        try:
            completion.note_at_work(AtWork(self.worker, chunk, now_ms))
        except Exception as error:
            # Whatever is out of reach, the work itself will meet it.
            _log.debug("not noted what is begun: %s", error)
