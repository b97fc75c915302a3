"""A shuffled order of 0 .. count-1 in constant memory, so that siblings are not built at once.

Siblings complete in the same Firestore record, and neighbours in the table share a tablet: a run
that went through the grid in order would have its workers queue up behind one document and one
machine. A Feistel network is a permutation of [0, 2^k); numbers outside [0, count) are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 1 << 16
_ROUNDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


def shuffled(count: int, seed: int = 0) -> Iterator[int]:
    """Every number from 0 to `count` - 1 once, in an order that depends on `count` and `seed` alone."""
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    for start in range(0, 1 << 2 * half, BLOCK):
        block = np.arange(start, min(start + BLOCK, 1 << 2 * half), dtype=np.uint64)
        left, right = block >> np.uint64(half), block & mask
        for key in _ROUNDS:
            mixed = (right + np.uint64(seed & 0xFFFFFFFF)) * np.uint64(key)
            mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(_ROUNDS[0]) >> np.uint64(32)
            left, right = right, left ^ (mixed & mask)
        order = left << np.uint64(half) | right
        yield from order[order < count].tolist()
