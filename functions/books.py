"""What functions know of runs: the records in the scratch folder, and Firestore.

Variables, as in jobs/environment.py: PROJECT, DATABASE, SCRATCH; in tests FIRESTORE_EMULATOR_HOST and
CLOUD_RUN_EMULATOR_HOST too. Its own few lines, since a function's bundle has no jobs in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from shared.dispatch.fleet import Fleet
from shared.dispatch.ports import Board, Jobs
from shared.dispatch.round import read_fleets
from shared.errors import StateError
from shared.files import CloudFilesStorage
from shared.gcp.board import FirestoreBoard
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints
from shared.gcp.firestore import FirestoreCompletion
from shared.gcp.strays import FirestoreStrays
from shared.run.control import Control, read_control
from shared.run.ports import Completion, Strays
from shared.run.record import RECORD_NAME, RunRecord


@dataclass
class CloudBooks:
    """Answers `shared.run.letters.Books` and `shared.dispatch.ports.Books`: connections are kept, records
    are read each time."""

    endpoints: Endpoints
    scratch: str
    kept: dict[tuple[str, str], Completion] = field(default_factory=dict)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> CloudBooks:
        """What the variables say; StateError if one is missing."""
        missing = [name for name in ("SCRATCH", "DATABASE") if not environ.get(name)]
        host = environ.get("FIRESTORE_EMULATOR_HOST") or None
        project = environ.get("PROJECT") or (EMULATOR_PROJECT if host else "")
        if missing or not project:
            raise StateError(f"the function needs the variables {', '.join(missing or ['PROJECT'])}")
        endpoints = Endpoints(
            project,
            instance="",
            database=environ["DATABASE"],
            firestore_host=host,
            run_host=environ.get("CLOUD_RUN_EMULATOR_HOST") or None,
        )
        return cls(endpoints, environ["SCRATCH"].rstrip("/"))

    def record(self, graph: str) -> RunRecord | None:
        """The current run of a graph, if it has one; `graph` is a name, checked with the message."""
        folder = CloudFilesStorage(f"{self.scratch}/{graph}")
        data = folder.get([RECORD_NAME])[RECORD_NAME]
        return None if data is None else RunRecord.decode(data, f"{folder.folder}/{RECORD_NAME}")

    def control(self, graph: str) -> Control:
        """What an operator wants of a graph's run."""
        return read_control(CloudFilesStorage(f"{self.scratch}/{graph}"))

    def fleets(self) -> list[Fleet]:
        """The Jobs that may be run; StateError without their object."""
        return read_fleets(CloudFilesStorage(self.scratch))

    def jobs(self) -> Jobs:
        """Cloud Run Jobs."""
        from shared.gcp.jobs import CloudRunJobs

        return CloudRunJobs(self.endpoints)

    def board(self) -> Board:
        """The board that all who dispatch share."""
        return FirestoreBoard(self.endpoints)

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""
        if (graph, run) not in self.kept:
            self.kept[graph, run] = FirestoreCompletion(self.endpoints, graph, run)
        return self.kept[graph, run]

    def strays(self) -> Strays:
        """The letters that belong to no run."""
        return FirestoreStrays(self.endpoints)


@cache
def open_books() -> CloudBooks:
    """The books of this process."""
    return CloudBooks.read(os.environ)
