"""The grouping of arrays by the components that they belong to, and of tables by their columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SPARSEST = 2
"""A table by number is made for ids whose range is at most so many times as long as what is looked up."""


def distinct(ids: Ids) -> tuple[Ids, Index]:
    """The distinct ids, sorted, and the position of each of `ids` among them.

    Ids of one chunk mostly lie close together: then a table by number takes the place of a sort.
    """
    if not _dense(ids, len(ids)):
        found, at = np.unique(ids, return_inverse=True)
        return found, at.astype(np.int64)
    low = ids.min()
    numbers = (ids - low).astype(np.int64)
    there = np.zeros(int(numbers.max()) + 1, dtype=bool)
    there[numbers] = True
    return np.flatnonzero(there).astype(np.uint64) + low, (np.cumsum(there) - 1)[numbers]


def places(found: Ids, ids: Ids) -> Index:
    """The position in `found` (sorted) of each of `ids`, all of which are there; same shape as `ids`."""
    if not _dense(found, ids.size):
        return np.searchsorted(found, ids)
    table = np.empty(int(found[-1] - found[0]) + 1, dtype=np.int64)
    table[(found - found[0]).astype(np.int64)] = np.arange(len(found))
    at: Index = table[(ids - found[0]).astype(np.int64)]
    return at


def _dense(ids: Ids, lookups: int) -> bool:
    return bool(len(ids)) and int(ids.max() - ids.min()) < SPARSEST * lookups


def grouped(labels: Index, count: int) -> tuple[Index, Index]:
    """Positions by label 0 .. count-1, each label's in order, and where each label begins; one entry more."""
    small = labels.astype(np.uint16) if count <= 1 << 16 else labels  # 16 bits are sorted in one pass each
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(labels, minlength=count), out=starts[1:])
    return np.argsort(small, kind="stable"), starts


def unique_rows(*columns: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The distinct rows of a table given as columns, sorted by the first column, then the next; types as given."""
    order = np.lexsort(columns[::-1])
    table = [column[order] for column in columns]
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in table:
        new[1:] |= column[1:] != column[:-1]
    return table if new.all() else [column[new] for column in table]


def split_rows(columns: list[npt.NDArray[Any]]) -> dict[int, list[npt.NDArray[Any]]]:
    """The rows of a table sorted by its first column, a small number: by that number, without it."""
    first, *others = columns
    ends = np.cumsum(np.bincount(first.astype(np.int64))).tolist()
    bounds = zip([0, *ends], ends, strict=False)
    return {
        number: [column[low:high] for column in others] for number, (low, high) in enumerate(bounds) if high > low
    }
