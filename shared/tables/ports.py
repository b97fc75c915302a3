"""What reading tables asks of the place where they are: parts of objects, their sizes and their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from shared.inputs.raw.ranges import RangeReader


class Place(RangeReader, Protocol):
    """The objects of one folder, which can be listed too unless it is on a web server."""

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Bytes of each object as it is stored, None where there is none."""

    def names(self) -> Iterator[str]:
        """The objects in the folder itself, in any order; IngestError where it cannot be listed."""


OpenRanges = Callable[[str], RangeReader]
"""Opens a folder, for parts of its objects."""

OpenPlace = Callable[[str], Place]
"""Opens a folder, to find what is in it as well."""
