"""The local executor of Jobs, with small programs in place of workers."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.local.executions import LocalExecutor
from shared.gcp.cloudrun.messages import Execution, JobSpec

JOB = "projects/p/locations/r/jobs/j"
PATIENCE = 300.0
CRASHES = """
import os, sys
print(os.environ["CLOUD_RUN_JOB"], os.environ["CLOUD_RUN_EXECUTION"], os.environ["CLOUD_RUN_TASK_INDEX"],
      os.environ["CLOUD_RUN_TASK_ATTEMPT"], os.environ["CLOUD_RUN_TASK_COUNT"], os.environ["MORE"], flush=True)
sys.exit(int(os.environ["CLOUD_RUN_TASK_ATTEMPT"]) < int(sys.argv[1]))
"""
WAITS = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], LocalExecutor]]:
    """Makes an executor whose tasks run a program; all are closed in the end."""
    made: list[LocalExecutor] = []

    def start(program: str) -> LocalExecutor:
        made.append(LocalExecutor({"MORE": "m"}, tmp_path / "logs", [sys.executable, "-c", program]))
        return made[-1]

    yield start
    for executor in made:
        executor.close()


def until(true: Callable[[], bool]) -> bool:
    """Asks until `true`, for a bounded time."""
    end, never = time.monotonic() + PATIENCE, threading.Event()
    while not true() and time.monotonic() < end:
        never.wait(0.05)
    return true()


def ended(executor: LocalExecutor, name: str) -> Execution:
    assert until(lambda: executor.execution(name).ended is not None)
    return executor.execution(name)


def test_tasks_succeed(make: Callable[[str], LocalExecutor], tmp_path: Path) -> None:
    """Every task is one process with Cloud Run's variables, its Job's, and the executor's."""
    executor = make(CRASHES)
    executor.create(JobSpec(JOB, ("0",)))
    begun = executor.run(JobSpec(JOB, ("0",), {"MORE": "n"}, tasks=3))
    assert (begun.running, begun.tasks, begun.ended) == (3, 3, None)
    found = ended(executor, begun.name)
    assert (found.succeeded, found.failed, found.retried, found.running) == (3, 0, 0, 0)
    said = sorted(path.read_text().strip() for path in (tmp_path / "logs").iterdir())
    assert said == [f"j j-1 {index} 0 3 n" for index in range(3)]
    assert executor.deaths == 0 and executor.executions(JOB) == [found]


def test_retries(make: Callable[[str], LocalExecutor], tmp_path: Path) -> None:
    """A task that ends with an error is started again with the next attempt number, until it may no more."""
    executor = make(CRASHES)
    good = ended(executor, executor.run(JobSpec(JOB, ("2",), max_retries=3)).name)
    assert (good.succeeded, good.failed, good.retried, executor.deaths) == (1, 0, 1, 2)
    bad = ended(executor, executor.run(JobSpec(JOB, ("9",), max_retries=3)).name)
    assert (bad.succeeded, bad.failed, bad.retried, executor.deaths) == (0, 1, 1, 6)
    attempts = [line.split()[3] for line in (tmp_path / "logs" / "j-2-0.log").read_text().splitlines()]
    assert attempts == ["0", "1", "2", "3"]
    assert executor.log_tail()[0].name == "j-2-0.log"


def test_cancel(make: Callable[[str], LocalExecutor]) -> None:
    """A cancelled execution ends its tasks, and starts none of them again."""
    executor = make(WAITS)
    name = executor.run(JobSpec(JOB, tasks=2)).name
    executor.cancel(name)
    found = ended(executor, name)
    assert (found.cancelled, found.succeeded, found.failed, found.running) == (2, 0, 0, 0)


def test_close_ends_everything(
    make: Callable[[str], LocalExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was started outlives the executor, even if it does not listen."""
    monkeypatch.setattr("jobs.local.executions.END_SECONDS", 0.3)
    executor = make(STUBBORN)
    executor.run(JobSpec(JOB))
    log = tmp_path / "logs" / "j-1-0.log"
    assert until(lambda: log.read_text() == "up\n")
    (pid,) = executor.pids()
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_unknown_names(make: Callable[[str], LocalExecutor]) -> None:
    """What is not there is a KeyError."""
    executor = make(WAITS)
    for ask in (executor.job, executor.execution, executor.cancel):
        with pytest.raises(KeyError):
            ask("x")
