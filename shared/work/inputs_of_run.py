"""The input folders of one run, opened when something is first read from them.

Why: they are named by the run's dataset, so whatever is wrong with them is that run's alone, and a message of
another run must not meet it. Invariants: a folder whose name cannot be understood is an error of the
configuration, which each chunk of the run has; one that cannot be opened or read now is an `OfOneRun`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.errors import IngestError, Misconfigured, OfOneRun
from shared.run.ports import Folder


@dataclass
class InputFolder:
    """One folder of edge or component files; `open` makes a storage of its name."""

    graph: str
    folder: str
    open: Callable[[str], Folder]

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such file; Misconfigured or OfOneRun."""
        storage = self._storage
        try:
            return storage.get(names)
        except Exception as error:
            # Opened anew next time: what it holds, as a key, may be what is wrong.
            self.__dict__.pop("_storage", None)
            raise OfOneRun(f"an input of graph {self.graph}: {error}") from error

    @cached_property
    def _storage(self) -> Folder:
        try:
            return self.open(self.folder)
        except IngestError as error:
            raise Misconfigured(
                f"graph {self.graph}: its input folder cannot be opened here, so none of its chunks can be built: "
                f"{error}"
            ) from error
        except Exception as error:
            raise OfOneRun(f"the input folder {self.folder} of graph {self.graph}: {error}") from error
