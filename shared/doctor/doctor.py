"""All checks in their order, and which of them concern a deployment or a run.

Each looks at one thing and answers with findings. Where nothing is deployed, what a deployment makes is not asked
for one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.doctor.accounts import accounts
from shared.doctor.apis import agents, apis
from shared.doctor.cloud import Cloud
from shared.doctor.finding import Finding, Status, skipped
from shared.doctor.functions import functions, scheduler
from shared.doctor.inputs import inputs
from shared.doctor.jobs import jobs, verify_profile
from shared.doctor.place import Place
from shared.doctor.project import project
from shared.doctor.queue import queue
from shared.doctor.quotas import Wanted, quotas
from shared.doctor.rights import build_region, to_deploy, to_run
from shared.doctor.stores import database, instance, scratch
from shared.doctor.tools import Machine, login, tools


class Part(StrEnum):
    """What is to be done next."""

    ALL = "all"
    DEPLOY = "deploy"
    INGEST = "ingest"


Check = Callable[[Place, Cloud], list[Finding]]

BEFORE: tuple[tuple[Check, frozenset[Part]], ...] = (
    (project, frozenset({Part.ALL, Part.DEPLOY, Part.INGEST})),
    (apis, frozenset({Part.ALL, Part.INGEST})),
    (to_deploy, frozenset({Part.ALL, Part.DEPLOY})),
    (to_run, frozenset({Part.ALL, Part.INGEST})),
    (build_region, frozenset({Part.ALL, Part.DEPLOY})),
)
"""Of what is there before a deployment, with the parts that each concerns."""

DEPLOYED: tuple[Check, ...] = (
    *(database, instance, queue, jobs, verify_profile),
    *(functions, scheduler, agents, accounts, inputs),
)
"""Of what a deployment makes."""


@dataclass(frozen=True)
class Patient:
    """What is looked at."""

    place: Place
    machine: Machine
    wanted: Wanted


def examine(patient: Patient, cloud: Cloud, part: Part) -> Iterator[Finding]:
    """The findings, as they come."""
    place = patient.place
    if part is not Part.INGEST:
        yield from tools(patient.machine)
    who = login(patient.machine, cloud.who(), place.project)
    yield from who
    if any(finding.status is Status.PROBLEM and finding.what == "login" for finding in who):
        yield skipped("the cloud", "nobody is logged in who could look")
        return
    for check, parts in BEFORE:
        if part in parts:
            yield from check(place, cloud)
    if part is not Part.INGEST:
        yield from quotas(place, cloud, patient.wanted)
    if part is not Part.DEPLOY:
        yield from deployed(place, cloud)


def deployed(place: Place, cloud: Cloud) -> Iterator[Finding]:
    """What a deployment makes; only its absence as a whole where there is nothing."""
    found = scratch(place, cloud)
    yield from found
    if any(finding.status is Status.PROBLEM for finding in found):
        yield skipped("what is deployed", "nothing is looked at without the bucket that a deployment begins with")
        return
    for check in DEPLOYED:
        yield from check(place, cloud)
