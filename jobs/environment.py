"""The environment variables that programs here read, in one place and once.

| variable | meaning |
|---|---|
| PROJECT, INSTANCE | the Google Cloud project and Bigtable instance; without PROJECT everything is local |
| DATABASE | the named Firestore database |
| CLOUD_RUN_EMULATOR_HOST | a stand-in for Cloud Run Jobs to use with PROJECT, for tests |
| BIGTABLE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST, FIRESTORE_EMULATOR_HOST | emulators to use |
| SCRATCH | folder of hand-offs and run records, any protocol that cloud-files knows |
| PREFIX | what topics and subscriptions start with |
| MEMORY_MIB | memory that a worker process may take; its share of the container or machine unless given |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import StateError

EMULATORS = ("BIGTABLE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST")
REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / "build" / "local"
"""Where the state of local emulators, their scratch folder and logs are."""


@dataclass(frozen=True)
class Environment:
    """What the variables say; `hosts` has the emulators that are given, by variable."""

    project: str | None
    instance: str | None
    database: str
    hosts: Mapping[str, str]
    scratch: str
    prefix: str
    memory_mib: int | None = None
    run_host: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Environment:
        """Reads `environ`; empty values count as not set, as make passes them."""
        given = {name: value for name, value in environ.items() if value}
        memory = given.get("MEMORY_MIB")
        if memory is not None and not (memory.isdecimal() and int(memory) > 0):
            raise StateError(f"MEMORY_MIB = {memory!r} is no number of MiB from 1")
        project, prefix = given.get("PROJECT"), given.get("PREFIX", "chunkedgraph-ingest")
        local = f"file://{LOCAL / 'scratch'}"
        return cls(
            project=project,
            instance=given.get("INSTANCE"),
            database=given.get("DATABASE", "chunkedgraph-ingest"),
            hosts={name: given[name] for name in EMULATORS if name in given},
            # The bucket that Terraform makes for a project.
            scratch=given.get("SCRATCH", f"gs://{project}-{prefix}-scratch" if project else local),
            prefix=prefix,
            memory_mib=int(memory) if memory else None,
            run_host=given.get("CLOUD_RUN_EMULATOR_HOST"),
        )

    def variables(self) -> dict[str, str]:
        """The variables that give another process the same environment."""
        memory = None if self.memory_mib is None else str(self.memory_mib)
        optional = {"PROJECT": self.project, "INSTANCE": self.instance, "MEMORY_MIB": memory}
        return {
            "DATABASE": self.database,
            "SCRATCH": self.scratch,
            "PREFIX": self.prefix,
            **self.hosts,
            **{name: value for name, value in optional.items() if value},
        }
