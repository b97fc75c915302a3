"""What every table promises: rows whole, the same cells twice the same, failed rows alone again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from shared.errors import IngestError, StateError
from shared.gcp.bigtable import table as bigtable
from shared.gcp.bigtable import wire as requests
from shared.gcp.bigtable.rows import bigtable_message, merge_chunks
from shared.gcp.bigtable.table import BigtableTable
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints
from shared.memory.table import MemoryTable
from shared.run.ports import Row, Table
from shared.table.cells import Cells
from shared.table.columns import CHILDREN, COUNTER, PARENT, Column, Family, cross_edges, families

UNAVAILABLE, INVALID_ARGUMENT = 14, 3
NOWHERE = Endpoints(EMULATOR_PROJECT, "instance", "database")


@pytest.fixture(params=["memory", "emulator"])
def missing(request: pytest.FixtureRequest) -> Any:
    """The table in question, before it is made."""
    name = f"t{uuid.uuid4().hex}"
    if request.param == "memory":
        return MemoryTable(name)
    return BigtableTable(Endpoints.emulated(request.getfixturevalue("emulators")), name)


@pytest.fixture
def table(missing: Table) -> Table:
    """The table in question, with the families of schema 3."""
    missing.create(families(3))
    return missing


def cells(column: Column, **values: bytes) -> Cells:
    """One column of rows by name."""
    return Cells(column, [key.encode() for key in values], list(values.values()))


def test_create(missing: Any) -> None:
    """A table is there once it is created, with the families and rules that were asked for."""
    wanted = [*families(3), Family("9", max_age=60)]
    assert not missing.exists()
    missing.create(wanted)
    assert missing.exists()
    assert missing.families() == wanted


def test_create_with_splits(missing: Any) -> None:
    """A table that is split from the beginning is a table like any other: rows on both sides of each key, and at
    the key itself, are written and read in order."""
    keys = [b"%020d" % number for number in range(100, 200)]
    missing.create(families(3), keys)
    wanted = sorted([*keys, b"", b"a", *(key + b"0" for key in keys)])[1:]
    assert missing.write([Cells(PARENT, wanted, [b"x"] * len(wanted))], 1) == len(wanted)
    assert [row.key for row in missing.read([(b"", b"z")])] == wanted


def test_splits_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bigtable is told of them in the one request that makes the table."""
    asked: list[Any] = []

    class Admin:
        def create_table(self, request: Any) -> None:
            asked.append(request)

    monkeypatch.setattr(bigtable, "table_admin", lambda _: Admin())
    BigtableTable(NOWHERE, "t").create(families(2), [b"a", b"b"])
    assert asked[0]["initial_splits"] == [{"key": b"a"}, {"key": b"b"}]


def test_create_twice(table: Table) -> None:
    """A table that is there is not made again, nor changed."""
    with pytest.raises(StateError, match="already exists"):
        table.create(families(2))


def test_set_families(missing: Any) -> None:
    """Families are added and rules changed, again without effect; cells and other families stay."""
    missing.create(families(2))
    missing.write([cells(PARENT, a=b"1")], 1)
    for _ in range(2):
        missing.set_families([Family("3", max_age=60), Family("4"), Family("5", max_versions=2)])
        assert missing.families() == [
            *families(2)[:3],
            Family("3", max_age=60),
            Family("4"),
            Family("5", max_versions=2),
        ]
    missing.set_families(families(3))
    assert missing.families() == [*families(3), Family("5", max_versions=2)]
    missing.set_families([Family("3")])
    assert missing.families()[3] == Family("3")
    assert [row.cells for row in missing.read([(b"", b"z")])] == [{str(PARENT): b"1"}]


def test_missing_table(missing: Table) -> None:
    """Reading from and writing to a table that is not there says so."""
    with pytest.raises(StateError, match="no table"):
        list(missing.read([(b"a", b"z")]))
    with pytest.raises(StateError, match="no table"):
        list(missing.read_keys([b"a"]))
    with pytest.raises(StateError, match="no table"):
        missing.write([cells(PARENT, a=b"1")], 1)
    with pytest.raises(StateError, match="no table"):
        missing.set_families(families(3))


def test_write_and_read(table: Table) -> None:
    """Cells of one row from several columns come back together, with the run's time."""
    assert table.write([cells(PARENT, a=b"1", b=b"2"), cells(CHILDREN, b=b"", c=b"\0\xff")], 5) == 3
    parent, children = str(PARENT), str(CHILDREN)
    assert list(table.read([(b"", b"z")])) == [
        Row(b"a", {parent: b"1"}, {parent: 5000}),
        Row(b"b", {parent: b"2", children: b""}, {parent: 5000, children: 5000}),
        Row(b"c", {children: b"\0\xff"}, {children: 5000}),
    ]


def test_write_nothing(table: Table) -> None:
    """No cells are no rows."""
    assert table.write([], 1) == 0
    assert table.write([Cells(PARENT, [], [])], 1) == 0


def test_write_twice(table: Table) -> None:
    """The same cells again leave the same bytes and times, row by row."""
    both = [cells(PARENT, a=b"1", b=b"2"), cells(COUNTER, a=b"3")]
    table.write(both, 7)
    before = list(table.read([(b"", b"z")]))
    assert table.write(both, 7) == 2
    assert list(table.read([(b"", b"z")])) == before


def test_newest_counts(table: Table) -> None:
    """Of a column's cells the one with the latest time is read, whenever it was written."""
    table.write([cells(PARENT, a=b"later")], 9)
    table.write([cells(PARENT, a=b"sooner"), cells(CHILDREN, a=b"kept")], 8)
    (row,) = table.read_keys([b"a"])
    assert row.cells == {str(PARENT): b"later", str(CHILDREN): b"kept"}
    assert row.timestamps == {str(PARENT): 9000, str(CHILDREN): 8000}


def test_ranges(table: Table) -> None:
    """Ranges leave out their end, may overlap or be empty, and give each row once, in order."""
    table.write([cells(PARENT, a=b"", b=b"", c=b"", d=b"", e=b"")], 1)

    def keys(*ranges: tuple[bytes, bytes]) -> bytes:
        return b"".join(row.key for row in table.read(ranges))

    assert keys((b"b", b"d")) == b"bc"
    assert keys((b"d", b"z"), (b"a", b"b")) == b"ade"
    assert keys((b"b", b"e"), (b"a", b"c")) == b"abcd"
    assert keys((b"c", b"c"), (b"d", b"b")) == b""
    assert keys() == b""


def test_keys(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows by key come in order, each once, without those that do not exist."""
    monkeypatch.setattr("shared.gcp.bigtable.table.KEYS_A_READ", 2)
    table.write([cells(PARENT, a=b"", b=b"", c=b"", d=b"", e=b"")], 1)
    assert [row.key for row in table.read_keys([b"e", b"x", b"b", b"a", b"b", b"d"])] == [b"a", b"b", b"d", b"e"]
    assert list(table.read_keys([])) == []


def test_one_column_of_keys(table: Table) -> None:
    """Of rows by key one column alone can be read: its newest cell, of the rows that have it."""
    table.write([cells(PARENT, a=b"old", b=b"2"), cells(CHILDREN, a=b"no", c=b"no")], 1)
    table.write([cells(PARENT, a=b"new"), cells(Column("2", b"parents"), a=b"of another family", c=b"no")], 2)
    found = list(table.read_keys([b"a", b"b", b"c", b"d"], PARENT))
    assert [(row.key, row.cells) for row in found] == [
        (b"a", {"0:parents": b"new"}),
        (b"b", {"0:parents": b"2"}),
    ]
    assert found[0].timestamps == {"0:parents": 2000}


def test_many_rows_and_a_large_one(table: Table) -> None:
    """More than one request carries is written all the same, and a row larger than a request too."""
    keys = [b"%020d" % number for number in range(20_000)]
    large = bytes(range(256)) * 40_000
    table.write([Cells(CHILDREN, keys, [key * 20 for key in keys]), cells(PARENT, large=large)], 3)
    found = list(table.read([(b"0", b"z")]))
    assert [row.key for row in found] == [*keys, b"large"]
    assert all(row.cells[str(CHILDREN)] == row.key * 20 for row in found[:-1])
    assert found[-1].cells[str(PARENT)] == large


class Wire:
    """Stands for Bigtable: keeps the keys of each request, and answers each row by a script."""

    def __init__(self, answer: Callable[[bytes, int], int]) -> None:
        self.answer = answer
        self.requests: list[list[bytes]] = []
        self.mutations: list[int] = []

    def __call__(self, encoded: bytes) -> Iterator[bytes]:
        request = bigtable_message("MutateRowsRequest").FromString(encoded)
        self.requests.append([entry.row_key for entry in request.entries])
        self.mutations.append(sum(len(entry.mutations) for entry in request.entries))
        tries = len(self.requests)
        for at, entry in enumerate(request.entries):
            status = {"code": self.answer(entry.row_key, tries), "message": "scripted"}
            answer = bigtable_message("MutateRowsResponse")(entries=[{"index": at, "status": status}])
            yield answer.SerializeToString()


def test_only_failed_rows_go_again() -> None:
    """After a passing fault the rows that failed are sent again, and only those."""
    wire = Wire(lambda key, tries: UNAVAILABLE if key in b"bd" and tries == 1 else 0)
    table = BigtableTable(NOWHERE, "table", mutate=wire)
    assert table.write([cells(PARENT, d=b"", a=b"", c=b"", b=b""), cells(CHILDREN, d=b"")], 1) == 4
    assert wire.requests == [[b"a", b"b", b"c", b"d"], [b"b", b"d"]]
    assert wire.mutations == [5, 3]


def test_broken_off_request_goes_on() -> None:
    """Rows for which no status came before the connection broke are sent again."""
    from google.api_core import exceptions

    broken: Any = exceptions.ServiceUnavailable
    whole = Wire(lambda key, tries: 0)

    def wire(request: bytes) -> Iterator[bytes]:
        answers = whole(request)
        if not whole.requests:
            yield next(answers)
            raise broken("scripted")
        yield from answers

    assert BigtableTable(NOWHERE, "table", mutate=wire).write([cells(PARENT, a=b"", b=b"", c=b"")], 1) == 3
    assert whole.requests == [[b"a", b"b", b"c"], [b"b", b"c"]]


def test_refused_row() -> None:
    """A lasting fault is not tried again, and the error names row, status and reason."""
    wire = Wire(lambda key, tries: INVALID_ARGUMENT if key == b"b" else UNAVAILABLE)
    with pytest.raises(IngestError, match="row b is not written: INVALID_ARGUMENT: scripted"):
        BigtableTable(NOWHERE, "table", mutate=wire).write([cells(PARENT, a=b"", b=b"")], 1)
    assert len(wire.requests) == 1


def test_patience_ends() -> None:
    """A row that fails until the deadline ends the write with an error that names it."""
    wire = Wire(lambda key, tries: UNAVAILABLE if key == b"b" else 0)
    table = BigtableTable(NOWHERE, "table", mutate=wire, deadline_seconds=0.5)
    with pytest.raises(IngestError, match="row b is not written: UNAVAILABLE"):
        table.write([cells(PARENT, a=b"", b=b"")], 1)
    assert wire.requests[1:] == [[b"b"]] * (len(wire.requests) - 1) and len(wire.requests) > 1


def test_requests_stay_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are split over requests by number of cells and by size, but a row never is."""
    monkeypatch.setattr(requests, "MAX_MUTATIONS", 5)
    monkeypatch.setattr(requests, "MAX_BYTES", 1000)
    wire = Wire(lambda key, tries: 0)
    table = BigtableTable(NOWHERE, "table", mutate=wire)
    keys = [b"%d" % number for number in range(6)]
    table.write([Cells(PARENT, keys, [b""] * 6), Cells(CHILDREN, keys, [b""] * 6)], 1)
    assert wire.mutations == [4, 4, 4]
    wire.mutations.clear()
    table.write([cells(PARENT, a=b"x" * 500, b=b"x" * 500, c=b"x" * 5000, d=b"")], 1)
    assert wire.mutations == [1, 1, 1, 1]


def test_rows_in_pieces() -> None:
    """A cell in several chunks is put together, and a row that is reset is forgotten."""

    def chunk(key: bytes = b"", qualifier: str = "", **fields: Any) -> dict[str, Any]:
        if qualifier:
            fields |= {"family_name": {"value": "0"}, "qualifier": {"value": qualifier.encode()}}
        return {"row_key": key, **fields}

    answers = [
        [chunk(b"a", "p", value=b"12", value_size=5, timestamp_micros=7)],
        [chunk(value=b"34", value_size=5), chunk(value=b"5"), chunk(qualifier="q", value=b"6", commit_row=True)],
        [chunk(b"b", "p", value=b"lost", value_size=9), chunk(reset_row=True)],
        [chunk(b"b", "p", value=b"new", timestamp_micros=2), chunk(value=b"old", commit_row=True)],
    ]
    message = bigtable_message("ReadRowsResponse")
    assert list(merge_chunks(message(chunks=chunks) for chunks in answers)) == [
        Row(b"a", {"0:p": b"12345", "0:q": b"6"}, {"0:p": 7, "0:q": 0}),
        Row(b"b", {"0:p": b"new"}, {"0:p": 2}),
    ]


def test_nothing_goes_out_in_the_emulators_name() -> None:
    """Without an emulator's host, its project reaches no service."""
    with pytest.raises(StateError, match="emulator of bigtable"):
        list(BigtableTable(NOWHERE, "table").read([(b"a", b"b")]))


def test_environment_is_not_read(emulators: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are given count, whatever the environment of the process says."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", "127.0.0.1:1")
    table = BigtableTable(Endpoints.emulated(emulators), f"t{uuid.uuid4().hex}")
    table.create(families(2))
    table.write([cells(PARENT, a=b"1")], 1)
    assert [row.key for row in table.read_keys([b"a"])] == [b"a"]


def scanned(table: Table, ranges: list[tuple[bytes, bytes]], *only: str) -> dict[bytes, dict[str, bytes]]:
    """A scan as rows by key, with the values of their cells."""
    scan = table.scan(ranges, only)
    found: dict[bytes, dict[str, bytes]] = {b"%020d" % node: {} for node in scan.nodes.tolist()}
    for column, cell in scan.cells.items():
        for at, row in enumerate(cell.rows.tolist()):
            found[b"%020d" % scan.nodes[row]][column] = cell.value(at)
    assert scan.nodes.tolist() == sorted(scan.nodes.tolist())
    return found | {key: dict(row) for key, row in scan.odd.items()}


def test_scan(table: Table) -> None:
    """A scan has the rows that a read has, the newest cells and their times, whatever the rows are like."""
    nodes = [b"%020d" % number for number in (3, 7, 1 << 60, (1 << 64) - 1)]
    plain = [b"%020d" % number for number in range(1000, 3000)]
    table.write([Cells(PARENT, plain, [key[-8:] for key in plain])], 2)
    table.write(
        [Cells(CHILDREN, nodes, [b"x" * 9 * at for at in range(4)]), Cells(PARENT, nodes[:2], [b"1", b""])], 1
    )
    table.write([Cells(PARENT, nodes[1:2], [b"later"])], 3)
    odd = [b"a", b"9" * 20, b"0" * 21, b"i1"]
    table.write([Cells(COUNTER, odd, odd)], 1)
    whole = [(b"", b"\xff")]
    assert scanned(table, whole) == {row.key: row.cells for row in table.read(whole)}
    scan = table.scan(whole)
    times = scan.cells[str(PARENT)]
    assert times.times[np.searchsorted(times.rows, np.searchsorted(scan.nodes, 7))] == 3000
    some = [(b"%020d" % 1001, b"%020d" % 1003), (b"%020d" % 7, b"%020d" % 8), (b"%020d" % 2, b"%020d" % 2)]
    assert list(scanned(table, some)) == [b"%020d" % number for number in (7, 1001, 1002)]
    assert scanned(table, []) == {}


def test_scan_of_some_columns(table: Table) -> None:
    """`only` names columns or whole families; rows without any of them are left out."""
    key, other, third = (b"%020d" % number for number in (1, 2, 3))
    lifted = [Cells(cross_edges(layer), [key], [b"4"]) for layer in (2, 3)]
    table.write(
        [Cells(PARENT, [key, third], [b"1", b"3"]), Cells(CHILDREN, [key, other], [b"1", b"2"]), *lifted], 1
    )
    parent, two, three = str(PARENT), str(cross_edges(2)), str(cross_edges(3))
    assert scanned(table, [(b"", b"z")], parent, "4:") == {
        key: {parent: b"1", two: b"4", three: b"4"},
        third: {parent: b"3"},
    }
    assert scanned(table, [(b"", b"z")], three) == {key: {three: b"4"}}


def test_delete_rows(table: Table) -> None:
    """Rows are removed by exact keys, others stay; one that was removed can be written anew, at the same time
    too."""
    table.write([cells(PARENT, a=b"1", aa=b"2", b=b"3"), cells(CHILDREN, a=b"4")], 5)
    table.delete_rows([b"a", b"x"])
    assert [row.key for row in table.read([(b"", b"z")])] == [b"aa", b"b"]
    table.delete_rows([])
    table.write([cells(PARENT, a=b"5")], 5)
    assert [row.cells for row in table.read_keys([b"a"])] == [{str(PARENT): b"5"}]


def test_scan_and_delete_of_a_missing_table(missing: Table) -> None:
    """Both say that it is not there."""
    with pytest.raises(StateError, match="no table"):
        missing.scan([(b"a", b"z")])
    with pytest.raises(StateError, match="no table"):
        missing.delete_rows([b"a"])
