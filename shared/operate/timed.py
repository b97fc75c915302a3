"""The ports of a chunk that is built to be thrown away: what it reads is timed and counted, what it would write is
packed, counted and dropped.

Invariants: what is read is what a worker reads, by the same ports; nothing is written to what a dataset names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.classify import Classify
from shared.estimate.measured import FILES, INPUTS, Spent
from shared.inputs.raw.ranges import Range, RangeReader
from shared.inputs.segmentation.box import Volume, Volumes
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation, Triple
from shared.run.backend import Backend
from shared.run.ports import Board, Completion, Delivery, Folder, Orphans, Queue, Storage, Table
from shared.voxels.volume import packed_blocks, stored_block
from shared.work.written import Written

Clock = Callable[[], float]


@dataclass
class Tally:
    """What was had of each service since the last time that it was taken."""

    clock: Clock
    spent: dict[str, Spent] = field(default_factory=dict)

    @contextmanager
    def counting(self, service: str, requests: int) -> Any:
        """Times a call; whoever makes it appends the bytes that it brought to what is given."""
        sizes: list[int] = []
        began = self.clock()
        try:
            yield sizes
        finally:
            before = self.spent.get(service, Spent())
            self.spent[service] = before.and_more(self.clock() - began, requests, sum(sizes))

    def take(self) -> dict[str, Spent]:
        """All of it; it begins anew."""
        found, self.spent = self.spent, {}
        return found


@dataclass(frozen=True)
class TimedFolder:
    """Answers `shared.run.ports.Folder`."""

    inner: Folder
    tally: Tally

    @property
    def folder(self) -> str:
        """As it says."""
        return self.inner.folder

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """What it has."""
        with self.tally.counting(INPUTS, len(names)) as sizes:
            found = self.inner.get(names)
            sizes.extend(len(content) for content in found.values() if content)
        return found


@dataclass(frozen=True)
class TimedRanges:
    """Answers `shared.inputs.raw.ranges.RangeReader`."""

    inner: RangeReader
    tally: Tally

    @property
    def folder(self) -> str:
        """As it says."""
        return self.inner.folder

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        """What it has."""
        with self.tally.counting(INPUTS, len(ranges)) as sizes:
            found = self.inner.read(ranges)
            sizes.extend(len(content) for content in found if content)
        return found


@dataclass(frozen=True)
class TimedVolume:
    """Answers `shared.inputs.segmentation.box.Volume`; its bytes are those of the voxels, unpacked."""

    inner: Volume
    tally: Tally

    def read(self, low: Triple, high: Triple, chunk: Chunk) -> npt.NDArray[Any]:
        """What it has."""
        with self.tally.counting(INPUTS, 1) as sizes:
            found = self.inner.read(low, high, chunk)
            sizes.append(found.nbytes)
        return found


def timed_volumes(volumes: Volumes, tally: Tally) -> Volumes:
    """The volumes of a segmentation, each timed."""

    def timed(volume: Volume | None) -> TimedVolume | None:
        return None if volume is None else TimedVolume(volume, tally)

    labels = TimedVolume(volumes.labels, tally)
    return Volumes(volumes.segmentation, labels, timed(volumes.objects), timed(volumes.affinities))


@dataclass(frozen=True)
class Dropped:
    """A folder of files that are counted and dropped; answers `shared.work.written.Output`."""

    folder: str
    tally: Tally

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """None: nothing was written yet."""
        return dict.fromkeys(names)

    def put(self, name: str, data: bytes) -> None:
        """Counts a file."""
        with self.tally.counting(FILES, 1) as sizes:
            sizes.append(len(data))


@dataclass(frozen=True)
class DroppedVoxels(Dropped):
    """A volume whose blocks are packed, counted and dropped; answers `shared.work.written.Voxels`."""

    segmentation: Segmentation

    def begin(self, date: str) -> None:
        """Nothing."""

    def write(self, chunk: Chunk, voxels: npt.NDArray[np.uint64]) -> None:
        """Packs the voxels of a chunk."""
        low, _ = self.segmentation.box(*chunk.coords)
        with self.tally.counting(FILES, 0) as sizes:
            for _, content in packed_blocks(low, voxels, stored_block(self.segmentation.chunk_size)):
                sizes.append(len(content))
        before = self.tally.spent[FILES]
        self.tally.spent[FILES] = before.and_more(0.0, len(sizes), 0)


def dropped(written: Written, segmentation: Segmentation | None, tally: Tally) -> Written:
    """The same outputs, of which nothing is kept."""

    def of(kind: str, there: object) -> Dropped | None:
        return None if there is None else Dropped(kind, tally)

    watershed = None
    if written.watershed is not None and segmentation is not None:
        watershed = DroppedVoxels("watershed", tally, segmentation)
    return Written(of("edges", written.edges), of("components", written.components), watershed)


@dataclass(frozen=True)
class TimedBackend:
    """Answers `shared.run.backend.Backend`, with what is read of a dataset timed; `inner` keeps the rest in
    memory."""

    inner: Backend
    tally: Tally

    @property
    def project(self) -> str | None:
        """As it says."""
        return self.inner.project

    @property
    def scratch(self) -> str:
        """As it says."""
        return self.inner.scratch

    @property
    def classify(self) -> Classify:
        """As it says."""
        return self.inner.classify

    def inputs(self, folder: str) -> Folder:
        """Timed."""
        return TimedFolder(self.inner.inputs(folder), self.tally)

    def ranges(self, folder: str) -> RangeReader:
        """Timed, but for sorted tables, which are in memory here and in a bucket in a run."""
        found = self.inner.ranges(folder)
        return found if folder.startswith(self.scratch) else TimedRanges(found, self.tally)

    def storage(self, folder: str) -> Storage:
        """As it is."""
        return self.inner.storage(folder)

    def completion(self, graph: str, run: str) -> Completion:
        """As it is."""
        return self.inner.completion(graph, run)

    def orphans(self) -> Orphans:
        """As they are."""
        return self.inner.orphans()

    def board(self) -> Board:
        """As it is."""
        return self.inner.board()

    def queue(self, layers: Sequence[int]) -> Queue:
        """As it is."""
        return self.inner.queue(layers)

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Table:
        """As it is."""
        return self.inner.table(name, instance, verifying)

    def prepare(self, layers: Sequence[int]) -> None:
        """As it is."""
        self.inner.prepare(layers)

    def dead_letters(self) -> Iterable[Delivery]:
        """As they are."""
        return self.inner.dead_letters()
