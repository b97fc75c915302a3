"""A sample that was built belongs to the dataset as it was: what a kept one is known by.

Invariants: whatever decides what is in a chunk, or what its job does, is in the fingerprint; whatever does not
(names of graphs, tables and projects, whether a test is planned) is not. That files were changed under the same
names it cannot know: a sample says when it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from shared.estimate.measured import Measured
from shared.operate.check import Checked
from shared.operate.sampling import Taken, cuts_alone, table_rows, told
from shared.run.record import RunRecord


def fingerprint(checked: Checked) -> str:
    """What is the same for two configurations of which one sample tells."""
    chosen, plan = checked.input, checked.plan
    settings = checked.dataset.chunkedgraph_ingest
    facts = {
        "folders": checked.folders,
        "raw": None if chosen.raw is None else asdict(chosen.raw),
        "segmentation": None if chosen.segmentation is None else asdict(chosen.segmentation),
        "tables": list(chosen.table_parts),
        "written": list(chosen.written),
        "chunk_size": checked.dataset.graph_config.CHUNK_SIZE,
        "size": checked.volume.size,
        "low": checked.volume.low,
        "bits": [plan.ids.spatial_bits, plan.ids.layer_id_bits],
        "schema": plan.schema,
        "rules": [settings.one_sided_edges, settings.edges_beyond_volume, settings.unusable_edges],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def record_to_sample(checked: Checked) -> RunRecord:
    """The record of a run that is never begun."""
    return checked.record("sample", "sample", 1)


def measured(mark: str, record: RunRecord, taken: Sequence[Taken], when: str, where: str, inside: bool) -> Measured:
    """What sampled chunks came to, as it is kept; `mark` is the dataset's fingerprint."""
    remarks = []
    if cuts_alone(record):
        remarks.append(
            f"the tables have {table_rows(record):,} rows, which are not sorted for a sample, so chunks were cut "
            "and no more: objects are not known, nor what layer 2 takes, nor how long tables are asked"
        )
    return Measured(
        fingerprint=mark,
        when=when,
        where=where,
        inside=inside,
        jobs=tuple(job for one in taken for job in one.jobs),
        seen=tuple((one.chunk.coords, one.seen) for one in taken if one.seen is not None),
        failed=told(taken),
        remarks=tuple(remarks),
    )
