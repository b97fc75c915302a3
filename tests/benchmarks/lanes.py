"""Several chunks at a time in one process: what that brings where every request takes as long as in a region.

The run is in memory, and each call of a port waits `LATENCY` first, as often as the service is asked: noting a
completion reads a record and writes it. So what is measured is what one worker does beside waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from jobs.lanes import in_lanes
from jobs.memory_limit import ProcessMeter
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.check import Checked
from shared.work.crowd import Crowd
from shared.work.open_runs import OpenRuns
from shared.work.worker import Worker
from tests.benchmarks.measure import show

LATENCY = 0.02
IDLE_SECONDS = 1.0
TIMES = {"complete": 2, "receive": 0, "close": 0}
"""Requests of a call, where they are not one; what is received was pulled before."""


class Slow:
    """A port whose calls wait first."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            time.sleep(LATENCY * TIMES.get(name, 1))
            answer = found(*given, **named)
            return Slow(answer) if name == "receive" and answer is not None else answer

        return call


class SlowBackend(MemoryBackend):
    """Ports in memory, each as far away as a service."""

    def storage(self, folder: str) -> Any:
        return Slow(super().storage(folder))

    def inputs(self, folder: str) -> Any:
        return Slow(super().inputs(folder))

    def queue(self, layers: Any) -> Any:
        return Slow(super().queue(layers))

    def completion(self, graph: str, run: str) -> Any:
        return Slow(super().completion(graph, run))

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Any:
        return Slow(super().table(name, instance, verifying))


def measure(checked: Checked, lanes: tuple[int, ...]) -> dict[str, Any]:
    """Builds a dataset by one process with so many lanes; chunks a second, and of CPU what share."""
    found = list[dict[str, Any]]()
    for count in lanes:
        backend = SlowBackend()
        run, _ = begin(backend, checked, "lanes")
        done, seconds, spent = _built(backend, run.record.plan.layers, count)
        found.append({
            "lanes": count,
            "chunks": done,
            "chunks_a_second": round(done / seconds, 1),
            "cpu_ms_a_chunk": round(1000 * spent / done, 2),
        })  # fmt: skip
    show("one process, every request takes 20 ms", found)
    return {str(row["lanes"]): row for row in found}


def _built(backend: SlowBackend, layers: Sequence[int], count: int) -> tuple[int, float, float]:
    """Chunks done, seconds, and those of CPU."""
    queue, crowd = backend.queue(layers), Crowd()

    def work(lane: int, over: Callable[[], bool]) -> int:
        meter = ProcessMeter(alone=lambda: crowd.alone, cpu=time.thread_time)
        opened = OpenRuns(backend, time.monotonic)
        worker = Worker(queue, opened, f"lane {lane}", time.monotonic, over, meter=meter, crowd=crowd)
        return worker.run(IDLE_SECONDS, poll_seconds=0.1)

    begun, cpu = time.perf_counter(), time.process_time()
    done = in_lanes(count, work, lambda: False)
    # In the last of these seconds nothing came.
    return done, time.perf_counter() - begun - IDLE_SECONDS, time.process_time() - cpu
