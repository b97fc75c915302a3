"""What the verification of a run's table takes, by whoever does it: rows read once more, and CPU.

Measured in memory and with the emulator, CPU time: 2.7 ms for a chunk with next to nothing in it; 0.35 s for one of
84,782 rows with its input files, and 2 us for each row that is taken out of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.estimate.needs import AROUND_CPU, LayerNeeds

CHUNK_CPU, ROW_CPU = 0.0027, 6e-6
"""Seconds of CPU for a chunk, and for each of its rows, read and verified."""

AGAIN = 1.15
"""Rows are read so many times: parents and cross edges of nodes with the chunk above theirs, too."""


def checking_line(needed: Sequence[LayerNeeds]) -> str:
    """In words what it takes to verify the table that these layers come to."""
    chunks, rows = sum(layer.chunks for layer in needed), AGAIN * sum(layer.rows for layer in needed)
    hours = (chunks * (CHUNK_CPU + AROUND_CPU) + rows * ROW_CPU) / 3600
    return (
        f"not in it: verifying the table (VERIFY=1, or make verify), which reads {rows:,.0f} rows and takes "
        f"{hours:,.1f} hours of one CPU"
    )
