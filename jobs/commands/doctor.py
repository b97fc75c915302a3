"""`doctor`: what is wrong between a project and a graph, a line a check, and what to type."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import replace

import click

from jobs.console import Ended, command, dataset_path, environment
from jobs.examination import Asked, machine, patient
from jobs.health import ANYWAY
from jobs.output import put, say
from shared.doctor.doctor import Part, examine
from shared.doctor.finding import Finding, exit_code, problems, skipped
from shared.doctor.inside import STAYS_SECONDS, inside
from shared.doctor.place import Place
from shared.doctor.trials import trials
from shared.environment import Environment
from shared.exit_codes import Exit
from shared.gcp.doctor.rest import RestCloud
from shared.gcp.doctor.tasks import LookingTasks
from shared.gcp.doctor.trials import FirestoreNotes, GoogleTrials
from shared.gcp.progress import CLASSIFY, endpoints_of
from shared.operate.check import check


@command("doctor")
@click.argument("dataset", required=False)
@click.option(
    "--for",
    "part",
    type=click.Choice([str(part) for part in Part]),
    default=str(Part.ALL),
    help="Only what concerns that.",
)
@click.option("--region", help="Where to deploy; where it is deployed unless given.")
@click.option("--start", is_flag=True, help="Start two tasks that look around and say what they saw.")
def doctor(dataset: str | None, part: str, region: str | None, start: bool) -> None:
    """Look at all that a run needs in PROJECT, and say what to type where something is wrong."""
    known = environment()
    path = None if dataset is None else dataset_path(dataset)
    checked = None if path is None else check(path, path.stem, False)
    asked = Asked(dataset, checked, region, trial=True)
    cloud = RestCloud(known.project or "", known.apis_host)
    found = patient(known, cloud, asked, machine())
    findings = shown(examine(found, cloud, Part(part)))
    if part == Part.ALL and usable(findings):
        findings += shown(used(known, found.place))
        if start:
            findings += looked_around(known, found.place)
    count = len(problems(findings))
    say(f"{count or 'no'} {'problem' if count == 1 else 'problems'} found in {len(findings)} findings")
    if count and part != Part.ALL:
        say(ANYWAY)
    if (code := exit_code(findings)) is not Exit.OK:
        raise Ended(code)


def shown(findings: Iterable[Finding]) -> list[Finding]:
    """Prints findings as they come."""
    kept = []
    for finding in findings:
        kept.append(finding)
        for line in finding.lines():
            put(line)
    return kept


def usable(findings: list[Finding]) -> bool:
    """Whether it makes sense to use what is deployed: somebody is logged in, and there is something."""
    return not {finding.what for finding in problems(findings)} & {"login", "project", "scratch"}


def used(known: Environment, place: Place) -> list[Finding]:
    """A message, a document and a row."""
    endpoints = replace(endpoints_of(known), instance=place.instance or "")
    return trials(place, GoogleTrials(endpoints, place.prefix), time.monotonic, CLASSIFY)


def looked_around(known: Environment, place: Place) -> list[Finding]:
    """What a task saw, as findings and as a report to be pasted."""
    if not place.layers or place.region is None:
        return shown([skipped("inside", "no Job is known that could be started")])
    endpoints = endpoints_of(known)
    say(f"starting two tasks of {place.prefix}-l2, which takes a minute or more")
    name = f"inside-{uuid.uuid4().hex[:12]}"
    # A worker makes no tables, so the one of a test graph is there for it meanwhile.
    table = [place.trial_table] if place.trial_table else []
    with GoogleTrials(replace(endpoints, instance=place.instance or ""), place.prefix).holding(table):
        # Tasks of a stand-in are processes of this machine, of which nothing is learnt by waiting.
        stays = 0.0 if known.run_host else STAYS_SECONDS
        findings, lines = inside(place, LookingTasks(endpoints), FirestoreNotes(endpoints), name, stays)
    shown(findings)
    for line in ["", "---- what a task saw, to be pasted into a report ----", *lines, "----", ""]:
        put(line)
    return findings
