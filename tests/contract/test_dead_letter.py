"""functions/dead_letter: by the framework's test client, and pushed to by the Pub/Sub emulator."""

from __future__ import annotations

import base64
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.serving import make_server

from functions.registry import open_progress, open_registry, read_progress
from shared.errors import StateError
from shared.files import CloudFilesStorage
from shared.gcp.clients import Endpoints
from shared.gcp.firestore.completion import FirestoreCompletion
from shared.gcp.firestore.orphans import FirestoreOrphans
from shared.gcp.pubsub.queue import PubSubQueue, create_topics
from shared.plan.grid import Chunk
from shared.run.ports import State
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.registry import Registry
from tests.harness import record_of
from tests.volumes import random_volume

SOURCE = Path(__file__).resolve().parents[2] / "functions" / "dead_letter" / "main.py"
PATIENCE = 300.0
CHUNK = Chunk(2, 0, 1, 0)
TOLD = {"error": "DataError", "reason": "bad file", "worker": "w"}


def clear_caches() -> None:
    """Has the function read its environment anew."""
    open_progress.cache_clear()
    open_registry.cache_clear()


@dataclass
class Deployed:
    """The function with its environment: a run with a record and an empty Firestore."""

    app: Any
    endpoints: Endpoints
    record: RunRecord

    @property
    def completion(self) -> FirestoreCompletion:
        return FirestoreCompletion(self.endpoints, self.record.graph, self.record.run)

    @property
    def orphans(self) -> FirestoreOrphans:
        return FirestoreOrphans(self.endpoints)

    def message(self, chunk: Chunk = CHUNK) -> bytes:
        return self.record.message(chunk)


@pytest.fixture
def deployed(emulators: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """A fresh instance of the function."""
    database, graph = f"d{uuid.uuid4().hex}", f"g{uuid.uuid4().hex[:10]}"
    variables = {
        "INGEST_SCRATCH": f"file://{tmp_path}",
        "INGEST_DATABASE": database,
        "FIRESTORE_EMULATOR_HOST": emulators["FIRESTORE_EMULATOR_HOST"],
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("INGEST_PROJECT", raising=False)
    record = record_of(random_volume(3, (2, 2, 1), size=5), graph=graph)
    CloudFilesStorage(f"{tmp_path}/{graph}").put(RECORD_NAME, record.encode())
    clear_caches()
    endpoints = replace(Endpoints.emulated(emulators), database=database)
    yield Deployed(functions_framework.create_app("dead_letter", str(SOURCE)), endpoints, record)
    clear_caches()


def pushed(data: bytes, attributes: dict[str, str], published: str = "2024-01-01T00:00:00Z") -> dict[str, Any]:
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "publishTime": published}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def test_letters_become_failures(deployed: Deployed) -> None:
    """A pushed letter is the failure of its chunk; a duplicate changes nothing."""
    client = deployed.app.test_client()
    for _ in range(3):
        assert client.post("/", json=pushed(deployed.message(), TOLD)).status_code == 204
    (failure,) = deployed.completion.failures()
    assert (failure.chunk, failure.state, failure.error) == (CHUNK, State.DEAD, "DataError")
    assert (failure.message, failure.worker) == ("bad file", "w")


def test_strays_are_kept(deployed: Deployed) -> None:
    """What is no message of a known run is kept as it came."""
    client = deployed.app.test_client()
    other = replace(deployed.record, graph="other").message(CHUNK)
    for data in (b"\xff\x00", b"", other, other):
        assert client.post("/", json=pushed(data, {})).status_code == 204
    assert {orphan.data for orphan in deployed.orphans.all()} == {b"\xff\x00", b"", other}
    assert deployed.completion.failures() == []


@pytest.mark.parametrize("body", [{}, {"message": {"data": "?"}}, [1]])
def test_other_requests_are_refused(deployed: Deployed, body: Any) -> None:
    """What Pub/Sub did not send gets 400, and nothing is noted."""
    assert deployed.app.test_client().post("/", json=body).status_code == 400
    assert deployed.app.test_client().post("/", data=b"\xff").status_code == 400
    assert deployed.orphans.all() == []


def test_what_cannot_be_noted_is_pushed_again(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of 5xx while a service is out of reach has Pub/Sub keep the letter."""

    def gone(self: object, graph: str) -> RunRecord:
        raise ConnectionError("no route")

    monkeypatch.setattr(Registry, "record", gone)
    deployed.app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = deployed.app.test_client().post("/", json=pushed(deployed.message(), TOLD))
    assert answer.status_code == 500


class Served:
    """The function on a free port of the loopback; `answers` has the status of each request."""

    def __init__(self, app: Callable[[Any, Any], Iterable[bytes]]) -> None:
        self.answers: queue.Queue[str] = queue.Queue()

        def watched(environ: Any, start: Any) -> Iterable[bytes]:
            def note(status: str, *arguments: Any) -> Any:
                self.answers.put(status)
                return start(status, *arguments)

            return app(environ, note)

        self.server = make_server("127.0.0.1", 0, watched, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def wait(self, until: Callable[[], bool]) -> set[str]:
        """Waits for answers until something holds, as letters may be pushed twice; all that were given."""
        given: set[str] = set()
        while not until():
            given.add(self.answers.get(timeout=PATIENCE)[:3])
        return given


def test_pushed_by_the_emulator(deployed: Deployed) -> None:
    """Letters of workers, of Pub/Sub itself and nonsense reach the function by its push subscription."""
    served, prefix = Served(deployed.app), f"t{uuid.uuid4().hex}"
    # The shortest deadline there is, as a delivery that got lost on its way comes again only after it.
    create_topics(
        deployed.endpoints, prefix, [2], ack_deadline_seconds=10, max_delivery_attempts=5, push_to=served.url
    )
    layer2, killer = PubSubQueue(deployed.endpoints, prefix, [2]), Chunk(2, 1, 1, 0)

    def failed() -> list[Chunk]:
        return [failure.chunk for failure in deployed.completion.failures()]

    try:
        layer2.publish_dead(deployed.message(), TOLD)
        layer2.publish_dead(b"\xff\x00", TOLD)
        layer2.publish_dead(deployed.message(), TOLD)
        given = served.wait(lambda: failed() == [CHUNK] and len(deployed.orphans.all()) == 1)
        layer2.publish(2, [deployed.message(killer)])
        for _ in range(5):
            delivery = layer2.receive(PATIENCE)
            assert delivery is not None
            delivery.give_back()
        assert layer2.receive(0.3) is None
        given |= served.wait(lambda: failed() == [CHUNK, killer])
    finally:
        layer2.close()
        served.server.shutdown()
        served.server.server_close()
    assert given == {"204"}
    told, killed = deployed.completion.failures()
    assert (told.chunk, told.error) == (CHUNK, "DataError")
    assert (killed.chunk, killed.error, killed.dead) == (killer, "WorkerKilled", True)
    assert "5 times" in killed.message
    assert [orphan.data for orphan in deployed.orphans.all()] == [b"\xff\x00"]


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("graph_tool", "pydantic", "cloudvolume", "jobs", "scipy"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import functions.dead_letter.main
"""


def test_imports() -> None:
    """The function needs neither graph-tool nor the jobs: its bundle is small."""
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["INGEST_SCRATCH", "INGEST_DATABASE", "INGEST_PROJECT"])
def test_environment(missing: str) -> None:
    """A variable that is missing is named."""
    variables = {"INGEST_SCRATCH": "gs://b/s/", "INGEST_DATABASE": "database", "INGEST_PROJECT": "project"}
    found = read_progress(variables)
    assert (found.scratch, found.endpoints.project) == ("gs://b/s/", "project")
    assert found.endpoints.firestore_host is None
    with pytest.raises(StateError, match=missing):
        read_progress({name: value for name, value in variables.items() if name != missing})
