"""The report of a run: its numbers are those of the run, one file has it all, and text from outside is text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobs.keeping
from jobs.keeping import keep_report, settle, write_report
from shared.errors import StateError
from shared.look.histogram import BARS, doubling, histogram
from shared.look.printed import printed
from shared.look.report import NOT_NOTED, report
from shared.look.states import Look
from shared.look.verified import read_verified
from shared.plan.grid import Chunk
from shared.run.facts import Facts
from shared.run.history import Sample, note_sample
from shared.run.ports import Failure, State
from tests.followed import Followed
from tests.harness import MemoryRun, storage_of
from tests.prices import prices
from tests.synthetic import synthetic_run
from tests.volumes import random_volume

MARKUP = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Names of the tags of a file, and all that they point to; its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.links, self.text = set[str](), list[str](), ""
        self.open = list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "onload")]
        if tag not in ("meta", "rect", "path", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def settled_run(built: int = 1000, **changes: object) -> Followed:
    """A run that was built so far."""
    followed = Followed(MemoryRun.of(random_volume(1, (5, 3, 2)), **changes).start())
    followed.build(built)
    return followed


def test_numbers_are_those_of_the_run() -> None:
    """Sizes, histograms and the heat map have what the run's totals and workers' notes have."""
    followed = settled_run()
    run = followed.watch.run
    found = report(run, run.books.settle(prices()))
    totals = run.totals()
    assert totals is not None
    sizes = {name: value for name, value in found.sizes}
    assert sizes["supervoxels"] == f"{len(followed.memory.volume.supervoxels):,}"
    assert sizes["roots"] == f"{sum(of_layer['final'] for of_layer in totals.values()):,}"
    decided = sizes["edges that the chunks of both sides decide differently"]
    assert decided == f"{followed.memory.volume.disagreements:,}" == f"{totals[2]['disagreements']:,}"
    supervoxels = found.histograms[0]
    assert supervoxels.of == "30 chunks" and sum(count for *_, count in supervoxels.bars) == 30
    assert len(found.layers) == 1 + len(run.record.plan.layers)
    assert [heat.view.at for heat in found.heat] == [0, 1]
    assert {state for heat in found.heat for state in heat.states} == {Look.DONE}
    assert found.attempts == "0 of 39 chunks that something was noted of took more than one attempt."
    assert found.verified is None and found.sentence == "done: all 39 chunks are built"


def test_one_file_has_it_all() -> None:
    """The page asks for no other file, runs nothing, and shows markup in errors, paths and reasons as it is; so it
    does of a run that is half done and failed."""
    followed = settled_run(0, edges=f"gs://{MARKUP}", made_by=MARKUP)
    completion, plan = followed.memory.completion, followed.memory.record.plan
    completion.add_failure(Failure(Chunk(2, 4, 2, 1), MARKUP, MARKUP, MARKUP, state=State.DEAD))
    top = plan.dependents(Chunk(2, 4, 2, 0))[0]
    facts = Facts(seconds=3.0, supervoxels=5, attempt=3, worker=MARKUP, why=f"E: {MARKUP}")
    completion.complete(top, plan.bits(top)[Chunk(2, 4, 2, 0)], len(plan.bits(top)), True, 3.0, facts)
    followed.build(12)
    verified = {
        "rows": {"2": 5},
        "compared": [MARKUP],
        "violation_count": 1,
        "violations": [MARKUP],
        "objects": [3, 0, 1],
    }
    followed.memory.scratch.put("verify.json", json.dumps(verified).encode())
    for at in range(4):
        note_sample(followed.backend.board(), "graph", "run", Sample(60_000 * (at + 1), {2: at}, at, 0, 0))
    run = followed.watch.run
    text = printed(report(run, run.books.settle(prices())), "now")
    found = Tags(text)
    assert found.open == [] and found.links == []
    assert not found.tags & {"script", "link", "img", "iframe", "object", "form", "b"}
    for shown in (f"gs://{MARKUP}", f"by version {MARKUP}", f"E: {MARKUP}", f"{MARKUP}: {MARKUP}", "2/4_2_0"):
        assert shown in found.text, shown
    assert "Violations in the table: 1" in found.text and "make replay GRAPH=graph" in found.text
    assert "default-src 'none'" in text


def test_why_chunks_were_tried_again() -> None:
    """Chunks that took several attempts are counted by what went wrong, named, the most frequent reason first."""
    followed = settled_run(0)
    completion, plan = followed.memory.completion, followed.memory.record.plan
    for at, why in enumerate(["E: a", "E: b", "E: b", ""]):
        chunk = plan.chunk_at(2, at)
        above = plan.dependents(chunk)[0]
        bits = plan.bits(above)
        completion.complete(above, bits[chunk], len(bits), True, 1.0, Facts(attempt=2, why=why))
    run = followed.watch.run
    found = report(run, run.books.settle(prices())).retried
    assert [(one.why, one.count) for one in found] == [("E: b", 2), ("E: a", 1), (NOT_NOTED, 1)]
    assert found[0].chunks == (str(plan.chunk_at(2, 1)), str(plan.chunk_at(2, 2)))


def test_a_large_run_is_sampled() -> None:
    """Of a run of 10^6 chunks what is read does not grow with it, and the file can still be sent."""
    run, reads = synthetic_run((100, 100, 100), percent=100)
    settled = run.books.settle(prices())
    before = reads.count
    found = report(run, settled)
    assert reads.count - before < 8 * 20_000 + 5_000
    assert len(found.heat) == 1 and len(found.heat[0].states) == 2500
    assert len(printed(found, "now")) < 300_000


@given(st.lists(st.integers(0, 10_000) | st.floats(0, 1e6, allow_subnormal=False), max_size=60))
def test_every_number_is_in_a_bar(values: list[float]) -> None:
    """Bars are next to each other and have each number once; there is a bounded number of them."""
    found = histogram("title", "of", values)
    assert sum(count for *_, count in found.bars) == len(values) and len(found.bars) <= BARS + 1
    for (_, end, _), (begin, *_) in zip(found.bars, found.bars[1:], strict=False):
        assert end == pytest.approx(begin)
    for low, high, count in found.bars[1:]:
        inside = sum(low <= value < high for value in values)
        assert abs(inside - count) <= len(values) - len(set(values)) + 2 or high == found.bars[-1][1]


def test_doubling() -> None:
    """Classes of objects without any at the ends are left out."""
    assert doubling("title", "of", [0, 3, 0, 2, 0]).bars == ((2.0, 4.0, 3), (4.0, 8.0, 0), (8.0, 16.0, 2))
    assert doubling("title", "of", [0, 0]).bars == ()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"rows": 3}', b"\xff", b"[" * 100_000])
def test_a_verification_that_cannot_be_read(data: bytes) -> None:
    """What is no report of a verification is as none."""
    assert read_verified(storage_of({"verify.json": data}), "run") is None


def test_a_verification_of_another_run() -> None:
    """It is told that a verification is of a run before."""
    kept = {
        "rows": {"2": 5},
        "compared": ["rules"],
        "violation_count": 0,
        "violations": [],
        "run": "r1",
        "when": "t",
    }
    found = read_verified(storage_of({"verify.json": json.dumps(kept).encode()}), "r2")
    assert found is not None and not found.current and found.rows == {2: 5}


def test_a_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The file stands below build/reports, whole, in place of one before; where it cannot be written, a command
    that watched the run says so and goes on."""
    monkeypatch.setattr(jobs.keeping, "REPORTS", tmp_path / "reports")
    followed = settled_run()
    run = followed.watch.run
    settled = settle(run)
    assert settled is not None
    for _ in range(2):
        path = write_report(run, settled)
    assert path == tmp_path / "reports" / "graph.html"
    assert path.read_text().endswith("</html>\n") and list(path.parent.iterdir()) == [path]
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(jobs.keeping, "REPORTS", tmp_path / "file")
    with pytest.raises(StateError, match="cannot be written"):
        write_report(run, settled)
    keep_report(run, settled)
    keep_report(run, None)
