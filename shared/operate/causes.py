"""Failures by their cause: one damaged file fails every chunk that reads it, and is one thing to mend.

Invariants: pure; a failure belongs to one cause, and causes come in the order of their first chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.operate.replay import never_built
from shared.plan.plan import Plan
from shared.run.ports import Failure


@dataclass(frozen=True)
class Cause:
    """An error and what it says of file and reason, with the failures that it comes to."""

    error: str
    text: str
    failures: tuple[Failure, ...]

    def holds_up(self, plan: Plan) -> int:
        """How many chunks above wait for those that failed, directly or not."""
        waiting = never_built(plan, [failure.chunk for failure in self.failures if failure.dead])
        return sum(map(len, waiting.values()))


def causes(failures: Iterable[Failure]) -> list[Cause]:
    """The failures that say the same but for the chunk that met it, together."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        text = failure.message.replace(f"chunk {failure.chunk}: ", "", 1)
        found.setdefault((failure.error, text), []).append(failure)
    return [Cause(error, text, tuple(those)) for (error, text), those in found.items()]
