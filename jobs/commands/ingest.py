"""`ingest` and `layer`: begin a run or go on with one, and stay until it is done."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import click

from jobs.building import work_until_done
from jobs.commands.status import say_prepared, show_layers, show_status
from jobs.commands.verify import show_report, show_verification
from jobs.console import (
    command,
    dataset_path,
    graph_option,
    named_graph_option,
    open_run,
    raw_option,
    schema_option,
    started_backend,
    workers_option,
)
from jobs.deployed import check_deployed
from jobs.keeping import keep, keep_report, settle
from jobs.local.emulators import EmulatorsMissing
from jobs.output import say
from jobs.samples import kept
from shared.errors import StateError
from shared.gcp.backend import GoogleBackend
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin, find
from shared.operate.check import check
from shared.operate.looking_inside import look_inside
from shared.operate.run import Run
from shared.run.backend import Backend


@command("ingest")
@click.argument("dataset")
@named_graph_option
@click.option("--test", is_flag=True, help="Only the children of the middle layer-3 chunk, and that chunk.")
@click.option("--resume", "resuming", is_flag=True, help="Go on with an interrupted run.")
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
@schema_option
@click.option("--anyway", is_flag=True, help="With a project: begin although `doctor` finds problems there.")
@raw_option
@click.option("--verify", "verified", is_flag=True, help="Have each chunk verified by the job that builds it.")
@click.option("--prepare-only", is_flag=True, help="Write processed files from raw output, and stop: no table.")
def ingest(
    dataset: str,
    graph: str | None,
    test: bool,
    resuming: bool,
    workers: int,
    truth: Path | None,
    schema: int | None,
    raw: bool,
    verified: bool,
    prepare_only: bool,
    anyway: bool,
) -> None:
    """Build the chunked graph of DATASET (a name in configs/, or the path of a dataset YAML)."""
    path = dataset_path(dataset)
    graph = graph or path.stem
    checked = check(path, graph, test, schema, raw)
    for note in checked.notes:
        say(f"- {note}")
    look = cache(lambda: look_inside(checked, kept=kept(path, checked).sample))
    backend: Backend
    try:
        backend = started_backend()
    except EmulatorsMissing as missing:
        say(f"{missing} Meanwhile this run is built in memory, and is gone when it ends.")
        backend = MemoryBackend()
    if isinstance(backend, GoogleBackend) and backend.project is not None:
        check_deployed(backend, checked, dataset, look, anyway)
    run = find(backend, checked, graph, prepare_only)
    if run is None:
        truth_path = str(truth.absolute()) if truth else None
        run, count = begin(backend, checked, graph, truth_path, prepare=prepare_only, verified=verified)
        keep(run, "what the plan says", lambda: run.books.expect(checked, look()))
        if checked.input.source is not None:
            for name, value in checked.input_rows():
                say(f"{name}: {value}")
        made = "" if prepare_only else f"created table {run.record.table} and "
        say(f"{made}queued {count:,} chunks of layer {run.record.plan.fed}{_cuts(run)}")
    elif run.finished and prepare_only:
        say_prepared(run)
        return
    elif run.finished:
        say(f"{graph} is ingested: every chunk of table {run.record.table} is done.")
        show_layers(run)
        _say_next(run)
        return
    elif not resuming:
        show_status(run)
        raise StateError(f"{graph} is begun, but not done; go on with: {run.how_to_go_on}")
    else:
        say(f"resumed {graph}: queued {sum(run.resume().values()):,} chunks that were not done")
    _build(run, workers, truth)
    if checked.inventory.strangers:
        named = ", ".join(checked.inventory.stranger_names[:3])
        say(f"files that belong to no chunk: {checked.inventory.strangers:,} ({named}, …); they were not read")


def _cuts(run: Run) -> str:
    """What the lowest layer is, where it is not the usual one."""
    if run.record.plan.fed == 2:
        return ""
    return ", after their tables" if run.record.plan.tables else ", the cuts"


def _build(run: Run, workers: int, truth: Path | None) -> None:
    """Stays until the run is done, and says what it came to."""
    work_until_done(run, workers)
    settled = settle(run)
    if run.record.prepare:
        keep_report(run, settled)
        say_prepared(run)
        return
    fed = run.record.plan.fed
    if not run.record.auto_queue_parents and not run.finished:
        if isinstance(run.backend, MemoryBackend):
            say(f"layer {fed} is done; it was built in memory, where no other command can go on with its parents")
        else:
            say(f"layer {fed} is done; parents wait for: make layer N={fed + 1} {run.where}")
        return
    show_layers(run)
    try:
        if run.record.verified:
            show_report(run, run.verification())
        elif run.backend.project is None:
            show_verification(run, truth)
    finally:
        keep_report(run, settled)
    _say_next(run)


@command("layer")
@click.argument("number", type=int)
@graph_option
@workers_option
def layer(number: int, graph: str, workers: int) -> None:
    """Queue what is not done of layer NUMBER, and build it: for runs with auto_queue_parents: false."""
    run = open_run(graph)
    say(f"queued {run.queue_layer(number):,} chunks of layer {number}")
    work_until_done(run, workers)


def _say_next(run: Run) -> None:
    if isinstance(run.backend, MemoryBackend):
        say("it was built in memory and is gone now; with emulators, or PROJECT, it would stay")
        return
    last = "" if run.backend.project else ", make down"
    commands = (f"make {command} {run.where}" for command in ("view", "cost", "status", "verify"))
    say(f"next: {', '.join(commands)}, make show {run.where} NODE=ID{last}")
