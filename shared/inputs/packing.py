"""What the bytes of an input file hold once they are unpacked: by how they begin, whatever the file's name.

zstd, gzip, bzip2, xz and plain bytes are read, as often as a tool packed them again. Invariants: no more
memory is taken than so short a file may hold; what a format allows (several frames, frames to be skipped)
is read, and all else is a ValueError that says what it is: a pointer, an error page, a file cut off.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import zstandard

MAX_UNPACKED = 4 << 30
"""Bytes; a file that claims more is refused before anything is allocated for it."""

MAX_GROWTH = 256
"""A file that holds more than this many times its own bytes is no input: an edge has 28 bytes, of
which its two ids keep one or two at the least, however well the rest compresses."""

ALWAYS_ALLOWED = 16 << 20
"""Bytes that any file may hold."""

MAX_RATIO = 1 << 15
"""No zstd frame holds more than this many times its own bytes: 4 can stand for a block of 2^17."""
_DEEPEST = 4
_PIECE = 1 << 20
_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")

_FOREIGN = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the file; get it with: git lfs pull"),
    (rb"(\.\./)*(\.git)?/annex/objects/", "a git-annex pointer, not the file; get it with: git annex get"),
    (rb"\s*(<!doctype html|<html)", "a page of HTML, as servers send in place of a file"),
    (rb"\s*(<\?xml|<error)", "an XML document, as buckets send with an error"),
    (rb"\s*[{\[]\s*([\"{\[\]}]|-?\d)", "JSON"),
    (rb"(outs|md5):\s", "a DVC pointer, not the file; get it with: dvc pull"),
    (rb"PK\x03\x04", "a zip archive"),
    (rb"(?s).{257}ustar", "a tar archive"),
    (rb"\x93NUMPY", "a numpy array"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"\x80[\x02-\x05]", "a pickle"),
    (rb"SO01", "a shard of raw agglomeration output"),
)
"""How files begin that stand where an input should, and what they are."""


def unpacked(data: bytes) -> bytes:
    """What a file holds; ValueError for too much, for a file that is cut off, and for one that is another thing."""
    most = min(MAX_UNPACKED, max(ALWAYS_ALLOWED, MAX_GROWTH * len(data)))
    for _ in range(_DEEPEST):
        unpack = _packing(data)
        if unpack is None:
            what = foreign(data)
            if what:
                raise ValueError(f"it is {what}")
            return data
        try:
            data = unpack(data, most)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, zstandard.ZstdError) as error:
            raise ValueError(f"{error}") from error
    raise ValueError(f"it is packed more than {_DEEPEST} times")


def foreign(data: bytes) -> str | None:
    """What a file is that begins as no input file does; None if nothing is known."""
    return next((what for begin, what in _FOREIGN if re.match(begin, data, re.IGNORECASE)), None)


def _packing(data: bytes) -> Callable[[bytes, int], bytes] | None:
    if data.startswith(zstandard.FRAME_HEADER) or _SKIPPED.match(data):
        return _zstd
    if data.startswith(b"\x1f\x8b"):
        return _gzip
    if data.startswith(b"BZh"):
        return lambda packed, most: _streams(packed, most, bz2.BZ2Decompressor)
    if data.startswith(b"\xfd7zXZ\x00"):
        return lambda packed, most: _streams(
            packed, most, lambda: lzma.LZMADecompressor(memlimit=ALWAYS_ALLOWED << 4)
        )
    return None


def _zstd(data: bytes, most: int) -> bytes:
    """The content of all zstd frames, those to be skipped left out; the same frame again counts once."""
    if data.startswith(zstandard.FRAME_HEADER):
        size = zstandard.frame_content_size(data)
        _check_claim(size, most)
        if size > 0:
            # As all writers do it: the frame says how much it holds, and no more memory than that is taken.
            with suppress(zstandard.ZstdError):
                return bytes(zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False))
    frames: list[bytes] = []
    at = 0
    while at < len(data):
        if _SKIPPED.match(data, at):
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            if at > len(data):
                raise ValueError("a frame is cut off")
        elif data.startswith(zstandard.FRAME_HEADER, at):
            content, at = _frame(data, at, most - sum(map(len, frames)))
            frames.append(content)
        else:
            raise ValueError("bytes follow the frame")
    if not frames:
        raise ValueError("it has no frame but such as are skipped")
    return frames[0] if len(set(frames)) == 1 else b"".join(frames)


def _check_claim(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"the frame claims {size} bytes, more than the {most} that so short a file may hold")


def _frame(data: bytes, start: int, most: int) -> tuple[bytes, int]:
    """The content of the frame at `start`, and where it ends.

    Each piece of input is small enough that what it can come to stays within the limit, up to one block.
    """
    size = zstandard.frame_content_size(data[start : start + 18])
    _check_claim(size, most)
    reader = zstandard.ZstdDecompressor().decompressobj()
    parts: list[bytes] = []
    total, at = 0, start
    while at < len(data) and not reader.eof:
        step = max(1, (most - total) // MAX_RATIO)
        parts.append(reader.decompress(data[at : at + step]))
        total += len(parts[-1])
        at = min(len(data), at + step)
        if total > most:
            raise ValueError(f"the frame holds more than the {most} bytes that so short a file may hold")
    if not reader.eof:
        raise ValueError("the frame is cut off")
    if size not in (-1, total):
        raise ValueError(f"the frame claims {size} bytes and holds {total}")
    return b"".join(parts), at - len(reader.unused_data)


def _gzip(data: bytes, most: int) -> bytes:
    """The content of all members of a gzip file; zeros behind them are padding, as for gzip itself."""
    parts: list[bytes] = []
    total = 0
    while data.strip(b"\x00"):
        reader = zlib.decompressobj(wbits=31)
        while not reader.eof:
            parts.append(reader.decompress(data, _PIECE))
            total += len(parts[-1])
            if total > most:
                raise ValueError(f"it holds more than the {most} bytes that so short a file may hold")
            data = reader.unconsumed_tail
            if not data and not reader.eof and not parts[-1]:
                raise ValueError("it is cut off")
        data = reader.unused_data
    return b"".join(parts)


def _streams(data: bytes, most: int, start: Callable[[], Any]) -> bytes:
    """The content of all streams of a bzip2 or xz file."""
    parts: list[bytes] = []
    total = 0
    while data:
        reader = start()
        while not reader.eof:
            parts.append(reader.decompress(data, _PIECE))
            total += len(parts[-1])
            if total > most:
                raise ValueError(f"it holds more than the {most} bytes that so short a file may hold")
            if reader.needs_input and not reader.eof:
                raise ValueError("it is cut off")
            data = b""
        data = reader.unused_data
    return b"".join(parts)
