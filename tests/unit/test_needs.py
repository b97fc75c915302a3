"""What layers need is geometry times named constants: hand-computed examples, walks over the plan, growth."""

from __future__ import annotations

import dataclasses
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import memory_limit as memory
from jobs.example import ExampleParams, make_example
from jobs.example.files import COMPONENTS, EDGES
from shared.chunks.codec import PLAIN, encode_handoff
from shared.estimate import needs as estimates
from shared.estimate.bill import bill
from shared.estimate.needs import ASSUMED, LayerNeeds, needs
from shared.estimate.operations import operations
from shared.estimate.planes import faces, most_faces
from shared.estimate.report import PlanReport, describe
from shared.estimate.schedule import schedule
from shared.files import CloudFilesStorage
from shared.gcp.bigtable.wire import encode_rows
from shared.inputs.source import ProcessedSource
from shared.memory.storage import MemoryStorage
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts
from shared.run.record import RunRecord
from shared.work.sources import Sources
from tests.datasets import changed
from tests.effort import measured
from tests.prices import prices

SIZE = (12, 10, 8)


def described(*voxels: int, chunk: tuple[int, int, int] = SIZE, test: bool = False) -> tuple[Plan, PlanReport]:
    """Plan and report of a volume of so many voxels."""
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=list(chunk)))
    x, y, z = voxels
    volume = VolumeFacts((5, 0, -5), (5 + x, y, z - 5), (8.0, 8.0, 40.0))
    plan = make_plan(dataset, volume, test)
    return plan, describe(plan, dataset, volume)


def touching(plan: Plan, report: PlanReport, chunk: Chunk) -> int:
    """Voxels of the faces of a chunk behind which there is another, chunk by chunk."""
    extent = [
        min(size, (at + 1) * length << chunk.layer - 2) - (at * length << chunk.layer - 2)
        for at, size, length in zip(chunk.coords, report.voxels, SIZE, strict=True)
    ]
    return sum(prod(extent) // extent[face // 2] for face in plan.grid.neighbours(chunk))


@given(st.tuples(*[st.integers(1, 8 * length) for length in SIZE]))
def test_faces_agree_with_a_walk_over_the_chunks(voxels: tuple[int, int, int]) -> None:
    """A layer has the faces of its chunks, cut where the volume ends; no parent has more than `most_faces`."""
    plan, report = described(*voxels)
    for layer in plan.layers:
        of_chunk = {chunk: touching(plan, report, chunk) for chunk in plan.grid.chunks(layer)}
        assert faces(report, layer) == pytest.approx(sum(of_chunk.values()))
        if layer > 2:
            below = (sum(touching(plan, report, child) for child in plan.grid.children(each)) for each in of_chunk)
            assert max(below) <= most_faces(report, layer) * (1 + 1e-9)


def test_most_faces_is_reached() -> None:
    """In whole chunks the parent with the most faces has exactly as many: the estimate is not just large."""
    for shape in ((1, 1, 1), (2, 3, 1), (4, 5, 2), (6, 8, 5)):
        plan, report = described(*(count * length for count, length in zip(shape, SIZE, strict=True)))
        for layer in range(3, plan.top.layer + 1):
            parents = [plan.grid.children(parent) for parent in plan.grid.chunks(layer)]
            most = max(sum(touching(plan, report, child) for child in children) for children in parents)
            cut = any(count % (1 << layer - 2) for count in shape)
            assert most_faces(report, layer) >= most if cut else most_faces(report, layer) == pytest.approx(most)


def test_one_chunk_by_hand() -> None:
    """1.2 million voxels are 1,000 supervoxels: their CPU, waits, memory and rows, written out."""
    _, report = described(120, 100, 100, chunk=(120, 100, 100))
    (found,) = needs(report)
    assert found.cpu_seconds == pytest.approx(0.004 + 0.011 + 1_000 * 1.1e-6)
    # Two reads, a write, a hand-off, an ack; one record; no parent to publish.
    assert found.wait_seconds == pytest.approx(2 * 0.05 + 0.05 + 0.1 + 0.03 + 0.05)
    assert found.memory_gib == pytest.approx((170e6 + 8e6 + 1_000 * 850) / 0.9 / 2**30)
    assert (found.rows, found.row_bytes) == pytest.approx((1_200, 90_000))
    assert found.handoff_bytes == 0


def test_two_chunks_and_their_parent_by_hand() -> None:
    """One face of 100 x 100 voxels, counted on both sides: the pairs of the only parent."""
    _, report = described(240, 100, 100, chunk=(120, 100, 100))
    layer2, top = needs(report)
    pairs = 2 * 100 * 100 * 1.2 / 1_200 ** (2 / 3)
    assert layer2.handoff_bytes == pytest.approx(28 * pairs)  # so small ones are stored as they are
    assert top.cpu_seconds == pytest.approx(0.004 + 0.011 + pairs * 1.5e-6)
    assert top.rows == pytest.approx(2 * 100 * 100 * 0.22 / 1_200 ** (2 / 3) * 1.6)
    assert top.memory_gib == pytest.approx((170e6 + 40e6 + pairs * 200) / 0.9 / 2**30)
    # Two records for layer 2, and a publish and its note for the parent.
    assert layer2.wait_seconds == pytest.approx(2 * 0.28 + 2 * 0.05 + 0.03 + 0.05)


@given(st.tuples(*[st.integers(1, 200)] * 3), st.integers(0, 2))
def test_a_larger_volume_needs_no_less(voxels: tuple[int, int, int], axis: int) -> None:
    """With another 100 voxels along an axis no layer has fewer chunks, and none needs less of anything."""
    larger = [size + 100 * (at == axis) for at, size in enumerate(voxels)]
    before, after = needs(described(*voxels)[1]), needs(described(*larger)[1])
    assert len(after) >= len(before)
    for one, other in zip(before, after, strict=False):
        for name in LayerNeeds.__dataclass_fields__:
            assert getattr(one, name) <= getattr(other, name) * (1 + 1e-9), name


def test_a_parent_follows_its_surface() -> None:
    """Inside a large volume a parent one layer up has 8 times the voxels, and 4 times the pairs."""
    _, report = described(*(64 * length for length in SIZE))
    assert most_faces(report, 5) == pytest.approx(4 * most_faces(report, 4))
    work = [layer.cpu_seconds - layer.chunks * 0.015 for layer in needs(report)[2:5]]
    assert work[0] > work[1] > work[2] > work[0] / 8


def test_a_test_run_is_nine_chunks() -> None:
    """Eight whole chunks and their parent, with the faces around them, whatever the volume's size."""
    _, report = described(*(6 * length for length in SIZE), test=True)
    layer2, top = needs(report)
    assert (layer2.chunks, top.chunks) == (8, 1)
    assert layer2.rows == pytest.approx(8 * prod(SIZE) / 1_200 * 1.2)
    assert top.rows == pytest.approx(most_faces(report, 3) * 0.22 / 1_200 ** (2 / 3) * 1.6)
    assert layer2.memory_gib == needs(described(*(6 * length for length in SIZE))[1])[0].memory_gib


def test_the_densest_chunk_is_the_mean_where_there_is_one() -> None:
    """Memory allows for a chunk of twice the mean, which the only chunk of a layer cannot be."""
    one, two = (needs(described(120 * count, 100, 100, chunk=(120, 100, 100))[1])[0] for count in (1, 2))
    assert (two.memory_gib - one.memory_gib) * 2**30 * 0.9 == pytest.approx(1_000 * 850)


def test_the_usable_part_of_memory_is_that_of_the_workers() -> None:
    """The limit that a worker sets itself and the estimate agree on what it may take of its machine."""
    assert vars(estimates)["USABLE"] == vars(memory)["USABLE"]


def test_ten_million_chunks_at_once() -> None:
    """Needs, times, counts and bill of 10^7 chunks: a fraction of a second and no memory to speak of."""
    _, report = described(215 * 512, 215 * 512, 215 * 128, chunk=(512, 512, 128))
    table = prices()
    with measured() as effort:
        found = needs(report)
        total = bill(found, schedule(found), operations(report), table).total
    assert report.layers[0].chunks == 215**3
    assert total > 0
    assert (effort.calls < 100_000, effort.peak < 1 << 20) == (True, True), effort


def test_raw_output_takes_more() -> None:
    """More CPU, waiting and memory in layer 2, the same rows and hand-offs, and nothing more above."""
    _, plain = described(5120, 5120, 1280)
    raw = dataclasses.replace(plain, raw=True, written=2)
    (low, *above), (lowest, *rest) = needs(plain), needs(raw)
    assert above == rest
    assert lowest.cpu_seconds > low.cpu_seconds and lowest.wait_seconds > low.wait_seconds
    assert lowest.memory_gib - low.memory_gib > 64 / 1024
    assert (lowest.rows, lowest.handoff_bytes) == (low.rows, low.handoff_bytes)


def segmented(*voxels: int, tables: int = 0, test: bool = False, **changes: Any) -> PlanReport:
    """The report of a segmentation of so many voxels, in chunks of 120 x 100 x 100."""
    chunk = (120, 100, 100)
    plan = described(*voxels, chunk=chunk, test=test)[0]
    plan = dataclasses.replace(plan, grid=dataclasses.replace(plan.grid, lowest=1), tables=tables)
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=list(chunk)))
    x, y, z = voxels
    cut = Segmentation("gs://a", "gs://b", (0, 0, 0), (x, y, z), chunk, (8.0, 8.0, 40.0), **changes)
    written = () if test else ("edges", "components", "watershed")
    return describe(plan, dataset, VolumeFacts((0, 0, 0), (x, y, z), (8.0, 8.0, 40.0)), False, written, cut)


def test_two_cuts_by_hand() -> None:
    """1.2 million voxels each: CPU, waits, memory, and what is stored of voxels and of cuts, written out."""
    cut, layer2, _ = needs(segmented(240, 100, 100))
    assert (cut.layer, cut.chunks, cut.rows, cut.row_bytes) == (1, 2, 0, 0)
    assert cut.cpu_seconds == pytest.approx(2 * 0.011 + 2.4e6 * 75e-9)
    # 2 x 2 x 2 blocks are read at once, one is written; a hand-off, an ack, two records; layer 2 is published.
    assert cut.wait_seconds == pytest.approx(2 * (0.05 + 0.1 + 0.1 + 0.03) + 4 * 0.05 + 2 * (0.03 + 0.05))
    assert cut.memory_gib == pytest.approx((170e6 + 85e6 + 1.2e6 * 26 + 2 * 1_000 * 3000) / 0.9 / 2**30)
    assert cut.stored_bytes == pytest.approx(2.4e6 * 0.15)
    assert cut.handoff_bytes == pytest.approx(2_000 * 40 + 2 * 100 * 100 * 0.3)
    plain = needs(described(240, 100, 100, chunk=(120, 100, 100))[1])[0]
    assert layer2.cpu_seconds - plain.cpu_seconds == pytest.approx(2_000 * 6e-6)
    assert layer2.wait_seconds - plain.wait_seconds == pytest.approx(2 * 2 * 0.1)
    assert layer2.stored_bytes == pytest.approx(2_000 * 50)
    assert (layer2.rows, layer2.handoff_bytes) == (plain.rows, plain.handoff_bytes)
    assert layer2.memory_gib > plain.memory_gib


def test_more_volumes_take_more() -> None:
    """Objects and affinities are read with each chunk, and held beside it; affinities are handed on too."""
    one, objects, both = (
        needs(segmented(960, 800, 400, objects=objects, affinities=affinities))[0]
        for objects, affinities in ((None, None), ("gs://o", None), ("gs://o", "gs://f"))
    )
    for name in ("cpu_seconds", "memory_gib"):
        assert getattr(one, name) < getattr(objects, name) < getattr(both, name), name
    assert one.handoff_bytes == objects.handoff_bytes < both.handoff_bytes
    assert one.stored_bytes == both.stored_bytes


def test_tables_by_hand() -> None:
    """Parts are sorted side by side, in memory that does not grow with them; of scores one more job joins all, in
    memory that grows with the supervoxels alone."""
    mapping = needs(segmented(960, 800, 400, tables=6, mapping=("gs://t",)))[0]
    scores = needs(segmented(960, 800, 400, tables=7, scores=("gs://t",)))[0]
    assert (mapping.layer, mapping.chunks, mapping.rows) == (0, 6, 0)
    assert mapping.cpu_seconds == pytest.approx(6 * (0.011 + 1e7 * 0.45e-6))
    assert scores.cpu_seconds == pytest.approx(7 * 0.011 + 6 * 1e7 * (0.45e-6 + 0.95e-6))
    assert mapping.memory_gib == pytest.approx((170e6 + 700e6) / 0.9 / 2**30)
    largest = needs(segmented(96_000, 80_000, 40_000, tables=7, scores=("gs://t",)))[0]
    assert mapping.memory_gib == scores.memory_gib < largest.memory_gib


def test_a_test_of_a_segmentation_writes_nothing() -> None:
    """Eight cuts, with no voxel and no file stored beside the table."""
    cut, layer2, _ = needs(segmented(960, 800, 800, test=True))
    assert (cut.chunks, layer2.chunks) == (8, 8)
    assert cut.stored_bytes == layer2.stored_bytes == 0
    assert cut.memory_gib == needs(segmented(960, 800, 800))[0].memory_gib


def test_machines_of_layers_below_the_graph() -> None:
    """They have as many tasks as layer 2 may have at most, not more with each layer down; the table has no work."""
    found = schedule(needs(segmented(120 * 200, 100 * 100, 100 * 50, tables=62, mapping=("gs://t",))))
    assert [(stage.layer, stage.tasks, stage.nodes) for stage in found[:2]] == [(0, 62, 0), (1, 500, 0)]


def test_constants_fit_an_example(tmp_path: Path) -> None:
    """Rows, bytes and hand-offs of an example that is built: the estimate for its own density is not much below
    them, and not above 2.5 times as much. Who changes what is stored has to change the constants."""
    params = ExampleParams((5, 4, 3), (56, 56, 48), 7)
    make_example(tmp_path, params)
    folders = f"{tmp_path}/{EDGES}", f"{tmp_path}/{COMPONENTS}"
    record = RunRecord("graph", "run", "graph", None, 1_700_000_000_000, params.grid, *folders, schema=3)
    sources = Sources(ProcessedSource(*map(CloudFilesStorage, folders)), MemoryStorage())
    built: dict[int, Counter[str]] = {layer: Counter() for layer in record.plan.layers}
    for layer, sums in built.items():
        for chunk in record.plan.grid.chunks(layer):
            found = sources.build(record, chunk)
            handoff = encode_handoff(found.handoff)
            sources.scratch.put(record.handoff_name(chunk), handoff)
            requests = list(encode_rows(found.cells, 0))
            sums["rows"] += sum(len(part.entries) for part in requests)
            sums["row_bytes"] += sum(len(part.request("table")) for part in requests)
            sums["handoff_bytes"] += len(handoff)
    count = found.handoff.totals[2]["supervoxels"]
    size = params.extent
    denser = estimates.VOXELS_A_SUPERVOXEL * count / prod(size)
    density = dataclasses.replace(
        ASSUMED,
        supervoxels=count / prod(size),
        pairs=ASSUMED.pairs * denser ** (2 / 3),
        nodes=ASSUMED.nodes * denser ** (2 / 3),
    )
    _, report = described(*size, chunk=params.chunk_size)
    planned = {layer.layer: layer for layer in needs(report, density)}
    assert set(planned) == set(built)
    assert estimates.PLAIN_HANDOFF[0] == PLAIN
    for name in ("rows", "row_bytes"):
        for layer, sums in built.items():
            assert 0.8 < getattr(planned[layer], name) / sums[name] < 2.5, (name, layer)
    assert 0.8 < planned[2].handoff_bytes / built[2]["handoff_bytes"] < 2.5
