"""End to end: what an operator does about failed chunks, a pause, and everything that can be lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.local import emulators as manager
from jobs.paths import REPOSITORY
from shared.exit_codes import Exit
from shared.plan.grid import Chunk
from shared.run.done import is_finished
from shared.run.events import Event
from shared.work.steps import OpenRun
from tests.e2e.conftest import SECONDS, Run
from tests.e2e.test_ingest import in_memory, opened, rows
from tests.faults.disturbed import every_chunk
from tests.faults.emulated import wait_until

BAD, OTHER = Chunk(2, 1, 1, 1), Chunk(2, 7, 2, 1)


@dataclass
class Operator:
    """Types commands about one graph."""

    cli: Run
    graph: str

    def __call__(self, command: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return self.cli(command, *arguments, "--graph", self.graph, **more)

    def failed(self) -> dict[str, dict[str, object]]:
        """`failed --json` by chunk."""
        answer = json.loads(self("failed", "--json").stdout)
        assert answer["orphans"] == []
        return {str(Chunk(*failure["chunk"])): failure for failure in answer["failures"]}


@pytest.fixture
def operator(cli: Run) -> Operator:
    """An operator of a graph that no other test uses."""
    return Operator(cli, f"g{uuid.uuid4().hex[:12]}")


def interrupted(operator: Operator, dataset: Path, variables: dict[str, str], done: int) -> OpenRun:
    """A run that somebody ended with Ctrl-C when some chunks were done."""
    command = [sys.executable, "-m", "jobs.cli", "ingest", str(dataset), "--graph", operator.graph]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "queued" in line:
                    break
            else:
                pytest.fail(said)
            run = opened(variables, operator.graph)
            layers = run.record.plan.layers
            progress = run.completion.progress
            assert wait_until(lambda: sum(at.done for at in progress(layers).values()) >= done, SECONDS)
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == Exit.INTERRUPTED
        finally:
            process.kill()
    assert not is_finished(run.record, run.completion)
    return run


def test_failed_replayed_discarded(
    operator: Operator, variables: dict[str, str], few: Path, tmp_path: Path
) -> None:
    """Damaged files are listed, given up, taken back and replayed when mended; the table is as it has to be, and
    the log has each attempt in order."""
    folder = tmp_path / "copy"
    shutil.copytree(few, folder)
    dataset = folder / "dataset.yml"
    dataset.write_text((few / "dataset.yml").read_text().replace(str(few), str(folder)))
    files = [folder / "edges" / f"edges_{chunk.x}_{chunk.y}_{chunk.z}.proto.zst" for chunk in (BAD, OTHER)]
    whole = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(b"damaged")
    assert operator("ingest", dataset).returncode == Exit.FAILED_CHUNKS

    listed = operator("failed")
    assert all(f"{chunk}  dead  " in listed.stdout for chunk in (BAD, OTHER))
    assert f"make replay GRAPH={operator.graph}" in listed.stdout
    assert "nothing has failed" in operator("failed", 3).stdout
    found = operator.failed()
    assert set(found) == {str(BAD), str(OTHER)}
    assert (found[str(BAD)]["error"], found[str(BAD)]["attempts"]) == ("DataError", 1)
    told = {"chunk", "error", "message", "traceback", "attempts", "worker", "first", "when", "state", "started"}
    assert told <= found[str(BAD)].keys() and all(found[str(BAD)][name] for name in told - {"started"})
    one = operator("failed", "--chunk", "2 1 1 1").stdout
    assert "Traceback" in one and "edges_1_1_1.proto.zst" in one and str(OTHER) not in one
    assert operator("failed", "--chunk", "2 0 0 0").returncode == Exit.REFUSED
    logged = operator("logs", "2 1 1 1").stdout
    assert "chunk.failed" in logged and "| Traceback" in logged and "edges_1_1_1.proto.zst" in logged
    assert "chunk.done" not in logged and "chunk.done" in operator("logs", "2 0 0 0").stdout

    dry = operator("replay", "--dry-run")
    assert "would queue 2 chunks" in dry.stdout and operator.failed() == found
    assert operator("discard").returncode == Exit.REFUSED
    assert operator("discard", 2).returncode == Exit.REFUSED and operator.failed() == found
    given_up = operator("discard", "--chunk", "2 7 2 1", "--yes")
    assert given_up.returncode == 0 and "layer 6: 1 of 1 chunks" in given_up.stdout
    assert {chunk: failure["state"] for chunk, failure in operator.failed().items()} == {
        str(BAD): "dead",
        str(OTHER): "discarded",
    }

    for path, data in zip(files, whole, strict=True):
        path.write_bytes(data)
    assert "queued 1 chunks" in operator("replay").stdout
    assert "queued 0 chunks" in operator("replay").stdout
    assert set(operator.failed()) == {str(OTHER)}
    assert operator("resume").returncode == Exit.FAILED_CHUNKS
    assert set(operator.failed()) == {str(OTHER)}
    assert "queued 1 chunks" in operator("replay", "--chunk", "2/7_2_1").stdout
    assert operator("resume").returncode == 0
    assert operator.failed() == {}
    lines = json.loads(operator("logs", "2/1_1_1", "--json").stdout)["lines"]
    assert lines[0]["message"] == Event.CHUNK_FAILED and Event.CHUNK_DONE in [line["message"] for line in lines]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    run = opened(variables, operator.graph)
    assert rows(run.table) == rows(in_memory(run))


@pytest.mark.parametrize("way", ["resume", "ingest"])
def test_pause(operator: Operator, variables: dict[str, str], example: Path, way: str) -> None:
    """Workers begin nothing of a paused run, until somebody goes on with it, by either command."""
    dataset = example / "dataset.yml"
    run = interrupted(operator, dataset, variables, done=1)
    layers = run.record.plan.layers
    assert operator("pause").returncode == 0
    assert "paused since" in operator("status").stdout
    before = run.completion.progress(layers)
    assert sum(at.done for at in before.values()) < len(every_chunk(run.record.plan))
    span = f"{layers[0]}-{layers[-1]}"
    worker = subprocess.run(
        [sys.executable, "-m", "jobs.worker", "--layers", span, "--idle-seconds", "3"],
        cwd=REPOSITORY,
        env=variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    events = [json.loads(line)["message"] for line in worker.stderr.splitlines() if line.startswith("{")]
    assert worker.returncode == 0 and events[-1] == Event.WORKER_END, worker
    assert not {Event.CHUNK_DONE, Event.CHUNK_RETRIED} & set(events)
    assert run.completion.progress(layers) == before
    done = operator("resume") if way == "resume" else operator("ingest", dataset, "--resume")
    assert done.returncode == 0, done
    assert "paused" not in operator("status").stdout
    assert rows(run.table) == rows(in_memory(run))


@pytest.fixture
def pubsub(tmp_path: Path) -> Iterator[Path]:
    """The folder of a Pub/Sub emulator of this test's own."""
    folder = tmp_path / "pubsub"
    yield folder
    manager.stop(folder)


PUBSUB = [service for service in manager.SERVICES if service.name == "pubsub"]


@pytest.mark.parametrize("lost", [["messages"], ["progress"], ["messages", "progress"]], ids=" and ".join)
def test_lost(operator: Operator, variables: dict[str, str], example: Path, pubsub: Path, lost: list[str]) -> None:
    """After an emulator that began anew, or a wiped Firestore, `resume` queues exactly what is missing."""
    variables.update(manager.start(PUBSUB, pubsub, {}))
    run = interrupted(operator, example / "dataset.yml", variables, done=20)
    if "messages" in lost:
        manager.stop(pubsub)
        variables.update(manager.start(PUBSUB, pubsub, {}))
    if "progress" in lost:
        run.completion.clear()
        assert not any(at.done for at in run.completion.progress(run.record.plan.layers).values())
    plan, names = run.record.plan, run.sources.scratch.list(f"{run.record.run}/")
    stored = {run.record.handoff_chunk(name) for name in names}
    missing = [chunk for chunk in every_chunk(plan) if chunk not in stored and stored >= set(needs(run, chunk))]
    done = operator("resume")
    assert done.returncode == 0, done
    assert f"queued {len(missing):,} chunks" in done.stdout
    assert rows(run.table) == rows(in_memory(run))


def needs(run: OpenRun, chunk: Chunk) -> tuple[Chunk, ...]:
    """What a chunk waits for; nothing in layer 2."""
    return () if chunk.layer == 2 else tuple(run.record.plan.dependencies(chunk))
