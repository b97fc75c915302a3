"""The voxels in the stored bytes of a block, whatever they are: foreign, damaged, or made to do harm.

    stored bytes -> unpacked (gzip, brotli, …) up to what such a block can have -> looked through -> decoded

Why: libraries unpack a small file to as much as it says, and the decoder of compressed_segmentation follows offsets
out of the bytes that it has, which ends the process or makes up labels. Invariants: nothing larger than the largest
block of that shape is allocated; ValueError says what is wrong with the bytes.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Voxels = npt.NDArray[Any]

WORD = 4
"""Bytes in which compressed_segmentation counts."""
BITS = (0, 1, 2, 4, 8, 16, 32)
"""Of a voxel, in a part of a block of compressed_segmentation."""


@dataclass(frozen=True)
class BlockFormat:
    """How the blocks of a volume are stored: `encoding` and `dtype` as its `info` has them, and for
    compressed_segmentation the voxels of its parts."""

    encoding: str
    dtype: np.dtype[Any]
    part: tuple[int, int, int] = (8, 8, 8)

    def decoded(self, data: bytes, packing: str | None, shape: tuple[int, int, int, int]) -> Voxels:
        """The voxels (x, y, z, channels) of a block's bytes, which are packed as `packing` says; ValueError."""
        from cloudvolume import chunks

        if not data:
            raise ValueError("it is empty")
        content = unpacked(data, packing, self._most(shape))
        if self.encoding == "raw":
            wanted = int(np.prod(shape)) * self.dtype.itemsize
            if len(content) != wanted:
                raise ValueError(f"it has {len(content):,} bytes of voxels instead of {wanted:,}")
        elif self.encoding == "compressed_segmentation":
            check_parts(content, shape, self.dtype, self.part)
        try:
            found: Voxels = np.asarray(
                chunks.decode(content, self.encoding, shape=shape, dtype=self.dtype, block_size=self.part)
            )
        except MemoryError:
            raise
        except Exception as error:  # each encoding has a library with errors of its own
            raise ValueError(f"it is no {self.encoding} ({type(error).__name__}: {error!s:.200})") from error
        if found.ndim == 3:
            found = found[..., None]
        if found.shape != shape or found.dtype != self.dtype:
            raise ValueError(f"it has {found.dtype} of shape {found.shape}, not {self.dtype} of {shape}")
        return found

    def _most(self, shape: Sequence[int]) -> int:
        """The most bytes that a block can have before it is packed."""
        voxels = int(np.prod(shape))
        if self.encoding == "raw":
            return voxels * self.dtype.itemsize
        if self.encoding == "compressed_segmentation":
            parts = int(np.prod([-(-side // part) for side, part in zip(shape[:3], self.part, strict=True)]))
            within = int(np.prod(self.part))
            return shape[3] * (WORD + parts * (2 * WORD + within * (WORD + self.dtype.itemsize)))
        return 2 * voxels * self.dtype.itemsize + (1 << 20)


def unpacked(data: bytes, packing: str | None, most: int) -> bytes:
    """The bytes that were packed, at most so many; ValueError."""
    unpack = _UNPACK.get((packing or "").lower())
    if unpack is None:
        raise ValueError(f"it is packed with {packing}, which is not known here")
    try:
        found = unpack(data, most)
    except (MemoryError, ValueError):
        raise
    except Exception as error:  # each packing has a library with errors of its own
        raise ValueError(
            f"it is not packed with {packing}, or damaged ({type(error).__name__}: {error})"
        ) from error
    if len(found) > most:
        raise ValueError(f"it unpacks to more than the {most:,} bytes that such a block can have")
    return found


def _gunzip(data: bytes, most: int) -> bytes:
    from cloudfiles.compression import gunzip

    # The size stands at the end, and no more than that is made. libdeflate is twice as fast as zlib.
    if len(data) < 18 or struct.unpack("<I", data[-4:])[0] > most:
        raise ValueError("it is cut off, or unpacks to more than such a block can have")
    if not _has_libdeflate():
        stream = zlib.decompressobj(31)
        return _whole(stream.decompress(data, most + 1), stream.eof, stream.unused_data, most)
    found: bytes = gunzip(data)
    return found


def _has_libdeflate() -> bool:
    from cloudfiles import compression

    return compression.deflate is not None


def _brotli(data: bytes, most: int) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    found = bytearray(stream.process(data, output_buffer_limit=most + 1))
    while not stream.is_finished() and not stream.can_accept_more_data() and len(found) <= most:
        found += stream.process(b"", output_buffer_limit=most + 1)
    return _whole(bytes(found), stream.is_finished(), b"", most)


def _zstd(data: bytes, most: int) -> bytes:
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        data, read_across_frames=False
    ) as stream:
        found: bytes = stream.read(most + 1)
    # A reader says nothing of a frame that is cut off.
    stated = zstandard.frame_content_size(data)
    if 0 <= stated != len(found) <= most:
        raise ValueError("it is cut off")
    return found


def _lzma(data: bytes, most: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=1 << 28)
    return _whole(stream.decompress(data, most + 1), stream.eof, stream.unused_data, most)


def _bzip2(data: bytes, most: int) -> bytes:
    stream = bz2.BZ2Decompressor()
    return _whole(stream.decompress(data, most + 1), stream.eof, stream.unused_data, most)


def _whole(found: bytes, ended: bool, more: bytes, most: int) -> bytes:
    if len(found) <= most and (not ended or more):
        raise ValueError("it is cut off" if not ended else "it goes on after its end")
    return found


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "": lambda data, most: data,
    "gzip": _gunzip,
    "br": _brotli,
    "zstd": _zstd,
    **dict.fromkeys(("xz", "lzma"), _lzma),
    **dict.fromkeys(("bz2", "bzip2"), _bzip2),
}


def check_parts(
    content: bytes, shape: tuple[int, int, int, int], dtype: np.dtype[Any], part: tuple[int, int, int]
) -> None:
    """ValueError for a block of compressed_segmentation any voxel of which would be looked up outside of it.

    Source: the format's page in Neuroglancer. A channel has two words a part: where its table is (24 bits) with the
    bits of a voxel (8), and where its values are, in words from the channel on; a table has labels of `dtype`.
    """
    if len(content) % WORD or len(content) < WORD * shape[3]:
        raise ValueError(f"it has {len(content):,} bytes, which are no words of {WORD}")
    words = np.frombuffer(content, "<u4")
    for start in words[: shape[3]].tolist():
        _check_channel(words[start:], shape[:3], dtype.itemsize // WORD, part)


def _check_channel(
    words: npt.NDArray[np.uint32], shape: tuple[int, ...], label: int, part: tuple[int, int, int]
) -> None:
    grid = tuple(-(-side // length) for side, length in zip(shape, part, strict=True))
    count = int(np.prod(grid))
    if len(words) < 2 * count:
        raise ValueError(f"it is cut off: {count:,} parts need {2 * count:,} words, and {len(words):,} are there")
    heads, values = words[: 2 * count : 2].astype(np.int64), words[1 : 2 * count : 2].astype(np.int64)
    tables, bits = heads & 0xFFFFFF, heads >> 24
    if not np.isin(bits, BITS).all():
        raise ValueError(f"it has {int(bits[~np.isin(bits, BITS)][0])} bits a voxel")
    # The parts at the upper ends of a block are stored as if they were whole, but no more of them is read.
    inside = np.stack(np.unravel_index(np.arange(count), grid, order="F"), axis=1)
    sides = np.minimum(np.array(shape) - inside * np.array(part), part)
    last = ((sides[:, 2] - 1) * part[1] + sides[:, 1] - 1) * part[0] + sides[:, 0] - 1
    ends = values + ((last + 1) * bits + 31) // 32
    if (ends[bits > 0] > len(words)).any():
        raise ValueError("it is cut off, or damaged: values of voxels lie beyond its end")
    # Tables do not say how long they are; only where one may reach over the end are its numbers looked at.
    for at in np.flatnonzero(tables + (1 << np.minimum(bits, 24)) * label > len(words)).tolist():
        highest = 0
        if bits[at]:
            number = int(bits[at])
            held = np.arange(int(last[at]) + 1)
            x, y, z = held % part[0], held // part[0] % part[1], held // (part[0] * part[1])
            read = (x < sides[at, 0]) & (y < sides[at, 1]) & (z < sides[at, 2])
            found = words[int(values[at]) + held * number // 32] >> ((held * number % 32).astype(np.uint32))
            highest = int((found & np.uint32((1 << number) - 1))[read].max())
        if int(tables[at]) + (highest + 1) * label > len(words):
            raise ValueError("it is cut off, or damaged: labels of voxels lie beyond its end")
