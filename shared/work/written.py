"""The processed files that a run from raw output writes, for the servers that will read them.

A chunk's own job writes its two files before its rows and its hand-off; the job of the top chunk, which all
others come before, notes that every one is there (`shared.run.from_raw`). Invariants: the same raw output gives
the same bytes each time. Where a chunk has nothing there is no file; where there is one after all, from an
earlier state of the raw output, it becomes an empty one, which says the same. Nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.inputs.components import Components, components_name
from shared.inputs.edges import ChunkEdges, edges_name, encode_edges
from shared.inputs.raw.processed import component_file, edge_file
from shared.inputs.source import InputSource
from shared.plan.grid import Chunk
from shared.run.from_raw import FROM_RAW, FromRaw
from shared.run.ports import Folder
from shared.run.record import RunRecord

NO_EDGES = encode_edges(ChunkEdges())
NO_COMPONENTS = b""
"""Files that say of a chunk that it has none."""


class Output(Folder, Protocol):
    """A folder that files are written to, and never deleted from."""

    def put(self, name: str, data: bytes) -> None:
        """Writes one file, in place of any other of that name."""


Open = Callable[[str], Output]


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
class Written:
    """The folders that a run writes processed files to; None where it writes none."""

    edges: Output | None = None
    components: Output | None = None

    @classmethod
    def of(cls, record: RunRecord, storage: Open) -> Written:
        """Those of a run, opened by `storage`."""

        def opened(name: str, folder: str | None) -> Output | None:
            return storage(folder) if folder is not None and name in record.written else None

        return cls(opened("edges", record.edges), opened("components", record.components))

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
        """Says in each folder which raw output its files are from, and whether all are there."""
        for folder in (self.edges, self.components):
            if folder is not None:
                folder.put(FROM_RAW, FromRaw.of(record, complete).encode())
