"""Writing raw agglomeration output, and what it means, in plain Python.

RawFiles.entries    shard name -> [(keys, records)]    what is written, entry by entry
RawFiles.files()    shard name -> bytes                as the agglomeration writes it
spread(...)         edges and merged pairs of chunks, over all shards that may hold them: both orders
                    of keys, records the wrong way round, records that were split, entries missing
oracle_edges, oracle_components                        the format's words with dictionaries and sets
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

from shared.chunks.labels import connected_labels
from shared.inputs.components import decode_components
from shared.inputs.edges import ChunkEdges, decode_edges
from shared.inputs.raw.ranges import Range
from shared.plan.grid import Chunk, Grid, neighbour
from shared.plan.ids import NO_IDS, IdLayout
from tests.volumes import Volume

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


class MemoryRanges:
    """Answers `RangeReader` from bytes in memory; `asked` notes what was read."""

    def __init__(self, files: Mapping[str, bytes], folder: str = "mem://raw") -> None:
        self.files, self.folder = dict(files), folder
        self.asked: list[Range] = []

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        self.asked += ranges
        found = [(self.files.get(name), start, length) for name, start, length in ranges]
        return [None if data is None else data[start : start + length] for data, start, length in found]


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


def raw_of_volume(volume: Volume, version: int = 2, seed: int = 0) -> RawFiles:
    """A volume as raw output; its components are the same where its files agree with each other (`disagree=0`)."""
    raw = RawFiles(volume.plan.grid, volume.plan.ids, version)
    return raw_of_files(raw, volume.edges, volume.components, seed)


def raw_of_files(
    raw: RawFiles, edges: Mapping[str, bytes], components: Mapping[str, bytes], seed: int = 0
) -> RawFiles:
    """Adds all edges of processed files, and for each chunk pairs of its supervoxels and the smallest one that
    the component files, all together, join them with."""
    lists = {
        Chunk(2, *map(int, name.split(".")[0].split("_")[1:])): decode_edges(data, name, raw.grid.root)
        for name, data in edges.items()
    }
    parts = [decode_components(data, name, raw.grid.root) for name, data in components.items()]
    firsts = [part.ids[np.unique(part.labels, return_index=True)[1]][part.labels] for part in parts]
    joined = np.stack([np.concatenate([NO_IDS, *(part.ids for part in parts)]), np.concatenate([NO_IDS, *firsts])])
    found, at = np.unique(joined, return_inverse=True)
    labels = connected_labels(len(found), at.reshape(2, -1).T)
    pairs = np.stack([found, found[np.unique(labels, return_index=True)[1]][labels]], axis=1)
    chunks = found >> np.uint64(raw.ids.segment_bits(1))
    starts = np.flatnonzero(np.diff(chunks, prepend=0))
    groups = np.split(pairs, starts[1:]) if len(starts) else []
    return spread(raw, lists, {raw.ids.chunk_of(int(rows[0, 0]))._replace(layer=2): rows for rows in groups}, seed)


def oracle_edges(raw: RawFiles, chunk: Chunk) -> dict[str, list[tuple[int, int, float, int]]]:
    """The edges of a chunk by kind, sorted: (inside end, other end, affinity, area)."""
    own = raw.chunk_id(chunk)

    def of(name: str) -> Any:
        return raw.entries.get(name, [])

    records: dict[str, list[tuple[int, int, list[float], list[int]]]] = defaultdict(list)

    def add(kind: str, rows: Records, swapped: bool) -> None:
        for one, other, *values in rows.tolist():
            one, other = (other, one) if swapped else (one, other)
            if raw.ids.chunk_of(one) != chunk._replace(layer=1):
                one, other = other, one
            records[kind].append((one, other, values[::2], values[1::2]))

    for name in inside_shards(chunk):
        for keys, rows in of(name):
            if keys == (own,):
                add("inside", rows, False)
    for face, near in raw.grid.neighbours(chunk).items():
        far = raw.chunk_id(near)
        for kind, word in (("between", "between_chunks"), ("cross", "fake")):
            for name in face_shards(chunk, face, word):
                for keys, rows in of(name):
                    if keys in ((own, far), (far, own)):
                        add(kind, rows, keys == (far, own))
    found: dict[str, list[tuple[int, int, float, int]]] = {}
    for kind in ("inside", "between", "cross"):
        sums: dict[tuple[int, int], list[list[float]]] = {}
        for one, other, affinities, areas in records[kind]:
            total = sums.setdefault((one, other), [[0.0] * len(affinities), [0] * len(areas)])
            for held, values in zip(total, (affinities, areas), strict=True):
                for axis, value in enumerate(values):
                    held[axis] += value
        weights = [1.0] if raw.version == 2 else list(raw.resolution)
        found[kind] = [
            (*pair, float("inf"), 1)
            if kind == "cross"
            else (*pair, _dot(affinities, weights), int(_dot(areas, weights)))
            for pair, (affinities, areas) in sorted(sums.items())
        ]
    return found


def _dot(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True))


def oracle_components(raw: RawFiles, chunk: Chunk) -> set[frozenset[int]]:
    """The components of a chunk, from its own pairs and those of its face neighbours."""
    parts: list[set[int]] = []
    for of in (chunk, *raw.grid.neighbours(chunk).values()):
        for name in remap_names(raw.grid, of):
            first = next((rows for keys, rows in raw.entries.get(name, []) if keys == (raw.chunk_id(of),)), None)
            for one, other in [] if first is None else first.tolist():
                touched = [part for part in parts if one in part or other in part]
                parts = [part for part in parts if part not in touched]
                parts.append({one, other}.union(*touched))
    return {frozenset(part) for part in parts}


def random_raw(
    seed: int, shape: tuple[int, int, int], version: int = 2, spatial_bits: int = 10, wild: bool = True
) -> RawFiles:
    """Raw output that depends on its arguments alone: a few supervoxels a chunk, and more records than pairs.

    `wild`: some entries are where nobody looks for them, have keys of chunks that do not touch, come twice
    or are empty, and segment numbers are large. Affinities are such that no sum of them is rounded.
    """
    rng = np.random.default_rng(seed)
    grid = Grid(shape)
    raw = RawFiles(grid, IdLayout(grid.layer_count, spatial_bits), version)
    chunks = list(grid.chunks(2))
    of_chunk: dict[Chunk, list[int]] = {}
    for chunk in chunks:
        highest = 2 ** int(rng.integers(3, raw.ids.segment_bits(1))) if wild else 20
        segments = rng.integers(0, highest, int(rng.integers(1, 6)))
        of_chunk[chunk] = [raw.chunk_id(chunk) + int(segment) for segment in segments]

    def any_of(chunk: Chunk) -> int:
        return of_chunk[chunk][int(rng.integers(len(of_chunk[chunk])))]

    def rows(one: Chunk, other: Chunk, turn: bool) -> Records:
        found = []
        for _ in range(int(rng.integers(0, 7))):
            pair = any_of(one), any_of(other)
            pair = pair[::-1] if turn and rng.random() < 0.2 else pair
            found.append((*pair, float(rng.integers(-8, 64)) / 8, int(rng.integers(0, 1000))))
        return raw.records(found)

    def pick(names: list[str], chunk: Chunk) -> str:
        if wild and rng.random() < 0.1:
            x, y, z = (max(0, at + int(rng.integers(-1, 2))) for at in chunk.coords)
            kind = names[0].split("/")[1].split("_0_")[0]
            return f"chunked_rg/{kind}_0_{x}_{y}_{z}.data"
        return names[int(rng.integers(len(names)))]

    for _ in range(4 * len(chunks)):
        chunk = chunks[int(rng.integers(len(chunks)))]
        own = raw.chunk_id(chunk)
        raw.entries[pick(inside_shards(chunk), chunk)].append(((own,), rows(chunk, chunk, False)))
        for face, other in grid.neighbours(chunk).items():
            kind = "between_chunks" if rng.random() < 0.7 else "fake"
            keys, ends = (own, raw.chunk_id(other)), (chunk, other)
            if rng.random() < 0.5:
                keys, ends = keys[::-1], ends[::-1]
            raw.entries[pick(face_shards(chunk, face, kind), chunk)].append((keys, rows(*ends, True)))
        if wild and rng.random() < 0.1:
            stranger = chunks[int(rng.integers(len(chunks)))]
            if stranger not in grid.neighbours(chunk).values():
                name = f"chunked_rg/between_chunks_0_{chunk.x}_{chunk.y}_{chunk.z}.data"
                raw.entries[name].append(((own, raw.chunk_id(stranger)), rows(chunk, stranger, True)))
        names = remap_names(grid, chunk)
        name = names[int(rng.integers(len(names)))]
        ends = [chunk, *grid.neighbours(chunk).values(), chunks[int(rng.integers(len(chunks)))]]
        pairs = [
            (any_of(chunk), any_of(ends[int(rng.integers(len(ends)))])) for _ in range(int(rng.integers(0, 4)))
        ]
        raw.entries[name].append(((own,), np.array(pairs, PAIRS)))
    return raw
