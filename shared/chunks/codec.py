"""The bytes of a hand-off: a header of numbers and five columns, as they are or, if they are large, in zstd frames.

    b"CGHO" | version u8 | header length u32 | crc32 of all before and of the header u32 | header | columns

    header   chunk 4 x u32 | max_root u64 | nodes u64 | digests known u64, 0 or 1
             | where each face's edges end 6 x u64 | where each face's map ends 6 x u64
             | digest of each face 6 x (count u64, sum u64) | crc32 of the columns as they are u64, 0 for frames
             | length of each frame 5 x u64, 0 without
             | totals, JSON, and spaces up to a multiple of 8 bytes
    columns  nodes u64 | far u64 | old u64 | near u32 | new u32; but for the nodes, face by face

All numbers are little-endian; frames have checksums of their own. A parent reads some thirty hand-offs, and what
a small one costs is its parts and its frames: unpacking one takes five times the time of its checksum.
Invariants: the same hand-off gives the same bytes; whatever else is read raises a DataError that names the file,
before anything is allocated for what a damaged header claims.
"""

from __future__ import annotations

import json
import struct
import zlib
from bisect import bisect_right
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from shared.chunks import older_codec
from shared.chunks.digest import NONE, Digest
from shared.chunks.handoff import Face, FaceMap, HandOff, Positions
from shared.chunks.older_codec import MAGIC
from shared.chunks.totals import Totals, checked_totals
from shared.errors import DataError
from shared.inputs.packing import MAX_RATIO
from shared.plan.grid import FACES, Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.table.frames import compressor, decompressor

VERSION = 3
"""Versions 1 and 2 are read as well (shared.chunks.older_codec)."""
LEVEL = 1
"""zstd level; hand-offs are read once or a few times and then thrown away."""
PLAIN = 1 << 15
"""So many bytes of columns are stored as they are."""
_PREFIX = struct.Struct("<4sBII")
_FIXED = struct.Struct("<4I3Q6Q6Q12QQ5Q")
_WIDE, _NARROW = np.dtype(np.uint64).newbyteorder("<"), np.dtype(np.uint32).newbyteorder("<")
_TYPES: dict[str, np.dtype[Any]] = {"nodes": _WIDE, "far": _WIDE, "old": _WIDE, "near": _NARROW, "new": _NARROW}
_NAMES = tuple(_TYPES)

Column = npt.NDArray[Any]


def encode_handoff(handoff: HandOff) -> bytes:
    """The bytes of a hand-off."""
    faces, digests = handoff.faces, handoff.digests or {}
    there = [faces[face] for face in sorted(faces)]
    columns = [np.asarray(handoff.nodes, _WIDE).tobytes()]
    for name, dtype in list(_TYPES.items())[1:]:
        columns.append(b"".join(np.asarray(getattr(face, name), dtype).tobytes() for face in there))
    plain, checksum = sum(map(len, columns)) <= PLAIN, 0
    if plain:
        columns = [b"".join(columns)]
        checksum = zlib.crc32(columns[0])
    else:
        columns = list(map(compressor(LEVEL, checksum=True).compress, columns))
    header = _FIXED.pack(
        *(*handoff.chunk, handoff.max_root, len(handoff.nodes), handoff.digests is not None),
        *accumulate(len(faces[face].far) if face in faces else 0 for face in FACES),
        *accumulate(len(faces[face].old) if face in faces else 0 for face in FACES),
        *(number for face in FACES for number in digests.get(face, NONE)),
        *(checksum, *([0] * len(_TYPES) if plain else map(len, columns))),
    )
    header += json.dumps(handoff.totals, sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-(_PREFIX.size + len(header)) % 8)  # so that ids lie where processors read them at once
    return b"".join([_PREFIX.pack(MAGIC, VERSION, len(header), _checksum(header)), header, *columns])


def decode_handoff(data: bytes, file: str, chunk: Chunk) -> HandOff:
    """The hand-off of `chunk` in a file's bytes; DataError if it is not one."""
    if older_codec.is_older(data):
        return older_codec.decode_handoff(data, file, chunk)
    reader = _Reader(data, file, chunk)
    nodes, far, old = reader.nodes(), reader.column("far"), reader.column("old")
    near, new = reader.positions("near"), reader.positions("new")
    faces = {}
    for face in FACES:
        first, last, low, high = reader.bounds(face)
        if first < last:
            faces[face] = Face(near[first:last], far[first:last], old[low:high], new[low:high])
    digests = {face: found for face in FACES if (found := reader.digest(face)) is not None and found != NONE}
    return HandOff(chunk, nodes, faces, reader.max_root, reader.totals(), digests if reader.digested else None)


def decode_face_map(data: bytes, file: str, chunk: Chunk, face: int) -> FaceMap:
    """Only the map of one face of a hand-off; DataError if the bytes are not one of `chunk`."""
    if older_codec.is_older(data):
        return older_codec.decode_face_map(data, file, chunk, face)
    reader = _Reader(data, file, chunk)
    *_, low, high = reader.bounds(face)
    if low == high:
        return FaceMap(NO_IDS, NO_IDS, reader.digest(face))
    old, new = reader.column("old")[low:high], reader.column("new")[low:high]
    try:
        return FaceMap(old, reader.column("nodes")[new], reader.digest(face))
    except IndexError:
        raise reader.wrong(f"face {face} names a node that is not there") from None


def _checksum(header: bytes) -> int:
    """Of all that stands before the frames, but for the checksum itself."""
    return zlib.crc32(header, zlib.crc32(_PREFIX.pack(MAGIC, VERSION, len(header), 0)))


class _Reader:
    """Finds columns in the bytes of one hand-off, whose header is checked and taken apart at once.

    Rows of face f are `edges[f]` to `edges[f + 1]` of far and near, `mapped[f]` to `mapped[f + 1]` of old and new.
    """

    def __init__(self, data: bytes, file: str, chunk: Chunk) -> None:
        self.data, self.file, self.chunk = data, file, chunk
        if len(data) < _PREFIX.size:
            raise self.wrong("it is cut off")
        magic, version, length, checksum = _PREFIX.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise self.wrong(f"not a hand-off of versions 1 to {VERSION}, which this release knows")
        self.end = end = _PREFIX.size + length
        if end > len(data):
            raise self.wrong("it is cut off")
        self.header = data[_PREFIX.size : end]
        if _checksum(self.header) != checksum or length < _FIXED.size:
            raise self.wrong("its header is damaged (checksum)")
        fixed = _FIXED.unpack_from(self.header)
        if fixed[:4] != chunk:
            raise self.wrong(f"it is the hand-off of chunk {Chunk(*fixed[:4])}")
        self.max_root, self.count, self.digested = fixed[4:7]
        self.edges, self.mapped = (0, *fixed[7:13]), (0, *fixed[13:19])
        self.digests, self.frames = fixed[19:31], fixed[32:]
        nodes, edges, mapped = self.count, self.edges[-1], self.mapped[-1]
        wide = 8 * (nodes + edges + mapped)
        self.size = wide + 4 * (edges + mapped)
        self.at = {
            "nodes": (0, nodes),
            "far": (8 * nodes, edges),
            "old": (8 * (nodes + edges), mapped),
            "near": (wide, edges),
            "new": (wide + 4 * edges, mapped),
        }
        after = end + (self.size if self.size <= PLAIN else sum(self.frames))
        if after != len(data):
            raise self.wrong(f"it has {len(data)} bytes, but its header speaks of {after}")
        if self.size <= PLAIN and zlib.crc32(memoryview(data)[end:]) != fixed[31]:
            raise self.wrong("its columns are damaged (checksum)")

    def column(self, name: str) -> Column:
        """One column, of all faces."""
        start, count = self.at[name]
        if self.size <= PLAIN:
            return np.frombuffer(self.data, _TYPES[name], count, self.end + start)
        return np.frombuffer(self._unpacked(_NAMES.index(name), count * _TYPES[name].itemsize), _TYPES[name])

    def nodes(self) -> Ids:
        """The waiting nodes, in order."""
        nodes = self.column("nodes")
        if not (nodes[1:] > nodes[:-1]).all():
            raise self.wrong("its nodes are not in order")
        return nodes

    def positions(self, name: str) -> Positions:
        """A column of positions in the nodes."""
        found = self.column(name)
        if len(found) and found.max() >= self.count:
            ends = self.edges if name == "near" else self.mapped
            face = bisect_right(ends, int(np.flatnonzero(found >= self.count)[0])) - 1
            raise self.wrong(f"face {face} names a node that is not there")
        return found

    def bounds(self, face: int) -> tuple[int, int, int, int]:
        """From where to where the edges of a face are, and the rows of its map."""
        first, last, low, high = *self.edges[face : face + 2], *self.mapped[face : face + 2]
        if not (first < last and low < high) and (first != last or low != high):
            raise self.wrong(f"face {face} has {last - first} edges and a map of {high - low} rows")
        return first, last, low, high

    def digest(self, face: int) -> Digest | None:
        """The digest of one face, None where it is not known."""
        return self.digests[2 * face : 2 * face + 2] if self.digested else None

    def totals(self) -> Totals:
        """The counts for the reports."""
        try:
            return checked_totals(json.loads(self.header[_FIXED.size :]))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self.wrong(f"its header is damaged ({error})") from error

    def _unpacked(self, number: int, length: int) -> bytes:
        """The content of a frame, which has to have that many bytes."""
        start = self.end + sum(self.frames[:number])
        frame = self.data[start : start + self.frames[number]]
        try:
            if zstandard.frame_content_size(frame) == length <= len(frame) * MAX_RATIO:
                return decompressor().decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise self.wrong(f"frame {number} is damaged ({error})") from error
        raise self.wrong(f"frame {number} is damaged")

    def wrong(self, reason: str) -> DataError:
        """The error for these bytes."""
        return DataError(self.file, self.chunk, f"hand-off: {reason}")
