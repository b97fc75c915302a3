"""The folders of one run's input, and of the files that it writes for others, opened when something is first asked
of them.

Why: they are named by the run's dataset, so whatever is wrong with them is that run's alone, and a message of
another run must not meet it. Invariants: a folder whose name cannot be understood is an error of the
configuration, which each chunk of the run has; one that cannot be opened or used now is an `OfOneRun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from shared.errors import IngestError, Misconfigured, OfOneRun
from shared.inputs.raw.ranges import Range, RangeReader
from shared.run.ports import Folder, Storage

Opened = TypeVar("Opened")
Files = TypeVar("Files", bound=Folder)
Answer = TypeVar("Answer")


@dataclass
class _OfRun(Generic[Opened]):
    """One folder of a run; `open` opens it by its name."""

    graph: str
    folder: str
    open: Callable[[str], Opened]

    def _ask(self, what: Callable[[Opened], Answer]) -> Answer:
        """The answer to a question; Misconfigured or OfOneRun."""
        opened = self._opened
        try:
            return what(opened)
        except Exception as error:
            # Opened anew next time: what it holds, as a key, may be what is wrong.
            self.__dict__.pop("_opened", None)
            raise OfOneRun(f"a folder of graph {self.graph}: {error}") from error

    @cached_property
    def _opened(self) -> Opened:
        try:
            return self.open(self.folder)
        except IngestError as error:
            raise Misconfigured(
                f"graph {self.graph}: its folder cannot be opened here, so none of its chunks can be built: {error}"
            ) from error
        except Exception as error:
            raise OfOneRun(f"the folder {self.folder} of graph {self.graph}: {error}") from error


class _Files(_OfRun[Files]):
    """One folder of edge or component files."""

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such file; Misconfigured or OfOneRun."""
        return self._ask(lambda files: files.get(names))


class InputFolder(_Files[Folder]):
    """One that is read."""


class InputRanges(_OfRun[RangeReader]):
    """A folder of which parts of objects are read: raw agglomeration output, or tables."""

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        """The bytes of each range; Misconfigured or OfOneRun."""
        return self._ask(lambda reader: reader.read(ranges))


class OutputFolder(_Files[Storage]):
    """One that processed files are written to."""

    def put(self, name: str, data: bytes) -> None:
        """Writes one file; Misconfigured or OfOneRun."""
        self._ask(lambda storage: storage.put(name, data))
