"""Runs of millions of chunks that need no room: completion records by a formula, which count what is read of
them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.look.reading import progress_reads
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.completion import MemoryCompletion
from shared.memory.dispatch import MemoryBoard
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts, Seen
from shared.run.ports import Failure, LayerProgress, State
from shared.run.record import RECORD_NAME, RunRecord
from tests.harness import TIMESTAMP_MS


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Reads:
    """Documents that a service charges for."""

    def __init__(self) -> None:
        self.count = 0
        self.times: list[tuple[float, int]] = []
        self.clock = Clock()

    def add(self, reads: int) -> None:
        self.count += reads
        self.times.append((self.clock(), reads))

    def in_any(self, seconds: float) -> int:
        """The most in any span of so many seconds."""
        return max(
            sum(reads for at, reads in self.times if begun <= at < begun + seconds) for begun, _ in self.times
        )


class Synthetic(MemoryCompletion):
    """A run in which a share of layer 2 is done, scattered over the volume, and of which nothing else is stored; a
    chunk above is done if all that it waits for is, and a few of layer 2 have failed."""

    def __init__(self, record: RunRecord, percent: int, failed: int, reads: Reads) -> None:
        super().__init__()
        self._plan, self._percent, self.reads = record.plan, percent, reads
        self.failed = [record.plan.chunk_at(2, 7919 * at % record.plan.total(2)) for at in range(failed)]

    def is_done(self, chunk: Chunk) -> bool:
        """Whether a chunk's end is noted."""
        if chunk.layer > 2:
            return self._percent >= 100
        return _scattered(chunk) % 100 < self._percent

    def look(self, waiting: Sequence[Chunk]) -> dict[Chunk, Seen]:
        self.reads.add(len(waiting))
        return {chunk: self._seen(chunk) for chunk in waiting}

    def _seen(self, chunk: Chunk) -> Seen:
        bits = {one: bit for one, bit in self._plan.bits(chunk).items() if self.is_done(one)}
        facts = {
            bit: Facts(seconds=_scattered(one) % 400 / 100, supervoxels=800, nodes=90, rows=900, worker="host")
            for one, bit in bits.items()
            if bit < 8
        }
        full = len(bits) == len(self._plan.bits(chunk))
        return Seen(sum(1 << bit for bit in bits.values()), full, facts)

    def some(self, layer: int, most: int) -> list[tuple[Chunk, Seen]]:
        self.reads.add(min(most, self._plan.total(layer) if layer <= self._plan.top.layer else 1))
        return []

    def at_work(self, most: int) -> list[AtWork]:
        self.reads.add(most)
        return [AtWork(f"host-{number}", self._plan.chunk_at(2, number), TIMESTAMP_MS) for number in range(most)]

    def progress(self, layers: Iterable[int]) -> dict[int, LayerProgress]:
        self.reads.add(progress_reads(self._plan))
        done = {2: self._plan.total(2) * self._percent // 100}
        return {layer: LayerProgress(done.get(layer, 0), 1 if layer > 2 else 0, 1.0) for layer in layers}

    def failure(self, chunk: Chunk) -> Failure | None:
        self.reads.add(1)
        return Failure(chunk, "DataError", "damaged", state=State.DEAD) if chunk in self.failed else None

    def some_failures(self, most: int) -> list[Failure]:
        found = [Failure(chunk, "DataError", "damaged", state=State.DEAD) for chunk in self.failed[:most]]
        self.reads.add(max(1, len(found)))
        return found


class CountingBoard(MemoryBoard):
    """A board that counts its reads."""

    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._reads = reads

    def recall(self, name: str) -> dict[str, float | str]:
        self._reads.add(1)
        return super().recall(name)


def synthetic_run(shape: tuple[int, int, int], percent: int = 60, failed: int = 0) -> tuple[Run, Reads]:
    """A run of that layer-2 grid, and what is read of it."""
    record = RunRecord("graph", "run", "graph", None, TIMESTAMP_MS, shape, "edges", "components")
    reads = Reads()
    backend = MemoryBackend(kept_board=CountingBoard(reads))
    backend.completions["graph", "run"] = Synthetic(record, percent, failed, reads)
    backend.storage(f"{MEMORY}scratch/graph").put(RECORD_NAME, record.encode())
    return Run.open(backend, "graph"), reads


def _scattered(chunk: Chunk) -> int:
    """A number that says nothing of where a chunk lies."""
    return (chunk.x * 73_856_093 ^ chunk.y * 19_349_663 ^ chunk.z * 83_492_791) >> 3
