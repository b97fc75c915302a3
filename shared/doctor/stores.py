"""Where things are kept: the scratch bucket, the database of progress, the Bigtable instance."""

from __future__ import annotations

from shared.doctor.cloud import Cloud, Request, unseen
from shared.doctor.finding import Finding, note, ok, problem, skipped
from shared.doctor.place import Place, url


def scratch(place: Place, cloud: Cloud) -> list[Finding]:
    """The bucket of run records and hand-offs, and where it is."""
    if not place.scratch:
        return [skipped("scratch", "it is in no bucket")]
    (answer,) = cloud.ask([Request(url("storage", f"storage/v1/b/{place.scratch}"))])
    name = f"bucket {place.scratch}"
    if not answer.found:
        missing = problem("scratch", f"there is no {name}, so nothing is deployed here", place.deploy)
        return [unseen("scratch", answer, name, place.project, missing)]
    where = str(answer.body.get("location", "")).lower()
    if place.region is not None and where != place.region:
        told = f"{name} is in {where}, and the Jobs in {place.region}: traffic between them costs, and takes time"
        return [note("scratch", told)]
    return [ok("scratch", f"{name} in {where}")]


def database(place: Place, cloud: Cloud) -> list[Finding]:
    """The Firestore database, and that it is of the kind that is needed."""
    name = f"projects/{place.project}/databases/{place.database}"
    (answer,) = cloud.ask([Request(url("firestore", f"v1/{name}"))])
    if not answer.found:
        missing = problem("database", f"there is no Firestore database {place.database}", place.deploy)
        return [unseen("database", answer, f"Firestore database {place.database}", place.project, missing)]
    kind = answer.body.get("type", "FIRESTORE_NATIVE")
    if kind != "FIRESTORE_NATIVE":
        told = f"Firestore database {place.database} is of type {kind}, in which no progress can be kept"
        return [problem("database", told, f"{place.deploy} DATABASE=ANOTHER_NAME")]
    return [ok("database", f"{place.database} in {answer.body.get('locationId', 'an unknown place')}")]


def instance(place: Place, cloud: Cloud) -> list[Finding]:
    """The Bigtable instance, its clusters, and that one of them is where the tasks run."""
    what = "Bigtable"
    if place.instance is None:
        told = "the instance is not known: INSTANCE in the dataset's file, or INSTANCE=… here, names it"
        return [skipped(what, told, f"make doctor PROJECT={place.project} INSTANCE=…")]
    there, clusters = cloud.ask([
        Request(url("bigtableadmin", f"v2/{place.instance_name}")),
        Request(url("bigtableadmin", f"v2/{place.instance_name}/clusters")),
    ])  # fmt: skip
    if not there.found:
        told = f"there is no instance {place.instance}; one that is to be made is described as bigtable_cluster in "
        missing = problem(what, f"{told}terraform/terraform.tfvars", place.deploy)
        return [unseen(what, there, f"instance {place.instance}", place.project, missing)]
    state = there.body.get("state", "READY")
    if state != "READY":
        return [problem(what, f"instance {place.instance} is {state}; wait until it is READY")]
    zones = [str(one.get("location", "")).rpartition("/")[2] for one in clusters.body.get("clusters", [])]
    where = ", ".join(zones) or "an unknown place"
    if place.region is not None and zones and not any(zone.startswith(f"{place.region}-") for zone in zones):
        told = f"instance {place.instance} is in {where}, and the Jobs in {place.region}: each row goes that far"
        return [note(what, told)]
    return [ok(what, f"instance {place.instance} in {where}")]
