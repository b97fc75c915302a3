"""Which object each piece of a chunk belongs to, by a second volume of the same voxels.

Invariants: a piece with one object at all its voxels has that one. Others are told of, or go to the object that
most of their voxels are in, of equals the smallest. 0 stands for no object, and counts as one here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids
from shared.voxels.pieces import Pieces


@dataclass(frozen=True)
class Meeting:
    """A piece that meets several objects: its label, the objects with their voxels, the most first, and a voxel of
    the last of them, by its place in the chunk; how many such pieces there are."""

    original: int
    objects: list[tuple[int, int]]
    voxel: tuple[int, int, int]
    count: int


def objects_at(pieces: Pieces, objects: npt.NDArray[Any]) -> tuple[Ids, Meeting | None]:
    """The object of each piece (n,), that with most voxels, and the first piece that meets several; `objects`
    (x, y, z) are unsigned."""
    numbers, at_voxels = pieces.numbers.ravel(order="F"), objects.ravel(order="F")
    found = np.zeros(len(pieces.original) + 1, np.uint64)
    found[numbers] = at_voxels
    other = np.flatnonzero((found[numbers] != at_voxels) & (numbers != 0))
    if not len(other):
        return found[1:], None
    mixed = np.unique(numbers[other])
    chosen = np.flatnonzero(np.isin(numbers, mixed))
    pairs = np.stack([numbers[chosen].astype(np.uint64), at_voxels[chosen].astype(np.uint64)], axis=1)
    met, voxels = np.unique(pairs, axis=0, return_counts=True)
    order = np.lexsort([met[:, 1], -voxels, met[:, 0]])
    met, voxels = met[order], voxels[order]
    first = np.flatnonzero(np.diff(met[:, 0], prepend=np.uint64(0)))
    found[met[first, 0].astype(np.int64)] = met[first, 1]
    of_first = met[:, 0] == met[0, 0]
    listed = list(zip(met[of_first, 1].tolist(), voxels[of_first].tolist(), strict=True))
    place = np.flatnonzero((numbers == met[0, 0]) & (at_voxels == listed[-1][0]))[0]
    x, y, z = (int(at) for at in np.unravel_index(place, pieces.numbers.shape, order="F"))
    return found[1:], Meeting(int(pieces.original[int(met[0, 0]) - 1]), listed, (x, y, z), len(first))
