"""`failed`, `replay` and `discard`: what could not be built, and what becomes of it."""

from __future__ import annotations

import dataclasses

import click

from jobs.console import (
    chunks_option,
    command,
    confirm,
    graph_option,
    json_option,
    layer_argument,
    open_run,
    running_backend,
    some,
    yes_option,
)
from jobs.deployed import dispatch_now
from jobs.local.worker_logs import waiting
from jobs.output import put, put_json, say
from shared.errors import StateError
from shared.operate.causes import Cause, causes
from shared.operate.reasons import in_words, reasons
from shared.operate.replay import never_built
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State
from shared.run.record import RunRecord


@command("failed")
@layer_argument
@chunks_option("Show these chunks with their whole tracebacks.")
@json_option
@graph_option
def failed(layer: int | None, chunks: tuple[Chunk, ...], as_json: bool, graph: str) -> None:
    """List the chunks of a run that failed, of one LAYER or of all, and why."""
    run = open_run(graph)
    found = [
        failure
        for failure in run.failures()
        if layer in (None, failure.chunk.layer) and (not chunks or failure.chunk in chunks)
    ]
    orphans = run.orphans()
    if as_json:
        kept = [dataclasses.asdict(orphan) | {"data": orphan.data.decode(errors="replace")} for orphan in orphans]
        failures = [dataclasses.asdict(failure) for failure in found]
        grouped = [
            {
                "error": cause.error,
                "text": cause.text,
                "chunks": [str(failure.chunk) for failure in cause.failures],
                "holds_up": cause.holds_up(run.record.plan),
            }
            for cause in causes(found)
        ]
        put_json({
            "graph": graph,
            "run": run.record.run,
            "failures": failures,
            "causes": grouped,
            "waiting": [dataclasses.asdict(reason) for reason in waiting(run, reasons(found))],
            "orphans": kept,
        })  # fmt: skip
        return
    if chunks:
        missing = set(chunks) - {failure.chunk for failure in found}
        if missing:
            raise StateError(f"{graph}: {some(missing)} has no such failure; make failed {run.where} lists all")
        for failure in found:
            _put_whole(run.record, failure)
        return
    for line in _lines(run.record, found) if found else [f"{graph}: nothing has failed"]:
        put(line)
    for line in in_words(waiting(run, reasons(found))):
        say(f"waiting: {line}")
    dead = sum(failure.state is State.DEAD for failure in found)
    if dead:
        say(
            f'chunks in the dead letters: {dead:,}. One whole: make failed {run.where} CHUNK="L X Y Z". '
            f"When their cause is mended: make replay {run.where}"
        )
    for orphan in orphans:
        say(f"a dead letter that belongs to no run ({orphan.published}): {orphan.reason}")


@command("replay")
@layer_argument
@chunks_option("Only these chunks, discarded ones too.")
@click.option("--dry-run", is_flag=True, help="Say what would be queued, and queue nothing.")
@graph_option
def replay(layer: int | None, chunks: tuple[Chunk, ...], dry_run: bool, graph: str) -> None:
    """Queue the chunks in the dead letters once more, of one LAYER or of all; their failures are forgotten."""
    backend = running_backend()
    run = Run.open(backend, graph)
    wanted = run.dead(layer, chunks)
    for failure in wanted if dry_run else ():
        say(f"chunk {failure.chunk}: {failure.error}: {_short(failure.message)}")
    if dry_run:
        say(f"would queue {len(wanted):,} chunks of {graph}")
        return
    count = run.replay(wanted)
    dispatch_now(backend)
    say(f"queued {count:,} chunks of {graph} again; where no workers run: make resume {run.where}")


@command("discard")
@layer_argument
@chunks_option("Only these chunks.")
@yes_option
@graph_option
def discard(layer: int | None, chunks: tuple[Chunk, ...], yes: bool, graph: str) -> None:
    """Give up the chunks in the dead letters of one LAYER, or some of them, and say what that means."""
    if layer is None and not chunks:
        raise click.UsageError("say which: a LAYER, or --chunk")
    run = open_run(graph)
    wanted = run.dead(layer, chunks)
    if not wanted:
        say(f"{graph} has nothing in the dead letters there")
        return
    _say_consequences(run, [failure.chunk for failure in wanted])
    confirm(f"Give up {len(wanted):,} chunks", yes)
    run.discard(wanted)
    say(
        f"discarded {len(wanted):,} chunks; status shows them. "
        f'One comes back with: make replay {run.where} CHUNK="L X Y Z"'
    )


def _say_consequences(run: Run, chunks: list[Chunk]) -> None:
    plan = run.record.plan
    say(f"without {some(chunks)} these can never be built:")
    for above, lost in never_built(plan, chunks).items():
        say(f"  layer {above}: {len(lost):,} of {plan.total(above):,} chunks: {some(lost)}")
    say("so the run ends without its root; every object that reaches into them stays without one")


def _lines(record: RunRecord, found: list[Failure]) -> list[str]:
    """A line a chunk, in columns; below those that failed alike the error, once, and what it holds up."""
    rows = [("chunk", "state", "failed", "not ended", "last", "worker")]
    told: list[list[str]] = [[]]
    for cause in causes(found):
        for failure in cause.failures:
            limit = record.attempt_limit(failure.chunk.layer)
            unended = str(len(failure.started)) if failure.started else ""
            counts = (f"{failure.attempts} of {limit}", unended)
            state = "waiting" if failure.waiting else str(failure.state)
            rows.append((str(failure.chunk), state, *counts, failure.when[:19], failure.worker))
            told.append([])
        told[-1] = _of_cause(record, cause)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [line for row, below in zip(lines, told, strict=True) for line in (row, *below)]


def _of_cause(record: RunRecord, cause: Cause) -> list[str]:
    several = len(cause.failures) > 1
    text = cause.text if several else cause.failures[0].message
    below = [f"    {cause.error}: {_short(text)}"] if cause.error else []
    above = cause.holds_up(record.plan)
    if above:
        below.append(f"    it holds up {len(cause.failures):,} chunks and {above:,} above them")
    return below


def _put_whole(record: RunRecord, failure: Failure) -> None:
    limit = record.attempt_limit(failure.chunk.layer)
    lines = [
        f"chunk {failure.chunk}: {failure.state}; {failure.attempts} of {limit} attempts failed",
        f"first {failure.first}, last {failure.when}, worker {failure.worker}",
        *(f"begun and not ended: {started}" for started in failure.started),
        f"{failure.error}: {failure.message}",
        failure.traceback,
    ]
    put("\n".join(lines))


def _short(text: str, most: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]} …"
