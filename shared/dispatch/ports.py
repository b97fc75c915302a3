"""What dispatch asks of the outside: Cloud Run's Jobs, a board that all who dispatch share, and runs.

The answers are in `shared.memory` and `shared.gcp`, held to the same behaviour by the same contract tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.dispatch.decide import Running
from shared.run.control import Control
from shared.run.ports import Completion
from shared.run.record import RunRecord


class Jobs(Protocol):
    """Cloud Run Jobs by their full names."""

    def running(self, job: str) -> Running:
        """What is under way of a Job; StateError if there is no such Job."""

    def run(self, job: str, tasks: int) -> str:
        """Starts one execution with so many tasks, and returns its name at once; StateError without the Job."""


class Board(Protocol):
    """Which graphs have work, and whose turn it is to start tasks: kept where all who dispatch see it."""

    def announce(self, graph: str) -> None:
        """Dispatch looks at this graph from now on."""

    def withdraw(self, graph: str) -> None:
        """Dispatch looks at it no more; one that it does not know is no error."""

    def graphs(self) -> Sequence[str]:
        """Those that were announced, by name."""

    def claim(self, name: str, now: float, seconds: float) -> bool:
        """Takes a turn for so many seconds from `now` (since 1970); False if another has it."""

    def release(self, name: str) -> None:
        """Gives a turn back."""


class Books(Protocol):
    """What is known of graphs and their runs, as of now."""

    def record(self, graph: str) -> RunRecord | None:
        """The current run of a graph."""

    def control(self, graph: str) -> Control:
        """What an operator wants of it."""

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""
