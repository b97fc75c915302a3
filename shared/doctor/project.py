"""The project itself: that it is there and paid for, and what time it is there."""

from __future__ import annotations

from shared.doctor.cloud import Answer, Cloud, Kind, Request, unseen
from shared.doctor.finding import Finding, ok, problem, skipped
from shared.doctor.place import Place, url

HARD_SKEW, SKEW = 300.0, 30.0
"""Seconds: Google refuses what is signed with a clock that is wrong by more than the first; rows have the run's
time, so a clock that is ahead by more than the second has a table's cells in the future."""


def project(place: Place, cloud: Cloud) -> list[Finding]:
    """The project, its billing, this machine's clock against Google's."""
    name = place.project
    there, paid = cloud.ask([
        Request(url("cloudresourcemanager", f"v3/projects/{name}")),
        Request(url("cloudbilling", f"v1/projects/{name}/billingInfo")),
    ])  # fmt: skip
    return [_there(place, there), _billing(place, paid), clock([there, paid])]


def _there(place: Place, answer: Answer) -> Finding:
    name, show = place.project, "gcloud projects list"
    missing = problem("project", f"there is no project {name}, or you may not see it", show)
    if answer.kind is Kind.REFUSED:
        return missing
    if not answer.found:
        return unseen("project", answer, f"project {name}", name, missing)
    if answer.body.get("state", "ACTIVE") != "ACTIVE":
        told = f"{name} is {answer.body['state']}: nothing can be made in it"
        return problem("project", told, f"gcloud projects undelete {name}")
    return ok("project", f"{name}, number {number(answer)}")


def number(answer: Answer) -> str:
    """The number in a project's resource."""
    return str(answer.body.get("name", "")).rpartition("/")[2]


def _billing(place: Place, answer: Answer) -> Finding:
    link = f"gcloud billing projects link {place.project} --billing-account=ACCOUNT"
    none = problem("billing", f"{place.project} has no billing account, and nothing can be made without", link)
    if not answer.found:
        return unseen("billing", answer, "the billing of the project", place.project, none)
    if not answer.body.get("billingEnabled"):
        return none
    return ok("billing", f"enabled, by {answer.body.get('billingAccountName', 'an account')}")


def clock(answers: list[Answer]) -> Finding:
    """This machine's clock against that of the first service that says the time."""
    skews = [answer.skew for answer in answers if answer.skew is not None]
    if not skews:
        return skipped("clock", "no service said what time it is")
    skew = min(skews, key=abs)
    if abs(skew) <= SKEW:
        return ok("clock", f"within {max(1, round(abs(skew)))} s of Google's")
    way = "behind" if skew > 0 else "ahead of"
    told = f"this machine's is {abs(skew):,.0f} s {way} Google's"
    set_it = "sudo timedatectl set-ntp true"
    if abs(skew) > HARD_SKEW:
        return problem("clock", f"{told}: what is signed here is refused", set_it)
    return problem("clock", f"{told}, and all rows of a table have the time at which its run began", set_it)
