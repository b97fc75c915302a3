"""The books of a run: what its plan said when it was begun, what it took, and what is kept of it for later.

Invariants: nothing here is needed for a run to go on, so whoever begins or watches one goes on without it where it
cannot be written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.chunks.totals import Totals
from shared.estimate.checking import by_itself, while_building
from shared.estimate.needs import needs_of_range
from shared.estimate.operations import operations
from shared.estimate.prices import Prices
from shared.estimate.spent import Cost, Expected, cost
from shared.operate.account import RECORDS, Account, account, facts_of
from shared.operate.check import Checked
from shared.operate.kept import Kept, folder_of, keep, read_kept
from shared.operate.looking_inside import Look
from shared.operate.status import RunStatus
from shared.run.backend import Progress
from shared.run.ports import Completion
from shared.run.record import RunRecord

DONE = "done"
"""What is said of a run of which every chunk is done."""


@dataclass(frozen=True)
class Settled:
    """What a run took so far: its account, what it costs beside what the plan said, and what is kept of it now."""

    account: Account
    cost: Cost
    kept: Kept


@dataclass(frozen=True)
class Books:
    """The books of one run."""

    progress: Progress
    record: RunRecord
    completion: Completion
    status: Callable[[], RunStatus]
    totals: Callable[[], Totals | None]
    paused: Callable[[], str]

    def expect(self, checked: Checked, look: Look) -> Kept:
        """Keeps what the plan says of a dataset, by a look into some of its chunks, as of when its run is begun."""
        report = checked.report
        needed = needs_of_range(report, look.density, look.high, look.paces)
        plan = while_building(report, needed) if self.record.verified else Expected(needed, operations(report))
        return self._begun(replace(plan, verification=by_itself(report, needed)))

    def expect_verification(self, of: Books) -> Kept:
        """Keeps what the plan of the run that made a table said of the run that verifies it, which is this one,
        unless that is kept already."""
        expected = of.kept().expected
        known = read_kept(folder_of(self.progress), self.record.graph, self.record.run)
        return known or self._begun(expected and expected.verification)

    def _begun(self, expected: Expected | None) -> Kept:
        kept = Kept.begun(self.record, expected)
        keep(folder_of(self.progress), kept)
        return kept

    def span(self) -> tuple[float, float]:
        """When the run was begun and when its last chunk was done, or this moment, in seconds since 1970."""
        top = facts_of(self.record.plan, self.completion, self.record.plan.top.layer, records=1)
        ended = max((one.ended_ms / 1000 for one in top), default=time.time())
        return self.record.timestamp_ms / 1000, ended

    def kept(self) -> Kept:
        """What is kept of the run, or of a run of which nothing is what its record says."""
        found = read_kept(folder_of(self.progress), self.record.graph, self.record.run)
        return found or Kept.begun(self.record)

    def settle(self, prices: Prices, paid: tuple[float, float] | None = None, records: int = RECORDS) -> Settled:
        """Adds up what the run took so far, and keeps it; `paid` as in `shared.estimate.spent.cost`, `records` as
        in `shared.operate.account`. Raises what the records and the folder raise."""
        before, status = self.kept(), self.status()
        taken = account(self.record.plan, self.completion, self.record.timestamp_ms, records)
        costs = cost(before.expected, taken.layers, prices, paid)
        kept = replace(
            before,
            ended_ms=taken.ended_ms,
            result=result_of(status, bool(self.paused())),
            usd=costs.taken.total if taken.known else None,
            usd_expected=costs.expected.total if costs.expected else None,
        )
        counts = self.totals() if status.finished else None
        if counts and not self.record.prepare:
            roots = sum(of_layer.get("final", 0) for of_layer in counts.values())
            kept = replace(kept, supervoxels=counts[2].get("supervoxels", 0), roots=roots)
        keep(folder_of(self.progress), kept)
        return Settled(taken, costs, kept)


def result_of(status: RunStatus, paused: bool) -> str:
    """How a run stands, in a few words."""
    if status.finished:
        return DONE
    total = sum(layer.total for layer in status.layers)
    said = [f"{status.done / total:.0%} done" if total else "begun"]
    said += [f"{status.failed:,} failed"] if status.failed else []
    said += [f"{status.discarded:,} discarded"] if status.discarded else []
    return ", ".join(said + (["paused"] if paused else []))
