"""A run on Google's emulators with worker processes: set up, watched and compared with the run in memory."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from shared.environment import Environment
from shared.files import CloudFilesStorage
from shared.gcp.backend import GoogleBackend
from shared.gcp.pubsub.queue import create_topics
from shared.operate.queueing import start
from shared.plan.grid import Chunk
from shared.run.done import is_finished
from shared.run.events import Event
from shared.run.record import RunRecord
from shared.run.registry import graph_folder
from shared.work.open_runs import open_run
from shared.work.steps import OpenRun
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


PRELOADED = (
    "tests.faults.crashing_worker",
    "cloudfiles",
    "google.cloud.firestore",
    "google.pubsub_v1",
    "shared.gcp.bigtable.table",
    "shared.gcp.pubsub.queue",
)
"""What a worker imports, now or later."""

Attempt = tuple[Chunk, int]
"""A chunk and the number of its delivery."""


def chunk_of(text: str) -> Chunk:
    """The chunk in `2/1_1_1`, as logs name it, or `2_1_1_1`, as files do."""
    return Chunk(*map(int, text.replace("/", "_").split("_")))


def of_chunks(attempts: Counter[Attempt]) -> Counter[Chunk]:
    """How many attempts each chunk has."""
    return Counter(chunk for chunk, _ in attempts.elements())


def wait_until(done: Callable[[], bool], seconds: float, step: float = 0.1) -> bool:
    """Asks again and again until `done`, for at most `seconds`; whether it came to that."""
    until, never = time.monotonic() + seconds, threading.Event()
    while not done():
        if time.monotonic() > until:
            return False
        never.wait(step)
    return True


class WorkerProcess:
    """A worker process (see `tests.faults.crashing_worker`), handled as those of `subprocess` are."""

    def __init__(self, environ: Mapping[str, str], log: Path, arguments: Sequence[str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self._process = context.Process(target=_work, args=(dict(environ), log, list(arguments)), daemon=True)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """How it ended: its exit code, negative for a signal; None before that."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, seconds: float) -> int:
        """Its exit code; TimeoutError if it does not end in time."""
        self._process.join(seconds)
        if (code := self.returncode) is None:
            raise TimeoutError(f"worker {self._process.pid} is still there after {seconds} s")
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to one that has not ended."""
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)


def _work(environ: Mapping[str, str], log: Path, arguments: Sequence[str]) -> None:
    from tests.faults.crashing_worker import work

    work(environ, log, arguments)


class EmulatedRun:
    """A started run of `volume`, with everything of it below `folder`, on the emulators at `hosts`.

    `fault` says what a planned fault is: "exit" ends the worker, "hang" holds it up, "hog" takes memory.
    """

    def __init__(self, volume: Volume, folder: Path, hosts: Mapping[str, str], fault: str = "exit") -> None:
        self.volume, self.folder, self.fault = volume, folder, fault
        graph = f"g{uuid.uuid4().hex[:12]}"
        self.variables = {**hosts, "INGEST_SCRATCH": f"file://{folder}/scratch", "INGEST_PREFIX": graph}
        self.script = folder / "script"
        self.script.mkdir()
        self.workers: list[WorkerProcess] = []
        self.started = 0
        self.ended: Counter[int] = Counter()
        self.record = self._record(graph)
        self.backend = GoogleBackend(Environment.read(self.variables))
        create_topics(self.backend.endpoints, graph, self.record.plan.layers, ack_deadline_seconds=DEADLINE_SECONDS)
        self.backend.prepare(self.record.plan.layers)
        self.opened = self._open()
        self.opened.sources.written.note(self.record, complete=False)
        queue = self.backend.queue([])
        start(self.record, graph_folder(self.backend, graph), self.opened.table, queue, [])
        queue.close()

    def _record(self, graph: str) -> RunRecord:
        """Writes what the run reads; its record."""
        for kind, files in (("edges", self.volume.edges), ("components", self.volume.components)):
            storage = CloudFilesStorage(f"file://{self.folder}/{kind}")
            for name, data in files.items():
                storage.put(name, data)
        return record_of(
            self.volume,
            graph=graph,
            table=graph,
            edges=f"file://{self.folder}/edges",
            components=f"file://{self.folder}/components",
        )

    def _open(self) -> OpenRun:
        return open_run(self.backend, self.record)

    def plan_faults(self, script: Mapping[Chunk, Iterable[Point]]) -> None:
        """Has workers meet a fault at points of their work on chunks, once for each entry."""
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

    def work(self, variables: Mapping[str, str] | None = None, at_once: int = 1) -> WorkerProcess:
        """Starts a worker process with so many chunks under way; `variables` stand in place of the run's, as hosts
        of proxies do."""
        self.started += 1
        span = f"{self.record.plan.layers[0]}-{self.record.plan.layers[-1]}"
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        environ = {
            **kept,
            **self.variables,
            "FAULTS": str(self.script),
            "FAULT": self.fault,
            "LEASE_SECONDS": str(LEASE_SECONDS),
            **(variables or {}),
        }
        log = self.folder / f"worker-{self.started:04}.log"
        lanes = ["--at-once", str(at_once)]
        worker = WorkerProcess(environ, log, ["--layers", span, "--idle-seconds", "600", *lanes])
        self.workers.append(worker)
        return worker

    def reap(self) -> None:
        """Takes workers that have ended out of `workers`, and counts their exit codes in `ended`."""
        gone = [worker for worker in self.workers if worker.poll() is not None]
        self.workers = [worker for worker in self.workers if worker not in gone]
        self.ended.update(code for worker in gone if (code := worker.returncode) is not None)

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

    def begun(self) -> Counter[Attempt]:
        """The attempts that got as far as their inputs."""
        return self._noted("begun")

    def met(self) -> Counter[Attempt]:
        """The attempts that met their fault."""
        return self._noted("met")

    def told(self, *events: Event) -> Counter[Attempt]:
        """The attempts of which the workers' logs have one of these lines."""
        lines = [line for line in self.lines() if line["message"] in events]
        return Counter((chunk_of(str(line["chunk"])), int(str(line["attempt"]))) for line in lines)

    def lines(self) -> list[dict[str, object]]:
        """The events of all workers' logs, by worker; half a line of a killed one is left out."""
        texts = (path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))
        whole = (line for text in texts for line in text.splitlines() if line[:1] + line[-1:] == "{}")
        return [json.loads(line) for line in whole]

    def _noted(self, name: str) -> Counter[Attempt]:
        noted = self.script / name
        lines = noted.read_text().split() if noted.exists() else []
        pairs = (line.split(":") for line in lines)
        return Counter((chunk_of(chunk), int(attempt)) for chunk, attempt in pairs)

    def logs(self) -> str:
        """The end of each worker's log, for the message of a failed test."""
        last = sorted(self.folder.glob("worker-*.log"))[-6:]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in last)


def kill(worker: WorkerProcess) -> None:
    """Ends a worker, as the loss of its machine would."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGKILL)
        worker.wait(60.0)
