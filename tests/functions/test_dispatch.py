"""functions/dispatch by the framework's test client: Firestore's emulator, and the stand-in for Cloud Run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from jobs.local.cloudrun_server import JobsServer
from shared.dispatch.fleet import FLEETS_NAME, Fleet, encode_fleets
from shared.files import CloudFilesStorage
from shared.gcp.clients import Endpoints
from shared.gcp.cloudrun.messages import JobSpec
from shared.gcp.firestore.board import FirestoreBoard
from shared.gcp.firestore.completion import FirestoreCompletion
from shared.run import control
from shared.run.record import RECORD_NAME
from tests.contract.test_dead_letter import clear_caches
from tests.contract.test_jobs import JOB, OTHER, Noting
from tests.harness import record_of
from tests.volumes import random_volume

SOURCE = Path(__file__).resolve().parents[2] / "functions" / "dispatch" / "main.py"
FLEETS = [
    Fleet(JOB, (2,), start=2, factor=2, period=3600, max=100),
    Fleet(OTHER, (3, 4), start=2, factor=2, period=3600, max=100),
]


@dataclass
class Deployed:
    """The function's client, the stand-in's executor, and what is beside them."""

    client: Any
    noting: Noting
    board: FirestoreBoard
    completion: FirestoreCompletion
    scratch: CloudFilesStorage
    graph: str

    def call(self) -> tuple[int, list[dict[str, Any]]]:
        answer = self.client.post("/")
        return answer.status_code, answer.get_json()["turns"]


@pytest.fixture
def deployed(emulators: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """The function as deployed, for a graph whose layer 2 (4 chunks) is queued."""
    noting = Noting()
    for name in (JOB, OTHER):
        noting.create(JobSpec(name))
    server = JobsServer(noting)
    database, graph = f"d{uuid.uuid4().hex}", f"g{uuid.uuid4().hex[:10]}"
    variables = {
        "INGEST_SCRATCH": f"file://{tmp_path}",
        "INGEST_DATABASE": database,
        "FIRESTORE_EMULATOR_HOST": emulators["FIRESTORE_EMULATOR_HOST"],
        "CLOUD_RUN_EMULATOR_HOST": server.host,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("INGEST_PROJECT", raising=False)
    CloudFilesStorage(str(tmp_path)).put(FLEETS_NAME, encode_fleets(FLEETS))
    scratch = CloudFilesStorage(f"{tmp_path}/{graph}")
    record = record_of(random_volume(3, (2, 2, 1), size=5), graph=graph)
    scratch.put(RECORD_NAME, record.encode())
    clear_caches()
    endpoints = replace(Endpoints.emulated(emulators), database=database)
    board = FirestoreBoard(endpoints)
    board.announce(graph)
    app = functions_framework.create_app("dispatch", str(SOURCE))
    completion = FirestoreCompletion(endpoints, graph, record.run)
    yield Deployed(app.test_client(), noting, board, completion, scratch, graph)
    clear_caches()
    server.close()


def test_starts_tasks_once(deployed: Deployed) -> None:
    """Where chunks wait a call starts tasks of their layer's Job; one that comes again starts none."""
    status, (turn,) = deployed.call()
    assert (status, turn["job"], turn["waiting"], turn["started"]) == (200, JOB, 4, 2)
    status, (turn,) = deployed.call()
    assert (status, turn["running"], turn["started"]) == (200, 2, 0)
    assert [(spec.name, spec.tasks) for spec in deployed.noting.runs] == [(JOB, 2)]


def test_paused(deployed: Deployed) -> None:
    """While the run is paused a call starts nothing."""
    control.pause(deployed.scratch, "me")
    assert deployed.call() == (200, []) and deployed.noting.runs == []


def test_nothing_to_do(deployed: Deployed) -> None:
    """Without graphs there are no turns."""
    deployed.board.withdraw(deployed.graph)
    assert deployed.call() == (200, [])


def test_missing_job(deployed: Deployed) -> None:
    """A Job that is not there makes the call fail, so that the scheduler and the alerts show it."""
    del deployed.noting.specs[JOB]
    status, (turn,) = deployed.call()
    assert status == 500 and JOB in turn["error"]


def test_missing_fleets(deployed: Deployed, tmp_path: Path) -> None:
    """Without the fleets' object the call fails."""
    CloudFilesStorage(str(tmp_path)).delete([FLEETS_NAME])
    assert deployed.client.post("/").status_code == 500
