"""Chunks that are built to be thrown away: what is counted and measured, what follows, and that nothing is left.

What a plan with a sample predicts is compared with a run in test_looking_inside.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jobs.example import ExampleParams, make_example
from shared.errors import DataError
from shared.estimate.measured import FILES, INPUTS, ROWS, Job, Measured, job_rows, paces, service_rows
from shared.estimate.needs import layer2_costs, needs_of_range
from shared.gcp.bigtable.wire import encode_rows
from shared.inputs.folder import InputFiles
from shared.operate import sampling as module
from shared.operate.check import check
from shared.operate.kept_sample import fingerprint
from shared.operate.looking_inside import chunks_to_sample, look_inside
from shared.operate.sampling import first_error
from shared.plan.grid import Chunk
from tests import segmentations
from tests.datasets import write
from tests.machine import Machine, kept, sampled
from tests.on_disk import OnDisk, edge_path
from tests.segmentation_runs import NO_FILES, SegmentationRun, small_scene
from tests.segmentation_runs import record_of as record_of_scene
from tests.shapes import dense, shaped_volume, slabs
from tests.unit.test_looking_inside import dataset, run


def test_what_is_counted_is_what_a_run_does(tmp_path: Path) -> None:
    """Rows, supervoxels and requests of each job, and the bytes that were read, are those of a build."""
    checked = OnDisk.write(tmp_path, shaped_volume((4, 3, 2), slabs)).check()
    taken = sampled(checked, 24)
    jobs = [job for one in taken for job in one.jobs]
    counted = run(checked)[2]
    assert sum(job.rows for job in jobs) == counted.rows
    assert sum(job.supervoxels for job in jobs) == counted.work
    assert [one.seen.rows if one.seen else 0 for one in taken] == [job.rows for job in jobs]
    for job in jobs:
        name = "edges_{}_{}_{}.proto.zst".format(*job.chunk)
        assert job.spent(INPUTS).bytes > (tmp_path / "edges" / name).stat().st_size
        assert job.spent(ROWS).requests and job.spent(ROWS).bytes > 20 * job.rows


def test_chunks_are_those_of_a_plan(tmp_path: Path) -> None:
    """The same ones each time: the first of those that a plan opens, and none without an edge file."""
    checked = dataset(tmp_path, "sparse")
    chunks = chunks_to_sample(checked, 9)
    assert chunks == chunks_to_sample(checked, 20)[:9] and set(chunks) <= set(checked.inventory.with_edges)
    assert [one.chunk for one in sampled(checked, 9)] == chunks


def test_services_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes while files are read is the inputs'; of a task it is what a chunk waits, from a desk
    it is not."""
    checked = OnDisk.write(tmp_path, shaped_volume((3, 2, 2), dense)).check()
    machine = Machine(checked)
    get = InputFiles.get

    def slow(files: InputFiles, names: Sequence[str]) -> dict[str, bytes | None]:
        machine.now += 0.25 * len(names)
        return get(files, names)

    monkeypatch.setattr(InputFiles, "get", slow)
    jobs = [job for one in sampled(checked, 5, machine) for job in one.jobs]
    for job in jobs:
        spent = job.spent(INPUTS)
        assert spent.seconds == pytest.approx(0.25 * spent.requests) and 2 <= spent.requests <= 5
    taken = sampled(checked, 5, machine)
    inside, outside = (paces(checked.report, kept(checked, taken, where)) for where in (True, False))
    mean = sum(job.spent(INPUTS).seconds for job in jobs) / len(jobs)
    assert inside[2].reading_seconds == pytest.approx(mean) and outside[2].reading_seconds is None


def test_a_segmentation_is_cut_for_its_sample(tmp_path: Path) -> None:
    """Each sampled chunk has the cuts around it, and comes to what a run makes of it, files and voxels included."""
    file = segmentations.write(tmp_path, small_scene())
    checked = check(file, "graph")
    taken = sampled(checked, 100)
    whole = SegmentationRun(NO_FILES, record_of_scene(file)).begin().work()
    assert [first_error(taken), len(taken)] == [None, checked.plan.total(2)]
    for one in taken:
        *cuts, job = one.jobs
        neighbours = checked.plan.grid.neighbours(one.chunk).values()
        assert {cut.chunk for cut in cuts} == {one.chunk.coords, *(other.coords for other in neighbours)}
        built = whole.sources().build(whole.record, one.chunk)
        assert job.rows == sum(len(rows.entries) for rows in encode_rows(built.cells, 0))
        assert job.supervoxels == cuts[0].supervoxels and {cut.layer for cut in cuts} == {1}
        assert job.spent(FILES).requests <= 2 and cuts[0].spent(FILES).bytes > 0
        assert cuts[0].handoff_bytes == len(_stored(whole, one.chunk._replace(layer=1)))
    sample = kept(checked, taken)
    look = look_inside(checked, kept=sample)
    assert look.found is not None and look.found.sample.whole and set(look.paces) == {1, 2}
    rows = sum(one.jobs[-1].rows for one in taken)
    assert needs_of_range(checked.report, look.density, look.high)[1].rows == pytest.approx(rows)


def _stored(whole: SegmentationRun, cut: Chunk) -> bytes:
    data = whole.scratch.get([whole.record.handoff_name(cut)])[whole.record.handoff_name(cut)]
    assert data is not None
    return data


def test_a_sample_of_a_segmentation_tells_of_all(tmp_path: Path) -> None:
    """The example as a segmentation: rows of layer 2 within 10 % by 16 of 36 chunks, and in the range; a plan says
    that N would have to be more."""
    params = ExampleParams((4, 3, 3), (40, 40, 32), 8)
    make_example(tmp_path, params, segmentation=True)
    places = {"EDGES": "./out/edges", "COMPONENTS": "./out/components", "WATERSHED": "./out/ws"}
    section = {"supervoxels": "./fragments", "objects": "./objects"}
    content = {
        "data_source": places,
        "graph_config": {"CHUNK_SIZE": list(params.chunk_size)},
        "chunkedgraph_ingest": {"segmentation": section},
    }
    checked = check(write(tmp_path, content), "graph")
    every = sampled(checked, 36)
    truth = sum(one.seen.rows for one in every if one.seen)
    found = look_inside(checked, kept=kept(checked, every[:16])).found
    assert found is not None and found.rows.total == pytest.approx(truth, rel=0.1)
    assert found.rows.at(-1) < truth < found.rows.at(1)


@pytest.mark.parametrize("kind", ["mapping", "scores"])
def test_tables_are_sorted_for_a_sample(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, so that objects are those of a run; tables that are too large for that leave the cuts alone, and
    supervoxels."""
    labels = small_scene().labels
    names = np.unique(labels[labels != 0]).tolist()
    scene = small_scene(flat=True)
    if kind == "mapping":
        scene = replace(scene, mapping={name: 1 + at % 3 for at, name in enumerate(names)})
    else:
        scene = replace(scene, scores=dict.fromkeys(pairwise(names), 1.0), threshold=0.5)
    checked = check(segmentations.write(tmp_path, scene), "graph")
    taken = sampled(checked, 100)
    assert first_error(taken) is None and all(one.seen for one in taken)
    assert sum(one.seen.inside for one in taken if one.seen) > 0
    monkeypatch.setattr(module, "SORTED_ROWS", 0)
    few = sampled(checked, 100)
    assert first_error(few) is None and not any(one.seen for one in few)
    cuts = [[job.supervoxels for job in one.jobs if job.layer == 1] for one in taken]
    assert [[job.supervoxels for job in one.jobs] for one in few] == cuts
    sample = kept(checked, few)
    look = look_inside(checked, kept=sample)
    assert "rows, which are not sorted for a sample" in sample.remarks[0]
    assert "only cuts were sampled" in look.remarks[0] and look.found is None and set(look.paces) == {1}
    density = sum(map(sum, cuts)) / sum(
        np.prod([min(3, size - 3 * at) for at, size in zip(job.chunk, scene.labels.shape, strict=True)])
        for one in few
        for job in one.jobs
    )
    assert look.density.supervoxels == pytest.approx(density)


@pytest.mark.parametrize("kind", ["files", "raw", "segmentation"])
def test_nothing_is_written(kind: str, tmp_path: Path) -> None:
    """Each file is as it was, and there is no other; raw output and a segmentation pack what they would write."""
    if kind == "segmentation":
        checked = check(segmentations.write(tmp_path, small_scene()), "graph")
    elif kind == "raw":
        params = ExampleParams((3, 2, 2), (24, 24, 20), 8)
        make_example(tmp_path, params, raw=True)
        places = {"EDGES": "./edges", "COMPONENTS": "./components", "WATERSHED": "./ws", "DATA_VERSION": 4}
        content = {
            "data_source": places,
            "graph_config": {"CHUNK_SIZE": list(params.chunk_size)},
            "ingest_config": {"AGGLOMERATION": "./raw"},
        }
        checked = check(write(tmp_path, content), "graph")
    else:
        checked = OnDisk.write(tmp_path, shaped_volume((3, 2, 2), dense)).check()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    taken = sampled(checked, 4)
    assert first_error(taken) is None
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert any(job.spent(FILES).bytes for one in taken for job in one.jobs) == (kind != "files")


def test_chunks_that_cannot_be_built(tmp_path: Path) -> None:
    """One is told of and the others count, the first one, which is built twice, too; where none can be built that
    is the error."""
    data = OnDisk.write(tmp_path, shaped_volume((3, 2, 1), dense))
    checked = data.check()
    first = chunks_to_sample(checked, 6)[0]
    edge_path(data, *first.coords).write_bytes(b"no edges")
    taken = sampled(checked, 6)
    sample = kept(checked, taken)
    assert first_error(taken) is None and len(sample.seen) == 5
    assert len(sample.failed) == 1 and str(first) in sample.failed[0] and "edges_" in sample.failed[0]
    for path in tmp_path.glob("edges/*"):
        path.write_bytes(b"no edges")
    assert isinstance(first_error(sampled(checked, 6)), DataError)


def test_a_meter_that_says_nothing(tmp_path: Path) -> None:
    """Without /proc memory is as assumed, and the report says that it is not known."""
    checked = OnDisk.write(tmp_path, shaped_volume((2, 2, 1), dense)).check()
    machine = Machine(checked)
    machine.peak_mb = lambda: None  # type: ignore[assignment,return-value]
    sample = kept(checked, sampled(checked, 4, machine))
    assert paces(checked.report, sample)[2].memory == 1.0
    assert "not known" in job_rows(sample)[1]
    assert [row[1] for row in service_rows(checked.report, sample)[1:]] == [
        *(INPUTS, ROWS, "rows written", "hand-off written", "records, messages"),
    ]


def test_what_is_kept_can_be_read(tmp_path: Path) -> None:
    """As JSON and back; whatever else is there is refused with a sentence, however it is damaged."""
    checked = OnDisk.write(tmp_path, shaped_volume((2, 2, 1), dense)).check()
    sample = kept(checked, sampled(checked, 3))
    fields = json.loads(json.dumps(sample.fields()))
    assert Measured.read(fields) == sample
    damaged: list[object] = [
        None,
        [],
        {},
        {**fields, "version": 2},
        {**fields, "more": 1},
        {**fields, "jobs": 3},
        {**fields, "jobs": [{**fields["jobs"][0], "cpu_seconds": -1.0}]},
        {**fields, "jobs": [{**fields["jobs"][0], "rows": "many"}]},
        {**fields, "jobs": [{**fields["jobs"][0], "chunk": [1, 2]}]},
        {**fields, "jobs": [{**fields["jobs"][0], "services": {"x": {"seconds": 1, "hours": 2}}}]},
        {**fields, "seen": [[[0, 0, 0], {"rows": 1}]]},
        {name: value for name, value in fields.items() if name != "seen"},
    ]
    for one in damaged:
        with pytest.raises(ValueError, match=r"no sample|version|numbers|unpack|values"):
            Measured.read(one)


def test_of_which_dataset(tmp_path: Path) -> None:
    """A sample is of other graphs and of tests too; not of another schema, rule or folder."""
    data = OnDisk.write(tmp_path, shaped_volume((3, 2, 2), dense))
    same = fingerprint(data.check())
    assert fingerprint(check(data.file(), "another", test=True)) == same
    assert fingerprint(data.check(max_attempts=3)) == same
    (tmp_path / "other").symlink_to("edges")
    others = [
        data.check(schema=2),
        data.check(one_sided_edges="join"),
        data.check(EDGES="./other"),
    ]
    assert same not in {fingerprint(one) for one in others}


def test_jobs_that_differ_tell_what_each_supervoxel_takes(tmp_path: Path) -> None:
    """Of eight or more jobs; of fewer, of equal ones, and where it would come to less than nothing, in
    proportion."""
    checked = OnDisk.write(tmp_path, shaped_volume((2, 2, 1), dense)).check()
    few = [Job(2, (0, 0, 0), many, 0, 10, 0.1, 0.02 + many * 4e-6) for many in range(100, 1700, 200)]
    cases = {
        (5.0, 4 / 1.1): few,
        (): few[1:],
        (0.5, 0.5): [replace(job, supervoxels=100, cpu_seconds=0.5 * (0.004 + 1.1e-4)) for job in few],
        (0,): [replace(job, cpu_seconds=1e-5 * job.supervoxels) for job in few],
    }
    for wanted, jobs in cases.items():
        pace = paces(checked.report, replace(kept(checked, []), jobs=tuple(jobs)))[2]
        if len(wanted) == 2:
            assert (pace.cpu, pace.each_cpu) == pytest.approx(wanted)
        else:
            assert pace.cpu == pace.each_cpu > 0
        costs = layer2_costs(checked.report)
        supervoxels, took = sum(job.supervoxels for job in jobs), sum(job.cpu_seconds for job in jobs)
        assert pace.seconds_of(len(jobs), costs, supervoxels) == pytest.approx(took)


def test_a_job_of_no_chunk_is_no_division_by_zero(tmp_path: Path) -> None:
    """Empty chunks take something, too."""
    checked = OnDisk.write(tmp_path, shaped_volume((2, 2, 1), dense)).check()
    job = Job(2, (0, 0, 0), 0, 0, 10, 0.1, 0.004)
    sample = replace(kept(checked, []), jobs=(job,))
    assert paces(checked.report, sample)[2].cpu == pytest.approx(1.0)
    assert look_inside(checked, 0, sample).remarks[-1].startswith("layer 2 takes 1.00 times")
