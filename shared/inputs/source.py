"""Where the edges and components of a chunk come from; what comes after does not know which it was.

    ProcessedSource       edges_x_y_z.proto.zst and components_x_y_z.proto, one of each a chunk
    RawSource             raw agglomeration output, from which those files are made
    SegmentationSource    the cuts of a segmentation (shared.inputs.segmentation.source), from which they are made

Invariants: all give equal values for files that were written from the others. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.inputs.components import Components, components_name, decode_components
from shared.inputs.edges import ChunkEdges, decode_edges, edges_name
from shared.inputs.raw.source import RawAgglomeration
from shared.plan.grid import Chunk


class Files(Protocol):
    """Whole files below one folder."""

    @property
    def folder(self) -> str:
        """The folder, as messages for people name it."""

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such file."""


class InputSource(Protocol):
    """Edges and components of layer-2 chunks. Asking for several chunks at once costs fewer requests; `chunk`
    is the one that is built, which errors name."""

    @property
    def folder(self) -> str:
        """Where the edges are, for errors about all of them."""

    @property
    def agrees(self) -> bool:
        """Whether both chunks of a face have the same edges through it, however they were written."""

    @property
    def decides_alike(self) -> bool:
        """Whether both chunks of a face decide all edges through it alike, so that neither need ask the other."""

    def edges(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, ChunkEdges | None]:
        """The edges of each chunk, None where it has no file of them, which means none; DataError for what
        is damaged."""

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        """The components of each chunk, None where it has no file of them; DataError for what is damaged."""

    def place(self, of: Chunk) -> str:
        """Where the edges of a chunk are from, for errors about edges that are not damaged and still wrong."""


@dataclass(frozen=True)
class ProcessedSource:
    """A folder of edge files and one of component files."""

    edge_files: Files
    component_files: Files

    @property
    def folder(self) -> str:
        """The folder of the edge files."""
        return self.edge_files.folder

    @property
    def agrees(self) -> bool:
        """Each chunk has a file of its own."""
        return False

    @property
    def decides_alike(self) -> bool:
        """Each chunk has components of its own."""
        return False

    def edges(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, ChunkEdges | None]:
        """What the chunks' edge files hold."""
        found = self.edge_files.get([edges_name(one) for one in of])
        contents = {one: found[edges_name(one)] for one in of}
        return {
            one: None if data is None else decode_edges(data, self.place(one), chunk)
            for one, data in contents.items()
        }

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        """What the chunks' component files hold."""
        found = self.component_files.get([components_name(one) for one in of])
        contents = {one: found[components_name(one)] for one in of}
        folder = self.component_files.folder
        return {
            one: None if data is None else decode_components(data, f"{folder}/{components_name(one)}", chunk)
            for one, data in contents.items()
        }

    def place(self, of: Chunk) -> str:
        """The chunk's edge file."""
        return f"{self.edge_files.folder}/{edges_name(of)}"


@dataclass(frozen=True)
class RawSource:
    """Raw agglomeration output; a chunk without edges, or components, is one that has no file of them."""

    raw: RawAgglomeration

    @property
    def folder(self) -> str:
        """The folder AGGLOMERATION."""
        return self.raw.folder

    @property
    def agrees(self) -> bool:
        """Both read the same entries."""
        return True

    @property
    def decides_alike(self) -> bool:
        """Each chunk has components of its own."""
        return False

    def edges(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, ChunkEdges | None]:
        """The edges of the chunks, each kind sorted by both ids."""
        found = {one: self.raw.edges(one) for one in of}
        return {one: edges if edges.count else None for one, edges in found.items()}

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        """The components of the chunks, which share what is read for them."""
        found = self.raw.components(chunk, of)
        return {one: parts if len(parts.ids) else None for one, parts in found.items()}

    def place(self, of: Chunk) -> str:
        """The folder: the edges of a chunk are in many shards."""
        return self.raw.folder


class Remembered:
    """A source that keeps what was read, for one chunk's job: it builds from that, and writes it."""

    def __init__(self, source: InputSource) -> None:
        self._source = source
        self._edges: dict[Chunk, ChunkEdges | None] = {}
        self._components: dict[Chunk, Components | None] = {}

    @property
    def folder(self) -> str:
        """As the source says."""
        return self._source.folder

    @property
    def agrees(self) -> bool:
        """As the source says."""
        return self._source.agrees

    @property
    def decides_alike(self) -> bool:
        """As the source says."""
        return self._source.decides_alike

    def edges(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, ChunkEdges | None]:
        """As the source has them; asked for once."""
        if new := [one for one in of if one not in self._edges]:
            self._edges |= self._source.edges(chunk, new)
        return {one: self._edges[one] for one in of}

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        """As the source has them; asked for once."""
        if new := [one for one in of if one not in self._components]:
            self._components |= self._source.components(chunk, new)
        return {one: self._components[one] for one in of}

    def place(self, of: Chunk) -> str:
        """As the source says."""
        return self._source.place(of)
