"""What the verification of a run's table takes: rows read once more, CPU, verdicts; by a run of its own, or by the
jobs that build (VERIFY=1).

Invariants: it is more work of the same layers, so hours and dollars are those of `schedule` and `bill`. A run of
its own has messages and records like any other; jobs that verify what they built have none for that. Its tasks are
those of the Jobs that build, as nothing is deployed for it.

CPU is measured in memory and with the emulator: 2.7 ms for a chunk with next to nothing in it; 0.35 s for one of
84,782 rows with its input files, and 2 us for each row that is taken out of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.estimate.bill import Bill, node_hours
from shared.estimate.needs import (
    AROUND_CPU,
    GET_SECONDS,
    GETS_A_CHUNK,
    LAYER2_CPU,
    PUT_SECONDS,
    LayerNeeds,
    layer2_costs,
    other_waits,
    published,
)
from shared.estimate.operations import Operations, operations
from shared.estimate.prices import Prices
from shared.estimate.report import LayerReport, PlanReport
from shared.estimate.schedule import SCANNED_A_NODE, about, schedule
from shared.estimate.spent import Expected
from shared.timestamps import duration

CHUNK_CPU, ROW_CPU = 0.0027, 6e-6
"""Seconds of CPU for a chunk, and for each of its rows, read and verified."""

ROWS_READ = (1.0, 1.3)
"""Rows that are read for each that a job wrote, in layer 2 and above: there also nodes that were carried past the
children (1.2 to 1.3 in layer 3 of the example, of chunks of two sizes; less above)."""

SCANS = (1, 2)
"""Requests to the table of a chunk of layer 2, and of one above."""


def by_itself(report: PlanReport, needed: Sequence[LayerNeeds]) -> Expected:
    """The run that verifies the table that a plan's run makes, which needs `needed`."""
    alone = _alone(report)
    built = {layer.layer: layer for layer in needed}
    stages = {stage.layer: stage for stage in schedule(needed)}
    layers = []
    for layer, queued in published(alone):
        cpu, waited, read = _more(alone, layer, built[layer.layer])
        layers.append(
            replace(
                built[layer.layer],
                cpu_seconds=cpu + layer.chunks * AROUND_CPU,
                wait_seconds=waited + other_waits(layer, queued, written=0),
                rows=0.0,
                row_bytes=0.0,
                stored_bytes=0.0,
                read_rows=read,
                fleet=stages[layer.layer].fleet,
            )
        )
    return Expected(tuple(layers), _counted(alone))


def while_building(report: PlanReport, needed: Sequence[LayerNeeds]) -> Expected:
    """The whole run of a plan whose jobs verify what they build; `needed` is what building needs."""
    alone, stages = _alone(report), schedule(needed)
    layers = []
    for layer, built, stage in zip(report.layers, needed, stages, strict=True):
        if layer.layer < 2:
            layers.append(built)
            continue
        cpu, waited, read = _more(report, layer, built)
        layers.append(
            replace(
                built,
                cpu_seconds=built.cpu_seconds + cpu,
                wait_seconds=built.wait_seconds + waited + layer.chunks * PUT_SECONDS,
                # A verdict is as large as a hand-off (0.3 to 1.1 times, on examples), and kept as long.
                handoff_bytes=2 * built.handoff_bytes,
                read_rows=read,
                fleet=stage.fleet,
            )
        )
    building, more = operations(report), _counted(alone)
    counts = replace(
        building,
        # The cuts of a segmentation are still there from the build.
        input_gets=building.input_gets + more.input_gets * (report.segmentation is None),
        handoff_gets=building.handoff_gets + more.handoff_gets,
        puts=building.puts + alone.chunks,
    )
    return Expected(tuple(layers), counts)


def checking_lines(report: PlanReport, needed: Sequence[LayerNeeds], prices: Prices, verified: bool) -> list[str]:
    """What a verification costs, in words; `verified` where the bill of the run is with it."""
    alone, both = by_itself(report, needed), while_building(report, needed)
    stages, itself = schedule(alone.needs), alone.bill(prices)
    # A run of less than an hour may get by with a node less the slower it is, which is nothing that is saved.
    more = max(0.0, both.bill(prices).total - Expected(tuple(needed), operations(report)).bill(prices).total)
    hours = duration(3600 * sum(stage.hours for stage in stages), 1)
    cpu = duration(sum(layer.cpu_seconds for layer in alone.needs), 1)
    tasks, nodes = _of(itself, "Cloud Run"), _of(itself, "Bigtable")
    beside = f"${more:,.2f} of this bill" if verified else f"about ${more:,.2f} more"
    return [
        f"verification: as a run by itself about ${itself.total:,.2f} more (tasks ${tasks:,.2f}, nodes "
        f"${nodes:,.2f}, the rest ${itself.total - tasks - nodes:,.2f}) in {hours}; "
        f"while it builds (VERIFY=1) {beside}",
        f"a verification reads {about(sum(layer.read_rows for layer in alone.needs))} rows with {cpu} of CPU and "
        f"{node_hours(stages):,.1f} node-hours, by the {SCANNED_A_NODE:,} rows a second that a node is documented "
        "to scan (220 MB/s, rows of 1 kB; how many of ours, a tenth of that, nobody has measured)",
    ]


def _alone(report: PlanReport) -> PlanReport:
    """The plan of a run that verifies: the same chunks, without what is cut or written beside the table. A table of
    a segmentation is compared with the files that were made of it."""
    layers = tuple(layer for layer in report.layers if layer.layer >= 2)
    return replace(report, layers=layers, written=0, segmentation=None, watershed=False)


def _counted(alone: PlanReport) -> Operations:
    """What it asks services for; a test's table is compared with no input."""
    counts = operations(alone)
    return replace(counts, input_gets=0) if alone.test else counts


def _more(report: PlanReport, layer: LayerReport, built: LayerNeeds) -> tuple[float, float, float]:
    """Seconds of CPU, seconds of waiting for what is read, and rows read of all chunks of a layer."""
    above = layer.layer > 2
    read = built.rows * ROWS_READ[above]
    # Of raw output and cuts edges are made once more, for each supervoxel; nearly all rows of layer 2 are one.
    inputs = 0.0 if above or report.test else layer2_costs(report).cpu[1] - LAYER2_CPU[1]
    cpu = layer.chunks * CHUNK_CPU + read * ROW_CPU + built.rows * inputs
    return cpu, layer.chunks * (SCANS[above] + GETS_A_CHUNK) * GET_SECONDS, read


def _of(found: Bill, service: str) -> float:
    return sum(line.usd for line in found.lines if line.service == service)
