"""Raw agglomeration output as a source of chunks: the same values that the processed files give.

Invariants: nothing is written. What a worker remembers belongs to one such object, so a run's object
knows nothing of the files of an earlier run. An index that was remembered is read again before damage is
reported, so a shard that was replaced while the worker lives is read as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.errors import DataError
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges
from shared.inputs.raw.cache import CACHE_BYTES, Cache
from shared.inputs.raw.gather import read_edges
from shared.inputs.raw.ranges import RangeReader
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.remap import read_components
from shared.inputs.raw.shards import Shards
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout

Read = TypeVar("Read")


class RawAgglomeration:
    """The folder AGGLOMERATION, with `chunked_rg` and `remap` below it; at most `cache` bytes are kept."""

    def __init__(
        self, reader: RangeReader, grid: Grid, ids: IdLayout, records: RecordFormat, cache: int = CACHE_BYTES
    ) -> None:
        self._grid, self._ids, self._records = grid, ids, records
        self._cache = Cache(cache)
        self._shards = Shards(reader, self._cache)
        self._folder = reader.folder

    @property
    def folder(self) -> str:
        """The folder, for errors about edges that are not damaged and still wrong."""
        return self._folder

    def edges(self, chunk: Chunk) -> ChunkEdges:
        """The edges of a layer-2 chunk, each kind sorted by both ids; DataError for what is damaged."""
        return self._read(lambda: read_edges(self._shards, self._grid, self._ids, self._records, chunk))

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components]:
        """The components of each of the layer-2 chunks `of`, read for the build of `chunk`, which errors
        name; asking for several at once reads what they share once."""
        return self._read(lambda: read_components(self._shards, self._grid, self._ids, chunk, of))

    def _read(self, read: Callable[[], Read]) -> Read:
        try:
            return read()
        except DataError:
            if not self._cache.clear():
                raise
            return read()
