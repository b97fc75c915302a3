"""Starting, resuming and resetting: what is queued, and that an interrupted run ends as it would have."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.memory.completion import MemoryCompletion
from shared.memory.queue import MemoryBroker
from shared.operate.queueing import queue_ready, resume
from shared.plan.grid import Chunk
from shared.run.done import is_finished
from shared.run.messages import Message
from shared.run.ports import Failure
from tests.examples import examples
from tests.harness import MemoryRun, worker_of
from tests.volumes import Volume, random_volume

VOLUME = random_volume(5, (5, 3, 2), size=4)


def some_work(run: MemoryRun, count: int) -> None:
    """Lets a worker do `count` chunks, and no more."""
    queue = run.broker.open(run.record.plan.layers)
    worker = worker_of(queue, run, "w")
    for _ in range(count):
        delivery = queue.receive(0.0)
        if delivery is None:
            break
        worker.handle(delivery)


def queued(run: MemoryRun) -> list[Chunk]:
    waiting = run.broker.waiting.values()
    return [Message.decode(each.data).chunk for messages in waiting for each in messages]


def resumed(run: MemoryRun) -> dict[int, int]:
    return resume(run.record, run.scratch, run.completion, run.broker.open([]))


def undisturbed(volume: Volume = VOLUME) -> object:
    return MemoryRun.of(volume).start().work().raw_table()


def test_start_queues_each_layer_2_chunk_once_in_shuffled_order() -> None:
    """Every chunk of layer 2, no other, and not in the order of the grid."""
    run = MemoryRun.of(VOLUME).start()
    assert sorted(queued(run)) == list(VOLUME.plan.grid.chunks(2)) != queued(run)


@examples(25)
@given(st.integers(0, 60), st.booleans(), st.booleans())
def test_resume_after_any_loss(done: int, lose_progress: bool, lose_messages: bool) -> None:
    """A run that stopped anywhere, with its records or messages lost or not, gives the same table."""
    run = MemoryRun.of(VOLUME).start()
    some_work(run, done)
    if lose_messages:
        run.broker = MemoryBroker()
    if lose_progress:
        run.completion = MemoryCompletion()
    resumed(run)
    run.work()
    assert is_finished(run.record, run.completion)
    assert run.raw_table() == undisturbed()


@examples(25)
@given(st.integers(0, 60))
def test_resume_queues_what_is_missing_and_nothing_else(done: int) -> None:
    """After every message was lost, resume queues exactly the chunks that are neither done nor waiting."""
    run = MemoryRun.of(VOLUME).start()
    some_work(run, done)
    run.broker = MemoryBroker()
    stored = {str(run.record.handoff_chunk(name)) for name in run.scratch.list("run/")}
    resumed(run)
    again = queued(run)
    assert len(set(again)) == len(again)
    assert not {str(chunk) for chunk in again} & stored
    plan = run.record.plan
    every = [plan.chunk_at(layer, index) for layer in plan.layers for index in range(plan.total(layer))]
    ready = {chunk for chunk in every if all(str(child) in stored for child in plan.dependencies(chunk))}
    assert set(again) == {chunk for chunk in ready if str(chunk) not in stored}


def test_resume_of_a_finished_run_queues_nothing() -> None:
    """There is nothing to go on with once the root is done, even if all records are lost."""
    run = MemoryRun.of(VOLUME).start().work()
    assert set(resumed(run).values()) == {0}
    run.completion = MemoryCompletion()
    assert set(resumed(run).values()) == {0}
    assert is_finished(run.record, run.completion)


def test_resume_tries_failed_chunks_again() -> None:
    """A chunk in the dead letters is queued again and its failure forgotten."""
    run = MemoryRun.of(VOLUME).start()
    run.broker = MemoryBroker()
    run.completion.add_failure(Failure(Chunk(2, 0, 0, 0), "E", "m"))
    resumed(run)
    assert Chunk(2, 0, 0, 0) in queued(run) and run.completion.failures() == []


def test_layer_by_layer() -> None:
    """Without automatic advance each layer waits to be queued, and the table is the same in the end."""
    run = MemoryRun.of(VOLUME, auto_queue_parents=False).start().work()
    for layer in list(VOLUME.plan.layers)[1:]:
        assert queued(run) == []
        assert queue_ready(run.record, layer, run.completion, run.broker.open([])) == VOLUME.plan.total(layer)
        run.work()
    assert is_finished(run.record, run.completion)
    assert run.raw_table() == undisturbed()


def test_a_second_build_of_a_done_chunk_changes_nothing() -> None:
    """Queuing a chunk by hand after the end rebuilds it and what it made ready: same bytes, same times."""
    run = MemoryRun.of(VOLUME).start().work()
    run.broker.open([]).publish(2, [run.record.message(Chunk(2, 1, 1, 1))])
    run.work()
    assert run.raw_table() == undisturbed()


def test_reset_keeps_the_bytes() -> None:
    """A new run id with the same timestamp, on the same table, writes the same cells again."""
    run = MemoryRun.of(VOLUME).start().work()
    before = run.raw_table()
    run.record = replace(run.record, run="again")
    run.completion = MemoryCompletion()
    resumed(run)
    run.work()
    assert run.raw_table() == before and is_finished(run.record, run.completion)


@pytest.mark.parametrize("shape", [(5, 3, 2), (2, 2, 2), (3, 1, 1), (1, 1, 1)])
def test_test_run(shape: tuple[int, int, int]) -> None:
    """A test run builds the middle layer-3 chunk and its children, as a whole run builds them, and ends."""
    volume = random_volume(5, shape)
    run = MemoryRun.of(volume, test=True).start().work()
    plan = run.record.plan
    assert is_finished(run.record, run.completion)
    whole = MemoryRun.of(volume).start().work().raw_table()
    built = {key: cells for key, (cells, _) in run.raw_table().items() if not key.startswith(b"i")}
    assert len(list(run.scratch.list("run/"))) == sum(plan.total(layer) for layer in plan.layers)
    for key, cells in built.items():
        for column, value in cells.items():
            assert whole[key][0][column] == value


def test_messages_survive_random_restarts() -> None:
    """Workers that are lost with messages in hand, again and again, lose nothing."""
    rng, run = random.Random(7), MemoryRun.of(VOLUME).start()
    while not is_finished(run.record, run.completion):
        queue = run.broker.open(run.record.plan.layers)
        worker = worker_of(queue, run, "w")
        held = [queue.receive(0.0) for _ in range(rng.randrange(1, 4))]
        for delivery in held[1:]:
            if delivery is not None:
                worker.handle(delivery)
        queue.close()
        some_work(run, rng.randrange(3))
    assert run.raw_table() == undisturbed()
