"""The worker process, `jobs.worker`, with short leases and with faults at scripted points of its work.

A process is forked from one that has imported everything, as most of a worker's start are its imports, and runs
have dozens of workers. Invariants: that one has made no connection and started no thread, so what a worker finds is
what a new interpreter has; tests/e2e has workers with interpreters of their own.

The script is a folder (variable FAULTS) with an empty file for each fault that is to come, named
`{layer}_{x}_{y}_{z}.{number}.{POINT}`; a fault takes its file away. What it is says the variable FAULT.
Attempts are noted in `begun` and faults in `met`, each as the chunk and the number of its delivery.
GRACE_SECONDS stands in place of the program's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jobs.worker
from jobs.paths import REPOSITORY
from shared.gcp.backend import MAX_LEASE_SECONDS, GoogleBackend
from shared.plan.grid import Chunk
from shared.run.ports import Queue
from shared.work.open_runs import OpenRuns
from shared.work.steps import OpenRun
from tests.faults.crash import Faults, Point
from tests.faults.emulated import CRASHED


def name_of(chunk: Chunk) -> str:
    """A chunk as file names have it."""
    return "_".join(map(str, chunk))


@dataclass
class Folder:
    """A script whose entries are files, so that it outlives the process."""

    path: Path

    def take(self, chunk: Chunk, point: Point) -> bool:
        """Whether the chunk's first entry is this point."""
        entries = sorted(self.path.glob(f"{name_of(chunk)}.*.*"))
        if not entries or not entries[0].name.endswith(f".{point.name}"):
            return False
        entries[0].unlink(missing_ok=True)
        return True


@dataclass
class Noted(Faults):
    """Faults whose counts outlive the process, in a folder."""

    folder: Path = field(kw_only=True)

    def read(self) -> None:
        """Notes an attempt."""
        self.note("begun")
        super().read()

    def meet(self, point: Point) -> None:
        """Notes a fault, before it."""
        self.note("met")
        super().meet(point)

    def note(self, file_name: str) -> None:
        """Adds the attempt at work to a file."""
        if self.chunk is not None:
            with open(self.folder / file_name, "a", encoding="ascii") as file:
                file.write(f"{name_of(self.chunk)}:{self.attempt}\n")


def hang(_chunk: Chunk, _point: Point) -> None:
    """Work that takes far longer than a worker may go on when it is told to end."""
    time.sleep(600.0)


def hog(_chunk: Chunk, _point: Point) -> None:
    """Work that needs more memory than a worker may have."""
    bytes(64 << 30)


ACTIONS: dict[str, Callable[[Chunk, Point], None]] = {
    "exit": lambda _chunk, _point: os._exit(CRASHED),
    "hang": hang,
    "hog": hog,
}


def with_faults(faults: Noted, lease_seconds: int) -> tuple[type[GoogleBackend], type[OpenRuns]]:
    """The worker's backend with leases of a few seconds and faults in the queue, and its runs with faults in their
    ports."""

    class ShortLeases(GoogleBackend):
        def queue(self, layers: Sequence[int], at_once: int = 1) -> Queue:
            from shared.gcp.pubsub.queue import PubSubQueue

            inner = PubSubQueue(
                self.endpoints,
                self.environment.prefix,
                layers,
                MAX_LEASE_SECONDS,
                prefetch=at_once + 3,
                extension_seconds=lease_seconds,
            )
            return faults.queue(inner)

    class FaultyRuns(OpenRuns):
        def open(self, graph: str, run: str) -> OpenRun | None:
            opened = super().open(graph, run)
            return opened and faults.run(opened)

    return ShortLeases, FaultyRuns


def work(environ: Mapping[str, str], log: Path, arguments: Sequence[str]) -> None:
    """Is a worker, in a process that was forked for it: leads a session, has these variables and no other, and
    writes all that it says into a file."""
    os.setsid()
    for descriptor, name, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_CREAT)):
        opened = os.open(name, flags, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(REPOSITORY)
    os.environ.clear()
    os.environ.update(environ)
    folder = Path(environ["FAULTS"])
    faults = Noted(Folder(folder), ACTIONS[environ["FAULT"]], folder=folder)
    backend, runs = with_faults(faults, int(environ["LEASE_SECONDS"]))
    grace = float(environ.get("GRACE_SECONDS", jobs.worker.GRACE_SECONDS))
    vars(jobs.worker).update(GRACE_SECONDS=grace, GoogleBackend=backend, OpenRuns=runs)
    # Whoever forked it is gone when the tests are.
    jobs.worker.main([*arguments, "--parent", str(os.getppid())])
