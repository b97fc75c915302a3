"""Every error that the pipeline raises on purpose, and what each means for the chunk that met it.

Invariants: a message says what is wrong, where (file, key, chunk, value), what follows from it
and, where somebody can do something, what to type. A permanent error comes back each time the
same input is read again; everything else is taken for transient and is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass


class IngestError(Exception):
    """Base of all errors raised on purpose; its text is written for the person who reads it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration: where, what, and what follows."""

    where: str
    key: str
    value: object
    consequence: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {self.value!r}"
        return f"{self.where}: {self.key}{shown}: {self.consequence}"


class ConfigError(IngestError):
    """A configuration cannot be used; `problems` has everything that was found at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class StateError(IngestError):
    """The command does not fit what is there (no run, an unfinished run, a missing table)."""


class PermanentError(IngestError):
    """Building the same chunk from the same input fails each time; a retry cannot help."""


class DataError(PermanentError):
    """An input file is damaged, or contradicts the format or another file."""

    def __init__(self, file: str, chunk: object, reason: str) -> None:
        self.file = file
        self.chunk = chunk
        self.reason = reason
        super().__init__(f"{file}: chunk {chunk}: {reason}")


class RangeOverflow(PermanentError):
    """A chunk needs more segment numbers than the id layout leaves it."""


class MessageError(PermanentError):
    """A queue message cannot be understood; `raw` holds it as it came."""

    def __init__(self, raw: bytes, reason: str) -> None:
        self.raw = raw
        super().__init__(f"message {raw[:200]!r}: {reason}")


class Refused(PermanentError):
    """A service refuses what a chunk's build came to, whoever asks and how often."""


class Misconfigured(PermanentError):
    """What a run's own configuration names cannot be understood by a worker: each of its chunks meets that."""


class WorkerKilled(PermanentError):
    """Attempts at a chunk were begun and never ended: it takes its worker with it."""


class Unreachable(IngestError):
    """A service, a bucket or a disk does not do its part now; that says nothing about the chunk."""


class Denied(Unreachable):
    """A service answers, and refuses whoever asks: a grant is missing, or was taken away."""


class OfOneRun(IngestError):
    """Something that one run names itself (its inputs, its table) does not do its part: other runs may go on.

    `__cause__` is what it met; whether that passes, is waited for or is counted follows from that.
    """


class LeaseLost(IngestError):
    """The lease of a message has ended, so another worker may have it by now."""


class ShuttingDown(IngestError):
    """The worker was asked to stop; the chunk at hand is given back to the queue."""
