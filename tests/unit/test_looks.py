"""Looks at a run while what holds its progress is out of reach: none ends the watching, and none is made up."""

from __future__ import annotations

from itertools import islice

import pytest
from google.api_core.exceptions import ServiceUnavailable

from shared.gcp.progress import CLASSIFY
from shared.memory.completion import MemoryCompletion
from shared.operate.run import Run
from shared.operate.status import RunStatus
from shared.operate.watching import Unseen, looks
from shared.run.ports import LayerProgress
from tests.harness import MemoryRun, backend_of
from tests.volumes import random_volume


class Scripted(MemoryCompletion):
    """Records whose progress is had, or not, as a list says; once it is at its end, always."""

    def __init__(self, script: list[object]) -> None:
        super().__init__()
        self.script = script

    def progress(self, layers: object) -> dict[int, LayerProgress]:
        """The next entry: an error is raised, a text makes the answer stale."""
        entry = self.script.pop(0) if self.script else None
        self.stale = entry if isinstance(entry, str) else ""
        if isinstance(entry, Exception):
            raise entry
        return super().progress(layers)  # type: ignore[arg-type]


def watched(*script: object) -> Run:
    """A run whose layer 2 is queued, with a scripted progress."""
    memory = MemoryRun.of(random_volume(3, (2, 2, 1), size=3))
    memory.completion = Scripted(list(script))
    backend = backend_of(memory.start())
    backend.classify = CLASSIFY
    return Run(backend, memory.record)


def test_outages_are_waited_for() -> None:
    """An error that passes, and an answer that is only what was known before, are looks that saw nothing; then
    the statuses go on."""
    run = watched(None, ServiceUnavailable("gone"), "DeadlineExceeded: slow", None)
    waits: list[float] = []
    first, *unseen, last = islice(looks(run, waits.append, lambda: 0.0), 4)
    assert isinstance(first, RunStatus) and isinstance(last, RunStatus)
    assert unseen == [Unseen("ServiceUnavailable: 503 gone"), Unseen("DeadlineExceeded: slow")]
    assert len(waits) == 3


def test_other_errors_are_raised() -> None:
    """What does not pass is not waited for."""
    with pytest.raises(ValueError, match="a mistake"):
        list(islice(looks(watched(ValueError("a mistake")), lambda _: None, lambda: 0.0), 1))
