"""Shows a run that is waited for: a progress bar a layer on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs import interrupts
from jobs.looker import Looker, Over
from jobs.notices import HERE, PROJECT, Notices
from jobs.output import console, say
from shared.gcp.backend import GoogleBackend
from shared.operate.reasons import Reason, in_words, merged
from shared.operate.run import Run
from shared.operate.status import LayerStatus, RunStatus
from shared.timestamps import duration

QUIET = 10.0
"""Seconds between two lines where no terminal is."""
LOOK_SECONDS = 0.2
"""How soon it is noticed that nothing more is to be watched."""


def watch(
    run: Run,
    alive: Callable[[RunStatus], bool],
    why: Callable[[], Sequence[Reason]] = tuple,
) -> RunStatus:
    """Shows progress until the run is finished, or nothing is under way, or `alive` says no; while a service
    is out of reach it says so, and stays.

    `why` has the reasons of workers that wait beside those that they could note.
    """
    notices = Notices(run.where, _service(run), HERE if run.backend.project is None else PROJECT, time.monotonic)
    looker, reason = Looker(run), ""
    last_line = time.monotonic()
    status: RunStatus | None = None
    with contextlib.closing(looker), Live(console=console, auto_refresh=False, transient=False) as live:
        while status is None or alive(status):
            interrupts.check()
            try:
                seen = looker.next(LOOK_SECONDS)
            except Over:
                break
            if not isinstance(seen, RunStatus):
                reason = seen.reason if seen else reason
                _say_all(notices.unseen(reason))
                continue
            status, reason = replace(seen, waiting=merged(seen.waiting, why())), ""
            if console.is_terminal:
                live.update(_shown(status), refresh=True)
            elif time.monotonic() - last_line > QUIET:
                last_line = time.monotonic()
                say(_line(status))
            _say_all(notices.saw(status, status.waiting))
    assert status is not None
    return status


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _service(run: Run) -> str:
    """What holds the progress, as people are told of it."""
    if isinstance(run.backend, GoogleBackend):
        host = run.backend.endpoints.firestore_host
        return f"Firestore at {host}" if host else f"Firestore of project {run.backend.project}"
    return "what holds the progress"


def _shown(status: RunStatus) -> Group:
    """The table, and below it why workers wait."""
    return Group(progress_table(status), *(Text(f"waiting: {line}") for line in in_words(status.waiting)))


def progress_table(status: RunStatus) -> Table:
    """A line a layer with a bar."""
    table = Table(box=None, pad_edge=False)
    given_up = ["discarded"] if status.discarded else []
    for title in ("layer", "", "done", "queued", "failed", *given_up, "chunks/s", "left"):
        table.add_column(title, justify="left" if title == "" else "right")
    for layer in status.layers:
        table.add_row(
            str(layer.layer),
            ProgressBar(total=layer.total, completed=layer.done, width=30),
            f"{layer.done:,} / {layer.total:,}",
            f"{layer.queued:,}",
            f"[red]{layer.failed:,}[/]" if layer.failed else "0",
            *([f"{layer.discarded:,}"] if given_up else []),
            f"{layer.rate:,.1f}",
            duration(layer.left_seconds),
        )
    return table


def _line(status: RunStatus) -> str:
    def part(layer: LayerStatus) -> str:
        return f"layer {layer.layer}: {layer.done:,}/{layer.total:,}"

    failed = f"; {status.failed:,} failed" if status.failed else ""
    return "  ".join(map(part, status.layers)) + failed
