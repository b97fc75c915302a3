"""`verify` and `repair`: whether a table is right, and how it becomes so."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.building import work_until_done
from jobs.console import (
    Ended,
    chunks_option,
    command,
    confirm,
    graph_option,
    open_run,
    some,
    workers_option,
    yes_option,
)
from jobs.keeping import keep, settle
from jobs.output import say
from shared.exit_codes import Exit
from shared.operate.run import Run
from shared.operate.verification import Verification
from shared.plan.grid import Chunk

SHOWN = 100
"""Violations that are printed; the report in the graph's folder has more."""


@command("verify")
@graph_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
@click.option("--sample", type=click.IntRange(1), help="Only look at so many chunks of each layer.")
@click.option("--queue", "by_queue", is_flag=True, help="By the queue and its workers, as with a project.")
@workers_option
def verify(graph: str, truth: Path | None, sample: int | None, by_queue: bool, workers: int) -> None:
    """Check the whole table of a finished run; exit code 1 if anything in it is wrong."""
    run = open_run(graph)
    if sample is not None:
        _show_look(run, sample)
    elif by_queue or run.backend.project is not None:
        verifying, count = run.begin_verification()
        keep(verifying, "what the plan says", lambda: verifying.books.expect_verification(run.books))
        say(f"{verifying.graph} verifies table {run.record.table}: queued {count:,} chunks")
        work_until_done(verifying, workers)
        settle(verifying)
        show_report(run, run.verification())
    else:
        show_verification(run, truth)


def show_verification(run: Run, truth: Path | None = None) -> None:
    """Checks a table and prints the result; Ended with FAULTY if a violation was found."""
    show_report(run, run.verify(None if truth is None else str(truth)))


def show_report(run: Run, found: Verification) -> None:
    """Prints what a verification came to; Ended with FAULTY if a violation was found."""
    say("rows by layer: " + "  ".join(f"layer {layer}: {count:,}" for layer, count in sorted(found.rows.items())))
    for violation in found.violations[:SHOWN]:
        say(violation)
    if found.violation_count:
        say(f"table {run.record.table} has {found.violation_count:,} violations")
        if found.chunks:
            graph = run.where.replace(f"GRAPH={run.graph}", f"GRAPH={run.record.verifies or run.graph}")
            say(f"cells of {len(found.chunks):,} chunks are in question; mend them with: make repair {graph}")
        raise Ended(Exit.FAULTY)
    compared = ", ".join(found.compared).replace(f"{Path.cwd()}/", "")
    say(f"table {run.record.table} agrees with {compared}")


def _show_look(run: Run, count: int) -> None:
    found = run.look(count)
    for violation in found.violations[:SHOWN]:
        say(violation)
    for one in found.layers:
        looked = f"layer {one.layer}: looked at {one.looked:,} of {one.total:,} chunks, {one.damaged:,} damaged"
        if one.unseen and not one.damaged:
            looked += f"; were {100 * one.unseen:.3g} % of them damaged, this look would have seen it with 95 %"
        say(looked)
    if found.violation_count:
        say(f"table {run.record.table} has {found.violation_count:,} violations where it was looked at")
        raise Ended(Exit.FAULTY)


@command("repair")
@graph_option
@chunks_option("Build these chunks again; several after commas. What the last verification names unless given.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@yes_option
def repair(graph: str, chunks: tuple[Chunk, ...], dry_run: bool, yes: bool) -> None:
    """Build again what a verification found damaged, remove rows that no build makes, and verify again."""
    run = open_run(graph)
    planned = run.plan_repair(chunks)
    if not (planned.chunks or planned.remove or planned.beginning):
        say(f"nothing of table {run.record.table} is to be mended")
        return
    say(f"chunks that are built again: {len(planned.chunks):,} ({some(list(planned.chunks))})")
    if planned.beginning:
        say("the rows that servers begin with are written again")
    for key in planned.remove[:SHOWN]:
        say(f"row {key.decode(errors='replace')} is removed: no build makes it, or not all of its cells")
    if len(planned.remove) > SHOWN:
        say(f"… and {len(planned.remove) - SHOWN:,} rows more")
    if dry_run:
        return
    if planned.remove:
        confirm(f"Remove {len(planned.remove):,} rows of table {run.record.table}", yes)
    show_report(run, run.repair(planned))
