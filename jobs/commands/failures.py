"""`failed`, `replay` and `discard`: what could not be built, and what becomes of it."""

from __future__ import annotations

import dataclasses
import json

import click

from jobs.backends import GoogleBackend
from jobs.commands.cloud import kick
from jobs.commands.common import chunks_option, console, graph_option, running_backend
from jobs.runs import need_record, note_letters, publishing
from shared.errors import StateError
from shared.plan.grid import Chunk
from shared.run.failures import attempt_limit
from shared.run.moments import now
from shared.run.ports import Completion, Failure, State
from shared.run.record import RunRecord
from shared.run.replay import chosen, current_failures, discard, never_built, replay

layer_argument = click.argument("layer", type=int, required=False)


@click.command()
@layer_argument
@chunks_option("Show these chunks with their whole tracebacks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@graph_option
def failed(layer: int | None, chunks: tuple[Chunk, ...], as_json: bool, graph: str) -> None:
    """List the chunks of a run that failed, of one LAYER or of all, and why."""
    backend, record, completion = _opened(graph)
    found = [
        failure
        for failure in current_failures(record, completion)
        if layer in (None, failure.chunk.layer) and (not chunks or failure.chunk in chunks)
    ]
    strays = backend.strays().all()
    if as_json:
        kept = [dataclasses.asdict(stray) | {"data": stray.data.decode(errors="replace")} for stray in strays]
        failures = [dataclasses.asdict(failure) for failure in found]
        click.echo(json.dumps({"graph": graph, "run": record.run, "failures": failures, "strays": kept}))
        return
    if chunks:
        _need_all(record, chunks, found)
        for failure in found:
            _show_whole(record, failure)
        return
    for line in _lines(record, found) if found else [f"{graph}: nothing has failed"]:
        click.echo(line)
    dead = sum(failure.state is State.DEAD for failure in found)
    if dead:
        console.print(
            f'chunks in the dead letters: {dead:,}. One whole: make failed GRAPH={graph} CHUNK="L X Y Z". '
            f"When their cause is mended: make replay GRAPH={graph}"
        )
    for stray in strays:
        console.print(f"a dead letter that belongs to no run ({stray.published}): {stray.reason}", markup=False)


@click.command("replay")
@layer_argument
@chunks_option("Only these chunks, discarded ones too.")
@click.option("--dry-run", is_flag=True, help="Say what would be queued, and queue nothing.")
@graph_option
def replay_command(layer: int | None, chunks: tuple[Chunk, ...], dry_run: bool, graph: str) -> None:
    """Queue the chunks in the dead letters once more, of one LAYER or of all; their failures are forgotten."""
    backend, record, completion = _opened(graph)
    wanted = chosen(current_failures(record, completion), layer, chunks)
    _need_all(record, chunks, wanted)
    for failure in wanted if dry_run else ():
        console.print(f"chunk {failure.chunk}: {failure.error}: {_short(failure.message)}", markup=False)
    if dry_run:
        console.print(f"would queue {len(wanted):,} chunks of {graph}")
        return
    with publishing(backend, graph) as queue:
        count = replay(record, completion, queue, wanted, now())
    kick(backend)
    console.print(f"queued {count:,} chunks of {graph} again; where no workers run: make resume GRAPH={graph}")


@click.command("discard")
@layer_argument
@chunks_option("Only these chunks.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@graph_option
def discard_command(layer: int | None, chunks: tuple[Chunk, ...], yes: bool, graph: str) -> None:
    """Give up the chunks in the dead letters of one LAYER, or some of them, and say what that means."""
    if layer is None and not chunks:
        raise click.UsageError("say which: a LAYER, or --chunk")
    _, record, completion = _opened(graph)
    wanted = chosen(current_failures(record, completion), layer, chunks)
    _need_all(record, chunks, wanted)
    if not wanted:
        console.print(f"{graph} has nothing in the dead letters there")
        return
    console.print(f"without {_some([failure.chunk for failure in wanted])} these can never be built:")
    for above, waiting in never_built(record.plan, [failure.chunk for failure in wanted]).items():
        console.print(f"  layer {above}: {len(waiting):,} of {record.plan.total(above):,} chunks: {_some(waiting)}")
    console.print("so the run ends without its root; every object that reaches into them stays without one")
    if not yes:
        click.confirm(f"Give up {len(wanted):,} chunks?", abort=True)
    discard(completion, wanted, now())
    console.print(
        f"discarded {len(wanted):,} chunks; status shows them. "
        f'One comes back with: make replay GRAPH={graph} CHUNK="L X Y Z"'
    )


def _opened(graph: str) -> tuple[GoogleBackend, RunRecord, Completion]:
    """A run with all dead letters noted that have come so far."""
    backend = running_backend()
    record = need_record(backend, graph)
    note_letters(backend)
    return backend, record, backend.completion(graph, record.run)


def _need_all(record: RunRecord, chunks: tuple[Chunk, ...], found: list[Failure]) -> None:
    """StateError for a named chunk that is not among the failures."""
    missing = sorted(set(chunks) - {failure.chunk for failure in found})
    if missing:
        raise StateError(
            f"{record.graph}: {_some(missing)} has no such failure; make failed GRAPH={record.graph} lists all"
        )


def _lines(record: RunRecord, found: list[Failure]) -> list[str]:
    """A line a chunk, in columns, and below it the error."""
    rows = [("chunk", "state", "failed", "not ended", "last", "worker")]
    for failure in found:
        limit = attempt_limit(record.dataset, failure.chunk.layer)
        unended = str(len(failure.started)) if failure.started else ""
        counts = (f"{failure.attempts} of {limit}", unended)
        rows.append((str(failure.chunk), failure.state, *counts, failure.when[:19], failure.worker))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told = [f"    {failure.error}: {_short(failure.message)}" if failure.error else "" for failure in found]
    below = (text for pair in zip(lines[1:], told, strict=True) for text in pair if text)
    return [lines[0], *below]


def _show_whole(record: RunRecord, failure: Failure) -> None:
    limit = attempt_limit(record.dataset, failure.chunk.layer)
    lines = [
        f"chunk {failure.chunk}: {failure.state}; {failure.attempts} of {limit} attempts failed",
        f"first {failure.first}, last {failure.when}, worker {failure.worker}",
        *(f"begun and not ended: {started}" for started in failure.started),
        f"{failure.error}: {failure.message}",
        failure.traceback,
    ]
    click.echo("\n".join(lines))


def _short(text: str, most: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]} …"


def _some(chunks: set[Chunk] | list[Chunk], most: int = 5) -> str:
    named = ", ".join(map(str, sorted(chunks)[:most]))
    return f"{named} and {len(chunks) - most:,} more" if len(chunks) > most else named
