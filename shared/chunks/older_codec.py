"""Hand-offs of versions 1 and 2, which are read: a run may be begun by one release and ended by another.

    b"CGHO" | version u8 | header length u32 LE | crc32 u32 LE | header, JSON | frames, one after the other

The checksum is over all that stands before and behind it up to the frames, which have their own. The
header lists every frame with its name, dtype, count and length; there is one a column. Version 1 has no
digests. Invariants: as those of shared.chunks.codec.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from shared.chunks.digest import NONE, Digest
from shared.chunks.handoff import Face, FaceMap, HandOff
from shared.chunks.totals import check_counts, checked_totals
from shared.errors import DataError
from shared.inputs.packing import MAX_RATIO
from shared.plan.grid import FACES, Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.table.frames import decompressor

MAGIC = b"CGHO"
_PREFIX = struct.Struct("<4sBI")
_CHECKSUM = struct.Struct("<I")
_COLUMNS = {"near": "<u4", "far": "<u8", "old": "<u8", "new": "<u4"}
_TYPES = {"nodes": np.dtype("<u8")} | {
    f"{name}.{face}": np.dtype(dtype) for face in FACES for name, dtype in _COLUMNS.items()
}
_KEYS = {1: {"chunk", "max_root", "totals", "sections"}, 2: {"chunk", "digests", "max_root", "totals", "sections"}}
"""What a header has, by version."""
_BEGINS = {MAGIC + bytes([version]) for version in _KEYS}
_FACE = {str(face): face for face in FACES}


def is_older(data: bytes) -> bool:
    """Whether bytes begin as a hand-off of these versions does."""
    return data[:5] in _BEGINS


def decode_handoff(data: bytes, file: str, chunk: Chunk) -> HandOff:
    """The hand-off of `chunk` in a file's bytes; DataError if it is not one."""
    reader = _Reader(data, file, chunk)
    nodes = reader.nodes()
    faces = {}
    for face in reader.faces:
        columns = {name: reader.column(f"{name}.{face}") for name in _COLUMNS}
        near, far, old, new = columns.values()
        reader.check(len(near) == len(far) > 0, f"face {face}: near and far differ in length, or are empty")
        reader.check(len(old) == len(new) > 0, f"face {face}: old and new differ in length, or are empty")
        faces[face] = Face(near, far, old, new)
    named = [part for face in faces.values() for part in (face.near, face.new)]
    if named and np.concatenate(named).max() >= len(nodes):
        face = next(face for face, part in faces.items() if max(part.near.max(), part.new.max()) >= len(nodes))
        reader.check(False, f"face {face} names a node that is not there")
    return HandOff(chunk, nodes, faces, reader.max_root, reader.totals, reader.digests)


def decode_face_map(data: bytes, file: str, chunk: Chunk, face: int) -> FaceMap:
    """Only the map of one face of a hand-off; DataError if the bytes are not one of `chunk`."""
    reader = _Reader(data, file, chunk)
    digest = None if reader.digests is None else reader.digests.get(face, NONE)
    if face not in reader.faces:
        return FaceMap(NO_IDS, NO_IDS, digest)
    old, new, nodes = reader.column(f"old.{face}"), reader.column(f"new.{face}"), reader.nodes()
    good = len(old) == len(new) > 0 and int(new.max()) < len(nodes)
    reader.check(good, f"face {face}: the map is damaged")
    return FaceMap(old, nodes[new], digest)


@lru_cache(maxsize=256)
def _layout(*faces: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and types of the columns of a hand-off with these faces; those of a face stand together, in order."""
    names = ("nodes", *(f"{name}.{face}" for face in FACES if face in faces for name in _COLUMNS))
    return names, tuple(_TYPES[name].str for name in names)


class _Reader:
    """Finds columns in the bytes of one hand-off, whose header is checked and taken apart at once."""

    def __init__(self, data: bytes, file: str, chunk: Chunk) -> None:
        self.data, self.file, self.chunk = data, file, chunk
        start = _PREFIX.size + _CHECKSUM.size
        self.check(len(data) >= start, "it is cut off")
        magic, version, length = _PREFIX.unpack_from(data)
        known = magic == MAGIC and version in _KEYS
        self.check(known, "not a hand-off of versions 1 and 2")
        end = start + length
        self.check(end <= len(data), "it is cut off")
        checksum = zlib.crc32(data[: _PREFIX.size] + data[start:end])
        self.check(_CHECKSUM.unpack_from(data, _PREFIX.size)[0] == checksum, "its header is damaged (checksum)")
        try:
            found, after = self._take_apart(json.loads(data[start:end]), version, end)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(file, chunk, f"hand-off: its header is damaged ({error})") from error
        self.check(found == chunk, f"it is the hand-off of chunk {found}")
        self.check(after == len(data), f"it has {len(data)} bytes, but its header speaks of {after}")

    def _take_apart(self, header: Any, version: int, at: int) -> tuple[Chunk, int]:
        """Takes over what the header says; its chunk, and where the frames end that begin at `at`."""
        if set(header) != _KEYS[version]:
            raise ValueError(f"its keys are {sorted(header)!r:.200}")
        self.max_root, self.totals = header["max_root"], checked_totals(header["totals"])
        names, dtypes, counts, sizes = zip(*header["sections"], strict=True)
        self.faces = [int(name[5:]) for name in names if name.startswith("near.")]
        if (names, dtypes) != _layout(*self.faces):
            raise ValueError(f"its columns are {names!r:.200}, of types {dtypes!r:.200}")
        found = header["digests"] if version > 1 else None
        digests = () if found is None else found.items()
        digested = [number for _, (count, total) in digests for number in (count, total)]
        check_counts((*header["chunk"], self.max_root, *counts, *sizes, *digested))
        self.digests: dict[int, Digest] | None = {_FACE[face]: (count, total) for face, (count, total) in digests}
        if found is None:
            self.digests = None
        *starts, end = itertools.accumulate(sizes, initial=at)
        self.at = dict(zip(names, zip(counts, starts, sizes, strict=True), strict=True))
        return Chunk(*header["chunk"]), end

    def check(self, good: bool, reason: str) -> None:
        if not good:
            raise DataError(self.file, self.chunk, f"hand-off: {reason}")

    def nodes(self) -> Ids:
        nodes = self.column("nodes")
        self.check(bool((nodes[1:] > nodes[:-1]).all()), "its nodes are not in order")
        return nodes

    def column(self, name: str) -> npt.NDArray[Any]:
        count, at, size = self.at[name]
        dtype = _TYPES[name]
        bytes_out = count * dtype.itemsize
        frame = self.data[at : at + size]
        try:
            fits = zstandard.frame_content_size(frame) == bytes_out <= size * MAX_RATIO
            self.check(fits, f"column {name} is damaged")
            content = decompressor().decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise DataError(self.file, self.chunk, f"hand-off: column {name} is damaged ({error})") from error
        return np.frombuffer(content, dtype)
