"""What a verification costs is counted and multiplied like a run: by hand, and against runs in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.estimate.bill import pubsub_bytes
from shared.estimate.checking import by_itself, checking_lines, while_building
from shared.estimate.needs import LayerNeeds, needs
from shared.estimate.operations import RAW_PARTS, Operations, operations
from shared.estimate.prices import load_prices
from shared.estimate.report import PlanReport
from shared.estimate.schedule import schedule
from shared.estimate.spent import Expected, as_needs
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.completion import MemoryCompletion
from shared.operate.begin import begin
from shared.operate.check import Checked, check
from shared.operate.looking_inside import look_inside
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.ports import Folder, Queue, Storage
from shared.run.record import HANDOFF_SUFFIX, RECORD_NAME
from tests.harness import checked_of
from tests.prices import prices
from tests.segmentations import Scene, write
from tests.unit.test_needs import described
from tests.unit.test_operations import CountingCompletion, CountingQueue
from tests.volumes import random_volume

REPOSITORY = Path(__file__).resolve().parents[2]
PRICES = load_prices(REPOSITORY / "configs" / "prices.yml")
BUILT = (
    LayerNeeds(
        2, 8, cpu_seconds=100, wait_seconds=20, memory_gib=0.5, rows=1e9, row_bytes=75e9, handoff_bytes=2**20
    ),
    LayerNeeds(3, 1, cpu_seconds=10, wait_seconds=2, memory_gib=0.5, rows=1e6, row_bytes=11e7, handoff_bytes=0),
)
"""Of 2 x 2 x 2 chunks."""


def cube(**changes: Any) -> PlanReport:
    """The plan of 2 x 2 x 2 chunks: layers 2 and 3."""
    _, report = described(1024, 1024, 256, chunk=(512, 512, 128))
    return replace(report, **changes)


def test_a_run_by_itself_by_hand() -> None:
    """Rows of layer 2 once, those above 1.3 times; CPU by chunks and rows; waits for scans, input, verdict, record
    and messages; nothing is written to the table, and the tasks are those of the fleets that build."""
    alone = by_itself(cube(), BUILT)
    low, high = alone.needs
    assert low.read_rows == 1e9 and high.read_rows == pytest.approx(1.3e6)
    assert low.cpu_seconds == pytest.approx(8 * (0.0027 + 0.011) + 1e9 * 6e-6)
    assert high.cpu_seconds == pytest.approx(0.0027 + 0.011 + 1.3e6 * 6e-6)
    # A scan, edges and components; the verdict, an ack, a record each; and the parent is published once.
    assert low.wait_seconds == pytest.approx(8 * (3 * 0.05 + 0.10 + 0.03 + 0.05) + 0.08)
    assert high.wait_seconds == pytest.approx(4 * 0.05 + 0.10 + 0.03 + 0.05)
    assert all((one.rows, one.row_bytes, one.stored_bytes) == (0, 0, 0) for one in alone.needs)
    assert [one.fleet for one in alone.needs] == [stage.fleet for stage in schedule(BUILT)]
    assert alone.counts == Operations(
        messages=9, publishes=1 + 1, bulk_messages=8, record_reads=9, record_writes=9 + 1, records=2,
        reads_a_look=operations(cube()).reads_a_look, input_gets=2 * 8 + 12, handoff_gets=8, puts=9 + 1,
    )  # fmt: skip


def test_the_bill_of_a_run_by_itself_by_hand() -> None:
    """Its fleet's four tasks of layer 2 share 6,000 s of CPU, 25 minutes; 132,000 rows a second and node (60 % of
    what is documented) make six nodes of 10^9 rows meanwhile, and each is charged for an hour."""
    alone = by_itself(cube(), BUILT)
    low, high = schedule(alone.needs)
    cpu = 8 * 0.0137 + 6000
    assert (low.tasks, low.nodes) == (4, 6)
    assert low.hours == pytest.approx(cpu / 4 / 3600)
    assert (high.tasks, high.nodes) == (1, 2)
    lines = {(line.service, line.what): line.usd for line in alone.bill(prices()).lines}
    paid = cpu + 0.0137 + 1.3e6 * 6e-6
    assert lines["Cloud Run", "CPU"] == pytest.approx(paid * 0.5, rel=1e-3)
    assert lines["Cloud Run", "memory"] == pytest.approx(paid * 0.25, rel=1e-3)
    assert lines["Pub/Sub", "messages"] == pytest.approx(pubsub_bytes(alone.counts, 1000))
    assert (lines["Firestore", "records read"], lines["Firestore", "records written"]) == (9, 100)
    assert lines["Bigtable", "nodes"] == 6 * 3
    assert lines["Bigtable", "table, 1 month"] == 0
    assert (lines["Cloud Storage", "files written"], lines["Cloud Storage", "files read"]) == (10 * 7, (28 + 8) * 5)


def test_while_it_builds_by_hand() -> None:
    """The same reads and CPU in the build's own jobs: verdicts are read and written, input is read twice, and no
    message, record or transaction is more."""
    both, plain = while_building(cube(), BUILT), operations(cube())
    assert both.counts == replace(
        plain, input_gets=plain.input_gets + 28, handoff_gets=plain.handoff_gets + 8, puts=plain.puts + 9
    )
    low, high = both.needs
    assert low.cpu_seconds == pytest.approx(100 + 8 * 0.0027 + 6000)
    assert low.wait_seconds == pytest.approx(20 + 8 * (3 * 0.05 + 0.10))
    assert high.wait_seconds == pytest.approx(2 + 4 * 0.05 + 0.10)
    assert [(one.rows, one.row_bytes, one.memory_gib) for one in both.needs] == [
        (one.rows, one.row_bytes, one.memory_gib) for one in BUILT
    ]
    # A node writes 8,400 rows a second, or scans 132,000: 10^9 of each.
    (stage, _), seconds = schedule(both.needs), 1e9 / 8_400 + 1e9 / 132_000
    assert stage.hours * 3600 == pytest.approx(seconds / 30) and stage.nodes == 30


def test_what_is_read_again() -> None:
    """Raw output is read again as it was read, which takes as much CPU again; a test is compared with no input."""
    raw = cube(raw=True, written=2)
    assert by_itself(raw, BUILT).counts.input_gets == 8 * RAW_PARTS
    assert by_itself(raw, BUILT).counts.puts == 9 + 1
    assert by_itself(raw, BUILT).needs[0].cpu_seconds > by_itself(cube(), BUILT).needs[0].cpu_seconds + 2_000
    assert while_building(raw, BUILT).counts.input_gets == 2 * 8 * RAW_PARTS
    test = cube(test=True)
    assert by_itself(test, BUILT).counts.input_gets == 0
    assert while_building(test, BUILT).counts.input_gets == operations(test).input_gets


def test_the_lines_of_a_plan() -> None:
    """What both ways cost, with its parts; that one is in the bill if the plan is of it; and what is not known."""
    first, second = checking_lines(cube(), BUILT, PRICES, verified=False)
    alone = by_itself(cube(), BUILT).bill(PRICES).total
    plain = Expected(BUILT, operations(cube())).bill(PRICES).total
    more = while_building(cube(), BUILT).bill(PRICES).total - plain
    assert more > 1 and alone > 1
    assert f"as a run by itself about ${alone:,.2f} more (tasks $0." in first
    assert first.endswith(f"while it builds (VERIFY=1) about ${more:,.2f} more")
    assert second.startswith(
        "a verification reads 1 billion rows with 1.7 h of CPU and 6.0 node-hours, by the 220,000"
    )
    assert "nobody has measured" in second
    with_it = checking_lines(cube(), BUILT, PRICES, verified=True)[0]
    assert with_it.endswith(f"(VERIFY=1) ${more:,.2f} of this bill")


def test_less_than_an_hour_is_never_cheaper_with_more_work() -> None:
    """Nodes are charged for an hour, so a short run that is slower may need fewer; no plan says that it saves."""
    few = LayerNeeds(2, 8, cpu_seconds=0.1, wait_seconds=2, memory_gib=0.5, rows=3e3, row_bytes=0, handoff_bytes=0)
    needed = (few, replace(few, layer=3, chunks=1, rows=0))
    plain = Expected(needed, operations(cube())).bill(PRICES).total
    assert while_building(cube(), needed).bill(PRICES).total < plain - 0.6
    assert "(VERIFY=1) about $0.00 more" in checking_lines(cube(), needed, PRICES, verified=False)[0]


@pytest.mark.parametrize("side, document", [(100, "README.md"), (216, "ARCHITECTURE.md")])
def test_dollars_in_the_documents(side: int, document: str) -> None:
    """What the documents say that a run and its verification cost is what a plan says."""
    _, report = described(512 * side, 512 * side, 128 * side, chunk=(512, 512, 128))
    needed = needs(report)
    plain = Expected(needed, operations(report)).bill(PRICES).total
    alone, both = by_itself(report, needed).bill(PRICES).total, while_building(report, needed).bill(PRICES).total
    text = (REPOSITORY / document).read_text()
    assert re.search(rf" \${plain:,.0f}[,:]", text)
    assert re.search(rf"verification is ${alone:,.0f} .*?, or ${both - plain:,.0f} while".replace("$", r"\$"), text)


@dataclass
class Counting:
    """Counts objects by what they are; of run records and the like only what is written once."""

    inner: Storage
    seen: Counter[str]
    name: str

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Counts input files and hand-offs."""
        self.seen[self.name] += sum(self.name == "input" or name.endswith(HANDOFF_SUFFIX) for name in names)
        return self.inner.get(names)

    def put(self, name: str, data: bytes) -> None:
        """Counts hand-offs, verdicts and run records."""
        self.seen["puts"] += name.endswith(HANDOFF_SUFFIX) or name == RECORD_NAME
        self.inner.put(name, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Records(CountingCompletion):
    """Counts what notes completions; whether a run is done is asked as often as somebody wants to know."""

    def done(self, waiting: Chunk) -> int:
        """Not counted."""
        return MemoryCompletion.done(self, waiting)


@dataclass
class Backend(MemoryBackend):
    """All of a run in memory, counted."""

    seen: Counter[str] = field(default_factory=Counter)

    def storage(self, folder: str) -> Storage:
        """The scratch folder's objects, counted."""
        found = super().storage(folder)
        return Counting(found, self.seen, "handed") if folder.startswith(self.scratch) else found

    def inputs(self, folder: str) -> Folder:
        """Input files, counted."""
        found = super().inputs(folder)
        return Counting(found, self.seen, "input")  # type: ignore[arg-type]

    def queue(self, layers: Sequence[int]) -> Queue:
        """Counts messages."""
        return CountingQueue(super().queue(layers), self.seen)

    def completion(self, graph: str, run: str) -> MemoryCompletion:
        """Counts documents."""
        return self.completions.setdefault((graph, run), Records(self.seen))


def backend_with_files() -> Backend:
    """A backend that has the volume's files."""
    backend = Backend()
    for name, data in (VOLUME.edges | VOLUME.components).items():
        backend.storage(f"{MEMORY}in").put(name, data)
    return backend


VOLUME = random_volume(3, (5, 3, 2), size=30, density=0.9, schema=3)


def of_volume(test: bool) -> Checked:
    """The volume as a dataset."""
    checked = checked_of(VOLUME, f"{MEMORY}in", f"{MEMORY}in", f"{MEMORY}ws")
    return replace(checked, plan=replace(checked.plan, test=test))


def compare(backend: Backend, run: Run, planned: Operations) -> None:
    """What was counted is what was planned."""
    seen = backend.seen
    assert (seen["messages"], seen["deliveries"]) == (planned.messages, planned.messages)
    assert seen["publishes"] == planned.publishes
    assert (seen["reads"], seen["writes"]) == (planned.record_reads, planned.record_writes)
    records = backend.completion(run.graph, run.record.run)
    assert isinstance(records, Records) and len(records.documents) == planned.records
    assert (seen["input"], seen["handed"], seen["puts"]) == (
        planned.input_gets,
        planned.handoff_gets,
        planned.puts,
    )


@pytest.mark.parametrize("test", [False, True])
def test_counts_are_those_of_a_verification(test: bool) -> None:
    """Messages, records, files, verdicts: a run that verifies asks for what is planned, one by one."""
    checked = of_volume(test)
    backend = backend_with_files()
    run, _ = begin(backend, checked, "graph")
    run.work()
    backend.seen.clear()
    verifying, _ = run.begin_verification()
    verifying.work()
    report = checked.report
    compare(backend, verifying, by_itself(report, needs(report)).counts)
    assert run.verification().violation_count == 0


@pytest.mark.parametrize("test", [False, True])
def test_counts_are_those_of_jobs_that_verify(test: bool) -> None:
    """So does a build whose jobs verify, but for components of neighbours that no edge of a chunk leads to."""
    checked = of_volume(test)
    backend = backend_with_files()
    run, _ = begin(backend, checked, "graph", verified=True)
    run.work()
    report = checked.report
    planned = while_building(report, needs(report)).counts
    asked = backend.seen["input"]
    assert planned.input_gets - report.lower_neighbours <= asked <= planned.input_gets
    compare(backend, run, replace(planned, input_gets=asked))


def test_counts_of_a_segmentation_that_is_verified(tmp_path: Path) -> None:
    """Its jobs still have the cuts that they built from, so only verdicts are read more; by itself files are."""
    labels = np.random.default_rng(1).integers(1, 20, (24, 16, 12)).astype("uint64")
    checked = check(write(tmp_path, Scene(labels, (6, 4, 4))), "graph")
    report, backend = checked.report, Backend()
    run, _ = begin(backend, checked, "graph", verified=True)
    run.work()
    planned = while_building(report, needs(report)).counts
    assert backend.seen["handed"] == planned.handoff_gets
    # Beside hand-offs, verdicts and the record it writes blocks and files, which are not counted here.
    assert (
        backend.seen["puts"] == report.chunks + sum(checked.plan.total(at) for at in checked.plan.graph_layers) + 1
    )
    assert planned.puts == backend.seen["puts"] + 3 * checked.plan.total(2)
    backend.seen.clear()
    verifying, _ = run.begin_verification()
    verifying.work()
    compare(backend, verifying, by_itself(report, needs(report)).counts)


def test_books_of_a_verification() -> None:
    """A run that is begun keeps what verifying it would cost; the run that verifies takes it over, and what it took
    stands beside it."""
    checked = of_volume(False)
    run, _ = begin(backend_with_files(), checked, "graph")
    look = look_inside(checked, 4)
    kept = run.books.expect(checked, look)
    assert kept.expected is not None and kept.expected.verification is not None
    run.work()
    verifying, _ = run.begin_verification()
    begun = verifying.books.expect_verification(run.books)
    assert begun.expected == kept.expected.verification
    verifying.work()
    settled = verifying.books.settle(PRICES)
    assert settled.kept.result == "done" and settled.kept.expected == begun.expected
    assert begun.expected is not None
    assert settled.kept.usd_expected == pytest.approx(begun.expected.bill(PRICES).total)
    # Rows that were read are those of the plan: nobody notes them.
    read = as_needs(begun.expected, settled.account.layers)
    assert [one.read_rows for one in read] == [one.read_rows for one in begun.expected.needs]
    assert verifying.books.expect_verification(run.books) == settled.kept


def test_books_of_jobs_that_verify() -> None:
    """A build with VERIFY=1 expects what building and verifying take together, and notes verdicts' bytes too."""
    checked = of_volume(False)
    expected = []
    for verified in (False, True):
        run, _ = begin(backend_with_files(), checked, "graph", verified=verified)
        kept = run.books.expect(checked, look_inside(checked, 4))
        assert kept.expected is not None
        run.work()
        (low, *_) = run.books.settle(PRICES).account.layers
        expected.append((kept.expected.needs[0], low))
    (plan, took), (plan_both, took_both) = expected
    assert (plan.read_rows, plan_both.read_rows) == (0, plan.rows)
    assert plan_both.handoff_bytes == 2 * plan.handoff_bytes
    assert 1.2 * took.handoff_bytes < took_both.handoff_bytes
