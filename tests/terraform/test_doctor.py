"""`doctor` looks for what Terraform makes: the same APIs, and the same names of everything."""

from __future__ import annotations

import re

from shared.doctor.apis import APIS
from shared.doctor.functions import NAMES
from shared.doctor.place import Place
from tests.terraform.tool import FOLDER, Resource

PLACE = Place(
    project="any-project",
    prefix="chunkedgraph-ingest",
    database="chunkedgraph-ingest",
    region="us-central1",
    instance="graphs",
    scratch="any-project-chunkedgraph-ingest-scratch",
    layers=(2, 3, 4, 5, 6),
)


def named(resources: list[Resource], kind: str, attribute: str = "name") -> set[str]:
    """The names of all resources of a type."""
    return {one.values[attribute] for one in resources if one.type == kind}


def short(names: list[str]) -> set[str]:
    """The last parts of full names."""
    return {name.rpartition("/")[2] for name in names}


def test_apis() -> None:
    """What is looked for is what is switched on always."""
    text = (FOLDER / "apis.tf").read_text()
    listed = re.search(r"concat\(\s+\[(.*?)\]", text, re.DOTALL)
    assert listed is not None
    assert set(APIS) == {*re.findall(r'"(\w+)"', listed[1]), "cloudresourcemanager"}


def test_names(resources: list[Resource]) -> None:
    """Topics, subscriptions, Jobs, functions, accounts, buckets, database, the scheduler's job."""
    layers = [f"l{layer}" for layer in PLACE.layers]
    assert named(resources, "google_pubsub_topic") == short([PLACE.topic(name) for name in (*layers, "dead")])
    pulled = [PLACE.subscription(name) for name in (*layers, "dead", "dead-push")]
    assert named(resources, "google_pubsub_subscription") == short(pulled)
    assert named(resources, "google_cloud_run_v2_job") == short([PLACE.job(layer) for layer in PLACE.layers])
    assert named(resources, "google_cloudfunctions2_function") == short([PLACE.service(name) for name in NAMES])
    accounts = {
        PLACE.account(name).partition("@")[0]
        for name in (*layers, "dead", "push", "dispatch", "scheduler", "build")
    }
    assert named(resources, "google_service_account", "account_id") == accounts
    assert PLACE.scratch in named(resources, "google_storage_bucket")
    assert named(resources, "google_firestore_database") == {PLACE.database}
    assert named(resources, "google_cloud_scheduler_job") == {f"{PLACE.prefix}-dispatch"}
    assert named(resources, "google_artifact_registry_repository", "repository_id") == {PLACE.prefix}
