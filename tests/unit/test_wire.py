"""The encoder of bulk writes, against protobuf's own classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.gcp.bigtable import entries, wire
from shared.gcp.bigtable.rows import bigtable_message
from shared.gcp.bigtable.wire import Rows, encode_rows
from shared.table.cells import Cells, id_cells, list_cells
from shared.table.columns import CHILDREN, COUNTER, PARENT, Column, atomic_cross_edges, cross_edges
from tests.examples import examples

TABLE = "projects/p/instances/i/tables/t"
COLUMNS = [PARENT, CHILDREN, COUNTER, atomic_cross_edges(2), cross_edges(12), Column("f" * 200, b"q" * 300)]
lengths = st.one_of(
    st.integers(0, 40), st.sampled_from([63, 64, 95, 96, 97, 127, 128, 129, 16_383, 16_384, 70_000])
)
values = st.one_of(st.binary(max_size=20), lengths.map(lambda length: b"\xab" * length))
keys = st.one_of(st.sampled_from([b"%020d" % n for n in range(8)]), st.binary(min_size=1, max_size=200))
parts = st.lists(
    st.builds(
        lambda column, row: Cells(column, list(row), list(row.values())),
        st.sampled_from(COLUMNS),
        st.dictionaries(keys, values, max_size=12),
    ),
    max_size=6,
)
times = st.integers(1, 2**53).map(lambda ms: ms * 1000)


def size_of(request: Any) -> int:
    """The bytes of all entries."""
    return int(type(request)(entries=request.entries).ByteSize())


def plain_requests(cells: list[Cells], timestamp_us: int, max_mutations: int, max_bytes: int) -> list[Any]:
    """The slow form: protobuf's own classes, built a cell at a time."""
    message = bigtable_message("MutateRowsRequest")
    entries: dict[bytes, Any] = {}
    for part in cells:
        for key, value in zip(part.keys, part.values, strict=True):
            entry = entries.setdefault(key, message.Entry(row_key=key))
            family, qualifier = part.column
            entry.mutations.add(
                set_cell={
                    "family_name": family,
                    "column_qualifier": qualifier,
                    "timestamp_micros": timestamp_us,
                    "value": value,
                }
            )
    requests: list[Any] = []
    for _, entry in sorted(entries.items()):
        fits = False
        if requests:
            grown = message(entries=[*requests[-1].entries, entry])
            fits = sum(len(e.mutations) for e in grown.entries) <= max_mutations and size_of(grown) <= max_bytes
        if not fits:
            requests.append(message(table_name=TABLE))
        requests[-1].entries.append(entry)
    return requests


@examples(300)
@given(parts, times, st.integers(1, 30), st.integers(1, 100_000))
def test_bytes_are_those_of_protobuf(cells: list[Cells], time: int, mutations: int, size: int) -> None:
    """Requests are, to the byte, what protobuf's classes write, and within the same limits."""
    before = wire.MAX_MUTATIONS, wire.MAX_BYTES
    wire.MAX_MUTATIONS, wire.MAX_BYTES = mutations, size
    try:
        found = list(encode_rows(cells, time))
    finally:
        wire.MAX_MUTATIONS, wire.MAX_BYTES = before
    wanted = plain_requests(cells, time, mutations, size)
    message = bigtable_message("MutateRowsRequest")
    encoded = [rows.request(TABLE) for rows in found]
    assert [message.FromString(request) for request in encoded] == wanted
    assert encoded == [request.SerializeToString(deterministic=True) for request in wanted]
    found_keys = [[rows.key(at) for at in range(len(rows.entries))] for rows in found]
    assert found_keys == [[entry.row_key for entry in request.entries] for request in wanted]


@given(parts.filter(lambda cells: any(part.keys for part in cells)), st.data())
def test_some_rows(cells: list[Cells], data: st.DataObject) -> None:
    """Some rows of a request are a request with exactly these rows."""
    (rows,) = encode_rows(cells, 1000)
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows.entries))), unique=True).map(sorted))
    message = bigtable_message("MutateRowsRequest")
    whole = message.FromString(rows.request(TABLE))
    part = message.FromString(rows.some(chosen).request(TABLE))
    assert part == message(table_name=TABLE, entries=[whole.entries[at] for at in chosen])


def test_no_rows() -> None:
    """No cells make no request, and a request without rows names its table."""
    assert list(encode_rows([Cells(PARENT, [], [])], 1000)) == []
    assert bigtable_message("MutateRowsRequest").FromString(Rows([]).request(TABLE)).table_name == TABLE


ids = st.integers(1, 40).map(lambda node: node << 40)
rows_of = st.dictionaries(ids, st.lists(st.integers(0, 2**64 - 1), max_size=12), min_size=1, max_size=30)


def node_cells(column: Column, rows: dict[int, list[int]], own: bool = False) -> Cells:
    nodes = sorted(rows)
    starts = np.cumsum([0, *(len(rows[node]) for node in nodes)])
    flat = np.array([value for node in nodes for value in rows[node]], np.uint64)
    return list_cells(column, np.array(nodes, np.uint64), starts, flat, own)


@examples(200)
@given(
    rows_of,
    rows_of,
    st.dictionaries(ids, st.integers(0, 2**64 - 1), max_size=30),
    st.integers(1, 9),
    st.sampled_from([(24, 65_521), (1, 65_521), (24, 2)]),
    times,
)
def test_nodes_are_those_of_protobuf(
    first: dict[int, list[int]],
    second: dict[int, list[int]],
    third: dict[int, int],
    few: int,
    limits: tuple[int, int],
    time: int,
) -> None:
    """Rows of nodes, alone in their table or with cells of several columns, are what protobuf's classes write; also
    where there are more columns than shapes have room for, and where shapes are hard to tell apart."""
    parents = np.array(sorted(third), np.uint64), np.array([third[node] for node in sorted(third)], np.uint64)
    cells = [node_cells(CHILDREN, first), node_cells(cross_edges(12), second, own=True), id_cells(PARENT, *parents)]
    counter = Cells(COUNTER, [b"i%020d" % 7], [bytes(8)])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("FEW", "MOST_PARTS", "PRIME"), (few, *limits), strict=True):
            patch.setattr(entries, name, value)
        found = list(encode_rows([*cells, counter], time))
    plain = [Cells(part.column, part.keys, part.values) for part in [*cells, counter]]
    (wanted,) = plain_requests(plain, time, 1000, 10**6)
    assert [rows.request(TABLE) for rows in found] == [wanted.SerializeToString(deterministic=True)]


@examples(200)
@given(rows_of, rows_of, rows_of, st.integers(1, 20))
def test_some_at_a_time(
    first: dict[int, list[int]], second: dict[int, list[int]], third: dict[int, list[int]], at_once: int
) -> None:
    """Many cells, encoded some at a time, give the same entries in the same order, no row of them twice; rows that
    are no nodes' go with the last ones."""
    parents = id_cells(PARENT, np.array(sorted(third), np.uint64), np.arange(len(third), dtype=np.uint64))
    cells = [
        node_cells(CHILDREN, first),
        parents,
        node_cells(cross_edges(3), second),
        Cells(COUNTER, [b"i%020d" % 7], [bytes(8)]),
    ]
    whole = [entry for rows in encode_rows(cells, 1000) for entry in rows.entries]
    before, wire.CELLS_AT_ONCE = wire.CELLS_AT_ONCE, at_once
    try:
        parts = list(encode_rows(cells, 1000))
    finally:
        wire.CELLS_AT_ONCE = before
    assert [entry for rows in parts for entry in rows.entries] == whole
    assert all(len(rows.entries) <= at_once + (rows is parts[-1]) for rows in parts)
