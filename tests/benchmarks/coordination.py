"""What the queue, the records and the worker's loop cost: chunks without content, through all emulators."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.local.executions import LocalExecutor
from shared.environment import Environment
from shared.gcp.backend import GoogleBackend
from shared.gcp.cloudrun.messages import JobSpec
from shared.gcp.pubsub.queue import PubSubQueue
from shared.operate.queueing import start
from shared.run.record import RunRecord
from shared.run.registry import graph_folder
from shared.work.open_runs import OpenRuns, open_run
from shared.work.worker import Worker
from tests.benchmarks.inputs import record_of
from tests.benchmarks.measure import Sampler, Spent, cpu_of, resident_mb, rss_mb, show

DONE = '"chunk.done"'
"""How a worker's log line says that a chunk was built."""
POLL = 0.05
PATIENCE = 1800.0


def backend_of(hosts: dict[str, str], folder: Path, prefix: str) -> GoogleBackend:
    """The emulators, with a scratch folder and topics of one measurement."""
    environ = {**hosts, "INGEST_SCRATCH": f"file://{folder / prefix}", "INGEST_PREFIX": prefix}
    return GoogleBackend(Environment.read(environ))


def empty_record(folder: Path, name: str, shape: tuple[int, int, int]) -> RunRecord:
    """A run over chunks without files: nothing to build, all else as ever."""
    for kind in ("edges", "components"):
        (folder / kind).mkdir(exist_ok=True)
    places: dict[str, Any] = {kind: f"file://{folder / kind}" for kind in ("edges", "components")}
    return replace(record_of(shape), graph=name, table=name, **places)


@contextmanager
def operations() -> Iterator[Counter[str]]:
    """Counts the calls of this process by method, whichever client makes them."""
    from grpc import _channel

    counted: Counter[str] = Counter()
    kinds = [
        getattr(_channel, name)
        for name in (
            "_UnaryUnaryMultiCallable",
            "_UnaryStreamMultiCallable",
            "_SingleThreadedUnaryStreamMultiCallable",
        )
    ]
    kept = [
        (kind, way, vars(kind)[way])
        for kind in kinds
        for way in ("__call__", "with_call", "future")
        if way in vars(kind)
    ]

    def counting(real: Any) -> Any:
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            method = self._method.decode() if isinstance(self._method, bytes) else str(self._method)
            counted[method.rpartition("/")[2]] += 1
            return real(self, *arguments, **named)

        return call

    for kind, way, real in kept:
        setattr(kind, way, counting(real))
    try:
        yield counted
    finally:
        for kind, way, real in kept:
            setattr(kind, way, real)


def begin(backend: GoogleBackend, record: RunRecord) -> Spent:
    """Stores the record, makes the table and publishes layer 2; what that took."""
    backend.prepare(record.plan.layers)
    queue = backend.queue([])
    with (spent := Spent()).more():
        start(record, graph_folder(backend, record.graph), backend.table(record.table, None), queue, [])
    queue.close()
    return spent


def wait_for_end(backend: GoogleBackend, record: RunRecord, poll: float = POLL) -> None:
    """Until the last chunk is done."""
    completion = backend.completion(record.graph, record.run)
    until = time.monotonic() + PATIENCE
    while not completion.done(record.plan.end):
        if time.monotonic() > until:
            raise TimeoutError(f"{record.graph} is not done after {PATIENCE:g} s")
        time.sleep(poll)


def chunks_of(record: RunRecord) -> int:
    """How many chunks a run builds."""
    return sum(map(record.plan.total, record.plan.layers))


def in_process(hosts: dict[str, str], folder: Path, shape: tuple[int, int, int]) -> dict[str, Any]:
    """One worker in this process: CPU a chunk, without what the same builds take alone, and operations."""
    record = empty_record(folder, "inprocess", shape)
    backend = backend_of(hosts, folder, "inprocess")
    run = open_run(backend, record)
    begin(backend, record)
    total = chunks_of(record)
    queue = backend.queue(record.plan.layers)
    ended = threading.Event()

    def watch() -> None:
        wait_for_end(backend, record, 0.5)
        ended.set()

    watcher = threading.Thread(target=watch)
    worker = Worker(queue, OpenRuns(backend, time.monotonic), "bench", time.monotonic, ended.is_set)
    with operations() as counted, (spent := Spent()).more():
        watcher.start()
        worker.run(600.0, poll_seconds=0.2)
    queue.close()
    watcher.join()
    with (alone := Spent()).more():
        for layer in record.plan.layers:
            for chunk in record.plan.grid.chunks(layer):
                run.sources.build(record, chunk)
    looks = spent.seconds / 0.5
    return {
        "chunks": total,
        "seconds": spent.seconds,
        "CPU ms/chunk": spent.cpu / total * 1e3,
        "of it building": alone.cpu / total * 1e3,
        "around it": (spent.cpu - alone.cpu) / total * 1e3,
        "operations/chunk": {name: round(count / total, 3) for name, count in sorted(counted.items())},
        "of them by the watcher": round(looks / total, 3),
    }


def started(workers: int, record: RunRecord, environ: dict[str, str], logs: Path) -> LocalExecutor:
    """Worker processes for all layers of a run, each a task as on people's machines."""
    executor = LocalExecutor(os.environ | environ, logs)
    layers = f"{record.plan.layers[0]}-{record.plan.layers[-1]}"
    args = ("--processes", "1", "--layers", layers, "--idle-seconds", "3600", "--parent", str(os.getpid()))
    executor.run(JobSpec(record.graph, args, tasks=workers))
    return executor


def in_workers(
    hosts: dict[str, str], pids: dict[str, int], folder: Path, name: str, record: RunRecord, workers: int
) -> dict[str, Any]:
    """A run by worker processes: time, their CPU, the emulators' CPU, memory over time."""
    backend = backend_of(hosts, folder, name)
    published = begin(backend, record)
    environ = {**backend.environment.variables(), "PYTHONWARNINGS": "ignore"}
    total = chunks_of(record)
    before = {key: cpu_of(pid) for key, pid in pids.items()}
    spent = Spent()
    with spent.more():
        executor = started(workers, record, environ, folder / f"{name}-logs")
        ids = executor.pids()
        try:
            with Sampler(ids) as sampler:
                wait_for_end(backend, record)
            cpu = sum(map(cpu_of, ids))
        finally:
            executor.close()
    progress = backend.completion(record.graph, record.run).progress(record.plan.layers)
    lost = total - sum(layer.done for layer in progress.values())
    logs = (path.read_text(errors="replace") for path in (folder / f"{name}-logs").glob("*.log"))
    builds = sum(text.count(DONE) for text in logs)
    samples = [memory for _, memory in sampler.samples] or [[0.0]]
    return {
        "workers": workers,
        "chunks": total,
        "lost": lost,
        "built twice": builds - total,
        "seconds": spent.seconds,
        "chunks/s": total / spent.seconds,
        "CPU ms/chunk": cpu / total * 1e3,
        "emulators' CPU ms/chunk": sum(cpu_of(pid) - before[key] for key, pid in pids.items()) / total * 1e3,
        "publishing s": published.seconds,
        "MB at a fifth": max(samples[len(samples) // 5]),
        "MB at the end": max(samples[-1]),
    }


def first_chunk(hosts: dict[str, str], folder: Path, number: int) -> dict[str, float]:
    """From starting a worker process to the first chunk noted as done, and the CPU that it took until then."""
    record = empty_record(folder, f"first{number}", (1, 1, 1))
    backend = backend_of(hosts, folder, record.graph)
    begin(backend, record)
    completion = backend.completion(record.graph, record.run)
    completion.done(record.plan.end)
    environ = {**backend.environment.variables(), "PYTHONWARNINGS": "ignore"}
    began = time.monotonic()
    executor = started(1, record, environ, folder / f"first{number}-logs")
    try:
        while not completion.done(record.plan.end):
            time.sleep(0.01)
        return {"seconds": time.monotonic() - began, "CPU s": cpu_of(*executor.pids())}
    finally:
        executor.close()


def publishing(hosts: dict[str, str], folder: Path, count: int) -> dict[str, Any]:
    """The rate at which one process publishes chunk messages, and what its memory grows by."""
    record = empty_record(folder, "publishing", (100, 100, 100))
    backend = backend_of(hosts, folder, "publishing")
    backend.prepare([2])
    queue = backend.queue([])
    assert isinstance(queue, PubSubQueue)
    queue.publish(2, [b"first"])
    chunk = record.plan.chunk_at(2, 0)
    before, peak = resident_mb(), 0.0

    def messages() -> Iterator[bytes]:
        nonlocal peak
        for number in range(count):
            if number % 10_000 == 0:
                peak = max(peak, resident_mb())
            yield record.message(chunk._replace(x=number % 100, y=number // 100 % 100, z=number // 10_000 % 100))

    with (spent := Spent()).more():
        queue.publish(2, messages())
    queue.close()
    return {
        "messages": count,
        "seconds": spent.seconds,
        "messages/s": count / spent.seconds,
        "CPU us/message": spent.cpu / count * 1e6,
        "messages/CPU s": count / spent.cpu,
        "memory grew MB": max(0.0, peak - before),
    }


def measure_queue(hosts: dict[str, str], pids: dict[str, int], folder: Path) -> dict[str, Any]:
    """Overhead a chunk, start-up, one process and two."""
    alone = in_process(hosts, folder, (8, 8, 8))
    operations_a_chunk = alone.pop("operations/chunk")
    show("One worker in this process, chunks without content", [alone], f"operations a chunk: {operations_a_chunk}")
    starts = [first_chunk(hosts, folder, number) for number in range(3)]
    quickest = min(starts, key=lambda each: each["seconds"])
    show("From the start of a worker process to its first chunk done", [dict(quickest)])
    rows = []
    for workers in (1, 2):
        name = f"workers{workers}"
        rows.append(in_workers(hosts, pids, folder, name, empty_record(folder, name, (8, 8, 8)), workers))
    cores = os.cpu_count() or 1
    growth = float(rows[1]["CPU ms/chunk"]) / float(rows[0]["CPU ms/chunk"])
    show(
        "Worker processes, chunks without content",
        rows,
        f"emulators share the {cores} cores, so the clock says little; a chunk costs {growth:.2f} times the CPU "
        f"with two workers,\nso two cores of their own would give at most {2 / growth:.2f} times the rate of one",
    )
    return {"one": alone, "operations": operations_a_chunk, "start": starts, "workers": rows}


def measure_run(hosts: dict[str, str], pids: dict[str, int], folder: Path, total: int) -> dict[str, Any]:
    """Publishing alone, then a long run: rates, and memory that stays."""
    side = round(total ** (1 / 3))
    rows = [publishing(hosts, folder, count) for count in (20_000, 200_000)]
    show("Publishing", rows)
    record = empty_record(folder, "long", (side, side, max(1, round(total / side**2))))
    run = in_workers(hosts, pids, folder, "long", record, 2)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    emulator_mb = {key: round(rss_mb(pid)) for key, pid in pids.items()}
    show(
        "A long run of chunks without content",
        [run],
        f"this process at most {own:.0f} MB; emulators' memory MB: {emulator_mb}",
    )
    return {"publishing": rows, "run": run, "own_mb": own, "emulators_mb": emulator_mb}
