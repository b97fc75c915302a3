"""What the logs of local worker processes say of why they wait: the only word of one that cannot note it.

Invariants: only logs that were written to since a moment count, and of each only what follows the last chunk
that was done; the end of a log is read, whatever its size.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

from jobs.paths import LOCAL
from shared.operate.reasons import Reason, merged
from shared.operate.run import Run
from shared.run.events import Event

END_BYTES = 64 * 1024
RECENT_SECONDS = 60.0
"""A worker that waits writes to its log more often; what is older was said by one that is gone."""
DONE = {Event.CHUNK_DONE, Event.CHUNK_ALREADY_DONE, Event.WORKER_START, Event.WORKER_END}
GRAVE = {"WARNING", "ERROR", "CRITICAL"}
ENDED = "Ended"
"""In place of an error's class, for processes that have ended."""

_ERROR = re.compile(r"(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt))(?:: (.*))?$")


def latest(folder: Path, since: float) -> list[Reason]:
    """The reason of each worker whose log in a folder was written to since then (seconds since 1970), if it
    has one."""
    found = (
        _reason(path) for path in sorted(folder.glob("*.log")) if path.exists() and path.stat().st_mtime >= since
    )
    return [reason for reason in found if reason is not None]


def waiting(run: Run, noted: Iterable[Reason]) -> list[Reason]:
    """Why workers of a run wait: what they noted, and for a run of this machine what their logs say."""
    if run.backend.project is not None:
        return merged(noted)
    return merged(noted, latest(LOCAL / "logs" / run.graph, time.time() - RECENT_SECONDS))


def _reason(path: Path) -> Reason | None:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return reason_in(lines, path.stem)


def reason_in(lines: Iterable[str], name: str) -> Reason | None:
    """The reason in the last lines of a log, whose worker has that name unless they say it."""
    found: Reason | None = None
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            # The last line of what Python says of a thread or a process that ends.
            if error := _ERROR.match(line):
                found = Reason(name, error[1], error[2] or error[1])
            continue
        worker, event = str(fields.get("worker", name)), fields.get("message")
        if event in DONE:
            found = None
        elif fields.get("severity") in GRAVE:
            told = str(fields.get("reason", event))
            when = str(fields.get("time", ""))
            found = Reason(worker, str(fields.get("error", event)), told, when, str(fields.get("chunk", "")))
    return found
