"""The components of chunks from remap shards: pairs of supervoxels that were merged.

The components of a chunk are those of the graph of all pairs in its own entries and in those of its
face neighbours, at all mip levels. A supervoxel that was never merged is in no pair, and so in none.

Invariants: components are numbered by their smallest supervoxel, so the result depends on the set of
pairs alone, and the processed file that is written from it gives the same arrays when it is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.inputs.components import Components
from shared.inputs.connected import connected_labels
from shared.inputs.raw.names import remap_shards
from shared.inputs.raw.shards import Entry, Shard, Shards
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout, Ids

PAIR = 16
"""Bytes of a pair of supervoxels."""

Positions = npt.NDArray[np.int32]
"""Pairs (n, 2) of positions among ids; 32 bits are enough, as no more than 2^28 pairs are read at once."""


def read_components(
    shards: Shards, grid: Grid, ids: IdLayout, chunk: Chunk, of: Sequence[Chunk]
) -> dict[Chunk, Components]:
    """The components of each of the chunks `of`, read for `chunk`; DataError for a damaged shard."""
    around = {one: [one, *grid.neighbours(one).values()] for one in of}
    keys = {one: ids.chunk_id(one._replace(layer=1)) for ones in around.values() for one in ones}
    wanted: dict[Shard, list[int]] = defaultdict(list)
    for one, key in keys.items():
        for shard in remap_shards(grid, one):
            wanted[shard].append(key)
    entries = _first_ones(shards.entries({shard: np.array(ask, np.uint64) for shard, ask in wanted.items()}, chunk))
    payloads = shards.payloads(entries, PAIR, chunk)
    pairs = np.frombuffer(b"".join(payloads), "<u8").reshape(-1, 2)
    ends = np.cumsum([0, *(len(payload) // PAIR for payload in payloads)]).tolist()
    _check(shards, chunk, entries, ends, pairs)
    found, numbers = _numbered(pairs)
    parts: dict[int, list[Positions]] = defaultdict(list)
    for entry, low, high in zip(entries, ends, ends[1:], strict=False):
        parts[entry.keys[0]].append(numbers[low:high])
    together = [[part for other in others for part in parts[keys[other]]] for others in around.values()]
    return dict(zip(around, _components(found, together), strict=True))


def _first_ones(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those whose key their shard had before."""
    return list({(entry.shard, entry.keys): entry for entry in reversed(entries)}.values())[::-1]


def _check(shards: Shards, chunk: Chunk, entries: Sequence[Entry], ends: Sequence[int], pairs: Ids) -> None:
    """DataError for a pair of background and a supervoxel: all that such pairs name would be one object."""
    if not len(pairs) or pairs.min():
        return
    wrong = np.flatnonzero((pairs == 0).any(axis=1) & (pairs != 0).any(axis=1))
    if len(wrong):
        entry = entries[int(np.searchsorted(ends, wrong[0], side="right")) - 1]
        one, other = pairs[wrong[0]].tolist()
        reason = f"{entry}: pair ({one}, {other}): 0 is background, which belongs to no object"
        raise DataError(shards.file(entry.shard), chunk, reason)


def _numbered(pairs: npt.NDArray[np.uint64]) -> tuple[Ids, Positions]:
    """The distinct ids of the pairs, sorted, and the pairs as positions among them."""
    ids = pairs.T.ravel()  # one column, then the other: the first is mostly sorted, which this sort makes use of
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    new = np.ones(len(ids), dtype=bool)
    new[1:] = ids[1:] != ids[:-1]
    numbers = np.empty(len(ids), dtype=np.int32)
    numbers[order] = np.cumsum(new, dtype=np.int32) - 1
    return ids[new], numbers.reshape(2, -1).T


def _components(found: Ids, together: Sequence[Sequence[Positions]]) -> list[Components]:
    """For each of several lists of pairs, positions in `found`, the components that they make.

    All of them are one graph, each list with vertices of its own, since a call takes longer than it works.
    """
    graphs: list[Positions] = []
    vertices: list[Ids] = []
    count = 0
    for parts in together:
        pairs = np.concatenate([np.zeros((0, 2), np.int32), *parts])
        listed = np.zeros(len(found), dtype=bool)
        listed[pairs] = True
        graphs.append((np.cumsum(listed, dtype=np.int32) + np.int32(count - 1))[pairs])
        vertices.append(found[listed])
        count += len(vertices[-1])
    labels = connected_labels(count, np.concatenate(graphs))
    each = np.split(labels, np.cumsum([len(ids) for ids in vertices])[:-1])
    # A component has vertices of one list alone, and the first one of each list begins a component.
    return [
        Components(ids, numbers - numbers[0]) if len(ids) else Components()
        for ids, numbers in zip(vertices, each, strict=True)
    ]
