"""Builds a sample in this process: with its clocks, its memory, and the table's own encoder; nothing is sent.

What the chunk before left in the heap would be taken for this one's, so it is given back to the system first.
"""

from __future__ import annotations

import ctypes
import gc
import time

from jobs.memory_limit import ProcessMeter
from shared.gcp.bigtable.unsent import unsent
from shared.memory.backend import MemoryBackend
from shared.operate.sampling import Instruments, Sampling
from shared.run.record import RunRecord


class FromNothing(ProcessMeter):
    """A worker's meter that begins without what was freed before."""

    def start(self) -> None:
        """Has the kernel begin anew, from what is in use."""
        gc.collect()
        # Of glibc; with another library there is nothing to give back by.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        super().start()


def sampling(record: RunRecord) -> Sampling:
    """What builds chunks of a run that was never begun, here."""
    instruments = Instruments(time.perf_counter, FromNothing(), unsent)
    return Sampling(MemoryBackend(), record, instruments)
