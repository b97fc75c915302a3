"""What a plan says after a look into some files, against what a run of the same files comes to.

CPU and memory are compared in the constants' own units, as a clock says as much of the machine: what is counted in
a run, supervoxels and pairs, goes through the same constants as what was estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jobs.example import ExampleParams, make_example
from jobs.example.files import COMPONENTS, EDGES
from shared.chunks.codec import encode_handoff
from shared.environment import USABLE
from shared.estimate import needs as estimates
from shared.estimate.certainty import sentences
from shared.estimate.density import Density
from shared.estimate.measured import paces
from shared.estimate.needs import ASSUMED, needs, needs_of_range, pairs_a_voxel
from shared.estimate.planes import most_faces
from shared.estimate.sampled import Seen
from shared.files import CloudFilesStorage
from shared.gcp.bigtable.wire import encode_rows
from shared.inputs import inventory
from shared.inputs.folder import InputFiles
from shared.inputs.source import ProcessedSource
from shared.memory.storage import MemoryStorage
from shared.operate.check import Checked, check
from shared.operate.looking_inside import SAMPLE, Look, look_inside
from shared.operate.one_chunk import seen_in
from shared.operate.which_input import WhichInput
from shared.plan.segmentation import Segmentation
from shared.work.sources import Sources
from tests.datasets import write
from tests.machine import BYTES, EACH, JOB, MORE, kept, sampled
from tests.on_disk import OnDisk
from tests.shapes import dense, shaped_volume, slabs, sparse

EXAMPLES = {
    "example": ExampleParams(),
    "coarse": ExampleParams((5, 4, 3), (56, 56, 48), 10),
    "large chunks": ExampleParams((3, 3, 2), (112, 112, 80), 7, 1),
}
SHAPES = {"dense": dense, "sparse": sparse, "slabs": slabs}


@dataclass
class Counted:
    """What a layer of a run came to."""

    rows: int = 0
    chunks: int = 0
    work: int = 0
    """Supervoxels, or pairs that the chunks' children handed up."""
    most: int = 0
    """Of one chunk."""

    def take(self, rows: int, work: int) -> None:
        """Adds a chunk."""
        self.rows, self.chunks = self.rows + rows, self.chunks + 1
        self.work, self.most = self.work + work, max(self.most, work)


def dataset(folder: Path, name: str, whole_example: Path | None = None) -> Checked:
    """One of the datasets on disk, checked; the README's example may be there already."""
    if name in SHAPES:
        return OnDisk.write(folder, shaped_volume((8, 7, 6), SHAPES[name])).check()
    params = EXAMPLES[name]
    if name != "example" or whole_example is None:
        make_example(folder, params)
        whole_example = folder
    places = {"EDGES": f"{whole_example}/{EDGES}", "COMPONENTS": f"{whole_example}/{COMPONENTS}"}
    places["WATERSHED"] = f"file://{whole_example}/ws"
    content = {"data_source": places, "graph_config": {"CHUNK_SIZE": list(params.chunk_size)}}
    return check(write(folder, content), "graph")


def run(checked: Checked) -> dict[int, Counted]:
    """Builds all chunks, and counts."""
    record = checked.record("graph", "run", 1_700_000_000_000)
    assert record.edges is not None and record.components is not None
    source = ProcessedSource(CloudFilesStorage(record.edges), CloudFilesStorage(record.components))
    sources = Sources(source, MemoryStorage())
    found = {layer: Counted() for layer in record.plan.layers}
    handed: dict[object, int] = {}
    for layer, counted in found.items():
        for chunk in record.plan.grid.chunks(layer):
            built = sources.build(record, chunk)
            sources.scratch.put(record.handoff_name(chunk), encode_handoff(built.handoff))
            handed[chunk] = sum(len(face.near) for face in built.handoff.faces.values())
            rows = sum(len(part.entries) for part in encode_rows(built.cells, 0))
            own = built.handoff.totals[2]["supervoxels"]
            counted.take(
                rows, own if layer == 2 else sum(handed[child] for child in record.plan.grid.children(chunk))
            )
    return found


def real(layer: int, counted: Counted) -> tuple[float, float]:
    """CPU seconds and GiB of a layer, by the constants and what was counted."""
    cpu = estimates.LAYER2_CPU if layer == 2 else estimates.PARENT_CPU
    memory = estimates.LAYER2_BYTES if layer == 2 else estimates.PARENT_BYTES
    seconds = counted.chunks * (cpu[0] + estimates.AROUND_CPU) + counted.work * cpu[1]
    room = (estimates.PROCESS_BYTES + memory[0] + counted.most * memory[1]) / USABLE
    return seconds, room / (1 << 30)


def most_pairs(checked: Checked, density: Density, layer: int) -> float:
    """The pairs of the largest parent of a layer, as its memory is reckoned for."""
    mean = most_faces(checked.report, layer) * pairs_a_voxel(density, layer - 1)
    return mean * min(checked.plan.total(layer), density.densest_parent(layer))


@pytest.mark.parametrize("name", [*EXAMPLES, *SHAPES])
def test_predicted_against_real(name: str, tmp_path: Path, whole_example: Path) -> None:
    """Rows within 10 %, and in the range that is said; CPU and memory of each layer within 30 %. At this
    size both are mostly what every chunk takes, so what they grow by is compared alone: supervoxels and pairs
    within 10 %, the largest chunk and the largest parent not below what they are, and within 30 and 40 %."""
    checked = dataset(tmp_path, name, whole_example)
    look, counted = look_inside(checked), run(checked)
    assert look.found is not None and look.remarks == ()
    predicted = needs_of_range(checked.report, look.density, look.high)
    low, high = (sum(layer.rows for layer in needs(checked.report, one)) for one in (look.found.low, look.high))
    rows, truth = sum(layer.rows for layer in predicted), sum(layer.rows for layer in counted.values())
    assert rows == pytest.approx(truth, rel=0.1)
    assert low <= truth <= high
    for layer in predicted:
        cpu, memory = real(layer.layer, counted[layer.layer])
        assert layer.cpu_seconds == pytest.approx(cpu, rel=0.3)
        assert layer.memory_gib == pytest.approx(memory, rel=0.3)
    assert look.found.supervoxels.total == pytest.approx(counted[2].work, rel=0.1)
    assert counted[2].most <= look.found.supervoxels.most <= 1.3 * counted[2].most
    assert look.found.pairs.total == pytest.approx(counted[3].work, rel=0.1)
    # By the upper end of the range, as a task that is too small is killed.
    assert counted[3].most <= most_pairs(checked, look.high, 3) <= 1.4 * counted[3].most
    slower(checked, look, counted[2])


def slower(checked: Checked, look: Look, layer2: Counted) -> None:
    """On a machine that takes some three times what is assumed, as a sample says, CPU and memory of layer 2 are
    within 30 % too, and nearer than without; rows and the layers above are as they were."""
    sample = kept(checked, sampled(checked, 8))
    before, after = (
        needs_of_range(checked.report, look.density, look.high, of) for of in ({}, paces(checked.report, sample))
    )
    seconds = layer2.chunks * (JOB + estimates.AROUND_CPU) + layer2.work * EACH
    room = (estimates.PROCESS_BYTES + BYTES + layer2.most * MORE) / USABLE / (1 << 30)
    assert after[0].cpu_seconds == pytest.approx(seconds, rel=0.3)
    assert after[0].memory_gib == pytest.approx(room, rel=0.3)
    assert abs(after[0].cpu_seconds - seconds) < abs(before[0].cpu_seconds - seconds)
    assert (after[0].rows, after[1:]) == (before[0].rows, before[1:])


def test_an_assumption_is_far_off(tmp_path: Path) -> None:
    """What is predicted without a look: the example has eight times the supervoxels that are assumed."""
    checked = dataset(tmp_path, "coarse")
    blind, seeing = (look_inside(checked, count).density.supervoxels for count in (0, 8))
    assert seeing > 3 * blind
    assert "no file was opened, as SAMPLE=0 says" in look_inside(checked, 0).remarks[0]


def test_all_chunks_opened_leave_nothing_to_guess(tmp_path: Path) -> None:
    """As many as there are, or more: sums are exact, and the range of layer 2 is a point."""
    checked = dataset(tmp_path, "sparse")
    found, counted = look_inside(checked, 1_000).found, run(checked)
    assert found is not None and found.sample.whole
    assert (found.supervoxels.total, found.rows.total) == (counted[2].work, counted[2].rows)
    assert (found.supervoxels.error, found.low.supervoxels) == (0, found.high.supervoxels)
    assert found.pairs.total == counted[3].work
    assert needs(checked.report, found.middle)[0].rows == pytest.approx(counted[2].rows)


def test_what_a_test_builds_is_opened(tmp_path: Path) -> None:
    """Of a test run its own eight chunks are opened, which are all that it builds."""
    data = OnDisk.write(tmp_path, shaped_volume((8, 7, 6), slabs))
    checked = check(data.file(), "graph", test=True)
    found = look_inside(checked).found
    source = ProcessedSource(*(CloudFilesStorage(f"{tmp_path}/{kind}") for kind in ("edges", "components")))
    built = [seen_in(checked.plan, checked.plan.chunk_at(2, index), source) for index in range(8)]
    assert found is not None and found.sample.whole
    rows = sum(one.rows for one in built if isinstance(one, Seen))
    assert needs(checked.report, found.middle)[0].rows == pytest.approx(rows)


def test_few_files_are_read_and_none_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look reads the chunks that it says, with their neighbours' components, asks for sizes, and leaves the
    folder as it was; a second one says the same."""
    checked = dataset(tmp_path, "dense")
    read: list[str] = []
    get = InputFiles.get

    def noted(files: InputFiles, names: Sequence[str]) -> dict[str, bytes | None]:
        read.extend(names)
        return get(files, names)

    monkeypatch.setattr(InputFiles, "get", noted)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    first = look_inside(checked)
    assert len([name for name in read if name.startswith("edges")]) in (SAMPLE, SAMPLE + 1)
    assert len(read) <= (SAMPLE + 1) * 5
    assert look_inside(checked) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_without_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sizes cannot be asked for, chunks are taken by their voxels: a wider range, which holds the truth."""
    checked = dataset(tmp_path, "slabs")
    by_size = look_inside(checked).found
    monkeypatch.setattr(InputFiles, "sizes", lambda _files, _names: {})
    found, counted = look_inside(checked).found, run(checked)
    assert found is not None and by_size is not None and not found.sample.by_size
    assert found.rows.error > by_size.rows.error
    assert found.rows.at(-1) < counted[2].rows < found.rows.at(1)
    assert any("SAMPLE=" in line and "would" in line for line in sentences(found))


def test_a_grid_too_large_for_a_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all files are looked for, the share of chunks with one is an estimate, and the range is wider."""
    data = OnDisk.write(tmp_path, shaped_volume((8, 7, 6), sparse))
    listed = look_inside(data.check()).found
    monkeypatch.setattr(inventory, "LISTED", 100)
    monkeypatch.setattr(inventory, "SAMPLED", 200)
    checked = data.check()
    found, counted = look_inside(checked).found, run(checked)
    assert listed is not None and found is not None and not checked.inventory.whole
    assert 0.05 < found.sample.filled_error < 0.2
    assert found.rows.error > max(found.sample.filled_error, listed.rows.error)
    assert found.rows.at(-1) < counted[2].rows < found.rows.at(1)
    assert any("chunks have no edge file, give or take" in line for line in sentences(found))


@pytest.mark.parametrize("count", [1, 7])
def test_a_few_of_many(count: int, tmp_path: Path) -> None:
    """A few chunks say how much there is in the middle, and that they cannot say more."""
    found = look_inside(dataset(tmp_path, "dense"), count).found
    assert found is not None and not found.sample.tells_spread
    told = sentences(found)
    assert "fewer than 8 chunks tell too little of how much others differ, so there is no range" in told
    assert not any("95%" in line for line in told)


def test_damaged_files_are_left_out(tmp_path: Path) -> None:
    """A file that cannot be read is told of, and the others tell of the volume."""
    data = OnDisk.write(tmp_path, shaped_volume((4, 3, 2), dense))
    checked = data.check()
    (tmp_path / "edges" / "edges_1_1_1.proto.zst").write_bytes(b"no edges")
    look = look_inside(checked)
    assert look.found is not None and len(look.found.sample.seen) == 23
    assert "of 24 chunks 1 cannot be built; the first:" in look.remarks[0]
    assert "edges_1_1_1.proto.zst" in look.remarks[0]


def test_nothing_to_look_at(tmp_path: Path) -> None:
    """Files without edges, and files that are gone: the assumption, and a sentence that says why."""
    data = OnDisk.write(tmp_path, shaped_volume((2, 2, 1), dense))
    checked = data.check()
    for path in tmp_path.glob("edges/*"):
        path.write_bytes(b"")
    empty = look_inside(checked)
    assert empty.found is None and "no edge is in them" in empty.remarks[-1]
    for path in tmp_path.glob("edges/*"):
        path.unlink()
    (tmp_path / "edges").rmdir()
    gone = look_inside(checked)
    assert gone.found is None and "1,200 voxels a supervoxel are assumed" in gone.remarks[-1]
    assert (empty.density, gone.high) == (ASSUMED, ASSUMED)


def test_a_segmentation_is_not_cut_for_a_plan(tmp_path: Path) -> None:
    """What is in its chunks is not known before they are cut, and a sentence says so."""
    checked = dataset(tmp_path, "dense")
    cut = Segmentation("gs://a", "gs://b", (0, 0, 0), (8, 8, 8), (8, 8, 8), (8.0, 8.0, 40.0))
    look = look_inside(replace(checked, input=WhichInput(segmentation=cut)))
    assert look.found is None and look.density == ASSUMED
    assert "are known once it is cut" in look.remarks[0] and "are assumed" in look.remarks[0]


def test_raw_output_is_looked_into(tmp_path: Path) -> None:
    """Raw output has no file a chunk, so no sizes: the chunks are read as a run reads them."""
    params = EXAMPLES["coarse"]
    make_example(tmp_path, params, raw=True)
    places = {"EDGES": "./edges", "COMPONENTS": "./components", "WATERSHED": "./ws", "DATA_VERSION": 4}
    content = {
        "data_source": places,
        "graph_config": {"CHUNK_SIZE": list(params.chunk_size)},
        "ingest_config": {"AGGLOMERATION": "./raw"},
    }
    checked = check(write(tmp_path, content), "graph")
    look = look_inside(checked, 20)
    assert checked.input.raw is not None and look.found is not None
    assert not look.found.sample.by_size and len(look.found.sample.seen) == 20
    assert look.found.supervoxels.at(-1) < 22_475 < look.found.supervoxels.at(1)
