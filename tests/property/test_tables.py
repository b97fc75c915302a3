"""Tables of chance, in files of every kind, against plain dictionaries.

rows -> files of some formats -> parts -> sorted runs -> what is looked up
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.tables import components, run_file, sorting
from shared.tables.lookup import SortedTables
from shared.tables.parts import Part
from shared.tables.rows import Table
from tests.examples import examples
from tests.table_files import WRITERS, Array, joined_runs, lookup, npy, parts_of, sorted_runs, square

TOP = (1 << 64) - 1
IDS = st.one_of(
    st.integers(1, 12),
    st.integers((1 << 53) - 2, (1 << 53) + 3),
    st.integers((1 << 63) - 2, (1 << 63) + 2),
    st.integers(TOP - 3, TOP),
    st.integers(1, TOP),
)
SCORES = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 3.0, math.inf])
WIDTHS = st.sampled_from([np.uint64, np.uint64, np.int64, np.uint32, np.int32, np.uint16])


@contextmanager
def sizes(block: int, rows: int, batch: int) -> Iterator[None]:
    """Blocks, runs and batches of so few rows that a small table has many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_file, "BLOCK", block)
        patch.setattr(sorting, "RUN_ROWS", rows)
        patch.setattr(components, "RUN_ROWS", rows)
        patch.setattr(components, "BATCH_EDGES", batch)
        yield


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 20))


def as_ids(draw: Any, values: list[int]) -> Array:
    """Ids in some type that holds them."""
    dtype = draw(WIDTHS)
    if values and max(values) > np.iinfo(dtype).max:
        dtype = np.uint64
    return np.array(values, np.uint64).astype(dtype)


@st.composite
def in_files(draw: Any, table: Table, rows: list[tuple[Any, ...]]) -> dict[str, bytes]:
    """Rows, in any order, as files in one or two folders."""
    rows = draw(st.permutations(rows))
    count = draw(st.integers(1, 4))
    bounds = sorted(draw(st.lists(st.integers(0, len(rows)), min_size=count - 1, max_size=count - 1)))
    files: dict[str, bytes] = {}
    for at, (start, stop) in enumerate(zip([0, *bounds], [*bounds, len(rows)], strict=True)):
        some = rows[start:stop]
        columns = [as_ids(draw, [row[column] for row in some]) for column in range(table.keys)]
        if table is Table.MAPPING:
            columns.append(as_ids(draw, [row[-1] for row in some]))
        else:
            columns.append(np.array([row[-1] for row in some], draw(st.sampled_from(["f4", "f8"]))))
        ending = draw(st.sampled_from([*WRITERS, "square"]))
        name = f"mem://{draw(st.sampled_from('ab'))}/{draw(st.sampled_from('xyz'))}{at}"
        if ending == "square":
            columns = [column.astype(np.uint64) for column in columns[: table.keys]] + [columns[-1]]
            if table is Table.MAPPING:
                columns[-1] = columns[-1].astype(np.uint64)
                files[f"{name}.npy"] = npy(square(columns, draw(st.sampled_from("CF"))))
                continue
            ending = "npy"
        files[f"{name}.{ending}"] = WRITERS[ending](columns, draw(st.integers(1, 7)))
    return files


@st.composite
def mappings(draw: Any) -> tuple[dict[int, int], dict[str, bytes]]:
    """A mapping, and files with it, in which some rows stand several times."""
    objects = draw(st.dictionaries(IDS, IDS, min_size=1, max_size=60))
    rows = list(objects.items())
    rows += draw(st.lists(st.sampled_from(rows), max_size=10))
    return objects, draw(in_files(Table.MAPPING, rows))


@st.composite
def scored(draw: Any) -> tuple[dict[tuple[int, int], float], dict[str, bytes]]:
    """Scores of pairs (smaller id first), and files with them, in which some pairs are the other way round."""
    few = draw(st.lists(IDS, min_size=2, max_size=12, unique=True))
    pairs = draw(
        st.dictionaries(st.tuples(st.sampled_from(few), st.sampled_from(few)), SCORES, min_size=1, max_size=40)
    )
    scores = {(min(pair), max(pair)): score for pair, score in pairs.items()}
    rows = [(*pair, score) for pair, score in scores.items()]
    rows += draw(st.lists(st.sampled_from(rows), max_size=6))
    turned = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    rows = [(row[1], row[0], row[2]) if turn else row for row, turn in zip(rows, turned, strict=True)]
    return scores, draw(in_files(Table.SCORES, rows))


@given(mappings(), st.integers(1, 30), SIZES, st.lists(IDS, max_size=20), st.sampled_from([0, 700, 1 << 20]))
@examples(200)
def test_mapping(
    made: tuple[dict[int, int], dict[str, bytes]],
    least: int,
    small: tuple[int, int, int],
    more: list[int],
    cache: int,
) -> None:
    """Every listed supervoxel has its object, any other 0, however files, parts, runs and blocks are cut and
    whatever is forgotten; a job that is done again writes the same bytes."""
    objects, files = made
    with sizes(*small):
        parts = parts_of(Table.MAPPING, files, least=least)
        assert [Part.read(part.fields()) for part in parts] == parts
        runs = sorted_runs(Table.MAPPING, files, parts)
        assert sorted_runs(Table.MAPPING, files, parts) == runs
        tables = SortedTables(lookup(Table.MAPPING, runs, range(len(parts)), cache))
        wanted = np.array([*objects, *more, *objects], np.uint64)
        for _ in range(2):
            assert tables.objects_of(wanted).tolist() == [objects.get(one, 0) for one in wanted.tolist()]
        assert tables.objects_of(wanted[:0]).tolist() == []


@given(
    scored(), st.integers(1, 20), SIZES, st.lists(st.tuples(IDS, IDS), max_size=10), st.sampled_from([0, 1 << 20])
)
@examples(200)
def test_scores(
    made: tuple[dict[tuple[int, int], float], dict[str, bytes]],
    least: int,
    small: tuple[int, int, int],
    more: list[tuple[int, int]],
    cache: int,
) -> None:
    """Every listed pair has its score, whichever id is first in the table and in the question; any other NaN."""
    scores, files = made
    with sizes(*small):
        parts = parts_of(Table.SCORES, files, least=least)
        runs = sorted_runs(Table.SCORES, files, parts)
        assert sorted_runs(Table.SCORES, files, parts) == runs
        found = lookup(Table.SCORES, runs, range(len(parts)), cache)
        pairs = [*scores, *(pair[::-1] for pair in scores), *more]
        got = SortedTables(lookup(Table.MAPPING, {}, []), found).scores_of(np.array(pairs, np.uint64))
    wanted = [scores.get((min(pair), max(pair)), math.nan) for pair in pairs]
    np.testing.assert_array_equal(got, np.array(wanted, np.float32))


def components_of(scores: dict[tuple[int, int], float], threshold: float, above: bool) -> dict[int, int]:
    """Each joined supervoxel's object, by sets."""
    groups: dict[int, set[int]] = {}
    for (one, other), score in scores.items():
        if one != other and (score >= threshold) == above:
            joined = groups.get(one, {one}) | groups.get(other, {other})
            groups |= dict.fromkeys(joined, joined)
    return {one: min(group) for one, group in groups.items()}


@given(scored(), st.integers(1, 20), SIZES, SCORES, st.booleans())
@examples(200)
def test_components(
    made: tuple[dict[tuple[int, int], float], dict[str, bytes]],
    least: int,
    small: tuple[int, int, int],
    threshold: float,
    above: bool,
) -> None:
    """Objects are the connected components of what is together, each named by its smallest supervoxel; the bytes do
    not depend on how the tables are cut."""
    scores, files = made
    with sizes(*small):
        parts = parts_of(Table.SCORES, files, least=least)
        runs = joined_runs(files, parts, threshold, above)
        tables = SortedTables(lookup(Table.MAPPING, runs, [len(parts)]))
        every = sorted({one for pair in scores for one in pair})
        wanted = components_of(scores, threshold, above)
        assert tables.objects_of(np.array(every, np.uint64)).tolist() == [wanted.get(one, 0) for one in every]
        whole = parts_of(Table.SCORES, files, most=1)
        assert list(joined_runs(files, whole, threshold, above).values()) == list(runs.values())


@given(mappings(), st.data(), st.integers(1, 30), SIZES)
@examples(100)
def test_contradictions(
    made: tuple[dict[int, int], dict[str, bytes]], data: st.DataObject, least: int, small: tuple[int, int, int]
) -> None:
    """A supervoxel with two objects is never answered: where one job sees both it names both rows, and otherwise
    whoever asks is told of both parts."""
    objects, files = made
    twice = data.draw(st.sampled_from(sorted(objects)))
    other = data.draw(IDS.filter(lambda each: each != objects[twice]))
    files |= {"mem://a/w.csv": f"{twice},{other}\n".encode()}
    with sizes(*small):
        parts = parts_of(Table.MAPPING, files, least=least)
        with pytest.raises(DataError) as caught:
            runs = sorted_runs(Table.MAPPING, files, parts)
            SortedTables(lookup(Table.MAPPING, runs, range(len(parts)))).objects_of(np.array([twice], np.uint64))
    text = str(caught.value)
    assert f"supervoxel {twice} has two objects" in text
    assert f"{objects[twice]} in " in text and f"{other} in " in text
    assert isinstance(caught.value.chunk, Chunk)


@given(mappings(), st.data(), SIZES)
@examples(100)
def test_damage(
    made: tuple[dict[int, int], dict[str, bytes]], data: st.DataObject, small: tuple[int, int, int]
) -> None:
    """A run with one changed byte, or cut off anywhere, is a DataError that names it."""
    objects, files = made
    with sizes(*small):
        parts = parts_of(Table.MAPPING, files)
        runs = sorted_runs(Table.MAPPING, files, parts)
        name = data.draw(st.sampled_from(sorted(runs)))
        whole = bytearray(runs[name])
        at = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            whole[at] ^= data.draw(st.integers(1, 255))
        else:
            del whole[at:]
        with pytest.raises(DataError) as caught:
            tables = SortedTables(lookup(Table.MAPPING, runs | {name: bytes(whole)}, range(len(parts))))
            tables.objects_of(np.array(sorted(objects), np.uint64))
        assert caught.value.file == f"mem://scratch/{name}"
