"""The environment variables that programs here read, in one place and once.

| variable | meaning |
|---|---|
| INGEST_PROJECT, INGEST_INSTANCE | the Google Cloud project and Bigtable instance; without a project all is local |
| INGEST_VERIFY_PROFILE | the app profile of that instance by which verifications read, if it has one for them |
| INGEST_DATABASE | the named Firestore database |
| INGEST_SCRATCH | folder of hand-offs and run records, any protocol that cloud-files knows |
| INGEST_PREFIX | what topics and subscriptions start with |
| INGEST_MEMORY_MIB | memory that a worker process may take; its share of the container or machine unless given |
| CLOUD_RUN_EMULATOR_HOST | a stand-in for Cloud Run Jobs to use with a project, for tests |
| GOOGLE_APIS_EMULATOR_HOST | a stand-in for what `doctor` and `logs` ask of a project |
| BIGTABLE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST, FIRESTORE_EMULATOR_HOST | emulators to use |

Why the prefix: PREFIX, DATABASE and their like stand in many a shell for something else, and would
redirect a run. The hosts have the names that Google's own clients know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import StateError
from shared.service_names import RULES, host_problem

EMULATORS = ("BIGTABLE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST")
RUN_HOST = "CLOUD_RUN_EMULATOR_HOST"
APIS_HOST = "GOOGLE_APIS_EMULATOR_HOST"
DEFAULT_NAME = "chunkedgraph-ingest"
"""The prefix of topics and subscriptions, and the name of the database, unless others are given."""

USABLE = 0.9
"""The part of a container's memory that its workers may take together; terraform/layers.tf has the same."""


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
    apis_host: str | None = None
    verify_profile: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str], local_scratch: str = "") -> Environment:
        """Reads `environ`; empty values count as not set, as make passes them. `local_scratch` is the
        scratch folder without a project, unless one is given. StateError with every value that no service takes."""
        given = {name: value for name, value in environ.items() if value}
        if problems := _problems(given):
            raise StateError("\n".join(problems))
        memory = given.get("INGEST_MEMORY_MIB")
        project, prefix = given.get("INGEST_PROJECT"), given.get("INGEST_PREFIX", DEFAULT_NAME)
        return cls(
            project=project,
            instance=given.get("INGEST_INSTANCE"),
            database=given.get("INGEST_DATABASE", DEFAULT_NAME),
            hosts={name: given[name] for name in EMULATORS if name in given},
            # The bucket that Terraform makes for a project.
            scratch=given.get("INGEST_SCRATCH", f"gs://{project}-{prefix}-scratch" if project else local_scratch),
            prefix=prefix,
            memory_mib=int(memory) if memory else None,
            run_host=given.get(RUN_HOST),
            apis_host=given.get(APIS_HOST),
            verify_profile=given.get("INGEST_VERIFY_PROFILE"),
        )

    @property
    def bucket(self) -> str:
        """The name of the bucket that scratch is in; empty where it is in none of Google's."""
        return self.scratch.removeprefix("gs://").partition("/")[0] if self.scratch.startswith("gs://") else ""

    @property
    def has_apis(self) -> bool:
        """Whether Google's REST APIs answer for all of this: not where emulators are the services."""
        return self.apis_host is not None or not (self.hosts or self.run_host)

    def variables(self) -> dict[str, str]:
        """The variables that give another process the same environment."""
        optional = {
            "INGEST_PROJECT": self.project,
            "INGEST_INSTANCE": self.instance,
            "INGEST_VERIFY_PROFILE": self.verify_profile,
            "INGEST_MEMORY_MIB": None if self.memory_mib is None else str(self.memory_mib),
        }
        return {
            "INGEST_DATABASE": self.database,
            "INGEST_SCRATCH": self.scratch,
            "INGEST_PREFIX": self.prefix,
            **self.hosts,
            **{name: value for name, value in optional.items() if value},
        }


def _problems(given: Mapping[str, str]) -> list[str]:
    """A sentence for each variable whose value cannot be meant."""
    told = {name: rule.problem(given[name]) for name, rule in RULES.items() if name in given}
    told |= {name: host_problem(given[name]) for name in (*EMULATORS, RUN_HOST, APIS_HOST) if name in given}
    return [f"{name} = {given[name]!r:.200} {problem}" for name, problem in told.items() if problem]
