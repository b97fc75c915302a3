"""What a run came to, to be kept with its dataset: plain values, from which `shared.look.printed` makes a page.

Invariants: nothing is written; what is not known is left out, or said. Numbers of chunks are from up to RECORDS
completion records a layer, scattered over it, so what this reads does not grow with the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.chunks.totals import Totals
from shared.estimate.report import named
from shared.estimate.spent import layer_rows
from shared.look.answers import curve, of_causes
from shared.look.histogram import Histogram, doubling, histogram
from shared.look.known import Known
from shared.look.reading import MOST_FAILURES
from shared.look.records import Records
from shared.look.sentence import kind_of, sentence
from shared.look.shown import shown
from shared.look.slices import MOST_CHUNKS, Slice, box, first_layer, sliced
from shared.look.states import Look, number_above
from shared.look.verified import Verified, read_verified
from shared.operate.account import RECORDS
from shared.operate.books import Settled
from shared.operate.remarks import remarks
from shared.operate.run import Run
from shared.operate.status import RunStatus
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.done import is_done
from shared.run.facts import Facts, Seen
from shared.run.history import read_history
from shared.run.ports import State
from shared.timestamps import duration, text_of

Rows = list[tuple[str, ...]]
"""A table with its heading first."""

FEWEST = 5
"""Chunks of which a histogram says something."""

MOST_REASONS = 20
MOST_NAMED = 20
NOT_NOTED = "not noted: a machine that was lost, or a message that came twice"


@dataclass(frozen=True)
class Heat:
    """A slice of the map: for each of its chunks, row by row, a number; None where it is not known, or no chunk."""

    view: Slice
    states: tuple[Look | None, ...]
    seconds: tuple[float | None, ...]


@dataclass(frozen=True)
class Retried:
    """Chunks that took more than one attempt, by what is known of the attempt before the last."""

    why: str
    count: int
    chunks: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """All that is printed. `about` and `sizes` are names and values; `curve` as a page has it."""

    graph: str
    sentence: str
    about: Rows
    sizes: Rows
    layers: Rows
    remarks: tuple[str, ...]
    spent: Rows
    bill: Rows
    bill_notes: tuple[str, ...]
    histograms: tuple[Histogram, ...]
    heat: tuple[Heat, ...]
    curve: Sequence[Mapping[str, Any]]
    attempts: str
    retried: tuple[Retried, ...]
    failures: Mapping[str, Any]
    verified: Verified | None


def report(run: Run, settled: Settled) -> Report:
    """The report of a run as it is now, by its account; raises what the ports raise."""
    record, plan = run.record, run.record.plan
    status, totals = run.status(), run.totals()
    noted = {layer: run.completion.some(layer + 1, RECORDS) for layer in plan.layers}
    chunks = {
        layer: [one for _, seen in records for one in seen.facts.values()] for layer, records in noted.items()
    }
    listed = run.completion.some_failures(MOST_FAILURES)
    failures = {one.chunk: one for one in listed if one.state is not State.REPLAYED and one.chunk in plan}
    left = {chunk: one for chunk, one in failures.items() if not is_done(record, run.completion, chunk)}
    known = Known(status=status, failures=left, more_failures=len(listed) == MOST_FAILURES)
    verified = read_verified(run.scratch, record.run)
    return Report(
        graph=run.graph,
        sentence=sentence(status, run.paused),
        about=_about(run, settled),
        sizes=_sizes(totals, record.prepare),
        layers=_layers(status, totals),
        remarks=tuple(_remarks(totals)),
        spent=layer_rows(settled.kept.expected, settled.account.layers),
        bill=settled.cost.as_rows(),
        bill_notes=_bill_notes(settled),
        histograms=tuple(_histograms(status, chunks, verified)),
        heat=_heat(run, known),
        curve=curve(read_history(run.backend.board(), run.graph, record.run).samples),
        attempts=_attempts(chunks),
        retried=tuple(_retried(plan, noted)),
        failures=of_causes(known, plan, run.where),
        verified=verified,
    )


def _about(run: Run, settled: Settled) -> Rows:
    record, account = run.record, settled.account
    x, y, z = record.shape
    rows: Rows = [
        ("run", f"{record.run}: {kind_of(record)}"),
        ("grid", f"{x} x {y} x {z} chunks of layer 2, {sum(map(record.plan.total, record.plan.layers)):,} in all"),
        ("begun", f"{_when(record.timestamp_ms)}, by version {record.made_by or '(not known)'}"),
    ]
    if account.seconds is not None:
        rows.append(("ended", f"{_when(account.ended_ms)}, after {duration(account.seconds, 1)}"))
    expected = settled.kept.expected
    if expected is not None:
        rows.append(("planned", f"{duration(expected.hours * 3600, 1)}"))
    for name in ("edges", "components"):
        if getattr(record, name):
            rows.append((name, getattr(record, name)))
    return rows


def _when(ms: int) -> str:
    return f"{text_of(ms / 1000)[:19].replace('T', ' ')} UTC"


def _sizes(totals: Totals | None, prepare: bool) -> Rows:
    if totals is None or prepare or 2 not in totals:
        return []
    roots = sum(counts.get("final", 0) for counts in totals.values())
    nodes = sum(counts.get("nodes", 0) for counts in totals.values())
    atomic = totals[2]
    return [
        ("supervoxels", f"{atomic.get('supervoxels', 0):,}"),
        ("nodes of layers 2 and up", f"{nodes:,}"),
        ("roots", f"{roots:,}"),
        ("edges that the chunks of both sides decide differently", f"{atomic.get('disagreements', 0):,}"),
        ("supervoxels in component files that are in no edge", f"{atomic.get('unlisted', 0):,}"),
    ]


def _remarks(totals: Totals | None) -> list[str]:
    return remarks(totals) if totals is not None and 2 in totals else []


def _layers(status: RunStatus, totals: Totals | None) -> Rows:
    rows: Rows = [
        ("layer", "chunks", "done", "failed", "discarded", "nodes", "roots made", "seconds", "ms a chunk")
    ]
    for layer in status.layers:
        counts = (totals or {}).get(layer.layer, {})
        each = f"{1000 * layer.seconds / layer.done:,.1f}" if layer.done else ""
        made = tuple(f"{counts[name]:,}" if name in counts else "" for name in ("nodes", "final"))
        numbers = (f"{layer.total:,}", f"{layer.done:,}", f"{layer.failed:,}", f"{layer.discarded:,}")
        rows.append((named(layer.layer), *numbers, *made, f"{layer.seconds:,.1f}", each))
    return rows


def _bill_notes(settled: Settled) -> tuple[str, ...]:
    notes = []
    if settled.kept.expected is None:
        notes.append(
            "What the plan said was not kept, as this run was begun by an older release, or not by ingest."
        )
    if not settled.account.known:
        notes.append("Workers noted nothing but seconds, as those of an older release, so little is known.")
    elif settled.account.sampled:
        notes.append(
            "Of some layers a sample of the chunks is known; what the others took is taken to be the same."
        )
    return tuple(notes)


def _histograms(
    status: RunStatus, chunks: Mapping[int, Sequence[Facts]], verified: Verified | None
) -> list[Histogram]:
    found = []
    done = {layer.layer: layer.done for layer in status.layers}
    lowest = chunks.get(2, ())
    found.append(histogram("Supervoxels a chunk", _of(lowest, done.get(2, 0)), [one.supervoxels for one in lowest]))
    for layer, of_layer in chunks.items():
        if len(of_layer) >= FEWEST:
            told = f"Seconds a chunk of layer {named(layer)}"
            found.append(histogram(told, _of(of_layer, done[layer]), [one.seconds for one in of_layer]))
    if verified is not None and any(verified.objects):
        found.append(doubling("Supervoxels an object", f"{sum(verified.objects):,} objects", verified.objects))
    return found


def _of(known: Sequence[Facts], done: int) -> str:
    """What a histogram is of."""
    if not known:
        return "nothing was noted of the chunks, as workers of older releases did not"
    if len(known) < done:
        return f"{len(known):,} of {done:,} chunks, scattered over the volume"
    return f"{len(known):,} chunks"


def _attempts(chunks: Mapping[int, Sequence[Facts]]) -> str:
    known = [one for of_layer in chunks.values() for one in of_layer]
    more = sum(one.attempt > 1 for one in known)
    if not known:
        return "It was not noted how many attempts chunks took."
    return f"{more:,} of {len(known):,} chunks that something was noted of took more than one attempt."


def _retried(plan: Plan, noted: Mapping[int, Sequence[tuple[Chunk, Seen]]]) -> list[Retried]:
    """By reason, the most frequent first."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for above, seen in (record for of_layer in noted.values() for record in of_layer):
        again = {bit: one for bit, one in seen.facts.items() if one.attempt > 1}
        names = {bit: chunk for chunk, bit in plan.bits(above).items()} if again else {}
        for bit, one in again.items():
            found[one.why or NOT_NOTED].append(str(names.get(bit, above)))
    ordered = sorted(found.items(), key=lambda reason: -len(reason[1]))[:MOST_REASONS]
    return [Retried(why, len(chunks), tuple(sorted(chunks)[:MOST_NAMED])) for why, chunks in ordered]


def _heat(run: Run, known: Known) -> tuple[Heat, ...]:
    """Slices of the lowest layer that is seen as a whole, evenly spread, as many as a view has chunks for."""
    plan = run.record.plan
    layer = first_layer(plan)
    low, high = box(plan, layer)
    first = sliced(plan, layer, 2)
    count = max(1, min(high[2] - low[2], MOST_CHUNKS // (first.width * first.height)))
    places = sorted({low[2] + (2 * at + 1) * (high[2] - low[2]) // (2 * count) for at in range(count)})
    views = [sliced(plan, layer, 2, at) for at in places]
    chunks = [chunk for view in views for chunk in view.chunks() if chunk in plan]
    records = Records(run.record, run.completion, lambda: 0.0)
    records.read(list(dict.fromkeys(number_above(plan, chunk)[0] for chunk in chunks)))
    found = {one.chunk: one for one in shown(plan, chunks, known, records)}
    return tuple(
        Heat(
            view,
            tuple(found[chunk].state if chunk in found else None for chunk in view.chunks()),
            tuple(found[chunk].number("seconds") if chunk in found else None for chunk in view.chunks()),
        )
        for view in views
    )
