"""The status of a run: counts, rates and what is left, a line a layer.

Grid((4, 2, 1)): 8 chunks in layer 2, 2 in layer 3, 1 in layer 4
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.operate.status import LayerStatus, RunStatus, run_status
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.run.ports import Failure, LayerProgress, State

GRID = Grid((4, 2, 1))
PLAN = Plan(GRID, IdLayout(GRID.layer_count))


def status(
    progress: dict[int, LayerProgress] | None = None,
    failures: tuple[Failure, ...] = (),
    before: dict[int, int] | None = None,
    seconds: float = 0.0,
    plan: Plan = PLAN,
) -> RunStatus:
    return run_status(plan, progress or {}, failures, before or {}, seconds)


def failure(layer: int, x: int, dead: bool = True) -> Failure:
    return Failure(Chunk(layer, x, 0, 0), "ValueError", "no", state=State.DEAD if dead else State.TRYING)


def test_at_the_start() -> None:
    """Right after the start all of layer 2 is queued, and nothing above it."""
    found = status()
    assert [(layer.layer, layer.total, layer.done, layer.queued) for layer in found.layers] == [
        (2, 8, 0, 8),
        (3, 2, 0, 0),
        (4, 1, 0, 0),
    ]
    assert (found.done, found.under_way, found.failed, found.finished) == (0, 8, 0, False)
    assert all(layer.rate == 0.0 and layer.left_seconds is None for layer in found.layers)


def test_under_way() -> None:
    """Done, queued and failed chunks of each layer; rate and time left from what was done since before."""
    found = status(
        {2: LayerProgress(6, 8, 12.5), 3: LayerProgress(0, 1, 0.0)},
        (failure(2, 1),),
        before={2: 2},
        seconds=2.0,
    )
    assert found.layers == [
        LayerStatus(2, 8, 6, 1, 1, 12.5, 2.0, 1.0),
        LayerStatus(3, 2, 0, 1, 0, 0.0, 0.0, None),
        LayerStatus(4, 1, 0, 0, 0, 0.0, 0.0, None),
    ]
    assert (found.done, found.under_way, found.failed, found.finished) == (6, 2, 1, False)


def test_finished() -> None:
    """A run is finished when every chunk is done; nothing is left then, whatever the rate."""
    progress = {2: LayerProgress(8, 0), 3: LayerProgress(2, 2), 4: LayerProgress(1, 1)}
    for before in ({}, {2: 8, 3: 2, 4: 1}):
        found = status(progress, before=before, seconds=10.0)
        assert found.finished and found.under_way == found.failed == 0
        assert [layer.left_seconds for layer in found.layers] == [0.0, 0.0, 0.0]
    assert not status(progress | {4: LayerProgress(0, 1)}).finished


def test_only_dead_letters_count_as_failed() -> None:
    """A failure that is tried again leaves its chunk queued; one in the dead letters does not."""
    again, dead = failure(2, 0, dead=False), failure(2, 1)
    assert [(layer.failed, layer.queued) for layer in status(failures=(again, dead)).layers] == [
        (1, 7),
        (0, 0),
        (0, 0),
    ]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_has_passed(seconds: float) -> None:
    """Without time between two looks there is no rate, and no division by zero."""
    (layer, *_) = status({2: LayerProgress(4)}, seconds=seconds).layers
    assert layer.rate == 0.0 and layer.left_seconds is None


def test_counts_that_went_back() -> None:
    """After a reset the counts are lower than before: the rate is 0, not negative."""
    (layer, *_) = status({2: LayerProgress(1)}, before={2: 5}, seconds=1.0).layers
    assert layer.rate == 0.0 and layer.left_seconds is None


def test_test_run() -> None:
    """A test run has two layers, with its own totals."""
    found = status(plan=Plan(GRID, IdLayout(GRID.layer_count), test=True))
    assert [(layer.layer, layer.total, layer.queued) for layer in found.layers] == [(2, 4, 4), (3, 1, 0)]


@given(st.data())
def test_counts_fit_together(data: st.DataObject) -> None:
    """For any progress: no count is negative, and done, queued and failed never exceed the total."""
    progress, failures = {}, []
    for layer in PLAN.layers:
        total = PLAN.total(layer)
        done = data.draw(st.integers(0, total))
        published = data.draw(st.integers(done, total))
        progress[layer] = LayerProgress(done, published)
        dead = data.draw(st.integers(0, (total if layer == 2 else published) - done))
        failures += [failure(layer, x) for x in range(dead)]
    found = status(progress, tuple(failures), seconds=data.draw(st.floats(0, 1e6)))
    for line in found.layers:
        assert min(line.done, line.queued, line.failed, line.rate) >= 0
        assert line.done + line.queued + line.failed <= line.total
        assert line.left_seconds is None or line.left_seconds >= 0
    assert found.finished == (found.done == 11)
