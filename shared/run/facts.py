"""What is known of chunks beside whether they are done: what a worker measured, and what workers are at.

Why in the completion records: the record of a chunk's parent is written when the chunk is done anyway, so it costs
no request to note there what the chunk took, and one record that is read tells of all its children. Invariants:
nothing is decided by facts; they may be missing (a run of an older release, progress that was rebuilt from
hand-offs), and whoever shows them says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any

from shared.plan.grid import Chunk


@dataclass(frozen=True)
class Facts:
    """What one chunk took, as the worker that did it measured.

    `seconds` from taking it up until its hand-off was stored, `cpu` the process' seconds of CPU in that time,
    `peak_mb` the most memory (MiB) that the process held meanwhile, 0 where that cannot be known; `rows` written
    and `handoff_bytes` stored, of a verdict too; `attempt`: the number of the delivery; `supervoxels` and `nodes`:
    what is in it, for a parent the supervoxels below it; `ended_ms` in milliseconds since 1970; `why`: of one that
    was tried again, the error of the attempt before, in short."""

    seconds: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0
    rows: int = 0
    handoff_bytes: int = 0
    attempt: int = 1
    supervoxels: int = 0
    nodes: int = 0
    ended_ms: int = 0
    worker: str = ""
    why: str = ""

    def stored(self) -> list[Any]:
        """As plain values, in the order of the fields."""
        return list(astuple(self))

    @classmethod
    def read(cls, values: Any) -> Facts | None:
        """The facts in stored values; None for what is none. A later release may have stored more."""
        kinds: list[Any] = [type(one.default) for one in fields(cls)]
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < len(kinds):
            return None
        try:
            return cls(*(kind(value) for kind, value in zip(kinds, values, strict=False)))
        except (TypeError, ValueError, OverflowError):
            return None


@dataclass(frozen=True)
class Seen:
    """A completion record as it was read: the done dependencies as bits, whether the chunk was published, and the
    facts of those children that have any, by the number of the dependency."""

    done: int = 0
    published: bool = False
    facts: Mapping[int, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class AtWork:
    """What a worker said that it had begun, and when (milliseconds since 1970); it may have ended since."""

    worker: str
    chunk: Chunk
    since_ms: int


def hash_of(chunk: Chunk) -> str:
    """Eight hexadecimal digits by which records are spread: the first of a stored record's name, so that no range
    of names is hot, and any range of them is a scattered sample."""
    return hashlib.blake2b(name_of(chunk).encode(), digest_size=4).hexdigest()


def name_of(chunk: Chunk) -> str:
    """A chunk in the name of a record."""
    return f"{chunk.layer}_{chunk.x}_{chunk.y}_{chunk.z}"
