"""What the measurements share: runs without a dataset file, and where their files are."""

from __future__ import annotations

from typing import Any

from shared.files import CloudFilesStorage
from shared.inputs.source import ProcessedSource
from shared.memory.storage import MemoryStorage
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.work.sources import Sources

TIMESTAMP_MS = 1_700_000_000_000


def record_of(shape: tuple[int, int, int], schema: int = 2, **changes: Any) -> RunRecord:
    """A run over a grid, without a dataset file."""
    return RunRecord("bench", "run", "bench", None, TIMESTAMP_MS, shape, "-", "-", schema=schema, **changes)


def sources_of(record: RunRecord, scratch: Storage | None = None) -> Sources:
    """A run's folders, with hand-offs in memory unless given a place."""
    assert record.edges is not None and record.components is not None
    inputs = ProcessedSource(CloudFilesStorage(record.edges), CloudFilesStorage(record.components))
    return Sources(inputs, scratch or MemoryStorage())
