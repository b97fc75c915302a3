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

COMPARED_AT_ONCE = 1 << 20
"""Voxels whose objects are compared in one go."""


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
    mixed = _mixed(found, numbers, at_voxels)
    if not len(mixed):
        return found[1:], None
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


def _mixed(found: Ids, numbers: npt.NDArray[np.uint32], at_voxels: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """The pieces with a voxel whose object is not the one found, in rising order. Some voxels at a time, for less
    memory."""
    pieces = [numbers[:0]]
    for start in range(0, len(numbers), COMPARED_AT_ONCE):
        part = numbers[start : start + COMPARED_AT_ONCE]
        other = found[part] != at_voxels[start : start + COMPARED_AT_ONCE]
        other &= part != 0
        pieces.append(np.unique(part[other]))
    mixed: npt.NDArray[np.uint32] = np.unique(np.concatenate(pieces))
    return mixed
