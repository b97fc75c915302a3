"""Runs of a segmentation through the front door: what an operator does with them, and what comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import ConfigError, StateError
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin, find
from shared.operate.check import check
from shared.operate.replay import never_built
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.made_from import FROM_SEGMENTATION
from shared.run.ports import State
from shared.run.record import OUTPUTS
from shared.work.open_runs import OpenRuns
from shared.work.prepared import FILES
from tests.harness import worker_of
from tests.property.test_segmentation import rows
from tests.segmentation_runs import small_scene
from tests.segmentations import write

NOW = 1_700_000_000_000
OUT = ("edges", "components", "ws")
CUT = Chunk(1, 1, 0, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The dataset file of a small segmentation."""
    return write(tmp_path, small_scene())


def begun(path: Path, backend: MemoryBackend | None = None, test: bool = False, **more: Any) -> Run:
    """A run of it that nobody works on yet."""
    return begin(backend or MemoryBackend(), check(path, "graph", test=test), "graph", now_ms=NOW, **more)[0]


def work(run: Run, stopped: Callable[[], bool] = lambda: False) -> Run:
    """Builds until nothing waits, or `stopped` says so."""
    backend = run.backend
    worker_of(backend.queue(run.record.plan.layers), OpenRuns(backend, lambda: 0.0), stopped=stopped).run(0.0)
    return run


def some(count: int) -> Callable[[], bool]:
    """Ends a worker after so many chunks."""
    asked = iter([False] * count)
    return lambda: next(asked, True)


def memory(run: Run) -> MemoryBackend:
    """Where its parts are."""
    assert isinstance(run.backend, MemoryBackend)
    return run.backend


def found_again(backend: MemoryBackend, path: Path, prepare: bool = False) -> Run:
    """The run that the dataset finds."""
    run = find(backend, check(path, "graph"), "graph", prepare)
    assert run is not None
    return run


def totals(run: Run) -> dict[str, int]:
    """What layer 2 came to."""
    found = run.totals()
    assert found is not None
    return found[2]


def table(run: Run) -> dict[bytes, Any]:
    """All rows, but those that name the dataset."""
    return {key: row for key, row in rows(memory(run)).items() if key not in (b"meta", b"version")}


def files(path: Path) -> dict[str, bytes]:
    """All that was written, but for the notes of what it is made from."""
    out = path.parent / "out"
    found = {file.relative_to(out).as_posix(): file for file in out.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if file.name != FROM_SEGMENTATION}


def complete(path: Path) -> list[bool]:
    """What the notes say, whether all is there."""
    notes = [path.parent / "out" / kind / FROM_SEGMENTATION for kind in OUT]
    return [json.loads(note.read_text())["complete"] for note in notes]


def change(path: Path, **section: Any) -> None:
    """Other settings of the segmentation, or of the ingest for names that begin with an underscore."""
    content = yaml.safe_load(path.read_text())
    for name, value in section.items():
        if name.startswith("_"):
            content["chunkedgraph_ingest"][name[1:]] = value
        else:
            content["chunkedgraph_ingest"]["segmentation"][name] = value
    path.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[bytes, Any], dict[str, bytes]]:
    """Table and files of a run that nothing happens to."""
    path = write(tmp_path_factory.mktemp("whole"), small_scene())
    run = work(begun(path))
    assert run.finished and complete(path) == [True] * 3
    return table(run), without_places(files(path))


def without_places(found: dict[str, bytes]) -> dict[str, bytes]:
    """Files of a folder as those of another: provenance names the volumes."""
    content = json.loads(found["ws/provenance"])
    content["sources"] = [source.rpartition("/")[2] for source in content["sources"]]
    return {**found, "ws/provenance": json.dumps(content).encode()}


def is_whole(run: Run, path: Path, whole: tuple[dict[bytes, Any], dict[str, bytes]]) -> None:
    """The end that every run here comes to."""
    assert run.finished and run.verify().violation_count == 0
    assert table(run) == whole[0] and without_places(files(path)) == whole[1]
    assert complete(path) == [True] * 3 and run.failures() == []


Whole = tuple[dict[bytes, Any], dict[str, bytes]]


def test_pause_and_resume(path: Path, whole: Whole) -> None:
    """A paused run cuts nothing more; resumed, it goes on, and what waited in the queue does no harm."""
    run = begun(path)
    work(run, some(5))
    done = run.completion.progress([1])[1].done
    assert 0 < done < 16 and run.pause("somebody")
    work(run)
    assert run.completion.progress([1])[1].done == done and run.paused
    queued = run.resume()
    assert queued[1] == 16 - done and not run.paused
    is_whole(work(run), path, whole)


def test_resume_after_all_but_what_is_stored_was_lost(path: Path, whole: Whole) -> None:
    """Messages and completion records gone, at every stage: the stored hand-offs, of cuts too, say what is left."""
    run = begun(path)
    for count in (0, 3, 16, 20, 34):
        work(run, some(count))
        memory(run).broker.waiting.clear()
        memory(run).completions.clear()
        stored = [name for name in run.scratch.list(f"{run.record.run}/layer")]
        run = Run.open(run.backend, "graph")
        run.resume()
        assert sum(layer.done for layer in run.status().layers) == len(stored)
    is_whole(work(run), path, whole)


def test_status_of_cuts(path: Path) -> None:
    """The first line is of layer 1; all its chunks are queued, none of layer 2 before its cuts are done."""
    run = begun(path)
    layers = run.status().layers
    assert [layer.layer for layer in layers] == [1, 2, 3, 4]
    assert [(layer.total, layer.done, layer.queued) for layer in layers[:2]] == [(16, 0, 16), (16, 0, 0)]
    work(run, some(4))
    assert run.status().layers[0].done == 4 and run.status().layers[0].queued == 12
    work(run)
    assert run.status().finished and [layer.done for layer in run.status().layers] == [16, 16, 2, 1]


def damage(path: Path) -> tuple[Path, bytes]:
    """A block of the volume is cut off; the file and what it was."""
    (block,) = (path.parent / "labels" / "8_4_40").glob("5-10_*")
    content = block.read_bytes()
    block.write_bytes(content[:-5])
    return block, content


def test_failures_replay_and_the_rest(path: Path, whole: Whole) -> None:
    """Chunks that cannot be cut are listed with block and reason; a replay before it is mended ends there again,
    one afterwards completes the run."""
    run = begun(path)
    block, content = damage(path)
    work(run)
    failures = run.failures()
    assert {failure.chunk.layer for failure in failures} == {1} and {f.chunk.x for f in failures} == {1, 2, 3}
    assert all("8_4_40/5-10_0-6_0-4" in failure.message for failure in failures)
    assert run.status().layers[0].failed == len(failures) == run.status().failed
    assert run.replay(run.dead(chunks=[CUT])) == 1
    work(run)
    assert len(run.failures()) == len(failures)
    block.write_bytes(content)
    assert run.replay(run.dead(layer=1)) == len(failures)
    is_whole(work(run), path, whole)


def test_discard(path: Path, whole: Whole) -> None:
    """A cut that is given up takes with it what waits for it: its own chunk, those at its faces, and what is above;
    the run does not end and says so. By name it is tried again."""
    run = begun(path)
    block, content = damage(path)
    work(run)
    gone = run.dead(chunks=[CUT])
    run.discard(gone)
    assert {failure.chunk: failure.state for failure in run.failures()}[CUT] is State.DISCARDED
    assert run.discarded == 1 and run.status().layers[0].discarded == 1
    lost = never_built(run.record.plan, [CUT])
    neighbours = {Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0), Chunk(2, 2, 0, 0), Chunk(2, 1, 1, 0), Chunk(2, 1, 0, 1)}
    assert lost[2] == neighbours and lost[4] == {run.record.plan.top}
    block.write_bytes(content)
    run.resume()
    work(run)
    assert not run.finished and not neighbours & built_chunks(run) and complete(path) == [False] * 3
    assert run.replay(run.dead(chunks=[CUT])) == 1
    is_whole(work(run), path, whole)


def built_chunks(run: Run) -> set[Chunk]:
    """The chunks of layer 2 whose hand-offs are stored."""
    return {run.record.handoff_chunk(name) for name in run.scratch.list(f"{run.record.run}/layer2/")}


@pytest.mark.parametrize("done", [0, 7, 25, 1000])
def test_reset(done: int, path: Path, whole: Whole) -> None:
    """Reset at any stage, a run cuts and builds again what it would have, under another name; messages of before
    are out of date; the notes beside its files say at once whose they are."""
    run = begun(path)
    work(run, some(done))
    before = run.record.run
    run.reset()
    assert run.record.run != before and not list(run.scratch.list(f"{before}/"))
    run.resume()
    is_whole(work(run), path, whole)
    assert not list(run.scratch.list(f"{before}/"))


def test_a_chunk_again(path: Path, whole: Whole) -> None:
    """One chunk of layer 1, or 2, cut and built again by itself changes nothing; looked at, it writes nothing."""
    run = work(begun(path))
    shown = run.cut(CUT)
    assert shown.chunk == CUT and shown.count > 0
    for chunk in (CUT, CUT._replace(layer=2)):
        run.queue_chunk(chunk)
        work(run)
    is_whole(run, path, whole)
    with pytest.raises(StateError, match="grids by layer are 1: "):
        run.queue_chunk(Chunk(1, 9, 0, 0))


def test_layer_by_layer(path: Path, whole: Whole) -> None:
    """With auto_queue_parents: false a run begins with its cuts; each layer is asked for, none before the one below
    is done."""
    change(path, _auto_queue_parents=False)
    run = begun(path)
    with pytest.raises(StateError, match="layer 1 of graph has 0 of 16 chunks done"):
        run.queue_layer(2)
    work(run)
    assert [layer.done for layer in run.status().layers] == [16, 0, 0, 0]
    for layer, count in ((2, 16), (3, 2), (4, 1)):
        assert run.queue_layer(layer) == count
        work(run)
    assert run.finished and table(run) == whole[0] and complete(path) == [True] * 3
    assert run.queue_layer(1) == 0
    with pytest.raises(StateError, match="has layers 1 to 4, not 0"):
        run.queue_layer(0)


def test_prepare_only(path: Path, whole: Whole) -> None:
    """A run that only writes makes files and volume, and no table; the same dataset builds from them what a run of
    the segmentation would have made, reading no voxel."""
    backend = MemoryBackend()
    run = begun(path, backend, prepare=True)
    assert not backend.table("graph", None).exists()
    assert found_again(backend, path, prepare=True).record == run.record
    work(run)
    assert run.finished and not backend.table("graph", None).exists() and complete(path) == [True] * 3
    written = files(path)
    assert without_places(written) == whole[1]
    assert totals(run)[FILES] == sum(name.startswith(("edges/", "components/")) for name in written)
    for refused in (run.verify, run.upgrade, lambda: run.build(Chunk(2, 0, 0, 0))):
        with pytest.raises(StateError, match="has no table"):
            refused()
    damage(path)
    checked = check(path, "graph")
    assert checked.input.segmentation is None and checked.input.kept == OUTPUTS
    assert find(backend, checked, "graph") is None
    with pytest.raises(ConfigError, match="PREPARE=1"):
        begin(backend, checked, "again", now_ms=NOW, prepare=True)
    ingest = work(begin(backend, checked, "graph", now_ms=NOW)[0])
    assert ingest.record.plan.layers[0] == 2
    is_whole(ingest, path, whole)
    assert files(path) == written


def test_a_test_writes_nothing(path: Path) -> None:
    """The few files of a trial would look like a dataset: a test has its rows and hand-offs alone."""
    run = work(begun(path, test=True))
    assert run.finished and run.record.written == () and table(run)
    assert not (path.parent / "out").exists()
    assert [layer.total for layer in run.status().layers] == [8, 8, 1]
    assert run.verify().violation_count == 0
    whole_run = begun(path, MemoryBackend())
    assert whole_run.record.written == OUTPUTS


def test_a_run_is_found_again(path: Path) -> None:
    """With the dataset it was begun with, before and after its files are there; not with another configuration."""
    backend = MemoryBackend()
    run = begun(path, backend)
    assert found_again(backend, path).record == run.record
    work(run)
    found = find(backend, check(path, "graph"), "graph")
    assert found is not None and found.record == run.record and found.finished
    shutil.rmtree(path.parent / "out")
    for changes in ({"several_objects": "most"}, {"background": 3}, {"fill_missing": True}):
        content = path.read_text()
        change(path, **changes)
        with pytest.raises(StateError, match="segmentation was") as caught:
            find(backend, check(path, "graph"), "graph")
        assert "another name" in str(caught.value)
        path.write_text(content)
    assert found_again(backend, path).record == run.record


@pytest.mark.parametrize("changes", [{"several_objects": "most"}, {"background": 3}, {"connectivity": 6}])
def test_half_written_outputs_are_of_one_segmentation(changes: dict[str, Any], path: Path, whole: Whole) -> None:
    """What an interrupted run wrote is gone on with for the same segmentation, by resume or by a new run; for any
    other it is refused, and left as it is."""
    run = begun(path)
    work(run, some(20))
    assert complete(path) == [False] * 3
    before, same = files(path), path.read_text()
    change(path, **changes)
    with pytest.raises(ConfigError, match=r"made from .*labels for another configuration, which"):
        begun(path, MemoryBackend())
    assert files(path) == before
    path.write_text(same)
    checked = check(path, "other")
    assert checked.input.segmentation is not None and not checked.input.refused
    other = begun(path, MemoryBackend())
    is_whole(work(other), path, whole)
    run.resume()
    is_whole(work(run), path, whole)


def test_a_whole_dataset_is_not_cut_anew_for_others(path: Path) -> None:
    """What a run has finished is read by the same dataset, and refused for one of other settings."""
    work(begun(path))
    assert check(path, "other").input.segmentation is None
    change(path, several_objects="most")
    with pytest.raises(ConfigError, match=r"data_source\.EDGES"):
        begun(path, MemoryBackend())


def test_one_output_was_taken_away(path: Path, whole: Whole) -> None:
    """Without one of the three folders what is left is half a dataset, and all of it is made again."""
    work(begun(path))
    for kind in OUT:
        shutil.rmtree(path.parent / "out" / kind)
        assert check(path, "other").input.segmentation is not None
        is_whole(work(begun(path, MemoryBackend())), path, whole)


def test_an_upgrade_reads_what_was_written(path: Path) -> None:
    """A table of schema 2 becomes the one of schema 3 from the written files, and no voxel is read again."""
    change(path, _schema=2)
    run = work(begun(path))
    assert run.finished and run.record.schema == 2
    written = files(path)
    shutil.rmtree(path.parent / "labels")
    shutil.rmtree(path.parent / "objects")
    run.upgrade()
    assert run.record.plan.layers[0] == 2
    work(run)
    run.finish_upgrade()
    folder = path.parent / "other"
    folder.mkdir()
    other = write(folder, small_scene())
    change(other, _schema=3)
    assert table(run) == table(work(begun(other))) and files(path) == written


def test_cuts_are_ours_to_delete(path: Path) -> None:
    """The hand-offs of cuts go with a run whose table is gone, and keep nobody from beginning another."""
    backend = MemoryBackend()
    run = begun(path, backend)
    work(run, some(10))
    assert list(run.scratch.list(f"{run.record.run}/layer1/"))
    backend.tables.clear()
    again = check(path, "graph")
    assert find(backend, again, "graph") is None
    new, _ = begin(backend, again, "graph", now_ms=NOW + 1)
    assert not list(new.scratch.list(f"{run.record.run}/layer1/"))
    assert work(new).finished
