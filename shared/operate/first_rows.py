"""The rows of a table that come before any chunk's: written when a run goes on that ended right at its start."""

from __future__ import annotations

from shared.errors import StateError
from shared.plan.config import Dataset
from shared.run.ports import Table
from shared.run.record import RunRecord
from shared.table.columns import META_KEY
from shared.table.meta import start_cells


def need_first_rows(record: RunRecord, table: Table, how_to_begin: str) -> None:
    """Writes them if a crash came before them; StateError if the table is gone, or if that cannot be done."""
    name = f"table {record.table} of {record.graph}"
    if not table.exists():
        raise StateError(f"{name} is not there; begin it anew with: {how_to_begin}")
    if next(iter(table.read_keys([META_KEY])), None) is not None:
        return
    if not record.made_by:
        # Records of version 1 have paths relative to a file that they do not name.
        raise StateError(
            f"{name} was not begun, by an older release; delete it, and begin it anew with: {how_to_begin}"
        )
    dataset = Dataset.model_validate(record.dataset).with_schema(record.schema)
    table.write(start_cells(dataset, record.graph), record.timestamp_ms)
