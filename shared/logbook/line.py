"""A line of the log about a chunk: which are wanted, in what order, and how one is shown.

Lines are JSON objects as `shared.logs` writes them: severity, time, message (the event), worker, and the fields of
an attempt (`shared.work.attempt`). Invariants: whatever is in a line is text to be shown, and no control character
of it reaches a terminal; of very many lines the newest are kept, in bounded memory, and it is said how many there
were.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.plan.grid import Chunk

MOST = 2_000
"""Lines that are kept."""

_KNOWN = {
    *("severity", "time", "message", "worker", "stack_trace", "attempt", "version"),
    *("graph", "run", "layer", "chunk", "execution", "task", "task_attempt"),
}
"""Fields that are not shown among the others: they stand in front, or are the same in each line."""


@dataclass(frozen=True)
class Wanted:
    """Of which chunk and which run, None for every run of the graph. `since`: when that was begun, as text."""

    graph: str
    chunk: Chunk
    run: str | None = None
    since: str = ""

    def has(self, fields: Mapping[str, Any]) -> bool:
        """Whether a line is one of these."""
        if fields.get("graph") != self.graph or fields.get("chunk") != str(self.chunk):
            return False
        return self.run is None or fields.get("run") == self.run


@dataclass(order=True)
class _Kept:
    when: str
    number: int
    fields: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True)
class Logbook:
    """The lines of a chunk, the oldest first; how many older ones were left out, and what could not be read."""

    lines: tuple[Mapping[str, Any], ...]
    left_out: int = 0
    remarks: tuple[str, ...] = ()


def newest(lines: Iterable[Mapping[str, Any]], most: int = MOST) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """The newest of some lines in the order of their times, those of one time as they came; and how many more there
    were."""
    kept: list[_Kept] = []
    number = 0
    for number, fields in enumerate(lines, 1):
        one = _Kept(str(fields.get("time", "")), number, fields)
        if len(kept) < most:
            heapq.heappush(kept, one)
        else:
            heapq.heappushpop(kept, one)
    return tuple(one.fields for one in sorted(kept)), number - len(kept)


def shown(fields: Mapping[str, Any], with_run: bool = False) -> list[str]:
    """A line for people: time, severity, event, attempt and worker; below it the other fields, and a traceback."""
    parts = [clean(fields.get("time", ""))[:23].ljust(23), clean(fields.get("severity", "")).ljust(8)]
    parts.append(clean(fields.get("message", "")))
    if "attempt" in fields:
        parts.append(f"delivery {clean(fields['attempt'])}")
    if with_run:
        parts.append(f"run {clean(fields.get('run', ''))}")
    worker = clean(fields.get("worker", ""))
    if "execution" in fields:
        worker += f" (task {clean(fields.get('task', ''))} of {clean(fields['execution'])})"
    lines = ["  ".join([*parts, worker]).rstrip()]
    others = [f"{clean(name)}={clean(value)}" for name, value in fields.items() if name not in _KNOWN]
    if others:
        lines.append(f"    {'  '.join(others)}")
    trace = fields.get("stack_trace")
    if isinstance(trace, str):
        lines += [f"    | {clean(line)}" for line in trace.rstrip("\n").split("\n")]
    return lines


def clean(value: object) -> str:
    """A value as text in one line, with what would move a terminal's cursor or change its colours written out."""
    text = value if isinstance(value, str) else str(value)
    return "".join(letter if letter.isprintable() else _written_out(letter) for letter in text)


def _written_out(letter: str) -> str:
    return " " if letter in "\t\n\r" else letter.encode("unicode_escape").decode()
