"""`upgrade`: a table of schema 2 becomes one of schema 3; run again, the command goes on where it was."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.building import work_until_done
from jobs.commands.status import show_layers
from jobs.commands.verify import show_verification
from jobs.console import Ended, command, graph_option, open_run, workers_option
from jobs.output import say
from shared.errors import StateError


@command("upgrade")
@graph_option
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def upgrade(graph: str, workers: int, truth: Path | None) -> None:
    """Make GRAPH's table of schema 2 one of schema 3, in place; run it again to go on."""
    run = open_run(graph)
    begun = run.record.upgrade
    queued = sum(run.upgrade().values())
    table = run.record.table
    if not run.record.upgrade:
        say(f"table {table} is of schema 3 already")
        return
    if begun:
        say(f"goes on with the upgrade of {graph}: queued {queued:,} chunks that were not done")
    else:
        say(f"added family 4 to table {table} and queued {queued:,} chunks of layer 2")
    work_until_done(run, workers)
    if not run.finished:
        raise StateError(f"the upgrade of {graph} is not done; go on with: {run.how_to_go_on}")
    show_layers(run)
    try:
        show_verification(run, truth)
    except Ended:
        say("its version row still says schema 2: no reader is told of the new cells")
        raise
    run.finish_upgrade()
    say(f"table {table} is of schema 3 now; give schema 3 in its dataset file as well")
