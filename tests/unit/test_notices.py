"""What is said of a run that is watched: outages, workers that wait, and a run that stands still, by a clock that
the tests move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.notices import HERE, PROJECT, Notices, Patience
from shared.operate.reasons import LONGEST, MOST, Reason, in_words, merged, reasons
from shared.operate.status import RunStatus, run_status
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.run.ports import Failure, LayerProgress, State

GRID = Grid((2, 2, 2))
PLAN = Plan(GRID, IdLayout(GRID.layer_count))
FULL = Reason("w1", "IngestError", "scratch: no space left on device", "2026-01-01T10:00:00.000+00:00", "2/0_0_0")
GONE = Reason("w2", "ServiceUnavailable", "no table servers", "2026-01-01T10:00:01.000+00:00")


class Watched:
    """Notices with a clock of their own."""

    def __init__(self, patience: Patience = HERE) -> None:
        self.now = 0.0
        self.notices = Notices("GRAPH=g", "Firestore at h:1", patience, lambda: self.now)

    def saw(self, at: float, done: int, *waiting: Reason) -> list[str]:
        """A look at a time, with so many chunks done."""
        self.now = at
        return self.notices.saw(status(done), waiting)

    def unseen(self, at: float, reason: str = "") -> list[str]:
        """No look at a time."""
        self.now = at
        return self.notices.unseen(reason)


def status(done: int = 0, *failures: Failure) -> RunStatus:
    return run_status(PLAN, {2: LayerProgress(done)}, failures, {}, 0.0)


def failure(x: int, worker: str, error: str, when: str = "", **more: Any) -> Failure:
    given: dict[str, Any] = {"attempts": 0, "state": State.TRYING, "waiting": True} | more
    return Failure(Chunk(2, x, 0, 0), error, f"{error} of {worker}", worker=worker, when=when, **given)


def test_nothing_moves() -> None:
    """A run in which no chunk is ever done says so in the first half minute, with the commands that tell more;
    it is said again after a while, and not before."""
    watched = Watched()
    assert watched.saw(0.0, 0) == watched.saw(HERE.first - 1, 0) == []
    (said,) = watched.saw(HERE.first, 0)
    assert HERE.first < 30 and "8 are queued" in said and "No worker has told why" in said
    assert all(f"make {command} GRAPH=g" in said for command in ("status", "failed", "resume"))
    assert watched.saw(HERE.first + 1, 0) == []
    assert len(watched.saw(HERE.first + HERE.again, 0)) == 1


def test_later_it_may_take_longer() -> None:
    """Once chunks were done a pause is told later: large ones take their time."""
    watched = Watched()
    watched.saw(0.0, 0)
    watched.saw(1.0, 3)
    assert watched.saw(1.0 + HERE.first, 3) == []
    assert len(watched.saw(1.0 + HERE.stalled, 3)) == 1


def test_reasons_are_told_within_seconds() -> None:
    """Why workers wait is told long before that, once, and again when another reason comes."""
    watched = Watched()
    watched.saw(0.0, 0)
    assert watched.saw(1.0, 0, FULL) == []
    (said,) = watched.saw(HERE.waiting, 0, FULL)
    assert HERE.waiting < 10 and "worker w1: IngestError at 10:00:00 UTC: scratch: no space left" in said
    assert watched.saw(HERE.waiting + 1, 0, FULL) == []
    said_then = watched.saw(HERE.waiting + 2, 0, FULL, GONE)
    assert len(said_then) == 2 and "no table servers" in said_then[1]
    assert any("no space left" in line for line in watched.saw(HERE.first, 0, FULL))


def test_what_passes_is_not_told() -> None:
    """A reason that is there while chunks are being done is no reason for anybody to look."""
    watched = Watched()
    for second in range(60):
        assert watched.saw(float(second), second, FULL) == []


def test_outage_of_what_holds_the_progress() -> None:
    """Within ten seconds it is said which service does not answer, where, and why; later that it answers again."""
    watched = Watched()
    assert watched.unseen(1.0) == []
    (said,) = watched.unseen(HERE.unseen, "ServiceUnavailable: 503 connection refused")
    assert HERE.unseen < 10 and said.startswith("Firestore at h:1 does not answer") and "refused" in said
    assert watched.unseen(HERE.unseen + 1) == []
    assert watched.saw(20.0, 0) == ["Firestore at h:1 answers again"]
    assert watched.unseen(20.0 + HERE.unseen - 1) == []
    assert len(watched.unseen(20.0 + HERE.unseen)) == 1


def test_in_a_project_it_takes_longer() -> None:
    """The same sentences in a project, with times that its tasks and services need."""
    watched = Watched(PROJECT)
    assert watched.unseen(HERE.unseen) == [] and len(watched.unseen(PROJECT.unseen)) == 1
    watched.saw(PROJECT.unseen, 0)
    assert watched.saw(PROJECT.unseen + HERE.first, 0, FULL) == []
    assert len(watched.saw(2 * PROJECT.unseen + PROJECT.waiting, 0, FULL)) == 1


def test_latest_reason_of_each_worker() -> None:
    """The last thing that each worker noted counts; chunks in the dead letters are no reason to wait."""
    found = reasons([
        failure(0, "a", "Old", "2026-01-01T10:00:00"),
        failure(1, "a", "New", "2026-01-01T10:00:05"),
        failure(0, "b", "Other", "2026-01-01T10:00:01", waiting=False, attempts=2),
        failure(1, "c", "Dead", state=State.DEAD, waiting=False),
        failure(1, "d", ""),
    ])  # fmt: skip
    assert [(reason.worker, reason.error, reason.chunk) for reason in found] == [
        ("a", "New", "2/1_0_0"),
        ("b", "Other", "2/0_0_0"),
    ]
    assert status(0, failure(0, "a", "New")).waiting == reasons([failure(0, "a", "New")])


def test_merged() -> None:
    """What a log says of a worker and what it noted is one reason, the later one."""
    later = replace(FULL, message="still full", when="2026-01-01T10:00:09.000+00:00")
    assert merged([FULL, GONE], [later]) == [later, GONE] == merged([later], [GONE, FULL])


def test_in_words() -> None:
    """A thousand workers that wait for the same are one line; of many reasons the commonest are told."""
    many = [replace(FULL, worker=f"w{at}") for at in range(1000)]
    assert in_words([GONE, *many])[0].startswith("1,000 workers: IngestError")
    different = [replace(FULL, error=f"E{at}", worker=f"w{at}") for at in range(10)]
    assert len(in_words(different)) == MOST
    (line,) = in_words([replace(FULL, message="x\n" * 1000)])
    assert "\n" not in line and len(line) < LONGEST + 100
