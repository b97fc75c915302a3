"""Completion records in memory: gone with the process.

Invariants: the same as for the stored ones; a record is a set of done dependencies.
"""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts, Seen, hash_of
from shared.run.ports import Failure, LayerProgress, Orphan, State


@dataclass
class _Record:
    done: int = 0
    children: int = 0
    seconds: float = 0.0
    published: bool = False
    facts: dict[int, Facts] = field(default_factory=dict)

    def seen(self) -> Seen:
        return Seen(self.done, self.published, dict(self.facts))


class MemoryCompletion:
    """The records of one run; answers `shared.run.ports.Completion`."""

    stale = ""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._layers: defaultdict[int, defaultdict[Chunk, _Record]] = _no_records()
        self._failures: dict[Chunk, Failure] = {}
        self._at_work: dict[str, AtWork] = {}

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        """Sets the bit of one dependency; whether all `expected` are set now.

        Raises ValueError for a dependency that is not below `expected`, or more than 62 of them.
        """
        if not 0 <= dependency < expected <= 62:
            raise ValueError(f"chunk {waiting}: dependency {dependency} of {expected}")
        with self._lock:
            record = self._layers[waiting.layer][waiting]
            if not record.done >> dependency & 1:
                record.done |= 1 << dependency
                if child:
                    record.children += 1
                    record.seconds += seconds
                    if facts is not None:
                        record.facts[dependency] = facts
            return record.done == (1 << expected) - 1

    def note_published(self, waiting: Chunk) -> None:
        """Marks a record as published."""
        with self._lock:
            self._layers[waiting.layer][waiting].published = True

    def published(self, waiting: Chunk) -> bool:
        """Whether a record is marked as published."""
        with self._lock:
            record = self._layers[waiting.layer].get(waiting)
            return record is not None and record.published

    def done(self, waiting: Chunk) -> int:
        """The done bits of a record, 0 without one."""
        with self._lock:
            record = self._layers[waiting.layer].get(waiting)
            return record.done if record else 0

    def records(self, layer: int) -> Iterator[tuple[Chunk, int, bool]]:
        """Every record of a layer, as of now."""
        with self._lock:
            records = self._layers[layer].items()
            return iter([(chunk, record.done, record.published) for chunk, record in records])

    def look(self, waiting: Sequence[Chunk]) -> dict[Chunk, Seen]:
        """The records of those chunks that have one."""
        with self._lock:
            return {
                chunk: self._layers[chunk.layer][chunk].seen()
                for chunk in waiting
                if chunk in self._layers[chunk.layer]
            }

    def some(self, layer: int, most: int) -> list[tuple[Chunk, Seen]]:
        """The first records of a layer by a hash of their chunks, as they are stored elsewhere."""
        with self._lock:
            chosen = heapq.nsmallest(most, self._layers[layer], key=lambda chunk: (hash_of(chunk), chunk))
            return [(chunk, self._layers[layer][chunk].seen()) for chunk in chosen]

    def note_at_work(self, at: AtWork) -> None:
        """Keeps what a worker begins."""
        with self._lock:
            self._at_work[at.worker] = at

    def at_work(self, most: int) -> list[AtWork]:
        """What workers said last, by name."""
        with self._lock:
            return [self._at_work[name] for name in sorted(self._at_work)[:most]]

    def progress(self, layers: Iterable[int]) -> dict[int, LayerProgress]:
        """Sums over the records of the layer above, and how many of the layer itself are published."""
        with self._lock:
            return {layer: self._progress(layer) for layer in layers}

    def add_failure(self, failure: Failure) -> None:
        """Keeps the failure of a chunk in place of an earlier one."""
        self.change_failure(failure.chunk, lambda _: failure)

    def change_failure(self, chunk: Chunk, change: Callable[[Failure | None], Failure | None]) -> Failure | None:
        """Keeps what `change` makes of the failure of a chunk, and returns it."""
        with self._lock:
            changed = change(self._failures.get(chunk))
            if changed is None:
                self._failures.pop(chunk, None)
            else:
                self._failures[chunk] = changed
            return changed

    def failure(self, chunk: Chunk) -> Failure | None:
        """What is noted of a chunk, in whatever state."""
        with self._lock:
            return self._failures.get(chunk)

    def drop_failure(self, chunk: Chunk) -> None:
        """Forgets the failure of a chunk."""
        self.change_failure(chunk, lambda _: None)

    def failures(self) -> list[Failure]:
        """All failures that were not replayed, by chunk."""
        with self._lock:
            found = [self._failures[chunk] for chunk in sorted(self._failures)]
            return [failure for failure in found if failure.state is not State.REPLAYED]

    def some_failures(self, most: int) -> list[Failure]:
        """The first failures by a hash of their chunks, as they are stored elsewhere."""
        with self._lock:
            chosen = heapq.nsmallest(most, self._failures, key=lambda chunk: (hash_of(chunk), chunk))
            return [self._failures[chunk] for chunk in chosen]

    def clear(self) -> None:
        """Drops everything."""
        with self._lock:
            self._layers = _no_records()
            self._failures = {}
            self._at_work = {}

    def _progress(self, layer: int) -> LayerProgress:
        above = self._layers[layer + 1].values()
        return LayerProgress(
            done=sum(record.children for record in above),
            published=sum(record.published for record in self._layers[layer].values()),
            seconds=sum(record.seconds for record in above),
        )


def _no_records() -> defaultdict[int, defaultdict[Chunk, _Record]]:
    return defaultdict(lambda: defaultdict(_Record))


class MemoryOrphans:
    """Dead letters of no known run; answers `shared.run.ports.Orphans`."""

    def __init__(self) -> None:
        self._kept: dict[str, Orphan] = {}

    def keep(self, orphan: Orphan) -> None:
        """Keeps a dead letter, once."""
        self._kept[orphan.key] = orphan

    def all(self) -> list[Orphan]:
        """All of them, the oldest first."""
        return sorted(self._kept.values(), key=lambda orphan: orphan.published)

    def drop(self, orphan: Orphan) -> None:
        """Forgets a dead letter."""
        self._kept.pop(orphan.key, None)
