"""The Cloud Run Jobs and the image that they name, which may be one that was never pushed, or is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.doctor.cloud import Answer, Cloud, Kind, Request, unseen
from shared.doctor.finding import Finding, note, ok, problem, skipped
from shared.doctor.place import Place, url

IMAGE = re.compile(
    r"(?P<region>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<name>[^@:]+)"
)
"""An image in Artifact Registry, before its tag or digest."""


def jobs(place: Place, cloud: Cloud) -> list[Finding]:
    """A Job for each layer, ready, as the layer's account; and each image that they name in the registry."""
    if not place.layers or place.region is None:
        return [skipped("Jobs", "neither a dataset nor what is deployed says which layers there are")]
    answers = cloud.ask([Request(url("run", f"v2/{place.job(layer)}")) for layer in place.layers])
    found, images = list[Finding](), dict[str, list[str]]()
    for layer, answer in zip(place.layers, answers, strict=True):
        name = f"{place.prefix}-l{layer}"
        if not answer.found:
            missing = problem("Jobs", f"there is no Job {name} in {place.region}", place.deploy)
            found.append(unseen("Jobs", answer, f"Job {name}", place.project, missing))
            continue
        if told := _wrong(place, layer, answer.body):
            found.append(problem("Jobs", f"Job {name} {told}", place.deploy))
        images.setdefault(str(_container(answer.body).get("image")), []).append(name)
    if not found:
        found.append(ok("Jobs", f"{len(place.layers)} in {place.region}"))
    return [*found, *_images(place, cloud, images)]


def verify_profile(place: Place, cloud: Cloud) -> list[Finding]:
    """The app profile by which verifications read, where the Jobs are told one, and that it leads to where rows are
    written."""
    what = "verification"
    if not place.layers or place.region is None or place.instance is None:
        return []
    (job,) = cloud.ask([Request(url("run", f"v2/{place.job(max(place.layers))}"))])
    name = _variables(job.body).get("INGEST_VERIFY_PROFILE")
    if not name:
        return []
    told, where = f"app profile {name} of instance {place.instance}", f"v2/{place.instance_name}"
    paths = (f"{where}/appProfiles/{name}", f"{where}/appProfiles/default", f"{where}/clusters")
    answer, default, clusters = cloud.ask([Request(url("bigtableadmin", path)) for path in paths])
    if not answer.found:
        missing = problem(what, f"there is no {told}, by which verifications read: none can", place.deploy)
        return [unseen(what, answer, told, place.project, missing)]
    read, written = _cluster(answer.body), _cluster(default.body)
    if len(clusters.body.get("clusters", [])) > 1 and (not read or (default.found and read != written)):
        wrong = (
            f"{told} reads {read or 'any cluster'}, and rows are written to {written or 'any cluster'}, so some "
            "may seem to be missing that are there; verify_cluster in terraform/terraform.tfvars has to be the "
            "cluster of the default profile, or not there"
        )
        return [note(what, wrong, place.deploy)]
    return [ok(what, f"reads by {told}")]


def _cluster(profile: Mapping[str, Any]) -> str:
    return str(profile.get("singleClusterRouting", {}).get("clusterId", ""))


def _task(body: Mapping[str, Any]) -> Mapping[str, Any]:
    task: Mapping[str, Any] = body.get("template", {}).get("template", {})
    return task


def _container(body: Mapping[str, Any]) -> Mapping[str, Any]:
    containers: list[Mapping[str, Any]] = _task(body).get("containers") or [{}]
    return containers[0]


def _variables(body: Mapping[str, Any]) -> dict[str, str]:
    return {str(one.get("name")): str(one.get("value")) for one in _container(body).get("env", [])}


def _wrong(place: Place, layer: int, body: Mapping[str, Any]) -> str | None:
    account = _task(body).get("serviceAccount")
    if account != place.account(f"l{layer}"):
        return f"acts as {account} instead of {place.account(f'l{layer}')}"
    condition = body.get("terminalCondition", {})
    if condition.get("state", "CONDITION_SUCCEEDED") != "CONDITION_SUCCEEDED":
        return f"is not ready: {condition.get('message') or condition.get('state')}"
    told = _variables(body)
    wanted = {"INGEST_PROJECT": place.project, "INGEST_DATABASE": place.database, "INGEST_PREFIX": place.prefix}
    wanted |= {"INGEST_INSTANCE": place.instance} if place.instance else {}
    others = [
        f"{name}={told.get(name)} instead of {value}" for name, value in wanted.items() if told.get(name) != value
    ]
    return f"is told {', '.join(others)}" if others else None


def _images(place: Place, cloud: Cloud, images: Mapping[str, list[str]]) -> list[Finding]:
    found = []
    if len(images) > 1:
        told = "; ".join(f"{image} in {', '.join(names)}" for image, names in images.items())
        found.append(problem("image", f"not all Jobs have the same: {told}", place.update))
    names = list(images)
    asked = [(name, request) for name in names if (request := in_registry(name)) is not None]
    answers = cloud.ask([request for _, request in asked])
    for (name, _), answer in zip(asked, answers, strict=True):
        found.append(_image(place, name, answer))
    known = {name for name, _ in asked}
    return [*found, *(skipped("image", f"{one} is in no Artifact Registry") for one in names if one not in known)]


def _image(place: Place, name: str, answer: Answer) -> Finding:
    told = f"the Jobs name {name}, which is not in the registry: no task can start"
    missing = problem("image", told, place.update)
    if answer.kind is Kind.FOUND:
        return ok("image", name)
    return unseen("image", answer, f"image {name}", place.project, missing)


def in_registry(image: str) -> Request | None:
    """What asks whether Artifact Registry has an image by its tag or digest; None for one that is elsewhere."""
    place, _, digest = image.partition("@")
    path, _, tag = place.rpartition(":")
    parts = IMAGE.fullmatch(place if digest else path)
    if parts is None:
        return None
    where = f"projects/{parts['project']}/locations/{parts['region']}/repositories/{parts['repository']}"
    version = f"versions/{digest}" if digest else f"tags/{tag}"
    return Request(url("artifactregistry", f"v1/{where}/packages/{quote(parts['name'], safe='')}/{version}"))
