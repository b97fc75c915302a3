"""What is known of runs, in Google's services or their emulators: all that functions and dispatch need.

Apart from the backend, as the functions' bundles have no client of the queue or the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.bucket_credentials import bucket_of
from shared.classify import Classifier, Classify
from shared.dispatch.ports import Jobs
from shared.environment import Environment
from shared.errors import StateError
from shared.files import CloudFilesStorage, bucket_errors
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints, credentials
from shared.gcp.faults import google_errors
from shared.gcp.firestore.board import FirestoreBoard
from shared.gcp.firestore.completion import FirestoreCompletion
from shared.gcp.firestore.orphans import FirestoreOrphans
from shared.run.ports import Board, Completion, Orphans, Storage

CLASSIFY = Classifier(bucket_errors, google_errors)
"""Knows the errors of buckets and of Google's libraries."""


def endpoints_of(environment: Environment) -> Endpoints:
    """Where the services are: in the project, or at the hosts of emulators."""
    hosts = environment.hosts
    return Endpoints(
        project=environment.project or EMULATOR_PROJECT,
        instance=environment.instance or "emulator",
        database=environment.database,
        bigtable_host=hosts.get("BIGTABLE_EMULATOR_HOST"),
        pubsub_host=hosts.get("PUBSUB_EMULATOR_HOST"),
        firestore_host=hosts.get("FIRESTORE_EMULATOR_HOST"),
        run_host=environment.run_host,
    )


@dataclass
class GoogleProgress:
    """Answers `shared.run.backend.Progress`. StateError without a scratch folder, or if neither a project
    nor the host of Firestore is given."""

    environment: Environment

    def __post_init__(self) -> None:
        if not self.environment.scratch:
            raise StateError("INGEST_SCRATCH is not given, nor a project whose bucket it could be")
        if self.environment.project is None and "FIRESTORE_EMULATOR_HOST" not in self.environment.hosts:
            raise StateError("no PROJECT is given, and no emulators run; start them with: make ingest")

    @property
    def endpoints(self) -> Endpoints:
        """Where the services are."""
        return endpoints_of(self.environment)

    @property
    def project(self) -> str | None:
        """The Google Cloud project; None for emulators."""
        return self.environment.project

    @property
    def scratch(self) -> str:
        """The folder that holds a folder for each graph."""
        return self.environment.scratch

    @property
    def classify(self) -> Classify:
        """Knows the errors of buckets and of Google's libraries."""
        return CLASSIFY

    def storage(self, folder: str) -> Storage:
        """Files of a disk or objects of a bucket: the scratch bucket by the run's own credentials, whatever secret
        file a lab has for its inputs."""
        bucket = bucket_of(self.scratch)
        own = self.project is not None and bucket is not None and bucket_of(folder) == bucket
        return CloudFilesStorage(folder, credentials(self.endpoints.project) if own else None)

    def completion(self, graph: str, run: str) -> Completion:
        """Records in Firestore."""
        return FirestoreCompletion(self.endpoints, graph, run)

    def orphans(self) -> Orphans:
        """Dead letters in Firestore."""
        return FirestoreOrphans(self.endpoints)

    def board(self) -> Board:
        """A board in Firestore."""
        return FirestoreBoard(self.endpoints)

    def jobs(self) -> Jobs:
        """Cloud Run Jobs."""
        from shared.gcp.cloudrun.jobs import CloudRunJobs

        return CloudRunJobs(self.endpoints)
