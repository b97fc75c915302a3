"""Lifting: the far ends of edges, known from one layer below, become nodes of the children's layer.

Each child's hand-off names far ends as they were one layer lower. The chunk behind the face, child
or outside neighbour, handed off the map from there to its own nodes. What leads the same way, through
one face to other children or out of the parent, is lifted together, as a small parent costs what its
calls cost. Invariants: the edges between two children join the same pairs of nodes, whichever of the two is
asked; an id names a node of one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple

import numpy as np

from shared.chunks.digest import Digest
from shared.chunks.handoff import Face, FaceMap, HandOff, Positions
from shared.chunks.labels import Index
from shared.errors import DataError
from shared.inputs.names import EDGES
from shared.plan.grid import Chunk, Grid, cross_layer, opposite
from shared.plan.ids import Ids

FaceMaps = Mapping[tuple[Chunk, int], FaceMap]
"""By (chunk outside, its face): the maps of the outside neighbours of the children."""


@dataclass(frozen=True)
class Lifted:
    """The edges through one face of the children: `near` positions (uint32) in the waiting nodes, `far` ids.

    `layer` is their cross layer; `inner` edges lead to another child, the others leave the parent
    through its face of the same number. `lifted` is False where no map was given.
    """

    face: int
    layer: int
    near: Positions
    far: Ids
    inner: bool
    lifted: bool = True


class _Side(NamedTuple):
    """A face of a child with edges, and the chunk behind it."""

    child: Chunk
    number: int
    face: Face
    other: Chunk


def lift_edges(
    grid: Grid, children: Mapping[Chunk, HandOff], outside: FaceMaps | None, waiting: Ids
) -> tuple[list[Lifted], Index]:
    """All edges of the children of a chunk, and the distinct pairs (n, 2) of positions in `waiting` that the
    inner ones join; `waiting` has all nodes of the children, sorted.

    DataError if two chunks of layer 2 do not have the same active edges between them, if an edge between
    children does not come from both sides, or if the chunk outside that an edge leads to does not know its far
    end, or lies outside the grid.
    """
    place = _Place(children, waiting)
    edges: list[Lifted] = []
    pairs = np.zeros((0, 2), np.int64)
    inner, outer = _sides(grid, children)
    if inner:
        near = place([side.child for side in inner], [side.face.near for side in inner])
        maps = [children[side.other].faces.get(opposite(side.number), Face()) for side in inner]
        _compare(children, inner, [children[side.other].digest(opposite(side.number)) for side in inner])
        at = _found(children, inner, [found.old for found in maps])
        there = place([side.other for side in inner], [found.new for found in maps])[at]
        pairs = _joined(children, inner, near, there, waiting)
        edges += _by_face(inner, near, waiting[there], inner=True)
    if outer and outside is not None:
        near = place([side.child for side in outer], [side.face.near for side in outer])
        known = [outside[side.other, opposite(side.number)] for side in outer]
        _compare(children, outer, [found.digest for found in known])
        at = _found(children, outer, [found.old for found in known])
        edges += _by_face(outer, near, np.concatenate([found.new for found in known])[at])
    elif outer:
        near = place([side.child for side in outer], [side.face.near for side in outer])
        edges += _by_face(outer, near, np.concatenate([side.face.far for side in outer]), lifted=False)
    return edges, pairs


class _Place:
    """Where the nodes of children stand among all waiting ones."""

    def __init__(self, children: Mapping[Chunk, HandOff], waiting: Ids) -> None:
        nodes = [handoff.nodes for handoff in children.values()]
        self._place = np.searchsorted(waiting, np.concatenate(nodes)).astype(np.uint32)
        self._first = dict(zip(children, accumulate(map(len, nodes), initial=0), strict=False))

    def __call__(self, of: Sequence[Chunk], positions: Sequence[Positions]) -> Positions:
        """`positions[i]` in the nodes of the child `of[i]` as positions of waiting nodes, one after the other."""
        first = np.array([self._first[child] for child in of], np.uint32)
        found: Positions = self._place[np.concatenate(positions) + first.repeat(list(map(len, positions)))]
        return found


def _sides(grid: Grid, children: Mapping[Chunk, HandOff]) -> tuple[list[_Side], list[_Side]]:
    """The faces with edges that another child is behind, and the others, by their number; even ones first."""
    sides: tuple[list[_Side], list[_Side]] = [], []
    for child, handoff in children.items():
        behind = grid.neighbours(child)
        for number, face in handoff.faces.items():
            other = behind.get(number)
            if other is None:
                reason = f"edges leave through face {number}, where the volume ends"
                raise DataError(f"hand-off of {child}", child, reason)
            sides[other not in children].append(_Side(child, number, face, other))
    for some in sides:
        some.sort(key=lambda side: (side.number % 2, side.number))
    return sides


def _by_face(
    sides: list[_Side], near: Positions, far: Ids, inner: bool = False, lifted: bool = True
) -> Iterator[Lifted]:
    """The edges through each face, of all sides one after the other."""
    low = 0
    for number, some in groupby(sides, key=lambda side: side.number):
        of_face = list(some)
        high = low + sum(len(side.face.near) for side in of_face)
        yield Lifted(number, cross_layer(of_face[0].child, number), near[low:high], far[low:high], inner, lifted)
        low = high


def _compare(children: Mapping[Chunk, HandOff], sides: list[_Side], theirs: list[Digest | None]) -> None:
    """DataError unless a chunk of layer 2 and the one behind a face have the same active edges between them."""
    for (one, number, face, other), there in zip(sides, theirs, strict=True):
        here = children[one].digest(number)
        if one.layer > 2 or here is None or there is None or here == there:
            continue
        leads = f"from node {children[one].nodes[face.near[0]]} to {face.far[0]}"
        count = f"{here[0]:,} and {there[0]:,}" if here[0] != there[0] else f"{here[0]:,} each, but not the same"
        raise DataError(
            f"edge files of {one} and {other}",
            one,
            f"the active edges between the two, such as {leads}, have to be in both files, {EDGES.name(one)} "
            f"and {EDGES.name(other)}; these have {count}. With one_sided_edges: join what either has is taken "
            "for both",
        )


def _found(children: Mapping[Chunk, HandOff], sides: list[_Side], old: Sequence[Ids]) -> Index:
    """Where each far end of the sides, one after the other, stands in `old`, one after the other, too: `old[i]` is
    what the chunk behind side i is known to have; DataError for one that is not there."""
    counts = list(map(len, old))
    far = [side.face.far for side in sides]
    ends = np.array(counts).cumsum().repeat(list(map(len, far)))
    starts = accumulate(counts, initial=0)
    at: Index = np.concatenate(
        [known.searchsorted(ids) + start for known, ids, start in zip(old, far, starts, strict=False)]
    )
    ids = np.concatenate([*old, np.zeros(1, np.uint64)])  # one more, as a far end may be above all of them
    if ((ids[at] != np.concatenate(far)) | (at == ends)).any():
        for (child, _, face, other), known in zip(sides, old, strict=True):
            missing = np.flatnonzero(~np.isin(face.far, known))
            if len(missing):
                first = missing[0]
                raise _one_sided(child, other, children[child].nodes[face.near[first]], face.far[first])
    return at


def _joined(
    children: Mapping[Chunk, HandOff], sides: list[_Side], near: Positions, far: Positions, waiting: Ids
) -> Index:
    """The pairs that inner edges join; DataError if it is not the same pairs by one side's word as by the other's.

    A pair is the lower side's position times the count of waiting nodes, and the upper side's. Sides come lower
    faces first. Both sides have edges here: each one's far ends were found in the other's map. No pair of nodes
    has edges through two faces, so all faces are compared at once.
    """
    count = max(len(waiting), 1)
    upper = sum(len(side.face.near) for side in sides if side.number % 2 == 0)
    one, other = near.astype(np.int64), far.astype(np.int64)
    there = np.unique(other[:upper] * count + one[:upper])
    here = np.unique(one[upper:] * count + other[upper:])
    if not np.array_equal(here, there):
        pair = np.setxor1d(here, there)[0]
        ends = waiting[pair // count], waiting[pair % count]
        low, high = (next(child for child, handoff in children.items() if end in handoff.nodes) for end in ends)
        raise _one_sided(low, high, *ends) if pair in here else _one_sided(high, low, *ends[::-1])
    return np.stack([here // count, here % count], axis=1)


def _one_sided(knows: Chunk, lacks: Chunk, near: np.uint64, far: np.uint64) -> DataError:
    return DataError(
        f"edge files {'of' if knows.layer == 2 else 'below'} {knows} and {lacks}",
        knows,
        f"an active edge from node {near} leads to {far}, but {lacks} has no such edge; both files must have it",
    )
