"""Edge files: `edges_{x}_{y}_{z}.proto.zst`, one a layer-2 chunk (source: PyChunkedGraph's edge I/O).

A zstd frame of a ChunkEdges message, or one packed otherwise (`shared.inputs.packing`); ids and areas
little-endian uint64, affinities float32. Invariants: what comes out of `decode_edges` has whole columns of
equal length, but that affinities and areas, which no build uses, may be absent; whether its ids belong to
the chunk is for the build to check, which knows the grid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from google.protobuf.message import DecodeError

from shared.errors import DataError
from shared.inputs.names import EDGES
from shared.inputs.packing import unpacked
from shared.inputs.schema import ChunkEdgesMessage, parsed
from shared.plan.grid import Chunk


def edges_name(chunk: Chunk) -> str:
    """The name of a layer-2 chunk's edge file."""
    return EDGES.name(chunk)


@dataclass(frozen=True)
class EdgeList:
    """Edges between supervoxels: `pairs` (n, 2) uint64, `affinities` (n,) float32, `areas` (n,) uint64.

    Of the last two either may be empty where a file does not have it.
    """

    pairs: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 2), np.uint64))
    affinities: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    areas: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))


@dataclass(frozen=True)
class ChunkEdges:
    """The edges of one file by kind, in the words of the format: in, between and cross chunk."""

    inside: EdgeList = field(default_factory=EdgeList)
    between: EdgeList = field(default_factory=EdgeList)
    cross: EdgeList = field(default_factory=EdgeList)

    @property
    def count(self) -> int:
        """Edges of all kinds."""
        return sum(len(part.pairs) for part in (self.inside, self.between, self.cross))


def decode_edges(data: bytes | None, file: str, chunk: Chunk) -> ChunkEdges:
    """The edges in a file's bytes; None stands for a missing file, which means no edges, as an empty one does.

    Raises DataError, naming `file` and `chunk`, for anything that is not such a file.
    """
    if data is None:
        return ChunkEdges()
    try:
        content = unpacked(data)
        message = parsed(ChunkEdgesMessage, content)
        _check_once(message, len(content))
    except (DecodeError, ValueError) as error:
        raise DataError(file, chunk, f"not a ChunkEdges message ({error})") from error
    return ChunkEdges(
        inside=_decode_list(message.in_chunk, "in_chunk", file, chunk),
        between=_decode_list(message.between_chunk, "between_chunk", file, chunk),
        cross=_decode_list(message.cross_chunk, "cross_chunk", file, chunk),
    )


def _check_once(message: Any, size: int) -> None:
    """ValueError if a list stands in the content more than once, as in two messages one behind the other: only
    the last one would count. The library's own size takes as long as all the rest, so it is asked last."""
    expected = 0
    for part in (message.in_chunk, message.cross_chunk, message.between_chunk):
        columns = filter(None, (part.node_ids1, part.node_ids2, part.affinities, part.areas))
        inner = sum(_field_size(len(column)) for column in columns)
        expected += _field_size(inner) if inner else 0
    if expected < size and message.ByteSize() < size:
        raise ValueError("a list stands in it more than once, and only the last one would count")


def _field_size(length: int) -> int:
    """Bytes of a protobuf field that holds so many: its tag, its length and itself."""
    return 1 + max(1, -(-length.bit_length() // 7)) + length


def encode_edges(edges: ChunkEdges, level: int = 3) -> bytes:
    """The bytes of an edge file; `level` is zstd's."""
    message = ChunkEdgesMessage(
        in_chunk=_encode_list(edges.inside),
        between_chunk=_encode_list(edges.between),
        cross_chunk=_encode_list(edges.cross),
    )
    return zstandard.ZstdCompressor(level=level).compress(message.SerializeToString())


def _decode_list(message: Any, kind: str, file: str, chunk: Chunk) -> EdgeList:
    columns = {
        "node_ids1": (message.node_ids1, "<u8"),
        "node_ids2": (message.node_ids2, "<u8"),
        "affinities": (message.affinities, "<f4"),
        "areas": (message.areas, "<u8"),
    }
    for name, (raw, dtype) in columns.items():
        if len(raw) % np.dtype(dtype).itemsize:
            raise DataError(file, chunk, f"{kind}.{name} has {len(raw)} bytes, not a whole number of {dtype}")
    first, second, affinities, areas = (np.frombuffer(raw, dtype) for raw, dtype in columns.values())
    lengths = [len(first), len(second), len(affinities), len(areas)]
    if len({*lengths[:2], *filter(None, lengths[2:])}) != 1:
        raise DataError(file, chunk, f"{kind} columns have unequal lengths {lengths}")
    return EdgeList(np.stack([first, second], axis=1), affinities, areas)


def _encode_list(edges: EdgeList) -> dict[str, bytes]:
    return {
        "node_ids1": np.ascontiguousarray(edges.pairs[:, 0], "<u8").tobytes(),
        "node_ids2": np.ascontiguousarray(edges.pairs[:, 1], "<u8").tobytes(),
        "affinities": edges.affinities.astype("<f4").tobytes(),
        "areas": edges.areas.astype("<u8").tobytes(),
    }
