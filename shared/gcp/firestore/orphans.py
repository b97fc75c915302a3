"""Dead letters that belong to no known run, in Firestore: a document each, named by what it holds."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

from shared.gcp.clients import Endpoints, firestore
from shared.gcp.firestore.backoff import once, with_backoff
from shared.run.ports import Orphan


class FirestoreOrphans:
    """The orphans of a database; answers `shared.run.ports.Orphans`."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def keep(self, orphan: Orphan) -> None:
        """Writes a dead letter; the same one again over itself."""
        fields = asdict(orphan) | {"attributes": dict(orphan.attributes)}
        with_backoff(lambda: self._letters.document(orphan.key).set(fields, **once()))

    def all(self) -> list[Orphan]:
        """All of them, the oldest first."""
        found = [Orphan(**document.to_dict()) for document in with_backoff(lambda: self._letters.get(**once()))]
        return sorted(found, key=lambda orphan: orphan.published)

    def drop(self, orphan: Orphan) -> None:
        """Deletes one; none is no error."""
        with_backoff(lambda: self._letters.document(orphan.key).delete(**once()))

    @cached_property
    def _letters(self) -> Any:
        return firestore(self._endpoints).collection("orphans")
