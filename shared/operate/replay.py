"""What an operator does about failed chunks: list them, queue them again, or give them up.

Invariants: a chunk is queued before its failure is taken away, so a replay that breaks off, or runs
twice, queues a chunk twice at worst; and a failure that a worker notes meanwhile stays. A chunk
that is done has no failure, whatever was noted before, unless what it made ready was never queued.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from shared.errors import StateError
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.done import is_done, left_unqueued
from shared.run.ports import Completion, Failure, Queue, State
from shared.run.record import RunRecord
from shared.work import failures as records

CHECKED = 1_000
"""Failures of which it is looked up whether they still are any, when a command asks for all once."""


def current_failures(record: RunRecord, completion: Completion) -> list[Failure]:
    """The failures of chunks that are not done, or left something unqueued, by chunk; others are forgotten.

    Beyond CHECKED of them all count as current. Who builds a chunk takes its failure away, so few are not: those
    whose worker died in between. A chunk that is queued again for it is found done.
    """
    found = completion.failures()
    return still_failed(record, completion, found[:CHECKED]) + found[CHECKED:]


def still_failed(record: RunRecord, completion: Completion, failures: Iterable[Failure]) -> list[Failure]:
    """Those of the failures that still are any; up to eight reads for each. Others are forgotten."""
    found = []
    for failure in failures:
        chunk = failure.chunk
        if not is_done(record, completion, chunk) or left_unqueued(record, completion, chunk):
            found.append(failure)
        else:
            completion.change_failure(failure.chunk, _forget(failure))
    return found


def chosen(failures: Iterable[Failure], layer: int | None, chunks: Collection[Chunk]) -> list[Failure]:
    """The failures to replay or discard: the dead ones of a layer, or of all; or the named chunks'.

    What was discarded comes back only by name.
    """
    if chunks:
        return [failure for failure in failures if failure.chunk in chunks and failure.dead]
    dead = (failure for failure in failures if failure.state is State.DEAD)
    return [failure for failure in dead if layer in (None, failure.chunk.layer)]


def replay(record: RunRecord, completion: Completion, queue: Queue, failures: Iterable[Failure], when: str) -> int:
    """Queues the chunks of failures again; how many. `when` is now."""
    by_layer: defaultdict[int, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_layer[failure.chunk.layer].append(failure)
    count = 0
    for layer, of_layer in by_layer.items():
        count += queue.publish(layer, [record.message(failure.chunk) for failure in of_layer])
        forget(completion, of_layer, when)
    return count


def forget(completion: Completion, failures: Iterable[Failure], when: str) -> None:
    """Notes that the chunks of failures were queued again, where nothing else was noted since."""
    for failure in failures:
        completion.change_failure(failure.chunk, _replayed(failure, when))


def discard(completion: Completion, failures: Iterable[Failure], when: str) -> None:
    """Notes that dead chunks are given up; StateError for a part of the tables, which all chunks wait for."""
    failures = list(failures)
    if any(failure.chunk.layer == 0 for failure in failures):
        raise StateError(
            "no chunk can be cut before all parts of the tables are sorted, so none can be given up; mend "
            "the table, then: make replay"
        )
    for failure in failures:
        completion.change_failure(failure.chunk, lambda before: records.discarded(before, when))


def never_built(plan: Plan, chunks: Iterable[Chunk]) -> dict[int, set[Chunk]]:
    """What waits for chunks that are given up, directly or not, by layer; the chunks themselves aside."""
    blocked: defaultdict[int, set[Chunk]] = defaultdict(set)
    for chunk in chunks:
        blocked[chunk.layer].add(chunk)
    given_up = {chunk for of_layer in blocked.values() for chunk in of_layer}
    for layer in plan.layers[:-1]:
        for chunk in blocked[layer]:
            blocked[layer + 1].update(plan.dependents(chunk))
    found = {layer: of_layer - given_up for layer, of_layer in sorted(blocked.items())}
    return {layer: of_layer for layer, of_layer in found.items() if of_layer and layer in plan.layers}


def _replayed(seen: Failure, when: str) -> Callable[[Failure | None], Failure | None]:
    return lambda before: records.replayed(before, seen, when)


def _forget(seen: Failure) -> Callable[[Failure | None], Failure | None]:
    return lambda before: None if before == seen else before
