"""What two chunks compare to know that their files have the same active edges between them: a count and a sum.

The sum is over a hash of each edge's two ends, so no order and no side matters, and it is modulo 2^64. A
hand-off of layer 2 has one for each face; the parents of both sides compare them, edge by edge as it were, even
where other edges join the same nodes. The hash is the finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable
pseudorandom number generators, 2014), twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

Digest = tuple[int, int]
"""How many edges, and the sum of their hashes."""

NONE: Digest = (0, 0)


def face_digests(faces: npt.NDArray[Any], near: Ids, far: Ids) -> dict[int, Digest]:
    """The digest of the edges through each face that has any; edge i leads from `near[i]` through `faces[i]` to
    `far[i]`, and stands there once."""
    hashes = _mixed(_mixed(np.minimum(near, far)) + np.maximum(near, far))
    counts = np.bincount(faces, minlength=1).tolist()
    return {
        face: (count, int(hashes[faces == face].sum(dtype=np.uint64))) for face, count in enumerate(counts) if count
    }


def _mixed(numbers: Ids) -> Ids:
    """Each number's bits spread over all 64."""
    mixed = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    result: Ids = mixed ^ mixed >> np.uint64(31)
    return result
