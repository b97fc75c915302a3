"""What a page knows of a run at a moment, as it was read last: plain values, from which all that is shown is
made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.estimate.spent import Cost
from shared.operate.status import RunStatus
from shared.plan.grid import Chunk
from shared.run.facts import AtWork
from shared.run.history import Sample
from shared.run.ports import Failure


@dataclass(frozen=True)
class Known:
    """`status` is None before the run was looked at; `failures` are those of chunks that are not done, at most so
    many as were asked for (`more_failures`: there are others); `history` has how far the run was over time."""

    status: RunStatus | None = None
    failures: Mapping[Chunk, Failure] = field(default_factory=dict)
    more_failures: bool = False
    at_work: Mapping[Chunk, AtWork] = field(default_factory=dict)
    history: Sequence[Sample] = ()
    paused: str = ""
    quiet_seconds: float | None = None
    cost: Cost | None = None
    """By the prices that the page was given, once it was reckoned."""
    cost_known: bool = False
    """Whether workers noted what it follows from."""
    seen_ms: int = 0
    """When the last look that saw something was (milliseconds since 1970)."""
    starved: bool = False
    """Whether the reads of this hour were used up at the last look."""
    trouble: str = ""
    """Why the last look saw nothing, so that all this is as it was before; empty if it did."""
