"""A plan is described by formulas that agree with counting chunk by chunk."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.estimate.report import PlanReport, describe
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.plan import Plan
from shared.plan.volume import VolumeFacts
from tests.datasets import changed
from tests.effort import measured

DATASET = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=[10, 10, 10]))


def described(shape: tuple[int, int, int], test: bool) -> tuple[Plan, PlanReport]:
    """The plan and report of a grid of this shape."""
    x, y, z = shape
    volume = VolumeFacts((0, 0, 0), (10 * x - 5, 10 * y, 10 * z), (8.0, 8.0, 40.5))
    plan = make_plan(DATASET, volume, test)
    return plan, describe(plan, DATASET, volume)


@given(shape=st.tuples(*[st.integers(1, 7)] * 3), test=st.booleans())
def test_formulas_agree_with_counting(shape: tuple[int, int, int], test: bool) -> None:
    """Chunks, records, transactions and hand-off reads are what a walk over the plan counts."""
    plan, report = described(shape, test)
    chunks = [chunk for layer in plan.layers for chunk in plan.grid.chunks(layer) if chunk in plan]
    waiting = {other for chunk in chunks for other in plan.dependents(chunk)}
    assert report.chunks == len(chunks)
    assert report.records == len(waiting)
    assert report.transactions == sum(len(plan.dependents(chunk)) for chunk in chunks)
    assert report.handoff_reads == sum(len(plan.dependencies(chunk)) for chunk in chunks)
    for layer in report.layers:
        of_layer = [chunk for chunk in chunks if chunk.layer == layer.layer]
        assert layer.chunks == len(of_layer)
        assert layer.transactions == sum(len(plan.dependents(chunk)) for chunk in of_layer)
        assert layer.root_range == plan.roots.size(layer.layer)
        assert 8 + 3 * layer.axis_bits + layer.segment_bits == 64


@given(shape=st.tuples(*[st.integers(1, 6)] * 3), test=st.booleans(), parts=st.integers(0, 5))
def test_cuts_and_tables_agree_with_counting(shape: tuple[int, int, int], test: bool, parts: int) -> None:
    """So are those of a segmentation, whose chunks wait for cuts, and whose cuts wait for its tables."""
    plan = described(shape, test)[0]
    plan = replace(plan, grid=replace(plan.grid, lowest=1), tables=parts)
    x, y, z = shape
    report = describe(plan, DATASET, VolumeFacts((0, 0, 0), (10 * x - 5, 10 * y, 10 * z), (8.0, 8.0, 40.5)))
    chunks = [plan.chunk_at(layer, index) for layer in plan.layers for index in range(plan.total(layer))]
    waiting = {other for chunk in chunks for other in plan.dependents(chunk)}
    assert [layer.layer for layer in report.layers] == list(plan.layers) and plan.layers.start == (not parts)
    assert (report.chunks, report.records) == (len(chunks), len(waiting))
    assert report.transactions == sum(len(plan.dependents(chunk)) for chunk in chunks)
    assert report.handoff_reads == sum(len(plan.dependencies(chunk)) for chunk in chunks if chunk.layer > 1)
    for layer in report.layers:
        assert report.at(layer.layer) is layer
        assert layer.transactions == sum(
            len(plan.dependents(chunk)) for chunk in chunks if chunk.layer == layer.layer
        )


def test_cuts_and_tables_have_names() -> None:
    """Below layer 2 a number says nothing to people, and there are no roots; of tables there are no ids either."""
    plan = described((2, 2, 1), False)[0]
    plan = replace(plan, grid=replace(plan.grid, lowest=1), tables=3)
    report = describe(plan, DATASET, VolumeFacts((0, 0, 0), (15, 20, 10), (8.0, 8.0, 40.5)))
    assert report.as_rows()[1:3] == [
        ("0 tables", "3 x 1 x 1", "3", "", "", "", "3"),
        ("1 cuts", "2 x 2 x 1", "4", "10", "26", "", "12"),
    ]


def test_ten_million_chunks_at_once() -> None:
    """The report of 10^7 chunks takes no time and no memory to speak of."""
    with measured() as effort:
        _, report = described((215, 215, 215), False)
        report.as_rows()
    assert report.layers[0].chunks == 215**3
    assert (effort.calls < 100_000, effort.peak < 1 << 20) == (True, True), effort


def test_report_of_one_chunk() -> None:
    """A volume of a single chunk is one message, one record and one transaction."""
    _, report = described((1, 1, 1), False)
    assert (report.chunks, report.records, report.transactions, report.handoff_reads) == (1, 1, 1, 0)


def test_rows_for_people() -> None:
    """The table has a heading and a row a layer; the totals say what they count."""
    _, report = described((5, 3, 1), False)
    assert report.as_rows() == [
        ("layer", "grid", "chunks", "bits x/y/z", "bits segment", "roots a chunk", "transactions"),
        ("2", "5 x 3 x 1", "15", "10", "26", f"{report.layers[0].root_range:,}", "37"),
        ("3", "3 x 2 x 1", "6", "2", "50", f"{report.layers[1].root_range:,}", "10"),
        ("4", "2 x 1 x 1", "2", "1", "53", f"{report.layers[2].root_range:,}", "2"),
        ("5", "1 x 1 x 1", "1", "1", "53", f"{report.layers[3].root_range:,}", "1"),
    ]
    totals = dict(report.totals())
    assert totals["volume"] == "45 x 30 x 10 voxels of 8 x 8 x 40.5 nm"
    assert (totals["chunks"], totals["Firestore records"]) == ("24", "10")
    assert (totals["Firestore transactions"], totals["hand-offs read"]) == ("50", "49")
