"""A machine that is not there, in the place of clocks and memory: it takes so much for each job and each
supervoxel, so what a whole run takes on it is known, whatever the machine that tests run on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared.estimate.measured import Measured
from shared.gcp.bigtable.unsent import unsent
from shared.memory.backend import MemoryBackend
from shared.operate.check import Checked
from shared.operate.kept_sample import fingerprint, measured, record_to_sample
from shared.operate.looking_inside import chunks_to_sample
from shared.operate.sampling import Instruments, Sampling, Taken
from shared.table.cells import Cells, NodeCells

JOB, EACH = 0.02, 4e-6
"""Seconds of CPU on the machine that is not there, some three times those of the constants."""
BYTES, MORE = 3e6, 1500.0


@dataclass
class Machine:
    """Its clocks and its memory; answers `shared.work.attempt.Meter`."""

    checked: Checked
    now: float = 0.0
    peak: float = 0.0
    began: float = 0.0

    def clock(self) -> float:
        return self.now

    def start(self) -> None:
        self.peak, self.began = 100.0, self.now

    def cpu_seconds(self) -> float:
        return self.now - self.began

    def peak_mb(self) -> float:
        return self.peak

    def encode(self, cells: Sequence[Cells], timestamp_ms: int) -> Iterator[tuple[int, int]]:
        """As it is; time passes by what is in the chunk."""
        ids = self.checked.plan.ids
        of_nodes = [part.nodes for part in cells if isinstance(part, NodeCells)]
        nodes = np.unique(np.concatenate(of_nodes)) if of_nodes else np.zeros(0, np.uint64)
        supervoxels = int((ids.layers(nodes) == 1).sum())
        self.now += JOB + EACH * supervoxels
        self.peak += (BYTES + MORE * supervoxels) / 2**20
        yield from unsent(cells, timestamp_ms)

    def instruments(self) -> Instruments:
        return Instruments(self.clock, self, self.encode)


def sampled(checked: Checked, count: int, machine: Machine | None = None) -> list[Taken]:
    """So many chunks, built."""
    machine = machine or Machine(checked)
    sampling = Sampling(MemoryBackend(), record_to_sample(checked), machine.instruments())
    return list(sampling.take(chunks_to_sample(checked, count)))


def kept(checked: Checked, taken: Sequence[Taken], inside: bool = False) -> Measured:
    """What is kept of them."""
    mark = fingerprint(checked)
    return measured(mark, record_to_sample(checked), taken, "2026-11-28T04:00:00.000+00:00", "here", inside)
