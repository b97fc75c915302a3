"""Nothing of a user's is ever deleted: whatever lies around, whatever is done, in whatever kind of folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given
from hypothesis import strategies as st

from shared.errors import IngestError
from shared.files import PARTIAL, CloudFilesStorage
from shared.memory.backend import MEMORY, MemoryBackend
from shared.operate import clearing
from shared.operate.begin import begin, find
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.ports import Storage
from tests.examples import examples
from tests.harness import checked_of
from tests.volumes import random_volume

VOLUME = random_volume(11, (2, 1, 1), size=3)
GRAPH, OTHER = "fly", "fly2"

NAMES = st.sampled_from([
    *("info", "notes.txt", "run.json.bak", "my-run.json", "control.json~", "handoff", ".partial-", "fleets.json"),
    *("edges_0_0_0.proto.zst", "components_0_0_0.proto", "0_0_0.handoff", "a_0_0.handoff"),
    *("layer2/0_0_0.handoff", "r1/layer2/0_0_0.handoffs", "r1/layer2/0_0_0", "r1/layerx/0_0_0.handoff"),
    *("r1/run.json", "r1/layer2/deep/0_0_0.handoff", "r1/notes", f"r1/layer2/{PARTIAL}", f"{PARTIAL}mine"),
    *("-r1/layer2/0_0_0.handoff", "R 1/layer2/0_0_0.handoff"),
])  # fmt: skip
PLACES = st.sampled_from(["", f"{GRAPH}/", f"{OTHER}/", f"{GRAPH}/edges/", "edges/", "components/", f"{GRAPH}/r9/"])
FOLDERS = st.sampled_from(["edges", f"{GRAPH}/edges", GRAPH, "", "else/edges"])
"""Where inputs are, seen from the scratch folder; the last one is beside it."""


def memory_of(run: Run) -> MemoryBackend:
    """The backend of a run, which is in memory."""
    assert isinstance(run.backend, MemoryBackend)
    return run.backend


STEPS: dict[str, Callable[[Run], Any]] = {
    "resume": Run.resume,
    "pause": lambda run: run.pause("me"),
    "reset": Run.reset,
    "upgrade": Run.upgrade,
    "finish_upgrade": Run.finish_upgrade,
    "replay": lambda run: run.replay(run.dead()),
    "discard": lambda run: run.discard(run.dead()),
    "verify": Run.verify,
    "layer": lambda run: run.queue_layer(2),
    "chunk": lambda run: run.queue_chunk(Chunk(2, 0, 0, 0)),
    "build": lambda run: run.build(Chunk(2, 1, 0, 0)),
    "work": Run.work,
    "drop the table": lambda run: memory_of(run).tables.pop(run.record.table, None),
    "begin": lambda run: None,
    "down": lambda run: clearing.delete_graphs(run.backend.storage(run.backend.scratch)),
}


def scratch_of(kind: str, folder: Path) -> str:
    """A scratch folder of a kind, that nothing else uses."""
    name = uuid.uuid4().hex
    return {"disk": f"file://{folder}/{name}", "memory": f"{MEMORY}{name}", "bucket": f"mem://{name}/s"}[kind]


def put_all(storage: Storage, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        storage.put(name, data)


@pytest.mark.parametrize("kind", ["disk", "memory", "bucket"])
@examples(60, HealthCheck.function_scoped_fixture)
@given(
    files=st.dictionaries(st.tuples(PLACES, NAMES).map("".join), st.binary(max_size=4), max_size=6),
    inputs=FOLDERS,
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=12),
)
def test_what_is_not_ours_stays(
    kind: str, tmp_path: Path, files: dict[str, bytes], inputs: str, steps: list[str]
) -> None:
    """After any commands in any order, every file that was there is there, with the bytes that it had."""
    scratch = scratch_of(kind, tmp_path)
    backend = MemoryBackend(scratch)
    around = backend.storage(scratch)
    edges = f"{scratch}/{inputs}".rstrip("/") if inputs != "else/edges" else f"{scratch}-else/edges"
    given_inputs = backend.storage(edges)
    put_all(given_inputs, VOLUME.edges | VOLUME.components)
    put_all(around, files)
    # What ours would overwrite is no question of deleting: a record's own name is ours.
    before = {name: around.get([name])[name] for name in around.list("") if not is_ours_below(name)}
    read = given_inputs.get(list(VOLUME.edges))
    checked = checked_of(VOLUME, edges, edges, f"{scratch}-else/ws")
    run: Run | None = None
    for step in ["begin", *steps]:
        try:
            if step == "begin":
                run = find(backend, checked, GRAPH) or begin(backend, checked, GRAPH)[0]
            elif run is not None:
                STEPS[step](run)
        except IngestError:
            event(f"{step}: refused")
        else:
            event(step)
        assert {name: around.get([name])[name] for name in before} == before, step
        assert given_inputs.get(list(VOLUME.edges)) == read, step


def is_ours_below(name: str) -> bool:
    """Whether a name below a scratch folder is one that this pipeline writes."""
    return clearing.is_ours(name.partition("/")[2])


@pytest.mark.parametrize("kind", ["disk", "memory", "bucket"])
@pytest.mark.parametrize(
    ("folder", "told"),
    [("", "is the scratch"), (GRAPH, "lies in the scratch"), ("deep/er/edges", "lies in the scratch")],
)
def test_inputs_in_the_scratch_folder_are_refused(kind: str, folder: str, told: str, tmp_path: Path) -> None:
    """A dataset whose files are where a run would keep its own is refused before anything is made, by name."""
    scratch = scratch_of(kind, tmp_path)
    backend = MemoryBackend(scratch)
    edges = f"{scratch}/{folder}".rstrip("/")
    put_all(backend.storage(edges), VOLUME.edges)
    with pytest.raises(IngestError, match=told) as refused:
        begin(backend, checked_of(VOLUME, edges, edges, f"{scratch}-ws"), GRAPH)
    assert edges in str(refused.value) and "SCRATCH=" in str(refused.value)
    assert not backend.tables["graph"].exists() if "graph" in backend.tables else True
    assert set(backend.storage(edges).list("")) == set(VOLUME.edges)


def test_scratch_in_an_input_folder_is_refused(tmp_path: Path) -> None:
    """The other way round too, through links, dots and formats before the path."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ws")
    for written in (
        f"file://{tmp_path}/ws",
        f"{tmp_path}/x/../ws",
        f"{tmp_path}/link",
        f"precomputed://file://{tmp_path}/ws/",
    ):
        (problem,) = clearing.overlaps(f"file://{tmp_path}/ws/scratch", {"data_source.WATERSHED": written})
        assert problem.consequence.startswith("holds the scratch folder")
    assert (
        clearing.overlaps("gs://b/scratch", {"a": "gs://b/scratch2", "b": "gs://c/scratch", "c": "s3://b/scratch"})
        == []
    )


def test_foreign_files_are_named(tmp_path: Path) -> None:
    """A folder that holds anything but ours is refused, with what was found, and nothing is created."""
    backend = MemoryBackend(f"file://{tmp_path}")
    folder = CloudFilesStorage(f"file://{tmp_path}/{GRAPH}")
    put_all(folder, {"info": b"{}", "run.json": b"{}"})
    with pytest.raises(IngestError, match=r"holds others \(info\)"):
        begin(backend, checked_of(VOLUME, f"{MEMORY}e", f"{MEMORY}c", f"{MEMORY}w"), GRAPH)
    assert sorted(folder.list("")) == ["info", "run.json"]


def test_leftovers_of_a_run_whose_table_is_gone_go(tmp_path: Path) -> None:
    """What is ours goes when a run is begun anew: records, hand-offs, and what a killed process half wrote."""
    backend = MemoryBackend(f"file://{tmp_path}/s")
    edges = f"file://{tmp_path}/in"
    put_all(backend.storage(edges), VOLUME.edges | VOLUME.components)
    checked = checked_of(VOLUME, edges, edges, f"file://{tmp_path}/ws")
    run, _ = begin(backend, checked, GRAPH, now_ms=1_700_000_000_000)
    STEPS["work"](run)
    old = set(run.scratch.list(""))
    half = tmp_path / "s" / GRAPH / run.record.run / "layer2" / f"{PARTIAL}{'0' * 32}"
    half.write_bytes(b"half")
    STEPS["drop the table"](run)
    renewed, _ = begin(backend, checked, GRAPH, now_ms=1_700_000_000_001)
    assert len(old) > 3 and not half.exists()
    assert set(renewed.scratch.list("")) == {"run.json"} and renewed.record.run != run.record.run
