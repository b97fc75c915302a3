"""A project's REST resources in memory: what the checks of `shared.doctor` find where all is as it should be.

Invariants: an address that nothing was put at is answered with 404, as by the services; permissions are all
granted but those that were taken away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from shared.doctor.apis import AGENTS, APIS
from shared.doctor.cloud import Answer, Identity, Request, read_answer
from shared.doctor.grants import grants
from shared.doctor.jobs import in_registry
from shared.doctor.place import Place, url
from shared.memory.log_entries import LogEntries

NUMBER = "123456789012"
IMAGE = "{region}-docker.pkg.dev/{project}/{prefix}/ingest:0123456789ab"

Route = tuple[int, Mapping[str, Any]]
"""A status of HTTP and a JSON object."""


def error(code: int, message: str, reason: str | None = None, **metadata: str) -> Route:
    """A response of a Google service that did not do what it was asked for."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}]
    return code, {"error": {"code": code, "message": message, "details": details if reason else []}}


@dataclass
class MemoryCloud:
    """Answers `shared.doctor.cloud.Cloud`."""

    routes: dict[str, Route] = field(default_factory=dict)
    """By address without its query."""
    denied: set[str] = field(default_factory=set)
    """Permissions that nobody has."""
    public: set[str] = field(default_factory=set)
    """Buckets that everybody may read."""
    identity: Identity = field(default_factory=lambda: Identity("me@lab.org", None))
    skew: float = 0.0
    logged: LogEntries = field(default_factory=LogEntries)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """As the services answer."""
        answers = []
        for request in requests:
            code, body = self.route(request.url, request.body, request.token == "")
            answers.append(read_answer(code, json.dumps(body).encode(), self.skew))
        return answers

    def who(self) -> Identity:
        """The identity."""
        return self.identity

    def route(self, address: str, body: Mapping[str, Any] | None, anonymous: bool = False) -> Route:
        """What is at an address, for us or for anybody."""
        path, _, query = address.partition("?")
        if path in self.routes:
            return self.routes[path]
        if path == url("logging", "v2/entries:list"):
            return self.logged.answer(body or {})
        if path.endswith(":testIamPermissions"):
            return 200, self._granted((body or {}).get("permissions", []))
        if path.endswith("/iam/testPermissions"):
            hidden = anonymous and path.split("/")[-3] not in self.public
            return 200, {} if hidden else self._granted(parse_qs(query).get("permissions", []))
        return error(404, f"{path} is not there")

    def _granted(self, permissions: Sequence[str]) -> dict[str, Any]:
        return {"permissions": [one for one in permissions if one not in self.denied]}

    def put(self, service: str, path: str, body: Mapping[str, Any]) -> None:
        """Puts something at an address."""
        self.routes[url(service, path)] = (200, body)


def healthy(place: Place) -> MemoryCloud:
    """A project as a deployment leaves it. `place` has all of an installation."""
    cloud, project = MemoryCloud(), f"projects/{place.project}"
    here = f"{project}/locations/{place.region}"
    there = {"name": f"projects/{NUMBER}", "projectId": place.project, "state": "ACTIVE"}
    cloud.put("cloudresourcemanager", f"v3/{project}", there)
    paid = {"billingEnabled": True, "billingAccountName": "billingAccounts/012345-6789AB-CDEF01"}
    cloud.put("cloudbilling", f"v1/{project}/billingInfo", paid)
    on = [{"name": f"projects/{NUMBER}/services/{one}.googleapis.com", "state": "ENABLED"} for one in APIS]
    cloud.put("serviceusage", f"v1/{project}/services:batchGet", {"services": on})
    cloud.put("storage", f"storage/v1/b/{place.scratch}", {"location": str(place.region).upper()})
    database = {"type": "FIRESTORE_NATIVE", "locationId": place.region}
    cloud.put("firestore", f"v1/{project}/databases/{place.database}", database)
    cloud.put("bigtableadmin", f"v2/{place.instance_name}", {"state": "READY"})
    clusters = {"clusters": [{"location": f"{project}/locations/{place.region}-b"}]}
    cloud.put("bigtableadmin", f"v2/{place.instance_name}/clusters", clusters)
    profile = {"singleClusterRouting": {"clusterId": f"{place.instance}-c1"}}
    for name in ("default", f"{place.prefix}-verify"):
        cloud.put("bigtableadmin", f"v2/{place.instance_name}/appProfiles/{name}", profile)
    for name in ("dead-letter", "dispatch"):
        cloud.put("cloudfunctions", f"v2/{here}/functions/{place.prefix}-{name}", {"state": "ACTIVE"})
    called = {"state": "ENABLED", "lastAttemptTime": "2026-11-27T12:00:00Z", "status": {}}
    cloud.put("cloudscheduler", f"v1/{here}/jobs/{place.prefix}-dispatch", called)
    for bucket in place.inputs:
        cloud.put("storage", f"storage/v1/b/{bucket}", {"projectNumber": NUMBER})
    _queue(cloud, place)
    _jobs(cloud, place)
    _accounts(cloud, place)
    _quotas(cloud, place)
    return cloud


def _queue(cloud: MemoryCloud, place: Place) -> None:
    for name in (*(f"l{layer}" for layer in place.layers), "dead"):
        cloud.put("pubsub", f"v1/{place.topic(name)}", {"name": place.topic(name)})
        policy = {"deadLetterPolicy": {"deadLetterTopic": place.topic("dead")}} if name != "dead" else {}
        cloud.put("pubsub", f"v1/{place.subscription(name)}", {"topic": place.topic(name), **policy})
    push = {"topic": place.topic("dead"), "pushConfig": {"pushEndpoint": "https://dead-letter.a.run.app"}}
    cloud.put("pubsub", f"v1/{place.subscription('dead-push')}", push)


def _jobs(cloud: MemoryCloud, place: Place) -> None:
    image = IMAGE.format(region=place.region, project=place.project, prefix=place.prefix)
    told = {
        "INGEST_PROJECT": place.project,
        "INGEST_DATABASE": place.database,
        "INGEST_PREFIX": place.prefix,
        "INGEST_INSTANCE": place.instance,
        "INGEST_VERIFY_PROFILE": f"{place.prefix}-verify",
    }
    env = [{"name": name, "value": value} for name, value in told.items()]
    for layer in place.layers:
        task = {"serviceAccount": place.account(f"l{layer}"), "containers": [{"image": image, "env": env}]}
        ready = {"terminalCondition": {"state": "CONDITION_SUCCEEDED"}}
        cloud.put("run", f"v2/{place.job(layer)}", {"template": {"template": task}, **ready})
    request = in_registry(image)
    assert request is not None
    cloud.routes[request.url] = (200, {"name": image})


def _accounts(cloud: MemoryCloud, place: Place) -> None:
    for name in (*(f"l{layer}" for layer in place.layers), "dead", "push", "dispatch", "scheduler", "build"):
        address = place.account(name)
        cloud.put("iam", f"v1/projects/{place.project}/serviceAccounts/{address}", {"email": address})
    policies: dict[str, list[dict[str, Any]]] = {}
    for grant in grants(place, NUMBER):
        binding: dict[str, Any] = {"role": grant.role, "members": [grant.member]}
        if grant.names:
            binding["condition"] = {"expression": f"resource.name == {grant.names}"}
        policies.setdefault(grant.policy.url.partition("?")[0], []).append(binding)
    agents = [f"serviceAccount:service-{NUMBER}@{domain}.iam.gserviceaccount.com" for domain in AGENTS]
    whole = policies[url("cloudresourcemanager", f"v3/projects/{place.project}:getIamPolicy")]
    whole.append({"role": "roles/any.serviceAgent", "members": agents})
    cloud.routes |= {address: (200, {"bindings": bindings}) for address, bindings in policies.items()}
    # Whoever only owns a project may not act as its accounts.
    refused = error(403, "Permission 'iam.serviceAccounts.getAccessToken' denied", "IAM_PERMISSION_DENIED")
    for layer in place.readers:
        account = place.account(f"l{layer}")
        lend = url("iamcredentials", f"v1/projects/-/serviceAccounts/{account}:generateAccessToken")
        cloud.routes[lend] = refused


def _quotas(cloud: MemoryCloud, place: Place) -> None:
    found = {
        "run": ("run.googleapis.com/cpu_allocation", "1/min/{project}/{region}", "200000"),
        "bigtableadmin": ("bigtableadmin.googleapis.com/ssd_nodes", "1/{project}/{zone}", "30"),
    }
    for service, (metric, unit, value) in found.items():
        limit = {"unit": unit, "quotaBuckets": [{"effectiveLimit": value}]}
        body = {"metrics": [{"metric": metric, "consumerQuotaLimits": [limit]}]}
        path = f"v1beta1/projects/{place.project}/services/{service}.googleapis.com/consumerQuotaMetrics"
        cloud.put("serviceusage", path, body)
