"""The job of one part of a table: its rows in the order of their keys, each key once.

Invariants: the same rows in the same files give the same bytes. No more than `RUN_ROWS` rows are held at once,
however large a part is: a part of more comes to several runs. The pair of a score has its smaller id first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shared.errors import DataError
from shared.tables.lexical import Keys, equal, order_of, said, taken
from shared.tables.parts import Part
from shared.tables.ports import OpenRanges
from shared.tables.rows import Column, Rows, Table, kept
from shared.tables.run_file import Encoded, encode, numbered

RUN_ROWS = 3 << 22
"""Rows of a run: sorting them takes some 800 MB, libraries and all."""


def sort_part(table: Table, part: Part, open_ranges: OpenRanges, chunk: object) -> Iterator[tuple[int, bytes]]:
    """The files that the job of a part writes, number 0, its hand-off, last (`shared.tables.run_file.numbered`).

    DataError, with file and row, for a row that is none, and for two rows that contradict each other: one
    supervoxel with two objects, one pair with two scores.
    """
    return numbered(_runs(table, part, open_ranges, chunk))


def _runs(table: Table, part: Part, open_ranges: OpenRanges, chunk: object) -> Iterator[Encoded]:
    held: list[list[Column]] = [[] for _ in range(table.keys + 1)]
    count = 0
    written = False
    for _, rows in part.read_rows(table, open_ranges, chunk):
        ordered = in_order_of_ids(table, rows)
        columns: list[Column] = [*ordered.keys, ordered.values]
        while len(columns[-1]):
            room = RUN_ROWS - count
            for column, pieces in zip(columns, held, strict=True):
                pieces.append(column[:room])
            count += len(held[-1][-1])
            columns = [column[room:] for column in columns]
            if count == RUN_ROWS:
                yield _sorted(table, held, part, open_ranges, chunk)
                count, written = 0, True
    if count or not written:
        yield _sorted(table, held, part, open_ranges, chunk)


def in_order_of_ids(table: Table, rows: Rows) -> Rows:
    """Rows of scores with the smaller id of each pair first, and without those that name 0, which is no supervoxel;
    other rows as they are."""
    if table is Table.MAPPING:
        return rows
    one, other = rows.keys
    low, high = np.minimum(one, other), np.maximum(one, other)
    values = kept(table, rows.values)
    if len(low) and low.min() == 0:
        there = low != 0
        return Rows((low[there], high[there]), values[there])
    return Rows((low, high), values)


def _sorted(table: Table, held: list[list[Column]], part: Part, open_ranges: OpenRanges, chunk: object) -> Encoded:
    """The run of the columns that are held in pieces, and are let go of one by one."""
    columns: list[Column] = []
    for pieces in held:
        columns.append(np.concatenate([np.zeros(0, table.dtype if pieces is held[-1] else np.uint64), *pieces]))
        pieces.clear()
    order = order_of(tuple(columns[:-1]))
    for at in range(len(columns)):
        columns[at] = columns[at][order]
    del order
    keys: Keys = tuple(columns[:-1])
    values = columns[-1]
    columns.clear()
    repeated = equal(taken(keys, slice(1, None)), taken(keys, slice(None, -1)))
    if repeated.any():
        differ = np.flatnonzero(repeated & (values[1:] != values[:-1]))
        if len(differ):
            raise _contradiction(table, taken(keys, differ[:1]), part, open_ranges, chunk)
        first = np.concatenate([np.ones(1, bool), ~repeated])
        keys, values = taken(keys, first), values[first]
    return encode(table, keys, values)


def _contradiction(table: Table, key: Keys, part: Part, open_ranges: OpenRanges, chunk: object) -> DataError:
    """Says where two rows are that contradict each other; reads the part again for it."""
    what = said(key, 0)
    seen: dict[object, str] = {}
    file = part.pieces[0].name
    for place, rows in part.read_rows(table, open_ranges, chunk):
        low, high = (
            (rows.keys[0], rows.keys[0]) if len(key) == 1 else (np.minimum(*rows.keys), np.maximum(*rows.keys))
        )
        at = np.flatnonzero((low == key[0]) & (high == key[-1]))
        for row, value in zip(at.tolist(), kept(table, rows.values[at]).tolist(), strict=True):
            seen.setdefault(value, place.row(row))
            file = place.file
        if len(seen) > 1:
            break
    told = " and ".join(f"{value} in {row}" for value, row in list(seen.items())[:2])
    kind = "objects" if table is Table.MAPPING else "scores"
    return DataError(file, chunk, f"{what} has two {kind}: {told}")
