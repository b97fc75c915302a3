"""Whether every account that acts for an installation is there, and has the roles of terraform/README's table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from shared.doctor.cloud import Cloud, Kind, Request
from shared.doctor.finding import Finding, ok, problem, skipped
from shared.doctor.grants import Grant, grants, held
from shared.doctor.place import Place, url
from shared.doctor.project import number


def accounts(place: Place, cloud: Cloud) -> list[Finding]:
    """A line for all that have what they need, and one for each that does not."""
    if not place.layers or place.region is None:
        return [skipped("accounts", "neither a dataset nor what is deployed says which layers there are")]
    (project,) = cloud.ask([Request(url("cloudresourcemanager", f"v3/projects/{place.project}"))])
    if not project.found:
        return [skipped("accounts", f"the number of {place.project} is not known ({project.reason})")]
    # Of inputs and outputs some may be others' to grant: shared/doctor/inputs.py looks whether they can be read.
    known = replace(place, inputs=(), outputs=(), tables=place.tables if place.instance else ())
    wanted = grants(known, number(project))
    return [*_alive(place, cloud), *_grants(place, cloud, wanted)]


def _alive(place: Place, cloud: Cloud) -> list[Finding]:
    names = [*(f"l{layer}" for layer in place.layers), "dead", "push", "dispatch", "scheduler", "build"]
    path = f"v1/projects/{place.project}/serviceAccounts/"
    answers = cloud.ask([Request(url("iam", path + place.account(name))) for name in names])
    found = []
    for name, answer in zip(names, answers, strict=True):
        address = place.account(name)
        if answer.kind is Kind.MISSING:
            found.append(problem("accounts", f"there is no service account {address}", place.deploy))
        elif answer.body.get("disabled"):
            enable = f"gcloud iam service-accounts enable {address} --project={place.project}"
            found.append(problem("accounts", f"{address} is disabled, so nothing can act as it", enable))
    return found


def _grants(place: Place, cloud: Cloud, wanted: list[Grant]) -> list[Finding]:
    policies = list(dict.fromkeys(one.policy.url for one in wanted))
    requests = {one.policy.url: one.policy for one in wanted}
    answers = dict(zip(policies, cloud.ask([requests[at] for at in policies]), strict=True))
    lacking, unknown = defaultdict[str, list[str]](list), dict[str, str]()
    for grant in wanted:
        policy = answers[grant.policy.url]
        if policy.found:
            if not held(policy.body, grant):
                lacking[grant.account].append(f"{grant.role} on {grant.on}")
        else:
            unknown[grant.on] = policy.reason
    found = [
        problem("accounts", f"{account} lacks {', '.join(roles)}", place.deploy)
        for account, roles in lacking.items()
    ]
    if unknown:
        told = "; ".join(f"{on} ({reason})" for on, reason in unknown.items())
        found.append(skipped("accounts", f"who may do what cannot be seen of {told}"))
    if not found:
        count = len({one.account for one in wanted})
        found.append(ok("accounts", f"{count} accounts have their {len(wanted)} roles"))
    return found
