"""What tasks that looked around say: findings of what is wrong, and a report of all that is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs import looking_around
from shared.doctor.inside import Execution, inside
from shared.doctor.needs import asked, needs
from shared.memory.cloud import error, healthy
from tests.unit.test_doctor import PLACE, said

RAN = Execution("projects/p/locations/r/jobs/j/executions/e-1", 42.0, 2, 2, None)
FINE = {"milliseconds": 12.3, "error": None}


@dataclass
class Stubs:
    """Cloud Run and the notes of tasks, with what is to come of them."""

    ran: Execution | Exception = RAN
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def run(self, job: str, arguments: list[str], tasks: int) -> Execution:
        self.asked = [job, *arguments, str(tasks)]
        if isinstance(self.ran, Exception):
            raise self.ran
        return self.ran

    def put(self, name: str, task: int, seen: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def take(self, name: str, tasks: int) -> list[Mapping[str, Any]]:
        return self.seen


def task(number: int, began: float, ended: float, **services: Mapping[str, Any]) -> dict[str, Any]:
    """What one task notes."""
    facts, files = {"CPUs that are counted on": "1"}, {"/sys/fs/cgroup/memory.max": "1073741824"}
    return {"task": number, "began": began, "ended": ended, "facts": facts, "files": files, "services": services}


def lines(stubs: Stubs) -> list[str]:
    """The findings."""
    return said(inside(PLACE, stubs, stubs, "name")[0])


def test_all_is_right() -> None:
    """Two tasks of layer 2, told what to look at; the report has every fact on a line."""
    stubs = Stubs(seen=[task(0, 0, 10, topic=FINE), task(1, 5, 15, topic=FINE)])
    findings, report = inside(PLACE, stubs, stubs, "name")
    assert said(findings) == [
        "ok       inside: a worker of layer 2 reaches and may use all 1 things that it needs",
        "ok       inside: 2 tasks were asked for and ran, at the same time",
    ]
    assert report[:3] == [
        "execution e-1: 2 of 2 tasks in 42 s",
        "parallelism after an override of the number of tasks: not said",
        "task 0",
    ]
    assert [line.split() for line in report[3:6]] == [
        ["CPUs", "that", "are", "counted", "on", "1"],
        ["/sys/fs/cgroup/memory.max", "1073741824"],
        ["topic", "12", "ms"],
    ]
    assert stubs.asked[0] == PLACE.job(2) and stubs.asked[1] == "--look-around" and stubs.asked[3] == "2"
    told = json.loads(stubs.asked[2])
    assert told["name"] == "name" and told["layers"] == [2, 3, 4] and told["inputs"] == ["my-edges"]


def test_what_is_wrong() -> None:
    """A service that refuses; tasks one after the other, by chance or by their number; tasks that say nothing."""
    refused = {"milliseconds": 1.0, "error": "lacks pubsub.topics.publish"}
    logs = (
        "           type: gcloud logging read 'resource.labels.job_name=\"chunkedgraph-ingest-l2\"' --limit=20 "
        "--project=my-project"
    )
    assert lines(Stubs(seen=[task(0, 0, 10, topic=refused), task(1, 10, 20)])) == [
        "problem  inside: a worker of layer 2 cannot use topic: lacks pubsub.topics.publish",
        f"           type: {PLACE.deploy}",
        "ok       inside: 2 tasks were asked for and ran, not at the same time, which may be chance",
    ]
    one = Execution("e", 42.0, 2, 2, 1)
    assert lines(Stubs(one, [task(0, 0, 10), task(1, 10, 20)]))[1] == (
        "note     inside: parallelism is 1 after 2 tasks were asked for, so the tasks of a fleet follow each "
        "other; set parallelism in terraform/jobs.tf"
    )
    killed = Execution("e", 42.0, 2, 1, None, "Task 1 failed: memory limit exceeded")
    assert lines(Stubs(killed, [task(0, 0, 10)]))[1] == (
        "note     inside: 1 of 2 tasks left a report (Task 1 failed: memory limit exceeded)"
    )
    assert lines(Stubs(killed)) == [
        "problem  inside: tasks of chunkedgraph-ingest-l2 left no report (Task 1 failed: memory limit exceeded)",
        logs,
    ]
    assert lines(Stubs(PermissionError("denied\nand more"))) == [
        "problem  inside: no task of chunkedgraph-ingest-l2 could be started and asked: denied",
        logs,
    ]


def test_a_worker_asks_for_itself() -> None:
    """All that layer 2 needs, on the very resources; what it lacks, and what does not answer, is told."""
    cloud, ticks = healthy(PLACE), iter(range(100))
    things = [need.thing for need in needs(PLACE, 2)]
    assert things == [
        "subscriptions/chunkedgraph-ingest-l2",
        *(f"topics/chunkedgraph-ingest-{name}" for name in ("l3", "l2", "dead")),
        *(f"buckets/{PLACE.scratch}", "buckets/my-edges", "tables/fly_test"),
    ]
    assert [need.thing for need in needs(PLACE, 4)] == [
        *(
            "subscriptions/chunkedgraph-ingest-l4",
            "topics/chunkedgraph-ingest-l4",
            "topics/chunkedgraph-ingest-dead",
        ),
        *(f"buckets/{PLACE.scratch}", "tables/fly_test"),
    ]
    cloud.denied.add("storage.objects.list")
    cloud.routes[needs(PLACE, 2)[0].request.url] = error(503, "not now")
    found = asked(PLACE, 2, cloud, lambda: float(next(ticks)))
    assert {thing: one["error"] for thing, one in found.items() if one["error"]} == {
        "subscriptions/chunkedgraph-ingest-l2": "not now",
        f"buckets/{PLACE.scratch}": "lacks storage.objects.list",
        "buckets/my-edges": "lacks storage.objects.list",
    }
    assert {one["milliseconds"] for one in found.values()} == {1000.0}


def test_facts_of_a_container(tmp_path: Path) -> None:
    """Each of the kernel's files as it is or why it is not; what Cloud Run says of the task; nothing secret."""
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("100000 100000\nmore\n")
    files = looking_around.files(tmp_path)
    assert files["/sys/fs/cgroup/cpu.max"] == "100000 100000"
    assert files["/sys/fs/cgroup/memory.max"] == "No such file or directory"
    facts = looking_around.facts({"CLOUD_RUN_JOB": "j", "INGEST_MEMORY_MIB": "921", "OTHER": "secret"}, tmp_path)
    assert facts["CLOUD_RUN_JOB"] == "j" and facts["memory that a worker is told"] == "921 MiB"
    assert "secret" not in str(facts) and int(facts["CPUs that are counted on"]) >= 1
    assert f"room in {tmp_path}" in facts
