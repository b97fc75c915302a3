"""Verification beside a plain read of the same rows by the same client: CPU of this process, the emulator's apart.

The emulator has an answer for each row, and gRPC's share of that is in all three; Bigtable has many rows an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from shared.gcp.bigtable.table import BigtableTable
from shared.operate.verification import verify_here
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, families
from shared.table.meta import version_cells
from shared.work.sources import Sources
from tests.benchmarks.building import Emulator, build_and_write
from tests.benchmarks.inputs import sources_of
from tests.benchmarks.measure import Spent, show

EVERYTHING = [(b"\0", b"\xff")]
"""The keys of all rows."""


def measure(records: dict[int, RunRecord], emulator: Emulator, rounds: int) -> dict[str, Any]:
    """A line for each schema; of `rounds` the least CPU counts, for each way apart."""
    rows = []
    for schema, record in records.items():
        sources = sources_of(record)
        with emulator() as (endpoints, _):
            table = BigtableTable(endpoints, "table")
            table.create(families(schema))
            table.write([Cells(META, [META_KEY], [b"-"]), version_cells(schema)], record.timestamp_ms)
            build_and_write(record, sources, table, 1)
            ways: dict[str, Callable[[], object]] = {
                "plain read": partial(_read, table),
                "scan": partial(table.scan, EVERYTHING),
                "verify": partial(_verify, record, table, sources),
            }
            count = _read(table)
            least = {name: min(_cpu(way) for _ in range(rounds)) for name, way in ways.items()}
        rows.append(
            {
                "schema": schema,
                "rows": count,
                **{f"{name}, CPU s": seconds for name, seconds in least.items()},
                "verify / plain read": least["verify"] / least["plain read"],
                "rows/s verified": count / least["verify"],
            }
        )
    show("Verification, input files included, beside reading", rows)
    return {"schemas": rows}


def _cpu(way: Callable[[], object]) -> float:
    with (spent := Spent()).more():
        way()
    return spent.cpu


def _read(table: BigtableTable) -> int:
    return sum(1 for _ in table.read(EVERYTHING))


def _verify(record: RunRecord, table: BigtableTable, sources: Sources) -> None:
    found = verify_here(record.plan, table, sources.inputs)
    assert not found.violation_count, found.violations[:3]
