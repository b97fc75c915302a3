"""What a run writes beside its table, for the servers that will read it: processed files, and the volume.

A chunk's own job writes its two files before its rows and its hand-off, and its cut the voxels; the job of the top
chunk, which all others come before, notes that all is there (`shared.run.made_from`). Invariants: the same source
gives the same bytes each time. Where a chunk has nothing there is no file; where there is one after all, from an
earlier state of the source, it becomes an empty one, which says the same. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shared.inputs.components import Components, components_name
from shared.inputs.edges import ChunkEdges, edges_name, encode_edges
from shared.inputs.raw.processed import component_file, edge_file
from shared.inputs.source import InputSource
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation
from shared.run.made_from import MadeFrom
from shared.run.ports import Folder
from shared.run.record import RunRecord
from shared.timestamps import text_of

NO_EDGES = encode_edges(ChunkEdges())
NO_COMPONENTS = b""
"""Files that say of a chunk that it has none."""


class Output(Folder, Protocol):
    """A folder that files are written to, and never deleted from."""

    def put(self, name: str, data: bytes) -> None:
        """Writes one file, in place of any other of that name."""


class Voxels(Output, Protocol):
    """The folder of a volume that is written."""

    def write(self, chunk: Chunk, voxels: npt.NDArray[np.uint64]) -> None:
        """Stores the voxels of a chunk, (x, y, z)."""

    def begin(self, date: str) -> None:
        """Writes what tells readers of the volume, of a run that was begun at `date`."""


Open = Callable[[str], Output]


class Puts(Protocol):
    """Something of a chunk that is written before its hand-off."""

    def put(self) -> None:
        """Writes it; again, the same."""


@dataclass(frozen=True)
class ChunkFile:
    """One processed file of a chunk: its bytes, None if there is to be none, and what then replaces one."""

    folder: Output
    name: str
    data: bytes | None
    empty: bytes

    def put(self) -> None:
        """Writes it."""
        if self.data is not None:
            self.folder.put(self.name, self.data)
        elif self.folder.get([self.name])[self.name] not in (None, self.empty):
            self.folder.put(self.name, self.empty)


@dataclass(frozen=True)
class ChunkVoxels:
    """The voxels of a chunk, (x, y, z) uint64."""

    volume: Voxels
    chunk: Chunk
    voxels: npt.NDArray[np.uint64]

    def put(self) -> None:
        """Writes them."""
        self.volume.write(self.chunk, self.voxels)


@dataclass(frozen=True)
class Written:
    """The folders that a run writes to; None where it writes none."""

    edges: Output | None = None
    components: Output | None = None
    watershed: Voxels | None = None

    @classmethod
    def of(cls, record: RunRecord, storage: Open, volume: Callable[[Segmentation], Voxels]) -> Written:
        """Those of a run, opened by `storage` and `volume`."""

        def opened(name: str, folder: str | None) -> Output | None:
            return storage(folder) if folder is not None and name in record.written else None

        cut = record.segmentation
        watershed = volume(cut) if cut is not None and "watershed" in record.written else None
        return cls(opened("edges", record.edges), opened("components", record.components), watershed)

    def voxels(self, chunk: Chunk, voxels: npt.NDArray[np.uint64]) -> list[ChunkVoxels]:
        """What is written of a cut."""
        return [] if self.watershed is None else [ChunkVoxels(self.watershed, chunk, voxels)]

    def files(self, chunk: Chunk, source: InputSource) -> list[ChunkFile]:
        """The files of a chunk by what a source has; DataError for what is damaged."""
        found = []
        if self.edges is not None:
            edges = source.edges(chunk, [chunk])[chunk] or ChunkEdges()
            found.append(ChunkFile(self.edges, edges_name(chunk), edge_file(edges), NO_EDGES))
        if self.components is not None:
            parts = source.components(chunk, [chunk])[chunk] or Components()
            found.append(ChunkFile(self.components, components_name(chunk), component_file(parts), NO_COMPONENTS))
        return found

    def note(self, record: RunRecord, complete: bool) -> None:
        """Says in each folder what its files are made from, and whether all are there."""
        for folder in (self.edges, self.components, self.watershed):
            if folder is not None:
                made_from = MadeFrom.of(record, complete)
                folder.put(made_from.name, made_from.encode())
        if self.watershed is not None and not complete:
            self.watershed.begin(text_of(record.timestamp_ms / 1000))
