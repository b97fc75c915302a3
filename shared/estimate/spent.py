"""What a run took beside what its plan said, in the same units and by the same prices.

Invariants: both sides go through the same arithmetic (`schedule`, `bill`), so a difference is one of the run and
not of the reckoning. What nobody measured on the run's side, the hours of the table's nodes and the size of its
rows, follows from rows that were counted, as in the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from shared.environment import USABLE
from shared.estimate.bill import Bill, bill
from shared.estimate.needs import LayerNeeds
from shared.estimate.operations import Operations
from shared.estimate.prices import Prices
from shared.estimate.report import named
from shared.estimate.schedule import about, schedule
from shared.timestamps import duration

GIB = 1 << 30
MIB_A_GIB = 1024


@dataclass(frozen=True)
class Spent:
    """What a layer took: `chunks` that are done, `seconds` that workers had them, of CPU `cpu`; `rows` written and
    `handoff_bytes` stored; `attempts` in all; `peak_mb` the most that a worker held (MiB). `known`: chunks of which
    all but the seconds was noted; what the others took is taken to be the same."""

    layer: int
    chunks: int
    seconds: float
    cpu: float
    rows: float
    handoff_bytes: float
    attempts: float
    peak_mb: float
    known: int


@dataclass(frozen=True)
class Expected:
    """What the plan says of a run: what layers need, and how often services are asked; and of the run that verifies
    its table, where that was reckoned."""

    needs: tuple[LayerNeeds, ...]
    counts: Operations
    verification: Expected | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        later = {} if self.verification is None else {"verification": self.verification.as_json()}
        return {"needs": [asdict(layer) for layer in self.needs], "counts": asdict(self.counts), **later}

    @classmethod
    def read(cls, values: Any) -> Expected | None:
        """The same from plain values; None for what is none. A later release may have added to it."""
        try:
            needs = tuple(LayerNeeds(**_known(LayerNeeds, layer)) for layer in values["needs"])
            counts = Operations(**_known(Operations, values["counts"]))
            return cls(needs, counts, cls.read(values.get("verification")))
        except (TypeError, KeyError, AttributeError):
            return None

    @property
    def hours(self) -> float:
        """How long the plan said that it takes."""
        return sum(stage.hours for stage in schedule(self.needs))

    def bill(self, prices: Prices) -> Bill:
        """What it costs."""
        return bill(self.needs, schedule(self.needs), self.counts, prices)


@dataclass(frozen=True)
class Cost:
    """Two bills by the same prices; `expected` is None where nobody kept what the plan said."""

    expected: Bill | None
    taken: Bill

    def lines(self) -> dict[tuple[str, str], tuple[float | None, float | None]]:
        """For each service and what it does the dollars of the plan and those that it took; None for unknown."""
        lines: dict[tuple[str, str], list[float | None]] = {}
        for side, one in enumerate((self.expected, self.taken)):
            for line in one.lines if one else ():
                lines.setdefault((line.service, line.what), [None, None])[side] = line.usd
        return {key: (plan, took) for key, (plan, took) in lines.items()}

    def as_rows(self) -> list[tuple[str, ...]]:
        """The lines for people, with both sums, and their heading first."""
        rows = [(service, what, _usd(plan), _usd(took)) for (service, what), (plan, took) in self.lines().items()]
        total = self.expected.total if self.expected else None
        return [("service", "what", "$ plan", "$ took"), *rows, ("total", "", _usd(total), _usd(self.taken.total))]


def cost(
    expected: Expected | None,
    spent: Sequence[Spent],
    prices: Prices,
    paid: tuple[float, float] | None = None,
) -> Cost:
    """What a run costs: `paid` are the vCPU-seconds and GiB-seconds that the service itself has on record, where it
    was asked."""
    needed = as_needs(expected, spent)
    counts = expected.counts if expected else Operations()
    done, tried = sum(layer.chunks for layer in spent), sum(layer.attempts for layer in spent)
    again = max(1.0, tried / done) if done else 0.0
    counts = replace(counts, messages=round(counts.messages * again), input_gets=round(counts.input_gets * again))
    taken = bill(needed, schedule(needed), counts, prices)
    if paid is not None:
        measured = dict(zip(("CPU", "memory"), paid, strict=True))
        taken = Bill(
            tuple(
                replace(line, quantity=measured[line.what]) if line.service == "Cloud Run" else line
                for line in taken.lines
            )
        )
    return Cost(expected.bill(prices) if expected else None, taken)


def as_needs(expected: Expected | None, spent: Sequence[Spent]) -> tuple[LayerNeeds, ...]:
    """What was taken, as what a plan says of layers; machines are those of the plan."""
    planned = {layer.layer: layer for layer in expected.needs} if expected else {}
    return tuple(_needs(layer, planned.get(layer.layer)) for layer in spent)


def layer_rows(expected: Expected | None, spent: Sequence[Spent]) -> list[tuple[str, ...]]:
    """A line a layer, what the plan said beside what it took, with its heading first."""
    planned = {layer.layer: layer for layer in expected.needs} if expected else {}
    heading = ("layer", "chunks", "tries", "CPU plan", "took", "rows plan", "took", "memory plan", "took", "waited")
    return [heading, *(_row(layer, planned.get(layer.layer)) for layer in spent)]


def _row(took: Spent, plan: LayerNeeds | None) -> tuple[str, ...]:
    said = ("?", "?", "?")
    if plan is not None:
        said = (duration(plan.cpu_seconds, 1), about(plan.rows), f"{plan.memory_gib * USABLE:.2f} GiB")
    found = ("?", "?", "?", "?")
    if took.known:
        waited = duration(max(0.0, took.seconds - took.cpu), 1)
        found = (duration(took.cpu, 1), about(took.rows), f"{took.peak_mb / MIB_A_GIB:.2f} GiB", waited)
    cpu, rows, memory, waited = found
    tries = f"{took.attempts:,.0f}" if took.known else "?"
    return (named(took.layer), f"{took.chunks:,}", tries, said[0], cpu, said[1], rows, said[2], memory, waited)


def _needs(took: Spent, plan: LayerNeeds | None) -> LayerNeeds:
    each = plan.row_bytes / plan.rows if plan is not None and plan.rows else 0.0
    read = 0.0
    if plan is not None and plan.chunks:
        read = plan.read_rows * (took.rows / plan.rows if plan.rows else took.chunks / plan.chunks)
    return LayerNeeds(
        layer=took.layer,
        chunks=took.chunks,
        cpu_seconds=took.cpu,
        wait_seconds=max(0.0, took.seconds - took.cpu),
        memory_gib=plan.memory_gib if plan is not None else took.peak_mb / MIB_A_GIB / USABLE,
        rows=took.rows,
        row_bytes=took.rows * each,
        handoff_bytes=took.handoff_bytes,
        stored_bytes=plan.stored_bytes if plan is not None else 0.0,
        read_rows=read,
        fleet=plan.fleet if plan is not None else 0,
    )


def _known(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in values.items() if name in names and type(value) in (int, float)}


def _usd(amount: float | None) -> str:
    return "?" if amount is None else f"{amount:,.2f}"
