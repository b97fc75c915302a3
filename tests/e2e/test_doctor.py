"""`doctor` as people run it: on a project of stand-ins and emulators in which all is right, or one thing is not."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.local.apis_server import ApisServer
from jobs.local.cloudrun_server import JobsServer
from jobs.local.executions import LocalExecutor
from shared.dispatch.fleet import FLEETS_NAME, Fleet, encode_fleets
from shared.doctor.place import Place, url
from shared.exit_codes import Exit
from shared.files import CloudFilesStorage
from shared.gcp.cloudrun.messages import JobSpec
from shared.memory.cloud import MemoryCloud, error, healthy
from tests.contract.test_cloud import key_file
from tests.e2e.conftest import Run
from tests.e2e.programs import versions


@dataclass
class Clinic:
    """A project, and the command for it."""

    command: Run
    cloud: MemoryCloud
    place: Place

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.command("doctor", *arguments)


@pytest.fixture
def clinic(cli: Run, variables: dict[str, str], tmp_path: Path) -> Iterator[Clinic]:
    """All of an installation of six layers, as it should be."""
    name = uuid.uuid4().hex[:10]
    project = f"p{name}"
    place = Place(
        project=project,
        prefix="chunkedgraph-ingest",
        database=f"d-{name}",
        region="us-central1",
        instance="graphs",
        scratch=f"{project}-chunkedgraph-ingest-scratch",
        layers=tuple(range(2, 7)),
        tables=("dataset", "dataset_test"),
    )
    cloud = healthy(place)
    fleets = [
        {"job": place.job(at), "layers": [at], "start": 1, "factor": 2, "period": 60, "max": 2}
        for at in place.layers
    ]
    cloud.put("storage", f"storage/v1/b/{place.scratch}/o/fleets.json", {"fleets": fleets})
    server = ApisServer(cloud)
    given = {
        "INGEST_PROJECT": project,
        "INGEST_INSTANCE": "graphs",
        "INGEST_DATABASE": place.database,
        "INGEST_PREFIX": place.prefix,
        "INGEST_SCRATCH": "",
        "GOOGLE_APIS_EMULATOR_HOST": server.host,
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file(tmp_path)),
        "PATH": f"{versions(tmp_path / 'bin')}:{variables['PATH']}",
    }
    executor = LocalExecutor(variables | given, tmp_path / "logs")
    executor.create(JobSpec(place.job(2), ("--layers", "2")))
    jobs = JobsServer(executor)
    given["CLOUD_RUN_EMULATOR_HOST"] = jobs.host

    def command(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return cli(*arguments, **(given | more))

    yield Clinic(command, cloud, place)
    executor.close()
    jobs.close()
    server.close()


def test_all_is_right(clinic: Clinic, example: Path) -> None:
    """Every check, every trial, and tasks that look around: no problem, and a report to be pasted."""
    done = clinic.run(example / "dataset.yml", "--start")
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    checks = [line for line in lines if line[:9].strip() in ("ok", "note", "problem", "skipped")]
    # The example is on this machine's disk, so there is no bucket of inputs.
    assert [line for line in checks if not line.startswith("ok ")] == [
        "skipped  inputs: no dataset is named, or none of its edges and components is in a bucket"
    ]
    names = {line[9:].partition(":")[0] for line in checks}
    assert {"terraform", "clock", "Jobs", "accounts", "a message", "a document", "a row", "inside"} <= names
    report = done.stdout.partition("---- what a task saw")[2]
    for fact in (
        "2 of 2 tasks",
        "/sys/fs/cgroup/memory.max",
        "CPUs that may be used",
        "room in /tmp",
        "task 0",
        "task 1",
    ):
        assert fact in report, report
    assert "parallelism after an override" in report and "subscriptions/chunkedgraph-ingest-l2" in report
    assert lines[-1].startswith("no problems found")


def test_a_worker_that_may_not(clinic: Clinic, example: Path) -> None:
    """What only a task can know is said by it."""
    clinic.cloud.denied.add("pubsub.subscriptions.consume")
    done = clinic.run(example / "dataset.yml", "--start")
    told = "a worker of layer 2 cannot use subscriptions/chunkedgraph-ingest-l2: lacks pubsub.subscriptions.consume"
    assert done.returncode == Exit.REFUSED and f"problem  inside: {told}" in done.stdout, done.stdout


def image_is_gone(clinic: Clinic) -> None:
    here = f"v1/projects/{clinic.place.project}/locations/us-central1/repositories/chunkedgraph-ingest"
    del clinic.cloud.routes[url("artifactregistry", f"{here}/packages/ingest/tags/0123456789ab")]


def nothing_is_deployed(clinic: Clinic) -> None:
    del clinic.cloud.routes[url("storage", f"storage/v1/b/{clinic.place.scratch}")]


def storage_is_down(clinic: Clinic) -> None:
    clinic.cloud.routes[url("storage", f"storage/v1/b/{clinic.place.scratch}")] = error(503, "backend error")


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (
            image_is_gone,
            Exit.REFUSED,
            "which is not in the registry: no task can start\n           type: make update",
        ),
        (nothing_is_deployed, Exit.REFUSED, "so nothing is deployed here\n           type: make deploy"),
        (storage_is_down, Exit.TRY_AGAIN, "cannot be looked at (backend error)"),
    ],
)
def test_one_thing_is_wrong(clinic: Clinic, spoil: Callable[[Clinic], None], code: Exit, told: str) -> None:
    """Without a dataset: what is deployed says the layers. The exit code is that of everywhere."""
    spoil(clinic)
    done = clinic.run("--for", "ingest")
    assert done.returncode == code and told in done.stdout, done.stdout + done.stderr
    assert "1 problem found" in done.stdout


def test_parts(clinic: Clinic) -> None:
    """What concerns a deployment does not look at what is deployed."""
    nothing_is_deployed(clinic)
    done = clinic.run("--for", "deploy", "--region", "europe-west1")
    assert done.returncode == Exit.OK and "ok       build region: europe-west1" in done.stdout, done.stdout


def test_no_project(cli: Run) -> None:
    """Without a project there is nothing to look at."""
    done = cli("doctor")
    assert done.returncode == Exit.REFUSED and "PROJECT is not given" in done.stderr


@pytest.fixture
def scratch(clinic: Clinic, tmp_path: Path) -> CloudFilesStorage:
    """The fleets on a disk, as no test reads a bucket."""
    storage = CloudFilesStorage(f"file://{tmp_path}/scratch")
    storage.put(FLEETS_NAME, encode_fleets([Fleet(clinic.place.job(at), (at,), 1, 2, 60, 2) for at in range(2, 7)]))
    return storage


def test_ingest_is_refused_first(clinic: Clinic, example: Path, scratch: CloudFilesStorage) -> None:
    """An ingest asks `doctor` before it makes anything, and says what that found; ANYWAY=1 does not ask."""
    image_is_gone(clinic)
    arguments = ("ingest", example / "dataset.yml", "--graph", "dataset")
    done = clinic.command(*arguments, INGEST_SCRATCH=scratch.folder)
    assert done.returncode == Exit.REFUSED and "ANYWAY=1" in done.stdout, done
    assert "is not in the registry: no task can start; type: make update PROJECT=" in done.stderr
    assert not list(scratch.list("dataset"))
    # It goes on to what cannot be done without: here the emulator has no topics.
    done = clinic.command(*arguments, "--anyway", INGEST_SCRATCH=scratch.folder)
    assert "registry" not in done.stderr + done.stdout, done


def test_ingest_while_a_service_is_down(clinic: Clinic, example: Path, scratch: CloudFilesStorage) -> None:
    """What may pass ends with the code that says so."""
    clinic.cloud.routes[url("run", f"v2/{clinic.place.job(2)}")] = error(503, "backend error")
    done = clinic.command("ingest", example / "dataset.yml", "--graph", "dataset", INGEST_SCRATCH=scratch.folder)
    assert done.returncode == Exit.TRY_AGAIN and "backend error" in done.stdout, done
    assert not list(scratch.list("dataset"))
