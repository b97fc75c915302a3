"""How many tasks of a fleet are started now: plain numbers in, a number out.

A cold table has few tablets on few servers, and splits as it is written to; everything at once would only
queue up before it, so tasks grow by a factor a period, and only while that brings something
(`shared.dispatch.growth`). Invariants: never more tasks than the fleet's limit; one execution at most,
whatever waits; nothing for work that those who run will do anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.dispatch.fleet import Fleet

CHUNKS_A_TASK = 10
"""Beyond a fleet's first tasks another is started for so many chunks: a start takes about as long as they do."""

MAX_TASKS = 10_000
"""Tasks of one execution (source: quotas of Cloud Run Jobs)."""

MAX_EXECUTIONS = 900
"""Executions of one Job that may be open: a region may have 1,000 (source: quotas of Cloud Run Jobs)."""


@dataclass(frozen=True)
class Running:
    """What is under way of a Job: executions that have not ended, and their tasks that have not."""

    executions: int = 0
    tasks: int = 0


def tasks_to_start(fleet: Fleet, waiting: int, running: Running, allowed: int) -> int:
    """The tasks of the next execution, 0 for none; `waiting` chunks are queued for the fleet's layers, and
    `allowed` is how many tasks it may have by its growth."""
    if waiting <= 0 or running.executions >= MAX_EXECUTIONS:
        return 0
    useful = max(min(waiting, fleet.start), -(-waiting // CHUNKS_A_TASK))
    return max(0, min(useful, allowed, fleet.max, running.tasks + MAX_TASKS) - running.tasks)
