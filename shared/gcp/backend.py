"""What answers all ports in Google Cloud, or on its emulators where the environment names their hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.environment import EMULATORS
from shared.errors import StateError
from shared.gcp.clients import Endpoints
from shared.gcp.progress import GoogleProgress
from shared.inputs.folder import InputFiles, plain_location
from shared.inputs.raw.ranges import RangeReader
from shared.ranges import CloudFilesRanges
from shared.run.ports import DEAD, Delivery, Folder, Queue, Table

MAX_LEASE_SECONDS = 168 * 3600
"""A lease is extended for as long as a Cloud Run task may last; a dead worker's ends by itself."""


@dataclass
class GoogleBackend(GoogleProgress):
    """Answers `shared.run.backend.Backend`. StateError without a project where an emulator is missing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.environment.project is None and (missing := set(EMULATORS) - set(self.environment.hosts)):
            names = ", ".join(sorted(missing))
            raise StateError(f"no PROJECT is given, and no emulator for {names}; start them with: make ingest")

    def inputs(self, folder: str) -> Folder:
        """Input files of a disk, bucket or web server."""
        return InputFiles(folder)

    def ranges(self, folder: str) -> RangeReader:
        """Parts of files of a disk or bucket."""
        return CloudFilesRanges(plain_location(folder))

    def queue(self, layers: Sequence[int], at_once: int = 1) -> Queue:
        """A connection to Pub/Sub, from which so many messages are worked on at once."""
        from shared.gcp.pubsub.queue import PubSubQueue

        return PubSubQueue(self.endpoints, self.environment.prefix, layers, MAX_LEASE_SECONDS, at_once + 3)

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Table:
        """A table in Bigtable; a verification reads it by the app profile for that, if there is one."""
        from shared.gcp.bigtable.table import BigtableTable

        profile = self.environment.verify_profile if verifying else None
        return BigtableTable(self._with_instance(instance), name, profile=profile)

    def prepare(self, layers: Sequence[int]) -> None:
        """Makes topics and subscriptions on emulators; in a project Terraform has made them."""
        from shared.gcp.pubsub.queue import create_topics

        if self.environment.project is None:
            create_topics(self.endpoints, self.environment.prefix, layers)

    def dead_letters(self) -> Iterable[Delivery]:
        """What waits in the pull subscription of the dead letters."""
        from shared.gcp.pubsub.pending import Waiting

        return Waiting(self.endpoints, self.environment.prefix, DEAD)

    def refused_credentials(self) -> str | None:
        """Why this machine's credentials cannot be used, where a service needs them; None if they can."""
        from shared.gcp.clients import refused_credentials

        return refused_credentials(self.endpoints)

    def need_topics(self, layers: Sequence[int]) -> None:
        """StateError naming the subscriptions of layers, and of the dead letters, that are not there."""
        from shared.gcp.pubsub.queue import missing_subscriptions

        missing = missing_subscriptions(self.endpoints, self.environment.prefix, (DEAD, *layers))
        if missing:
            raise StateError(f"there are no subscriptions {', '.join(missing)}")

    def need_instance(self, instance: str | None) -> None:
        """StateError if there is no such Bigtable instance."""
        from shared.gcp.bigtable.table import need_instance

        need_instance(self._with_instance(instance))

    def _with_instance(self, instance: str | None) -> Endpoints:
        endpoints = self.endpoints
        if self.environment.instance is None and self.environment.project is not None:
            if instance is None:
                raise StateError("the Bigtable instance is not known; give it as INSTANCE=…, or in the dataset")
            endpoints = replace(endpoints, instance=instance)
        return endpoints
