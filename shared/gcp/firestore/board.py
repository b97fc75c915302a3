"""The board of dispatch in Firestore: a document a graph that has work, and one a fleet whose turn is taken."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from shared.gcp.clients import Endpoints, firestore
from shared.gcp.firestore.backoff import lost_race, once, with_backoff

FACTS = ".facts"
"""The end of a document's id in `slots`, where nothing is indexed; no fleet's name has a dot."""


class FirestoreBoard:
    """Answers `shared.run.ports.Board`; a turn is written only if it still is as it was read."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def announce(self, graph: str) -> None:
        """Writes the document of a graph."""
        with_backoff(lambda: self._client.document(f"active/{graph}").set({}, **once()))

    def withdraw(self, graph: str) -> None:
        """Deletes the document of a graph."""
        with_backoff(lambda: self._client.document(f"active/{graph}").delete(**once()))

    def graphs(self) -> list[str]:
        """The graphs that have a document."""
        query = self._client.collection("active").order_by("__name__").select([])
        found = with_backoff(lambda: query.get(**once()))
        return [document.id for document in found]

    def claim(self, name: str, now: float, seconds: float) -> bool:
        """Writes until when the turn is taken, unless it is."""
        reference = self._client.document(f"slots/{name}")

        def attempt() -> bool:
            found = reference.get(**once())
            if (found.to_dict() or {}).get("until", now) > now:
                return False
            if found.exists:
                unchanged = self._client.write_option(last_update_time=found.update_time)
                reference.update({"until": now + seconds}, option=unchanged, **once())
            else:
                reference.create({"until": now + seconds}, **once())
            return True

        return with_backoff(attempt, lost_race)

    def release(self, name: str) -> None:
        """Deletes what says that the turn is taken."""
        with_backoff(lambda: self._client.document(f"slots/{name}").delete(**once()))

    def remember(self, name: str, facts: Mapping[str, float | str]) -> None:
        """Writes the document of what is kept, whole."""
        with_backoff(lambda: self._client.document(f"slots/{name}{FACTS}").set(dict(facts)))

    def recall(self, name: str) -> dict[str, float | str]:
        """Reads it."""
        return with_backoff(self._client.document(f"slots/{name}{FACTS}").get).to_dict() or {}

    @cached_property
    def _client(self) -> Any:
        return firestore(self._endpoints)
