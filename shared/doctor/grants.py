"""Which account has which role on what: the table of terraform/README.md as values.

Invariants: this is exactly that table, which a test compares with what Terraform makes, and with this.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.doctor.cloud import Request
from shared.doctor.place import Place, url

VERSION_3 = {"options": {"requestedPolicyVersion": 3}}
"""Of policies with conditions; without it these are left out."""


@dataclass(frozen=True)
class Grant:
    """A role of an account on a resource."""

    account: str
    """Without its domain's end, as the table names it."""
    member: str
    """As a policy names it."""
    role: str
    on: str
    """As the table names the resource."""
    policy: Request
    """What asks for the policy that has the grant."""
    names: str = ""
    """What the grant's condition must name; empty for one without."""


def grants(place: Place, number: str) -> list[Grant]:
    """All grants of an installation with the layers of `place`, in a project with that number."""
    return [*_workers(place), *_functions(place), *_build(place, number), *_agent(place, number)]


def _workers(place: Place) -> Iterator[Grant]:
    root = max(place.layers)
    for layer in place.layers:
        name = f"l{layer}"
        yield _of(place, name, "pubsub.subscriber", _subscription(place, name))
        if layer < root:
            yield _of(place, name, "pubsub.publisher", _topic(place, f"l{layer + 1}"))
        yield _of(place, name, "pubsub.publisher", _topic(place, name))
        yield _of(place, name, "pubsub.publisher", _topic(place, "dead"))
        yield _of(place, name, "storage.objectUser", _bucket(place.scratch))
        yield _of(place, name, "datastore.user", *_database(place))
        for table in place.tables if layer >= 2 else ():
            yield _of(place, name, "bigtable.user", *_table(place, table))
    for layer, fed in itertools.product(place.low, place.fed):
        if fed not in (layer, layer + 1):
            yield _of(place, f"l{layer}", "pubsub.publisher", _topic(place, f"l{fed}"))
    for bucket, layer in itertools.product(place.inputs, place.readers):
        yield _of(place, f"l{layer}", "storage.objectViewer", _bucket(bucket))
    for bucket, layer in itertools.product(place.outputs, place.writers):
        yield _of(place, f"l{layer}", "storage.objectUser", _bucket(bucket))


def _functions(place: Place) -> Iterator[Grant]:
    for name in ("dead", "dispatch"):
        yield _of(place, name, "storage.objectViewer", _bucket(place.scratch))
        yield _of(place, name, "datastore.user", *_database(place))
    for layer in place.layers:
        for role in ("run.jobsExecutorWithOverrides", "run.viewer"):
            yield _of(place, "dispatch", role, _run(place.job(layer), "job"))
    yield _of(place, "push", "run.invoker", _run(place.service("dead-letter"), "service"))
    yield _of(place, "scheduler", "run.invoker", _run(place.service("dispatch"), "service"))


def _build(place: Place, number: str) -> Iterator[Grant]:
    images = f"projects/{place.project}/locations/{place.region}/repositories/{place.prefix}"
    registry = Request(url("artifactregistry", f"v1/{images}:getIamPolicy"))
    copies = f"gcf-v2-sources-{number}-"
    yield _of(place, "build", "artifactregistry.writer", (f"repository {place.prefix}", registry))
    yield _of(place, "build", "logging.logWriter", (f"project {place.project}", project_policy(place.project)))
    yield _of(place, "build", "storage.objectViewer", _bucket(f"{place.project}-{place.prefix}-source"))
    where = (f"buckets {copies}…", project_policy(place.project))
    yield _of(place, "build", "storage.objectViewer", where, f"projects/_/buckets/{copies}")


def _agent(place: Place, number: str) -> Iterator[Grant]:
    name = f"service-{number}@gcp-sa-pubsub"
    member = f"serviceAccount:{name}.iam.gserviceaccount.com"
    push = Request(
        url("iam", f"v1/projects/{place.project}/serviceAccounts/{place.account('push')}:getIamPolicy"), {}
    )
    yield Grant(name, member, "roles/pubsub.publisher", *_topic(place, "dead"))
    for layer in place.layers:
        yield Grant(name, member, "roles/pubsub.subscriber", *_subscription(place, f"l{layer}"))
    yield Grant(name, member, "roles/iam.serviceAccountTokenCreator", f"account {place.prefix}-push", push)


def _of(place: Place, account: str, role: str, where: tuple[str, Request], names: str = "") -> Grant:
    member = f"serviceAccount:{place.account(account)}"
    return Grant(f"{place.prefix}-{account}", member, f"roles/{role}", *where, names)


def _topic(place: Place, name: str) -> tuple[str, Request]:
    return f"topic {place.prefix}-{name}", Request(url("pubsub", f"v1/{place.topic(name)}:getIamPolicy"))


def _subscription(place: Place, name: str) -> tuple[str, Request]:
    policy = Request(url("pubsub", f"v1/{place.subscription(name)}:getIamPolicy"))
    return f"subscription {place.prefix}-{name}", policy


def _bucket(name: str) -> tuple[str, Request]:
    return f"bucket {name}", bucket_policy(name)


def _database(place: Place) -> tuple[tuple[str, Request], str]:
    name = f"projects/{place.project}/databases/{place.database}"
    return (f"database {place.database}", project_policy(place.project)), f'"{name}"'


def _table(place: Place, table: str) -> tuple[tuple[str, Request], str]:
    policy = Request(url("bigtableadmin", f"v2/{place.instance_name}:getIamPolicy"), VERSION_3)
    return (f"table {table} of instance {place.instance}", policy), f'"{place.instance_name}/tables/{table}"'


def _run(name: str, kind: str) -> tuple[str, Request]:
    return f"{kind} {name.rpartition('/')[2]}", Request(url("run", f"v2/{name}:getIamPolicy"))


def project_policy(project: str) -> Request:
    """What asks who may do what in a project."""
    return Request(url("cloudresourcemanager", f"v3/projects/{project}:getIamPolicy"), VERSION_3)


def bucket_policy(bucket: str) -> Request:
    """What asks who may do what in a bucket."""
    return Request(url("storage", f"storage/v1/b/{bucket}/iam?optionsRequestedPolicyVersion=3"))


def held(policy: Mapping[str, Any], grant: Grant) -> bool:
    """Whether a policy has the grant, or the same without a condition."""
    for binding in policy.get("bindings", []):
        if binding.get("role") == grant.role and grant.member in binding.get("members", []):
            expression = binding.get("condition", {}).get("expression")
            if expression is None or (grant.names and grant.names in expression):
                return True
    return False
