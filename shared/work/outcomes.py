"""What can become of a delivery: one small vocabulary, and the one place that says what follows.

    error -> kind (classify) -> outcome -> answer to the queue, log event and its level, exit code

A counted failure becomes DEAD instead of RETRY or MEMORY when it was the last attempt (`failures`).
The exit code is that of a command that works on one chunk; a worker goes on after any of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum, auto

from shared.classify import Kind
from shared.exit_codes import Exit
from shared.run.events import Event


class Answer(Enum):
    """What the queue is told about a delivery."""

    ACK = auto()
    GIVE_BACK = auto()
    DEAD_LETTER = auto()
    """Published to the dead letters, then acked."""


class Outcome(Enum):
    """What became of a delivery."""

    DONE = auto()
    ALREADY_DONE = auto()
    STALE = auto()
    RETRY = auto()
    MEMORY = auto()
    CROWDED = auto()
    DEAD = auto()
    UNREACHABLE = auto()
    BLOCKED = auto()
    PAUSED = auto()
    LOST = auto()
    GIVEN_BACK = auto()


@dataclass(frozen=True)
class Handling:
    """What follows from an outcome."""

    answer: Answer
    event: Event
    level: int
    exit: Exit


HANDLING = {
    Outcome.DONE: Handling(Answer.ACK, Event.CHUNK_DONE, logging.INFO, Exit.OK),
    Outcome.ALREADY_DONE: Handling(Answer.ACK, Event.CHUNK_ALREADY_DONE, logging.INFO, Exit.OK),
    Outcome.STALE: Handling(Answer.ACK, Event.MESSAGE_STALE, logging.WARNING, Exit.REFUSED),
    Outcome.RETRY: Handling(Answer.GIVE_BACK, Event.CHUNK_RETRIED, logging.WARNING, Exit.TRY_AGAIN),
    Outcome.MEMORY: Handling(Answer.GIVE_BACK, Event.CHUNK_MEMORY, logging.WARNING, Exit.TRY_AGAIN),
    Outcome.CROWDED: Handling(Answer.GIVE_BACK, Event.CHUNK_CROWDED, logging.WARNING, Exit.TRY_AGAIN),
    Outcome.DEAD: Handling(Answer.DEAD_LETTER, Event.CHUNK_FAILED, logging.ERROR, Exit.FAILED_CHUNKS),
    Outcome.UNREACHABLE: Handling(Answer.GIVE_BACK, Event.SERVICE_UNREACHABLE, logging.ERROR, Exit.TRY_AGAIN),
    Outcome.BLOCKED: Handling(Answer.GIVE_BACK, Event.RUN_BLOCKED, logging.WARNING, Exit.TRY_AGAIN),
    Outcome.PAUSED: Handling(Answer.GIVE_BACK, Event.RUN_PAUSED, logging.INFO, Exit.TRY_AGAIN),
    Outcome.LOST: Handling(Answer.GIVE_BACK, Event.LEASE_LOST, logging.WARNING, Exit.TRY_AGAIN),
    Outcome.GIVEN_BACK: Handling(Answer.GIVE_BACK, Event.CHUNK_GIVEN_BACK, logging.INFO, Exit.INTERRUPTED),
}

OUTCOME_OF = {
    Kind.PERMANENT: Outcome.DEAD,
    Kind.TRANSIENT: Outcome.RETRY,
    Kind.MEMORY: Outcome.MEMORY,
    Kind.OUTAGE: Outcome.UNREACHABLE,
    Kind.BLOCKED: Outcome.BLOCKED,
    Kind.STOP: Outcome.GIVEN_BACK,
    Kind.LOST: Outcome.LOST,
}

WAITING = frozenset({Outcome.UNREACHABLE, Outcome.BLOCKED, Outcome.PAUSED})
"""Those of a chunk that nothing was tried with, or in vain: its deliveries say nothing about it."""

PASSED_OVER = frozenset({Outcome.BLOCKED, Outcome.PAUSED})
"""Those after which a worker did nothing and goes to the next message, as of another run."""

TAKEN_BACK = frozenset({Outcome.GIVEN_BACK, Outcome.LOST, Outcome.BLOCKED, Outcome.CROWDED})
"""Those of an attempt that was given up in order: that it was begun says nothing about the chunk."""

COUNTED = frozenset({Kind.PERMANENT, Kind.TRANSIENT, Kind.MEMORY})
"""Kinds that are recorded as an attempt of the chunk."""
