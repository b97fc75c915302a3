"""A run in memory that a page follows, as far as a test wants it built, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.look import answers
from shared.look.slices import box, sliced
from shared.look.states import Look
from shared.look.watch import View, Watch
from shared.memory.completion import MemoryCompletion
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.done import is_done
from shared.run.facts import Seen
from shared.run.ports import State
from tests.harness import MemoryRun, backend_of, worker_of
from tests.prices import prices
from tests.synthetic import Clock
from tests.volumes import random_volume


class Followed:
    """A run in memory, built as far as one wants, and a watch of it whose time passes when somebody says so."""

    def __init__(self, memory: MemoryRun | None = None) -> None:
        self.memory = memory or MemoryRun.of(random_volume(1, (5, 3, 2))).start()
        self.backend = backend_of(self.memory)
        self.clock = Clock()
        self.watch = Watch(Run.open(self.backend, "graph"), prices(), self.clock, self.wall)

    def wall(self) -> float:
        """Seconds since 1970: the run was begun an hour before the watch."""
        return self.memory.record.timestamp_ms / 1000 + 3600 + self.clock.now

    def build(self, chunks: int) -> None:
        """Has a worker do so many more chunks."""
        left = iter(range(chunks))
        queue = self.backend.queue(self.memory.record.plan.layers)
        worker_of(queue, self.memory, stopped=lambda: next(left, None) is None).run(idle_seconds=0.0)

    def look(self, **more: Any) -> dict[str, Any]:
        """What is told of the run now."""
        self.watch.refresh(View(**more), at_once=True)
        return answers.of_run(self.watch)

    def states(self) -> dict[Chunk, Look]:
        """The states of all chunks, as the map shows them view by view."""
        plan, found = self.memory.record.plan, {}
        for layer in plan.layers:
            low, high = box(plan, layer)
            for at in range(low[0], high[0]):
                view = sliced(plan, layer, 0, at)
                self.watch.refresh(View(slice=view), at_once=True)
                told = answers.of_view(self.watch, view, "seconds")
                for chunk, state in zip(view.chunks(), told["states"], strict=True):
                    if state >= 0:
                        found[chunk] = Look(told["names"][state])
        return found


def expected(followed: Followed) -> dict[Chunk, Look]:
    """The same by the records themselves, chunk by chunk."""
    record, completion = followed.memory.record, followed.memory.completion
    at_work = {at.chunk for at in completion.at_work(1000)}
    found = {}
    for layer in record.plan.layers:
        for chunk in (record.plan.chunk_at(layer, at) for at in range(record.plan.total(layer))):
            failure = completion.failure(chunk)
            if is_done(record, completion, chunk):
                found[chunk] = Look.DONE
            elif failure and failure.dead:
                found[chunk] = Look.DISCARDED if failure.state is State.DISCARDED else Look.FAILED
            elif chunk in at_work:
                found[chunk] = Look.BUILDING
            elif layer == record.plan.fed:
                done = not record.plan.tables or completion.published(record.plan.chunk_at(1, 0))
                found[chunk] = Look.QUEUED if done else Look.WAITING
            else:
                found[chunk] = Look.QUEUED if layer == 0 or completion.published(chunk) else Look.WAITING
    return found


class Fallible(MemoryCompletion):
    """Records that cannot be reached while `broken` says why."""

    broken: Exception | None = None

    def look(self, waiting: Sequence[Chunk]) -> dict[Chunk, Seen]:
        self._check()
        return super().look(waiting)

    def progress(self, layers: Any) -> Any:
        self._check()
        return super().progress(layers)

    def _check(self) -> None:
        if self.broken:
            raise self.broken
