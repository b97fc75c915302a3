"""What the verification of a chunk hands to those of its parent and of its neighbours' parents, and its bytes.

    b"CGVF" | version u8 | header length u32 LE | crc32 u32 LE | header, JSON | columns, as they are or zstd frames

Invariants: it holds what crosses the boundary alone: nodes that wait for a parent, and for each face the pairs
(node, far end) and the map by which the other side finds its far ends. Counts are of all chunks at and below its
own. The same verdict gives the same bytes; whatever else is read is a DataError.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from shared.chunks.codec import PLAIN
from shared.chunks.digest import NONE, Digest
from shared.chunks.handoff import Face, FaceMap
from shared.errors import DataError
from shared.inputs.packing import MAX_RATIO
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.table.frames import compressor, decompressor

MAGIC, VERSION = b"CGVF", 2
_PREFIX = struct.Struct("<4sBII")
_TYPES = {"nodes": "<u8", "masks": "<u8", "sizes": "<u8", "face": "u1", "near": "<u4", "far": "<u8"} | {
    "of": "u1",
    "old": "<u8",
    "new": "<u4",
}

LOST = np.uint64(1 << 63)
"""In a mask: a violation of the node's parent was told already, and it is here only for its edges."""

SIZES = 64
"""Objects are counted by size: so many classes, of 2^i to 2^(i+1) - 1 supervoxels."""

Counts = dict[int, dict[str, int]]
"""For each layer: `rows`, `single` (nodes with one child) and `violations` of its chunks."""


@dataclass(frozen=True)
class Frontier:
    """Nodes (n,) that wait for a parent, sorted; as bits the cross layers of the edges that leave them; and how
    many supervoxels each has. `parents` are what their rows name, 0 for none, and only where that was read."""

    nodes: Ids
    masks: Ids
    sizes: Ids
    parents: Ids

    @classmethod
    def joined(cls, parts: list[Frontier]) -> Frontier:
        """Several, as one, sorted."""
        columns = ([getattr(part, name) for part in parts] for name in ("nodes", "masks", "sizes", "parents"))
        nodes, *others = (np.concatenate([NO_IDS, *column]) for column in columns)
        order = np.argsort(nodes, kind="stable")
        return cls(nodes[order], *(other[order] for other in others))

    def take(self, at: npt.NDArray[Any]) -> Frontier:
        """Some of the nodes, by flags or positions."""
        return Frontier(self.nodes[at], self.masks[at], self.sizes[at], self.parents[at])


@dataclass(frozen=True)
class Verdict:
    """What the verification of `chunk` comes to: its `frontier`, what leaves through each face, digests of the
    supervoxels' edges (layer 2 alone), the highest root segment at or below it, counts, and objects by size."""

    chunk: Chunk
    frontier: Frontier
    faces: Mapping[int, Face] = field(default_factory=dict)
    digests: Mapping[int, Digest] = field(default_factory=dict)
    max_root: int = 0
    counts: Counts = field(default_factory=dict)
    objects: tuple[int, ...] = (0,) * SIZES

    @property
    def violations(self) -> int:
        """How many there are at and below the chunk."""
        return sum(of_layer.get("violations", 0) for of_layer in self.counts.values())

    def face_map(self, face: int) -> FaceMap:
        """The map that the chunk behind `face` finds its far ends by."""
        found = self.faces.get(face, Face())
        return FaceMap(found.old, self.frontier.nodes[found.new], self.digests.get(face, NONE))

    def encode(self) -> bytes:
        """The bytes of the verdict."""
        faces = sorted(self.faces)
        columns: dict[str, Any] = {name: getattr(self.frontier, name) for name in ("nodes", "masks", "sizes")}
        for name, number, part in (("near", "face", "near"), ("old", "of", "old")):
            counts = [len(getattr(self.faces[face], part)) for face in faces]
            columns[number] = np.repeat(np.array(faces, np.uint8), counts)
            for one in (name, {"near": "far", "old": "new"}[name]):
                columns[one] = np.concatenate(
                    [np.zeros(0, _TYPES[one]), *(getattr(self.faces[f], one) for f in faces)]
                )
        frames = [np.ascontiguousarray(columns[name], dtype).tobytes() for name, dtype in _TYPES.items()]
        plain = sum(map(len, frames)) <= PLAIN
        if not plain:
            frames = list(map(compressor(1, checksum=True).compress, frames))
        header = {
            "chunk": self.chunk,
            "digests": {str(face): digest for face, digest in sorted(self.digests.items())},
            "max_root": self.max_root,
            "counts": {str(layer): counts for layer, counts in sorted(self.counts.items())},
            "objects": self.objects,
            "sections": [[len(columns[name]), len(frame)] for name, frame in zip(_TYPES, frames, strict=True)],
            "checksum": zlib.crc32(b"".join(frames)) if plain else None,
        }
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        return b"".join([_PREFIX.pack(MAGIC, VERSION, len(text), zlib.crc32(text)), text, *frames])

    @classmethod
    def decode(cls, data: bytes, file: str, chunk: Chunk) -> Verdict:
        """The verdict of `chunk` in a file's bytes; DataError if it is not one."""
        try:
            return cls._decode(data, chunk)
        except (ValueError, TypeError, KeyError, RecursionError, struct.error, zstandard.ZstdError) as error:
            raise DataError(file, chunk, f"not what a verification handed on ({error})") from error

    @classmethod
    def _decode(cls, data: bytes, chunk: Chunk) -> Verdict:
        magic, version, length, checksum = _PREFIX.unpack_from(data)
        text, at = data[_PREFIX.size : _PREFIX.size + length], _PREFIX.size + length
        if magic != MAGIC or version != VERSION or zlib.crc32(text) != checksum:
            raise ValueError("its header is damaged, or of another version")
        header: dict[str, Any] = json.loads(text)
        if Chunk(*header["chunk"]) != chunk:
            raise ValueError(f"it is of chunk {header['chunk']}")
        plain = header["checksum"] is not None
        if plain and zlib.crc32(data[at:]) != header["checksum"]:
            raise ValueError("its columns are damaged (checksum)")
        columns: dict[str, npt.NDArray[Any]] = {}
        for (name, dtype), (count, size) in zip(_TYPES.items(), header["sections"], strict=True):
            frame, wanted = data[at : at + size], count * np.dtype(dtype).itemsize
            if not (size if plain else zstandard.frame_content_size(frame)) == wanted <= size * MAX_RATIO:
                raise ValueError(f"column {name} is damaged")
            content = frame if plain else decompressor().decompress(frame, allow_extra_data=False)
            columns[name] = np.frombuffer(content, dtype)
            at += size
        count = len(columns["nodes"])
        if at != len(data) or max(columns["near"].max(initial=0), columns["new"].max(initial=0)) >= max(count, 1):
            raise ValueError("its columns do not fit together")
        faces = {}
        for face in np.unique(columns["face"]).tolist():
            edges, maps = columns["face"] == face, columns["of"] == face
            ends = columns["near"][edges], columns["far"][edges], columns["old"][maps], columns["new"][maps]
            faces[face] = Face(*ends)
        return cls(
            chunk,
            Frontier(columns["nodes"], columns["masks"], columns["sizes"], np.zeros(count, np.uint64)),
            faces,
            {int(face): (int(number), int(total)) for face, (number, total) in header["digests"].items()},
            int(header["max_root"]),
            {int(layer): counts for layer, counts in header["counts"].items()},
            tuple(map(int, header["objects"])),
        )


def summed(parts: list[Verdict]) -> Counts:
    """The counts of several."""
    result: Counts = {}
    for part in parts:
        for layer, counts in part.counts.items():
            add(result, layer, counts)
    return result


def add(counts: Counts, layer: int, more: Mapping[str, int]) -> None:
    """Adds counts of one layer."""
    into = counts.setdefault(layer, {})
    for name, count in more.items():
        into[name] = into.get(name, 0) + count
