"""Raw output or processed files: which it is, what is written, what is refused, for every state of the folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DataError
from shared.operate.which_input import PROCESSED, Place, WhichInput, look, which_input
from shared.plan.config import Dataset
from shared.plan.grid import Grid
from shared.plan.raw_input import RawInput
from shared.plan.volume import VolumeFacts
from shared.run.from_raw import FROM_RAW, FromRaw
from tests.datasets import changed

GRID = Grid((2, 1, 1))
VOLUME = VolumeFacts((0, 0, 0), (128, 64, 32), (8.0, 8.0, 40.0))
EDGES, COMPONENTS, AGGLOMERATION, VERSION = (
    *("data_source.EDGES", "data_source.COMPONENTS", "ingest_config.AGGLOMERATION", "data_source.DATA_VERSION"),
)


@pytest.fixture
def raw_folder(tmp_path: Path) -> Path:
    """A folder that looks like raw output."""
    for name in ("chunked_rg/in_chunk_0_0_0_0.data", "remap/done_0_0_0_0.data"):
        (tmp_path / "agg" / name).parent.mkdir(parents=True)
        (tmp_path / "agg" / name).touch()
    return tmp_path / "agg"


def dataset(raw: Path | None, **values: Any) -> Dataset:
    given = {"ingest_config__AGGLOMERATION": str(raw), "data_source__DATA_VERSION": 4} if raw else {}
    return Dataset.model_validate(changed(**given | values))


def input_of(raw: Path, version: int = 4) -> RawInput:
    return RawInput(f"file://{raw}", version, VOLUME.resolution)


def note(raw: Path, complete: bool, **other: Any) -> FromRaw:
    return replace(FromRaw(input_of(raw), GRID.shape, 10, "fly", "r1", complete), **other)


def chosen(
    dataset: Dataset, edges: Place | None, components: Place | None, say_raw: bool = False
) -> tuple[WhichInput, dict[str, str]]:
    """The choice, and what is refused by key."""
    places = {"edges": edges, "components": components}
    found, problems = which_input(
        dataset, GRID, VOLUME, {kind: place for kind, place in places.items() if place}, say_raw
    )
    return found, {key: told for key, _, told in [*problems, *found.refused]}


EMPTY, THERE = Place("gs://b/x"), Place("gs://b/x", holds=True)


@pytest.mark.parametrize(
    ("edges", "components", "say_raw", "raw"),
    [
        (EMPTY, EMPTY, False, True),
        (None, None, False, True),
        (EMPTY, None, False, True),
        (THERE, None, False, True),
        (THERE, THERE, False, False),
        (THERE, EMPTY, False, False),
        (EMPTY, THERE, False, False),
        (THERE, THERE, True, True),
        (EMPTY, EMPTY, True, True),
    ],
)
def test_raw_or_processed(
    raw_folder: Path, edges: Place | None, components: Place | None, say_raw: bool, raw: bool
) -> None:
    """Raw if it is said, or where a folder is not given, or neither holds a file of the grid."""
    found, _ = chosen(dataset(raw_folder), edges, components, say_raw)
    assert found.raw == (input_of(raw_folder) if raw else None)


def test_without_raw_output_nothing_changes(raw_folder: Path) -> None:
    """A dataset without AGGLOMERATION reads processed files, and cannot be told otherwise."""
    assert chosen(dataset(None), EMPTY, EMPTY) == (PROCESSED, {})
    found, problems = chosen(dataset(None), THERE, THERE, say_raw=True)
    assert found == PROCESSED and "is missing" in problems[AGGLOMERATION]


def test_what_raw_output_needs(raw_folder: Path, tmp_path: Path) -> None:
    """The data version, and shards where they should be; all that is wrong at once, and only where raw is read."""
    wrong = Dataset.model_validate(changed(ingest_config__AGGLOMERATION=str(tmp_path / "nothing")))
    _, problems = chosen(wrong, EMPTY, EMPTY)
    assert "versions 2, 3, 4" in problems[VERSION] and "no chunked_rg/in_chunk_0_*" in problems[AGGLOMERATION]
    assert chosen(wrong, THERE, THERE)[1] == {}
    (raw_folder / "remap/done_0_0_0_0.data").unlink()
    assert "no remap/done_*.data" in chosen(dataset(raw_folder), EMPTY, EMPTY)[1][AGGLOMERATION]


def test_what_is_written(raw_folder: Path, tmp_path: Path) -> None:
    """Files go where a folder is given: not over others, over half of the same, and not where all are there."""
    of = dataset(raw_folder)
    half, whole = (Place("gs://b/x", True, note(raw_folder, complete)) for complete in (False, True))
    foreign = Place("gs://b/x", True, note(tmp_path / "other", True))
    assert chosen(of, EMPTY, EMPTY)[0].written == ("edges", "components")
    assert chosen(of, EMPTY, None)[0].written == ("edges",)
    assert chosen(of, None, None)[0].written == ()
    found, problems = chosen(of, half, half)
    assert (found.raw, found.written, problems) == (input_of(raw_folder), ("edges", "components"), {})
    found, problems = chosen(of, whole, half, say_raw=True)
    assert (found.written, found.kept, problems) == (("components",), ("edges",), {})
    for there in (THERE, foreign):
        found, problems = chosen(of, there, EMPTY, say_raw=True)
        assert found.written == ("components",) and "not written over" in problems[EDGES]


def test_half_written_files_are_no_dataset(raw_folder: Path, tmp_path: Path) -> None:
    """They count as none for the raw output that they are of, and are refused for want of it, or for another."""
    half, whole = (Place("gs://b/x", True, note(raw_folder, complete)) for complete in (False, True))
    assert chosen(dataset(raw_folder), half, half)[0].raw == input_of(raw_folder)
    assert chosen(dataset(raw_folder), whole, whole) == (PROCESSED, {})
    assert chosen(dataset(None), whole, whole) == (PROCESSED, {})
    for other in (dataset(None), dataset(raw_folder, data_source__DATA_VERSION=2)):
        _, problems = chosen(other, half, whole)
        assert problems.keys() == {EDGES}
        assert "make resume GRAPH=fly" in problems[EDGES] and str(raw_folder) in problems[EDGES]


def test_looking_into_folders(raw_folder: Path, tmp_path: Path) -> None:
    """A file of the grid counts, one of another grid does not; what stands beside them is read; a folder that is
    not there holds nothing."""
    edges = tmp_path / "edges"
    of = dataset(raw_folder, data_source__EDGES=str(edges), data_source__COMPONENTS=str(tmp_path / "components"))
    nothing = {"edges": Place(f"file://{edges}"), "components": Place(f"file://{tmp_path}/components")}
    assert look(of, GRID) == nothing
    edges.mkdir()
    for name in ("edges_2_0_0.proto.zst", "edges_0_0_0.proto.zst.part", "edges_a_0_0.proto.zst", "notes"):
        (edges / name).touch()
    assert look(of, GRID) == nothing
    (edges / "edges_1_0_0.proto.zst").touch()
    (edges / FROM_RAW).write_bytes(note(raw_folder, True).encode())
    assert look(of, GRID)["edges"] == Place(f"file://{edges}", True, note(raw_folder, True))
    (edges / FROM_RAW).write_bytes(b"{}")
    assert FROM_RAW in look(of, GRID)["edges"].problem
    assert EDGES in chosen(of, look(of, GRID)["edges"], EMPTY)[1]


def test_the_note_comes_back(raw_folder: Path) -> None:
    """What stands beside the files is the same when it is read; another run does not make them other files."""
    one = note(raw_folder, False)
    assert FromRaw.decode(one.encode(), "f") == one
    assert one.same_files(replace(one, graph="other", run="r2", complete=True, made_by="2.0"))
    for other in ({"shape": (3, 1, 1)}, {"spatial_bits": 9}, {"raw": input_of(raw_folder, 3)}):
        assert not one.same_files(replace(one, **other))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000, b'{"raw": 1, "shape": [1, 1, 1]}'])
def test_what_is_no_note(data: bytes) -> None:
    """Anything else is an error that names the file."""
    with pytest.raises(DataError, match=FROM_RAW):
        FromRaw.decode(data, FROM_RAW)
