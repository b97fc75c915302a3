"""Runs from raw output through the front door: what is built, written, refused, and gone on with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import ConfigError, IngestError, StateError
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.storage import MemoryStorage
from shared.operate.begin import begin, find
from shared.operate.check import Checked
from shared.operate.run import Run
from shared.operate.which_input import PROCESSED, WhichInput
from shared.plan.grid import Chunk
from shared.run.from_raw import FROM_RAW
from shared.work.open_runs import OpenRuns
from shared.work.prepared import FILES
from tests.harness import checked_of, storage_of, worker_of
from tests.raw_runs import RAW, agreeing_volume, checked_raw, content, raw_folder, raw_input
from tests.raw_shards import raw_of_volume

VOLUME = agreeing_volume(1, (3, 2, 1))
OUTPUT = raw_of_volume(VOLUME, version=3, seed=2)
EDGES, COMPONENTS = f"{MEMORY}edges", f"{MEMORY}components"
NOW = 1_700_000_000_000


@pytest.fixture
def backend() -> MemoryBackend:
    """A backend with the raw output, and nothing else."""
    found = MemoryBackend()
    found.folders[RAW] = raw_folder(OUTPUT)
    return found


def totals(run: Run) -> dict[str, int]:
    """What the chunks of layer 2 counted."""
    found = run.totals()
    assert found is not None
    return found[2]


def checked(**changes: Any) -> Checked:
    return replace(checked_raw(VOLUME, OUTPUT), **changes)


def work(run: Run) -> Run:
    """Builds until nothing waits."""
    backend = run.backend
    worker_of(backend.queue(run.record.plan.layers), OpenRuns(backend, lambda: 0.0)).run(0.0)
    return run


def table(run: Run) -> dict[bytes, dict[str, bytes]]:
    """All rows, but those that name the dataset."""
    rows = {row.key: row.cells for row in run.opened.table.read([(b"", b"\xff")])}
    return {key: cells for key, cells in rows.items() if key not in (b"meta", b"version")}


def folder(backend: MemoryBackend, name: str) -> dict[str, bytes]:
    storage = backend.storage(name)
    assert isinstance(storage, MemoryStorage)
    return content(storage)


def from_files(backend: MemoryBackend, graph: str = "again") -> Run:
    """A run of what was written."""
    read = replace(checked_of(VOLUME, EDGES, COMPONENTS, f"{MEMORY}ws"), table=graph)
    return work(begin(backend, read, graph, now_ms=NOW)[0])


def test_a_run_from_raw_output(backend: MemoryBackend) -> None:
    """Table and files; the table agrees with its input, and is the one that the files alone give, cell for cell."""
    run = work(begin(backend, checked(), "fly", now_ms=NOW)[0])
    assert run.finished and run.record.raw == raw_input(OUTPUT)
    assert run.verify().violation_count == 0
    assert len(folder(backend, EDGES)) > 2 and len(folder(backend, COMPONENTS)) > 2
    assert table(run) == table(from_files(backend)) != {}
    assert totals(run)["supervoxels"] == len(VOLUME.supervoxels)


def test_the_same_bytes_each_time(backend: MemoryBackend) -> None:
    """Built again, chunk by chunk or after a reset, a run writes what is there already."""
    run = work(begin(backend, checked(), "fly", now_ms=NOW)[0])
    before = table(run), folder(backend, EDGES), folder(backend, COMPONENTS)
    run.queue_chunk(Chunk(2, 1, 1, 0))
    work(run)
    assert (table(run), folder(backend, EDGES), folder(backend, COMPONENTS)) == before
    run.reset()
    run.resume()
    work(run)
    notes = [files.pop(FROM_RAW) for files in (before[1], before[2])]
    after = folder(backend, EDGES), folder(backend, COMPONENTS)
    assert all(files.pop(FROM_RAW) != note for files, note in zip(after, notes, strict=True))  # the run's id
    assert run.finished and (table(run), *after) == before


@pytest.mark.parametrize("written", [(), ("edges",), ("components",)])
def test_files_go_where_they_are_wanted(backend: MemoryBackend, written: tuple[str, ...]) -> None:
    """Where a folder is not given nothing is written, and the table is the same."""
    whole = table(work(begin(backend, checked(), "fly", now_ms=NOW)[0]))
    backend.folders = {RAW: backend.folders[RAW]}
    backend.tables.clear()
    run = work(begin(backend, checked(input=WhichInput(raw_input(OUTPUT), written)), "fly2", now_ms=NOW)[0])
    assert table(run) == whole
    for kind, name in (("edges", EDGES), ("components", COMPONENTS)):
        assert bool(folder(backend, name)) == (kind in written)


def test_a_test_writes_no_files(backend: MemoryBackend) -> None:
    """The few files of a trial would look like a dataset."""
    plan = replace(VOLUME.plan, test=True)
    run = work(begin(backend, checked(plan=plan), "fly", now_ms=NOW)[0])
    assert run.finished and run.record.written == () and table(run)
    assert not folder(backend, EDGES) and not folder(backend, COMPONENTS)


def test_a_chunk_that_lost_its_edges(backend: MemoryBackend) -> None:
    """A file of an earlier state becomes one that holds nothing: it is neither deleted nor left to be read."""
    work(begin(backend, checked(), "fly", now_ms=NOW)[0])
    name = next(name for name in sorted(folder(backend, EDGES)) if name != FROM_RAW)
    stale = folder(backend, EDGES)[name]
    emptied: dict[str, list[Any]] = {key: [] for key in OUTPUT.entries}
    backend.folders[RAW] = raw_folder(replace(OUTPUT, entries=emptied))
    backend.tables.clear()
    run = work(begin(backend, checked(), "fly", now_ms=NOW)[0])
    assert folder(backend, EDGES)[name] != stale
    assert table(run) == table(from_files(backend))


def test_prepare_only(backend: MemoryBackend) -> None:
    """A run that only writes files makes no table, says how many it wrote, and is found again; the ingest that
    follows is of the same name, and its table is that of a run from raw output."""
    run, count = begin(backend, checked(), "fly", now_ms=NOW, prepare=True)
    assert count == VOLUME.plan.total(2) and not backend.table("graph", None).exists()
    found = find(backend, checked(), "fly", prepare=True)
    assert found is not None and found.record == run.record
    work(run)
    assert run.finished and not backend.table("graph", None).exists()
    assert totals(run)[FILES] == len(folder(backend, EDGES)) + len(folder(backend, COMPONENTS)) - 2
    again = find(backend, checked(), "fly", prepare=True)
    assert again is not None and again.finished
    for refused in (run.verify, run.upgrade, lambda: run.build(Chunk(2, 0, 0, 0))):
        with pytest.raises(StateError, match="has no table"):
            refused()
    processed = replace(checked_of(VOLUME, EDGES, COMPONENTS, f"{MEMORY}ws"))
    assert find(backend, processed, "fly") is None
    ingest = work(begin(backend, processed, "fly", now_ms=NOW)[0])
    assert ingest.finished and ingest.verify().violation_count == 0
    with pytest.raises(StateError, match="another name"):
        find(backend, checked(), "fly", prepare=True)
    backend.folders = {RAW: backend.folders[RAW]}
    assert table(ingest) == table(work(begin(backend, checked(table="other"), "other", now_ms=NOW)[0]))


def test_preparing_is_gone_on_with(backend: MemoryBackend) -> None:
    """After its messages and its progress were lost, a run that prepares files is resumed like any other."""
    run, _ = begin(backend, checked(), "fly", now_ms=NOW, prepare=True)
    backend.broker.waiting.clear()
    assert run.resume()[2] == VOLUME.plan.total(2)
    work(run)
    backend.completions.clear()
    again = Run.open(backend, "fly")
    assert not again.finished and sum(again.resume().values()) == 0 and again.finished


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": PROCESSED}, "processed files from raw output"),
        ({"input": WhichInput(raw_input(OUTPUT))}, "neither EDGES nor COMPONENTS"),
        ({"input": WhichInput(raw_input(OUTPUT), kept=("edges", "components"))}, "are there already"),
        ({"plan": replace(VOLUME.plan, test=True)}, "a test writes no"),
    ],
)
def test_preparing_what_cannot_be(backend: MemoryBackend, changes: dict[str, object], told: str) -> None:
    """What has nothing to prepare is refused, before anything is made."""
    with pytest.raises(ConfigError, match=told):
        begin(backend, checked(**changes), "fly", prepare=True)
    assert not any(folder(backend, name) for name in (EDGES, COMPONENTS, f"{MEMORY}scratch/fly"))


def test_preparing_nothing_is_an_error(backend: MemoryBackend) -> None:
    """Raw output without an edge of the grid is not prepared as if it were."""
    backend.folders[RAW] = storage_of({})
    run = work(begin(backend, checked(), "fly", now_ms=NOW, prepare=True)[0])
    (failure,) = run.failures()
    assert failure.chunk == VOLUME.plan.top and "CHUNK_SIZE" in failure.message and not run.finished


def test_files_of_others_are_not_written_over(backend: MemoryBackend) -> None:
    """What a check found is refused before anything is made; a test writes nothing, and may go on."""
    refused = WhichInput(raw_input(OUTPUT), (), refused=[("data_source.EDGES", EDGES, "holds processed files")])
    with pytest.raises(ConfigError, match=f"data_source.EDGES = '{EDGES}': holds processed files"):
        begin(backend, checked(input=refused), "fly", now_ms=NOW)
    assert not backend.table("graph", None).exists()
    begin(backend, checked(input=refused, plan=replace(VOLUME.plan, test=True)), "fly", now_ms=NOW)


class ReadOnly(MemoryStorage):
    """A folder that takes nothing."""

    def put(self, name: str, data: bytes) -> None:
        raise IngestError(f"{name} cannot be written: 403")


def test_folders_that_cannot_be_written(backend: MemoryBackend) -> None:
    """They are found before anything is made, not by each chunk."""
    backend.folders[COMPONENTS] = ReadOnly()
    with pytest.raises(ConfigError, match="cannot be written"):
        begin(backend, checked(), "fly", now_ms=NOW)
    assert not backend.table("graph", None).exists() and not folder(backend, f"{MEMORY}scratch/fly")


def test_a_run_keeps_to_its_input(backend: MemoryBackend) -> None:
    """By the time a run is gone on with, its own files make a dataset; it reads on what it was begun with, and is
    refused where the other is asked for by name, or is all that there is."""
    run = work(begin(backend, checked(), "fly", now_ms=NOW)[0])
    found = find(backend, checked(input=PROCESSED), "fly")
    assert found is not None and found.record == run.record
    other = replace(raw_input(OUTPUT), data_version=2)
    with pytest.raises(StateError, match="raw was"):
        find(backend, checked(input=WhichInput(other), say_raw=True), "fly")
    with pytest.raises(StateError, match="raw was"):
        find(backend, checked_of(VOLUME, EDGES, COMPONENTS, f"{MEMORY}ws"), "fly")


def test_an_upgrade_reads_raw_output_and_writes_no_files(backend: MemoryBackend) -> None:
    """A table of schema 2 from raw output becomes the one of schema 3; its files stay as they are."""
    whole = table(work(begin(backend, checked(), "fly", now_ms=NOW)[0]))
    backend.folders = {RAW: backend.folders[RAW]}
    backend.tables.clear()
    run = work(begin(backend, checked().with_schema(2), "fly", now_ms=NOW)[0])
    files = folder(backend, EDGES)
    backend.folders[EDGES] = backend.folders[COMPONENTS] = ReadOnly()
    run.upgrade()
    work(run)
    run.finish_upgrade()
    assert table(run) == whole and files and run.record.written == ()
