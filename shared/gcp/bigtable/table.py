"""A graph's table in Bigtable: bulk writes that try again row by row, and plain reads.

Invariants: the cells of one row go together in one entry, so a row is written whole or not at
all; each cell carries the run's time, so a second write puts the same cells over the first. Only
rows whose own status is a passing fault are sent again. The library's own client is not used: it
takes an emulator from the environment only, and exports metrics unasked.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from shared.errors import Denied, IngestError, Refused, StateError, Unreachable
from shared.gcp.bigtable.answers import Failed, failed_rows
from shared.gcp.bigtable.rows import bigtable_message, merge_chunks, merged, newest
from shared.gcp.bigtable.scanned import Scanner
from shared.gcp.bigtable.wire import Rows, deletions, encode_rows
from shared.gcp.clients import (
    Backoff,
    Endpoints,
    api_errors,
    bigtable_channel,
    routed,
    table_admin,
    transient_errors,
)
from shared.run.ports import Row
from shared.table.cells import Cells
from shared.table.columns import Column, Family
from shared.table.scan import Scan

IN_FLIGHT = 4
"""Requests under way at once: one is built while others are written."""

KEYS_A_READ = 2_000
WRITE_SECONDS = 120.0
READ_SECONDS = 600.0
DEADLINE_SECONDS = 300.0
"""How long a request that fails in passing is tried again."""

TRANSIENT = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED", "INTERNAL"}
ERRORS: dict[str, type[IngestError]] = {
    **dict.fromkeys((*TRANSIENT, "UNAUTHENTICATED"), Unreachable),
    "PERMISSION_DENIED": Denied,
    **dict.fromkeys(("INVALID_ARGUMENT", "OUT_OF_RANGE"), Refused),
}
"""What the status of a row that is not written says; others may be anything."""

Mutate = Callable[[bytes], Iterable[bytes]]
"""Sends one encoded MutateRowsRequest; the MutateRowsResponses of it, encoded, as they come."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def need_instance(endpoints: Endpoints) -> None:
    """StateError if there is no such instance; by its tables, as whoever makes one may list them."""
    name = f"projects/{endpoints.project}/instances/{endpoints.instance}"
    with api_errors(f"there is no Bigtable instance {name}"):
        next(iter(table_admin(endpoints).list_tables(request={"parent": name, "view": "NAME_ONLY"})), None)


class BigtableTable:
    """The table `table_id`; answers `shared.run.ports.Table`. `mutate` replaces the wire, for tests. It is read by
    the app profile `profile`, if one is given, and written by the default one always."""

    def __init__(
        self,
        endpoints: Endpoints,
        table_id: str,
        mutate: Mutate | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        profile: str | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._instance = f"projects/{endpoints.project}/instances/{endpoints.instance}"
        self._id = table_id
        self._name = f"{self._instance}/tables/{table_id}"
        self._missing = f"there is no table {table_id} in {self._instance}; create it first"
        self._mutate = mutate
        self._deadline = deadline_seconds
        self._profile = profile

    def exists(self) -> bool:
        """Whether the table is there."""
        try:
            with api_errors(self._missing):
                table_admin(self._endpoints).get_table(request={"name": self._name, "view": "NAME_ONLY"})
        except StateError:
            return False
        return True

    def create(self, families: Sequence[Family], splits: Sequence[bytes] = ()) -> None:
        """Makes the table, in as many tablets as splits say; StateError if it is there already."""
        from google.api_core.exceptions import AlreadyExists

        wanted = {family.name: {"gc_rule": _gc_rule(family)} for family in families}
        request = {
            "parent": self._instance,
            "table_id": self._id,
            "table": {"column_families": wanted},
            "initial_splits": [{"key": key} for key in splits],
        }
        try:
            with api_errors(f"there is no Bigtable instance {self._instance}"):
                table_admin(self._endpoints).create_table(request=request)
        except AlreadyExists as error:
            raise StateError(f"table {self._id} already exists in {self._instance}") from error

    def families(self) -> list[Family]:
        """The column families that the table has; StateError without the table."""
        with api_errors(self._missing):
            table = table_admin(self._endpoints).get_table(request={"name": self._name, "view": "SCHEMA_VIEW"})
        return [_family(name, family.gc_rule) for name, family in sorted(table.column_families.items())]

    def set_families(self, families: Sequence[Family]) -> None:
        """Adds families, or changes their rules; StateError without the table."""
        there = {family.name: family for family in self.families()}
        changes = [
            {"id": family.name, "update" if family.name in there else "create": {"gc_rule": _gc_rule(family)}}
            for family in families
            if there.get(family.name) != family
        ]
        if changes:
            with api_errors(self._missing):
                table_admin(self._endpoints).modify_column_families(
                    request={"name": self._name, "modifications": changes}
                )

    def write(self, cells: Sequence[Cells], timestamp_ms: int) -> int:
        """Writes all cells with this timestamp; returns the number of rows.

        Raises StateError without the table, Denied where writing to it is not allowed, and IngestError
        naming row and status when a row is refused, or still fails when the deadline has passed.
        """
        mutate = self._mutate or self._mutate_rows
        flying: deque[tuple[Rows, Iterable[bytes]]] = deque()
        total = 0
        for rows in encode_rows(cells, timestamp_ms * 1000):
            if len(flying) == IN_FLIGHT:
                self._finish(mutate, *flying.popleft())
            flying.append((rows, mutate(rows.request(self._name))))
            total += len(rows.entries)
        while flying:
            self._finish(mutate, *flying.popleft())
        return total

    def read(self, ranges: Sequence[tuple[bytes, bytes]]) -> Iterator[Row]:
        """Rows with start <= key < end of each range, by key; StateError without the table."""
        return self._read(merged(ranges), [])

    def read_keys(self, keys: Sequence[bytes], column: Column | None = None) -> Iterator[Row]:
        """The rows of these keys that exist, or have a `column`, by key; StateError without the table."""
        left = iter(sorted(set(keys)))
        while some := list(islice(left, KEYS_A_READ)):
            yield from self._read([], some, column)

    def scan(self, ranges: Sequence[tuple[bytes, bytes]], only: Sequence[str] = ()) -> Scan:
        """The same rows as arrays; `only` some of the columns. StateError without the table."""
        scanner = Scanner()
        for _ in self._going_on(merged(ranges), [], only, scanner.keys, bytes):
            pass
        return scanner.taken()

    def delete_rows(self, keys: Sequence[bytes]) -> None:
        """Removes these rows; raises what `write` does."""
        mutate, left = self._mutate or self._mutate_rows, iter(sorted(set(keys)))
        while some := list(islice(left, KEYS_A_READ)):
            rows = deletions(some)
            self._finish(mutate, rows, mutate(rows.request(self._name)))

    @cached_property
    def _channel(self) -> Any:
        return bigtable_channel(self._endpoints)

    @cached_property
    def _mutate_rows(self) -> Mutate:
        return self._stub("MutateRows", WRITE_SECONDS)

    def _stub(self, method: str, timeout: float, profile: str | None = None) -> Callable[[bytes], Iterable[bytes]]:
        """Calls a method with an encoded request; its answers come encoded."""
        call = self._channel.unary_stream(f"/google.bigtable.v2.Bigtable/{method}")
        metadata = routed("table_name", self._name, **({"app_profile_id": profile} if profile else {}))
        return lambda request: call(request, timeout=timeout, metadata=metadata)

    def _finish(self, mutate: Mutate, rows: Rows, answer: Iterable[bytes]) -> None:
        """Waits until every row is written, sending again those that failed in passing."""
        backoff = Backoff(self._deadline)
        while failed := self._failed(len(rows.entries), answer):
            lasting = [at for at, (status, _) in failed.items() if status not in TRANSIENT]
            at = (lasting or sorted(failed))[0]
            status, reason = failed[at]
            if lasting or not backoff.wait():
                key = rows.key(at).decode(errors="replace")
                raise ERRORS.get(status, IngestError)(
                    f"table {self._id}: row {key} is not written: {status}: {reason}"
                )
            _log.warning("%d of %d rows go again: %s", len(failed), len(rows.entries), status)
            rows = rows.some(sorted(failed))
            answer = mutate(rows.request(self._name))

    def _failed(self, count: int, answer: Iterable[bytes]) -> Failed:
        """Status and reason of each of `count` entries that is not known to be written."""
        from google.api_core.exceptions import Forbidden

        parts: list[bytes] = []
        try:
            with api_errors(self._missing):
                parts.extend(answer)
        except Forbidden as error:
            raise Denied(f"table {self._id} in {self._instance} may not be written: {error}") from error
        except transient_errors() as error:
            _log.warning("a write to table %s broke off: %s", self._id, error)
        return failed_rows(count, b"".join(parts))

    def _read(
        self, ranges: list[tuple[bytes, bytes]], keys: list[bytes], column: Column | None = None
    ) -> Iterator[Row]:
        """Rows by key."""
        answer, only = bigtable_message("ReadRowsResponse").FromString, () if column is None else (str(column),)
        return self._going_on(
            ranges, keys, only, lambda answers: merge_chunks(map(answer, answers)), lambda row: row.key
        )

    def _going_on(
        self,
        ranges: list[tuple[bytes, bytes]],
        keys: list[bytes],
        only: Sequence[str],
        taken: Callable[[Iterable[bytes]], Iterator[T]],
        key_of: Callable[[T], bytes],
    ) -> Iterator[T]:
        """What is `taken` from the encoded answers; reads on after the last whole row when a stream breaks off."""
        call, profile = self._stub("ReadRows", READ_SECONDS, self._profile), self._profile or ""
        last, backoff = b"", Backoff(self._deadline)
        while ranges or keys:
            wanted = {
                "row_keys": keys,
                "row_ranges": [{"start_key_closed": low, "end_key_open": high} for low, high in ranges],
            }
            message = bigtable_message("ReadRowsRequest")(
                table_name=self._name, app_profile_id=profile, rows=wanted, filter=newest(only)
            )
            request = message.SerializeToString()
            try:
                with self._read_errors():
                    for one in taken(call(request)):
                        last, backoff = key_of(one), Backoff(self._deadline)
                        yield one
                return
            except transient_errors() as error:
                _log.warning("a read of %s broke off and goes on: %s", self._id, error)
                if not backoff.wait():
                    raise
            keys = [key for key in keys if key > last]
            ranges = merged([(max(low, last + b"\0"), high) for low, high in ranges])

    @contextmanager
    def _read_errors(self) -> Iterator[None]:
        """StateError where the table is not there, or else the app profile: Bigtable answers both alike, so where
        one was named, the table is asked for without it."""
        from google.api_core.exceptions import FailedPrecondition

        try:
            with api_errors(self._missing):
                yield
        except (StateError, FailedPrecondition) as error:
            if self._profile is None:
                raise
            nothing = {"row_keys": [b"\0"]}
            request = bigtable_message("ReadRowsRequest")(table_name=self._name, rows=nothing, rows_limit=1)
            with api_errors(self._missing):
                deque(self._stub("ReadRows", WRITE_SECONDS)(request.SerializeToString()), 0)
            cause: Any = error.__cause__
            raise StateError(
                f"{self._instance} cannot be read by the app profile {self._profile}, which INGEST_VERIFY_PROFILE "
                f"names for verifications ({cause.details()}); this makes it again: make deploy DATASET=… "
                f"PROJECT={self._endpoints.project}"
            ) from error


def _gc_rule(family: Family) -> dict[str, Any]:
    if family.max_versions is not None:
        return {"max_num_versions": family.max_versions}
    return {"max_age": {"seconds": family.max_age}} if family.max_age is not None else {}


def _family(name: str, rule: Any) -> Family:
    age = int(rule.max_age.total_seconds()) if "max_age" in rule else None
    return Family(name, rule.max_num_versions or None, age)
