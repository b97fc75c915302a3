"""Worker processes on this machine: started, started again when they die, ended together.

What holds: every process is in a group of its own and is ended with it, also when the caller is
interrupted. A pool whose workers keep dying without any chunk done gives up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from jobs.environment import REPOSITORY
from jobs.memory import share

MAX_FUTILE = 9
"""Deaths in a row for each process, with nothing done in between, before the pool gives up: more than
a chunk that takes its worker with it may have before it goes to the dead letters."""


class WorkerPool:
    """`count` worker processes for `layers`; each writes a log file below `logs`."""

    def __init__(self, count: int, layers: range, environ: Mapping[str, str], logs: Path) -> None:
        self.layers, self.logs = layers, logs
        # A limit that is given counts; otherwise each worker has its share of this machine.
        self.environ = {"MEMORY_MIB": str(share(max(1, count)))} | dict(environ)
        self.futile = 0
        self.done = 0
        logs.mkdir(parents=True, exist_ok=True)
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        span = f"{self.layers[0]}-{self.layers[-1]}"
        command = [sys.executable, "-m", "jobs.worker", "--layers", span, "--idle-seconds", "3600"]
        command += ["--parent", str(os.getpid())]
        with open(self.logs / f"worker-{number}.log", "ab") as log:
            return subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def keep_alive(self, done: int) -> bool:
        """Starts dead workers again; False once that has been futile too often. `done`: chunks so far."""
        if done > self.done:
            self.done, self.futile = done, 0
        for number, process in enumerate(self.processes):
            if process.poll() is not None:
                self.futile += 1
                if self.futile > MAX_FUTILE * len(self.processes):
                    return False
                self.processes[number] = self._start(number)
        return True

    def log_tail(self, lines: int = 20) -> str:
        """The end of the first worker's log."""
        text = (self.logs / "worker-0.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, seconds: float = 15.0) -> None:
        """Ends all workers: asked first, killed after `seconds`."""
        for process in self.processes:
            _signal_group(process, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
