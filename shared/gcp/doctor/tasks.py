"""Tasks of a Cloud Run Job that look around, or build a sample, instead of working, by the service's own client."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.doctor.inside import Execution
from shared.gcp.clients import Endpoints, api_errors, channel

SECONDS = 300.0
"""How long an execution is waited for: a first task may wait for its image and, in a network, its address."""

POLL_SECONDS = 2.0


class LookingTasks:
    """Answers `shared.doctor.inside.Tasks`."""

    def __init__(
        self,
        endpoints: Endpoints,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        seconds: float = SECONDS,
    ) -> None:
        self._endpoints = endpoints
        self._seconds = seconds
        self._clock = clock
        self._wait = wait

    def run(self, job: str, arguments: list[str], tasks: int) -> Execution:
        """Starts an execution with other arguments and another number of tasks than the Job's, and waits."""
        from google.cloud.run_v2 import ExecutionsClient, JobsClient
        from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
        from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport

        over = channel(self._endpoints, self._endpoints.run_host, "run")
        jobs = JobsClient(transport=JobsGrpcTransport(channel=over))
        executions = ExecutionsClient(transport=ExecutionsGrpcTransport(channel=over))
        overrides = {"task_count": tasks, "container_overrides": [{"args": arguments}]}
        try:
            with api_errors(f"there is no Cloud Run Job {job}; make it with: make deploy"):
                began = self._clock()
                started = jobs.run_job(request={"name": job, "overrides": overrides}, retry=None, timeout=60.0)
                name = started.metadata.name
                while True:
                    found = executions.get_execution(name=name, timeout=60.0)
                    if found.completion_time or self._clock() - began > self._seconds:
                        return self._execution(found, self._clock() - began)
                    self._wait(POLL_SECONDS)
        finally:
            over.close()

    def _execution(self, found: Any, seconds: float) -> Execution:
        told = [one.message for one in found.conditions if one.message]
        return Execution(
            name=found.name,
            seconds=seconds,
            tasks=found.task_count,
            succeeded=found.succeeded_count,
            parallelism=found.parallelism or None,
            told="; ".join(told) if found.completion_time else f"not ended after {seconds:.0f} s",
        )
