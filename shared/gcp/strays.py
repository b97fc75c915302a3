"""Dead letters that belong to no known run, in Firestore: a document each, named by what it holds."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

from shared.gcp.clients import Endpoints, firestore
from shared.gcp.firestore import patiently
from shared.run.ports import Stray


class FirestoreStrays:
    """The strays of a database; answers `shared.run.ports.Strays`."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def keep(self, stray: Stray) -> None:
        """Writes a letter; the same one again over itself."""
        fields = asdict(stray) | {"attributes": dict(stray.attributes)}
        patiently(lambda: self._letters.document(stray.key).set(fields))

    def all(self) -> list[Stray]:
        """All letters, the oldest first."""
        found = [Stray(**document.to_dict()) for document in patiently(self._letters.get)]
        return sorted(found, key=lambda stray: stray.published)

    def drop(self, stray: Stray) -> None:
        """Deletes a letter; none is no error."""
        patiently(self._letters.document(stray.key).delete)

    @cached_property
    def _letters(self) -> Any:
        return firestore(self._endpoints).collection("strays")
