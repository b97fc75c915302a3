"""Keys of one or two ids in their order: the first id decides, then the second."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

Keys = tuple[Ids, ...]
"""One or two columns (n,) of ids."""

At = npt.NDArray[np.int64]


def order_of(keys: Keys) -> npt.NDArray[np.intp]:
    """Positions of keys in their order."""
    if len(keys) == 1:
        return np.argsort(keys[0])
    order: npt.NDArray[np.intp] = np.lexsort(keys[::-1])
    return order


def search(there: Keys, wanted: Keys, side: Any = "left") -> At:
    """Where each wanted key would stand among keys in order: before all that are equal, or (right) behind them."""
    low: At
    if len(there) == 1:
        low = there[0].searchsorted(wanted[0], side)
        return low
    low = there[0].searchsorted(wanted[0], "left")
    high = there[0].searchsorted(wanted[0], "right")
    second, sought = there[1], wanted[1]
    # Halves the stretch of the same first id of all at once: a dozen steps for a block.
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        is_before = second[middle] < sought[open_] if side == "left" else second[middle] <= sought[open_]
        low[open_] = np.where(is_before, middle + 1, low[open_])
        high[open_] = np.where(is_before, high[open_], middle)
        open_ = open_[low[open_] < high[open_]]
    return low


def equal(one: Keys, other: Keys) -> npt.NDArray[np.bool_]:
    """Which keys are the same, place by place."""
    found: npt.NDArray[np.bool_] = one[0] == other[0]
    return found & (one[1] == other[1]) if len(one) == 2 else found


def taken(keys: Keys, at: Any) -> Keys:
    """Some of the keys."""
    return tuple(column[at] for column in keys)


def said(keys: Keys, at: int) -> str:
    """What a key is called."""
    ids = [int(column[at]) for column in keys]
    return f"supervoxel {ids[0]}" if len(ids) == 1 else f"the pair of supervoxels {ids[0]} and {ids[1]}"
