"""Completion records in Firestore: a document for each chunk that waits, and one for each failure.

Invariants: a record is a set of done dependencies, written only if it is still as it was read, so
noting the same thing again changes nothing and two workers cannot lose each other's bit. That is a
transaction on one document without its locks, under which transactions that meet wait for each other
until they time out. No document is written by all workers, and document ids begin with a hash:
neither a hot document nor a hot range of keys. There is no field with a time: its index would be
a hot range too, and every document has its time of update besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property, partial
from itertools import islice
from typing import Any

from shared.gcp.clients import Endpoints, firestore
from shared.gcp.firestore.backoff import lost_race, once, with_backoff
from shared.gcp.firestore.sums import Sums
from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts, Seen, hash_of, name_of
from shared.run.ports import Failure, LayerProgress, State

PAGE = 2_000
"""Documents a query: an answer that takes a minute is cut off by the service."""

BATCH = 500
"""Documents a bulk delete."""

THREADS = 8

AT_WORK = "at_work"
"""The collection of what workers said last."""


def document_id(chunk: Chunk) -> str:
    """A hash, then the chunk's layer and coordinates."""
    return f"{hash_of(chunk)}-{name_of(chunk)}"


def chunk_of(document: str) -> Chunk:
    """The chunk of a document id."""
    return Chunk(*map(int, document.split("-", 1)[1].split("_")))


class FirestoreCompletion:
    """The records of one run of a graph; answers `shared.run.ports.Completion`.

    Every method raises `google.api_core` errors for what does not pass within `backoff.DEADLINE_SECONDS`.
    """

    def __init__(self, endpoints: Endpoints, graph: str, run: str) -> None:
        self._endpoints = endpoints
        self._run = f"runs/{graph}.{run}"

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        """Sets the bit of one dependency; whether all `expected` are set now.

        Raises ValueError for a dependency that is not below `expected`, or more than 62 of them.
        """
        if not 0 <= dependency < expected <= 62:
            raise ValueError(f"chunk {waiting}: dependency {dependency} of {expected}")
        bit, full = 1 << dependency, (1 << expected) - 1
        reference = self._document(waiting)

        def attempt() -> bool:
            found = reference.get(**once())
            record = found.to_dict() or {}
            done: int = record.get("done", 0)
            if not done & bit:
                fields: dict[str, Any] = {
                    "done": done | bit,
                    "expected": expected,
                    "children": record.get("children", 0) + child,
                    "seconds": record.get("seconds", 0.0) + (seconds if child else 0.0),
                }
                if child and facts is not None:
                    fields["facts"] = {**record.get("facts", {}), str(dependency): facts.stored()}
                if found.exists:
                    unchanged = self._client.write_option(last_update_time=found.update_time)
                    reference.update(fields, option=unchanged, **once())
                else:
                    reference.create(fields, **once())
            return done | bit == full

        return with_backoff(attempt, lost_race)

    def note_published(self, waiting: Chunk) -> None:
        """Marks a record as published."""
        with_backoff(lambda: self._document(waiting).set({"published": True}, merge=True, **once()))

    def published(self, waiting: Chunk) -> bool:
        """Whether a record is marked as published."""
        record = with_backoff(lambda: self._document(waiting).get(**once())).to_dict() or {}
        return bool(record.get("published", False))

    def done(self, waiting: Chunk) -> int:
        """The done bits of a record, 0 without one."""
        record = with_backoff(lambda: self._document(waiting).get(**once())).to_dict() or {}
        done: int = record.get("done", 0)
        return done

    def records(self, layer: int) -> Iterator[tuple[Chunk, int, bool]]:
        """Every record of a layer, a page at a time."""
        for page in self._pages(self._layer(layer), ["done", "published"]):
            for found in page:
                fields = found.to_dict()
                yield chunk_of(found.id), fields.get("done", 0), fields.get("published", False)

    def look(self, waiting: Sequence[Chunk]) -> dict[Chunk, Seen]:
        """The records of those chunks that have one, many at a time."""
        seen: dict[Chunk, Seen] = {}
        for at in range(0, len(waiting), BATCH):
            references = [self._document(chunk) for chunk in waiting[at : at + BATCH]]
            found = with_backoff(partial(self._all, references))
            seen |= {chunk_of(one.id): _as_seen(one.to_dict()) for one in found if one.exists}
        return seen

    def some(self, layer: int, most: int) -> list[tuple[Chunk, Seen]]:
        """The first records of a layer by name; as names begin with a hash, they are scattered."""
        pages = self._pages(self._layer(layer), None, min(most, PAGE))
        found = islice((document for page in pages for document in page), most)
        return [(chunk_of(document.id), _as_seen(document.to_dict())) for document in found]

    def note_at_work(self, at: AtWork) -> None:
        """Writes the document of a worker, whole."""
        fields = {"worker": at.worker, "chunk": list(at.chunk), "since_ms": at.since_ms}
        name = hashlib.blake2b(at.worker.encode(), digest_size=16).hexdigest()
        with_backoff(lambda: self._client.document(f"{self._run}/{AT_WORK}/{name}").set(fields, **once()))

    def at_work(self, most: int) -> list[AtWork]:
        """The documents of up to so many workers."""
        query = self._client.collection(f"{self._run}/{AT_WORK}").order_by("__name__").limit(most)
        found = (document.to_dict() for document in _page(query))
        said = (AtWork(one["worker"], Chunk(*one["chunk"]), one["since_ms"]) for one in found)
        return sorted(said, key=lambda at: at.worker)

    def progress(self, layers: Iterable[int]) -> dict[int, LayerProgress]:
        """Sums and counts by the service, within a time that a function has."""
        return self._sums.progress(layers)

    @property
    def stale(self) -> str:
        """Why the last progress is that of before; empty if it is not."""
        return self._sums.stale

    def add_failure(self, failure: Failure) -> None:
        """Writes the failure of a chunk over an earlier one."""
        with_backoff(lambda: self._failure(failure.chunk).set(_as_fields(failure), **once()))

    def change_failure(self, chunk: Chunk, change: Callable[[Failure | None], Failure | None]) -> Failure | None:
        """Writes what `change` makes of the failure of a chunk, if it still is as it was read."""
        reference = self._failure(chunk)

        def attempt() -> Failure | None:
            found = reference.get(**once())
            before = _as_failure(found.to_dict()) if found.exists else None
            after = change(before)
            if after == before:
                return after
            if before is None and after is not None:
                reference.create(_as_fields(after), **once())
                return after
            unchanged = self._client.write_option(last_update_time=found.update_time)
            if after is None:
                reference.delete(option=unchanged, **once())
            else:
                reference.update(_as_fields(after), option=unchanged, **once())
            return after

        return with_backoff(attempt, lost_race)

    def failure(self, chunk: Chunk) -> Failure | None:
        """What is noted of a chunk, in whatever state."""
        fields = with_backoff(lambda: self._failure(chunk).get(**once())).to_dict()
        return _as_failure(fields) if fields else None

    def drop_failure(self, chunk: Chunk) -> None:
        """Deletes the failure of a chunk; none is no error."""
        with_backoff(lambda: self._failure(chunk).delete(**once()))

    def failures(self) -> list[Failure]:
        """All failures that were not replayed, by chunk."""
        pages = self._pages(self._client.collection(f"{self._run}/failures"), None)
        found = (_as_failure(document.to_dict()) for page in pages for document in page)
        kept = (failure for failure in found if failure.state is not State.REPLAYED)
        return sorted(kept, key=lambda failure: failure.chunk)

    def some_failures(self, most: int) -> list[Failure]:
        """The first failures by name; as names begin with a hash, they are scattered."""
        pages = self._pages(self._client.collection(f"{self._run}/failures"), None, min(most, PAGE))
        documents = (document for page in pages for document in page)
        return [_as_failure(document.to_dict()) for document in islice(documents, most)]

    def clear(self) -> None:
        """Deletes every record and failure of the run, a bounded number at a time."""
        with ThreadPoolExecutor(THREADS) as pool:
            for collection in list(self._client.document(self._run).collections()):
                for page in self._pages(collection, []):
                    parts = [page[at : at + BATCH] for at in range(0, len(page), BATCH)]
                    list(pool.map(self._delete, parts))
        self._sums.forget()

    @cached_property
    def _client(self) -> Any:
        return firestore(self._endpoints)

    @cached_property
    def _sums(self) -> Sums:
        return Sums(self._layer)

    def _all(self, references: list[Any]) -> list[Any]:
        return list(self._client.get_all(references, **once()))

    def _layer(self, layer: int) -> Any:
        return self._client.collection(f"{self._run}/layer{layer}")

    def _document(self, chunk: Chunk) -> Any:
        return self._layer(chunk.layer).document(document_id(chunk))

    def _failure(self, chunk: Chunk) -> Any:
        return self._client.document(f"{self._run}/failures/{document_id(chunk)}")

    def _delete(self, documents: list[Any]) -> None:
        def commit() -> None:
            batch = self._client.batch()
            for document in documents:
                batch.delete(document.reference)
            batch.commit(**once())

        with_backoff(commit)

    def _pages(self, collection: Any, fields: list[str] | None, each: int = PAGE) -> Iterator[list[Any]]:
        """All documents of a collection with these fields (None: all), in pages by id."""
        query = collection.order_by("__name__").limit(each)
        if fields is not None:
            query = query.select(fields)
        page = _page(query)
        while page:
            yield page
            if len(page) < each:
                return
            page = _page(query.start_after(page[-1]))


def _page(query: Any) -> list[Any]:
    found: list[Any] = with_backoff(lambda: query.get(**once()))
    return found


def _as_seen(fields: dict[str, Any]) -> Seen:
    read = {int(number): Facts.read(values) for number, values in fields.get("facts", {}).items()}
    facts = {number: each for number, each in read.items() if each is not None}
    return Seen(fields.get("done", 0), fields.get("published", False), facts)


def _as_fields(failure: Failure) -> dict[str, Any]:
    other = {"chunk": list(failure.chunk), "state": failure.state.value, "started": list(failure.started)}
    return asdict(failure) | other


def _as_failure(fields: dict[str, Any]) -> Failure:
    other = {
        "chunk": Chunk(*fields["chunk"]),
        "state": State(fields["state"]),
        "started": tuple(fields["started"]),
    }
    # A later release may note more.
    known = {name: value for name, value in fields.items() if name in Failure.__dataclass_fields__}
    return Failure(**(known | other))
