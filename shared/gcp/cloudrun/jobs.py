"""Cloud Run Jobs by the service's own client, or the same against the stand-in on this machine."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from shared.dispatch.decide import Running
from shared.gcp.clients import Endpoints, api_errors, channel


class CloudRunJobs:
    """Answers `shared.dispatch.ports.Jobs`. Raises the service's errors for what else goes wrong."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def running(self, job: str) -> Running:
        """Sums over the executions that have not ended."""
        with api_errors(_missing(job)):
            # An unknown Job may well have a list of executions, an empty one.
            self._jobs.get_job(name=job)
            found = self._executions.list_executions(request={"parent": job, "page_size": 100})
            tasks = [
                one.task_count - one.succeeded_count - one.failed_count - one.cancelled_count
                for one in found
                if not one.completion_time
            ]
        return Running(len(tasks), sum(tasks))

    def run(self, job: str, tasks: int) -> str:
        """Starts an execution; does not wait for it."""
        with api_errors(_missing(job)):
            # Never tried again by itself: a request whose answer was lost may have started its tasks.
            operation = self._jobs.run_job(
                request={"name": job, "overrides": {"task_count": tasks}}, retry=None, timeout=60.0
            )
        name: str = operation.metadata.name
        return name

    def seconds(self, job: str, since: float, until: float) -> float:
        """Sums over the tasks of all executions that are on record; one without an end runs still."""
        with api_errors(_missing(job)):
            self._jobs.get_job(name=job)
            found = self._tasks.list_tasks(request={"parent": f"{job}/executions/-", "page_size": 100})
            spans = [(_moment(one.start_time), _moment(one.completion_time)) for one in found]
        return sum(
            max(0.0, min(until if end is None else end, until) - max(start, since))
            for start, end in spans
            if start is not None
        )

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    @cached_property
    def _jobs(self) -> Any:
        from google.cloud.run_v2 import JobsClient
        from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

        return JobsClient(transport=JobsGrpcTransport(channel=self._channel))

    @cached_property
    def _executions(self) -> Any:
        from google.cloud.run_v2 import ExecutionsClient
        from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport

        return ExecutionsClient(transport=ExecutionsGrpcTransport(channel=self._channel))

    @cached_property
    def _tasks(self) -> Any:
        from google.cloud.run_v2 import TasksClient
        from google.cloud.run_v2.services.tasks.transports import TasksGrpcTransport

        return TasksClient(transport=TasksGrpcTransport(channel=self._channel))

    @cached_property
    def _channel(self) -> Any:
        return channel(self._endpoints, self._endpoints.run_host, "run")


def _moment(time: Any) -> float | None:
    """Seconds since 1970; None for a time that is not set."""
    moment: float | None = time.timestamp() if time else None
    return moment


def _missing(job: str) -> str:
    return f"there is no Cloud Run Job {job}; make it with: make deploy"
