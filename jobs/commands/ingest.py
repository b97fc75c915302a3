"""`ingest` and `layer`: start a run or go on with one, and stay until it is done."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import click

from jobs.backends import Backend, GoogleBackend, MemoryBackend
from jobs.commands.checking import check
from jobs.commands.cloud import check_deployed, kick
from jobs.commands.common import (
    Ended,
    console,
    dataset_path,
    graph_option,
    how_to_go_on,
    running_backend,
    schema_option,
    started_backend,
    workers_option,
)
from jobs.commands.inspect import show_layers, show_status, verify_run
from jobs.environment import Environment
from jobs.local.cloudrun import LocalCloudRun
from jobs.local.emulators import EmulatorsMissing
from jobs.local.watch import watch
from jobs.runs import OpenRuns, load_record, need_record, note_letters, open_run, publishing, scratch
from shared.errors import StateError
from shared.outcome import Exit
from shared.run.control import go_on
from shared.run.ports import Completion, Failure, State
from shared.run.record import RunRecord
from shared.run.replay import current_failures
from shared.run.start import is_finished, queue_ready, resume, start
from shared.run.status import RunStatus
from shared.run.worker import Worker
from shared.table.meta import start_cells


@click.command()
@click.argument("dataset")
@click.option("--graph", envvar="GRAPH", help="The graph's name; the dataset's name unless given.")
@click.option("--test", is_flag=True, help="Only the children of the middle layer-3 chunk, and that chunk.")
@click.option("--resume", "resuming", is_flag=True, help="Go on with an interrupted run.")
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
@schema_option
def ingest(
    dataset: str,
    graph: str | None,
    test: bool,
    resuming: bool,
    workers: int,
    truth: Path | None,
    schema: int | None,
) -> None:
    """Build the chunked graph of DATASET (a name in configs/, or the path of a dataset YAML)."""
    path = dataset_path(dataset)
    graph = graph or path.stem
    checked = check(path, graph, test, schema)
    backend: Backend
    try:
        backend = started_backend()
    except EmulatorsMissing as missing:
        console.print(f"{missing} Meanwhile this run is built in memory, and is gone when it ends.")
        backend = MemoryBackend(Environment.read(os.environ))
    if isinstance(backend, GoogleBackend) and backend.environment.project is not None:
        check_deployed(backend, checked, dataset)
    record = load_record(backend, graph)
    table = backend.table(checked.table, checked.dataset.backend_client.CONFIG.INSTANCE)
    there = table.exists()
    if there and record is None:
        raise StateError(
            f"{path}: table {checked.table} exists, but not from a run that is recorded below "
            f"{backend.environment.scratch}; it is left alone. Give another name with GRAPH=…, or delete it"
        )
    if there and record is not None:
        if record.upgrade:
            raise StateError(f"{graph} is becoming a table of schema 3; go on with: {how_to_go_on(record)}")
        if not checked.dataset.states_schema:
            checked = checked.with_schema(record.schema)
        _check_same(record, checked.record(graph, record.run, record.timestamp_ms), path)
        if is_finished(record, backend.completion(graph, record.run)):
            console.print(f"{graph} is ingested: every chunk of table {record.table} is done.")
            show_layers(backend, record)
            _say_next(backend, graph)
            return
        if not resuming:
            show_status(backend, record)
            raise StateError(f"{graph} is begun, but not done; go on with: make ingest DATASET={dataset} RESUME=1")
        run = open_run(backend, record)
        table.write(start_cells(checked.dataset, graph), record.timestamp_ms)
        backend.prepare(record.plan.layers)
        with publishing(backend, graph) as queue:
            queued = resume(record, run.sources.scratch, run.completion, queue)
        # Not before: workers that wait would begin before they know that messages may have doubles.
        go_on(run.sources.scratch)
        console.print(f"resumed {graph}: queued {sum(queued.values()):,} chunks that were not done")
    else:
        if record is not None:
            console.print(f"the table of the last run of {graph} is gone; starting from the beginning")
        now = time.time_ns() // 1_000_000
        record = checked.record(graph, f"r{now}", now)
        folder = scratch(backend, graph)
        folder.delete(list(folder.list("")))
        backend.prepare(record.plan.layers)
        with publishing(backend, graph) as queue:
            count = start(record, folder, table, queue, start_cells(checked.dataset, graph))
        console.print(f"created table {record.table} and queued {count:,} chunks of layer 2")
    work_until_done(backend, record, workers)
    if not record.auto_queue_parents and not is_finished(record, backend.completion(graph, record.run)):
        console.print(f"layer 2 is done; parents wait for: make layer N=3 GRAPH={graph}")
        return
    show_layers(backend, record)
    if backend.environment.project is None:
        verify_run(backend, record, truth)
    _say_next(backend, graph)


@click.command()
@click.argument("number", type=int)
@graph_option
@workers_option
def layer(number: int, graph: str, workers: int) -> None:
    """Queue what is not done of layer NUMBER, and build it: for runs with auto_queue_parents: false."""
    backend = running_backend()
    record = need_record(backend, graph)
    if number not in record.plan.layers:
        raise StateError(f"{graph} has layers {record.plan.layers[0]} to {record.plan.top.layer}, not {number}")
    completion = backend.completion(graph, record.run)
    below = completion.progress([number - 1])[number - 1].done if number > 2 else 0
    if number > 2 and below < record.plan.total(number - 1):
        raise StateError(
            f"layer {number - 1} of {graph} has {below:,} of {record.plan.total(number - 1):,} chunks done; "
            f"build it first: make layer N={number - 1} GRAPH={graph}"
        )
    with publishing(backend, graph) as queue:
        count = queue_ready(record, number, completion, queue)
    console.print(f"queued {count:,} chunks of layer {number}")
    work_until_done(backend, record, workers)


def _check_same(record: RunRecord, now: RunRecord, path: Path) -> None:
    """A run goes on with the configuration that it was started with."""
    before, after = vars(record), vars(now)
    changed = [
        name
        for name in ("shape", "edges", "components", "schema", "test", "spatial_bits", "table")
        if before[name] != after[name]
    ]
    if changed:
        told = "; ".join(f"{name} was {before[name]!r} and is {after[name]!r}" for name in changed)
        possible = changed == ["schema"] and record.schema == 2
        upgrade = f", or make it one of schema 3: make upgrade GRAPH={record.graph}" if possible else ""
        raise StateError(
            f"{path}: the table of {record.graph} was begun with another configuration ({told}); "
            f"give the new one another name with GRAPH=…{upgrade}"
        )


def work_until_done(backend: Backend, record: RunRecord, workers: int) -> None:
    """Has the run built: by tasks in the project, by processes here, or by a thread where all is in memory."""
    completion = backend.completion(record.graph, record.run)
    if isinstance(backend, GoogleBackend) and backend.environment.project is not None:
        status = _watch_cloud(backend, record, completion)
    elif isinstance(backend, GoogleBackend):
        with LocalCloudRun(backend, record, workers) as cloud:
            status = watch(record, completion, console, cloud.keep_going, lambda: note_letters(backend))
        if cloud.gave_up:
            log, tail = cloud.executor.log_tail()
            console.print(f"the workers keep ending; the log {log} ends with:\n{tail}", markup=False)
            raise Ended(Exit.STOPPED)
    else:
        stop = threading.Event()
        worker = Worker(
            backend.queue(record.plan.layers),
            OpenRuns(backend, time.monotonic),
            "here",
            time.monotonic,
            stop.is_set,
            wait=stop.wait,
        )
        thread = threading.Thread(target=worker.run, args=(3600.0, 0.1), daemon=True)
        thread.start()
        try:
            status = watch(record, completion, console, lambda _: thread.is_alive())
        finally:
            stop.set()
            thread.join()
    if (status.failed or status.discarded) and not status.finished:
        _say_failed(record, current_failures(record, completion))
        raise Ended(Exit.FAILED_CHUNKS)


def _watch_cloud(backend: GoogleBackend, record: RunRecord, completion: Completion) -> RunStatus:
    """Has tasks started at once, and watches them; an interrupt ends the watching alone."""
    try:
        kick(backend)
        return watch(record, completion, console, lambda _: True, lambda: note_letters(backend))
    except KeyboardInterrupt as interrupt:
        where = f"GRAPH={record.graph} PROJECT={backend.environment.project}"
        console.print(f"the run goes on in the cloud; see: make status {where}. To hold it: make pause {where}")
        raise Ended(Exit.INTERRUPTED) from interrupt


def _say_failed(record: RunRecord, failures: list[Failure]) -> None:
    dead = [failure for failure in failures if failure.state is State.DEAD]
    discarded = sum(failure.state is State.DISCARDED for failure in failures)
    for failure in dead[:10]:
        console.print(f"chunk {failure.chunk}: {failure.error}: {failure.message}", markup=False)
    if dead:
        console.print(
            f"chunks in the dead letters: {len(dead):,}; what is left waits for them. See: make failed "
            f"GRAPH={record.graph}. When their cause is mended: {how_to_go_on(record)}"
        )
    if discarded:
        console.print(
            f"chunks discarded: {discarded:,}; what waits for them is never built. "
            f'One comes back with: make replay GRAPH={record.graph} CHUNK="L X Y Z"'
        )


def _say_next(backend: Backend, graph: str) -> None:
    project = backend.environment.project
    where = f"GRAPH={graph}" + (f" PROJECT={project}" if project else "")
    last = "" if project else ", make down"
    console.print(f"next: make status {where}, make verify {where}, make show {where} NODE=…{last}")
