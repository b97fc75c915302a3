"""Small random volumes in the field's own file formats, and what is true of them.

  chunk 0    chunk 1         each chunk: up to `size` supervoxels; in edges between its own,
+---------+---------+        between and cross edges to face neighbours, written to both files
| a--b    | e       |        (some the other way round); components from random objects, with
|     c===|==d   f  |        a few ids dropped from single files, so that sides disagree.
+---------+---------+
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from shared.chunks.active import ActiveEdges
from shared.chunks.ends import Pairs
from shared.inputs.components import components_name, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, edges_name, encode_edges
from shared.plan.grid import Chunk, Grid, neighbour
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan

Edge = tuple[int, int]


@dataclass
class Volume:
    """Files by name, and the facts that the oracle starts from."""

    plan: Plan
    edges: dict[str, bytes] = field(default_factory=dict)
    components: dict[str, bytes] = field(default_factory=dict)
    supervoxels: set[int] = field(default_factory=set)
    active: set[Edge] = field(default_factory=set)
    disagreements: int = 0


def edge_list(pairs: list[Edge], affinity: float = 0.5) -> EdgeList:
    """Pairs as an EdgeList with one affinity and area 1."""
    array = np.array(pairs, np.uint64).reshape(-1, 2)
    return EdgeList(array, np.full(len(pairs), affinity, np.float32), np.ones(len(pairs), np.uint64))


def by_face(active: ActiveEdges) -> dict[int, Pairs]:
    """The active edges through each face that has any."""
    return {face: active.outside[active.faces == face] for face in sorted(set(active.faces.tolist()))}


def random_volume(
    seed: int,
    shape: tuple[int, int, int],
    size: int = 4,
    density: float = 0.5,
    schema: int = 2,
    disagree: float = 0.05,
) -> Volume:
    """A volume that depends on its arguments alone; `density` of possible edges exist."""
    rng = np.random.default_rng(seed)
    grid = Grid(shape)
    plan = Plan(grid, IdLayout(grid.layer_count), schema)
    volume = Volume(plan)
    of_chunk: dict[Chunk, list[int]] = {}
    for chunk in grid.chunks(2):
        count = 0 if rng.random() < 0.2 else int(rng.integers(0, size + 1))
        segments = rng.choice(5 * size, count, replace=False)
        of_chunk[chunk] = [plan.ids.chunk_id(chunk._replace(layer=1)) + int(s) for s in segments]
    objects = {sv: int(rng.integers(0, 3)) for svs in of_chunk.values() for sv in svs}

    inside: dict[Chunk, list[Edge]] = defaultdict(list)
    between: dict[Chunk, list[Edge]] = defaultdict(list)
    cross: dict[Chunk, list[Edge]] = defaultdict(list)
    for chunk, svs in of_chunk.items():
        for i, a in enumerate(svs):
            inside[chunk] += [(a, b) for b in svs[i + 1 :] if rng.random() < density]
        for face in (1, 3, 5):
            other = neighbour(chunk, face)
            for a in svs:
                for b in of_chunk.get(other, []):
                    if rng.random() < density / 3:
                        kind = cross if objects[a] == objects[b] and rng.random() < 0.3 else between
                        for side, pair in ((chunk, (a, b)), (other, (b, a))):
                            kind[side].append(pair[::-1] if rng.random() < 0.1 else pair)

    # A run over nothing is an error, a test run too: where a test run builds there is an edge at least.
    middle = Plan(grid, plan.ids, test=True).top
    tested = grid.children(middle) or [middle]
    if not any(inside[chunk] or between[chunk] or cross[chunk] for chunk in tested):
        first = plan.ids.chunk_id(tested[0]._replace(layer=1)) + 5 * size
        of_chunk[tested[0]] += (first, first + 1)
        objects.update(dict.fromkeys((first, first + 1), 0))
        inside[tested[0]].append((first, first + 1))

    listed: dict[Chunk, list[set[int]]] = {}
    for chunk, svs in of_chunk.items():
        known = set(svs).union(*(of_chunk[other] for other in grid.neighbours(chunk).values()))
        parts: dict[int, set[int]] = defaultdict(set)
        for sv in sorted(known):
            if rng.random() >= disagree:
                parts[objects[sv]].add(sv)
        listed[chunk] = list(parts.values())

    def same(chunk: Chunk, pair: Edge) -> bool:
        return any(pair[0] in part and pair[1] in part for part in listed[chunk])

    for chunk in grid.chunks(2):
        edges = ChunkEdges(edge_list(inside[chunk]), edge_list(between[chunk]), edge_list(cross[chunk], np.inf))
        if inside[chunk] or between[chunk] or cross[chunk] or rng.random() < 0.5:
            volume.edges[edges_name(chunk)] = encode_edges(edges)
        if listed[chunk] or rng.random() < 0.5:
            volume.components[components_name(chunk)] = encode_components(
                [np.array(sorted(part), np.uint64) for part in listed[chunk]]
            )
        own = set(of_chunk[chunk])
        touched = {sv for pair in inside[chunk] + between[chunk] + cross[chunk] for sv in pair}
        volume.supervoxels |= touched & own
        volume.active |= {pair for pair in inside[chunk] if same(chunk, pair)} | set(cross[chunk])
        for a, b in between[chunk]:
            other = plan.ids.chunk_of(b if a in own else a)._replace(layer=2)
            if chunk < other:
                if same(chunk, (a, b)):
                    volume.active.add((a, b))
                volume.disagreements += same(chunk, (a, b)) != same(other, (a, b))
    return volume


def something_to_test(volume: Volume) -> bool:
    """Whether there is an edge where a test run builds."""
    plan = replace(volume.plan, test=True)
    return any(plan.ids.chunk_of(sv)._replace(layer=2) in plan for sv in volume.supervoxels)


Point = tuple[tuple[int, int, int], int]
"""A supervoxel: the coordinates of its chunk, and its segment number."""


def traced_volume(shape: tuple[int, int, int], traces: list[list[Point]], schema: int = 3) -> Volume:
    """A volume of objects that are given as traces: each supervoxel has an active edge to the next one.

    Points of a trace that follow each other are in one chunk or in two that touch.
    """
    grid = Grid(shape)
    plan = Plan(grid, IdLayout(grid.layer_count), schema)
    volume = Volume(plan)
    inside: dict[Chunk, list[Edge]] = defaultdict(list)
    between: dict[Chunk, list[Edge]] = defaultdict(list)
    listed: dict[Chunk, list[set[int]]] = defaultdict(list)
    for trace in traces:
        chunks = [Chunk(2, *coords) for coords, _ in trace]
        ids = [plan.ids.chunk_id(at._replace(layer=1)) + point[1] for at, point in zip(chunks, trace, strict=True)]
        for at, near, a, b in zip(chunks, chunks[1:], ids, ids[1:], strict=False):
            assert at == near or near in grid.neighbours(at).values()
            if at == near:
                inside[at].append((a, b))
            else:
                between[at].append((a, b))
                between[near].append((b, a))
            volume.active.add((a, b))
            volume.supervoxels |= {a, b}
        for chunk in set(chunks):
            listed[chunk].append(set(ids))
    for chunk, parts in listed.items():
        lists = edge_list(inside[chunk]), edge_list(between[chunk]), edge_list([])
        volume.edges[edges_name(chunk)] = encode_edges(ChunkEdges(*lists))
        volume.components[components_name(chunk)] = encode_components(
            [np.array(sorted(part), np.uint64) for part in parts]
        )
    return volume
