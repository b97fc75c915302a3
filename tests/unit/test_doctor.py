"""Each check of `doctor` looks at a project in which one thing is wrong, and says what, and what to type.

The sentences are in doctor_sentences.txt.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.doctor.accounts import accounts
from shared.doctor.apis import agents, apis
from shared.doctor.cloud import Identity
from shared.doctor.doctor import Check, Part, Patient, examine
from shared.doctor.finding import Finding, Status, exit_code, problem
from shared.doctor.functions import functions, scheduler
from shared.doctor.inputs import inputs
from shared.doctor.jobs import in_registry, jobs, verify_profile
from shared.doctor.needs import needs
from shared.doctor.place import Place, url
from shared.doctor.project import project
from shared.doctor.queue import queue
from shared.doctor.quotas import Wanted, quotas
from shared.doctor.rights import build_region, to_deploy, to_run
from shared.doctor.stores import database, instance, scratch
from shared.doctor.tools import Machine, login, tools
from shared.exit_codes import Exit
from shared.memory.cloud import NUMBER, MemoryCloud, error, healthy

PLACE = Place(
    project="my-project",
    prefix="chunkedgraph-ingest",
    database="chunkedgraph-ingest",
    region="us-central1",
    instance="graphs",
    scratch="my-project-chunkedgraph-ingest-scratch",
    layers=(2, 3, 4),
    tables=("fly", "fly_test"),
    inputs=("my-edges",),
    dataset="fly.yml",
)
PROGRAMS = Machine(
    '{"terraform_version": "1.9.8"}', '{"Google Cloud SDK": "500.0.0", "beta": "2026.01.01"}', "me@lab.org"
)
ME = Identity("me@lab.org")
HERE = "projects/my-project/locations/us-central1"


def wide(place: Place, cloud: Any) -> list[Finding]:
    """Quotas of a plan that needs more than there is."""
    return quotas(place, cloud, Wanted(500, 60))


def gone(service: str, path: str) -> Callable[[MemoryCloud], None]:
    return lambda cloud: cloud.routes.pop(url(service, path)) and None


def at(service: str, path: str, **changes: Any) -> Callable[[MemoryCloud], None]:
    """Something with other values in it."""

    def spoil(cloud: MemoryCloud) -> None:
        address = url(service, path)
        cloud.routes[address] = (200, {**cloud.routes.get(address, (200, {}))[1], **changes})

    return spoil


def answered(api: str, path: str, *arguments: Any, **metadata: Any) -> Callable[[MemoryCloud], None]:
    return lambda cloud: cloud.routes.update({url(api, path): error(*arguments, **metadata)})


def clock(seconds: float) -> Callable[[MemoryCloud], None]:
    return lambda cloud: setattr(cloud, "skew", seconds)


def denied(*permissions: str) -> Callable[[MemoryCloud], None]:
    return lambda cloud: cloud.denied.update(permissions)


def ungranted(service: str, path: str, role: str) -> Callable[[MemoryCloud], None]:
    """A policy without a role."""

    def spoil(cloud: MemoryCloud) -> None:
        address = url(service, path)
        bindings = [one for one in cloud.routes[address][1]["bindings"] if one["role"] != role]
        cloud.routes[address] = (200, {"bindings": bindings})

    return spoil


def lent(*lacking: str) -> Callable[[MemoryCloud], None]:
    """The worker's account may be asked in its own name, and lacks permissions."""

    def spoil(cloud: MemoryCloud) -> None:
        account = PLACE.account("l2")
        cloud.put(
            "iamcredentials", f"v1/projects/-/serviceAccounts/{account}:generateAccessToken", {"accessToken": "t"}
        )
        cloud.denied.update(lacking)

    return spoil


def at_layer_3(**changes: Any) -> Callable[[MemoryCloud], None]:
    """The task of the Job of layer 3 with other values."""

    def spoil(cloud: MemoryCloud) -> None:
        address = url("run", f"v2/{PLACE.job(3)}")
        body = cloud.routes[address][1]
        task = body["template"]["template"] | changes
        cloud.routes[address] = (200, {**body, "template": {"template": task}})

    return spoil


def two_clusters(path: str, profile: dict[str, Any]) -> Callable[[MemoryCloud], None]:
    """An instance of two clusters, and another app profile there."""

    def spoil(cloud: MemoryCloud) -> None:
        cloud.put("bigtableadmin", f"v2/{PLACE.instance_name}/clusters", {"clusters": [{}, {}]})
        cloud.put("bigtableadmin", path, profile)

    return spoil


SCRATCH = f"storage/v1/b/{PLACE.scratch}"
L2 = PLACE.account("l2")
PROFILE = f"v2/{PLACE.instance_name}/appProfiles/chunkedgraph-ingest-verify"
DEFAULT = f"v2/{PLACE.instance_name}/appProfiles/default"
REGISTRY = f"v1/{HERE}/repositories/chunkedgraph-ingest/packages/ingest/tags/0123456789ab"
POLICY = "v3/projects/my-project:getIamPolicy"
CPUS = "v1beta1/projects/my-project/services/run.googleapis.com/consumerQuotaMetrics"
DISABLED = (403, "X API has not been used in project 1 before or it is disabled.", "SERVICE_DISABLED")

Spoil = Callable[[MemoryCloud], None]
CASES: dict[str, tuple[Check, Spoil]] = {
    "no such project": (
        project,
        answered("cloudresourcemanager", "v3/projects/my-project", 403, "The caller does not have permission"),
    ),
    "a project that goes": (
        project,
        at("cloudresourcemanager", "v3/projects/my-project", state="DELETE_REQUESTED"),
    ),
    "no billing": (project, at("cloudbilling", "v1/projects/my-project/billingInfo", billingEnabled=False)),
    "billing cannot be asked": (
        project,
        answered(
            "cloudbilling", "v1/projects/my-project/billingInfo", *DISABLED, service="cloudbilling.googleapis.com"
        ),
    ),
    "a clock ahead": (project, clock(-90)),
    "a clock far behind": (project, clock(4000)),
    "APIs that are off": (
        apis,
        at(
            "serviceusage",
            "v1/projects/my-project/services:batchGet",
            services=[
                {
                    "name": f"projects/1/services/{one}.googleapis.com",
                    "state": "ENABLED" if one != "run" else "DISABLED",
                }
                for one in (
                    "artifactregistry",
                    "bigtable",
                    "bigtableadmin",
                    "cloudbuild",
                    "cloudfunctions",
                    "iam",
                    "run",
                    "cloudresourcemanager",
                    "cloudscheduler",
                    "firestore",
                    "logging",
                    "monitoring",
                    "storage",
                )
            ],
        ),
    ),
    "APIs that may not be seen": (
        apis,
        answered("serviceusage", "v1/projects/my-project/services:batchGet", 403, "denied"),
    ),
    "no service agents": (agents, ungranted("cloudresourcemanager", POLICY, "roles/any.serviceAgent")),
    "no right to deploy": (to_deploy, denied("storage.buckets.create")),
    "no right to run": (to_run, denied("bigtable.tables.create", "pubsub.topics.publish")),
    "rights that are not told": (
        to_run,
        answered("cloudresourcemanager", "v3/projects/my-project:testIamPermissions", 400, "x is not valid"),
    ),
    "no bucket": (scratch, gone("storage", SCRATCH)),
    "a bucket elsewhere": (scratch, at("storage", SCRATCH, location="EUROPE-WEST1")),
    "storage is down": (scratch, answered("storage", SCRATCH, 503, "backend error")),
    "a question that is not understood": (
        database,
        answered("firestore", "v1/projects/my-project/databases/chunkedgraph-ingest", 400, "Invalid name"),
    ),
    "no database": (database, gone("firestore", "v1/projects/my-project/databases/chunkedgraph-ingest")),
    "a database of another kind": (
        database,
        at("firestore", "v1/projects/my-project/databases/chunkedgraph-ingest", type="DATASTORE_MODE"),
    ),
    "no instance": (instance, gone("bigtableadmin", "v2/projects/my-project/instances/graphs")),
    "an instance in the making": (
        instance,
        at("bigtableadmin", "v2/projects/my-project/instances/graphs", state="CREATING"),
    ),
    "an instance elsewhere": (
        instance,
        at(
            "bigtableadmin",
            "v2/projects/my-project/instances/graphs/clusters",
            clusters=[{"location": "a/us-east1-b"}],
        ),
    ),
    "no topic": (queue, gone("pubsub", f"v1/{PLACE.topic('l3')}")),
    "no subscription": (queue, gone("pubsub", f"v1/{PLACE.subscription('dead')}")),
    "a subscription of nothing": (queue, at("pubsub", f"v1/{PLACE.subscription('l2')}", topic="_deleted-topic_")),
    "no dead letters": (queue, at("pubsub", f"v1/{PLACE.subscription('l2')}", deadLetterPolicy={})),
    "pushed nowhere": (queue, at("pubsub", f"v1/{PLACE.subscription('dead-push')}", pushConfig={})),
    "a topic that may not be seen": (queue, answered("pubsub", f"v1/{PLACE.topic('dead')}", 403, "denied")),
    "no Job": (jobs, gone("run", f"v2/{PLACE.job(4)}")),
    "no image": (jobs, gone("artifactregistry", REGISTRY)),
    "a Job of another account": (jobs, at_layer_3(serviceAccount="1-compute@developer.gserviceaccount.com")),
    "a Job that is not ready": (
        jobs,
        at(
            "run",
            f"v2/{PLACE.job(2)}",
            terminalCondition={"state": "CONDITION_FAILED", "message": "Image not found"},
        ),
    ),
    "a Job that is told otherwise": (
        jobs,
        at_layer_3(
            containers=[
                {
                    "image": "docker.io/lab/ingest:1",
                    "env": [
                        {"name": name, "value": value}
                        for name, value in (
                            ("INGEST_PROJECT", "my-project"),
                            ("INGEST_DATABASE", "chunkedgraph-ingest"),
                            ("INGEST_PREFIX", "chunkedgraph-ingest"),
                            ("INGEST_INSTANCE", "other"),
                        )
                    ],
                }
            ]
        ),
    ),
    "no app profile": (verify_profile, gone("bigtableadmin", PROFILE)),
    "an app profile of any cluster": (
        verify_profile,
        two_clusters(PROFILE, {"multiClusterRoutingUseAny": {}}),
    ),
    "an app profile of another cluster": (
        verify_profile,
        two_clusters(DEFAULT, {"singleClusterRouting": {"clusterId": "graphs-east"}}),
    ),
    "rows that are written to any cluster": (
        verify_profile,
        two_clusters(DEFAULT, {"multiClusterRoutingUseAny": {}}),
    ),
    "no function": (functions, gone("cloudfunctions", f"v2/{HERE}/functions/chunkedgraph-ingest-dispatch")),
    "a function that failed": (
        functions,
        at(
            "cloudfunctions",
            f"v2/{HERE}/functions/chunkedgraph-ingest-dead-letter",
            state="FAILED",
            stateMessages=[{"message": "Build failed"}],
        ),
    ),
    "no scheduler": (scheduler, gone("cloudscheduler", f"v1/{HERE}/jobs/chunkedgraph-ingest-dispatch")),
    "a scheduler that pauses": (
        scheduler,
        at("cloudscheduler", f"v1/{HERE}/jobs/chunkedgraph-ingest-dispatch", state="PAUSED"),
    ),
    "a call that failed": (
        scheduler,
        at("cloudscheduler", f"v1/{HERE}/jobs/chunkedgraph-ingest-dispatch", status={"code": 7}),
    ),
    "no account": (accounts, gone("iam", f"v1/projects/my-project/serviceAccounts/{L2}")),
    "a disabled account": (accounts, at("iam", f"v1/projects/my-project/serviceAccounts/{L2}", disabled=True)),
    "no grant": (accounts, ungranted("pubsub", f"v1/{PLACE.topic('dead')}:getIamPolicy", "roles/pubsub.publisher")),
    "a policy that may not be seen": (
        accounts,
        answered("bigtableadmin", "v2/projects/my-project/instances/graphs:getIamPolicy", 403, "denied"),
    ),
    "no reader": (inputs, ungranted("storage", "storage/v1/b/my-edges/iam", "roles/storage.objectViewer")),
    "the account says no": (inputs, lent("storage.objects.list")),
    "no input bucket": (inputs, gone("storage", "storage/v1/b/my-edges/iam")),
    "an input bucket of others": (inputs, answered("storage", "storage/v1/b/my-edges/iam", 403, "denied")),
    "quotas that are too low": (wide, at("run", "nothing")),
    "no quota that is known": (wide, at("serviceusage", CPUS, metrics=[{"metric": "run.googleapis.com/others"}])),
}


def sentences() -> dict[str, list[str]]:
    """Lines by case: a case's name stands in brackets before them."""
    text = (Path(__file__).parent / "doctor_sentences.txt").read_text()
    parts = re.split(r"^\[(.+)\]$", text, flags=re.MULTILINE)
    return {name: lines.strip("\n").split("\n") for name, lines in zip(parts[1::2], parts[2::2], strict=True)}


SENTENCES = sentences()


def said(findings: list[Finding]) -> list[str]:
    """What is printed."""
    return [line for finding in findings for line in finding.lines()]


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said(name: str) -> None:
    """A project in which one thing is wrong: the sentence, and what to type."""
    check, spoil = CASES[name]
    cloud = healthy(PLACE)
    spoil(cloud)
    assert said(check(PLACE, cloud)) == SENTENCES[name]


def test_every_sentence_belongs_to_a_case() -> None:
    """The file has no more than what is tested."""
    assert set(SENTENCES) == {*CASES, *PEOPLE}


@pytest.mark.parametrize(
    "check", [*{check: None for check, _ in CASES.values()}, build_region], ids=lambda check: check.__name__
)
def test_what_is_right_is_said(check: Check) -> None:
    """A project in which all is right: no problem, and nothing that could not be looked at."""
    found = check(PLACE, healthy(PLACE))
    assert found and {one.status for one in found} <= {Status.OK, Status.NOTE if check is wide else Status.OK}


def test_readers_of_inputs() -> None:
    """Everybody; the account by the policy of the bucket's project; the account in its own name."""
    for spoil, told in (
        (lambda cloud: cloud.public.add("my-edges"), "ok       inputs: everybody may read my-edges"),
        (lent(), "ok       inputs: workers may read my-edges"),
    ):
        cloud = healthy(PLACE)
        ungranted("storage", "storage/v1/b/my-edges/iam", "roles/storage.objectViewer")(cloud)
        spoil(cloud)
        assert said(inputs(PLACE, cloud)) == [told]
    cloud = healthy(PLACE)
    ungranted("storage", "storage/v1/b/my-edges/iam", "roles/storage.objectViewer")(cloud)
    binding = {"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{L2}"]}
    cloud.put("cloudresourcemanager", f"v3/projects/{NUMBER}:getIamPolicy", {"bindings": [binding]})
    assert said(inputs(PLACE, cloud)) == ["ok       inputs: workers may read my-edges, by its policy"]


def test_reads_of_verifications_where_there_is_no_profile() -> None:
    """Jobs that are told none, are not there, or of an instance that is not known: nothing is said of it."""
    cloud = healthy(PLACE)
    at("run", f"v2/{PLACE.job(4)}", template={})(cloud)
    assert verify_profile(PLACE, cloud) == []
    gone("run", f"v2/{PLACE.job(4)}")(cloud)
    assert verify_profile(PLACE, cloud) == []
    assert verify_profile(replace(PLACE, instance=None), healthy(PLACE)) == []


def test_region_of_builds() -> None:
    """Outside the six regions of every project it is a note, unless a build has succeeded there."""
    place = replace(PLACE, region="us-east1")
    (found,) = build_region(place, MemoryCloud())
    assert found.status is Status.NOTE and found.mend == (f"{PLACE.deploy} REGION=us-central1",)
    assert "no build has succeeded in us-east1 yet" in found.sentence
    cloud = MemoryCloud()
    cloud.put("cloudbuild", "v1/projects/my-project/locations/us-east1/builds", {"builds": [{"id": "1"}]})
    assert said(build_region(place, cloud)) == ["ok       build region: us-east1, where a build has succeeded"]
    assert build_region(replace(PLACE, region=None), cloud)[0].status is Status.SKIPPED


PEOPLE: dict[str, tuple[Machine, Identity]] = {
    "no terraform": (replace(PROGRAMS, terraform=None), ME),
    "an old terraform": (replace(PROGRAMS, terraform='{"terraform_version": "1.5.7"}'), ME),
    "a terraform without a version": (replace(PROGRAMS, terraform="Terraform v1.9"), ME),
    "no gcloud": (replace(PROGRAMS, gcloud=None), ME),
    "gcloud without beta": (replace(PROGRAMS, gcloud='{"Google Cloud SDK": "500.0.0"}'), ME),
    "nobody": (PROGRAMS, Identity(refused="Your default credentials were not found.")),
    "nobody for now": (PROGRAMS, Identity(refused="timed out", passing=True)),
    "nobody in gcloud": (replace(PROGRAMS, account=None), ME),
    "two people and another project": (PROGRAMS, Identity("you@lab.org", "other-project")),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_programs_and_people(name: str) -> None:
    """A program that is missing, too old or not whole; nobody logged in, somebody else, for another project."""
    machine, identity = PEOPLE[name]
    assert said([*tools(machine), *login(machine, identity, PLACE.project)]) == SENTENCES[name]


def test_programs_and_people_that_are_right() -> None:
    """Nothing is wrong with whom and what all others are tested with."""
    assert {one.status for one in [*tools(PROGRAMS), *login(PROGRAMS, ME, PLACE.project)]} == {Status.OK}


def test_whole_examination() -> None:
    """In order: all of it, what concerns a deployment, and what concerns a run."""
    patient, cloud = Patient(PLACE, PROGRAMS, Wanted(100, 10)), healthy(PLACE)
    whole = list(examine(patient, cloud, Part.ALL))
    assert {one.status for one in whole} == {Status.OK}, said(whole)
    names = {part: {one.what for one in examine(patient, cloud, part)} for part in Part}
    assert names[Part.DEPLOY] | names[Part.INGEST] == names[Part.ALL]
    assert names[Part.ALL] - names[Part.INGEST] == {
        *("terraform", "gcloud", "your rights to deploy", "build region", "quota of CPUs", "quota of nodes"),
    }
    assert {"terraform", "login", "billing", "clock"} <= names[Part.DEPLOY]
    assert not {"scratch", "APIs", "Jobs", "accounts", "inputs"} & names[Part.DEPLOY]


def test_what_is_not_there_is_not_asked_for_one_by_one() -> None:
    """Without a login nothing is asked of the cloud; without the bucket nothing of what is deployed."""
    patient, cloud = Patient(PLACE, PROGRAMS, Wanted()), healthy(PLACE)
    gone("storage", SCRATCH)(cloud)
    assert said(list(examine(patient, cloud, Part.INGEST)))[-3:] == [
        f"problem  scratch: there is no bucket {PLACE.scratch}, so nothing is deployed here",
        f"{'':8}   type: {PLACE.deploy}",
        "skipped  what is deployed: nothing is looked at without the bucket that a deployment begins with",
    ]
    cloud.identity = Identity(refused="no credentials")
    assert said(list(examine(patient, cloud, Part.INGEST)))[-1] == (
        "skipped  the cloud: nobody is logged in who could look"
    )


def test_an_empty_project_is_a_place_to_deploy_to() -> None:
    """Before anything is switched on, nothing of that stops a deployment, which does it."""
    cloud = MemoryCloud(skew=0.2)
    for path in ("v3/projects/my-project", "v3/projects/my-project:testIamPermissions"):
        answered("cloudresourcemanager", path, *DISABLED, service="cloudresourcemanager.googleapis.com")(cloud)
    answered("cloudbilling", "v1/projects/my-project/billingInfo", *DISABLED)(cloud)
    # What a service that is off has no quotas of is not there, or refused.
    answered("serviceusage", CPUS, 403, "not enabled")(cloud)
    place = replace(PLACE, region=None)
    found = list(examine(Patient(place, PROGRAMS, Wanted()), cloud, Part.DEPLOY))
    assert exit_code(found) is Exit.OK, said(found)


def test_exit_codes() -> None:
    """Problems end with 2, those that may all pass with 75, anything else with 0."""
    passing = Finding(Status.PROBLEM, "a", "b", passing=True)
    note = Finding(Status.NOTE, "a", "b")
    assert [exit_code(found) for found in ([], [note], [passing], [passing, problem("c", "d")])] == [0, 0, 75, 2]


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("us-docker.pkg.dev/p/r/ingest:1", "locations/us/repositories/r/packages/ingest/tags/1"),
        ("eu-docker.pkg.dev/p/r/a/b@sha256:1", "locations/eu/repositories/r/packages/a%2Fb/versions/sha256:1"),
    ],
)
def test_images_in_the_registry(image: str, path: str) -> None:
    """By tag and by digest, with slashes in the name."""
    request = in_registry(image)
    assert request is not None and request.url == url("artifactregistry", f"v1/projects/p/{path}")
    assert in_registry("docker.io/lab/ingest:1") is None


def test_nothing_is_tried_in_a_graph() -> None:
    """The table of a test graph alone is written to, wherever it stands among the others."""
    tables = ("ant", "fly_test", "zebra")
    assert replace(PLACE, tables=tables).trial_table == "fly_test"
    assert replace(PLACE, tables=("ant",)).trial_table is replace(PLACE, instance=None).trial_table is None


def test_readers_of_a_segmentation() -> None:
    """Its volumes and tables are read by the layers below 2, each of which is looked at, and not by layer 2."""
    place = replace(PLACE, layers=(0, 1, 2, 3, 4))
    assert (place.readers, place.fed, place.writers) == ((0, 1), (1, 2), (1, 2, 4))
    cloud = healthy(place)
    assert said(inputs(place, cloud)) == [
        f"ok       inputs: workers of layer {n} may read my-edges, by its policy" for n in (0, 1)
    ]
    account = place.account("l1")
    policy = cloud.routes[url("storage", "storage/v1/b/my-edges/iam")][1]
    for binding in policy["bindings"]:
        binding["members"] = [member for member in binding["members"] if account not in member]
    first, second = inputs(place, cloud)
    assert (first.status, second.status) == (Status.OK, Status.PROBLEM)
    assert account in second.sentence and "layer 1" in second.sentence


def test_what_layers_below_the_graph_need() -> None:
    """Each publishes to its own layer, the next, and what large runs are queued in; layer 2 reads no input then."""
    place = replace(PLACE, layers=(0, 1, 2, 3, 4))
    things = {layer: {need.thing for need in needs(place, layer)} for layer in place.layers}
    topics = {
        layer: {int(thing[-1]) for thing in found if re.match(r"topics/.*l\d$", thing)}
        for layer, found in things.items()
    }
    assert topics == {0: {0, 1, 2}, 1: {1, 2}, 2: {1, 2, 3}, 3: {3, 4}, 4: {4}}
    assert {layer for layer, found in things.items() if "buckets/my-edges" in found} == {0, 1}
    assert {layer for layer, found in things.items() if any("tables/" in thing for thing in found)} == {2, 3, 4}
