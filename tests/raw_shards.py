"""Raw agglomeration output of volumes and of chance, and what it means, in plain Python.

oracle_edges, oracle_components    the format's words with dictionaries and sets
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jobs.example.shards import PAIRS, RawFiles, Records, face_shards, inside_shards, remap_names, spread
from shared.inputs.components import decode_components
from shared.inputs.connected import connected_labels
from shared.inputs.edges import decode_edges
from shared.inputs.raw.ranges import Range
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import NO_IDS, IdLayout
from tests.volumes import Volume


class MemoryRanges:
    """Answers `RangeReader` from bytes in memory; `asked` notes what was read."""

    def __init__(self, files: Mapping[str, bytes], folder: str = "mem://raw") -> None:
        self.files, self.folder = dict(files), folder
        self.asked: list[Range] = []

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        self.asked += ranges
        found = [(self.files.get(name), start, length) for name, start, length in ranges]
        return [None if data is None else data[start : start + length] for data, start, length in found]


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
            columns: tuple[Sequence[float], ...] = (affinities, areas)
            for held, values in zip(total, columns, strict=True):
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
        near = [chunk, *grid.neighbours(chunk).values(), chunks[int(rng.integers(len(chunks)))]]
        pairs = [
            (any_of(chunk), any_of(near[int(rng.integers(len(near)))])) for _ in range(int(rng.integers(0, 4)))
        ]
        raw.entries[name].append(((own,), np.array(pairs, PAIRS)))
    return raw
