"""The name of everything that is logged about runs: constant, so that metrics and alerts can count on them."""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """What a line of the log tells; its fields are those of `shared.work.attempt` unless it says more."""

    CHUNK_DONE = "chunk.done"
    """A chunk is built: seconds, rows, bytes (of its hand-off), peak_mb."""
    CHUNK_ALREADY_DONE = "chunk.already_done"
    """A message for a chunk that was done already; nothing was built."""
    CHUNK_RETRIED = "chunk.retried"
    """An attempt failed and was counted: error, reason, attempts."""
    CHUNK_MEMORY = "chunk.out_of_memory"
    """An attempt met the memory limit of its worker, and was counted."""
    CHUNK_CROWDED = "chunk.crowded"
    """An attempt met the memory limit while its worker had other chunks at work; it was not counted, and the worker
    has one chunk at a time from then on."""
    CHUNK_FAILED = "chunk.failed"
    """A chunk went to the dead letters."""
    CHUNK_GIVEN_BACK = "chunk.given_back"
    """A worker that ends gave its message back."""
    LEASE_LOST = "chunk.lease_lost"
    """A worker gave up a chunk whose message somebody else may have by now."""
    MESSAGE_STALE = "message.stale"
    """A message of a run that was reset, or of a chunk outside the plan, was dropped."""
    RUN_PAUSED = "run.paused"
    """A worker gives messages of a paused run back; told once in ten minutes."""
    RUN_BLOCKED = "run.blocked"
    """Something that a run alone names does not do its part: error, reason. Its messages are given back, and
    those of other runs taken; told once in ten minutes, and when the reason changes."""
    SERVICE_UNREACHABLE = "service.unreachable"
    """A service or a disk does not do its part: error, reason; nothing is counted against the chunk."""
    RUN_FED = "run.fed"
    """A worker queued more of layer 2 of a large run: graph, run, queued (chunks)."""
    DEAD_LETTER_KEPT = "dead_letter.kept"
    """A dead letter became the failure record of its chunk."""
    DEAD_LETTER_REPEATED = "dead_letter.repeated"
    """A dead letter told nothing new: noted before, replayed or built since."""
    DEAD_LETTER_STALE = "dead_letter.stale"
    """A dead letter of an older run of its graph was dropped."""
    DEAD_LETTER_ORPHAN = "dead_letter.orphan"
    """A dead letter that belongs to no known run was kept as it came."""
    DISPATCH_TURN = "dispatch.turn"
    """A round of dispatch looked at a Job for which chunks wait: job, layers, waiting, running, allowed (by what
    its tasks get done), started (tasks)."""
    GRAPH_UNREADABLE = "graph.unreadable"
    """A graph was left out of a round of dispatch, as its record or its progress cannot be read: graph, error,
    reason."""
    DISPATCH_FAILED = "dispatch.failed"
    """A Job could not be started though chunks wait for it: as above, and reason."""
    WORKER_START = "worker.start"
    WORKER_END = "worker.end"
    """A worker ended in order: chunks."""
    WORKER_REFUSED = "worker.refused"
    """A worker cannot work here: reason."""
    WORKER_BUG = "worker.bug"
    """A worker met an error that nobody foresaw, outside of any chunk."""
