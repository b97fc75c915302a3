"""Mending a table: the chunks that a verification names are built again, and rows that no build makes are removed.

A build is a pure function, so it makes the rows again that were there. What it writes over is mended by that alone;
what it does not write over (a row that no build makes, a column that does not belong there, a cell of a later time)
goes with its whole row, after it was shown, and all jobs that write cells of that row do it again.

Invariants: nothing is touched in a table that servers have edited since, unless the chunks are named, and then none
of these in which a cell is newer than the run's. After a crash anywhere the same command does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from shared.errors import StateError
from shared.plan.config import Dataset
from shared.plan.grid import Chunk, parent
from shared.plan.plan import Plan
from shared.run.ports import Table
from shared.run.record import RunRecord
from shared.table.cells import Cells, NodeCells
from shared.table.columns import COUNTER, PARENT, counter_key
from shared.table.meta import start_cells
from shared.table.scan import Scan
from shared.verify.ranges import BEGINNING, node_range, root_counters, root_range, strange_ranges

Build = Callable[[Chunk], list[Cells]]
"""The cells of a chunk, as its job would write them."""

Columns = dict[int, set[str]]
"""The columns that a job writes, by node."""


@dataclass(frozen=True)
class Repair:
    """What is to be done: chunks to build again, lower layers first; rows to remove; and whether the first rows of
    the table are to be written again."""

    chunks: tuple[Chunk, ...]
    remove: tuple[bytes, ...] = ()
    beginning: bool = False


def plan_repair(
    record: RunRecord, table: Table, build: Build, chunks: Collection[Chunk], named: bool = False
) -> Repair:
    """What mends these chunks. StateError for a table that was edited, unless the chunks were `named`, and then for
    the chunks in which it was."""
    edited = edited_since(record, table, root_counters(record.plan))
    if edited and not named:
        raise StateError(
            f"table {record.table} was edited after its ingest (row {edited[0].decode()}), so what differs from "
            "the input may be somebody's work; nothing was changed. Name the chunks to build again: "
            'CHUNK="L X Y Z, …"'
        )
    return _Planner(record, table, build, bool(edited)).planned(chunks)


def edited_since(record: RunRecord, table: Table, counters: Collection[bytes]) -> list[bytes]:
    """Those of the counters that are newer than the run: a server has made ids."""
    rows = table.read_keys(sorted(counters))
    return [row.key for row in rows if row.timestamps.get(str(COUNTER), 0) > record.timestamp_ms * 1000]


def first_cells(record: RunRecord) -> list[Cells]:
    """The rows that servers begin with; StateError where the record does not tell them."""
    if not record.made_by or not record.dataset:
        raise StateError(f"the record of {record.graph} does not say what the first rows of its table are")
    return start_cells(Dataset.model_validate(record.dataset).with_schema(record.schema), record.graph)


class _Planner:
    """Finds what has to be done for the chunks of one table."""

    def __init__(self, record: RunRecord, table: Table, build: Build, edited: bool) -> None:
        self.record, self.plan, self.table, self.edited = record, record.plan, table, edited
        self.columns = lru_cache(maxsize=32)(lambda chunk: _columns(build(chunk)))
        self.chunks: set[Chunk] = set()
        self.remove: set[bytes] = set()

    def planned(self, wanted: Collection[Chunk]) -> Repair:
        self.chunks |= set(wanted)
        for chunk in sorted(wanted):
            self._look(chunk)
        beginning = False
        if self.plan.top in wanted and not self.plan.test:
            present = {row.key for row in self.table.read_keys(BEGINNING)}
            beginning = present != set(BEGINNING)
            strange = (row.key for row in self.table.read(strange_ranges(self.plan)))
            self.remove |= {key for key in strange if key not in BEGINNING and not key.startswith(b"i")}
        return Repair(tuple(sorted(self.chunks)), tuple(sorted(self.remove)), beginning)

    def _look(self, chunk: Chunk) -> None:
        """Compares the rows of one chunk with those that its job, and others, write."""
        if edited_since(self.record, self.table, [counter_key(self.plan.ids.chunk_id(chunk))]):
            raise StateError(f"chunk {chunk} was edited after its ingest: its counter is newer; it is left alone")
        for keys in _ranges(self.plan, chunk):
            scan = self.table.scan([keys])
            if self.edited and any(cell.times.max() > self._time for cell in scan.cells.values()):
                raise StateError(f"chunk {chunk} was edited after its ingest: it has newer cells; it is left alone")
            self.remove |= set(scan.odd)
            for node in self._wrong(chunk, scan):
                self.remove.add(b"%020d" % node)
                self._rewrite(chunk, node)
            low, high = map(int, keys)
            for node in {made for made in self.columns(chunk) if low <= made < high}.difference(
                scan.nodes.tolist()
            ):
                self._rewrite(chunk, node)  # a lost row has cells of several jobs

    @property
    def _time(self) -> int:
        return self.record.timestamp_ms * 1000

    def _wrong(self, chunk: Chunk, scan: Scan) -> set[int]:
        """The nodes that no build makes, or with a column that none writes there, or with a newer cell."""
        made, wrong = self.columns(chunk), set(scan.nodes.tolist())
        wrong -= made.keys()
        for column, cell in scan.cells.items():
            newer = cell.rows[cell.times > self._time]
            wrong |= set(scan.nodes[newer].tolist())
            for node in scan.nodes[cell.rows].tolist():
                if node not in wrong and column not in made[node] and not self._from_above(chunk, node, column):
                    wrong.add(node)
        return wrong

    def _from_above(self, chunk: Chunk, node: int, column: str) -> bool:
        """Whether a job above `chunk` writes that column into a row of it."""
        if chunk == self.plan.top or node >> 64 - self.plan.ids.layer_id_bits != chunk.layer:
            return False
        if column == str(PARENT):
            return True
        return column in self.columns(parent(chunk)).get(node, ())

    def _rewrite(self, chunk: Chunk, node: int) -> None:
        """Notes whose jobs write the row of a node of `chunk`, once it is removed."""
        at = chunk
        if node >> 64 - self.plan.ids.layer_id_bits == self.plan.grid.layer_count:
            self.chunks.add(chunk)  # it has no parent, and all is written by the job that numbers it
            return
        while node in self.columns(chunk):
            self.chunks.add(at)
            if str(PARENT) in self.columns(at).get(node, ()) or at == self.plan.top:
                return
            at = parent(at)


def _ranges(plan: Plan, chunk: Chunk) -> Iterator[tuple[bytes, bytes]]:
    """The keys of the rows that the job of a chunk makes."""
    if chunk != plan.grid.root:
        yield node_range(plan, chunk)
    yield root_range(plan, chunk)
    if chunk.layer == 2:
        yield node_range(plan, chunk._replace(layer=1))


def _columns(cells: list[Cells]) -> Columns:
    found: Columns = {}
    for part in cells:
        if isinstance(part, NodeCells):
            for node in part.nodes.tolist():
                found.setdefault(node, set()).add(str(part.column))
    return found
