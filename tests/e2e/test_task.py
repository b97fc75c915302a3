"""One task of a Cloud Run Job as a real process: its workers, their logs, its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY
from jobs.task import exit_code
from shared.environment import Environment
from shared.exit_codes import Exit
from shared.gcp.backend import GoogleBackend
from tests.e2e.conftest import SECONDS

CLOUD_RUN = {"CLOUD_RUN_EXECUTION": "j-abc", "CLOUD_RUN_TASK_INDEX": "4", "CLOUD_RUN_TASK_ATTEMPT": "1"}


def start(variables: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with open(log, "wb") as file:
        command = [sys.executable, "-m", "jobs.task", *arguments]
        return subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=file, stderr=file)


def lines(log: Path, event: str) -> list[dict[str, object]]:
    found = [
        json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")
    ]
    return [line for line in found if line["message"] == event]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal(variables: dict[str, str], tmp_path: Path, processes: int, number: signal.Signals) -> None:
    """As many workers as asked for; a signal to the task ends all of them in order, so nothing is retried."""
    GoogleBackend(Environment.read(variables)).prepare([2])
    log = tmp_path / "task.log"
    task = start(
        variables | CLOUD_RUN, log, "--processes", str(processes), "--layers", "2", "--idle-seconds", "600"
    )
    try:
        until, never = time.monotonic() + SECONDS, threading.Event()
        while len(lines(log, "worker.start")) < processes and time.monotonic() < until:
            never.wait(0.1)
        begun = lines(log, "worker.start")
        assert len({line["worker"] for line in begun}) == processes, log.read_text()
        task.send_signal(number)
        # Cloud Run kills after 10 s.
        assert task.wait(SECONDS) == Exit.OK, log.read_text()
    finally:
        task.kill()
        task.wait()
    assert len(lines(log, "worker.end")) == processes
    assert all((line["execution"], line["task"], line["task_attempt"]) == ("j-abc", 4, 1) for line in begun)


def test_idle(variables: dict[str, str], tmp_path: Path) -> None:
    """A task for which nothing comes ends by itself, with 0."""
    GoogleBackend(Environment.read(variables)).prepare([2])
    log = tmp_path / "task.log"
    task = start(variables, log, "--processes", "2", "--layers", "2", "--idle-seconds", "0.5")
    assert task.wait(SECONDS) == Exit.OK, log.read_text()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_refused(variables: dict[str, str], tmp_path: Path, processes: str) -> None:
    """Workers that cannot work, as there is no subscription, make the task fail."""
    log = tmp_path / "task.log"
    task = start(variables, log, "--processes", processes, "--layers", "9", "--idle-seconds", "600")
    assert task.wait(SECONDS) == Exit.REFUSED, log.read_text()
    assert "there is no subscription" in log.read_text()


def test_exit_code() -> None:
    """0 only if all ended with 0; a signal counts as shells count it."""
    assert [exit_code(codes) for codes in ([0, 0], [0, 2], [70, 2], [0, -9])] == [0, 2, 70, 137]
