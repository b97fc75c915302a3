"""The cut of a chunk: what a job of layer 1 leaves of its voxels for the chunk's own job and its neighbours'.

Pieces are numbered from 1, as the segments of their ids are; 0 is background. Invariants: the contacts of two
chunks follow from the planes of both, which each has of its own voxels, so both find the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.voxels.contacts import Affinities, Contacts


def _no_contacts() -> Contacts:
    return Contacts(np.zeros((0, 2), np.uint32), np.zeros(0, np.uint64))


@dataclass(frozen=True)
class Plane:
    """The outermost voxels of a chunk at one of its faces: `numbers` (a, b) of their pieces; of a lower face also
    the `affinities` (a, b) to what is behind it, if they are known."""

    numbers: npt.NDArray[np.uint32]
    affinities: Affinities | None = None


@dataclass(frozen=True)
class Cut:
    """What `chunk` (of layer 1) was cut into.

    For piece 1, 2, …: `original` (n,) uint64 is its label in the volume, `objects` (n,) uint64 its object, 0 for
    none, `voxels` (n,) its size. `inside` are the contacts within the chunk. `planes` has each face behind which
    there is another chunk."""

    chunk: Chunk
    original: Ids = field(default_factory=lambda: NO_IDS)
    objects: Ids = field(default_factory=lambda: NO_IDS)
    voxels: npt.NDArray[np.uint64] = field(default_factory=lambda: NO_IDS)
    inside: Contacts = field(default_factory=_no_contacts)
    planes: Mapping[int, Plane] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many pieces it has."""
        return len(self.original)
