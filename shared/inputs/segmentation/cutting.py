"""The cut of one chunk from its voxels: pieces, their objects and contacts, and the voxels of the new volume.

    labels -> pieces -> objects -> contacts -> planes
           -> ids of voxels

Invariants: pure; the same voxels (and answers of the tables) give the same cut.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.inputs.segmentation.cut import Cut, Plane
from shared.plan.grid import Chunk
from shared.plan.ids import IdLayout, Ids
from shared.plan.segmentation import REFUSE, Segmentation
from shared.voxels.contacts import Contacts, contacts_inside
from shared.voxels.meeting import Meeting, objects_at
from shared.voxels.pieces import Pieces, connected_pieces, whole_pieces

Voxels = npt.NDArray[Any]


class Tables(Protocol):
    """What tables say of supervoxels."""

    def objects_of(self, supervoxels: Ids) -> Ids:
        """The object of each, 0 where none is listed."""

    def scores_of(self, pairs: Ids) -> npt.NDArray[np.float32]:
        """The score of each pair (n, 2), in any order, NaN where none is listed."""


@dataclass(frozen=True)
class Box:
    """The voxels of a chunk: `labels` (x, y, z) unsigned; `objects` (x, y, z) and `affinities` (x, y, z, 3) float32
    where there are such volumes."""

    labels: Voxels
    objects: Voxels | None = None
    affinities: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Made:
    """A cut, and the supervoxel at each voxel (x, y, z) uint64."""

    cut: Cut
    voxels: npt.NDArray[np.uint64]


def cut_box(
    segmentation: Segmentation, ids: IdLayout, chunk: Chunk, box: Box, faces: Collection[int], tables: Tables | None
) -> Made:
    """Cuts a chunk of layer 1; `faces` are those behind which there is another chunk.

    DataError for a supervoxel that meets several objects; RangeOverflow for more pieces than ids.
    """
    if segmentation.flat:
        pieces = connected_pieces(
            box.labels, segmentation.split, segmentation.connectivity, segmentation.background
        )
    else:
        pieces = whole_pieces(box.labels, segmentation.background)
    numbers = np.concatenate([np.zeros(1, np.uint64), ids.node_ids(chunk, 1, len(pieces.original))])
    cut = Cut(
        chunk,
        pieces.original,
        _objects(segmentation, chunk, pieces, box, tables),
        pieces.voxels.astype(np.uint64),
        _inside(segmentation, pieces, box, tables),
        {face: _plane(pieces, box, face) for face in sorted(faces)},
    )
    return Made(cut, numbers[pieces.numbers])


def _objects(segmentation: Segmentation, chunk: Chunk, pieces: Pieces, box: Box, tables: Tables | None) -> Ids:
    if segmentation.flat:
        return pieces.original
    if tables is not None:
        return tables.objects_of(pieces.original)
    assert box.objects is not None and segmentation.objects is not None
    found, several = objects_at(pieces, box.objects)
    if several is not None and segmentation.several_objects == REFUSE:
        raise DataError(segmentation.objects, chunk, _told(segmentation, chunk, several))
    return found


def _told(segmentation: Segmentation, chunk: Chunk, several: Meeting) -> str:
    low, _ = segmentation.box(*chunk.coords)
    place = ", ".join(str(start + at) for start, at in zip(low, several.voxel, strict=True))
    listed = " and ".join(f"{name} ({voxels:,} voxels)" for name, voxels in several.objects[:3])
    return (
        f"supervoxel {several.original} meets {len(several.objects)} objects: {listed}, the last of them at voxel "
        f"({place}); {several.count:,} supervoxels of this chunk do so. several_objects: most has each go to the "
        "one with most of its voxels"
    )


def _inside(segmentation: Segmentation, pieces: Pieces, box: Box, tables: Tables | None) -> Contacts:
    found = contacts_inside(pieces.numbers, segmentation.resolution, box.affinities)
    if box.affinities is not None or tables is None or not segmentation.scores:
        return found
    pairs = pieces.original[found.pairs.astype(np.int64) - 1]
    return Contacts(found.pairs, found.areas, tables.scores_of(pairs))


def _plane(pieces: Pieces, box: Box, face: int) -> Plane:
    at: list[Any] = [slice(None)] * 3
    at[face // 2] = -1 if face % 2 else 0
    numbers = np.ascontiguousarray(pieces.numbers[tuple(at)])
    if box.affinities is None or face % 2:
        return Plane(numbers)
    return Plane(numbers, np.ascontiguousarray(box.affinities[(*at, face // 2)]))


Cuts = Callable[[Collection[Chunk]], dict[Chunk, Cut]]
"""Reads the cuts of some chunks of layer 1."""
