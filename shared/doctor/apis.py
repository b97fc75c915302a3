"""The services that a project must have switched on, and Google's own accounts of them."""

from __future__ import annotations

from urllib.parse import urlencode

from shared.doctor.cloud import Cloud, Request, unseen
from shared.doctor.finding import Finding, note, ok, problem
from shared.doctor.place import Place, url
from shared.doctor.project import number

APIS = (
    "artifactregistry", "bigtable", "bigtableadmin", "cloudbuild", "cloudfunctions", "cloudresourcemanager",
    "cloudscheduler", "firestore", "iam", "logging", "monitoring", "pubsub", "run", "storage",
)  # fmt: skip
"""What terraform/apis.tf switches on."""

AGENTS = {
    "gcp-sa-pubsub": ("pubsub", "Pub/Sub forwards dead letters and calls the function for them"),
    "serverless-robot-prod": ("run", "Cloud Run starts tasks"),
    "gcf-admin-robot": ("cloudfunctions", "Cloud Functions deploys the functions"),
    "gcp-sa-cloudbuild": ("cloudbuild", "Cloud Build builds the image"),
    "gcp-sa-cloudscheduler": ("cloudscheduler", "Cloud Scheduler calls dispatch"),
}
"""Google's own accounts of a project by domain: the service that each is of, and in whose name it acts."""


def apis(place: Place, cloud: Cloud) -> list[Finding]:
    """The services that are switched on."""
    asked = [("names", f"projects/{place.project}/services/{one}.googleapis.com") for one in APIS]
    path = f"v1/projects/{place.project}/services:batchGet?{urlencode(asked)}"
    (answer,) = cloud.ask([Request(url("serviceusage", path))])
    if not answer.found:
        missing = problem("APIs", f"there is no project {place.project}", "gcloud projects list")
        return [unseen("APIs", answer, "the APIs of the project", place.project, missing)]
    on = {
        str(one.get("config", {}).get("name") or one["name"].rpartition("/")[2]).removesuffix(".googleapis.com")
        for one in answer.body.get("services", [])
        if one.get("state") == "ENABLED"
    }
    off = [one for one in APIS if one not in on]
    if off:
        told = f"not switched on: {', '.join(off)}"
        command = (
            f"gcloud services enable {' '.join(f'{one}.googleapis.com' for one in off)} --project={place.project}"
        )
        return [problem("APIs", told, command)]
    return [ok("APIs", f"all {len(APIS)} are switched on")]


def agents(place: Place, cloud: Cloud) -> list[Finding]:
    """Google's own accounts: a grant to one that is not there yet fails, and what it does is not done."""
    there, policy = cloud.ask([
        Request(url("cloudresourcemanager", f"v3/projects/{place.project}")),
        Request(url("cloudresourcemanager", f"v3/projects/{place.project}:getIamPolicy"), {}),
    ])  # fmt: skip
    if not (there.found and policy.found):
        bad = policy if there.found else there
        missing = problem("service agents", f"there is no project {place.project}", "gcloud projects list")
        return [unseen("service agents", bad, "who may do what in the project", place.project, missing)]
    members = {member for binding in policy.body.get("bindings", []) for member in binding.get("members", [])}
    found = []
    for domain, (service, does) in AGENTS.items():
        if f"serviceAccount:service-{number(there)}@{domain}.iam.gserviceaccount.com" not in members:
            told = f"Google's own account of {service} has no role in the project, and in its name {does}"
            create = (
                f"gcloud beta services identity create --service={service}.googleapis.com --project={place.project}"
            )
            found.append(note("service agents", told, create))
    return found or [ok("service agents", f"all {len(AGENTS)} are there")]
