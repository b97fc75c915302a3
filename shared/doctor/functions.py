"""The two functions, and the scheduler's job that calls one of them each minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.doctor.cloud import Cloud, Request, unseen
from shared.doctor.finding import Finding, ok, problem, skipped
from shared.doctor.place import Place, url

NAMES = ("dead-letter", "dispatch")


def functions(place: Place, cloud: Cloud) -> list[Finding]:
    """That both functions run, as their own accounts."""
    if place.region is None:
        return [skipped("functions", "no region is known")]
    start = f"v2/projects/{place.project}/locations/{place.region}/functions/{place.prefix}-"
    answers = cloud.ask([Request(url("cloudfunctions", f"{start}{name}")) for name in NAMES])
    found = []
    for name, answer in zip(NAMES, answers, strict=True):
        full = f"{place.prefix}-{name}"
        if not answer.found:
            missing = problem("functions", f"there is no function {full} in {place.region}", place.deploy)
            found.append(unseen("functions", answer, f"function {full}", place.project, missing))
        elif answer.body.get("state", "ACTIVE") != "ACTIVE":
            told = "; ".join(str(one.get("message")) for one in answer.body.get("stateMessages", []))
            state = f"function {full} is {answer.body['state']}: {told or 'its log says why'}"
            found.append(problem("functions", state, place.update))
    return found or [ok("functions", " and ".join(f"{place.prefix}-{name}" for name in NAMES))]


def scheduler(place: Place, cloud: Cloud) -> list[Finding]:
    """That dispatch is called, and that the last call went well."""
    if place.region is None:
        return [skipped("scheduler", "no region is known")]
    name = f"projects/{place.project}/locations/{place.region}/jobs/{place.prefix}-dispatch"
    (answer,) = cloud.ask([Request(url("cloudscheduler", f"v1/{name}"))])
    short = name.rpartition("/")[2]
    where = f"{short} --location={place.region} --project={place.project}"
    if not answer.found:
        missing = problem("scheduler", f"there is no job {short}, so nobody calls dispatch", place.deploy)
        return [unseen("scheduler", answer, f"the scheduler's job {short}", place.project, missing)]
    return [
        _called(short, where, answer.body, f"gcloud functions logs read {where.replace('--location', '--region')}")
    ]


def _called(short: str, where: str, body: Mapping[str, Any], logs: str) -> Finding:
    if body.get("state", "ENABLED") != "ENABLED":
        told = f"job {short} is {body['state']}: dispatch is not called, and no task starts by itself"
        return problem("scheduler", told, f"gcloud scheduler jobs resume {where}")
    code = body.get("status", {}).get("code", 0)
    if code:
        told = f"the last call of dispatch failed ({body['status'].get('message') or f'code {code}'})"
        return problem("scheduler", told, logs)
    last = body.get("lastAttemptTime")
    return ok("scheduler", f"{short} called dispatch last at {last}" if last else f"{short} has not called it yet")
