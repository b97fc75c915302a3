"""Scans against rows: the decoder of answers against protobuf's own way, and lists of a column against single
ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.gcp.bigtable.rows import bigtable_message, merge_chunks
from shared.gcp.bigtable.scanned import Scanner
from shared.table.cells import list_cells
from shared.table.columns import CHILDREN
from shared.table.decode import decode_ids
from shared.table.scan import Scan, ScanBuilder
from tests.examples import examples

keys = st.one_of(
    st.integers(0, 40).map(lambda number: b"%020d" % number),
    st.integers(0, 10**20 - 1).map(lambda number: b"%020d" % number),
    st.binary(min_size=1, max_size=22),
)
values = st.one_of(st.binary(min_size=8, max_size=8), st.binary(max_size=12))
cells = st.tuples(st.sampled_from("034"), st.sampled_from([b"parents", b"q"]), st.integers(0, 3), values)
rows = st.dictionaries(keys, st.lists(cells, min_size=1, max_size=3), max_size=12)
simple = st.integers(0, 60).map(
    lambda count: {b"%020d" % (7 * at): [("0", b"parents", 5, b"%08d" % at)] for at in range(count)}
)


def chunks_of(
    table: dict[bytes, list[tuple[str, bytes, int, bytes]]], split: int, stated: bool
) -> list[dict[str, Any]]:
    """CellChunks of rows, as a server may send them: values in pieces, names only where they change."""
    found: list[dict[str, Any]] = []
    family, qualifier = "", b""
    for key in sorted(table):
        of_row = sorted(table[key], key=lambda cell: (cell[0], cell[1], -cell[2]))
        for at, (name, column, time, value) in enumerate(of_row):
            chunk: dict[str, Any] = {"timestamp_micros": time * 1000}
            if at == 0:
                chunk["row_key"] = key
            if stated or at or (name, column) != (family, qualifier):
                chunk |= {"family_name": {"value": name}, "qualifier": {"value": column}}
            family, qualifier = name, column
            if split and len(value) > split:
                found += [{**chunk, "value": value[:split], "value_size": len(value)}, {"value": value[split:]}]
            else:
                found.append({**chunk, "value": value})
        found[-1]["commit_row"] = True
    return found


def rows_of(scan: Scan) -> dict[bytes, dict[str, tuple[bytes, int]]]:
    """A scan's rows with value and time of each cell."""
    found: dict[bytes, dict[str, tuple[bytes, int]]] = {b"%020d" % node: {} for node in scan.nodes.tolist()}
    for column, cell in scan.cells.items():
        for at, row in enumerate(cell.rows.tolist()):
            found[b"%020d" % scan.nodes[row]][column] = cell.value(at), int(cell.times[at])
    return found


@examples(150)
@given(st.lists(st.one_of(rows, simple), max_size=4), st.sampled_from([0, 3]), st.booleans(), st.integers(1, 9))
def test_answers_as_arrays(tables: list[Any], split: int, stated: bool, size: int) -> None:
    """Whatever a server answers, cut into whatever messages, gives the rows that protobuf's own classes give."""
    table = {key: row for part in tables for key, row in part.items()}
    chunks = chunks_of(table, split, stated)
    message = bigtable_message("ReadRowsResponse")
    answers = [message(chunks=chunks[at : at + size]) for at in range(0, len(chunks), size)]
    expected = list(merge_chunks(answers))
    scanner = Scanner()
    last = [*scanner.keys(answer.SerializeToString() for answer in answers)][-1]
    scan = scanner.taken()
    nodes = {row.key for row in expected if row.key.isdigit() and len(row.key) == 20 and int(row.key) < 1 << 64}
    assert rows_of(scan) == {
        row.key: {column: (value, row.timestamps[column]) for column, value in row.cells.items()}
        for row in expected
        if row.key in nodes
    }
    assert scan.odd == {row.key: row.cells for row in expected if row.key not in nodes}
    assert last == (expected[-1].key if expected else b"")


@examples(60)
@given(st.lists(st.one_of(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.binary(max_size=20)), max_size=30))
def test_lists_of_a_column(contents: list[Any]) -> None:
    """All lists of a column at once are those of each cell alone, and a damaged one is empty and told of."""
    builder, expected = ScanBuilder(), list[list[int] | None]()
    for number, content in enumerate(contents):
        value, ids = content, []
        if isinstance(content, list):
            flat = np.array(content, np.uint64)
            value = list_cells(CHILDREN, np.ones(1, np.uint64), np.array([0, len(flat)]), flat).values[0]
            value = zstandard.compress(flat.tobytes()) if number % 3 == 0 else value
        try:
            ids = decode_ids(value).tolist()
        except ValueError:
            expected.append(None)
        else:
            expected.append(ids)
        builder.add(b"%020d" % number, [("0:children", value, 1)])
    if not contents:
        return
    flat, starts, wrong = Scan.joined(builder.taken()).cells["0:children"].lists()
    found = [flat[low:high].tolist() for low, high in pairwise(starts.tolist())]
    assert found == [ids or [] for ids in expected]
    assert sorted(wrong) == [at for at, ids in enumerate(expected) if ids is None]
