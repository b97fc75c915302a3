"""What a run costs by list prices, before free quotas, discounts and taxes.

Invariants: a line is a quantity times a price of the table, and the total is the sum of the lines. Not in
it: what a run that goes well does not do (retries, replays), traffic inside a region (free), the
functions, logs and monitoring (cents for each day), and a table's nodes before and after the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from shared.estimate.needs import LayerNeeds
from shared.estimate.operations import Operations
from shared.estimate.prices import Price, Prices
from shared.estimate.schedule import Stage

MESSAGE_BYTES = 256
"""Of a message, counted generously: its text (100 to 220 bytes), time, and id."""

RECORD_BYTES = 1_800
"""Of a Firestore document with its names and three index entries, by the rules of its documentation
(about 400 for the document, 150 an entry, and 100 for what is noted of each of eight children)."""

HANDOFF_MONTHS = 1.5
"""How long hand-offs are kept (handoff_days in terraform/variables.tf)."""

TABLE_MONTHS = 1
"""The table is a cost of its own as long as it stays; the bill has its first month."""

LOOKS_AN_HOUR = 60
"""Dispatch looks at the progress once a minute."""

GIB = 1 << 30
TIB = 1 << 40


@dataclass(frozen=True)
class Line:
    """One line: so many `unit` of what a service does, at a price each."""

    service: str
    what: str
    quantity: float
    unit: str
    price: Price

    @property
    def usd(self) -> float:
        """Dollars."""
        return self.quantity * self.price.usd


@dataclass(frozen=True)
class Bill:
    """All lines."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> float:
        """Dollars."""
        return sum(line.usd for line in self.lines)

    def as_rows(self) -> list[tuple[str, ...]]:
        """A table of the lines and the total, with its heading first."""
        heading = ("service", "what", "how much", "unit", "$ a unit", "$")
        return [heading, *map(_row, self.lines), ("total", "", "", "", "", f"{self.total:,.2f}")]


def bill(needs: Sequence[LayerNeeds], stages: Sequence[Stage], counts: Operations, prices: Prices) -> Bill:
    """The bill of a run: `stages` are the times and machines of `needs`, `counts` its operations."""
    return Bill(tuple(_lines(needs, stages, counts, prices)))


def node_hours(stages: Sequence[Stage]) -> float:
    """Node-hours that are charged: a node is charged for an hour at least."""
    if not any(stage.nodes for stage in stages):
        return 0.0
    most = max(stage.nodes for stage in stages)
    return max(float(most), sum(stage.nodes * stage.hours for stage in stages))


def waiting_usd(stages: Sequence[Stage], prices: Prices) -> float:
    """Dollars that fleets cost more if they are as large as they may be, and the rest of their tasks only
    waits for the table."""
    run = prices.cloud_run
    return sum(
        (stage.fleet - stage.tasks)
        * stage.hours
        * 3600
        * (stage.cpu * run.vcpu_second.usd + stage.memory_gib * run.gib_second.usd)
        for stage in stages
    )


def pubsub_bytes(counts: Operations, least: int) -> int:
    """Bytes that Pub/Sub charges for, with every pull taken to bring one message."""
    each = max(MESSAGE_BYTES, least)
    bulk_requests = counts.publishes - (counts.messages - counts.bulk_messages)
    bulk = max(counts.bulk_messages * MESSAGE_BYTES, bulk_requests * least)
    return bulk + (counts.messages - counts.bulk_messages) * each + counts.messages * each


def _lines(
    needs: Sequence[LayerNeeds], stages: Sequence[Stage], counts: Operations, prices: Prices
) -> Iterator[Line]:
    seconds = sum(stage.task_hours * stage.cpu for stage in stages) * 3600
    memory = sum(stage.task_hours * stage.memory_gib for stage in stages) * 3600
    yield Line("Cloud Run", "CPU", seconds, "vCPU-seconds", prices.cloud_run.vcpu_second)
    yield Line("Cloud Run", "memory", memory, "GiB-seconds", prices.cloud_run.gib_second)
    messages = pubsub_bytes(counts, prices.pubsub.least_bytes) / TIB
    yield Line("Pub/Sub", "messages", messages, "TiB", prices.pubsub.tib)
    looks = ceil(LOOKS_AN_HOUR * sum(stage.hours for stage in stages)) * counts.reads_a_look
    firestore = prices.firestore
    yield Line("Firestore", "records read", counts.record_reads, "reads", firestore.read)
    yield Line("Firestore", "progress looked at", looks, "reads", firestore.read)
    yield Line("Firestore", "records written", counts.record_writes, "writes", firestore.write)
    yield Line("Firestore", "records reset", counts.records, "deletes", firestore.delete)
    stored = counts.records * RECORD_BYTES / GIB
    yield Line("Firestore", "records, 1 month", stored, "GiB-months", firestore.gib_month)
    yield Line("Bigtable", "nodes", node_hours(stages), "node-hours", prices.bigtable.node_hour)
    table = sum(layer.row_bytes for layer in needs) / GIB * TABLE_MONTHS
    yield Line("Bigtable", "table, 1 month", table, "GiB-months", prices.bigtable.ssd_gib_month)
    storage, gets = prices.storage, counts.input_gets + counts.handoff_gets
    yield Line("Cloud Storage", "files written", counts.puts, "class A", storage.class_a)
    yield Line("Cloud Storage", "files read", gets, "class B", storage.class_b)
    handoffs = sum(layer.handoff_bytes for layer in needs) / GIB * HANDOFF_MONTHS
    stored = sum(layer.stored_bytes for layer in needs) / GIB
    if stored:
        yield Line("Cloud Storage", "volume and files, 1 month", stored, "GiB-months", storage.gib_month)
    yield Line("Cloud Storage", f"hand-offs, {HANDOFF_MONTHS:g} months", handoffs, "GiB-months", storage.gib_month)


def _row(line: Line) -> tuple[str, ...]:
    many = f"{line.quantity:,.0f}" if line.quantity >= 100 else f"{line.quantity:,.3g}"
    return (
        line.service,
        line.what,
        many,
        line.unit,
        f"{line.price.usd:.7f}".rstrip("0").rstrip("."),
        f"{line.usd:,.2f}",
    )
