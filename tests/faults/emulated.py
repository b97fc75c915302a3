"""A run on Google's emulators with worker processes: set up, watched and compared with the run in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jobs.backends import GoogleBackend, open_run, scratch
from jobs.environment import REPOSITORY, Environment
from shared.files import CloudFilesStorage
from shared.gcp.pubsub import create_topics
from shared.plan.grid import Chunk
from shared.run.start import is_finished, start
from shared.run.work import OpenRun
from tests.faults.crash import Point
from tests.faults.disturbed import RawTable
from tests.harness import MemoryRun, record_of
from tests.volumes import Volume

CRASHED = 137
"""The exit code of a worker that met its fault."""

LEASE_SECONDS = 3
"""How long a message of a killed worker waits until it comes again."""


DEADLINE_SECONDS = 10
"""The same for one that got lost on its way to a worker, the shortest that the service takes."""


def wait_until(done: Callable[[], bool], seconds: float, step: float = 0.1) -> bool:
    """Asks again and again until `done`, for at most `seconds`; whether it came to that."""
    until, never = time.monotonic() + seconds, threading.Event()
    while not done():
        if time.monotonic() > until:
            return False
        never.wait(step)
    return True


class EmulatedRun:
    """A started run of `volume`, with everything of it below `folder`, on the emulators at `hosts`."""

    def __init__(self, volume: Volume, folder: Path, hosts: Mapping[str, str]) -> None:
        self.volume, self.folder = volume, folder
        graph = f"g{uuid.uuid4().hex[:12]}"
        self.variables = {**hosts, "SCRATCH": f"file://{folder}/scratch", "PREFIX": graph}
        self.script = folder / "script"
        self.script.mkdir()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.started = 0
        self.ended: Counter[int] = Counter()
        for kind, files in (("edges", volume.edges), ("components", volume.components)):
            storage = CloudFilesStorage(f"file://{folder}/{kind}")
            for name, data in files.items():
                storage.put(name, data)
        self.record = record_of(
            volume,
            graph=graph,
            table=graph,
            edges=f"file://{folder}/edges",
            components=f"file://{folder}/components",
        )
        self.backend = GoogleBackend(Environment.read(self.variables))
        create_topics(self.backend.endpoints, graph, self.record.plan.layers, ack_deadline_seconds=DEADLINE_SECONDS)
        self.backend.prepare(self.record.plan.layers)
        self.opened = self._open()
        queue = self.backend.queue([])
        start(self.record, scratch(self.backend, graph), self.opened.table, queue, [])
        queue.close()

    def _open(self) -> OpenRun:
        return open_run(self.backend, self.record)

    def plan_faults(self, script: Mapping[Chunk, Iterable[Point]]) -> None:
        """Has workers end at points of their work on chunks, once for each entry."""
        for chunk, points in script.items():
            for number, point in enumerate(points):
                (self.script / f"{chunk.layer}_{chunk.x}_{chunk.y}_{chunk.z}.{number:04}.{point.name}").touch()

    def planned(self) -> int:
        """How many faults are still to come."""
        return len(list(self.script.glob("*.*.*")))

    def lift_faults(self) -> None:
        """Nothing goes wrong from now on."""
        for entry in self.script.glob("*.*.*"):
            entry.unlink(missing_ok=True)

    def work(self, hosts: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts a worker process, which sees the emulators at `hosts` if given."""
        self.started += 1
        span = f"{self.record.plan.layers[0]}-{self.record.plan.layers[-1]}"
        command = [sys.executable, "-m", "tests.faults.crashing_worker", "--layers", span, "--idle-seconds", "600"]
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        variables = {
            **kept,
            **self.variables,
            **(hosts or {}),
            "FAULTS": str(self.script),
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "PYTHONWARNINGS": "ignore",
        }
        with open(self.folder / f"worker-{self.started:04}.log", "wb") as log:
            worker = subprocess.Popen(
                [*command, "--parent", str(os.getpid())],
                cwd=REPOSITORY,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def reap(self) -> None:
        """Takes workers that have ended out of `workers`, and counts their exit codes in `ended`."""
        gone = [worker for worker in self.workers if worker.poll() is not None]
        self.workers = [worker for worker in self.workers if worker not in gone]
        self.ended.update(worker.returncode for worker in gone)

    def stop(self) -> None:
        """Kills all workers."""
        for worker in self.workers:
            kill(worker)
        self.reap()

    @property
    def finished(self) -> bool:
        """Whether the top chunk is done."""
        return is_finished(self.record, self.opened.completion)

    def raw_table(self) -> RawTable:
        """Every row with its cells and their times."""
        return {row.key: (row.cells, row.timestamps) for row in self.opened.table.read([(b"", b"\xff")])}

    def expected_table(self) -> RawTable:
        """The same of the run in memory."""
        return MemoryRun.of(self.volume).start().work().raw_table()

    def begun(self) -> Counter[Chunk]:
        """How many attempts at each chunk got as far as its inputs."""
        noted = self.script / "begun"
        lines = noted.read_text().split() if noted.exists() else []
        return Counter(Chunk(*map(int, line.split("_"))) for line in lines)

    def logs(self) -> str:
        """The end of each worker's log, for the message of a failed test."""
        last = sorted(self.folder.glob("worker-*.log"))[-6:]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in last)


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Ends a worker and all that it started, as the loss of its machine would."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
