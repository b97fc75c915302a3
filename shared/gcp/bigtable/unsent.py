"""The requests that would write the rows of a chunk, made as a worker makes them and not sent.

Invariants: a request is as long as the one that would be sent; none is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.gcp.bigtable.wire import encode_rows
from shared.table.cells import Cells

TABLE = "projects/a-project-of-any-name/instances/an-instance/tables/a_table"


def unsent(cells: Sequence[Cells], timestamp_ms: int) -> Iterator[tuple[int, int]]:
    """The rows and the bytes of each request."""
    for rows in encode_rows(cells, timestamp_ms * 1000):
        yield len(rows.entries), len(rows.request(TABLE))
