"""Who may do what: the README's table is compared with the grants that are made, one by one."""

from __future__ import annotations

import itertools
import re

import pytest

from shared.doctor.grants import grants
from shared.doctor.place import Place
from tests.terraform.tool import FOLDER, Outcome, Resource

TARGETS = {
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_bigtable_instance_iam_member": ("instance", "instance"),
    "google_project_iam_member": ("project", "project"),
}
"""Type of a grant -> what it is about, and the attribute that names it."""

NAMES = {
    "project": ["any-project"],
    "prefix": ["chunkedgraph-ingest"],
    "database": ["chunkedgraph-ingest"],
    "number": ["123456789012"],
    "instance": ["graphs"],
    "table": ["fly", "fly_test"],
    "input": ["edges-bucket", "components-bucket"],
    "output": ["processed-bucket"],
    "root": ["6"],
}
"""What the placeholders of the README stand for in tests/wiring.tftest.hcl."""

ROOT = 6
Grant = tuple[str, str, str]
"""Account without domain, role, target."""


def documented() -> set[Grant]:
    """The grants of the README's table, each placeholder filled in with all that it stands for."""
    table = (FOLDER / "README.md").read_text().split("## Who may do what")[1].split("\n## ")[0]
    grants: set[Grant] = set()
    for row in re.findall(r"^\| `(.+?)` \| `(roles/.+?)` \| (.+?) \|", table, re.MULTILINE):
        text = "\t".join(row).replace("`", "")
        used = [name for name in NAMES if f"{{{name}}}" in text]
        layers = range(2, ROOT if "{n+1}" in text else ROOT + 1) if "{n" in text else [0]
        for layer, values in itertools.product(layers, itertools.product(*(NAMES[name] for name in used))):
            filled = text.replace("{n}", str(layer)).replace("{n+1}", str(layer + 1))
            for name, value in zip(used, values, strict=True):
                filled = filled.replace(f"{{{name}}}", str(value))
            account, role, target = filled.split("\t")
            grants.add((account, role, target))
    return grants


def targets(grant: Resource) -> list[str]:
    """What a grant is about. A condition that is not exactly of names is told as it stands."""
    what, attribute = TARGETS[grant.type]
    name = grant.values[attribute].rpartition("/")[2].partition("@")[0]
    conditions = grant.values.get("condition") or []
    if not conditions:
        return [f"{what} {name}"]
    (condition,) = conditions
    expression = condition["expression"]
    if what == "project" and (
        found := re.fullmatch(r'resource\.name == "projects/any-project/databases/([^"/]+)"', expression)
    ):
        return [f"database {found[1]}"]
    if what == "project" and (
        found := re.fullmatch(r'resource\.name\.startsWith\("projects/_/buckets/([^"/]+-)"\)', expression)
    ):
        return [f"buckets {found[1]}…"]
    parts = [
        re.fullmatch(rf'resource\.name == "projects/any-project/instances/{name}/tables/([^"/]+)"', part)
        for part in expression.split(" || ")
    ]
    if what == "instance" and all(parts):
        return [f"table {part[1]} of instance {name}" for part in parts if part]
    return [f"{what} {name} if {expression}"]


def made(resources: list[Resource]) -> set[Grant]:
    """The grants in a state."""
    grants: set[Grant] = set()
    for resource in resources:
        if "_iam_" in resource.type:
            kind, _, member = resource.values["member"].partition(":")
            assert kind == "serviceAccount", resource.address
            for target in targets(resource):
                grants.add(
                    (
                        member.partition("@")[0] if "gcp-sa" not in member else member.partition(".")[0],
                        resource.values["role"],
                        target,
                    )
                )
    return grants


def test_readme_has_every_grant(resources: list[Resource]) -> None:
    """The table has each grant that is made, for each layer, table and bucket, and no other."""
    told, there = documented(), made(resources)
    assert len(there) > 30
    assert sorted(told - there) == [], "in the README, but nobody gets it"
    assert sorted(there - told) == [], "not in the README"


def test_doctor_looks_for_every_grant() -> None:
    """What `doctor` asks for is the table: each account, role and resource, and no other."""
    place = Place(
        project="any-project",
        prefix="chunkedgraph-ingest",
        database="chunkedgraph-ingest",
        region="us-central1",
        instance="graphs",
        scratch="any-project-chunkedgraph-ingest-scratch",
        layers=tuple(range(2, ROOT + 1)),
        tables=tuple(NAMES["table"]),
        inputs=tuple(NAMES["input"]),
        outputs=tuple(NAMES["output"]),
    )
    looked_for = [(one.account, one.role, one.on) for one in grants(place, NAMES["number"][0], ROOT)]
    assert sorted(looked_for) == sorted(documented())


def test_grants_add_and_never_replace(outcome: Outcome) -> None:
    """Grants are single members, of types that these tests look at: a policy or binding would take others' away."""
    used = {resource.type for state in outcome.states.values() for resource in state if "_iam_" in resource.type}
    assert used and used <= set(TARGETS)
    text = "".join(file.read_text() for file in FOLDER.glob("*.tf"))
    assert not re.findall(r"google_\w+_iam_(?:binding|policy)", text)


def test_nobody_is_owner_editor_or_administrator(outcome: Outcome) -> None:
    """No role of any grant, on anything, in any of the tests, is a basic one or an administrator's."""
    roles = {
        resource.values["role"]
        for state in outcome.states.values()
        for resource in state
        if "_iam_" in resource.type
    }
    assert roles
    assert [role for role in roles if re.search(r"^roles/(owner|editor|viewer)$|admin", role, re.IGNORECASE)] == []


def test_grants_of_the_project_are_of_one_thing(resources: list[Resource]) -> None:
    """What can be granted for a whole project only has a condition; writing logs, which reads nothing, has none."""
    wide = {
        resource.values["role"]
        for resource in resources
        if resource.type == "google_project_iam_member" and not resource.values.get("condition")
    }
    assert wide == {"roles/logging.logWriter"}


def test_accounts_are_used_by_one(resources: list[Resource]) -> None:
    """Jobs, functions, pushes and calls have an account each, and no account is made that nobody uses."""
    users = [
        *(
            one.values["template"][0]["template"][0]["service_account"]
            for one in resources
            if one.type == "google_cloud_run_v2_job"
        ),
        *(
            one.values["service_config"][0]["service_account_email"]
            for one in resources
            if one.type == "google_cloudfunctions2_function"
        ),
        *(
            one.values["push_config"][0]["oidc_token"][0]["service_account_email"]
            for one in resources
            if one.values.get("push_config")
        ),
        *(
            one.values["http_target"][0]["oidc_token"][0]["service_account_email"]
            for one in resources
            if one.type == "google_cloud_scheduler_job"
        ),
    ]
    builders = {
        one.values["build_config"][0]["service_account"].rpartition("/")[2]
        for one in resources
        if one.type == "google_cloudfunctions2_function"
    }
    there = {one.values["account_id"] for one in resources if one.type == "google_service_account"}
    assert len(users) == len(set(users)) == 9 and not builders & set(users)
    assert {user.partition("@")[0] for user in {*users, *builders}} == there


@pytest.mark.parametrize(
    "kind",
    [
        "google_compute_address",
        "google_compute_global_address",
        "google_compute_router_nat",
        "google_compute_instance",
        "google_vpc_access_connector",
    ],
)
def test_nothing_has_an_external_address(outcome: Outcome, kind: str) -> None:
    """No configuration of the tests, the private one among them, makes what has or lends an external address."""
    assert "private_mode_has_no_external_address" in outcome.states
    assert [one.address for state in outcome.states.values() for one in state if one.type == kind] == []
