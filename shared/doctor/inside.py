"""What a task saw that was started to look around, as lines that can be pasted into a report.

What it tells is what no documentation promises: the kernel's files of a container's limits, how many tasks run at a
time after an override of their number, room for temporary files, and how far each service is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.doctor.finding import Finding, note, ok, problem
from shared.doctor.place import Place

TASKS = 2
"""Of one execution: whether both are there at the same time is asked too, and the Job itself says one."""


@dataclass(frozen=True)
class Execution:
    """An execution that has ended, or that was waited for long enough."""

    name: str
    seconds: float
    """From its start to its end."""
    tasks: int
    succeeded: int
    parallelism: int | None
    """As the service says it; None where it says none."""
    told: str = ""
    """What the service says of it."""


class Tasks(Protocol):
    """Cloud Run, for tasks that look around."""

    def run(self, job: str, arguments: list[str], tasks: int) -> Execution:
        """Runs so many tasks with these arguments, and waits for their end, some minutes at most."""


class Notes(Protocol):
    """Where tasks leave what they saw."""

    def put(self, name: str, task: int, seen: Mapping[str, Any]) -> None:
        """Writes what a task saw."""

    def take(self, name: str, tasks: int) -> list[Mapping[str, Any]]:
        """What the tasks wrote, which is gone then."""


STAYS_SECONDS = 10.0
"""How long a task is there at least, so that two which may run at once are seen to."""


def arguments(place: Place, name: str, stays: float) -> list[str]:
    """Those of jobs.task with which it looks around, and leaves what it saw under a name."""
    told = {"name": name, "layers": place.layers, "tables": place.tables, "inputs": place.inputs, "stays": stays}
    return ["--look-around", json.dumps(told)]


def inside(
    place: Place, tasks: Tasks, notes: Notes, name: str, stays: float = STAYS_SECONDS
) -> tuple[list[Finding], list[str]]:
    """Findings, and the lines of the report."""
    try:
        ran = tasks.run(place.job(2), arguments(place, name, stays), TASKS)
        seen = notes.take(name, TASKS)
    except Exception as error:
        reason = str(error).split("\n")[0][:300]
        return [_unasked(place, f"no task of {place.prefix}-l2 could be started and asked: {reason}")], []
    if not seen:
        told = f"{ran.told or 'its log may say why'}"
        return [_unasked(place, f"tasks of {place.prefix}-l2 left no report ({told})")], report(ran, seen)
    return [*_from_inside(place, seen[0]), _parallel(ran, seen)], report(ran, seen)


def _unasked(place: Place, told: str) -> Finding:
    of_job = f"'resource.labels.job_name=\"{place.prefix}-l2\"'"
    return problem("inside", told, f"gcloud logging read {of_job} --limit=20 --project={place.project}")


def _from_inside(place: Place, seen: Mapping[str, Any]) -> list[Finding]:
    """What a worker may not do, or not reach."""
    services: Mapping[str, Mapping[str, Any]] = seen.get("services", {})
    bad = {name: one["error"] for name, one in sorted(services.items()) if one.get("error")}
    if bad:
        told = "a worker of layer 2 cannot use"
        return [problem("inside", f"{told} {name}: {error}", place.deploy) for name, error in bad.items()]
    return [ok("inside", f"a worker of layer 2 reaches and may use all {len(services)} things that it needs")]


def _parallel(ran: Execution, seen: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether tasks ran at the same time."""
    spans = sorted((float(one["began"]), float(one["ended"])) for one in seen)
    if ran.parallelism == 1:
        told = f"parallelism is 1 after {ran.tasks} tasks were asked for, so the tasks of a fleet follow each other"
        return note("inside", f"{told}; set parallelism in terraform/jobs.tf")
    if len(spans) < ran.tasks:
        return note("inside", f"{len(spans)} of {ran.tasks} tasks left a report ({ran.told or 'no more is known'})")
    together = "at the same time" if spans[1][0] < spans[0][1] else "not at the same time, which may be chance"
    return ok("inside", f"{ran.tasks} tasks were asked for and ran, {together}")


def report(ran: Execution, seen: Sequence[Mapping[str, Any]]) -> list[str]:
    """All that is known, a fact a line."""
    name = ran.name.rpartition("/")[2]
    lines = [f"execution {name}: {ran.succeeded} of {ran.tasks} tasks in {ran.seconds:.0f} s"]
    lines.append(f"parallelism after an override of the number of tasks: {ran.parallelism or 'not said'}")
    for one in seen:
        lines.append(f"task {one['task']}")
        groups: tuple[Mapping[str, Any], ...] = (one.get("facts", {}), one.get("files", {}))
        lines += [f"  {fact:44} {value}" for group in groups for fact, value in sorted(group.items())]
        for service, found in sorted(one.get("services", {}).items()):
            took = f"{found.get('milliseconds', 0):.0f} ms"
            lines.append(f"  {service:44} {took}{', ' + found['error'] if found.get('error') else ''}")
    return lines
