"""The worker process, `jobs.worker`, with short leases and with faults at scripted points of its work.

GRACE_SECONDS in the environment stands in place of the program's own.

The script is a folder (variable FAULTS) with an empty file for each fault that is to come, named
`{layer}_{x}_{y}_{z}.{number}.{POINT}`; a fault takes its file away. What it is says the variable FAULT.
Attempts are noted in `begun` and faults in `met`, each as the chunk and the number of its delivery.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jobs.worker
from shared.gcp.backend import MAX_LEASE_SECONDS, GoogleBackend
from shared.plan.grid import Chunk
from shared.run.ports import Queue
from shared.work.open_runs import OpenRuns
from shared.work.steps import OpenRun
from tests.faults.crash import Faults, Point
from tests.faults.emulated import CRASHED

FOLDER = Path(os.environ["FAULTS"])


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


class Noted(Faults):
    """Faults whose counts outlive the process."""

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
            with open(FOLDER / file_name, "a", encoding="ascii") as file:
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
FAULTS = Noted(Folder(FOLDER), ACTIONS[os.environ["FAULT"]])


class ShortLeases(GoogleBackend):
    """The same services with leases of a few seconds, and faults in the queue."""

    def queue(self, layers: Sequence[int]) -> Queue:
        """A connection to Pub/Sub."""
        from shared.gcp.pubsub.queue import PubSubQueue

        seconds = int(os.environ["LEASE_SECONDS"])
        inner = PubSubQueue(
            self.endpoints,
            self.environment.prefix,
            layers,
            MAX_LEASE_SECONDS,
            prefetch=4,
            extension_seconds=seconds,
        )
        return FAULTS.queue(inner)


class FaultyRuns(OpenRuns):
    """Runs with faults in their ports."""

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run, if it is the graph's current one."""
        opened = super().open(graph, run)
        return opened and FAULTS.run(opened)


if __name__ == "__main__":
    grace = float(os.environ.get("GRACE_SECONDS", jobs.worker.GRACE_SECONDS))
    vars(jobs.worker).update(GRACE_SECONDS=grace, GoogleBackend=ShortLeases, OpenRuns=FaultyRuns)
    jobs.worker.main()
