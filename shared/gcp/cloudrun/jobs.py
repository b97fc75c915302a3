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
    def _channel(self) -> Any:
        return channel(self._endpoints, self._endpoints.run_host, "run")


def _missing(job: str) -> str:
    return f"there is no Cloud Run Job {job}; make it with: make deploy"
