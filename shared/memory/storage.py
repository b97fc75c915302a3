"""Objects in memory: gone with the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from shared.inputs.raw.ranges import Range
from shared.run.ports import Storage


class MemoryStorage:
    """One folder; answers `shared.run.ports.Storage`."""

    def __init__(self, folder: str = "memory") -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}

    @property
    def folder(self) -> str:
        """The folder, as messages name it."""
        return self._folder

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such object."""
        with self._lock:
            return {name: self._objects.get(name) for name in names}

    def put(self, name: str, data: bytes) -> None:
        """Keeps an object, in place of any other of that name."""
        with self._lock:
            self._objects[name] = bytes(data)

    def list(self, prefix: str) -> Iterator[str]:
        """Names that start with `prefix`, as of now."""
        with self._lock:
            return iter([name for name in self._objects if name.startswith(prefix)])

    def leftovers(self, _prefix: str) -> Iterator[str]:
        """None: nothing is written in parts."""
        return iter(())

    def delete(self, names: Sequence[str]) -> None:
        """Drops objects; those that are not there are no error."""
        with self._lock:
            for name in names:
                self._objects.pop(name, None)


class MemoryRanges:
    """Parts of the objects of one folder; answers `shared.inputs.raw.ranges.Place`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def folder(self) -> str:
        """The folder, as messages name it."""
        return self._storage.folder

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        """The bytes of each range, fewer where the object ends before."""
        found = self._storage.get(list(dict.fromkeys(each.name for each in ranges)))
        contents = [(found[name], start, length) for name, start, length in ranges]
        return [None if data is None else data[start : start + length] for data, start, length in contents]

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Bytes of each object, None where there is none."""
        found = self._storage.get(names)
        return [None if data is None else len(data) for data in map(found.get, names)]

    def names(self) -> Iterator[str]:
        """The objects in the folder itself, not those in folders below it."""
        return (name for name in self._storage.list("") if "/" not in name)
