"""Writing raw agglomeration output: shards of edges and of merged pairs, as format and field have them.

    RawFiles.entries    shard name -> [(keys, records)]    what is written, entry by entry
    RawFiles.files()    shard name -> bytes                as the agglomeration writes it
    spread(...)         edges and merged pairs of chunks, over all shards that may hold them: both orders
                        of keys, records the wrong way round, records that were split, entries missing

Invariants: written by the format's words, without a line of the code that reads it; the same seed gives the
same bytes.
"""

from __future__ import annotations

import itertools
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from shared.inputs.edges import ChunkEdges
from shared.plan.grid import Chunk, Grid, neighbour
from shared.plan.ids import IdLayout

DTYPES = {
    2: np.dtype([("sv1", "<u8"), ("sv2", "<u8"), ("aff", "<f4"), ("area", "<u8")]),
    3: np.dtype("<u8,<u8,<f8,<u8,<f8,<u8,<f8,<u8"),
    4: np.dtype("<u8,<u8,<f4,<u8,<f4,<u8,<f4,<u8"),
}
for version in (3, 4):
    DTYPES[version].names = ("sv1", "sv2", "aff_x", "area_x", "aff_y", "area_y", "aff_z", "area_z")
PAIRS = np.dtype([("one", "<u8"), ("other", "<u8")])

Keys = tuple[int, ...]
Records = np.ndarray[Any, Any]


def shard(entries: Sequence[tuple[Keys, bytes]], version: bytes = b"SO01") -> bytes:
    """The bytes of a shard with these payloads, the index at its end."""
    body, index = b"", b""
    for keys, payload in entries:
        stored = payload + struct.pack("<I", crc32(payload))
        index += struct.pack(f"<{len(keys) + 2}Q", *keys, 20 + len(body), len(stored))
        body += stored
    index += struct.pack("<I", crc32(index))
    return version + struct.pack("<QQ", 20 + len(body), len(index)) + body + index


@dataclass
class RawFiles:
    """Raw output of a data version over a grid, entry by entry."""

    grid: Grid
    ids: IdLayout
    version: int = 2
    resolution: tuple[float, float, float] = (4.0, 8.0, 32.0)
    entries: dict[str, list[tuple[Keys, Records]]] = field(default_factory=lambda: defaultdict(list))

    def files(self) -> dict[str, bytes]:
        """The bytes of each shard."""
        return {
            name: shard([(keys, records.tobytes()) for keys, records in entries])
            for name, entries in self.entries.items()
        }

    def write(self, folder: Path) -> None:
        """Writes the shards below a folder."""
        for name, data in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def chunk_id(self, chunk: Chunk) -> int:
        return self.ids.chunk_id(chunk._replace(layer=1))

    def records(self, rows: Sequence[tuple[int, int, float, int]]) -> Records:
        """Records of edges (sv1, sv2, affinity, area); with axes, all of it lies along a changing one."""
        found = np.zeros(len(rows), DTYPES[self.version])
        for at, (one, other, affinity, area) in enumerate(rows):
            axis = "" if self.version == 2 else "_" + "xyz"[at % 3]
            for name, value in (("sv1", one), ("sv2", other), ("aff" + axis, affinity), ("area" + axis, area)):
                found[name][at] = value
        return found


def face_shards(chunk: Chunk, face: int, kind: str) -> list[str]:
    """The names of the shards that may hold edges through a face, from the format's words."""
    axis = face // 2
    upper = neighbour(chunk, face) if face % 2 else chunk
    deltas = [d for d in itertools.product((0, -1), repeat=3) if d[axis] == -1]
    places = [tuple(at + d for at, d in zip(upper.coords, delta, strict=True)) for delta in deltas]
    return [f"chunked_rg/{kind}_0_{x}_{y}_{z}.data" for x, y, z in sorted(places) if min(x, y, z) >= 0]


def inside_shards(chunk: Chunk) -> list[str]:
    """The names of the shards that may hold edges inside a chunk."""
    places = itertools.product(*((at - 1, at) for at in chunk.coords))
    return [f"chunked_rg/in_chunk_0_{x}_{y}_{z}.data" for x, y, z in places if min(x, y, z) >= 0]


def remap_names(grid: Grid, chunk: Chunk) -> list[str]:
    """The names of the shards with the pairs of a chunk, one a mip level."""
    return [
        f"remap/done_{m}_{chunk.x >> m}_{chunk.y >> m}_{chunk.z >> m}.data" for m in range(grid.layer_count - 1)
    ]


def spread(
    raw: RawFiles,
    edges: Mapping[Chunk, ChunkEdges],
    pairs: Mapping[Chunk, np.ndarray[Any, Any]],
    seed: int = 0,
    split: float = 0.2,
) -> RawFiles:
    """Adds edges of chunks, as in processed files, and merged pairs (n, 2), to all shards that may have them."""
    rng = np.random.default_rng(seed)
    for chunk, lists in edges.items():
        _place(raw, rng, lists.inside, inside_shards(chunk), [(raw.chunk_id(chunk),)], split)
        for face in (1, 3, 5):
            other = neighbour(chunk, face)
            if other not in raw.grid:
                continue
            key = (raw.chunk_id(chunk), raw.chunk_id(other))
            for part, kind in ((lists.between, "between_chunks"), (lists.cross, "fake")):
                through = (
                    part.pairs >> np.uint64(raw.ids.segment_bits(1)) == key[1] >> raw.ids.segment_bits(1)
                ).any(1)
                chosen = type(part)(part.pairs[through], part.affinities[through], part.areas[through])
                _place(raw, rng, chosen, face_shards(chunk, face, kind), [key, key[::-1]], split)
    for chunk, listed in pairs.items():
        names = remap_names(raw.grid, chunk)
        level = rng.integers(0, len(names), len(listed))
        for at, name in enumerate(names):
            mine = np.ascontiguousarray(listed[level == at], "<u8").view(PAIRS).ravel()
            if len(mine) or rng.random() < 0.3:
                raw.entries[name].append(((raw.chunk_id(chunk),), mine))
    return raw


def _place(raw: RawFiles, rng: Any, part: Any, names: list[str], keys: list[Keys], split: float) -> None:
    """Puts edges as records into random shards, under a random one of the keys."""
    if not len(part.pairs):
        return
    records = np.zeros(len(part.pairs), DTYPES[raw.version])
    axis, along = ("", 1.0) if raw.version == 2 else ("_x", raw.resolution[0])
    records["sv1"], records["sv2"] = part.pairs[:, 0], part.pairs[:, 1]
    records["aff" + axis], records["area" + axis] = part.affinities / along, part.areas
    halves = rng.random(len(records)) < split
    twins = records[halves].copy()
    records["aff" + axis][halves] /= 2
    twins["aff" + axis] /= 2
    records["area" + axis][halves] //= 2
    twins["area" + axis] -= records["area" + axis][halves]
    records = np.concatenate([records, twins])
    flipped = (rng.random(len(records)) < 0.2) & (len(keys) == 2)
    records["sv1"][flipped], records["sv2"][flipped] = records["sv2"][flipped], records["sv1"][flipped]
    where = rng.integers(0, len(names) * len(keys), len(records))
    for at, (name, key) in enumerate(itertools.product(names, keys)):
        mine = records[where == at]
        if len(mine) or rng.random() < 0.2:
            raw.entries[name].append((key, mine))
