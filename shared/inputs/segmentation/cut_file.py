"""The bytes of a cut: a header and one zstd frame a column.

b"CGCT" | version u8 | header length u32 LE | crc32 u32 LE | header, JSON | frames, one after the other

As a hand-off has it (shared.chunks.codec). Invariants: the same cut gives the same bytes; whatever else is read
raises a DataError that names the file, before anything is allocated for what a damaged header claims."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from shared.errors import DataError
from shared.inputs.segmentation.cut import Cut, Plane
from shared.plan.grid import FACES, Chunk
from shared.voxels.contacts import Contacts

MAGIC, VERSION = b"CGCT", 1
LEVEL = 1
MOST_PIECES = 1 << 32
MOST_FOLD = 1 << 15
"""How far zstd can shrink anything: a block of at most 128 KiB takes four bytes or more."""

_PREFIX = struct.Struct("<4sBII")
_TYPES = {
    "original": "<u8",
    "objects": "<u8",
    "voxels": "<u8",
    "pairs": "<u4",
    "areas": "<u8",
    "affinities": "<f4",
    **{f"plane.{face}": "<u4" for face in FACES},
    **{f"affinities.{face}": "<f4" for face in FACES},
}


def encode_cut(cut: Cut) -> bytes:
    """The bytes of a cut."""
    compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress
    columns: dict[str, npt.NDArray[Any] | None] = {
        "original": cut.original,
        "objects": cut.objects,
        "voxels": cut.voxels,
        "pairs": cut.inside.pairs,
        "areas": cut.inside.areas,
        "affinities": cut.inside.affinities,
    }
    for face, plane in sorted(cut.planes.items()):
        columns[f"plane.{face}"] = plane.numbers
        columns[f"affinities.{face}"] = plane.affinities
    frames, sections = [], []
    for name, column in columns.items():
        if column is not None:
            frames.append(compress(np.ascontiguousarray(column, _TYPES[name]).tobytes()))
            sections.append([name, list(column.shape), len(frames[-1])])
    header = json.dumps({"chunk": list(cut.chunk), "sections": sections}, separators=(",", ":")).encode()
    return b"".join([_PREFIX.pack(MAGIC, VERSION, len(header), zlib.crc32(header)), header, *frames])


def decode_cut(data: bytes, file: str, chunk: Chunk) -> Cut:
    """The cut of `chunk` in a file's bytes; DataError if it is not one."""

    def check(good: bool, reason: str) -> None:
        if not good:
            raise DataError(file, chunk, f"cut: {reason}")

    check(len(data) >= _PREFIX.size, "it is cut off")
    magic, version, length, checksum = _PREFIX.unpack_from(data)
    check(magic == MAGIC and version == VERSION, f"not a cut of version {VERSION}, which this release knows")
    text = data[_PREFIX.size : _PREFIX.size + length]
    check(len(text) == length and zlib.crc32(text) == checksum, "its header is damaged (checksum)")
    try:
        header = json.loads(text)
        found = Chunk(*header["chunk"])
        sections = [(str(name), tuple(map(int, shape)), int(size)) for name, shape, size in header["sections"]]
        columns = _columns(data, sections, _PREFIX.size + length)
        cut = _cut(found, columns)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, zstandard.ZstdError) as error:
        raise DataError(file, chunk, f"cut: it is damaged ({error})") from error
    check(found == chunk, f"it is the cut of chunk {found}")
    return cut


def _columns(data: bytes, sections: list[tuple[str, tuple[int, ...], int]], at: int) -> dict[str, npt.NDArray[Any]]:
    """The columns that a header lists; ValueError for what cannot be."""
    columns: dict[str, npt.NDArray[Any]] = {}
    unpack = zstandard.ZstdDecompressor()
    for name, shape, size in sections:
        dtype = np.dtype(_TYPES[name])
        wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
        frame = data[at : at + size]
        if min(shape, default=0) < 0 or not zstandard.frame_content_size(frame) == wanted <= MOST_FOLD * len(frame):
            raise ValueError(f"column {name} is not of shape {shape}")
        if name in columns:
            raise ValueError(f"column {name} stands twice")
        columns[name] = np.frombuffer(unpack.decompress(frame, allow_extra_data=False), dtype).reshape(shape)
        at += size
    if at != len(data):
        raise ValueError(f"it has {len(data)} bytes, but its header speaks of {at}")
    return columns


def _cut(chunk: Chunk, columns: dict[str, npt.NDArray[Any]]) -> Cut:
    """The cut that columns come to; ValueError if they do not fit each other."""
    original, objects, voxels = columns["original"], columns["objects"], columns["voxels"]
    if not (len(original),) == original.shape == objects.shape == voxels.shape or len(original) >= MOST_PIECES:
        raise ValueError("its pieces are not as many everywhere")
    pairs, areas, affinities = columns["pairs"], columns["areas"], columns.get("affinities")
    fits = affinities is None or affinities.shape == areas.shape
    if not fits or areas.ndim != 1 or pairs.shape != (len(areas), 2):
        raise ValueError("its contacts are not as many everywhere")
    if not ((pairs[:, 0] > 0) & (pairs[:, 0] < pairs[:, 1])).all():
        raise ValueError("its contacts are not of two pieces, the smaller number first")
    planes = {
        face: Plane(columns[f"plane.{face}"], columns.get(f"affinities.{face}"))
        for face in FACES
        if f"plane.{face}" in columns
    }
    for plane in planes.values():
        if plane.numbers.ndim != 2 or (
            plane.affinities is not None and plane.affinities.shape != plane.numbers.shape
        ):
            raise ValueError("a plane has another shape")
    if any(f"affinities.{face}" in columns and face not in planes for face in FACES):
        raise ValueError("it has affinities of a plane that it has not")
    highest = max([int(part.max(initial=0)) for part in (pairs, *(plane.numbers for plane in planes.values()))])
    if highest > len(original):
        raise ValueError(f"it names piece {highest} of {len(original)}")
    return Cut(chunk, original, objects, voxels, Contacts(pairs, areas, affinities), planes)
