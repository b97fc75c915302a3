"""An ingest with PROJECT: what it checks, and the way through dispatch and Jobs, on emulators and the stand-in."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from functions.registry import read_progress
from jobs import samples
from jobs.local.cloudrun_server import JobsServer
from jobs.local.executions import LocalExecutor
from jobs.paths import REPOSITORY
from shared.dispatch.fleet import FLEETS_NAME, Fleet, encode_fleets
from shared.dispatch.round import one_round, read_fleets
from shared.environment import Environment
from shared.estimate.measured import Measured
from shared.exit_codes import Exit
from shared.files import CloudFilesStorage
from shared.gcp.backend import GoogleBackend
from shared.gcp.cloudrun.messages import JobSpec
from shared.gcp.doctor.trials import FirestoreNotes
from shared.gcp.pubsub.queue import create_topics
from shared.run.registry import Registry
from tests.e2e.conftest import SECONDS, Run
from tests.e2e.test_ingest import in_memory, opened, rows

LAYERS = range(2, 7)


@dataclass
class Project:
    """A project as Terraform leaves it, on this machine: `run` is a command with PROJECT."""

    run: Run
    variables: dict[str, str]
    executor: LocalExecutor
    scratch: CloudFilesStorage
    graph: str

    def fleets(self, layers: range = LAYERS) -> list[Fleet]:
        name = f"projects/{self.variables['INGEST_PROJECT']}/locations/r/jobs/{self.variables['INGEST_PREFIX']}-l"
        return [Fleet(f"{name}{layer}", (layer,), 1, 2, 1.0, 2) for layer in layers]


@pytest.fixture
def project(cli: Run, variables: dict[str, str], tmp_path: Path) -> Iterator[Project]:
    """Subscriptions, a Job a layer and the fleets' object."""
    name = uuid.uuid4().hex[:10]
    own = variables | {
        "INGEST_PROJECT": f"p{name}",
        "INGEST_INSTANCE": "instance",
        "INGEST_DATABASE": "database",
        "INGEST_PREFIX": f"c-{name}",
    }
    executor = LocalExecutor(own, tmp_path / "logs")
    server = JobsServer(executor)
    own["CLOUD_RUN_EMULATOR_HOST"] = server.host
    scratch = CloudFilesStorage(variables["INGEST_SCRATCH"])

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return cli(*arguments, **(own | more))

    found = Project(run, own, executor, scratch, f"g{uuid.uuid4().hex[:12]}")
    create_topics(GoogleBackend(Environment.read(own)).endpoints, own["INGEST_PREFIX"], LAYERS)
    scratch.put(FLEETS_NAME, encode_fleets(found.fleets()))
    for fleet in found.fleets():
        args = ("--processes", "1", "--layers", str(fleet.layers[0]), "--idle-seconds", "600")
        executor.create(JobSpec(fleet.job, args))
    yield found
    executor.close()
    server.close()


@contextmanager
def scheduled(project: Project) -> Iterator[None]:
    """What Cloud Scheduler and functions/dispatch do, more often."""
    progress, over = read_progress(project.variables), threading.Event()
    registry, jobs = Registry(progress), progress.jobs()

    def rounds() -> None:
        while not over.wait(0.5):
            one_round(read_fleets(progress.storage(progress.scratch)), registry, jobs, time.time())

    thread = threading.Thread(target=rounds, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_ingest(project: Project, few: Path) -> None:
    """A Job a layer, started by dispatch alone, builds the graph; the table is the one of a run in memory."""
    project.scratch.put(FLEETS_NAME, encode_fleets([replace(at, memory_gib=0.25) for at in project.fleets()]))
    with scheduled(project):
        done = project.run("ingest", few / "dataset.yml", "--graph", project.graph)
    # The need is an estimate: what has less is told of, and goes on.
    assert "layer 6 may need 1 GiB for a chunk, and its tasks have 0.25" in done.stdout, done
    assert f"PROJECT={project.variables['INGEST_PROJECT']}" in done.stdout, done
    assert all(project.executor.executions(fleet.job) for fleet in project.fleets())
    assert done.returncode == 0, done
    run = opened(project.variables, project.graph)
    assert rows(run.table) == rows(in_memory(run))
    assert project.run("verify", "--graph", project.graph).returncode == 0


def test_interrupted_run_goes_on(project: Project, example: Path) -> None:
    """Ctrl-C leaves the run alone: its tasks go on, and commands say how far it is."""
    command = [sys.executable, "-m", "jobs.cli", "ingest", str(example / "dataset.yml"), "--graph", project.graph]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=project.variables, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            # Again with each line that tells of progress, as people do.
            if "started" in line or "layer 2:" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == Exit.INTERRUPTED
    assert any("goes on in the cloud" in line for line in said), said
    assert project.executor.executions(project.fleets()[0].job)[0].ended is None
    paused = project.run("pause", "--graph", project.graph)
    assert paused.returncode == 0, paused
    resumed = project.run("resume", "--graph", project.graph)
    assert resumed.returncode == 0 and "make status" in resumed.stdout, resumed


def test_sample(project: Project, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are built by a task of layer 2's Job, told what by a document, and what they took comes back in
    another; a plan reckons with it, how long inputs are waited for included. Nothing is left in the database."""
    monkeypatch.setattr(samples, "SAMPLES", tmp_path / "samples")
    done = project.run("sample", few / "dataset.yml", "--count", "3")
    assert done.returncode == 0, done
    assert "building 3 chunks in a task of" in done.stdout and "with 1 CPU and 2 GiB" in done.stdout
    sample = Measured.read(json.loads((tmp_path / "samples" / "dataset.json").read_text()))
    assert sample.inside and len(sample.jobs) == len(sample.seen) == 3 and not sample.failed
    assert all(job.cpu_seconds > 0 and job.grown_bytes is not None for job in sample.jobs)
    planned = project.run("plan", few / "dataset.yml")
    assert f"in a task of {project.fleets()[0].name}" in planned.stdout and "for its inputs" in planned.stdout
    notes = FirestoreNotes(GoogleBackend(Environment.read(project.variables)).endpoints)
    (execution,) = project.executor.executions(project.fleets()[0].job)
    name = project.executor.job(execution.job)
    assert execution.succeeded == 1 and name.args[0] == "--processes"
    project.scratch.delete([FLEETS_NAME])
    refused = project.run("sample", few / "dataset.yml")
    assert refused.returncode == Exit.REFUSED and "make deploy" in refused.stderr
    # A task that finds nothing to build was started before.
    project.executor.run(JobSpec(project.fleets()[0].job, ("--sample", "again")))
    until = time.monotonic() + SECONDS
    while not (left := notes.take("again", 1)) and time.monotonic() < until:
        time.sleep(0.1)
    assert "for want of memory" in left[0]["error"]


def nothing_deployed(project: Project) -> None:
    project.scratch.delete([FLEETS_NAME])


def too_few_layers(project: Project) -> None:
    project.scratch.put(FLEETS_NAME, encode_fleets(project.fleets(range(2, 5))))


def a_job_is_missing(project: Project) -> None:
    stranger = replace(project.fleets()[0], job=project.fleets()[0].job + "-other")
    project.scratch.put(FLEETS_NAME, encode_fleets([stranger, *project.fleets()[1:]]))


def no_subscriptions(project: Project) -> None:
    project.variables["INGEST_PREFIX"] += "x"


Break = Callable[[Project], None]
LACKS: list[tuple[Break, str]] = [
    (nothing_deployed, "nothing is deployed"),
    (too_few_layers, "serves no layers [5, 6]"),
    (a_job_is_missing, "-other"),
    (no_subscriptions, "there are no subscriptions"),
]


@pytest.mark.parametrize(("spoil", "told"), LACKS, ids=lambda value: getattr(value, "__name__", ""))
def test_refused(project: Project, example: Path, spoil: Break, told: str) -> None:
    """What the project lacks is said before anything is created, with the command that brings it."""
    spoil(project)
    done = project.run("ingest", example / "dataset.yml", "--graph", project.graph)
    assert done.returncode == Exit.REFUSED, done
    assert told in done.stderr and "make deploy DATASET=" in done.stderr
    assert project.run("status", "--graph", project.graph).returncode == Exit.REFUSED
    assert not list(project.scratch.list(project.graph))


def test_all_at_once(project: Project, example: Path) -> None:
    """Everything that is missing is said in one go."""
    nothing_deployed(project)
    no_subscriptions(project)
    done = project.run("ingest", example / "dataset.yml", "--graph", project.graph)
    assert done.returncode == Exit.REFUSED
    assert "nothing is deployed" in done.stderr and "there are no subscriptions" in done.stderr


def test_no_credentials(project: Project, example: Path, tmp_path: Path) -> None:
    """Without usable credentials that is the one thing said."""
    bad = tmp_path / "key.json"
    bad.write_text("{}")
    done = project.run(
        "ingest",
        example / "dataset.yml",
        "--graph",
        project.graph,
        CLOUD_RUN_EMULATOR_HOST="",
        GOOGLE_APPLICATION_CREDENTIALS=str(bad),
    )
    assert done.returncode == Exit.REFUSED and "gcloud auth application-default login" in done.stderr, done
