"""What jobs take, beside what is assumed of them: the place where measured numbers come in.

Invariants: a layer that nothing was measured of is as assumed; what was measured scales what is assumed, so that
chunks of other sizes are reckoned in their proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class JobCosts:
    """Seconds of CPU and bytes of memory of a job: for itself, and for each supervoxel. Without messages, records
    and what a worker is without a chunk."""

    cpu: tuple[float, float]
    memory: tuple[float, float]
    before: float = 0.0
    """Bytes that are there before a job and stay, as libraries and indexes: no job shows them."""

    def seconds_of(self, supervoxels: float) -> float:
        """CPU of a job with so many."""
        return self.cpu[0] + self.cpu[1] * supervoxels

    def bytes_of(self, supervoxels: float) -> float:
        """Memory of a job with so many."""
        return self.memory[0] + self.memory[1] * supervoxels


@dataclass(frozen=True)
class Pace:
    """What the jobs of a layer were measured to take, in what they are assumed to."""

    cpu: float = 1.0
    """Of a job for itself."""
    each_cpu: float = 1.0
    """Of each of its supervoxels."""
    memory: float = 1.0
    least_bytes: float = 0.0
    """Memory of the largest that was measured: the largest of all has no less."""
    reading_seconds: float | None = None
    """How long a job waits for its inputs; None for as long as assumed."""

    def seconds_of(self, jobs: float, costs: JobCosts, supervoxels: float) -> float:
        """CPU of so many jobs with so many supervoxels in all."""
        return self.cpu * jobs * costs.cpu[0] + self.each_cpu * supervoxels * costs.cpu[1]

    def waits(self, assumed: float) -> float:
        """Seconds that a job waits for its inputs."""
        return assumed if self.reading_seconds is None else self.reading_seconds

    def bytes_of(self, assumed: float) -> float:
        """Memory of a job that is assumed to take so much."""
        return max(self.least_bytes, self.memory * assumed)


Paces = Mapping[int, Pace]
"""By layer."""

AS_ASSUMED = Pace()
NO_PACES: Paces = {}
