"""`pause`, `resume` and `reset`: nothing new begins; all that is missing does; or all progress is dropped."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from jobs.building import work_until_done
from jobs.commands.status import say_prepared, show_layers
from jobs.commands.verify import show_report, show_verification
from jobs.console import (
    command,
    confirm,
    graph_option,
    open_run,
    started_backend,
    workers_option,
    yes_option,
)
from jobs.deployed import dispatch_now
from jobs.keeping import keep_report, settle
from jobs.output import say
from shared.operate.run import Run
from shared.timestamps import now


@command("pause")
@graph_option
def pause(graph: str) -> None:
    """Begin no more chunks of a run; those under way are finished."""
    run = open_run(graph)
    if run.pause(f"since {now()} from {socket.gethostname()}"):
        say(f"paused {graph}: workers begin no more chunks within seconds. Go on with: make resume {run.where}")
    else:
        say(f"{graph} is done; there is nothing to pause")


@command("resume")
@graph_option
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def resume(graph: str, workers: int, truth: Path | None) -> None:
    """Go on with a run that was paused, or lost its messages, its progress or the machine that began it."""
    backend = started_backend()
    run = Run.open(backend, graph)
    queued = sum(run.resume().values())
    say(f"resumed {graph}: queued {queued:,} chunks that were not done and wait for nothing")
    if backend.project is not None:
        dispatch_now(backend)
        say(f"tasks in the cloud take them; see: make status {run.where}")
        return
    if run.record.upgrade:
        say(f"the upgrade goes on with: {run.how_to_go_on}")
        return
    work_until_done(run, workers)
    if not run.finished:
        say(f"what is ready is done; parents wait for: make layer N=LAYER {run.where}")
        return
    settled = settle(run)
    if run.record.prepare:
        keep_report(run, settled)
        say_prepared(run)
        return
    if run.record.verifies or run.record.verified:
        show_layers(run)
        show_report(run, run.verification())
        return
    show_layers(run)
    try:
        show_verification(run, truth)
    finally:
        keep_report(run, settled)


@command("reset")
@graph_option
@yes_option
def reset(graph: str, yes: bool) -> None:
    """Drop the progress, hand-offs and queued messages of a run; its table and timestamp stay."""
    run = open_run(graph)
    confirm(f"Drop the progress of run {run.record.run} of {graph} (the table stays)", yes)
    run.reset()
    say(f"reset {graph}; build it again with: {run.how_to_go_on}")
