"""The hand-off: what a chunk leaves for its parent and its neighbours' parents, instead of rows to re-read.

It holds the nodes whose parent is not known yet and, face by face, the edges that leave the chunk.
All edges through one face have the same cross layer (`grid.cross_layer`), so none is stored.
Invariants: `nodes` is sorted and unique; the rows of every face are sorted and unique; the far end
of an edge is the other side's node as it was one layer lower (for layer 2: a supervoxel), and
`old` -> `new` of the same face is the map by which the other side lifts its own far ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.chunks.digest import NONE, Digest
from shared.chunks.totals import Totals
from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, IdLayout, Ids

Positions = npt.NDArray[np.uint32]
"""Positions in `HandOff.nodes`."""


def _no_positions() -> Positions:
    return np.zeros(0, np.uint32)


@dataclass(frozen=True)
class FaceMap:
    """Nodes behind a face by what neighbours know them as: `old` sorted (n,) uint64, `new` (n,) ids.

    `digest` is of the supervoxels' active edges through the face, None where it is not known.
    """

    old: Ids
    new: Ids
    digest: Digest | None = None


@dataclass(frozen=True)
class Face:
    """What leaves through one face: edges (`near` position, `far` id) and the map `old` -> `new` position."""

    near: Positions = field(default_factory=_no_positions)
    far: Ids = field(default_factory=lambda: NO_IDS)
    old: Ids = field(default_factory=lambda: NO_IDS)
    new: Positions = field(default_factory=_no_positions)


@dataclass(frozen=True)
class HandOff:
    """What `chunk` leaves: waiting `nodes` (n,) uint64, its `faces` with edges, the highest root
    segment made so far below it, and counts for the reports.

    `digests` has, for layer 2, the digest of the active edges through each face that has any; None where they
    are not known, as in hand-offs of older releases.
    """

    chunk: Chunk
    nodes: Ids
    faces: dict[int, Face]
    max_root: int
    totals: Totals
    digests: Mapping[int, Digest] | None = None

    def digest(self, face: int) -> Digest | None:
        """The digest of the active edges through a face; None if it is not known."""
        return None if self.digests is None else self.digests.get(face, NONE)

    def face_map(self, face: int) -> FaceMap:
        """The map that the chunk behind `face` lifts its far ends by; empty if nothing leaves there."""
        found = self.faces.get(face, Face())
        return FaceMap(found.old, self.nodes[found.new], self.digest(face))


def check_inside(ids: IdLayout, parts: Sequence[tuple[Chunk, Ids, str]]) -> None:
    """DataError, naming the file, unless each node is of the chunk that hands it off, or of one below it.

    A part is a chunk, nodes and the file that they are from; all chunks are of one layer.
    """
    nodes = np.concatenate([NO_IDS, *(part for _, part, _ in parts)])
    owner = np.repeat(np.arange(len(parts)), [len(part) for _, part, _ in parts])
    wanted = np.array([chunk.coords for chunk, _, _ in parts], np.int64).reshape(-1, 3)
    layers = ids.layers(nodes).astype(np.int64)
    wrong = np.ones(len(nodes), dtype=bool)
    for layer in np.flatnonzero(np.bincount(layers)).tolist():
        at = np.flatnonzero(layers == layer)
        if 2 <= layer <= parts[0][0].layer:
            coords = ids.coords(nodes[at], layer) >> parts[0][0].layer - layer
            wrong[at] = (coords != wanted[owner[at]]).any(axis=1)
    if wrong.any():
        first = np.flatnonzero(wrong)[0]
        chunk, _, file = parts[owner[first]]
        raise DataError(file, chunk, f"hand-off: node {nodes[first]} is not of this chunk, nor of one below it")
