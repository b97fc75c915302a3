"""What comes after what: Google needs a while to see what was done, and Terraform waits where it was told to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terraform.tool import REPOSITORY, Command

PHASE = "time_sleep.build_grants"
"""What the first phase of a deployment makes, with all that it needs."""


@pytest.fixture(scope="module")
def needs(terraform: Command, folder: Path) -> dict[str, set[str]]:
    """Each resource, and all that is there before it is made, as `terraform graph` draws it."""
    done = terraform.run("graph", folder=folder)
    assert done.returncode == 0, done.stderr
    edges = re.findall(r'^\s*"([\w.]+)" -> "([\w.]+)"', done.stdout, re.MULTILINE)
    direct: dict[str, set[str]] = {}
    for one, other in edges:
        direct.setdefault(one, set()).add(other)
        direct.setdefault(other, set())

    def before(one: str, seen: set[str]) -> set[str]:
        for other in direct[one] - seen:
            seen.add(other)
            before(other, seen)
        return seen

    return {one: before(one, set()) for one in direct}


def test_all_wait_for_the_services(needs: dict[str, set[str]]) -> None:
    """Nothing is made before the services are on for a while, and Resource Manager's is the first of them."""
    made = {one for one in needs if one.startswith("google_") and not one.startswith("google_project_service.")}
    assert len(made) > 30
    assert [one for one in sorted(made) if "time_sleep.apis" not in needs[one]] == []
    assert "google_project_service.api" in needs["time_sleep.apis"]
    assert "google_project_service.resource_manager" in needs["google_project_service.api"]


def test_builds_wait_for_their_grants(needs: dict[str, set[str]]) -> None:
    """Functions are built, and the first phase ends, when the grants of the build's account had time to be seen."""
    grants = {
        "google_artifact_registry_repository_iam_member.build_writes",
        "google_project_iam_member.build_logs",
        "google_project_iam_member.build_reads_functions",
        "google_storage_bucket_iam_member.build_source",
    }
    assert grants <= needs[PHASE]
    for function in ("dead_letter", "dispatch"):
        assert PHASE in needs[f"google_cloudfunctions2_function.{function}"]


def test_the_first_phase_needs_no_image(needs: dict[str, set[str]]) -> None:
    """What the image's build needs is there without a Job, which needs the image."""
    assert not [one for one in needs[PHASE] if one.startswith(("google_cloud_run", "google_cloudfunctions2"))]
    for text in ("Makefile", "terraform/README.md"):
        targets = re.findall(r"-target=([\w.]+)", (REPOSITORY / text).read_text())
        assert targets == [PHASE], text


def test_a_new_database_is_left_alone_for_a_while(needs: dict[str, set[str]]) -> None:
    """The fields' settings come after the pause that follows the database."""
    assert "google_firestore_database.progress" in needs["time_sleep.database"]
    for field in ("exempt", "asked"):
        assert "time_sleep.database" in needs[f"google_firestore_field.{field}"]


def test_the_scheduler_calls_when_it_may(needs: dict[str, set[str]]) -> None:
    """The first call comes when the grants of the call and of the function had time to be seen."""
    assert "time_sleep.dispatch_grants" in needs["google_cloud_scheduler_job.dispatch"]
    assert {
        "google_cloud_run_v2_service_iam_member.scheduler_dispatch",
        "google_cloud_run_v2_job_iam_member.dispatch_runs",
        "google_project_iam_member.dispatch_progress",
        "google_storage_bucket_iam_member.dispatch_scratch",
    } <= needs["time_sleep.dispatch_grants"]
