"""What a job of layer 0 does: one part of a segmentation's tables is sorted, or what scores join is found.

Invariants: the objects that a job leaves are the same each time, and its hand-off, which says how many others there
are, is stored last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from shared.inputs.raw.ranges import RangeReader
from shared.plan.grid import Chunk
from shared.plan.segmentation import ABOVE
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.tables.components import join_parts
from shared.tables.parts import Part
from shared.tables.rows import Table
from shared.tables.sorting import sort_part


@dataclass(frozen=True)
class TableSorter:
    """Sorts the tables of a run into its scratch folder; `open_ranges` opens a folder of tables."""

    record: RunRecord
    scratch: Storage
    open_ranges: Callable[[str], RangeReader]

    def sort(self, chunk: Chunk) -> bytes:
        """Stores what a job leaves but for its hand-off, which is returned; DataError for tables that are damaged,
        or contradict themselves."""
        handoff = b""
        for number, data in self._objects(chunk):
            if number:
                self.scratch.put(self.record.handoff_name(chunk._replace(y=number)), data)
            else:
                handoff = data
        return handoff

    def _objects(self, chunk: Chunk) -> Iterator[tuple[int, bytes]]:
        cut = self.record.segmentation
        assert cut is not None
        if chunk.x == len(self._parts):
            return join_parts(self._parts, cut.threshold, cut.together == ABOVE, self.open_ranges, chunk)
        table = Table.MAPPING if cut.mapping else Table.SCORES
        return sort_part(table, self._parts[chunk.x], self.open_ranges, chunk)

    @cached_property
    def _parts(self) -> list[Part]:
        return [Part.read(part) for part in self.record.table_parts]
