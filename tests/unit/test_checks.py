"""What does not fit the volume or the table is refused with its numbers, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Problem
from shared.plan.checks import check_dataset, make_plan
from shared.plan.config import Dataset
from shared.plan.grid import Chunk
from shared.plan.roots import MIN_BITS
from shared.plan.volume import VolumeFacts
from tests.datasets import changed, dataset

FINE = {"data_source.EDGES": None, "data_source.COMPONENTS": None}


def volume(*size: int) -> VolumeFacts:
    """A volume of this size that starts away from 0."""
    x, y, z = size
    return VolumeFacts((100, -50, 7), (100 + x, -50 + y, 7 + z), (8.0, 8.0, 40.0))


def check(data: Dataset, facts: VolumeFacts, graph: str = "graph") -> list[Problem]:
    """The problems of a dataset whose folders are fine."""
    return check_dataset(data, "x.yml", graph, facts, FINE)


def test_grid_starts_at_the_offset() -> None:
    """The grid covers the volume's voxels from its own corner, the last chunk of an axis cut."""
    assert volume(65, 64, 63).grid_shape((64, 64, 64)) == (2, 1, 1)


def test_plan_follows_from_dataset_and_volume(tmp_path: Path) -> None:
    """Grid, id layout and schema of the plan are those of the configuration."""
    data = dataset(tmp_path, graph_config__SPATIAL_BITS=9, chunkedgraph_ingest__schema=3)
    facts = volume(640, 641, 32)
    plan = make_plan(data, facts, test=True)
    assert (plan.grid.shape, plan.ids.layer_count, plan.ids.spatial_bits) == ((10, 11, 1), 6, 9)
    assert (plan.schema, plan.test) == (3, True)
    assert not check(data, facts)


@pytest.mark.parametrize(
    ("values", "size", "key", "said"),
    [
        ({"graph_config__SPATIAL_BITS": 2}, (320, 64, 32), "graph_config.SPATIAL_BITS", "coordinates need 3 bits"),
        ({"graph_config__CHUNK_SIZE": [1, 1, 1]}, (600, 600, 600), "graph_config.CHUNK_SIZE", "larger chunks"),
        ({"graph_config__SPATIAL_BITS": 16}, (1, 1, 1), "graph_config.SPATIAL_BITS", "leaves 8 bits"),
        ({"ingest_config": {"WATERSHED": "gs://b/old"}}, (1, 1, 1), "ingest_config.WATERSHED", "gs://b/ws"),
        ({"graph_config__ID_PREFIX": "-"}, (1, 1, 1), "graph_config.ID_PREFIX", "'-graph'"),
        ({"graph_config__ID_PREFIX": "p" * 46}, (1, 1, 1), "graph_config.ID_PREFIX", "51 characters"),
        ({}, (64, 0, 32), "data_source.WATERSHED", "[64, 0, 32]"),
    ],
)
def test_refused(tmp_path: Path, values: dict[str, Any], size: tuple[int, ...], key: str, said: str) -> None:
    """A configuration that does not fit is one problem, with file, key and the numbers."""
    (problem,) = check(dataset(tmp_path, **values), volume(*size))
    assert (problem.where, problem.key) == ("x.yml", key)
    assert said in problem.consequence


@pytest.mark.parametrize("graph", ["", "1a", "a/b", "a b", "../a", "a" * 64, "a\n"])
def test_graph_names(tmp_path: Path, graph: str) -> None:
    """A graph's name has to be safe in paths and table names."""
    (problem,) = check(dataset(tmp_path), volume(1, 1, 1), graph)
    assert (problem.key, problem.value) == ("graph", graph)


def test_every_problem_at_once(tmp_path: Path) -> None:
    """Names, folders and ids are all checked, whichever fails first."""
    data = dataset(tmp_path, graph_config__SPATIAL_BITS=1, graph_config__ID_PREFIX=".")
    listings = {"data_source.EDGES": "is missing", "data_source.COMPONENTS": None}
    problems = check_dataset(data, "x.yml", "graph", volume(1000, 1, 1), listings)
    assert [(problem.key, problem.value) for problem in problems] == [
        ("graph_config.ID_PREFIX", "."),
        ("data_source.EDGES", "gs://b/edges"),
        ("graph_config.SPATIAL_BITS", 1),
    ]
    assert check_dataset(data, "x.yml", "graph", None, listings) == problems[:2]


@given(
    size=st.tuples(*[st.integers(1, 1 << 40)] * 3),
    chunk_size=st.lists(st.integers(1, 1 << 20), min_size=3, max_size=3),
    spatial_bits=st.integers(1, 18),
)
def test_whatever_passes_has_room(size: tuple[int, ...], chunk_size: list[int], spatial_bits: int) -> None:
    """A plan that passes has distinct ids for its farthest chunks, and room for roots in each."""
    data = Dataset.model_validate(changed(graph_config={"CHUNK_SIZE": chunk_size, "SPATIAL_BITS": spatial_bits}))
    if check(data, volume(*size)):
        return
    plan = make_plan(data, volume(*size))
    for layer in plan.layers:
        x, y, z = plan.grid.layer_shape(layer)
        far = Chunk(layer, x - 1, y - 1, z - 1)
        assert plan.ids.chunk_of(plan.ids.chunk_id(far)) == far
        assert plan.ids.segment_bits(layer) > 0
    root = plan.grid.root
    assert plan.roots.bits >= (MIN_BITS if root.layer > 2 else 0)
    assert plan.roots.first(root) + plan.roots.size(root.layer) <= plan.roots.limit
