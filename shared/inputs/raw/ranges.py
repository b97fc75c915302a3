"""What reading shards asks of the place where they are: parts of objects, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class Range(NamedTuple):
    """`length` (at least 1) bytes of the object `name`, from the byte `start` on."""

    name: str
    start: int
    length: int


class RangeReader(Protocol):
    """Objects below one folder.

    An implementation takes no more memory than there are bytes in the object, however many are asked
    for, and raises IngestError, with folder and name, for what is there and cannot be read.
    """

    @property
    def folder(self) -> str:
        """The folder with its protocol, without a slash at the end."""

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        """The bytes of each range in the order asked for: fewer, or none, where the object ends before;
        None where there is no such object."""


class Place(RangeReader, Protocol):
    """A folder in which objects are found as well, by their names."""

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Bytes of each object as it is stored, None where there is none."""

    def names(self) -> Iterator[str]:
        """The objects in the folder itself, in any order; IngestError if it has no listing, as on a web server."""
