"""The edges of one kind and one chunk: the right way round, each in the right entry, in order, distinct.

Invariants: the end inside the chunk comes first, whichever way round a record stood. Records of a pair
are summed in the order of reading, which is the same from both sides of a face, so both sides and every
retry come to the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.inputs.edges import EdgeList
from shared.inputs.raw.records import AREA_LIMIT, Index, RecordFormat, Records, TooLarge
from shared.inputs.raw.shards import Entry, Shards
from shared.plan.grid import Chunk
from shared.plan.ids import Ids


@dataclass(frozen=True)
class Pieces:
    """The payloads of one kind of edge in the order of reading; `far` has the layer-1 id of the chunk at
    the other end for each: the chunk's own for edges inside it."""

    entries: Sequence[Entry]
    payloads: Sequence[memoryview]
    far: Sequence[int]


@dataclass(frozen=True)
class Reading:
    """Makes edge lists of what was read for one chunk; its layer-1 id is `own`, and a supervoxel's id has
    `bits` bits below those of its chunk."""

    shards: Shards
    format: RecordFormat
    chunk: Chunk
    own: int
    bits: int

    def edges(self, pieces: Pieces) -> EdgeList:
        """The distinct edges sorted by both ids, the end inside the chunk first."""
        records = np.frombuffer(b"".join(pieces.payloads), self.format.dtype)
        if not len(records):
            return EdgeList()
        pairs, order, starts = self._in_order(pieces, records)
        affinities = self.format.affinities(records, order, starts)
        try:
            areas = self.format.areas(records, order, starts)
        except TooLarge as error:
            at = order[starts[error.group]]
            reason = f"the areas of its records add up to {AREA_LIMIT} or more"
            raise self._error(pieces, records, int(at), reason) from error
        return EdgeList(pairs, affinities, areas)

    def cut(self, pieces: Pieces) -> EdgeList:
        """As `edges`, for the edges between the parts of a supervoxel that was cut: affinity inf, area 1."""
        records = np.frombuffer(b"".join(pieces.payloads), self.format.dtype)
        if not len(records):
            return EdgeList()
        pairs, _, _ = self._in_order(pieces, records)
        return EdgeList(pairs, np.full(len(pairs), np.inf, np.float32), np.ones(len(pairs), np.uint64))

    def _in_order(self, pieces: Pieces, records: Records) -> tuple[npt.NDArray[np.uint64], Index, Index]:
        """The distinct pairs (n, 2); the order of all records; where those of each pair begin in it."""
        bits = np.uint64(self.bits)
        one, two = np.ascontiguousarray(records["sv1"]), np.ascontiguousarray(records["sv2"])
        turned = one >> bits != np.uint64(self.own) >> bits
        near, far = np.where(turned, two, one), np.where(turned, one, two)
        numbers, rank = np.unique(np.array(pieces.far, np.uint64) >> bits, return_inverse=True)
        ranks = np.repeat(rank, [len(part) // self.format.dtype.itemsize for part in pieces.payloads])
        wrong = (near >> bits != np.uint64(self.own) >> bits) | (far >> bits != numbers[ranks])
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise self._error(pieces, records, at, "its ends are not in the chunks that the entry is for")
        order, new = _ordered(near, far, ranks.astype(np.uint64), bits)
        starts = np.flatnonzero(new)
        chosen = order if len(starts) == len(order) else order[starts]
        return np.stack([near[chosen], far[chosen]], axis=1), order, starts

    def _error(self, pieces: Pieces, records: Records, at: int, reason: str) -> DataError:
        ends = np.cumsum([len(part) for part in pieces.payloads]) // self.format.dtype.itemsize
        entry = pieces.entries[int(np.searchsorted(ends, at, side="right"))]
        pair = f"({records['sv1'][at]}, {records['sv2'][at]})"
        return DataError(self.shards.file(entry.shard), self.chunk, f"{entry}: edge {pair}: {reason}")


def _ordered(near: Ids, far: Ids, ranks: Ids, bits: np.uint64) -> tuple[Index, npt.NDArray[np.bool_]]:
    """The order of pairs by both ids, equal ones as they were read, and which ones are not equal to the
    one before.

    Both ends are numbered within their chunks, and mostly fit into one number, which is sorted quicker.
    """
    mask = (np.uint64(1) << bits) - np.uint64(1)
    first, second = near & mask, far & mask
    width = int(second.max()).bit_length()
    if int(first.max()).bit_length() + int(ranks.max()).bit_length() + width <= 64:
        keys = first << np.uint64(int(ranks.max()).bit_length() + width) | ranks << np.uint64(width) | second
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        return order, np.concatenate([[True], keys[1:] != keys[:-1]])
    order = np.lexsort((far, near))
    near, far = near[order], far[order]
    return order, np.concatenate([[True], (near[1:] != near[:-1]) | (far[1:] != far[:-1])])
