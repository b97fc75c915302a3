"""What the user of this machine may do in a project, and where builds may run."""

from __future__ import annotations

from urllib.parse import urlencode

from shared.doctor.cloud import Cloud, Kind, Request, unseen
from shared.doctor.finding import Finding, note, ok, problem, skipped
from shared.doctor.place import Place, url

BUILD_REGIONS = (
    "us-central1", "us-west2", "europe-west1", "asia-east1", "australia-southeast1", "southamerica-east1",
)  # fmt: skip
"""Where every project may build, a new or restricted one too (https://cloud.google.com/build/docs/locations)."""

TO_DEPLOY = (
    "artifactregistry.repositories.create", "cloudbuild.builds.create", "cloudfunctions.functions.create",
    "cloudscheduler.jobs.create", "datastore.databases.create", "iam.serviceAccounts.actAs",
    "iam.serviceAccounts.create", "pubsub.topics.create", "resourcemanager.projects.setIamPolicy",
    "run.jobs.create", "serviceusage.services.enable", "storage.buckets.create",
)  # fmt: skip
TO_RUN = (
    "bigtable.tables.create", "bigtable.tables.mutateRows", "datastore.entities.create",
    "pubsub.subscriptions.consume", "pubsub.topics.publish", "run.jobs.runWithOverrides", "storage.objects.create",
)  # fmt: skip
"""A permission for each thing that `make deploy` makes, and that `make ingest` does."""


def to_deploy(place: Place, cloud: Cloud) -> list[Finding]:
    """Whether you may make what a deployment makes."""
    roles = "owner, or those that terraform/README.md names"
    return [_rights(place, cloud, "your rights to deploy", TO_DEPLOY, roles, "roles/owner")]


def to_run(place: Place, cloud: Cloud) -> list[Finding]:
    """Whether you may do what `make ingest` and its like do."""
    return [_rights(place, cloud, "your rights to run", TO_RUN, "editor", "roles/editor")]


def _rights(place: Place, cloud: Cloud, what: str, needed: tuple[str, ...], roles: str, role: str) -> Finding:
    path = f"v3/projects/{place.project}:testIamPermissions"
    (answer,) = cloud.ask([Request(url("cloudresourcemanager", path), {"permissions": list(needed)})])
    if answer.kind is Kind.FAILED:
        return skipped(what, f"the project did not say what you may do ({answer.reason})")
    if not answer.found:
        missing = problem(what, f"there is no project {place.project}", "gcloud projects list")
        return unseen(what, answer, "what you may do", place.project, missing)
    lacking = sorted(set(needed) - set(answer.body.get("permissions", [])))
    if not lacking:
        return ok(what, f"you may do all {len(needed)} things that were asked for")
    told = f"you may not {', '.join(lacking)} in {place.project}; an owner can give you the roles for it: {roles}"
    account = cloud.who().account or "YOU"
    member = f"{'serviceAccount' if account.endswith('.gserviceaccount.com') else 'user'}:{account}"
    command = f"gcloud projects add-iam-policy-binding {place.project} --member={member} --role={role}"
    return problem(what, told, command)


def build_region(place: Place, cloud: Cloud) -> list[Finding]:
    """Whether builds can be expected to start where they are to run."""
    what = "build region"
    if place.region is None:
        return [skipped(what, "none is known; the first `make deploy` takes us-central1, or REGION=…")]
    if place.region in BUILD_REGIONS:
        return [ok(what, f"{place.region}, where every project may build")]
    query = urlencode({"pageSize": 1, "filter": 'status="SUCCESS"'})
    path = f"v1/projects/{place.project}/locations/{place.region}/builds?{query}"
    (answer,) = cloud.ask([Request(url("cloudbuild", path))])
    if answer.body.get("builds"):
        return [ok(what, f"{place.region}, where a build has succeeded")]
    told = (
        f"no build has succeeded in {place.region} yet, and new or restricted projects may build in "
        f"{', '.join(BUILD_REGIONS)} only; elsewhere one fails with `no concurrent builds quota available`"
    )
    return [note(what, told, f"{place.deploy} REGION={BUILD_REGIONS[0]}")]
