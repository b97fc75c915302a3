"""Watching a run until it is done: a progress bar a layer on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from jobs import interrupts
from shared.run.classify import Kind, classify
from shared.run.ports import Completion, Failure
from shared.run.record import RunRecord
from shared.run.replay import current_failures
from shared.run.status import LayerStatus, RunStatus, run_status

log = logging.getLogger(__name__)

CHUNKS_A_SECOND = 20_000
"""A run is looked at every (chunks / this) seconds, from half a second to a minute: a look sums over
all completion records, which the service charges for by the thousand."""
WINDOW = 30
"""Looks over which the rate is taken."""
QUIET = 10.0
"""Seconds between two lines where no terminal is."""
COLLECT = 10.0
"""Seconds between two looks at the dead letters."""
STALLED = 300.0
"""Seconds without any chunk done after which people are told what to look at."""


class Failures:
    """The failures of a run, asked for again when they are a moment old; less often when that takes long.

    `collect` notes dead letters now and then: those of Pub/Sub itself, which no worker knows of.
    """

    def __init__(self, record: RunRecord, completion: Completion, collect: Callable[[], None]) -> None:
        self._record, self._completion, self._collect = record, completion, collect
        self._found: list[Failure] = []
        self._next = self._collected = 0.0

    def now(self) -> list[Failure]:
        """All of them, as of a moment ago."""
        begun = time.monotonic()
        if begun >= self._collected:
            try:
                self._collect()
            except Exception as error:
                if classify(error) is not Kind.OUTAGE:
                    raise
                log.debug("dead letters are looked at later: %s", error)
            self._collected = begun + COLLECT
            begun = time.monotonic()
        if begun >= self._next:
            self._found = current_failures(self._record, self._completion)
            took = time.monotonic() - begun
            self._next = time.monotonic() + min(30.0, max(1.0, 5 * took))
        return self._found


def watch(
    record: RunRecord,
    completion: Completion,
    console: Console,
    alive: Callable[[RunStatus], bool],
    collect: Callable[[], None] = lambda: None,
) -> RunStatus:
    """Shows progress until the run is finished, or nothing is under way, or `alive` says no."""
    failures = Failures(record, completion, collect)
    best, since = -1, time.monotonic()
    history: deque[tuple[float, dict[int, int]]] = deque(maxlen=WINDOW)
    period = min(60.0, max(0.5, sum(map(record.plan.total, record.plan.layers)) / CHUNKS_A_SECOND))
    last_line = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            interrupts.check()
            status = _sample(record, completion, failures.now(), history)
            if status.done != best:
                best, since = status.done, time.monotonic()
            elif time.monotonic() - since > STALLED:
                since = time.monotonic()
                console.print(
                    f"no chunk was done for {duration(STALLED)}, though {status.under_way:,} are queued; see: "
                    f"make status GRAPH={record.graph}, make failed GRAPH={record.graph}. If messages or progress "
                    f"were lost: make resume GRAPH={record.graph}"
                )
            if console.is_terminal:
                live.update(progress_table(status), refresh=True)
            elif time.monotonic() - last_line > QUIET:
                last_line = time.monotonic()
                console.print(_line(status))
            if status.finished or (status.under_way == 0 and _stands_still(history)) or not alive(status):
                return status
            time.sleep(period)


def _sample(
    record: RunRecord,
    completion: Completion,
    failures: list[Failure],
    history: deque[tuple[float, dict[int, int]]],
) -> RunStatus:
    now = time.monotonic()
    progress = completion.progress(record.plan.layers)
    history.append((now, {layer: at.done for layer, at in progress.items()}))
    since, before = history[0]
    return run_status(record.plan, progress, failures, before, now - since)


def _stands_still(history: deque[tuple[float, dict[int, int]]]) -> bool:
    """Whether the last samples are alike: a parent is counted as queued a moment after its child is done."""
    return len(history) >= 4 and all(history[-1][1] == history[-back][1] for back in (2, 3, 4))


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
