"""Why workers wait, from what they noted: the latest reason of each, and the same in a few sentences.

A worker that can do nothing notes why with the chunk that it holds, or would have built; that note is gone when
the chunk is done. An attempt that failed is a reason too, until the next one ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from shared.run.ports import Failure, State

MOST = 3
"""Different reasons that are told."""

LONGEST = 300
"""Characters of one."""


@dataclass(frozen=True)
class Reason:
    """Why a worker waits: the error's class and text, when (UTC), and with which chunk, where known."""

    worker: str
    error: str
    message: str
    when: str = ""
    chunk: str = ""


def reasons(failures: Iterable[Failure]) -> list[Reason]:
    """The latest reason of each worker among the failures of chunks that are not given up, by worker."""
    latest: dict[str, Failure] = {}
    for failure in failures:
        if failure.error and failure.state is State.TRYING:
            known = latest.get(failure.worker)
            if known is None or known.when <= failure.when:
                latest[failure.worker] = failure
    return [
        Reason(worker, failure.error, failure.message, failure.when, str(failure.chunk))
        for worker, failure in sorted(latest.items())
    ]


def merged(*several: Iterable[Reason]) -> list[Reason]:
    """Reasons from several places, the latest one of each worker."""
    latest: dict[str, Reason] = {}
    for reason in (reason for some in several for reason in some):
        known = latest.get(reason.worker)
        if known is None or known.when <= reason.when:
            latest[reason.worker] = reason
    return [latest[worker] for worker in sorted(latest)]


def in_words(found: Iterable[Reason]) -> list[str]:
    """A line for each kind of error, that of most workers first, with its latest text; at most `MOST`."""
    kinds: defaultdict[str, list[Reason]] = defaultdict(list)
    for reason in found:
        kinds[reason.error].append(reason)
    lines = []
    for error, same in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:MOST]:
        last = max(same, key=lambda reason: reason.when)
        who = f"worker {last.worker}" if len(same) == 1 else f"{len(same):,} workers"
        text = " ".join(last.message.split())
        short = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
        at = f" at {last.when[11:19]} UTC" if len(last.when) >= 19 else ""
        lines.append(f"{who}: {error}{at}: {short}")
    return lines
