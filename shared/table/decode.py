"""Reading cell values back: the inverse of `shared.table.cells`, for commands that inspect a table.

The build never reads a row; what holds here is that a damaged value raises ValueError.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import zstandard

from shared.plan.ids import Ids
from shared.table.frames import decompressor

MAX_CELL = 256 << 20
"""Bytes; Bigtable's own limit for a row. A frame that claims more is no cell of ours."""


def decode_id(value: bytes) -> int:
    """A parents cell."""
    if len(value) != 8:
        raise ValueError(f"{len(value)} bytes where one id of 8 bytes is expected")
    return int.from_bytes(value, "little")


def decode_counter(value: bytes) -> int:
    """A counter cell."""
    if len(value) != 8:
        raise ValueError(f"{len(value)} bytes where a counter of 8 bytes is expected")
    return int.from_bytes(value, "big", signed=True)


def decode_ids(value: bytes) -> Ids:
    """A children cell: (n,) uint64."""
    try:
        size = zstandard.frame_content_size(value)
        if not 0 <= size <= MAX_CELL:
            raise ValueError("a zstd frame that does not tell its size, or is too large")
        # A buffer of the right size is much faster than the usual one, as most cells are small.
        frame = decompressor().decompressobj(write_size=max(1, min(size, 1 << 17)))
        content = frame.decompress(value)
    except zstandard.ZstdError as error:
        raise ValueError(f"not a zstd frame ({error})") from error
    if not frame.eof or frame.unused_data or len(content) != size:
        raise ValueError("not one whole zstd frame and nothing else")
    if len(content) % 8:
        raise ValueError(f"{len(content)} bytes, not a whole number of ids")
    return np.frombuffer(content, "<u8")


def decode_pairs(value: bytes) -> npt.NDArray[np.uint64]:
    """An edge cell: (n, 2) uint64."""
    flat = decode_ids(value)
    if len(flat) % 2:
        raise ValueError(f"{len(flat)} ids, not a whole number of pairs")
    return flat.reshape(-1, 2)
