"""What cannot be seen but by doing it: a message, a document and a row that go their way and are gone again.

Invariants: each trial cleans up after itself, also where it fails; nothing of a run is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.classify import Classify, Kind
from shared.doctor.finding import Finding, Status, ok, skipped
from shared.doctor.place import Place
from shared.errors import IngestError, Unreachable


class Trials(Protocol):
    """Services that are used for real. Each raises StateError for what stays as it is (a refusal, a wrong answer),
    and what the service raises for what may pass."""

    def message(self) -> None:
        """Publishes a message to a topic of its own, pulls it and acknowledges it."""

    def document(self) -> None:
        """Writes a document, reads it and deletes it."""

    def row(self, table: str) -> None:
        """Writes a row to a table, reads it and deletes it. A table that was made for it goes too."""


def trials(place: Place, services: Trials, clock: Callable[[], float], classify: Classify) -> list[Finding]:
    """A line for each trial, with how long it took."""

    def tried(what: str, does: str, do: Callable[[], None], mend: str) -> Finding:
        began = clock()
        try:
            do()
        except Exception as error:
            reason = str(error).split("\n")[0][:300] or type(error).__name__
            ours = isinstance(error, IngestError) and not isinstance(error, Unreachable)
            passing = not ours and classify(error) is Kind.OUTAGE
            return Finding(Status.PROBLEM, what, f"{does} did not work: {reason}", (mend,), passing)
        return ok(what, f"{does} took {clock() - began:.1f} s")

    found = [
        tried("a message", "publishing, pulling and acknowledging one", services.message, place.deploy),
        tried("a document", "writing, reading and deleting one", services.document, place.deploy),
    ]
    table = place.trial_table
    if table is None:
        return [*found, skipped("a row", "no table to try is known without DATASET and an instance")]
    does = f"writing, reading and deleting one in table {table}"
    return [*found, tried("a row", does, lambda: services.row(table), place.deploy)]
