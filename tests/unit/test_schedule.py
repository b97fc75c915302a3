"""Tasks, machines, nodes and hours of a run, by hand; and that the defaults are Terraform's."""

from __future__ import annotations

import re
from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.environment import USABLE
from shared.estimate import bill
from shared.estimate import schedule as times
from shared.estimate.needs import PROCESS_BYTES, LayerNeeds
from shared.estimate.schedule import MACHINES, about, as_rows, fleet_tasks, remarks, rounded_gib, schedule
from shared.timestamps import duration

VARIABLES = (Path(__file__).resolve().parents[2] / "terraform" / "variables.tf").read_text()

LAYER = LayerNeeds(
    layer=2,
    chunks=10_000,
    cpu_seconds=2_000,
    wait_seconds=8_000,
    memory_gib=0.9,
    rows=1_000_000,
    row_bytes=75e6,
    handoff_bytes=1e6,
)
"""A second a chunk, 100 rows each."""


def default(variable: str, name: str) -> float:
    """The default of an attribute of one of Terraform's variables."""
    block = re.search(rf'variable "{variable}" {{.*?\n}}', VARIABLES, re.DOTALL)
    assert block, variable
    found = re.search(rf"{name}\s*=\s*optional\(number, ([\d.]+)\)|{name}\s*=\s*([\d.]+)$", block[0], re.MULTILINE)
    assert found, name
    return float(found[1] or found[2])


def test_fleets_and_table_are_those_of_terraform() -> None:
    """Plan and Terraform start from the same defaults: what is planned is what is deployed."""
    assert default("fleet", "max") == times.FLEET_TASKS
    assert default("fleet", "fall") == times.FLEET_FALL
    assert 10 * default("bigtable_cluster", "min_nodes") == times.NODES
    assert default("bigtable_cluster", "cpu_target") == 100 * times.UTILISATION
    assert default("handoff_days", "default") == 30 * bill.HANDOFF_MONTHS


def test_the_fleet_limits() -> None:
    """10,000 seconds over 500 tasks are 20; the million rows need 50,000 a second, six nodes of 8,400."""
    (stage,) = schedule([LAYER])
    assert (stage.tasks, stage.fleet, stage.nodes) == (500, 500, 6)
    assert stage.hours == pytest.approx(20 / 3600)
    assert stage.task_hours == pytest.approx(10_000 / 3600)
    assert (stage.cpu, stage.memory_gib, stage.fits) == (1, 1.0, True)
    assert remarks([stage]) == []


def test_the_table_limits() -> None:
    """With 252 times the rows, thirty nodes take 252,000 a second: 1,000 seconds, in which ten tasks are busy;
    the fleet may have four times as many, as nodes may take more of rows as small as ours."""
    (stage,) = schedule([replace(LAYER, rows=252e6)])
    assert (stage.tasks, stage.fleet, stage.nodes) == (10, 40, 30)
    assert stage.hours == pytest.approx(1_000 / 3600)
    (remark,) = remarks([stage])
    assert "layers 2" in remark and "max_nodes" in remark


def test_more_nodes_are_the_same_node_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a layer that the table limits: three times the nodes take a third of the hours, for the same bill."""
    layer = replace(LAYER, rows=840e6)
    (many,) = schedule([layer])
    monkeypatch.setattr(times, "NODES", 10)
    (few,) = schedule([layer])
    assert (many.nodes, few.nodes, few.limited) == (30, 10, True)
    assert few.hours == pytest.approx(3 * many.hours)
    assert few.nodes * few.hours == pytest.approx(many.nodes * many.hours)


def test_a_single_task_may_be_too_much_for_the_table() -> None:
    """There is one task at least, and it waits: the hours are the table's."""
    (stage,) = schedule([replace(LAYER, rows=25_200e6)])
    assert (stage.tasks, stage.fleet, stage.nodes) == (1, 4, 30)
    assert stage.hours == pytest.approx(100_000 / 3600)


def test_fleets_fall_with_the_layers() -> None:
    """A quarter of the tasks with each layer, one in the end, and never more than there are chunks."""
    assert [fleet_tasks(layer) for layer in range(2, 9)] == [500, 125, 32, 8, 2, 1, 1]
    assert schedule([replace(LAYER, chunks=3)])[0].tasks == 3


@pytest.mark.parametrize(
    ("needed", "cpu", "memory", "fits"),
    [
        (0.1, 1, 1.0, True),
        (3.9, 1, 4.0, True),
        (4.1, 2, 4.5, True),
        (8.2, 4, 8.5, True),
        (31.6, 8, 32.0, True),
        (32.1, 8, 32.0, False),
    ],
)
def test_machines(needed: float, cpu: int, memory: float, fits: bool) -> None:
    """The fewest CPUs that Cloud Run gives the memory to; beyond 32 GiB there is none, and it is said."""
    (stage,) = schedule([replace(LAYER, memory_gib=needed)])
    assert (stage.cpu, stage.memory_gib, stage.fits) == (cpu, memory, fits)
    assert any("32 GiB" in remark for remark in remarks([stage])) is not fits


@given(st.floats(0, 32))
def test_memory_is_rounded_up(needed: float) -> None:
    """To the next half GiB, at least one GiB, at most the 32 of the largest machine."""
    assert rounded_gib(needed + 32) == 32
    assert needed <= rounded_gib(needed) <= max(1.0, needed + 0.5)
    assert rounded_gib(needed) % 0.5 == 0


@given(
    chunks=st.integers(0, 10**7),
    seconds=st.floats(1e-3, 10),
    rows=st.integers(0, 10**6),
    memory=st.floats(0, 40),
)
def test_stages_keep_the_limits(chunks: int, seconds: float, rows: int, memory: float) -> None:
    """Whatever a layer needs: no more tasks and nodes than allowed, enough hours for its work and its rows."""
    layer = replace(
        LAYER, chunks=chunks, cpu_seconds=0, wait_seconds=chunks * seconds, rows=chunks * rows, memory_gib=memory
    )
    (stage,) = schedule([layer])
    assert 0 <= stage.tasks <= stage.fleet <= min(chunks, times.FLEET_TASKS)
    assert 0 <= stage.nodes <= times.NODES
    assert stage.task_hours * 3600 >= layer.seconds * (1 - 1e-9)
    assert stage.nodes * times.ROWS_A_NODE * times.UTILISATION * stage.hours * 3600 >= layer.rows * (1 - 1e-6)
    assert (stage.cpu, stage.memory_gib) <= MACHINES[-1]


def test_rows_for_people() -> None:
    """A row a layer and one for all; times and large numbers as people say them."""
    heading, layer, total = as_rows([LAYER], schedule([LAYER]))
    assert heading[0] == "layer"
    assert layer[:4] == ("2", "33.3 min", "0.90 GiB", "1 million")
    assert layer[4:] == ("500", "500", "1 CPU 1 GiB", "1", "6", "20.0 s", "2.8 h")
    assert total == ("all", "33.3 min", "", "1 million", "", "", "", "", "", "20.0 s", "2.8 h")
    assert [duration(seconds, 1) for seconds in (0, 89, 90, 5_400, 4e6)] == [
        "0.0 s", "89.0 s", "1.5 min", "1.5 h", "1,111.1 h"
    ]  # fmt: skip
    assert [about(count) for count in (0, 999_999, 2_345_678, 33_554_432_000, 1.2e13)] == [
        "0", "999,999", "2.35 million", "33.6 billion", "12,000 billion"
    ]  # fmt: skip


@given(
    cpu=st.floats(1e-3, 100),
    wait=st.floats(0, 1e5),
    memory=st.floats(0.18, 40),
)
def test_chunks_under_way_have_room(cpu: float, wait: float, memory: float) -> None:
    """A process has no more chunks under way than its machine has memory for the largest of, than it waits for, and
    than eight; and is paid for no less than its CPU, nor for more than one chunk after another takes."""
    layer = replace(LAYER, chunks=1000, cpu_seconds=cpu, wait_seconds=wait, memory_gib=memory, rows=0)
    (stage,) = schedule([layer])
    process = PROCESS_BYTES / times.GIB
    each = memory * USABLE - process
    assert 1 <= stage.at_once <= times.AT_ONCE
    assert stage.at_once == 1 or process + stage.at_once * each <= stage.memory_gib * USABLE + 1e-6
    assert stage.at_once <= ceil(layer.seconds / cpu)
    assert cpu * (1 - 1e-9) <= stage.task_hours * 3600 <= layer.seconds * (1 + 1e-9)


def test_small_chunks_are_under_way_together() -> None:
    """Chunks of 20 MB that wait fifty times as long as they work: eight at a time; those that fill a machine, or
    never wait, one."""
    small = replace(LAYER, cpu_seconds=10.0, wait_seconds=500.0, memory_gib=0.21)
    assert schedule([small])[0].at_once == times.AT_ONCE
    assert schedule([replace(small, memory_gib=0.9)])[0].at_once == 1
    assert schedule([replace(small, wait_seconds=0.0)])[0].at_once == 1
    assert schedule([replace(small, wait_seconds=15.0)])[0].at_once == 3
