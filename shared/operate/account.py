"""What a run took, from what its workers noted of each chunk.

Invariants: how many chunks are done, and their seconds, are sums by the service over all of them. The rest is that
of up to `RECORDS` records a layer, which are scattered over it and have up to eight chunks each; a layer of 160,000
chunks is known whole, of a larger one a share stands for all. So what an account costs does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.estimate.spent import Spent
from shared.plan.plan import Plan
from shared.run.facts import Facts, Seen
from shared.run.ports import Completion, LayerProgress

RECORDS = 20_000
"""Records that are read of a layer."""


@dataclass(frozen=True)
class Account:
    """What the layers took, and when the run was begun and its last chunk done (milliseconds since 1970; 0 if that
    is not known)."""

    layers: tuple[Spent, ...]
    begun_ms: int
    ended_ms: int

    @property
    def seconds(self) -> float | None:
        """How long the run took; None where that is not known."""
        return (self.ended_ms - self.begun_ms) / 1000 if self.ended_ms > self.begun_ms else None

    @property
    def known(self) -> bool:
        """Whether anything was noted of the chunks, as workers of older releases did not."""
        return any(layer.known for layer in self.layers)

    @property
    def sampled(self) -> bool:
        """Whether some of the chunks stand for others."""
        return any(layer.known < layer.chunks for layer in self.layers)


def facts_of(plan: Plan, completion: Completion, layer: int, records: int = RECORDS) -> list[Facts]:
    """What was noted of chunks of a layer, scattered over it: those of up to so many records."""
    return list(_facts(seen for _, seen in completion.some(layer + 1, records)))


def account(
    plan: Plan,
    completion: Completion,
    begun_ms: int,
    records: int = RECORDS,
    known: Mapping[int, LayerProgress] | None = None,
) -> Account:
    """The account of a run that was begun then, from up to so many records a layer, and its progress if that is
    `known`; raises what the records raise."""
    progress = completion.progress(plan.layers) if known is None else known
    layers, ended = [], 0
    for layer in plan.layers:
        noted = facts_of(plan, completion, layer, records)
        layers.append(_spent(layer, progress[layer], noted))
        if layer == plan.top.layer:
            ended = max((one.ended_ms for one in noted), default=0)
    return Account(tuple(layers), begun_ms, ended)


def _facts(records: Iterable[Seen]) -> Iterable[Facts]:
    for seen in records:
        yield from seen.facts.values()


def _spent(layer: int, progress: LayerProgress, noted: list[Facts]) -> Spent:
    share = progress.done / len(noted) if noted else 0.0

    def sum_of(name: str) -> float:
        return float(sum(getattr(one, name) for one in noted)) * share

    return Spent(
        layer=layer,
        chunks=progress.done,
        seconds=progress.seconds,
        cpu=sum_of("cpu"),
        rows=sum_of("rows"),
        handoff_bytes=sum_of("handoff_bytes"),
        attempts=sum_of("attempt"),
        peak_mb=max((one.peak_mb for one in noted), default=0.0),
        known=len(noted),
    )
