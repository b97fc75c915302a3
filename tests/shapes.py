"""Volumes of chosen shapes in the field's file formats, large enough to be counted: dense, sparse, in slabs.

An object has a size in chunks, a power of two: it is everywhere in a cube of so many. Supervoxels touch others of
their chunk and, of those at its faces, some behind each face; of one object they are joined. Invariants: a volume
depends on its arguments alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shared.inputs.components import components_name, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, edges_name, encode_edges
from shared.plan.grid import Chunk, Grid, neighbour
from shared.plan.ids import IdLayout, Ids
from shared.plan.plan import Plan
from tests.volumes import Volume

Count = Callable[[Chunk, np.random.Generator], int]
"""How many supervoxels a chunk has."""
OBJECTS = 12
"""Of each size, in a cube."""
SCALES = 4


def shaped_volume(shape: tuple[int, int, int], count: Count, seed: int = 0) -> Volume:
    """A volume of `shape` chunks with `count` supervoxels in each; only its files are filled in."""
    rng = np.random.default_rng(seed)
    grid = Grid(shape)
    plan = Plan(grid, IdLayout(grid.layer_count), 3)
    volume = Volume(plan)
    ids: dict[Chunk, Ids] = {}
    objects: dict[Chunk, Ids] = {}
    for chunk in grid.chunks(2):
        many = count(chunk, rng)
        first = plan.ids.chunk_id(chunk._replace(layer=1)) + 1
        ids[chunk] = np.arange(first, first + many, dtype=np.uint64)
        objects[chunk] = _objects(chunk, many, rng)
    inside: dict[Chunk, list[Ids]] = {chunk: [] for chunk in ids}
    between: dict[Chunk, list[Ids]] = {chunk: [] for chunk in ids}
    for chunk, own in ids.items():
        if len(own) > 1:
            # Each touches the next ones of its object, and two others.
            order = np.argsort(objects[chunk], kind="stable")
            inside[chunk].append(np.stack([own[order[:-1]], own[order[1:]]], axis=1))
            inside[chunk].append(rng.choice(own, (2 * len(own), 2)))
        for face in (1, 3, 5):
            other = neighbour(chunk, face)
            if other in ids and len(own) and len(ids[other]):
                near, far = _touching(rng, objects[chunk], objects[other])
                pairs = np.stack([own[near], ids[other][far]], axis=1)
                between[chunk].append(pairs)
                between[other].append(pairs[:, ::-1])
    for chunk, own in ids.items():
        if not len(own):
            continue
        edges = ChunkEdges(_list(inside[chunk]), _list(between[chunk]), _list([]))
        volume.edges[edges_name(chunk)] = encode_edges(edges)
        around = [chunk, *grid.neighbours(chunk).values()]
        known, of = (np.concatenate([what[one] for one in around]) for what in (ids, objects))
        parts = [known[of == one] for one in np.unique(of).tolist()]
        volume.components[components_name(chunk)] = encode_components(parts)
        volume.supervoxels |= set(own.tolist())
    return volume


def _objects(chunk: Chunk, many: int, rng: np.random.Generator) -> Ids:
    """For each supervoxel the object that it is of, by a number that all its chunks know it by."""
    scale, number = rng.integers(0, SCALES, many), rng.integers(0, OBJECTS, many)
    found = np.zeros(many, np.uint64)
    for axis, coordinate in enumerate(chunk.coords):
        # Cubes do not end where parents do.
        shifted = coordinate + (number * (axis + 3) + axis) % 8
        found = found * np.uint64(1 << 10) + (shifted >> scale).astype(np.uint64)
    return found * np.uint64(64) + (scale * OBJECTS + number).astype(np.uint64)


def _touching(rng: np.random.Generator, one: Ids, other: Ids) -> tuple[Ids, Ids]:
    """Positions of supervoxels that touch through a face: as many as fit on one, most with one of their object."""
    many = max(1, int(1.5 * min(len(one), len(other)) ** (2 / 3)))
    near = rng.integers(0, len(one), many)
    far = rng.integers(0, len(other), many)
    order = np.argsort(other, kind="stable")
    place = np.searchsorted(other[order], one[near])
    same = (place < len(other)) & (other[order][np.minimum(place, len(other) - 1)] == one[near])
    far = np.where(same & (rng.random(many) < 0.7), order[np.minimum(place, len(other) - 1)], far)
    return near.astype(np.uint64), far.astype(np.uint64)


def _list(pairs: list[Ids]) -> EdgeList:
    every = np.concatenate([np.zeros((0, 2), np.uint64), *pairs])
    return EdgeList(every, np.full(len(every), 0.5, np.float32), np.ones(len(every), np.uint64))


def dense(_chunk: Chunk, rng: np.random.Generator) -> int:
    """Much the same everywhere."""
    return int(rng.normal(700, 60))


def sparse(_chunk: Chunk, rng: np.random.Generator) -> int:
    """Nothing in most chunks, and in the others anything from a few to a great many."""
    return int(rng.lognormal(5, 1)) if rng.random() < 0.3 else 0


def slabs(chunk: Chunk, rng: np.random.Generator) -> int:
    """Slabs with content and with little of it, by turns."""
    return int(rng.normal(600, 50) if chunk.z // 2 % 2 else rng.normal(60, 20))
