"""Edge files: `edges_{x}_{y}_{z}.proto.zst`, one a layer-2 chunk (source: PyChunkedGraph's edge I/O).

A zstd frame of a ChunkEdges message; ids and areas little-endian uint64, affinities float32.
Invariants: what comes out of `decode_edges` has whole columns of equal length; whether its ids
belong to the chunk is for the build to check, which knows the grid.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from google.protobuf.message import DecodeError

from shared.errors import DataError
from shared.inputs.schema import ChunkEdgesMessage, parsed
from shared.plan.grid import Chunk

MAX_DECOMPRESSED = 4 << 30
"""Bytes; a frame that claims more is refused before anything is allocated for it."""

MAX_GROWTH = 256
"""A frame that holds more than this many times its own bytes is no edge file: an edge has 28 bytes, of
which its two ids keep one or two at the least, however well the rest compresses."""

ALWAYS_ALLOWED = 16 << 20
"""Bytes that any frame may hold."""
_MAX_RATIO = 1 << 15
"""No zstd frame holds more than this many times its own bytes: 4 can stand for a block of 2^17."""


def edges_name(chunk: Chunk) -> str:
    """The name of a layer-2 chunk's edge file."""
    return f"edges_{chunk.x}_{chunk.y}_{chunk.z}.proto.zst"


@dataclass(frozen=True)
class EdgeList:
    """Edges between supervoxels: `pairs` (n, 2) uint64, `affinities` (n,) float32, `areas` (n,) uint64."""

    pairs: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 2), np.uint64))
    affinities: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    areas: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))


@dataclass(frozen=True)
class ChunkEdges:
    """The edges of one file by kind, in the words of the format: in, between and cross chunk."""

    inside: EdgeList = field(default_factory=EdgeList)
    between: EdgeList = field(default_factory=EdgeList)
    cross: EdgeList = field(default_factory=EdgeList)


def decode_edges(data: bytes | None, file: str, chunk: Chunk) -> ChunkEdges:
    """The edges in a file's bytes; None stands for a missing file, which means no edges.

    Raises DataError, naming `file` and `chunk`, for anything that is not such a file.
    """
    if data is None:
        return ChunkEdges()
    try:
        message = parsed(ChunkEdgesMessage, _decompress(data))
    except (zstandard.ZstdError, DecodeError, ValueError) as error:
        raise DataError(file, chunk, f"not a zstd frame of ChunkEdges ({error})") from error
    return ChunkEdges(
        inside=_decode_list(message.in_chunk, "in_chunk", file, chunk),
        between=_decode_list(message.between_chunk, "between_chunk", file, chunk),
        cross=_decode_list(message.cross_chunk, "cross_chunk", file, chunk),
    )


def encode_edges(edges: ChunkEdges, level: int = 3) -> bytes:
    """The bytes of an edge file; `level` is zstd's."""
    message = ChunkEdgesMessage(
        in_chunk=_encode_list(edges.inside),
        between_chunk=_encode_list(edges.between),
        cross_chunk=_encode_list(edges.cross),
    )
    return zstandard.ZstdCompressor(level=level).compress(message.SerializeToString())


def _decompress(data: bytes) -> bytes:
    """The content of one whole zstd frame; ValueError if it is too large, even if only for the bytes
    that it has, cut off or followed by more."""
    if not data.startswith(zstandard.FRAME_HEADER):
        raise ValueError("it begins with something else")
    size = zstandard.frame_content_size(data)
    most = min(MAX_DECOMPRESSED, max(ALWAYS_ALLOWED, MAX_GROWTH * len(data)))
    if size > most:
        raise ValueError(f"the frame claims {size} bytes, more than the {most} that so short a frame may hold")
    if size > 0:
        # As all writers do it: the frame says how much it holds, and no more memory than that is taken.
        with suppress(zstandard.ZstdError):
            return bytes(zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False))
    return _in_pieces(data, size, most)


def _in_pieces(data: bytes, size: int, most: int) -> bytes:
    """The content of a frame that does not say how large it is; otherwise what is wrong with it.

    Each piece of input is small enough that what it can come to stays within the limit, up to one block.
    """
    reader = zstandard.ZstdDecompressor().decompressobj()
    parts: list[bytes] = []
    total = at = 0
    while at < len(data) and not reader.eof:
        step = max(1, (most - total) // _MAX_RATIO)
        parts.append(reader.decompress(data[at : at + step]))
        total += len(parts[-1])
        at += step
        if total > most:
            raise ValueError(f"the frame holds more than the {most} bytes that so short a frame may hold")
    if not reader.eof:
        raise ValueError("the frame is cut off")
    if reader.unused_data or at < len(data):
        raise ValueError("bytes follow the frame")
    if size not in (-1, total):
        raise ValueError(f"the frame claims {size} bytes and holds {total}")
    return b"".join(parts)


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
    if len(set(lengths)) != 1:
        raise DataError(file, chunk, f"{kind} columns have unequal lengths {lengths}")
    return EdgeList(np.stack([first, second], axis=1), affinities, areas)


def _encode_list(edges: EdgeList) -> dict[str, bytes]:
    return {
        "node_ids1": np.ascontiguousarray(edges.pairs[:, 0], "<u8").tobytes(),
        "node_ids2": np.ascontiguousarray(edges.pairs[:, 1], "<u8").tobytes(),
        "affinities": edges.affinities.astype("<f4").tobytes(),
        "areas": edges.areas.astype("<u8").tobytes(),
    }
