"""What functions know of runs: the run records in the scratch folder, and Firestore.

Variables, as in jobs/environment.py: PROJECT, DATABASE, SCRATCH; FIRESTORE_EMULATOR_HOST in tests. Its own
few lines, since a function's bundle has no jobs in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from shared.errors import StateError
from shared.files import CloudFilesStorage
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints
from shared.gcp.firestore import FirestoreCompletion
from shared.gcp.strays import FirestoreStrays
from shared.run.ports import Completion, Strays
from shared.run.record import RECORD_NAME, RunRecord


@dataclass
class CloudBooks:
    """Answers `shared.run.letters.Books`; connections are kept, records are read each time."""

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
        endpoints = Endpoints(project, instance="", database=environ["DATABASE"], firestore_host=host)
        return cls(endpoints, environ["SCRATCH"].rstrip("/"))

    def record(self, graph: str) -> RunRecord | None:
        """The current run of a graph, if it has one; `graph` is a name, checked with the message."""
        folder = CloudFilesStorage(f"{self.scratch}/{graph}")
        data = folder.get([RECORD_NAME])[RECORD_NAME]
        return None if data is None else RunRecord.decode(data, f"{folder.folder}/{RECORD_NAME}")

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
