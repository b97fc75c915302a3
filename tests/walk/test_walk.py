"""README's walk through the cloud: each command as it stands; stand-ins check arguments, files and order."""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from functions.registry import read_progress
from jobs.local.cloudrun_server import JobsServer
from jobs.local.executions import LocalExecutor
from jobs.paths import REPOSITORY
from shared.dispatch.fleet import FLEETS_NAME, Fleet, encode_fleets
from shared.dispatch.round import one_round, read_fleets
from shared.files import CloudFilesStorage
from shared.gcp.clients import Endpoints
from shared.gcp.cloudrun.messages import JobSpec
from shared.gcp.pubsub.queue import create_topics
from shared.run.registry import Registry
from tests.walk.conftest import PLACE, Lab
from tests.walk.variables import CHECKS, declared


def commands() -> list[str]:
    """The commands of README's part on the cloud, in their order, without the remarks behind them."""
    part = (REPOSITORY / "README.md").read_text().split("## In the cloud")[1].split("\n## ")[0]
    return [line.partition("#")[0].strip() for line in re.findall(r"^    (make .+)$", part, re.MULTILINE)]


def jobs_of(lab: Lab) -> dict[str, dict[str, Any]]:
    """The Jobs in the state, by name."""
    return {one["name"]: one for at, one in lab.world.state.items() if at.startswith("google_cloud_run_v2_job.")}


def applied(lab: Lab) -> list[str]:
    """What was done with terraform and gcloud since the last time, a word or two for each."""
    found = []
    for program, *words in lab.world.calls():
        target = next((word for word in words if word.startswith("-target=")), "")
        found.append(
            " ".join([program, *words[:2]] if program == "gcloud" else [program, words[0], target]).strip()
        )
    return found


@pytest.fixture
def walker(clone: Lab, emulators: dict[str, str], tmp_path: Path) -> Iterator[tuple[Lab, LocalExecutor]]:
    """A lab whose services are emulators; Jobs are those that terraform makes."""
    lab = clone.copy(tmp_path / "walk")
    name = uuid.uuid4().hex[:8]
    scratch = f"file://{tmp_path}/scratch"
    lab.variables |= emulators | {"INGEST_SCRATCH": scratch}
    tasks = {key: value for key, value in lab.variables.items() if key not in ("GOOGLE_APIS_EMULATOR_HOST",)}
    tasks |= {
        "INGEST_PROJECT": PLACE.project,
        "INGEST_INSTANCE": "graphs",
        "INGEST_PREFIX": PLACE.prefix,
        "INGEST_DATABASE": PLACE.database,
    }
    executor = LocalExecutor(tasks, tmp_path / f"logs-{name}")
    server = JobsServer(executor)
    lab.variables["CLOUD_RUN_EMULATOR_HOST"] = server.host
    yield lab, executor
    executor.close()
    server.close()


def stand_up(lab: Lab, executor: LocalExecutor, emulators: dict[str, str]) -> None:
    """What terraform made, where the commands find it: Jobs, topics, fleets."""
    fleets = []
    for name, job in jobs_of(lab).items():
        full = f"projects/{PLACE.project}/locations/{job['location']}/jobs/{name}"
        executor.create(JobSpec(full, (*job["args"], "--idle-seconds", "2")))
        fleets.append(Fleet(full, (int(job["args"][1]),), 1, 2, 1.0, min(2, job["max"])))
    hosts = Endpoints.emulated(emulators)
    endpoints = Endpoints(
        PLACE.project, "graphs", PLACE.database, hosts.bigtable_host, hosts.pubsub_host, hosts.firestore_host
    )
    create_topics(endpoints, PLACE.prefix, [int(job["args"][1]) for job in jobs_of(lab).values()])
    CloudFilesStorage(lab.variables["INGEST_SCRATCH"]).put(FLEETS_NAME, encode_fleets(fleets))


@contextmanager
def scheduled(lab: Lab) -> Iterator[None]:
    """Rounds of dispatch, as Cloud Scheduler has them, but more of them."""
    given = {"INGEST_PROJECT": PLACE.project, "INGEST_DATABASE": PLACE.database, "INGEST_INSTANCE": "graphs"}
    progress, over = read_progress(lab.variables | given), threading.Event()
    registry, jobs = Registry(progress), progress.jobs()

    def rounds() -> None:
        while not over.wait(0.3):
            one_round(read_fleets(progress.storage(progress.scratch)), registry, jobs, time.time())

    thread = threading.Thread(target=rounds, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_walk(walker: tuple[Lab, LocalExecutor], emulators: dict[str, str]) -> None:
    """Each command of README, one after the other, from an empty project to a graph that can be looked at."""
    lab, executor = walker
    walk = commands()
    before = ["plan", "deploy", "doctor", "ingest", "status", "failed"]
    assert [command.split()[1] for command in walk] == [*before, "logs", "verify", "verify", "repair"]
    for command in walk:
        # The answers to what `deploy` asks, twice; nobody asks anything else.
        with scheduled(lab) if command.split()[1] in ("ingest", "verify") else nullcontext():
            done = lab.type(command, "y\ny\n" if " deploy " in command else "")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if " deploy " in command:
            assert done.stderr.count("Do this?") == 2
            stand_up(lab, executor, emulators)
        elif " ingest " in command:
            assert "created table fly" in done.stdout
        elif " status " in command:
            assert "table fly" in done.stdout and "INGEST_" not in done.stderr
        elif " verify " in command:
            assert "table fly agrees with the rules" in done.stdout or "SAMPLE" in command
    assert (lab.world.state["google_storage_bucket.scratch"])["location"] == "US-CENTRAL1"


def test_the_order_of_a_deployment(deployed: Lab, tmp_path: Path) -> None:
    """What the build needs, the build, the rest; the image that is pushed is the one that the Jobs get."""
    lab = deployed.copy(tmp_path / "order")
    assert applied(lab) == [
        "gcloud services enable",
        "terraform init",
        *("terraform plan -target=time_sleep.build_grants", "terraform show", "terraform apply"),
        "gcloud beta services",
        "gcloud builds submit",
        *("terraform plan", "terraform show", "terraform apply"),
    ]
    (pushed,) = lab.world.read("registry")
    assert {job["image"] for job in jobs_of(lab).values()} == {pushed} and len(jobs_of(lab)) == 3


def test_what_terraform_is_given(lab: Lab) -> None:
    """The files that it reads by itself have declared variables only, each once and of its type."""
    known = declared(lab.folder / "terraform")
    files = sorted((lab.folder / "terraform").glob("*.auto.tfvars.json"))
    assert [file.name.partition(".")[0] for file in files] == ["dataset", "image", "installation"]
    said = [json.loads(file.read_text()) for file in files]
    assert {name for one in said for name in one} <= set(known)
    for one in said:
        for name, value in one.items():
            assert known[name][0] in CHECKS and CHECKS[known[name][0]](value), (name, value)
    assert said[0]["layers"] == 4 and said[0]["tables"] == ["fly", "fly_test"]
    assert said[2] == {"project": "my-project", "region": "us-central1", "prefix": "chunkedgraph-ingest"}


def test_a_second_deployment_changes_nothing(lab: Lab) -> None:
    """The same again: nothing is asked, as nothing changes."""
    before = lab.world.state
    done = lab.type("make deploy DATASET=fly.yml PROJECT=my-project")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.world.state == before


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("REGION=europe-west1", "region was us-central1 and is now europe-west1"),
        ("PREFIX=another", "prefix was chunkedgraph-ingest and is now another"),
    ],
)
def test_a_move_is_stopped(lab: Lab, said: str, told: str) -> None:
    """Another region or prefix is refused, with what would be lost, and nothing is changed."""
    before = lab.world.state
    done = lab.type(f"make deploy DATASET=fly.yml PROJECT=my-project YES=1 ANYWAY=1 {said}")
    assert done.returncode == 2 and told in done.stderr and "google_storage_bucket." in done.stderr, done
    assert lab.world.state == before and "gcloud builds submit" not in applied(lab)


def test_another_dataset(lab: Lab) -> None:
    """One command; the tables of the new dataset, the region and the image of before."""
    (lab.folder / "bee.yml").write_text((lab.folder / "fly.yml").read_text())
    before = jobs_of(lab)
    done = lab.type("make deploy DATASET=bee.yml PROJECT=my-project YES=1 ANYWAY=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {tuple(job["tables"]) for job in jobs_of(lab).values()} == {("bee", "bee_test")}
    assert {name: job | {"tables": []} for name, job in jobs_of(lab).items()} == {
        name: job | {"tables": []} for name, job in before.items()
    }


def test_other_sizes(lab: Lab) -> None:
    """A line in terraform.tfvars and `terraform apply`: the image, the region and the tables stay."""
    before = jobs_of(lab)
    (lab.folder / "terraform" / "terraform.tfvars").write_text('by_layer = { "3" = { "max" = 7 } }\n')
    done = lab.type("cd terraform && terraform apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs_of(lab) == before | {"chunkedgraph-ingest-l3": before["chunkedgraph-ingest-l3"] | {"max": 7}}


def test_changed_code(lab: Lab) -> None:
    """One command: another image, which all Jobs get, and the function that changed; nothing else."""
    with (lab.folder / "jobs" / "worker.py").open("a") as file:
        file.write("# changed\n")
    with (lab.folder / "functions" / "dispatch" / "main.py").open("a") as file:
        file.write("# changed\n")
    before, state = jobs_of(lab), lab.world.state
    done = lab.type("make update PROJECT=my-project YES=1")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = lab.world.read("registry")
    assert first != second and {job["image"] for job in jobs_of(lab).values()} == {second}
    assert {name: job | {"image": first} for name, job in jobs_of(lab).items()} == before
    changed = {at for at, one in lab.world.state.items() if one != state[at]}
    assert changed - {at for at in changed if "_job." in at} == {"google_cloudfunctions2_function.dispatch"}
    assert applied(lab) == ["gcloud builds submit", "terraform plan", "terraform show", "terraform apply"]


def test_a_region_is_said_once(clone: Lab, tmp_path: Path) -> None:
    """A region that the first deployment was given is that of all that follows, without being said again."""
    lab = clone.copy(tmp_path / "region")
    for said in ("REGION=europe-west1", ""):
        done = lab.type(f"make deploy DATASET=fly.yml PROJECT=my-project YES=1 ANYWAY=1 {said}")
        assert done.returncode == 0, done.stdout + done.stderr
    assert {job["location"] for job in jobs_of(lab).values()} == {"europe-west1"}
    assert all(image.startswith("europe-west1-docker.pkg.dev/") for image in lab.world.read("registry"))


def test_nothing_is_made_of_a_sick_project(clone: Lab, tmp_path: Path) -> None:
    """What `doctor` finds before a deployment stops it before the first call; ANYWAY=1 goes on."""
    lab = clone.copy(tmp_path / "sick")
    clone.cloud.denied.add("storage.buckets.create")
    try:
        done = lab.type("make deploy DATASET=fly.yml PROJECT=my-project YES=1")
        assert done.returncode == 2 and "you may not storage.buckets.create" in done.stdout, done
        assert lab.world.calls() == [] and lab.world.state == {}
    finally:
        clone.cloud.denied.clear()


def test_a_deployment_needs_a_dataset(lab: Lab) -> None:
    """Without one nothing is called."""
    done = lab.type("make deploy PROJECT=my-project")
    assert done.returncode == 2 and "DATASET is not given" in done.stderr and lab.world.calls() == []
