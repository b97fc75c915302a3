"""What dispatch asks of the outside, beside what is known of runs: Cloud Run's Jobs.

The answers are in `shared.memory` and `shared.gcp`, held to the same behaviour by the same contract tests.
"""

from __future__ import annotations

from typing import Protocol

from shared.dispatch.decide import Running


class Jobs(Protocol):
    """Cloud Run Jobs by their full names."""

    def running(self, job: str) -> Running:
        """What is under way of a Job; StateError if there is no such Job."""

    def run(self, job: str, tasks: int) -> str:
        """Starts one execution with so many tasks, and returns its name at once; StateError without the Job."""

    def seconds(self, job: str, since: float, until: float) -> float:
        """The seconds that tasks of a Job ran between two times (since 1970), as far as the service has them on
        record; StateError without the Job."""
