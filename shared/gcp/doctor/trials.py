"""A message, a document and a row through Google's services and back, and nothing is left of them.

Invariants: what is made has a name of its own that nothing else has, and goes also where something fails between;
a table goes only if it was made here.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from shared.errors import StateError
from shared.gcp.bigtable.rows import bigtable_message
from shared.gcp.bigtable.table import BigtableTable
from shared.gcp.clients import (
    Endpoints,
    api_errors,
    bigtable_channel,
    firestore,
    publisher,
    routed,
    subscriber,
    table_admin,
)
from shared.table.columns import Family

SECONDS = 30.0
"""How long a call may take."""

FAMILY = "0"
"""A family that the table of every graph has."""

COLLECTION = "doctor"


class GoogleTrials:
    """Answers `shared.doctor.trials.Trials`. `makes_tables` as whoever may make one; workers may not."""

    def __init__(self, endpoints: Endpoints, prefix: str, makes_tables: bool = True) -> None:
        self._endpoints = endpoints
        self._prefix = prefix
        self._makes_tables = makes_tables
        self._name = f"doctor-{uuid.uuid4().hex[:12]}"

    def message(self) -> None:
        """By a topic and a subscription of its own; the latter would expire by itself after a day."""
        topics, subscriptions = publisher(self._endpoints), subscriber(self._endpoints)
        topic = f"projects/{self._endpoints.project}/topics/{self._prefix}-{self._name}"
        subscription = topic.replace("/topics/", "/subscriptions/")
        with _refusals(), contextlib.ExitStack() as later:
            later.callback(topics.transport.close)
            later.callback(subscriptions.transport.close)
            topics.create_topic(name=topic, timeout=SECONDS)
            later.callback(topics.delete_topic, topic=topic, timeout=SECONDS)
            policy = {"ttl": timedelta(days=1)}
            request = {"name": subscription, "topic": topic, "expiration_policy": policy}
            subscriptions.create_subscription(request=request, timeout=SECONDS)
            later.callback(subscriptions.delete_subscription, subscription=subscription, timeout=SECONDS)
            topics.publish(topic=topic, messages=[{"data": self._name.encode()}], timeout=SECONDS)
            pulled = subscriptions.pull(
                subscription=subscription, max_messages=1, timeout=SECONDS
            ).received_messages
            if [one.message.data for one in pulled] != [self._name.encode()]:
                raise StateError(f"what was published to {topic} did not come back: {len(pulled)} messages came")
            subscriptions.acknowledge(subscription=subscription, ack_ids=[pulled[0].ack_id], timeout=SECONDS)

    def document(self) -> None:
        """In a collection of its own."""
        reference = firestore(self._endpoints).document(f"{COLLECTION}/{self._name}")
        with _refusals():
            try:
                reference.set({"written": True}, timeout=SECONDS)
                if reference.get(timeout=SECONDS).to_dict() != {"written": True}:
                    raise StateError(f"document {COLLECTION}/{self._name} did not come back as it was written")
            finally:
                reference.delete(timeout=SECONDS)

    def row(self, table: str) -> None:
        """Under a key that no graph has."""
        key = self._name.encode()
        with self.holding([table] if self._makes_tables else []), _refusals():
            cell = {"family_name": FAMILY, "column_qualifier": b"doctor", "timestamp_micros": 0, "value": key}
            self._mutate(table, key, {"set_cell": cell})
            try:
                rows = list(BigtableTable(self._endpoints, table).read_keys([key]))
            finally:
                self._mutate(table, key, {"delete_from_row": {}})
        if [row.key for row in rows] != [key]:
            raise StateError(f"the row that was written to table {table} was not there when it was read")

    @contextlib.contextmanager
    def holding(self, tables: Sequence[str]) -> Iterator[None]:
        """Has tables be there meanwhile; those that were made for it go at the end."""
        parent = f"projects/{self._endpoints.project}/instances/{self._endpoints.instance}/tables/"
        with contextlib.ExitStack() as later:
            for table in tables:
                if self._make(table):
                    delete = table_admin(self._endpoints).delete_table
                    later.callback(delete, name=f"{parent}{table}", timeout=SECONDS)
            yield

    def _make(self, table: str) -> bool:
        """Makes the table; False if it is there, which is then somebody's."""
        there = BigtableTable(self._endpoints, table)
        with _refusals():
            if there.exists():
                return False
            there.create([Family(FAMILY)])
        return True

    def _mutate(self, table: str, key: bytes, mutation: Mapping[str, Any]) -> None:
        name = f"projects/{self._endpoints.project}/instances/{self._endpoints.instance}/tables/{table}"
        call = bigtable_channel(self._endpoints).unary_unary(
            "/google.bigtable.v2.Bigtable/MutateRow",
            request_serializer=bigtable_message("MutateRowRequest").SerializeToString,
            response_deserializer=bigtable_message("MutateRowResponse").FromString,
        )
        request = bigtable_message("MutateRowRequest")(table_name=name, row_key=key, mutations=[mutation])
        with api_errors(f"there is no table {table} in {self._endpoints.instance}"):
            call(request, timeout=SECONDS, metadata=routed("table_name", name))


class FirestoreNotes:
    """Answers `shared.doctor.inside.Notes`: a document a task, below the name of what it was started for."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def put(self, name: str, task: int, seen: Mapping[str, Any]) -> None:
        """Writes what a task saw."""
        self._document(name, task).set(dict(seen), timeout=SECONDS)

    def take(self, name: str, tasks: int) -> list[Mapping[str, Any]]:
        """What the tasks wrote, which is gone then."""
        found = []
        for task in range(tasks):
            reference = self._document(name, task)
            seen = reference.get(timeout=SECONDS).to_dict()
            if seen is not None:
                found.append(seen)
                reference.delete(timeout=SECONDS)
        return found

    def _document(self, name: str, task: int) -> Any:
        return firestore(self._endpoints).document(f"{COLLECTION}/{name}-{task}")


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what does not pass by itself into StateError."""
    from google.api_core import exceptions

    try:
        yield
    except (exceptions.Forbidden, exceptions.NotFound, exceptions.FailedPrecondition) as error:
        raise StateError(error.message) from error
