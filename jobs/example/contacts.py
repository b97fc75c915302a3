"""What touches what: the edges of an example, before they are sorted into files.

Invariants: an edge between two parts of one object is on, any other is off. Each contact is kept
once, within its chunk or at the face between two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix

from jobs.example.pieces import Labels, touching
from jobs.example.supervoxels import Segments

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Contacts:
    """Pairs of touching supervoxels, sorted.

    `pairs` (n, 2) uint64, at a face the lower chunk's supervoxel first; `areas` (n,) uint64, touching
    voxel faces; `affinities` (n,) float32, inf for a cut; `active` and `cut` (n,) bool: same object,
    and parts of one supervoxel that the chunk grid cut.
    """

    pairs: npt.NDArray[np.uint64]
    areas: npt.NDArray[np.uint64]
    affinities: npt.NDArray[np.float32]
    active: Mask
    cut: Mask

    def __len__(self) -> int:
        return len(self.pairs)


def contacts_inside(segments: Segments, rng: np.random.Generator) -> Contacts:
    """The contacts between supervoxels of one chunk."""
    return _contacts(segments, segments, *touching(segments.labels), rng)


def contacts_across(lower: Segments, upper: Segments, rng: np.random.Generator) -> Contacts:
    """The contacts through the face between two chunks, given their planes of voxels at it."""
    touch = (lower.labels > 0) & (upper.labels > 0)
    return _contacts(lower, upper, lower.labels[touch], upper.labels[touch], rng)


def _contacts(
    first: Segments,
    second: Segments,
    a: Labels,
    b: Labels,
    rng: np.random.Generator,
) -> Contacts:
    """Contacts from one pair of labels for each touching voxel face."""
    shape = (len(first.ids), len(second.ids))
    counted = coo_matrix((np.ones(len(a), np.int64), (a, b)), shape=shape)
    counted.sum_duplicates()
    order = np.lexsort((counted.col, counted.row))
    i, j, areas = counted.row[order], counted.col[order], counted.data[order]
    active = first.objects[i] == second.objects[j]
    cut = (first.originals[i] == second.originals[j]) & (first is not second)
    high, low = rng.beta(8, 2, len(i)), rng.beta(2, 8, len(i))
    affinities = np.where(cut, np.inf, np.where(active, high, low)).astype(np.float32)
    pairs = np.stack([first.ids[i], second.ids[j]], axis=1)
    return Contacts(pairs, areas.astype(np.uint64), affinities, active, cut)
