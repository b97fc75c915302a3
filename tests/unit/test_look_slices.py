"""Views of the map: what they hold, that they are bounded, and that all of a layer can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.look.slices import MOST_CHUNKS, MOST_RECORDS, Slice, box, first_layer, sliced, whole
from shared.look.states import number_above
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan

SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 9)).flatmap(st.permutations)


def plan_of(shape: tuple[int, int, int], test: bool = False, lowest: int = 2, tables: int = 0) -> Plan:
    """A plan of a grid."""
    grid = Grid(shape, lowest)
    return Plan(grid, IdLayout(grid.layer_count), test=test, tables=tables)


def records_of(plan: Plan, view: Slice) -> set[Chunk]:
    """The records that say which chunks of a view are done."""
    return {number_above(plan, chunk)[0] for chunk in view.chunks() if chunk in plan}


@given(SHAPES, st.data())
def test_a_view_is_bounded(shape: list[int], data: st.DataObject) -> None:
    """However large a slice is, and whatever is asked for, a view has at most so many chunks, all of the grid, of
    so many records, and begins with a record's first chunk."""
    plan = plan_of((shape[0], shape[1], shape[2]), lowest=data.draw(st.sampled_from([1, 2])))
    layer, axis = data.draw(st.sampled_from(list(plan.layers))), data.draw(st.integers(0, 2))
    at, u, v = (data.draw(st.none() | st.integers(-5, 400)) for _ in range(3))
    view = sliced(plan, layer, axis, at, u, v)
    chunks = view.chunks()
    assert 0 < len(chunks) == view.width * view.height <= MOST_CHUNKS
    assert len(set(chunks)) == len(chunks) and all(chunk in plan for chunk in chunks)
    assert len(records_of(plan, view)) <= MOST_RECORDS
    assert view.u % 2 == view.v % 2 == 0
    assert sliced(plan, layer, axis, view.at, view.u, view.v) == view


@given(SHAPES, st.integers(0, 2))
def test_all_of_a_slice_can_be_seen(shape: list[int], axis: int) -> None:
    """Whoever goes on by half a window at a time sees each chunk of a slice."""
    plan = plan_of((shape[0], shape[1], shape[2]))
    low, high = box(plan, 2)
    first, second = (one for one in range(3) if one != axis)
    seen = set()
    v = low[second]
    while True:
        u = low[first]
        while True:
            view = sliced(plan, 2, axis, 0, u, v)
            seen |= {
                (left, top)
                for left in (view.u, view.u + view.width - 1)
                for top in (view.v, view.v + view.height - 1)
            }
            if view.u + view.width >= high[first]:
                break
            u = view.u + max(2, view.width // 2)
            assert view.u + view.width >= u
        if view.v + view.height >= high[second]:
            break
        v = view.v + max(2, view.height // 2)
        assert view.v + view.height >= v
    assert {(high[first] - 1, high[second] - 1), (low[first], low[second])} <= seen


@given(SHAPES, st.booleans(), st.sampled_from([(2, 0), (1, 0), (1, 4)]), st.data())
def test_where_an_end_is_noted(shape: list[int], test: bool, kind: tuple[int, int], data: st.DataObject) -> None:
    """The record that tells of a chunk, and the number there, are those that a worker notes its end with."""
    plan = plan_of((shape[0], shape[1], shape[2]), test, *kind)
    layer = data.draw(st.sampled_from(list(plan.layers)))
    chunk = plan.chunk_at(layer, data.draw(st.integers(0, plan.total(layer) - 1)))
    above = plan.dependents(chunk)[0]
    assert number_above(plan, chunk) == (above, plan.bits(above)[chunk])


def test_coarse_first() -> None:
    """What is shown first is the lowest layer of which a slice is seen as a whole; of small ones layer 2."""
    assert first_layer(plan_of((9, 5, 3))) == 2
    assert first_layer(plan_of((9, 5, 3), lowest=1, tables=3)) == 2
    large = plan_of((216, 216, 216))
    assert first_layer(large) == 4
    assert whole(large, 4, 2) and not whole(large, 3, 2)


def test_a_test_run_is_seen_as_a_whole() -> None:
    """Of a test the map has the eight chunks that it builds, wherever they lie, and nothing else."""
    plan = plan_of((9, 5, 3), test=True, lowest=1)
    for layer in plan.layers:
        low, high = box(plan, layer)
        slices = [sliced(plan, layer, 0, at) for at in range(low[0], high[0])]
        seen = {chunk for view in slices for chunk in view.chunks()}
        assert seen == {plan.chunk_at(layer, number) for number in range(plan.total(layer))}


def test_tables() -> None:
    """Parts of tables are a row."""
    plan = plan_of((9, 5, 3), lowest=1, tables=5)
    view = sliced(plan, 0, 2)
    assert view.chunks() == [Chunk(0, at, 0, 0) for at in range(5)]
    assert records_of(plan, view) == {Chunk(1, 0, 0, 0)}


@pytest.mark.parametrize(("layer", "axis"), [(1, 0), (7, 0), (-1, 0), (2, 3), (2, -1)])
def test_what_is_not_there(layer: int, axis: int) -> None:
    """A layer or an axis that is not there is refused."""
    with pytest.raises(ValueError, match="there is no layer"):
        sliced(plan_of((9, 5, 3)), layer, axis)


def test_colours_are_told_apart() -> None:
    """In both schemes the colours of states that a map is mostly made of differ for every kind of colour vision, by
    as much as a person sees; states that need someone have a shape besides."""
    sheet = (Path(__file__).parents[2] / "jobs/look/assets/page/page.css").read_text()
    light, dark = sheet.split("prefers-color-scheme: dark")
    for scheme in (light, dark):
        found = {name: _rgb(scheme, name) for name in ("waiting", "queued", "building", "done", "failed")}
        for kind, matrix in _VISION.items():
            seen = {
                name: _lab([max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True))) for row in matrix])
                for name, rgb in found.items()
            }
            for one, other in ((a, b) for a in seen for b in seen if a < b):
                if {one, other} != {"building", "failed"}:
                    apart = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
                    assert apart > 12, (kind, one, other, apart)


_VISION = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency"
(2009), severity 1, on linear RGB."""


def _rgb(sheet: str, name: str) -> list[float]:
    """A colour of the style sheet as linear RGB."""
    text = sheet.split(f"--{name}: #")[1][:6]
    values = [int(text[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def _lab(rgb: list[float]) -> tuple[float, float, float]:
    """CIE L*a*b* of linear sRGB, white D65."""
    r, g, b = rgb
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (one ** (1 / 3) if one > 0.008856 else 7.787 * one + 16 / 116 for one in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
