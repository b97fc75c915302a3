"""How long a run takes with the fleets and the table that Terraform makes unless told otherwise.

Invariants: a layer has no more tasks than its fleet, than it has chunks, and than the table's nodes
take the rows of; more tasks would wait for the table, and be paid for it. Its fleet may have a few times as
many, as what a node takes of our rows is not known, and no more. The layers are counted one after another,
though they overlap, and without the first minutes in which a fleet grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pow

from shared.environment import USABLE
from shared.estimate.needs import PROCESS_BYTES, LayerNeeds
from shared.estimate.report import named
from shared.timestamps import duration

FLEET_TASKS = 500
"""Tasks of layer 2 at most, and of those below it (fleet.max in terraform/variables.tf)."""

FLEET_FALL = 4
"""By how much that is divided with each layer above (fleet.fall there)."""

NODES = 30
"""Nodes of the table at most (ten times bigtable_cluster.min_nodes there, and what a project has in a zone
until it asks for more). A run waits for its nodes: three times as many are the same node-hours, and so the
same bill, in a third of the time."""

ROWS_A_NODE = 14_000
"""Rows a second that a node with SSD takes, for rows of 1 kB (Bigtable documentation, "Understand
performance"). Ours have a tenth of that, so fewer nodes may do; there is no figure for them."""

SCANNED_A_NODE = 220_000
"""Rows a second that a node with SSD gives in scans of ranges: the 220 MB/s of the same page, in its rows of 1 kB.
A row that is asked for by its key alone is dearer (17,000 a second there); of a verification these are 1.5 % on
the example, and counted like the others."""

HEADROOM = 4
"""How many times the tasks that the table is reckoned to take the rows of a fleet may have: the documented
figure is for rows of ten times the size of ours. Dispatch stops long before, where more tasks bring nothing
(shared/dispatch/growth.py), so this only bounds what a mistake costs."""

UTILISATION = 0.6
"""The share of a node's CPU that is used (bigtable_cluster.cpu_target there)."""

MACHINES = ((1, 4.0), (2, 8.0), (4, 16.0), (6, 24.0), (8, 32.0))
"""Cloud Run: CPUs and the most GiB that a machine with so many may have."""

LEAST_GIB = 1.0
"""The least memory of a task, twice what Cloud Run asks of a machine with a whole CPU: what a worker takes there
is an estimate (`shared.estimate.needs.PROCESS_BYTES`), and a task that is too small is killed again and again.
It makes tasks cost 5 % more."""

GIB = 1 << 30

STEP_GIB = 0.5
"""Memory of a machine is rounded up to a multiple of this."""


AT_ONCE = 8
"""Chunks that a process has under way at the most: with requests that take 20 ms it does 6.8 times as much with
eight as with one, for chunks of 10 ms of CPU (`make bench`, lanes)."""


@dataclass(frozen=True)
class Stage:
    """One layer's tasks and machines, and the table's nodes meanwhile."""

    layer: int
    cpu: int
    """CPUs of a task; one worker process is counted, whatever they are."""
    at_once: int
    """Chunks that the process has under way: as many as it waits for, and as have room in the machine."""
    memory_gib: float
    fits: bool
    """Whether Cloud Run has a machine with so much memory; if not, the largest is counted."""
    tasks: int
    fleet: int
    """Tasks that its fleet may have: HEADROOM times those of use, and no more than chunks and fleets allow."""
    hours: float
    nodes: int
    limited: bool = False
    """Whether the table's nodes are what keeps the tasks so few."""

    @property
    def task_hours(self) -> float:
        """Hours that are paid for, over all tasks."""
        return self.tasks * self.hours


def schedule(needs: Sequence[LayerNeeds]) -> tuple[Stage, ...]:
    """The stages of a run, a layer each."""
    return tuple(_stage(layer) for layer in needs)


def rounded_gib(memory_gib: float) -> float:
    """The memory of a machine for what a build needs; that of the largest machine if there is none for it."""
    return min(MACHINES[-1][1], max(LEAST_GIB, ceil(memory_gib / STEP_GIB) * STEP_GIB))


def at_once(layer: LayerNeeds, memory_gib: float) -> int:
    """How many chunks of a layer a process has under way on a machine with so much memory: no more than the largest
    of them have room there, or would keep its CPU busy."""
    if not layer.cpu_seconds:
        return 1
    room = memory_gib * USABLE * GIB - PROCESS_BYTES
    each = max(1.0, layer.memory_gib * USABLE * GIB - PROCESS_BYTES)
    return max(1, min(AT_ONCE, int(room / each), ceil(layer.seconds / layer.cpu_seconds)))


def fleet_tasks(layer: int) -> int:
    """The most tasks that a layer's fleet has."""
    return ceil(FLEET_TASKS / pow(FLEET_FALL, max(0, layer - 2)))


def _stage(layer: LayerNeeds) -> Stage:
    memory = rounded_gib(layer.memory_gib)
    cpu = next(cpu for cpu, most in MACHINES if memory <= most)
    allowed = min(layer.chunks, layer.fleet or fleet_tasks(layer.layer))
    # Seconds of a node for all rows.
    busy = (layer.rows / ROWS_A_NODE + layer.read_rows / SCANNED_A_NODE) / UTILISATION
    together = at_once(layer, memory)
    # A process is paid for as long as its chunks take in lanes, but never less than their CPU.
    paid = max(layer.cpu_seconds, layer.seconds / together)
    useful = ceil(NODES * paid / busy) if paid and busy else allowed
    tasks = min(allowed, useful)
    seconds = max(paid / tasks, busy / NODES) if tasks else 0.0
    return Stage(
        layer=layer.layer,
        cpu=cpu,
        at_once=together,
        memory_gib=memory,
        fits=layer.memory_gib <= memory,
        tasks=tasks,
        fleet=layer.fleet or min(allowed, HEADROOM * useful),
        hours=seconds / 3600,
        nodes=ceil(busy / seconds - 1e-9) if seconds else 0,
        limited=useful < allowed,
    )


def as_rows(needs: Sequence[LayerNeeds], stages: Sequence[Stage]) -> list[tuple[str, ...]]:
    """A table of the layers and their sum, with its heading first."""
    heading = ("layer", "CPU", "memory", "rows", "tasks", "of", "machine", "at once", "nodes", "takes", "paid for")
    rows = [_row(layer, stage) for layer, stage in zip(needs, stages, strict=True)]
    cpu, paid = sum(layer.cpu_seconds for layer in needs), sum(stage.task_hours for stage in stages)
    written, hours = sum(layer.rows for layer in needs), sum(stage.hours for stage in stages)
    total = (
        "all",
        duration(cpu, 1),
        "",
        about(written),
        "",
        "",
        "",
        "",
        "",
        duration(hours * 3600, 1),
        duration(paid * 3600, 1),
    )
    return [heading, *rows, total]


def about(count: float) -> str:
    """A large number as people say it: no more digits than an estimate has."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:,.3g} {name}" if count < 1000 * size else f"{count / size:,.0f} {name}"
    return f"{count:,.0f}"


def remarks(stages: Sequence[Stage]) -> list[str]:
    """What somebody should know who reads the table: what limits it, and what does not fit."""
    found = []
    held = [stage for stage in stages if stage.limited]
    if held:
        found.append(
            f"the table limits layers {_names(held)}: {NODES} nodes take the rows of so few tasks, by the "
            f"{ROWS_A_NODE:,} rows a second that a node is documented to take (rows of 1 kB; of ours it may take "
            "more). More tasks would wait and be paid for it, so dispatch starts no more than bring something, and "
            f"at most {HEADROOM} times as many. More nodes (bigtable_cluster.max_nodes) mean fewer hours and as "
            "many node-hours; fewer, as many more hours"
        )
    large = [stage for stage in stages if not stage.fits]
    if large:
        found.append(
            f"layers {_names(large)} may need more memory than the largest machine of Cloud Run has "
            f"({MACHINES[-1][1]:g} GiB). Chunks for which that is true end in the dead letters; replay them with a "
            f"worker on a larger machine (python -m jobs.worker --layers {large[0].layer})"
        )
    return found


def _row(layer: LayerNeeds, stage: Stage) -> tuple[str, ...]:
    return (
        named(stage.layer),
        duration(layer.cpu_seconds, 1),
        f"{layer.memory_gib:.2f} GiB",
        about(layer.rows),
        f"{stage.tasks:,}",
        f"{stage.fleet:,}",
        f"{stage.cpu} CPU {stage.memory_gib:g} GiB",
        str(stage.at_once),
        str(stage.nodes),
        duration(stage.hours * 3600, 1),
        duration(stage.task_hours * 3600, 1),
    )


def _names(stages: Sequence[Stage]) -> str:
    return ", ".join(str(stage.layer) for stage in stages)
