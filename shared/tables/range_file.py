"""An object as a file that is read here and there, for libraries that know files.

Invariants: no more is kept than one piece. An object that is not as long as it was is a DataError; where its place
does not answer, that error stays what it is, whatever a library makes of it (`failed`).
"""

from __future__ import annotations

import io
import os

from shared.errors import DataError, IngestError
from shared.inputs.raw.ranges import Range, RangeReader

PIECE = 4 << 20
"""Bytes that are read at once at the least: asking takes as long as 2 MB do."""


class RangeFile(io.RawIOBase):
    """The object `name`, which had `size` bytes when it was found."""

    def __init__(self, reader: RangeReader, name: str, size: int, chunk: object) -> None:
        super().__init__()
        self._reader, self._name, self._size, self._chunk = reader, name, size, chunk
        self._at = self._start = 0
        self._piece = b""
        self.failed: Exception | None = None

    @property
    def file(self) -> str:
        """Its full name."""
        return f"{self._reader.folder}/{self._name}"

    @property
    def length(self) -> int:
        """Its bytes."""
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a place, which may be behind the end."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise ValueError(f"{self.file} has no byte {self._at}")
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, all of them that there are up to `size`."""
        left = max(0, self._size - self._at)
        data = self.part(self._at, left if size is None or size < 0 else min(size, left))
        self._at += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # any buffer that can be written
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def part(self, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, all of which must be there."""
        at = start - self._start
        if at >= 0 and at + length <= len(self._piece):
            return self._piece[at : at + length]
        if length == 0:
            return b""
        wanted = max(length, min(PIECE, self._size - start))
        try:
            data = self._reader.read([Range(self._name, start, wanted)])[0]
            if data is None:
                raise IngestError(f"{self.file} was there when the run began, and is gone")
            if len(data) < wanted:
                reason = f"it had {self._size:,} bytes when the run began, and ends at {start + len(data):,} now"
                raise DataError(self.file, self._chunk, f"{reason}; a table must not change while a run reads it")
        except Exception as error:
            self.failed = error
            raise
        if wanted > PIECE:
            return data
        self._start, self._piece = start, data
        return data[:length]
