"""What a worker remembers of the shards it has read: the least recently used goes first.

Invariants: what is remembered never counts more bytes than the bound; to forget something costs time
and changes no result. May be used by several threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any

CACHE_BYTES = 64 << 20
"""Enough for 2.8 million entries of an index."""


class Cache:
    """Values by key, as long as their bytes together stay within `most`."""

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        """What is remembered now, as it was counted."""
        return self._bytes

    def get(self, key: Hashable) -> Any:
        """The value that was put last, None if there is none or it was forgotten."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Remembers a value that counts `size` bytes; one that is too large by itself is not kept."""
        with self._lock:
            self._bytes -= self._kept.pop(key, (None, 0))[1]
            if size > self._most:
                return
            self._kept[key] = value, size
            self._bytes += size
            while self._bytes > self._most:
                self._bytes -= self._kept.popitem(last=False)[1][1]

    def clear(self) -> bool:
        """Forgets all; whether there was anything."""
        with self._lock:
            there = bool(self._kept)
            self._kept.clear()
            self._bytes = 0
            return there
