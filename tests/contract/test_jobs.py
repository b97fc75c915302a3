"""Cloud Run Jobs: in memory, and Google's own client against the stand-in; then what only the client sees."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, MethodNotImplemented, NotFound
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

from jobs.local.cloudrun_server import JobsServer
from shared.dispatch.decide import Running
from shared.dispatch.ports import Jobs
from shared.errors import StateError
from shared.gcp.clients import Endpoints, channel
from shared.gcp.cloudrun.jobs import CloudRunJobs
from shared.gcp.cloudrun.messages import Execution, JobSpec
from shared.memory.dispatch import MemoryJobs

PARENT = "projects/p/locations/r"
JOB = f"{PARENT}/jobs/j-l2"
OTHER = f"{PARENT}/jobs/j-l3"


@dataclass
class Noting:
    """An executor that runs nothing: it notes what it is to run, and tests say how that ends."""

    specs: dict[str, JobSpec] = field(default_factory=dict)
    runs: list[JobSpec] = field(default_factory=list)
    known: dict[str, Execution] = field(default_factory=dict)

    def create(self, spec: JobSpec) -> None:
        self.specs[spec.name] = spec

    def jobs(self) -> Sequence[JobSpec]:
        return list(self.specs.values())

    def job(self, name: str) -> JobSpec:
        return self.specs[name]

    def run(self, spec: JobSpec) -> Execution:
        self.runs.append(spec)
        name = f"{spec.name}/executions/{spec.name.rpartition('/')[2]}-{len(self.runs)}"
        self.known[name] = Execution(name, spec.name, spec.tasks, created=1.5, running=spec.tasks)
        return self.known[name]

    def executions(self, job: str) -> Sequence[Execution]:
        return [found for found in self.known.values() if found.job == job]

    def execution(self, name: str) -> Execution:
        return self.known[name]

    def cancel(self, name: str) -> Execution:
        found = self.known[name]
        self.known[name] = replace(found, cancelled=found.running, running=0, ended=3.0)
        return self.known[name]


@dataclass
class Place:
    """Jobs, and a way to end tasks of an execution."""

    jobs: Jobs
    noting: Noting | None = None

    def end(self, name: str, tasks: int) -> None:
        if isinstance(self.jobs, MemoryJobs):
            self.jobs.open[name] -= tasks
            if not self.jobs.open[name]:
                del self.jobs.open[name]
            return
        assert self.noting is not None
        found = self.noting.known[name]
        left = found.running - tasks
        ended = None if left else 2.0
        # Some succeed and some fail: neither is under way.
        self.noting.known[name] = replace(
            found, running=left, succeeded=found.succeeded + 1, failed=found.failed + tasks - 1, ended=ended
        )


@pytest.fixture
def noting() -> Noting:
    """An executor that knows two Jobs."""
    noting = Noting()
    for name in (JOB, OTHER):
        noting.create(JobSpec(name, ("--layers", "2"), {"A": "1"}, tasks=1, max_retries=2))
    return noting


@pytest.fixture
def served(noting: Noting) -> Iterator[Endpoints]:
    """Where the stand-in serves it."""
    server = JobsServer(noting)
    yield replace(Endpoints.emulated({}), run_host=server.host)
    server.close()


@pytest.fixture(params=["memory", "stand-in"])
def place(request: pytest.FixtureRequest, noting: Noting) -> Iterator[Place]:
    """Two Jobs without executions."""
    if request.param == "memory":
        yield Place(MemoryJobs({JOB, OTHER}))
        return
    jobs = CloudRunJobs(request.getfixturevalue("served"))
    yield Place(jobs, noting)
    jobs.close()


def test_running(place: Place) -> None:
    """Executions and tasks that have not ended are counted, a Job apart from another."""
    assert place.jobs.running(JOB) == Running(0, 0)
    first, second = place.jobs.run(JOB, 3), place.jobs.run(JOB, 10_000)
    assert first != second and first.startswith(f"{JOB}/executions/")
    assert place.jobs.running(JOB) == Running(2, 10_003)
    assert place.jobs.running(OTHER) == Running(0, 0)
    place.end(first, 2)
    assert place.jobs.running(JOB) == Running(2, 10_001)
    place.end(first, 1)
    assert place.jobs.running(JOB) == Running(1, 10_000)


def test_seconds_of_tasks(place: Place) -> None:
    """The seconds of a Job's tasks are summed within a span, of one that runs still until its end; of tasks before
    and after it, and of another Job, nothing."""
    spans = [(100.0, 160.0), (100.0, 400.0), (100.0, None), (500.0, 900.0), (500.0, None)]
    if isinstance(place.jobs, MemoryJobs):
        place.jobs.spans[JOB] = spans
    else:
        assert place.noting is not None
        for number, begun in enumerate((100.0, 500.0)):
            name = f"{JOB}/executions/j-l2-{number}"
            own = [end for start, end in spans if start == begun]
            ends = {index: end for index, end in enumerate(own) if end is not None}
            place.noting.known[name] = Execution(name, JOB, len(own), begun, running=1, ends=ends)
    assert place.jobs.seconds(JOB, 150.0, 300.0) == 10 + 150 + 150
    assert place.jobs.seconds(JOB, 0.0, 50.0) == 0
    assert place.jobs.seconds(JOB, 0.0, 1000.0) == 60 + 300 + 900 + 400 + 500
    assert place.jobs.seconds(OTHER, 0.0, 1000.0) == 0


def test_missing_job(place: Place) -> None:
    """A Job that is not there is a StateError that names it, to run it and to look at it."""
    name = f"{PARENT}/jobs/x"
    asked: tuple[Callable[[], object], ...] = (
        lambda: place.jobs.run(name, 1),
        lambda: place.jobs.running(name),
        lambda: place.jobs.seconds(name, 0.0, 1.0),
    )
    for ask in asked:
        with pytest.raises(StateError, match="jobs/x"):
            ask()


def test_the_request(served: Endpoints, noting: Noting) -> None:
    """Dispatch overrides the number of tasks; arguments, variables and retries stay the Job's own."""
    jobs = CloudRunJobs(served)
    jobs.run(JOB, 7)
    assert noting.runs == [JobSpec(JOB, ("--layers", "2"), {"A": "1"}, tasks=7, max_retries=2)]
    jobs.close()


@pytest.fixture
def clients(served: Endpoints) -> Iterator[tuple[run_v2.JobsClient, run_v2.ExecutionsClient]]:
    """Google's clients, as anybody makes them."""
    over = channel(served, served.run_host, "run")
    yield (
        run_v2.JobsClient(transport=JobsGrpcTransport(channel=over)),
        run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=over)),
    )
    over.close()


Clients = tuple[run_v2.JobsClient, run_v2.ExecutionsClient]


def test_create_and_list(clients: Clients, noting: Noting) -> None:
    """A Job is made and read back as the client means it."""
    template = {
        "containers": [{"args": ["--layers", "3"], "env": [{"name": "X", "value": "y"}]}],
        "max_retries": 5,
    }
    job = run_v2.Job(template={"task_count": 4, "template": template})
    made = clients[0].create_job(parent=PARENT, job=job, job_id="new").result(timeout=120)
    assert made.name == f"{PARENT}/jobs/new"
    assert noting.specs[made.name] == JobSpec(made.name, ("--layers", "3"), {"X": "y"}, 4, 5)
    assert clients[0].get_job(name=made.name) == made
    assert [found.name for found in clients[0].list_jobs(parent=PARENT)] == [JOB, OTHER, made.name]
    assert list(clients[0].list_jobs(parent="projects/q/locations/r")) == []


def test_overrides(clients: Clients, noting: Noting) -> None:
    """Arguments are replaced, variables added to, and cleared arguments are gone."""
    changes: list[tuple[dict[str, Any], tuple[str, ...], dict[str, str]]] = [
        ({"args": ["--layers", "9"]}, ("--layers", "9"), {"A": "1"}),
        ({"env": [{"name": "B", "value": "2"}]}, ("--layers", "2"), {"A": "1", "B": "2"}),
        ({"clear_args": True}, (), {"A": "1"}),
    ]
    for override, args, env in changes:
        clients[0].run_job(request={"name": JOB, "overrides": {"container_overrides": [override]}})
        assert noting.runs[-1] == JobSpec(JOB, args, env, 1, 2)


def test_operation(clients: Clients, noting: Noting) -> None:
    """The operation of a run has the execution as metadata at once, and as its result when that has ended."""
    operation = clients[0].run_job(name=JOB)
    name = operation.metadata.name
    assert (operation.metadata.job, operation.metadata.task_count, operation.done()) == (JOB, 1, False)
    noting.known[name] = replace(noting.known[name], running=0, succeeded=1, ended=9.5)
    result = operation.result(timeout=120)
    assert (result.name, result.succeeded_count, result.completion_time.timestamp()) == (name, 1, 9.5)
    assert clients[1].get_execution(name=name) == result


def test_cancel(clients: Clients) -> None:
    """A cancelled execution ends."""
    name = clients[0].run_job(name=JOB).metadata.name
    assert clients[1].cancel_execution(name=name).result(timeout=120).cancelled_count == 1
    assert [found.name for found in clients[1].list_executions(parent=JOB)] == [name]


def test_refusals(clients: Clients) -> None:
    """Unknown names, numbers of tasks that the service has not, and methods that nobody calls are refused."""
    for name, ask in itertools.product(["x", f"{PARENT}/jobs/x"], [clients[0].get_job, clients[1].get_execution]):
        with pytest.raises(NotFound):
            ask(name=name)
    with pytest.raises(InvalidArgument, match="task_count"):
        clients[0].run_job(request={"name": JOB, "overrides": {"task_count": 10_001}})
    with pytest.raises(MethodNotImplemented):
        clients[0].delete_job(name=JOB)
