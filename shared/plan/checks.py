"""Whether a configuration fits its volume and its table: everything that can be refused before the start.

Invariants: the checks are pure and go through all the way, so that a person sees every problem at
once, each with its numbers. `make_plan` is meant for a dataset that passed them.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import Problem
from shared.plan.config import Dataset
from shared.plan.grid import Grid
from shared.plan.ids import IdLayout
from shared.plan.names import NAME, TABLE_NAME, VERIFY_SUFFIX
from shared.plan.plan import Plan
from shared.plan.roots import MIN_BITS
from shared.plan.volume import VolumeFacts

ROOT_SEGMENT_BITS = 10
"""Segment bits that ids of the root layer need at least: 9 are the servers', 1 is for the first root."""


def make_plan(dataset: Dataset, volume: VolumeFacts, test: bool = False) -> Plan:
    """What the ids and rows of the dataset's graph follow from; `test` limits it to a few chunks."""
    config = dataset.graph_config
    grid = Grid(volume.grid_shape(config.CHUNK_SIZE))
    ids = IdLayout(grid.layer_count, config.SPATIAL_BITS, config.LAYER_ID_BITS)
    settings = dataset.chunkedgraph_ingest
    return Plan(grid, ids, settings.table_schema, test, settings.edge_rules)


def check_dataset(
    dataset: Dataset, file: str, graph: str, volume: VolumeFacts | None, listings: Mapping[str, str | None]
) -> list[Problem]:
    """Everything that is wrong with ingesting a dataset as `graph`; empty if nothing is.

    `file` is where the dataset was read from. `listings` has, for the dotted key of each folder, why
    it cannot be used, or None. Without a `volume` (it could not be read) its grid is not checked.
    """
    problems = _check_names(dataset, file, graph)
    for key, reason in listings.items():
        if reason is not None:
            problems.append(Problem(file, key, folder_of(dataset, key), reason))
    watershed, copy = dataset.data_source.WATERSHED, dataset.ingest_config.WATERSHED
    if copy not in (None, watershed):
        consequence = f"differs from data_source.WATERSHED ({watershed}), which is the one used; remove it"
        problems.append(Problem(file, "ingest_config.WATERSHED", copy, consequence))
    if volume is None:
        return problems
    if min(volume.size) < 1:
        consequence = f"has no voxels: its size is {list(volume.size)}; there is nothing to ingest"
        return [*problems, Problem(file, "data_source.WATERSHED", watershed, consequence)]
    return problems + _check_ids(make_plan(dataset, volume), dataset, file)


def folder_of(dataset: Dataset, key: str) -> str | None:
    """The folder that stands under a dotted key."""
    folders = {
        "data_source.EDGES": dataset.data_source.EDGES,
        "data_source.COMPONENTS": dataset.data_source.COMPONENTS,
    }
    return folders.get(key)


def _check_names(dataset: Dataset, file: str, graph: str) -> list[Problem]:
    if not NAME.fullmatch(graph):
        allowed = "must start with a letter and hold at most 63 letters, digits, '-' and '_'"
        return [Problem("command line", "graph", graph, allowed)]
    if graph.endswith(VERIFY_SUFFIX):
        reserved = f"ends in {VERIFY_SUFFIX}, which is what the verification of another graph is called"
        return [Problem("command line", "graph", graph, reserved)]
    table = dataset.table_name(graph)
    if not TABLE_NAME.fullmatch(table):
        prefix = dataset.graph_config.ID_PREFIX
        consequence = (
            f"makes the table's name {table!r} ({len(table)} characters), but Bigtable's names have at most "
            "50 and start with a letter, a digit or '_'; choose a shorter graph name or another prefix"
        )
        return [Problem(file, "graph_config.ID_PREFIX", prefix, consequence)]
    return []


def _check_ids(plan: Plan, dataset: Dataset, file: str) -> list[Problem]:
    """Whether all coordinates, nodes and roots of the plan find room in 64 bits."""
    spatial_bits, chunk_size = plan.ids.spatial_bits, list(dataset.graph_config.CHUNK_SIZE)
    shape, top = plan.grid.shape, plan.grid.layer_count
    bits_key, size_key = "graph_config.SPATIAL_BITS", "graph_config.CHUNK_SIZE"
    needed = max(1, top - 2)
    grid = f"the grid of {shape[0]} x {shape[1]} x {shape[2]} chunks has {top} layers"
    if spatial_bits < needed:
        consequence = (
            f"{grid}, so coordinates need {needed} bits; "
            f"set it to {needed} or more if the supervoxel ids are made so, or use larger chunks"
        )
        return [Problem(file, bits_key, spatial_bits, consequence)]
    segment_bits = plan.ids.segment_bits(top)
    if segment_bits < ROOT_SEGMENT_BITS:
        consequence = f"leaves {segment_bits} bits to number roots, which takes {ROOT_SEGMENT_BITS}; set it lower"
        return [Problem(file, bits_key, spatial_bits, consequence)]
    # One chunk has all the numbers there are; more would come from fewer SPATIAL_BITS alone.
    if top > 2 and plan.roots.bits < MIN_BITS:
        room = 1 << plan.roots.bits if plan.roots.bits >= 0 else 0
        consequence = (
            f"{grid}, so each of its {plan.grid.chunk_total(2)} layer-2 chunks has numbers for {room} roots, "
            f"but may need {1 << MIN_BITS}; use larger chunks"
        )
        return [Problem(file, size_key, chunk_size, consequence)]
    return []
