"""Following a run: what is shown is what its records have, whatever happens to the run or to the services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.look import answers
from shared.look.commands import of_chunk
from shared.look.sentence import kind_of
from shared.look.shown import shown
from shared.look.slices import sliced
from shared.look.states import Look
from shared.look.watch import View
from shared.plan.grid import Chunk
from shared.plan.raw_input import RawInput
from shared.run.control import go_on
from shared.run.facts import AtWork
from shared.run.history import Sample, note_sample
from shared.run.ports import Failure, State
from tests.followed import Fallible, Followed, expected
from tests.harness import MemoryRun
from tests.segmentation_runs import SegmentationRun, record_of, small_scene
from tests.segmentations import write
from tests.volumes import random_volume

DEAD = Failure(
    Chunk(2, 4, 2, 1), "DataError", "chunk 2/4_2_1: <b>it</b> is damaged", "Trace\nback", 5, "host", "2026"
)


@pytest.mark.parametrize("built", [0, 1, 17, 29, 35, 1000])
def test_states_are_those_of_the_records(built: int) -> None:
    """However far a run is, the map has each chunk of each layer in the state that its records say, with failed,
    given-up and begun ones, and after it went on."""
    followed = Followed()
    followed.build(built)
    followed.memory.completion.add_failure(DEAD)
    followed.memory.completion.add_failure(Failure(Chunk(2, 0, 1, 1), "E", "no", state=State.DISCARDED))
    followed.memory.completion.add_failure(Failure(Chunk(2, 1, 1, 1), "E", "no", state=State.TRYING))
    followed.memory.completion.note_at_work(AtWork("host", Chunk(2, 1, 1, 0), 0))
    assert followed.states() == expected(followed)
    followed.build(9)
    assert followed.states() == expected(followed)


@pytest.mark.parametrize("built", [0, 1, 20, 1000])
def test_states_of_a_segmentation(built: int, tmp_path: Path) -> None:
    """The same of a run that cuts a segmentation, with layer 1."""

    memory = SegmentationRun(random_volume(0, (1, 1, 1)), record_of(write(tmp_path, small_scene()))).begin()
    followed = Followed(memory)
    followed.build(built)
    assert followed.states() == expected(followed)
    assert {chunk.layer for chunk in followed.states()} == set(memory.record.plan.layers)


def test_sentences() -> None:
    """From the begin to the end, the state of a run is one sentence, with what needs somebody."""
    followed = Followed()
    assert followed.look()["sentence"] == "no chunk of layer 2 is done yet"
    followed.build(15)
    followed.clock.now = 100.0
    assert followed.look()["sentence"] == "layer 2 is 50 % done, 2 min left"
    left = next(chunk for chunk, state in expected(followed).items() if state is Look.QUEUED)
    followed.memory.completion.add_failure(replace(DEAD, chunk=left))
    assert followed.look()["sentence"].endswith("; 1 chunk needs you")
    followed.watch.run.pause("since 2026 by somebody")
    assert followed.look()["sentence"].startswith("paused since 2026 by somebody; layer 2 is 50 % done")
    followed.memory.completion.drop_failure(left)
    go_on(followed.memory.scratch)
    followed.build(1000)
    found = followed.look()
    assert found["finished"] and found["sentence"] == "done: all 39 chunks are built"


def test_a_run_that_stands_still() -> None:
    """Where nothing is done for minutes although chunks wait, or nothing waits any more, it is said."""
    followed = Followed()
    followed.build(10)
    followed.look()
    followed.clock.now = 600.0
    assert "nothing has been done for 10 min" in followed.look()["sentence"]


def test_failures_by_cause() -> None:
    """Failures that say the same are one cause with its count, the one met last first, with what replays them;
    those of chunks that are done by now are left out, and so are replayed ones. Nothing of it is changed by
    looking."""
    followed = Followed()
    followed.build(30)
    completion = followed.memory.completion
    undone = sorted(chunk for chunk, state in expected(followed).items() if state is not Look.DONE)
    for at, chunk in enumerate(undone[:3]):
        completion.add_failure(Failure(chunk, "DataError", f"chunk {chunk}: damaged", when=f"2026-01-0{at + 1}"))
    completion.add_failure(Failure(undone[3], "KeyError", "other", when="2026-02-01", state=State.TRYING))
    completion.add_failure(Failure(Chunk(2, 0, 0, 0), "E", "done since"))
    completion.add_failure(Failure(undone[4], "E", "", state=State.REPLAYED))
    before = completion.some_failures(100)
    found = followed.look()["failures"]
    assert [(cause["error"], cause["text"], cause["count"]) for cause in found["causes"]] == [
        ("KeyError", "other", 1),
        ("DataError", "damaged", 3),
    ]
    named = ", ".join(f"{chunk.layer} {chunk.x} {chunk.y} {chunk.z}" for chunk in undone[:3])
    assert found["causes"][1]["replay"] == f'make replay GRAPH=graph CHUNK="{named}"'
    assert found["causes"][0]["replay"] == "" and found["more"] is False
    assert completion.some_failures(100) == before


def test_a_chunk() -> None:
    """Of a chunk there is its state, what its worker noted, what it waits for by state, its error with the
    traceback, and what to type about it."""
    followed = Followed()
    followed.build(29)
    completion = followed.memory.completion
    left = next(chunk for chunk, state in expected(followed).items() if state is Look.QUEUED)
    completion.add_failure(Failure(left, "DataError", "no", "Trace\nback", 5, "host", "2026", first="2025"))
    above = followed.memory.record.plan.dependents(left)[0]
    followed.look(chunk=left)
    found = answers.of_chunk(followed.watch, left)
    assert (found["state"], found["failure"]["traceback"], found["failure"]["attempts"]) == (
        "failed",
        "Trace\nback",
        5,
    )
    assert [what for _, what in found["commands"]][
        1
    ] == f'make replay GRAPH=graph CHUNK="2 {left.x} {left.y} {left.z}"'
    followed.look(chunk=above)
    found = answers.of_chunk(followed.watch, above)
    waits = {one["chunk"]: (one["child"], one["state"]) for one in found["waits_for"]}
    assert found["state"] == "waiting" and waits[str(left)] == (True, "failed")
    assert {state for _, state in waits.values()} == {"failed", "done"}
    done = next(chunk for chunk, state in expected(followed).items() if state is Look.DONE)
    followed.look(chunk=done)
    found = answers.of_chunk(followed.watch, done)
    assert found["facts"]["worker"] == "test" and found["failure"] is None and found["waits_for"] == []


def test_records_out_of_reach() -> None:
    """While the records are out of reach, what was known is shown, and that nothing new can be seen; afterwards the
    page goes on. What is no outage is an error, and shown to whoever runs the command."""
    memory = MemoryRun.of(random_volume(1, (5, 3, 2)))
    memory.completion = Fallible()
    followed = Followed(memory.start())
    followed.build(12)
    view = sliced(memory.record.plan, 2, 2)
    before = followed.look(slice=view)
    states = answers.of_view(followed.watch, view, None)["states"]
    followed.build(6)
    memory.completion.broken = ConnectionError("Firestore is gone")
    found = followed.look(slice=view)
    assert found["trouble"] == "ConnectionError: Firestore is gone"
    assert (found["sentence"], found["seen_ms"]) == (before["sentence"], before["seen_ms"])
    assert answers.of_view(followed.watch, view, None)["states"] == states
    memory.completion.broken = None
    found = followed.look(slice=view)
    assert found["trouble"] == "" and answers.of_view(followed.watch, view, None)["states"] != states
    memory.completion.broken = AttributeError("a mistake")
    with pytest.raises(AttributeError):
        followed.look()


def test_a_run_that_is_reset_is_followed() -> None:
    """After a reset the page shows the new run, of which nothing is done; a graph that is gone is said."""
    followed = Followed()
    followed.build(20)
    assert followed.look()["layers"][0]["done"] > 0
    followed.watch.run.reset()
    followed.clock.now = 10.0
    found = followed.look()
    assert found["layers"][0]["done"] == 0 and found["run"] == followed.watch.run.record.run != "run"
    followed.memory.scratch.delete(["run.json"])
    assert "there is no run" in followed.look()["trouble"]


def test_an_older_run_has_no_numbers() -> None:
    """Chunks that workers of an older version built are done without numbers, and there is no curve; both is
    said."""
    followed = Followed()
    completion = followed.memory.completion
    for bit, chunk in enumerate(followed.memory.record.plan.grid.children(Chunk(3, 0, 0, 0))):
        for on in followed.memory.record.plan.dependents(chunk):
            bits = followed.memory.record.plan.bits(on)
            completion.complete(on, bits[chunk], len(bits), on == Chunk(3, 0, 0, 0), 1.0 + bit)
    found = followed.look()
    view = sliced(followed.memory.record.plan, 2, 2, 0)
    followed.watch.refresh(View(slice=view))
    told = answers.of_view(followed.watch, view, "seconds")
    assert (told["done"], told["without_facts"]) == (4, 4) and set(told["values"]) == {None}
    assert found["curve"] == [] and "not known" in found["cost"]


def test_curves_and_rates_of_a_history() -> None:
    """The samples of dispatch are the curve; a sample that is younger than the page's own look counts, too."""
    followed = Followed()
    followed.build(10)
    now = int(followed.wall() * 1000)
    board = followed.backend.board()
    for minutes, done in ((10, 0), (8, 6), (6, 6), (4, 10)):
        note_sample(board, "graph", "run", Sample(now - 60_000 * minutes, {2: done}, 2, 9, 0))
    found = followed.look()
    assert [round(one["rate"], 3) for one in found["curve"]] == [0.05, 0.0, 0.033]
    assert [one["tasks"] for one in found["curve"]] == [2, 2, 2]
    followed.clock.now = 60.0
    note_sample(board, "graph", "run", Sample(now + 59_000, {2: 22}, 2, 9, 0))
    followed.watch.refresh(View())
    assert answers.of_run(followed.watch)["layers"][0]["done"] == 10  # the look of this moment is younger
    assert len(answers.of_run(followed.watch)["curve"]) == 4


def test_the_sample_of_another_look_counts() -> None:
    """Where a look at the progress has to wait, as that of a large run does, done chunks follow the history."""
    followed = Followed()
    followed.build(10)
    followed.look()
    followed.clock.now = 60.0
    followed.watch.pace["progress"].looked(5_000)
    followed.watch.pace["history"].soon()
    at = int(followed.wall() * 1000) - 1000
    note_sample(followed.backend.board(), "graph", "run", Sample(at, {2: 22}, 2, 9, 0))
    followed.watch.refresh(View())
    assert answers.of_run(followed.watch)["layers"][0]["done"] == 22


def test_only_as_many_failures_as_are_read() -> None:
    """Of more failures than a page reads it says that there are others."""
    followed = Followed(MemoryRun.of(random_volume(1, (12, 12, 8), size=1)).start())
    plan = followed.memory.record.plan
    for at in range(1100):
        followed.memory.completion.add_failure(Failure(plan.chunk_at(2, at), "E", "no"))
    found = followed.look()["failures"]
    assert found["more"] and found["causes"][0]["count"] == 1000
    assert len(found["causes"][0]["chunks"]) == 200


def test_a_test_run() -> None:
    """Of a test the map has the chunks that it builds."""
    followed = Followed(MemoryRun.of(random_volume(1, (5, 3, 2)), test=True).start())
    followed.build(5)
    assert len(followed.states()) == 5 and followed.states() == expected(followed)
    assert "a test run that builds table graph of schema 2" in followed.look()["kind"]


def test_shown_leaves_out_what_is_no_chunk() -> None:
    """A view may reach beyond the chunks of a run."""
    followed = Followed()
    chunks = [Chunk(2, 4, 2, 1), Chunk(2, 5, 2, 1)]
    assert [
        one.chunk
        for one in shown(followed.memory.record.plan, chunks, followed.watch.known, followed.watch.records)
    ] == chunks[:1]


def test_why_a_chunk_was_tried_again() -> None:
    """Of a chunk that was done at its second attempt it is kept how the first one ended, though it has no failure
    any more."""
    followed = Followed()
    put, failures = followed.memory.scratch.put, iter([ValueError(f"it <b>broke</b>{' and so on' * 100}")])

    def once(name: str, data: bytes) -> None:
        if name.endswith(".handoff"):
            for error in failures:
                raise error
        put(name, data)

    followed.memory.scratch.put = once
    followed.build(1000)
    assert followed.look()["finished"] and followed.memory.completion.some_failures(9) == []
    seen = [seen for layer in range(3, 7) for _, seen in followed.memory.completion.some(layer, 1000)]
    again = [facts for one in seen for facts in one.facts.values() if facts.attempt > 1]
    assert [(facts.attempt, facts.why[:31], len(facts.why)) for facts in again] == [
        (2, "ValueError: it <b>broke</b> and", 200)
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "builds table graph of schema 2"),
        ({"prepare": True}, "prepares processed files"),
        ({"upgrade": True}, "upgrades the table to schema 3"),
        (
            {"test": True, "raw": RawInput("gs://raw", 1, (8, 8, 40))},
            "a test run that builds table graph of schema 2 from raw output in gs://raw",
        ),
    ],
)
def test_kinds_of_runs(changes: dict[str, Any], told: str) -> None:
    """It is said what a run is for; nothing is offered that a run of its kind cannot do."""
    record = replace(Followed().memory.record, **changes)
    assert kind_of(record) == told
    typed = [what for _, what in of_chunk(record, Chunk(2, 0, 0, 0), Look.QUEUED, "GRAPH=graph")]
    assert any("chunk-local" in what for what in typed) is not record.prepare
    tables = [what for _, what in of_chunk(record, Chunk(0, 0, 0, 0), Look.FAILED, "GRAPH=graph")]
    assert not any("discard" in what or "chunk-local" in what for what in tables)


def test_reads_that_are_used_up() -> None:
    """Where the reads of an hour are used up, what is known is shown, and that is said until there are more."""
    followed = Followed()
    followed.build(12)
    before = followed.look()
    followed.watch.budget.spend(int(followed.watch.budget.left) + 10)
    followed.build(6)
    found = followed.look()
    assert found["starved"] and found["layers"] == before["layers"]
    followed.clock.now = 60.0
    found = followed.look()
    assert not found["starved"] and found["layers"][0]["done"] == 18
