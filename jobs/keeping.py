"""What is kept of a run when a command has watched it to its end; nothing waits for it, so a command goes on
without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jobs.output import say, write_whole
from jobs.paths import PRICES, REPORTS
from shared.classify import Kind
from shared.errors import IngestError, StateError
from shared.estimate.prices import load_prices
from shared.look.printed import printed
from shared.look.report import report
from shared.operate.books import Settled
from shared.operate.run import Run
from shared.timestamps import now

T = TypeVar("T")


def keep(run: Run, what: str, note: Callable[[], T]) -> T | None:
    """Notes something of a run; says that `what` is not kept, and why, where that cannot be done now."""
    try:
        return note()
    except Exception as error:
        if not isinstance(error, IngestError) and run.backend.classify(error) is not Kind.OUTAGE:
            raise
        say(f"{what} is not kept: {error}")
        return None


def settle(run: Run) -> Settled | None:
    """Keeps what a run took so far, for `make runs`."""
    return keep(run, "what the run took", lambda: run.books.settle(load_prices(PRICES)))


def keep_report(run: Run, settled: Settled | None) -> None:
    """Keeps the report of a run that was settled, and says where."""
    if settled is not None:
        path = keep(run, "the report of the run", lambda: write_report(run, settled))
        if path is not None:
            say(f"the run's report: {shown(path)}")


def shown(path: Path) -> str:
    """A path as somebody types it here."""
    return str(path).removeprefix(f"{Path.cwd()}/")


def write_report(run: Run, settled: Settled) -> Path:
    """Writes the report of a run in place of any other of its graph, whole or not at all; StateError if it cannot
    be written."""
    path = REPORTS / f"{run.graph}.html"
    try:
        REPORTS.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error})") from error
    write_whole(path, printed(report(run, settled), now()))
    return path
