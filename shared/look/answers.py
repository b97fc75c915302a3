"""What a page is told, as plain values for JSON: the run as a whole, a view of the map, one chunk.

Invariants: pure but for the time; texts from outside are given as they are, and whoever shows them shows text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from shared.look import commands
from shared.look.known import Known
from shared.look.sentence import kind_of, sentence
from shared.look.shown import NUMBERS, around, shown
from shared.look.slices import Slice, box, sliced
from shared.look.states import Look, facts_of, number_above, state_of
from shared.look.watch import Watch
from shared.operate.causes import Cause, causes
from shared.operate.reasons import in_words
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.facts import Facts
from shared.run.history import Sample
from shared.run.ports import Failure, State

MOST_CAUSES = 50
MOST_NAMED = 200
"""Chunks of a cause that are named."""

Values = dict[str, Any]


def of_run(watch: Watch) -> Values:
    """The run: a sentence, layers, what it went through, failures, and what all this has read so far."""
    run, known = watch.run, watch.known
    record, status = run.record, known.status
    return {
        "graph": run.graph,
        "run": record.run,
        "kind": kind_of(record),
        "begun_ms": record.timestamp_ms,
        "made_by": record.made_by,
        "where": run.where,
        "finished": status is not None and status.finished,
        "sentence": "" if status is None else sentence(status, known.paused, known.quiet_seconds),
        "trouble": known.trouble,
        "waiting": [] if status is None else in_words(status.waiting),
        "layers": [] if status is None else [asdict(layer) for layer in status.layers],
        "shapes": {str(layer): box(record.plan, layer) for layer in record.plan.layers},
        "workers": [
            {"worker": at.worker, "chunk": str(at.chunk), "since_ms": at.since_ms}
            for at in known.at_work.values()
            if not watch.is_done(at.chunk)
        ]
        if status is not None and not status.finished
        else [],
        "cost": cost_in_words(known),
        "seen_ms": known.seen_ms,
        "curve": curve(known.history),
        "failures": of_causes(known, record.plan, run.where),
        "numbers": {name: title for name, (title, _) in NUMBERS.items()},
        "reads": watch.budget.spent,
        "reads_an_hour": watch.budget.an_hour,
        "starved": known.starved,
    }


def cost_in_words(known: Known) -> str:
    """What the run has cost so far, and what its plan said."""
    if known.cost is None:
        return ""
    expected = known.cost.expected
    said = f"its plan said ${expected.total:,.2f}" if expected else "what its plan said was not kept"
    if not known.cost_known:
        return f"Cost: not known, as no worker has noted yet what a chunk took; {said}."
    return f"Cost: about ${known.cost.taken.total:,.2f} so far by list prices; {said}."


def curve(history: Sequence[Sample]) -> list[Values]:
    """For each span between two samples its end, the chunks a second done in it, and tasks, queued and failed
    chunks at its end. A span in which counts fell, as after a loss of the progress, has a rate of 0."""
    found = []
    for before, after in pairwise(history):
        seconds = (after.at_ms - before.at_ms) / 1000
        if seconds > 0:
            rate = max(0.0, (sum(after.done.values()) - sum(before.done.values())) / seconds)
            counts = {"tasks": after.tasks, "queued": after.queued, "failed": after.failed}
            found.append({"at_ms": after.at_ms, "rate": rate, **counts})
    return found


def of_causes(known: Known, plan: Plan, where: str) -> Values:
    """Failures by cause, that which was met last first."""
    grouped = sorted(causes(known.failures.values()), key=lambda cause: _last(cause.failures), reverse=True)
    dead = sum(failure.state is State.DEAD for failure in known.failures.values())
    return {
        "more": known.more_failures,
        "commands": commands.of_failures(where, dead) if grouped else [],
        "causes": [_cause(cause, plan, where) for cause in grouped[:MOST_CAUSES]],
        "left_out": max(0, len(grouped) - MOST_CAUSES),
    }


def _cause(cause: Cause, plan: Plan, where: str) -> Values:
    dead = [failure.chunk for failure in cause.failures if failure.dead]
    return {
        "error": cause.error,
        "text": cause.text,
        "count": len(cause.failures),
        "last": _last(cause.failures),
        "states": dict(Counter(_state_in_words(failure) for failure in cause.failures)),
        "holds_up": cause.holds_up(plan),
        "chunks": [str(failure.chunk) for failure in cause.failures[:MOST_NAMED]],
        "replay": commands.of_cause(where, dead) if dead else "",
    }


def of_view(watch: Watch, view: Slice, number: str | None) -> Values:
    """A view of the map: its chunks row by row with the number of their states, and a number each, if one is asked
    for (null where it is not known, or the chunk is none of the run)."""
    plan, known = watch.run.record.plan, watch.known
    chunks = view.chunks()
    found = {one.chunk: one for one in shown(plan, chunks, known, watch.records)}
    states = list(Look)
    done = [one for one in found.values() if one.state is Look.DONE]
    return {
        "slice": asdict(view),
        "across": view.across,
        "box": box(plan, view.layer),
        "names": [str(state) for state in states],
        "states": [states.index(found[chunk].state) if chunk in found else -1 for chunk in chunks],
        "values": [found[chunk].number(number) if chunk in found else None for chunk in chunks] if number else None,
        "number": number,
        "counts": {str(state): count for state, count in Counter(one.state for one in found.values()).items()},
        "without_facts": sum(one.facts is None for one in done),
        "done": len(done),
        "next_seconds": watch.next_look(view),
        "trouble": known.trouble,
    }


def of_chunk(watch: Watch, chunk: Chunk) -> Values:
    """One chunk: its state, what a worker noted of it, what went wrong, what it waits for, who waits for it, and
    what to type."""
    run, known, records = watch.run, watch.known, watch.records
    plan = run.record.plan
    read = around(plan, chunk, known, records)
    state, failure = state_of(plan, chunk, read), watch.failure(chunk)
    if state is Look.DONE:
        failure = None
    own, waits = records.get(chunk), plan.dependencies(chunk)
    at_work = known.at_work.get(chunk) if state is Look.BUILDING else None
    return {
        "chunk": str(chunk),
        "coords": list(chunk),
        "state": str(state),
        "facts": _facts(facts_of(plan, chunk, read.above)),
        "tries": run.record.attempt_limit(chunk.layer),
        "failure": None if failure is None or failure.state is State.REPLAYED else _failure(failure),
        "at_work": None if at_work is None else {"worker": at_work.worker, "since_ms": at_work.since_ms},
        "waits_for": [
            {
                "chunk": str(one),
                "child": _is_child(plan.dependents(one), chunk),
                "state": _as_waited_for(watch, one, bit, chunk),
            }
            for bit, one in enumerate(waits)
        ],
        "read": own is not None or not waits,
        "waited_for_by": [str(one) for one in plan.dependents(chunk) if one != plan.end],
        "parent": None if chunk == plan.top else str(number_above(plan, chunk)[0]),
        "commands": commands.of_chunk(run.record, chunk, state, run.where),
        "view": {**asdict(sliced_at(watch, chunk))},
        "trouble": known.trouble,
    }


def sliced_at(watch: Watch, chunk: Chunk, axis: int = 2) -> Slice:
    """The view that has a chunk in its middle."""
    plan = watch.run.record.plan
    first, second = (one for one in range(3) if one != axis)
    size = sliced(plan, chunk.layer, axis)
    u, v = chunk.coords[first] - size.width // 2, chunk.coords[second] - size.height // 2
    return sliced(plan, chunk.layer, axis, chunk.coords[axis], u, v)


def _as_waited_for(watch: Watch, one: Chunk, bit: int, by: Chunk) -> str:
    own = watch.records.get(by)
    if own is None:
        return str(Look.UNKNOWN)
    if own.done >> bit & 1:
        return str(Look.DONE)
    failure = watch.known.failures.get(one)
    if failure is not None and failure.dead:
        return str(Look.DISCARDED if failure.state is State.DISCARDED else Look.FAILED)
    return str(Look.BUILDING) if one in watch.known.at_work else "not done"


def _is_child(dependents: Sequence[Chunk], of: Chunk) -> bool:
    return dependents[0] == of


def _facts(facts: Facts | None) -> Values | None:
    return None if facts is None else asdict(facts)


def _failure(failure: Failure) -> Values:
    return {
        **{name: getattr(failure, name) for name in ("error", "message", "traceback", "attempts", "worker")},
        **{name: getattr(failure, name) for name in ("first", "when", "waiting")},
        "state": _state_in_words(failure),
        "started": list(failure.started),
    }


def _state_in_words(failure: Failure) -> str:
    if failure.waiting:
        return "waits for a service"
    words: Mapping[State, str] = {
        State.DEAD: "in the dead letters",
        State.DISCARDED: "given up",
        State.TRYING: "is tried again",
        State.REPLAYED: "queued again",
    }
    return words[failure.state]


def _last(failures: Sequence[Failure]) -> str:
    return max(failure.when for failure in failures)
