"""A handful of chunks is read from raw output before the start: what is wrong with all is said once, and early.

A wrong DATA_VERSION takes records for others of another length, wrong SPATIAL_BITS look for chunks by other ids:
each chunk would meet that. Invariants: nothing is written; the same output gives the same answer.
"""

from __future__ import annotations

from itertools import islice

from shared.errors import DataError, IngestError
from shared.inputs.folder import plain_location
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.reasons import reason_of
from shared.inputs.source import RawSource
from shared.operate.which_input import AGGLOMERATION, Found
from shared.plan.plan import Plan
from shared.plan.raw_input import RawInput
from shared.plan.shuffle import shuffled
from shared.ranges import CloudFilesRanges
from shared.work.layer2_inputs import read_active

CHUNKS = 12
"""Chunks that are read at most, scattered over the grid."""


def open_raw(plan: Plan, raw: RawInput) -> RawSource:
    """The raw output of a dataset, to look into before a run."""
    reader = CloudFilesRanges(plain_location(raw.agglomeration))
    records = RecordFormat(raw.data_version, raw.resolution)
    return RawSource(RawAgglomeration(reader, plan.grid, plan.ids, records))


def raw_problems(plan: Plan, raw: RawInput) -> Found:
    """What is wrong with the raw output of a few chunks of a plan."""
    total = plan.grid.chunk_total(2)
    failed: list[DataError] = []
    read = 0
    try:
        source = open_raw(plan, raw)
        for index in islice(shuffled(total, total), CHUNKS):
            read += 1
            try:
                read_active(plan, plan.grid.chunk_at(2, index), source)
            except DataError as error:
                failed.append(error)
    except IngestError as error:
        return [(AGGLOMERATION, None, str(error))]
    except Exception as error:  # cloud-files raises whatever its protocols raise
        told = f"cannot be read ({reason_of(error)}); check that you may read it"
        return [(AGGLOMERATION, raw.agglomeration, told)]
    if not failed:
        return []
    told = (
        f"of {read} sampled chunks {len(failed)} cannot be built; the first: {failed[0]}. If all are so, "
        f"data_source.DATA_VERSION = {raw.data_version} or graph_config.SPATIAL_BITS = {plan.ids.spatial_bits} is "
        "not what it was written with"
    )
    return [(AGGLOMERATION, raw.agglomeration, told)]
