"""A worker in this thread, with its own opening of the queue: what runs in memory is built so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from shared.operate.feeding import Feeder
from shared.run.backend import Backend
from shared.work.open_runs import OpenRuns
from shared.work.worker import Worker


def work_here(
    backend: Backend,
    layers: Sequence[int],
    stopped: Callable[[], bool],
    idle_seconds: float,
    wait: Callable[[float], object],
) -> int:
    """Does what is queued of these layers, until nothing came for `idle_seconds` or `stopped` says so; the number
    of chunks done."""
    queue = backend.queue(layers)
    worker = Worker(
        queue,
        OpenRuns(backend, time.monotonic),
        "here",
        time.monotonic,
        stopped,
        wait,
        between=Feeder(backend, queue, time.time),
        classify=backend.classify,
    )
    try:
        return worker.run(idle_seconds, poll_seconds=0.1)
    finally:
        queue.close()
