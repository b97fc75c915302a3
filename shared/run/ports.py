"""What the pipeline asks of the outside, as protocols: a queue, completion records, a table, storage.

Two answers exist to each: the one in `shared.memory`, and the one in `shared.gcp` over Google's
services. The same contract tests hold both to the same behaviour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts, Seen
from shared.table.cells import Cells
from shared.table.columns import Column, Family
from shared.table.scan import Scan

DEAD = -1
"""In place of a layer: the dead letters, for a queue that is opened to replay them."""


class Delivery(Protocol):
    """One delivery of a message. Its lease is extended until it is acked or given back."""

    @property
    def data(self) -> bytes:
        """The message as published."""

    @property
    def attempt(self) -> int:
        """1 for the first delivery; more for later ones, as far as the queue knows."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """What was published with the message; of a dead letter, what is known of its failure."""

    @property
    def published(self) -> float:
        """When it was published, in seconds since 1970."""

    @property
    def lost(self) -> bool:
        """Whether the lease has ended, as far as is known here: somebody else may have the message."""

    def ack(self) -> None:
        """Done for good; returns when the queue has it, or the delivery may come again."""

    def give_back(self, after: float = 0.0) -> None:
        """Deliver it again, to anyone; not before `after` seconds (up to 600) where the queue can wait."""


class Queue(Protocol):
    """Messages of each layer, delivered at least once, in any order."""

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        """Puts messages on the layer's topic; returns how many once the service has all of them."""

    def publish_dead(self, data: bytes, attributes: dict[str, str]) -> None:
        """Puts one message on the dead-letter topic, with what is known of its failure."""

    def receive(self, timeout: float) -> Delivery | None:
        """The next delivery from the layers that this queue was opened for, the highest layer
        first; None if none came within `timeout` seconds."""

    @property
    def answered(self) -> bool:
        """Whether the queue has been reached since something was asked for, be it that nothing waits."""

    def close(self) -> None:
        """Gives back what was received and not handed out, and ends the connection."""


@dataclass(frozen=True)
class LayerProgress:
    """How far one layer is, from the completion records: chunks done, and for layers above the lowest how
    many became ready and were published; `seconds` is the sum of the chunks' build times."""

    done: int = 0
    published: int = 0
    seconds: float = 0.0


class State(StrEnum):
    """What becomes of a chunk with a failure."""

    TRYING = "trying"
    """It is tried again."""
    DEAD = "dead"
    """It is in the dead letters, and nobody tries again by himself."""
    REPLAYED = "replayed"
    """It was queued again since: no failure any more, but what tells old dead letters from new ones."""
    DISCARDED = "discarded"
    """Somebody gave it up."""


@dataclass(frozen=True)
class Failure:
    """What went wrong with a chunk: the error of the last attempt that ended with one.

    `attempts` ended with an error; `started` has an entry for each that was begun (from the second
    delivery on) and has not ended: it is under way, or its worker is gone without a word. Times are
    UTC texts: `first` and `when` of the first and last error, `replayed` of the last replay. A `waiting`
    one is not held against the chunk: the error is why `worker` could do nothing with it for now.
    """

    chunk: Chunk
    error: str
    message: str
    traceback: str = ""
    attempts: int = 1
    worker: str = ""
    when: str = ""
    state: State = State.DEAD
    first: str = ""
    started: tuple[str, ...] = ()
    replayed: str = ""
    waiting: bool = False

    @property
    def dead(self) -> bool:
        """Whether nobody tries again by himself."""
        return self.state in (State.DEAD, State.DISCARDED)


@dataclass(frozen=True)
class Orphan:
    """A dead letter that belongs to no known run, as it came: its first bytes, and what is known."""

    data: bytes
    size: int
    reason: str
    attributes: Mapping[str, str]
    published: str

    @property
    def key(self) -> str:
        """What names this dead letter and no other."""
        facts = f"{self.published} {self.size} ".encode()
        return hashlib.blake2b(facts + self.data, digest_size=16).hexdigest()


class Orphans(Protocol):
    """The dead letters that belong to no known run, each kept once."""

    def keep(self, orphan: Orphan) -> None:
        """Keeps a dead letter; the same one again changes nothing."""

    def all(self) -> list[Orphan]:
        """All that are kept, the oldest first."""

    def drop(self, orphan: Orphan) -> None:
        """Forgets a dead letter."""


class Completion(Protocol):
    """The completion records of one run: for each chunk that waits, which dependencies are done."""

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        """Notes that dependency number `dependency` of `expected` is done; whether all are now.

        A set, not a counter: noting it again changes nothing and answers the same question again.
        `child` says that the dependency is a child of `waiting` (those count as progress, once),
        `seconds` what its build took, and `facts` what else is known of a child.
        """

    def note_published(self, waiting: Chunk) -> None:
        """Notes that a chunk whose dependencies are all done has been queued."""

    def published(self, waiting: Chunk) -> bool:
        """Whether that has been noted."""

    def done(self, waiting: Chunk) -> int:
        """The done dependencies of a waiting chunk as bits; 0 without a record."""

    def records(self, layer: int) -> Iterator[tuple[Chunk, int, bool]]:
        """(chunk, done bits, published) of every record of a layer, in any order."""

    def look(self, waiting: Sequence[Chunk]) -> dict[Chunk, Seen]:
        """The records of some chunks, of those that have one; each chunk that is asked for is a read."""

    def some(self, layer: int, most: int) -> list[tuple[Chunk, Seen]]:
        """Up to so many records of a layer, scattered over it, the same ones each time."""

    def note_at_work(self, at: AtWork) -> None:
        """Notes what a worker begins, in place of what it said before."""

    def at_work(self, most: int) -> list[AtWork]:
        """What workers said last, of up to so many of them, by name."""

    def progress(self, layers: Iterable[int]) -> dict[int, LayerProgress]:
        """For each layer, from sums over the records of the layer above."""

    @property
    def stale(self) -> str:
        """Why the last progress is only what was known before, as nothing was answered; empty if it is not."""

    def add_failure(self, failure: Failure) -> None:
        """Notes a failed chunk; a second failure of the same chunk replaces the first."""

    def change_failure(self, chunk: Chunk, change: Callable[[Failure | None], Failure | None]) -> Failure | None:
        """Puts what `change` makes of a chunk's failure in its place (None: no failure), and returns it.

        At once: when another got in between, `change` is called again with what is there then.
        """

    def failure(self, chunk: Chunk) -> Failure | None:
        """What is noted of a chunk, in whatever state."""

    def drop_failure(self, chunk: Chunk) -> None:
        """Forgets the failure of a chunk, if there is one."""

    def failures(self) -> list[Failure]:
        """All failures of the run, by chunk, but not those that were replayed."""

    def some_failures(self, most: int) -> list[Failure]:
        """Up to so many of what is noted of failures, those that were replayed too: as many reads, and one without
        any. All of them if there are fewer; otherwise scattered ones, the same each time."""

    def clear(self) -> None:
        """Drops every record and failure of the run."""


class Board(Protocol):
    """Which graphs have work, whose turn it is to start tasks, and what is remembered of who had turns: kept where
    all who dispatch see it."""

    def announce(self, graph: str) -> None:
        """Dispatch looks at this graph from now on."""

    def withdraw(self, graph: str) -> None:
        """Dispatch looks at it no more; one that it does not know is no error."""

    def graphs(self) -> Sequence[str]:
        """Those that were announced, by name."""

    def claim(self, name: str, now: float, seconds: float) -> bool:
        """Takes a turn for so many seconds from `now` (since 1970); False if another has it."""

    def release(self, name: str) -> None:
        """Gives a turn back."""

    def remember(self, name: str, facts: Mapping[str, float | str]) -> None:
        """Keeps a few plain values, in place of those that were kept of `name` before; apart from its turn."""

    def recall(self, name: str) -> Mapping[str, float | str]:
        """What is kept of `name`; nothing if nothing is."""


@dataclass(frozen=True)
class Row:
    """A row as read: for each column `family:qualifier` the newest value, and all cells' times (us)."""

    key: bytes
    cells: dict[str, bytes]
    timestamps: dict[str, int] = field(default_factory=dict)


class Table(Protocol):
    """One graph's table."""

    def exists(self) -> bool:
        """Whether the table is there."""

    def create(self, families: Sequence[Family], splits: Sequence[bytes] = ()) -> None:
        """Makes the table with its families and garbage-collection rules, split at these keys from the
        beginning; StateError if it is there."""

    def families(self) -> list[Family]:
        """The families that the table has, by name; StateError without the table."""

    def set_families(self, families: Sequence[Family]) -> None:
        """Adds those of the families that the table has not, and gives all of them their rules; others
        stay as they are. StateError without the table."""

    def write(self, cells: Sequence[Cells], timestamp_ms: int) -> int:
        """Writes all cells with this timestamp and returns the number of rows; cells of one row go
        together. What fails in a bulk request is tried again for the failed rows alone."""

    def read(self, ranges: Sequence[tuple[bytes, bytes]]) -> Iterator[Row]:
        """Rows with start <= key < end of each range, in order of their keys."""

    def read_keys(self, keys: Sequence[bytes], column: Column | None = None) -> Iterator[Row]:
        """The rows of these keys that exist, in order of their keys; of one column alone, and only rows that have
        it, if a `column` is given: then no other cell is sent."""

    def scan(self, ranges: Sequence[tuple[bytes, bytes]], only: Sequence[str] = ()) -> Scan:
        """The same rows as `read` gives, as arrays. `only` some of the columns: `family:qualifier`, or `family:`
        for all of a family; then rows without any of them are left out."""

    def delete_rows(self, keys: Sequence[bytes]) -> None:
        """Removes these rows; those that are not there are no error. Called in `shared.operate.removing` alone."""


class Folder(Protocol):
    """Objects by name below one folder, to be read; names are relative."""

    @property
    def folder(self) -> str:
        """The folder, as messages for people name it."""

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such object."""


class Storage(Folder, Protocol):
    """Whole objects by name below one folder; writes are atomic."""

    def put(self, name: str, data: bytes) -> None:
        """Writes one object, in place of any other of that name."""

    def list(self, prefix: str) -> Iterator[str]:
        """Names that start with `prefix`, in any order."""

    def leftovers(self, prefix: str) -> Iterator[str]:
        """Names of what was being written when a process ended, and is no object."""

    def delete(self, names: Sequence[str]) -> None:
        """Removes objects; those that are not there are no error. Called in `shared.operate.clearing` alone."""
