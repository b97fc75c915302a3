"""How far a run is, a line a layer: plain arithmetic on the plan, the progress and the failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.operate.reasons import Reason, reasons
from shared.plan.plan import Plan
from shared.run.ports import Failure, LayerProgress, State


@dataclass(frozen=True)
class LayerStatus:
    """One layer: chunks `done` of `total`, `queued` (published, neither done nor failed), `failed`
    (in the dead letters) and `discarded` (given up); `unended`: begun again, and not ended yet or
    never; `rate` in chunks/s, `left_seconds` None where nothing says when."""

    layer: int
    total: int
    done: int
    queued: int
    failed: int
    seconds: float
    rate: float
    left_seconds: float | None
    discarded: int = 0
    unended: int = 0


@dataclass(frozen=True)
class RunStatus:
    """All layers of a run, from 2 up, and why workers wait, the latest reason of each."""

    layers: list[LayerStatus]
    waiting: list[Reason] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether every chunk is done."""
        return all(layer.done == layer.total for layer in self.layers)

    @property
    def under_way(self) -> int:
        """Chunks queued or being built."""
        return sum(layer.queued for layer in self.layers)

    @property
    def failed(self) -> int:
        """Chunks in the dead letters."""
        return sum(layer.failed for layer in self.layers)

    @property
    def discarded(self) -> int:
        """Chunks that were given up."""
        return sum(layer.discarded for layer in self.layers)

    @property
    def unended(self) -> int:
        """Chunks that were begun again and have not ended."""
        return sum(layer.unended for layer in self.layers)

    @property
    def done(self) -> int:
        """Chunks done in all layers."""
        return sum(layer.done for layer in self.layers)


def run_status(
    plan: Plan,
    progress: Mapping[int, LayerProgress],
    failures: Iterable[Failure],
    before: Mapping[int, int],
    seconds: float,
) -> RunStatus:
    """The status of a run; rates are over the last `seconds`, in which each layer went from `before`."""
    failures = list(failures)
    states: Counter[tuple[int, State]] = Counter()
    unended: Counter[int] = Counter()
    for failure in failures:
        states[failure.chunk.layer, failure.state] += 1
        unended[failure.chunk.layer] += bool(failure.started) and not failure.dead
    layers = []
    for layer in plan.layers:
        at, total = progress.get(layer, LayerProgress()), plan.total(layer)
        failed, discarded = states[layer, State.DEAD], states[layer, State.DISCARDED]
        queued = _queued(plan, layer, at) - at.done - failed - discarded
        rate = max(0.0, (at.done - before.get(layer, 0)) / seconds) if seconds > 0 else 0.0
        left = (total - at.done) / rate if rate else (0.0 if at.done == total else None)
        counts = (total, at.done, max(0, queued), failed)
        layers.append(LayerStatus(layer, *counts, at.seconds, rate, left, discarded, unended[layer]))
    return RunStatus(layers, reasons(failures))


def _queued(plan: Plan, layer: int, at: LayerProgress) -> int:
    """How many chunks of a layer were queued, or wait for nothing but that. Of layer 1 one alone has a record, and
    that only where the tables of a segmentation come first."""
    if layer > plan.fed:
        return at.published
    return 0 if layer == 1 and plan.tables and not at.published else plan.total(layer)
