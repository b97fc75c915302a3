"""A run in memory whose workers meet scripted faults: one lives until it crashes, then comes the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from shared.operate.queueing import resume
from shared.operate.replay import replay
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.done import is_finished
from shared.work.steps import OpenRun
from tests.faults.crash import Crash, Faults, Planned, Point, crash
from tests.harness import MemoryRun, record_of, worker_of
from tests.volumes import Volume, random_volume

RawTable = dict[bytes, tuple[dict[str, bytes], dict[str, int]]]
Script = Mapping[Chunk, Sequence[Point]]

VOLUME = random_volume(5, (5, 3, 1), size=4)
"""Layers 2 to 5; some chunks have one dependent, some several."""

MAX_LIVES = 300
"""More workers than any script here ends; a run that needs more never ends."""

MAX_ASKED = 20_000
"""The same for the messages of one worker."""


@dataclass
class DisturbedRun(MemoryRun):
    """A run with faults in every port."""

    script: Planned = field(default_factory=Planned)
    lives: int = 0
    faults: Faults = field(default_factory=lambda: Faults(Planned()))

    @classmethod
    def planned(
        cls, script: Script, act: Callable[[Chunk, Point], None] = crash, volume: Volume = VOLUME
    ) -> DisturbedRun:
        """A started run of `volume` with a script."""
        run = cls(volume, record_of(volume))
        run.script = Planned({chunk: list(points) for chunk, points in script.items()})
        run.faults = Faults(run.script, act)
        run.start()
        return run

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run with faults in its ports."""
        opened = super().open(graph, run)
        return opened and self.faults.run(opened)

    def name(self) -> str:
        """Another name for each worker."""
        self.lives += 1
        return f"worker {self.lives}"

    def mended(self, again: Callable[..., object]) -> None:
        """Lifts all faults and tries `again`, by `resume` or `replay`; nobody crashes any more."""
        self.script.points.clear()
        queue = self.broker.open([])
        if again is resume:
            resume(self.record, self.scratch, self.completion, queue)
        else:
            replay(self.record, self.completion, queue, self.completion.failures(), "now")
        assert self.live_on() == 0

    def live(self) -> bool:
        """One worker's life, until it finds nothing to do; True if it crashed, and its lease ended."""
        queue = self.broker.open(self.record.plan.layers)
        worker = worker_of(self.faults.queue(queue), self, self.name(), stopped=self.outlived())
        try:
            worker.run(idle_seconds=0.0)
        except Crash:
            return True
        finally:
            queue.close()
        return False

    @staticmethod
    def outlived() -> Callable[[], bool]:
        """Asked before each delivery; fails when one worker gets more of them than any script here brings."""
        asked = count()

        def stopped() -> bool:
            assert next(asked) < MAX_ASKED, "messages come without end"
            return False

        return stopped

    def live_on(self) -> int:
        """Workers one after the other, until one finds nothing more to do; how many crashed."""
        crashed = 0
        while self.live():
            crashed += 1
            assert crashed < MAX_LIVES, "workers crash without end"
        return crashed

    @property
    def finished(self) -> bool:
        """Whether the top chunk is done."""
        return is_finished(self.record, self.completion)

    def done(self) -> set[Chunk]:
        """The chunks that everyone who waits for them knows as done."""
        plan = self.record.plan

        def noted(chunk: Chunk) -> bool:
            return all(self.completion.done(on) >> plan.bits(on)[chunk] & 1 for on in plan.dependents(chunk))

        return {chunk for chunk in every_chunk(plan) if noted(chunk)}

    def stored(self) -> set[Chunk]:
        """The chunks whose hand-offs are stored."""
        return {self.record.handoff_chunk(name) for name in self.scratch.list(f"{self.record.run}/")}


def every_chunk(plan: Plan) -> list[Chunk]:
    """All chunks that a run builds."""
    return [plan.chunk_at(layer, at) for layer in plan.layers for at in range(plan.total(layer))]
