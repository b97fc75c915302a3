"""The worker process, `jobs.worker`, with short leases and with its end at scripted points of its work.

The script is a folder (variable FAULTS) with an empty file for each crash that is to come, named
`{layer}_{x}_{y}_{z}.{number}.{POINT}`; a crash takes its file away. Attempts are noted in `begun`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jobs.worker
from jobs.backends import MAX_LEASE_SECONDS, GoogleBackend, OpenRuns
from shared.plan.grid import Chunk
from shared.run.ports import Queue
from shared.run.work import OpenRun
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
    """Faults that end the process, and whose counts outlive it."""

    def read(self) -> None:
        """Notes an attempt."""
        if self.chunk is not None:
            with open(FOLDER / "begun", "a", encoding="ascii") as file:
                file.write(f"{name_of(self.chunk)}\n")
        super().read()


FAULTS = Noted(Folder(FOLDER), lambda _chunk, _point: os._exit(CRASHED))


class ShortLeases(GoogleBackend):
    """The same services with leases of a few seconds, and faults in the queue."""

    def queue(self, layers: Sequence[int]) -> Queue:
        """A connection to Pub/Sub."""
        from shared.gcp.pubsub import PubSubQueue

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
    jobs.worker.GoogleBackend = ShortLeases
    jobs.worker.OpenRuns = FaultyRuns
    jobs.worker.main()
