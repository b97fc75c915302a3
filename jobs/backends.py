"""What answers the ports: Google's services or their emulators, or the memory of this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from jobs.environment import Environment
from shared.dispatch.ports import Board, Jobs
from shared.errors import StateError
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints
from shared.memory.completion import MemoryCompletion, MemoryStrays
from shared.memory.dispatch import MemoryBoard
from shared.memory.queue import MemoryBroker
from shared.memory.table import MemoryTable
from shared.run.ports import DEAD, Completion, Delivery, Queue, Strays, Table

MAX_LEASE_SECONDS = 168 * 3600
"""A lease is extended for as long as a Cloud Run task may last; a dead worker's ends by itself."""


class Backend(Protocol):
    """Opens the ports. Each call opens anew; who opens a queue closes it."""

    environment: Environment

    def queue(self, layers: Sequence[int]) -> Queue:
        """A queue that receives from `layers` and publishes to any."""

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""

    def table(self, name: str, instance: str | None) -> Table:
        """A graph's table; `instance` is the one of its dataset, where the environment names none."""

    def prepare(self, layers: Sequence[int]) -> None:
        """Makes topics and subscriptions, where they are not there."""

    def letters(self) -> Iterable[Delivery]:
        """The dead letters that nobody has noted yet, as deliveries to be acked."""

    def strays(self) -> Strays:
        """The dead letters that belong to no known run."""

    def board(self) -> Board:
        """Where dispatch is told of graphs with work."""


@dataclass
class GoogleBackend:
    """Google Cloud, or its emulators where the environment names their hosts."""

    environment: Environment

    @property
    def endpoints(self) -> Endpoints:
        """Where the services are."""
        hosts = self.environment.hosts
        if self.environment.project is None and len(hosts) < 3:
            raise StateError("no PROJECT is given, and no emulators run; start them with: make ingest")
        return Endpoints(
            project=self.environment.project or EMULATOR_PROJECT,
            instance=self.environment.instance or "emulator",
            database=self.environment.database,
            bigtable_host=hosts.get("BIGTABLE_EMULATOR_HOST"),
            pubsub_host=hosts.get("PUBSUB_EMULATOR_HOST"),
            firestore_host=hosts.get("FIRESTORE_EMULATOR_HOST"),
            run_host=self.environment.run_host,
        )

    def queue(self, layers: Sequence[int]) -> Queue:
        """A connection to Pub/Sub."""
        from shared.gcp.pubsub import PubSubQueue

        return PubSubQueue(self.endpoints, self.environment.prefix, layers, MAX_LEASE_SECONDS, prefetch=4)

    def completion(self, graph: str, run: str) -> Completion:
        """Records in Firestore."""
        from shared.gcp.firestore import FirestoreCompletion

        return FirestoreCompletion(self.endpoints, graph, run)

    def table(self, name: str, instance: str | None) -> Table:
        """A table in Bigtable."""
        from shared.gcp.bigtable import BigtableTable

        return BigtableTable(self._with_instance(instance), name)

    def _with_instance(self, instance: str | None) -> Endpoints:
        endpoints = self.endpoints
        if self.environment.instance is None and self.environment.project is not None:
            if instance is None:
                raise StateError("the Bigtable instance is not known; give it as INSTANCE=…, or in the dataset")
            endpoints = replace(endpoints, instance=instance)
        return endpoints

    def prepare(self, layers: Sequence[int]) -> None:
        """Makes topics and subscriptions on emulators; in a project Terraform has made them."""
        from shared.gcp.pubsub import create_topics

        if self.environment.project is None:
            create_topics(self.endpoints, self.environment.prefix, layers)

    def letters(self) -> Iterable[Delivery]:
        """What waits in the pull subscription of the dead letters."""
        from shared.gcp.waiting import Waiting

        return Waiting(self.endpoints, self.environment.prefix, DEAD)

    def strays(self) -> Strays:
        """Letters in Firestore."""
        from shared.gcp.strays import FirestoreStrays

        return FirestoreStrays(self.endpoints)

    def jobs(self) -> Jobs:
        """Cloud Run Jobs."""
        from shared.gcp.jobs import CloudRunJobs

        return CloudRunJobs(self.endpoints)

    def refused_credentials(self) -> str | None:
        """Why this machine's credentials cannot be used, where a service needs them; None if they can."""
        from shared.gcp.clients import refused_credentials

        return refused_credentials(self.endpoints)

    def need_topics(self, layers: Sequence[int]) -> None:
        """StateError naming the subscriptions of layers, and of the dead letters, that are not there."""
        from shared.gcp.pubsub import missing_subscriptions

        missing = missing_subscriptions(self.endpoints, self.environment.prefix, (DEAD, *layers))
        if missing:
            raise StateError(f"there are no subscriptions {', '.join(missing)}")

    def need_instance(self, instance: str | None) -> None:
        """StateError if there is no such Bigtable instance."""
        from shared.gcp.bigtable import need_instance

        need_instance(self._with_instance(instance))

    def board(self) -> Board:
        """A board in Firestore."""
        from shared.gcp.board import FirestoreBoard

        return FirestoreBoard(self.endpoints)


@dataclass
class MemoryBackend:
    """The memory of this process: for machines without emulators, and gone with the process."""

    environment: Environment
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    completions: dict[tuple[str, str], MemoryCompletion] = field(default_factory=dict)
    tables: dict[str, MemoryTable] = field(default_factory=dict)
    kept_strays: MemoryStrays = field(default_factory=MemoryStrays)
    kept_board: MemoryBoard = field(default_factory=MemoryBoard)

    def queue(self, layers: Sequence[int]) -> Queue:
        """Another opening of the one broker."""
        return self.broker.open(layers)

    def completion(self, graph: str, run: str) -> Completion:
        """The records of a run, the same each time."""
        return self.completions.setdefault((graph, run), MemoryCompletion())

    def table(self, name: str, instance: str | None) -> Table:
        """The table of that name, the same each time."""
        return self.tables.setdefault(name, MemoryTable(name))

    def prepare(self, layers: Sequence[int]) -> None:
        """Nothing to prepare."""

    def letters(self) -> Iterator[Delivery]:
        """What waits in the dead letters."""
        queue = self.broker.open([DEAD])
        while (delivery := queue.receive(0.0)) is not None:
            yield delivery

    def strays(self) -> Strays:
        """Letters in memory."""
        return self.kept_strays

    def board(self) -> Board:
        """A board in memory."""
        return self.kept_board
