"""What jobs and functions are told is exactly what their code reads: no variable is missing, none is idle."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from functions.registry import NEEDED, read_progress
from shared.dispatch.fleet import decode_fleets
from shared.environment import EMULATORS, USABLE, Environment
from tests.terraform.tool import REPOSITORY, Resource, environment

STAND_INS = {*EMULATORS, "CLOUD_RUN_EMULATOR_HOST", "GOOGLE_APIS_EMULATOR_HOST"}
"""Read in tests and on a developer's machine; a task that was told one would work on nothing real."""


def asked(*files: Path) -> set[str]:
    """Names in capitals by which code asks an environment: `environ.get("X")`, `given["X"]`, or in a tuple."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= {node.value} if re.fullmatch(r"[A-Z][A-Z0-9]{3,}(_[A-Z0-9]+)*", node.value) else set()
    return names


def of_functions(resources: list[Resource]) -> dict[str, dict[str, str]]:
    """The variables of each function by its entry point."""
    return {
        one.values["build_config"][0]["entry_point"]: one.values["service_config"][0]["environment_variables"]
        for one in resources
        if one.type == "google_cloudfunctions2_function"
    }


def test_jobs_get_what_workers_read(resources: list[Resource]) -> None:
    """Each job has the variables of shared.environment, but those of stand-ins."""
    read = asked(REPOSITORY / "shared" / "environment.py") - STAND_INS
    jobs = [one for one in resources if one.type == "google_cloud_run_v2_job"]
    assert len(jobs) == 5
    assert [set(environment(job)) for job in jobs] == [read] * 5


def test_workers_understand_it(resources: list[Resource]) -> None:
    """What a job is told is what a worker takes from it."""
    job = next(one for one in resources if one.type == "google_cloud_run_v2_job")
    told = Environment.read(environment(job))
    assert (told.project, told.instance, told.database) == ("any-project", "graphs", "chunkedgraph-ingest")
    assert (told.scratch, told.prefix) == ("gs://any-project-chunkedgraph-ingest-scratch", "chunkedgraph-ingest")
    assert not told.hosts


def test_a_worker_has_the_share_that_a_task_would_give_it(resources: list[Resource]) -> None:
    """The part of the memory that Terraform gives each worker is the part that jobs.memory_limit counts with."""
    jobs = [one for one in resources if one.type == "google_cloud_run_v2_job"]
    for job in jobs:
        container = job.values["template"][0]["template"][0]["containers"][0]
        mib = int(container["resources"][0]["limits"]["memory"].removesuffix("Mi"))
        processes = int(container["args"][container["args"].index("--processes") + 1])
        assert mib >= 1024
        assert environment(job)["INGEST_MEMORY_MIB"] == str(int(mib * USABLE / processes))


@pytest.mark.parametrize("name", ["dead_letter", "dispatch"])
def test_functions_get_what_they_read(resources: list[Resource], name: str) -> None:
    """Each function has the variables that it refuses to start without, all of them ones that are read."""
    told = set(of_functions(resources)[name])
    assert told == {"INGEST_PROJECT", *NEEDED} and told <= asked(REPOSITORY / "shared" / "environment.py")


@pytest.mark.parametrize("name", ["dead_letter", "dispatch"])
def test_functions_understand_it(resources: list[Resource], name: str) -> None:
    """A function that starts with its variables has all it needs, and no stand-in."""
    found = read_progress(of_functions(resources)[name])
    assert found.scratch == "gs://any-project-chunkedgraph-ingest-scratch"
    assert (found.endpoints.project, found.endpoints.database) == ("any-project", "chunkedgraph-ingest")
    assert found.endpoints.firestore_host is None


def test_functions_exist() -> None:
    """The entry points are functions of main.py in the folders of their names."""
    for name in ("dead_letter", "dispatch"):
        tree = ast.parse((REPOSITORY / "functions" / name / "main.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_dispatch_understands_the_fleets(resources: list[Resource]) -> None:
    """fleets.json is what dispatch decodes: a fleet for each layer, by the names of the jobs that there are."""
    (written,) = [one for one in resources if one.address == "google_storage_bucket_object.fleets"]
    fleets = decode_fleets(written.values["content"].encode(), "fleets.json")
    assert [fleet.layers for fleet in fleets] == [(2,), (3,), (4,), (5,), (6,)]
    assert {fleet.name for fleet in fleets} == {
        one.values["name"] for one in resources if one.type == "google_cloud_run_v2_job"
    }
    for fleet in fleets:
        (job,) = [
            one for one in resources if one.type == "google_cloud_run_v2_job" and one.values["name"] == fleet.name
        ]
        limits = job.values["template"][0]["template"][0]["containers"][0]["resources"][0]["limits"]
        assert limits == {"cpu": str(fleet.cpu), "memory": f"{round(1024 * fleet.memory_gib)}Mi"}
