"""zstd frames of the cells and hand-offs: each thread's own compressors and decompressor.

Making one costs as much as ten small frames, and none may be used by two threads at once. A frame of
very few bytes needs none: zstd stores those as they are.
"""

from __future__ import annotations

import threading

import zstandard

_OWN = threading.local()


def compressor(level: int, checksum: bool = False) -> zstandard.ZstdCompressor:
    """This thread's compressor of a level, for whole frames that say how long they are."""
    known: dict[tuple[int, bool], zstandard.ZstdCompressor] = _OWN.__dict__.setdefault("compressors", {})
    if (level, checksum) not in known:
        known[level, checksum] = zstandard.ZstdCompressor(level=level, write_checksum=checksum)
    return known[level, checksum]


def decompressor() -> zstandard.ZstdDecompressor:
    """This thread's decompressor, for whole frames."""
    if not hasattr(_OWN, "decompressor"):
        _OWN.decompressor = zstandard.ZstdDecompressor()
    found: zstandard.ZstdDecompressor = _OWN.decompressor
    return found


def stored_head(length: int) -> bytes:
    """What stands before `length` bytes, below 256, that a zstd frame stores as they are.

    Source: RFC 8878: magic number; a descriptor that says one segment, its length in the next byte; the
    header of a last and raw block.
    """
    return b"\x28\xb5\x2f\xfd\x20" + bytes([length]) + (length << 3 | 1).to_bytes(3, "little")
