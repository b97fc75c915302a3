"""A graph is built from inside the image: one entry point a layer, as its Jobs start it in the cloud."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from shared.environment import Environment
from shared.gcp.backend import GoogleBackend
from shared.operate.check import check
from shared.operate.queueing import start
from shared.operate.run import Run
from shared.run.done import is_finished
from shared.run.events import Event
from shared.run.registry import graph_folder
from shared.table.meta import start_cells
from tests.e2e.conftest import FEW, made
from tests.image.conftest import Image
from tests.image.dockerfile import last

PATIENCE = 900.0
"""Seconds after which a build that has come to nothing is ended; only a failure takes so long."""
INSIDE = "/data"
"""Where the image has the folder with inputs and scratch, the only one that it shares with this machine."""

JOBS = """
while read -r layer; do
    printf '{"started": %s}\\n' "$(date +%s.%N)" >&2
    "$@" --layers "$layer" &
    tasks="$tasks $!"
done
code=0
kill -TERM $tasks
for task in $tasks; do wait "$task" || code=$?; done
exit $code
"""
"""Starts the entry point for each layer that it is told of; when there are no more to come, ends them."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the inputs and an empty scratch folder, which any user may read and write."""
    folder = tmp_path / "data"
    made(folder, FEW)
    folder.chmod(0o755)
    (folder / "scratch").mkdir()
    return folder


def told(process: Popen[str], seen: list[str]) -> Iterator[dict[str, Any]]:
    """What the image tells, line by line until it ends; `seen` gets the lines as they are."""
    assert process.stderr is not None
    for line in process.stderr:
        seen.append(line)
        if line.startswith("{"):
            yield json.loads(line)


def test_workers_of_the_image_build_a_graph(image: Image, data: Path, emulators: dict[str, str]) -> None:
    """The workers build every chunk as the image's user, end in order at SIGTERM, and the table is right."""
    graph = f"g{uuid.uuid4().hex[:12]}"
    variables = {**emulators, "INGEST_PREFIX": f"p-{graph}", "INGEST_DATABASE": f"d-{graph}"}
    backend = GoogleBackend(Environment.read({**variables, "INGEST_SCRATCH": f"file://{data}/scratch"}))
    checked = check(data / "dataset.yml", graph, test=False)
    here = checked.record(graph, "r1", time.time_ns() // 1_000_000)
    record = replace(here, edges=f"file://{INSIDE}/edges", components=f"file://{INSIDE}/components")
    (data / "scratch" / graph).mkdir()
    for folder in (data / "scratch", data / "scratch" / graph):
        folder.chmod(0o777)
    backend.prepare(record.plan.layers)
    queue, table = backend.queue([]), backend.table(record.table, None)
    try:
        count = start(record, graph_folder(backend, graph), table, queue, start_cells(checked.dataset, graph))
    finally:
        queue.close()

    began, lines = time.time(), list[str]()
    process = image.tool.start(
        image.name,
        *["sh", "-c", JOBS, "jobs", *json.loads(last("ENTRYPOINT"))],
        mount=(data, INSIDE),
        **{**variables, "INGEST_SCRATCH": f"file://{INSIDE}/scratch"},
    )
    guard = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    guard.start()
    try:
        assert process.stdin is not None
        started, first = 0.0, None
        print(record.plan.layers[0], file=process.stdin, flush=True)
        for line in told(process, lines):
            started = started or line.get("started", 0.0)
            if line.get("message") != Event.CHUNK_DONE:
                continue
            if first is None:
                first = datetime.fromisoformat(line["time"]).timestamp()
                print(*record.plan.layers[1:], sep="\n", file=process.stdin, flush=True)
            if line["chunk"] == str(record.plan.top):
                process.stdin.close()
        code = process.wait()
    finally:
        guard.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert first is not None and code == 0, "".join(lines[-30:])
    image.measured["first_chunk_seconds"] = {
        "from_the_entry_point": round(first - started, 2),
        "from_the_engine": round(first - began, 2),
    }
    image.measured["chunks"] = sum(record.plan.total(layer) for layer in record.plan.layers)
    assert count == record.plan.total(2)
    assert is_finished(record, backend.completion(graph, record.run))
    verified = Run(backend, here).verify(str(data / "truth.npz"))
    assert not verified.violation_count, verified.violations
    owners = {path.stat().st_uid for path in (data / "scratch" / graph / record.run).rglob("*")}
    assert owners == {int(last("USER").split(":")[0])}
