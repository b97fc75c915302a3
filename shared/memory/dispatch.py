"""The board and the Jobs in memory: what tests of dispatch look at, and held to the real ones by contract."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.dispatch.decide import Running
from shared.errors import StateError


class MemoryBoard:
    """Answers `shared.run.ports.Board` for the threads of one process."""

    def __init__(self) -> None:
        self._graphs: set[str] = set()
        self._until: dict[str, float] = {}
        self._facts: dict[str, dict[str, float | str]] = {}
        self._lock = threading.Lock()

    def announce(self, graph: str) -> None:
        """Puts a graph on the board."""
        self._graphs.add(graph)

    def withdraw(self, graph: str) -> None:
        """Takes a graph off the board."""
        self._graphs.discard(graph)

    def graphs(self) -> list[str]:
        """The graphs on the board."""
        return sorted(self._graphs)

    def claim(self, name: str, now: float, seconds: float) -> bool:
        """Takes a turn, unless it is taken."""
        with self._lock:
            if self._until.get(name, now) > now:
                return False
            self._until[name] = now + seconds
            return True

    def release(self, name: str) -> None:
        """Gives a turn back."""
        self._until.pop(name, None)

    def remember(self, name: str, facts: Mapping[str, float | str]) -> None:
        """Keeps a copy of the values."""
        self._facts[name] = dict(facts)

    def recall(self, name: str) -> dict[str, float | str]:
        """A copy of what is kept."""
        return dict(self._facts.get(name, {}))


@dataclass
class MemoryJobs:
    """Answers `shared.dispatch.ports.Jobs` without running anything: `open` has an entry for each execution
    that has not ended, its name and the tasks that have not."""

    names: set[str]
    open: dict[str, int] = field(default_factory=dict)
    started: int = 0
    spans: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)
    """What tests say of tasks that ran: their times, by Job."""

    def running(self, job: str) -> Running:
        """The executions that were not ended."""
        self._need(job)
        tasks = [count for name, count in self.open.items() if name.startswith(f"{job}/executions/")]
        return Running(len(tasks), sum(tasks))

    def run(self, job: str, tasks: int) -> str:
        """Notes an execution."""
        self._need(job)
        self.started += 1
        name = f"{job}/executions/{job.rpartition('/')[2]}-{self.started}"
        self.open[name] = tasks
        return name

    def seconds(self, job: str, since: float, until: float) -> float:
        """Sums over the spans."""
        self._need(job)
        spans = (
            (max(start, since), until if end is None else min(end, until)) for start, end in self.spans.get(job, [])
        )
        return sum(max(0.0, end - start) for start, end in spans)

    def _need(self, job: str) -> None:
        if job not in self.names:
            raise StateError(f"there is no Cloud Run Job {job}")
