"""The pipeline against the oracle: on random small volumes every cell of the table is the same."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.inputs.source import ProcessedSource
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY
from tests.examples import examples
from tests.harness import MemoryRun, Shuffling, content, storage_of
from tests.oracle import Oracle
from tests.volumes import Volume, random_volume
from tests.whole.partition import compare, input_partition, table_partition
from tests.whole.walk import Report, Walk

shapes = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3)).flatmap(st.permutations).map(tuple)
volumes = st.builds(
    random_volume,
    seed=st.integers(0, 2**32 - 1),
    shape=shapes,
    size=st.integers(1, 5),
    density=st.sampled_from([0.1, 0.3, 0.6, 1.0]),
    schema=st.sampled_from([2, 3]),
    disagree=st.sampled_from([0.0, 0.1]),
)
odd = st.builds(
    random_volume,
    seed=st.integers(0, 99),
    shape=st.sampled_from(
        [(5, 3, 1), (1, 5, 3), (3, 1, 5), (1, 1, 1), (9, 1, 1), (1, 9, 1), (1, 1, 9), (3, 3, 3), (2, 2, 17)]
    ),
)


def oracle(volume: Volume) -> dict[str, dict[str, Any]]:
    return Oracle(volume.plan, volume.supervoxels, volume.active).table()


@examples(120)
@given(volumes | odd)
def test_table_equals_oracle(volume: Volume) -> None:
    """Every row, column and value is what the rules of the format give, for random volumes."""
    run = MemoryRun.of(volume).start().work()
    assert run.decoded_table() == oracle(volume)


@examples(40)
@given(volumes, st.integers(0, 2**32 - 1))
def test_order_and_duplicates_do_not_matter(volume: Volume, seed: int) -> None:
    """Every message twice and in random order gives the same table to the byte, times included."""
    calm = MemoryRun.of(volume).start().work()
    rough = MemoryRun.of(volume).start().work(lambda queue: Shuffling(queue, random.Random(seed)))
    assert rough.raw_table() == calm.raw_table()
    assert sorted(rough.scratch.list("")) == sorted(calm.scratch.list(""))


@examples(60)
@given(volumes | odd)
def test_verify_finds_nothing(volume: Volume) -> None:
    """The walk and the comparison with the input edges find no violation in a table of ours."""
    run = MemoryRun.of(volume).start().work()
    run.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    report = Report()
    walk = Walk(volume.plan, run.table, report, keep_links=True)
    walk.run()
    found = table_partition(volume.plan, walk.links)
    files = storage_of(volume.edges), storage_of(volume.components)
    compare(found, input_partition(volume.plan, ProcessedSource(*files)), report.complain)
    assert report.violations == []
    assert found[0].tolist() == sorted(volume.supervoxels)


@examples(30)
@given(volumes)
def test_totals_count_what_is_there(volume: Volume) -> None:
    """The counts that the last hand-off carries are those of the table and of the input."""
    from shared.chunks.codec import decode_handoff

    run = MemoryRun.of(volume).start().work()
    top = volume.plan.top
    name = run.record.handoff_name(top)
    totals = decode_handoff(content(run.scratch, name), name, top).totals
    table = run.decoded_table()
    assert totals[2]["supervoxels"] == len(volume.supervoxels)
    assert totals[2]["disagreements"] == volume.disagreements
    roots = [key for key, row in table.items() if "0:children" in row and "0:parents" not in row]
    assert sum(counts["final"] for counts in totals.values()) == len(roots)
