"""All runs that are known in a scratch folder, each as it stands now.

Why: nobody has to be there when a run ends, so what is kept of it may be as old as its begin. Invariants: a run
that was done when it was looked at last is not looked at again; of the others those are that their graphs still
have, by up to `RECORDS` records a layer. One that cannot be looked at is as it was kept."""

from __future__ import annotations

from shared.errors import IngestError
from shared.estimate.prices import Prices
from shared.operate.books import DONE
from shared.operate.kept import Kept, all_kept, folder_of
from shared.operate.run import Run
from shared.run.backend import Backend
from shared.run.registry import load_record

RECORDS = 2_000


def all_runs(backend: Backend, prices: Prices) -> tuple[list[Kept], list[str]]:
    """What is kept of all runs, the newest first, and the names of what cannot be read. Raises what the ports raise
    for other reasons than one run's own."""
    found, unreadable = all_kept(folder_of(backend))
    return [kept if kept.result == DONE else _now(backend, kept, prices) for kept in found], unreadable


def _now(backend: Backend, kept: Kept, prices: Prices) -> Kept:
    try:
        record = load_record(backend, kept.graph)
        if record is None or record.run != kept.run:
            return kept
        return Run(backend, record).books.settle(prices, records=RECORDS).kept
    except IngestError:
        return kept
