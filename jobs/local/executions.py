"""Runs executions of Jobs as processes on this machine: the executor behind the stand-in for Cloud Run Jobs.

Invariants: each task is a process in a group of its own, with the variables that Cloud Run gives a task; one
that ends otherwise than with 0 is started again, as often as its Job says; all end with `close`, asked
first. What a task prints is in a file of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from jobs.paths import ISOLATED, REPOSITORY
from shared.gcp.cloudrun.messages import Execution, JobSpec

POLL_SECONDS = 0.1
END_SECONDS = 15.0
"""How long tasks may take to end when asked; Cloud Run gives 10 s."""

TASK = (*ISOLATED, "-m", "jobs.task")
"""What the image's entry point is: a Job has only arguments."""

Process = subprocess.Popen[bytes]


@dataclass
class _Task:
    index: int
    process: Process
    attempt: int = 0


@dataclass
class _Run:
    """An execution with its processes that have not ended."""

    spec: JobSpec
    facts: Execution
    tasks: list[_Task] = field(default_factory=list)
    cancelled: bool = False


class LocalExecutor:
    """Answers `jobs.local.cloudrun_server.Executor`; `environ` is what every task gets besides its Job's variables,
    `deaths` how many processes ended otherwise than with 0."""

    def __init__(self, environ: Mapping[str, str], logs: Path, command: Sequence[str] = TASK) -> None:
        self.logs, self.deaths, self._command = logs, 0, command
        logs.mkdir(parents=True, exist_ok=True)
        self._environ = dict(environ)
        self._specs: dict[str, JobSpec] = {}
        self._runs: dict[str, _Run] = {}
        self._numbers = count(1)
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def create(self, spec: JobSpec) -> None:
        """Takes a Job."""
        self._specs[spec.name] = spec

    def jobs(self) -> Sequence[JobSpec]:
        """All Jobs."""
        return list(self._specs.values())

    def job(self, name: str) -> JobSpec:
        """One Job; KeyError without it."""
        return self._specs[name]

    def run(self, spec: JobSpec) -> Execution:
        """Starts all tasks of an execution; ValueError once everything ends."""
        if self._over.is_set():
            raise ValueError(f"{spec.name}: no task is started any more")
        job = spec.name.rpartition("/")[2]
        with self._lock:
            name = f"{spec.name}/executions/{job}-{next(self._numbers)}"
            facts = Execution(name, spec.name, spec.tasks, time.time(), running=spec.tasks)
            run = self._runs[name] = _Run(spec, facts)
            run.tasks = [_Task(index, self._start(run, index, 0)) for index in range(spec.tasks)]
            return run.facts

    def executions(self, job: str) -> Sequence[Execution]:
        """The executions of a Job, the newest first."""
        with self._lock:
            return [run.facts for run in reversed(self._runs.values()) if run.spec.name == job]

    def execution(self, name: str) -> Execution:
        """One execution; KeyError without it."""
        with self._lock:
            return self._runs[name].facts

    def cancel(self, name: str) -> Execution:
        """Ends the tasks of an execution."""
        with self._lock:
            run = self._runs[name]
            run.cancelled = True
        _end([task.process for task in run.tasks])
        self._look()
        return self.execution(name)

    def pids(self) -> list[int]:
        """The processes of the tasks that have not ended, in the order of their start."""
        with self._lock:
            return [task.process.pid for run in self._runs.values() for task in run.tasks]

    def close(self) -> None:
        """Ends everything."""
        self.tell()
        self._thread.join()
        with self._lock:
            _end([task.process for run in self._runs.values() for task in run.tasks])

    def tell(self) -> None:
        """Asks all tasks to end, and waits for none; nothing is started from now on."""
        self._over.set()
        # Without the lock, which somebody may hold who does not come back.
        for run in list(self._runs.values()):
            for task in list(run.tasks):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(task.process.pid, signal.SIGTERM)

    def log_tail(self, lines: int = 20) -> tuple[Path, str]:
        """The log that was written to last, and its end."""
        path = max(self.logs.glob("*.log"), key=lambda log: log.stat().st_mtime)
        return path, "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def _start(self, run: _Run, index: int, attempt: int) -> Process:
        execution = run.facts.name.rpartition("/")[2]
        variables = {
            "CLOUD_RUN_JOB": run.spec.name.rpartition("/")[2],
            "CLOUD_RUN_EXECUTION": execution,
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            "CLOUD_RUN_TASK_COUNT": str(run.spec.tasks),
        }
        with open(self.logs / f"{execution}-{index}.log", "ab") as log:
            return subprocess.Popen(
                [*self._command, *run.spec.args],
                cwd=REPOSITORY,
                env={**self._environ, **run.spec.env, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        """Takes note of processes that have ended, and starts those again that may be."""
        with self._lock:
            for run in self._runs.values():
                for task in list(run.tasks):
                    code = task.process.poll()
                    if code is not None:
                        self._ended(run, task, code)

    def _ended(self, run: _Run, task: _Task, code: int) -> None:
        facts, again = run.facts, False
        if code == 0:
            facts = replace(facts, succeeded=facts.succeeded + 1)
        elif run.cancelled:
            facts = replace(facts, cancelled=facts.cancelled + 1)
        else:
            self.deaths += 1
            again = task.attempt < run.spec.max_retries and not self._over.is_set()
            facts = replace(
                facts,
                retried=facts.retried + (again and task.attempt == 0),
                failed=facts.failed + (not again),
            )
        if again:
            task.attempt += 1
            task.process = self._start(run, task.index, task.attempt)
        else:
            run.tasks.remove(task)
            facts = replace(facts, ends={**facts.ends, task.index: time.time()})
        ended = time.time() if not run.tasks else None
        run.facts = replace(facts, running=len(run.tasks), ended=ended)


def _end(processes: Sequence[Process]) -> None:
    """Asks all to end, and kills the groups of those that do not."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
