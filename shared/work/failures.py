"""How the failure record of a chunk changes: pure functions from what is noted to what is to be noted.

    (none) -> trying -> dead -> replayed -> trying ...
                           \\-> discarded -> replayed

Invariants: each gives the same answer when it is called again with what another wrote in between
(`Completion.change_failure` does); a replay begins to count anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.classify import Kind
from shared.errors import WorkerKilled
from shared.logs import traceback_of
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State

MAX_MESSAGE = 4000

SHORT = 200
"""Characters of an error that are kept with a chunk that was done in the end."""

_DELIVERIES = "CloudPubSubDeadLetterSourceDeliveryCount"
"""The attribute that Pub/Sub gives to what it dead-letters by its own policy."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a chunk, as far as its record needs to know."""

    chunk: Chunk
    worker: str
    token: str
    """What names this attempt in `Failure.started`; empty for a first delivery, whose start is not noted."""


def begun(before: Failure | None, attempt: Attempt) -> Failure:
    """Notes that an attempt was begun."""
    known = before or Failure(attempt.chunk, "", "", attempts=0, state=State.TRYING)
    state = State.TRYING if known.state is State.REPLAYED else known.state
    others = tuple(token for token in known.started if token != attempt.token)
    return replace(known, state=state, worker=attempt.worker, started=(*others, attempt.token))


def in_short(noted: Failure | None) -> str:
    """What went wrong before, for what is kept of a chunk that is done after all; empty if nothing is known."""
    if noted is None:
        return ""
    if noted.error:
        return " ".join(f"{noted.error}: {noted.message}".split())[:SHORT]
    return "an attempt was begun and did not end" if len(noted.started) > 1 else ""


def killed_too_often(before: Failure | None, limit: int) -> WorkerKilled | None:
    """The error of a chunk whose attempts were begun `limit` times and did not end; None for others."""
    if before is None or len(before.started) < limit:
        return None
    return WorkerKilled(
        f"chunk {before.chunk}: {len(before.started)} attempts were begun and never ended, the last one: "
        f"{before.started[-1]}. Most likely it needs more memory than a worker has"
    )


def failed(
    before: Failure | None, attempt: Attempt, error: BaseException, kind: Kind, when: str, limit: int
) -> Failure:
    """Notes an attempt that ended with an error; `dead` if it was the last one, which `kind` may decide."""
    known = _this_round(before, attempt.chunk)
    attempts = known.attempts + (0 if isinstance(error, WorkerKilled) else 1)
    dead = kind is Kind.PERMANENT or attempts >= limit
    state = State.DEAD if dead else State.TRYING
    return Failure(
        chunk=attempt.chunk,
        error=type(error).__name__,
        message=str(error)[:MAX_MESSAGE],
        traceback=traceback_of(error),
        attempts=attempts,
        worker=attempt.worker,
        when=when,
        state=State.DISCARDED if known.state is State.DISCARDED else state,
        first=known.first or when,
        started=_without(known, attempt),
        replayed=known.replayed,
    )


def hindered(before: Failure | None, attempt: Attempt, error: BaseException, when: str) -> Failure:
    """Notes why a chunk cannot be built for now; not counted, as it is not the chunk's fault."""
    known = _this_round(before, attempt.chunk)
    return replace(
        known,
        error=type(error).__name__,
        message=str(error)[:MAX_MESSAGE],
        traceback=traceback_of(error),
        worker=attempt.worker,
        when=when,
        first=known.first or when,
        started=_without(known, attempt),
        waiting=not known.dead,
    )


def ended(before: Failure | None, attempt: Attempt) -> Failure | None:
    """Takes back that an attempt was begun: it was given up in order."""
    if before is None:
        return None
    left = replace(before, started=_without(before, attempt))
    return left if left.error or left.started or left.replayed else None


def dead_lettered(before: Failure | None, chunk: Chunk, attributes: Mapping[str, str], published: str) -> Failure:
    """Notes a dead letter; one that tells nothing new changes nothing."""
    if before is not None and (before.dead or published <= before.replayed):
        return before
    known = _this_round(before, chunk)
    if "error" in attributes:
        error, message = attributes["error"], attributes.get("reason", "")
    else:
        count = attributes.get(_DELIVERIES, "many")
        told = f" The last error was {known.error}: {known.message}" if known.error else ""
        error = WorkerKilled.__name__
        message = (
            f"chunk {chunk}: delivered {count} times without an end. Most likely it needs more memory than a "
            f"worker has, or more time than its lease.{told}"
        )
    return replace(
        known,
        error=error,
        message=message,
        worker=attributes.get("worker", known.worker),
        when=published,
        state=State.DEAD,
        first=known.first or published,
        waiting=False,
    )


def replayed(before: Failure | None, seen: Failure, when: str) -> Failure | None:
    """Notes a replay of a failure as it was `seen`; what was noted since stays."""
    if before != seen:
        return before
    return Failure(seen.chunk, "", "", attempts=0, state=State.REPLAYED, when=when, replayed=when)


def discarded(before: Failure | None, when: str) -> Failure | None:
    """Notes that a dead chunk is given up; others stay as they are."""
    if before is None or before.state is not State.DEAD:
        return before
    return replace(before, state=State.DISCARDED, when=when)


def _this_round(before: Failure | None, chunk: Chunk) -> Failure:
    """What is noted since the last replay."""
    if before is None:
        return Failure(chunk, "", "", attempts=0, state=State.TRYING)
    return replace(before, state=State.TRYING) if before.state is State.REPLAYED else before


def _without(failure: Failure, attempt: Attempt) -> tuple[str, ...]:
    return tuple(token for token in failure.started if token != attempt.token)
