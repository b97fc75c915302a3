"""A message, a document and a row through the emulators and back: nothing is left, also where it goes wrong."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.doctor.finding import Finding, Status
from shared.doctor.place import Place
from shared.doctor.trials import trials
from shared.errors import StateError
from shared.gcp.bigtable.table import BigtableTable
from shared.gcp.clients import Endpoints, firestore, publisher, subscriber, table_admin
from shared.gcp.doctor.trials import FirestoreNotes, GoogleTrials
from shared.gcp.progress import CLASSIFY
from shared.table.columns import Family

PLACE = Place("p", "prefix", "d", instance="i", tables=("fly", "fly_test"))


@pytest.fixture
def endpoints(emulators: dict[str, str]) -> Endpoints:
    """Names of its own on the emulators."""
    name = uuid.uuid4().hex[:10]
    return replace(Endpoints.emulated(emulators), instance=f"i{name}", database=f"d-{name}", project=f"p{name}")


def left(endpoints: Endpoints) -> list[str]:
    """All that there is in the project."""
    project, instance = (
        f"projects/{endpoints.project}",
        f"projects/{endpoints.project}/instances/{endpoints.instance}",
    )
    topics = publisher(endpoints).list_topics(project=project)
    subscriptions = subscriber(endpoints).list_subscriptions(project=project)
    tables = table_admin(endpoints).list_tables(parent=instance)
    documents = firestore(endpoints).collection("doctor").get()
    return [one.name for one in (*topics, *subscriptions, *tables)] + [one.id for one in documents]


def test_all_go_their_way(endpoints: Endpoints) -> None:
    """Each of them works, and takes some time; topics, tables and documents are gone then."""
    services = GoogleTrials(endpoints, "prefix")
    seconds = iter(range(100))
    found = trials(PLACE, services, lambda: next(seconds), CLASSIFY)
    assert [line for one in found for line in one.lines()] == [
        "ok       a message: publishing, pulling and acknowledging one took 1.0 s",
        "ok       a document: writing, reading and deleting one took 1.0 s",
        "ok       a row: writing, reading and deleting one in table fly_test took 1.0 s",
    ]
    assert left(endpoints) == []


def test_a_table_that_is_there_stays(endpoints: Endpoints) -> None:
    """The row comes and goes; the table, which is somebody's, stays as it was."""
    table = BigtableTable(endpoints, "fly_test")
    table.create([Family("0"), Family("1")])
    GoogleTrials(endpoints, "prefix").row("fly_test")
    assert table.exists() and list(table.read([(b"", b"\xff")])) == [] and len(table.families()) == 2


def test_a_table_is_held(endpoints: Endpoints) -> None:
    """A table is there for others meanwhile, for whom the row is tried without making one."""
    worker = GoogleTrials(endpoints, "prefix", makes_tables=False)
    with GoogleTrials(endpoints, "prefix").holding(["fly_test"]):
        worker.row("fly_test")
    with pytest.raises(StateError, match="there is no table fly_test"):
        worker.row("fly_test")


class Broken:
    """Services of which one does not do its part."""

    def __init__(self, name: str, error: Exception) -> None:
        self._name, self._error = name, error

    def _try(self, name: str) -> None:
        if name == self._name:
            raise self._error

    def message(self) -> None:
        self._try("message")

    def document(self) -> None:
        self._try("document")

    def row(self, table: str) -> None:
        self._try("row")


DOES: dict[str, str] = {
    "message": "a message: publishing, pulling and acknowledging one",
    "document": "a document: writing, reading and deleting one",
    "row": "a row: writing, reading and deleting one in table fly_test",
}


@pytest.mark.parametrize("name", DOES)
def test_what_does_not_work_is_said(name: str) -> None:
    """What was tried, why it did not work, and what to type; whether it may pass."""
    found = {
        one.status: one
        for one in trials(PLACE, Broken(name, StateError("refused\nand more")), lambda: 0.0, CLASSIFY)
    }
    bad = found[Status.PROBLEM]
    assert bad.lines() == [
        f"problem  {DOES[name]} did not work: refused",
        "           type: make deploy DATASET=… PROJECT=p",
    ]
    assert not bad.passing and passing(name, ConnectionError("reset")) and passing(name, TimeoutError())


def passing(name: str, error: Exception) -> bool:
    (bad,) = [
        one for one in trials(PLACE, Broken(name, error), lambda: 0.0, CLASSIFY) if one.status is Status.PROBLEM
    ]
    return bad.passing


def test_no_table_is_known() -> None:
    """Without a dataset no row is tried."""
    (*_, last) = trials(replace(PLACE, tables=()), Broken("", OSError()), lambda: 0.0, CLASSIFY)
    assert last == Finding(Status.SKIPPED, "a row", "no table to try is known without DATASET and an instance")


def refused_publish(endpoints: Endpoints, services: GoogleTrials) -> None:
    """The message is too large to be taken."""
    services._name = "x" * 300
    services.message()


def refused_document(endpoints: Endpoints, services: GoogleTrials) -> None:
    services._name = "__no__"
    services.document()


@pytest.mark.parametrize("spoil", [refused_publish, refused_document])
def test_nothing_is_left_of_a_failure(
    endpoints: Endpoints, spoil: Callable[[Endpoints, GoogleTrials], None]
) -> None:
    """Where a step is refused, what was made before it goes too."""
    with pytest.raises(Exception):  # noqa: B017 each service says it in its own way
        spoil(endpoints, GoogleTrials(endpoints, "prefix"))
    assert left(endpoints) == []


def test_notes(endpoints: Endpoints) -> None:
    """What tasks leave is there once, in their order; those that left nothing are left out."""
    notes = FirestoreNotes(endpoints)
    notes.put("name", 1, {"task": 1, "facts": {"a": "b"}})
    notes.put("other", 0, {"task": 0})
    assert notes.take("name", 2) == [{"task": 1, "facts": {"a": "b"}}] and notes.take("name", 2) == []
