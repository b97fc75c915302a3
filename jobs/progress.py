"""Shows a run that is waited for: a progress bar a layer on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from jobs import interrupts
from jobs.output import console, say
from shared.operate.run import Run
from shared.operate.status import LayerStatus, RunStatus
from shared.operate.watching import looks

QUIET = 10.0
"""Seconds between two lines where no terminal is."""
STALLED = 300.0
"""Seconds without any chunk done after which people are told what to look at."""


def watch(run: Run, alive: Callable[[RunStatus], bool]) -> RunStatus:
    """Shows progress until the run is finished, or nothing is under way, or `alive` says no."""
    best, since = -1, time.monotonic()
    last_line = time.monotonic()
    status: RunStatus | None = None
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for status in looks(run):
            interrupts.check()
            if status.done != best:
                best, since = status.done, time.monotonic()
            elif time.monotonic() - since > STALLED:
                since = time.monotonic()
                say(
                    f"no chunk was done for {duration(STALLED)}, though {status.under_way:,} are queued; see: "
                    f"make status {run.where}, make failed {run.where}. If messages or progress "
                    f"were lost: make resume {run.where}"
                )
            if console.is_terminal:
                live.update(progress_table(status), refresh=True)
            elif time.monotonic() - last_line > QUIET:
                last_line = time.monotonic()
                say(_line(status))
            if not alive(status):
                break
    assert status is not None
    return status


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
