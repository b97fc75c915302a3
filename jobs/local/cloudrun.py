"""The local runner: dispatch, the stand-in for Cloud Run Jobs and its tasks, as long as a command lasts.

It goes the way that the cloud goes: rounds of dispatch look at what waits and run the Job, whose tasks
build. What differs is the size: one Job for all layers, as one machine serves them all.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from jobs import interrupts
from jobs.local import worker_logs
from jobs.local.cloudrun_server import JobsServer
from jobs.local.executions import LocalExecutor
from jobs.memory_limit import share
from jobs.paths import LOCAL
from shared.classify import Kind
from shared.dispatch.fleet import Fleet
from shared.dispatch.round import one_round
from shared.gcp.backend import GoogleBackend
from shared.gcp.cloudrun.jobs import CloudRunJobs
from shared.gcp.cloudrun.messages import JobSpec
from shared.operate.reasons import Reason
from shared.operate.status import RunStatus
from shared.run.record import RunRecord
from shared.run.registry import Registry
from shared.timestamps import now

ROUND_SECONDS = 2.0
"""The time between two rounds of dispatch; in the cloud it is a minute."""

MAX_FUTILE = 9
"""Deaths for each worker, with nothing done in between, before the runner gives up: more than a chunk
that takes its worker with it may have before it goes to the dead letters."""


class LocalCloudRun:
    """Has `workers` processes build a run; a context manager that ends them."""

    def __init__(self, backend: GoogleBackend, record: RunRecord, workers: int) -> None:
        endpoints, layers = backend.endpoints, record.plan.layers
        job = f"projects/{endpoints.project}/locations/local/jobs/{record.graph.lower()}"
        self.gave_up = False
        self._backend = backend
        # Kept from round to round: each completion has a connection of its own.
        self._registry = Registry(backend)
        self._workers, self._begun = workers, time.time()
        self._over = threading.Event()
        self._error: Exception | None = None
        self._left_out: Reason | None = None
        self._done, self._deaths = -1, 0
        self._fleets = [Fleet(job, tuple(layers), workers, 2, ROUND_SECONDS / 2, workers)] if workers else []
        # A limit that is given counts; otherwise each worker has its share of this machine.
        environ = os.environ | {"INGEST_MEMORY_MIB": str(share(max(1, workers)))} | backend.environment.variables()
        args = ("--processes", "1", "--layers", f"{layers[0]}-{layers[-1]}", "--idle-seconds", "3600")
        with ExitStack() as stack:
            self.executor = LocalExecutor(environ, LOCAL / "logs" / record.graph)
            stack.callback(self.executor.close)
            stack.enter_context(interrupts.before_end(self.executor.tell))
            self.executor.create(JobSpec(job, (*args, "--parent", str(os.getpid()))))
            server = JobsServer(self.executor)
            stack.callback(server.close)
            self._jobs = CloudRunJobs(replace(endpoints, run_host=server.host))
            stack.callback(self._jobs.close)
            self._thread = threading.Thread(target=self._rounds, name="dispatch", daemon=True)
            self._thread.start()
            self._stack = stack.pop_all()

    def keep_going(self, status: RunStatus) -> bool:
        """False once workers died too often with nothing done. Raises what a round of dispatch met."""
        if self._error is not None:
            raise self._error
        if status.done + status.failed > self._done:
            self._done, self._deaths = status.done + status.failed, self.executor.deaths
        self.gave_up = self.executor.deaths - self._deaths > MAX_FUTILE * self._workers
        return not self.gave_up

    def why(self) -> list[Reason]:
        """Why workers wait, by their logs, and how many have ended."""
        found = worker_logs.latest(self.executor.logs, self._begun)
        if self._left_out:
            found.append(self._left_out)
        deaths = self.executor.deaths - self._deaths
        if deaths:
            told = f"processes have ended {deaths:,} times with nothing done; their logs: {self.executor.logs}"
            found.append(Reason("processes", worker_logs.ENDED, told, now()))
        return found

    def _rounds(self) -> None:
        """Rounds of dispatch until the end; a service that is out of reach holds up nothing but them."""
        while not self._over.is_set() and self._error is None:
            try:
                turns = one_round(self._fleets, self._registry, self._jobs, time.time())
                errors = [turn.error for turn in turns if turn.error]
                self._left_out = Reason("dispatch", "NotStarted", errors[0], now()) if errors else None
            except Exception as error:
                if self._backend.classify(error) is Kind.OUTAGE:
                    self._left_out = Reason("dispatch", type(error).__name__, str(error), now())
                elif not self._over.is_set():
                    self._error = error
            self._over.wait(ROUND_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(ROUND_SECONDS / 2)
        self._stack.close()
