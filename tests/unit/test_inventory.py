"""Names are matched whole, what is almost one is named, and missing files are counted before a run starts."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from shared.inputs import inventory as module
from shared.inputs.folder import SIBLINGS, InputFiles
from shared.inputs.inventory import Inventory, take_inventory
from shared.inputs.names import COMPONENTS, EDGES, Almost, Kind
from shared.operate.missing import missing_problems
from shared.plan.grid import Chunk, Grid

GRID = Grid((4, 2, 1))


@pytest.mark.parametrize("kind", [EDGES, COMPONENTS])
@pytest.mark.parametrize("coords", [(0, 0, 0), (1, 20, 300), (262143, 0, 9)])
def test_whole_names(kind: Kind, coords: tuple[int, int, int]) -> None:
    """A chunk's file has one name; on a disk it may be packed."""
    chunk = Chunk(2, *coords)
    name = kind.name(chunk)
    assert kind.chunk_of(name, siblings=False) == chunk and kind.almost("x" + name) is None
    for end in SIBLINGS:
        assert kind.chunk_of(name + end, siblings=True) == chunk
        assert kind.chunk_of(name + end, siblings=False) is None


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (EDGES, "edges_1_2_3.proto", "with another ending"),
        (EDGES, "edges_1_2_3.proto.zst.gz", "compressed once more"),
        (EDGES, "edges_1-2-3.proto.zst", "written otherwise"),
        (EDGES, "edges_01_2_3.proto.zst", "written otherwise"),
        (EDGES, "edge_1_2_3.proto.zst", "written otherwise"),
        (EDGES, "Edges_1_2_3.proto.zst", "written otherwise"),
        (EDGES, "edges_1_2_3.proto.zst.part", "not finished"),
        (EDGES, ".edges_1_2_3.proto.zst.Ab12Cd", "not finished"),
        (EDGES, "edges_1_2_3.proto.zst_.gstmp", "not finished"),
        (COMPONENTS, "components_1_2_3.proto.zst", "with another ending"),
        (COMPONENTS, "components_1_2_3", "with another ending"),
        (COMPONENTS, "component_1_2_3.proto", "written otherwise"),
    ],
)
def test_names_that_are_almost_one(kind: Kind, name: str, reason: str) -> None:
    """A name that is almost right is told with the right one, and is never taken for it."""
    assert kind.chunk_of(name, siblings=False) is None
    almost = kind.almost(name)
    assert almost is not None and almost.chunk == Chunk(2, 1, 2, 3)
    assert reason in str(almost) and kind.name(almost.chunk) in str(almost)


@pytest.mark.parametrize(
    "name", ["info", "README.md", "provenance", "edges", "edges_1_2", "edges/", "in_chunk_0_1_2_3.data"]
)
def test_other_names(name: str) -> None:
    """What has nothing to do with edges is passed over."""
    assert EDGES.chunk_of(name, siblings=True) is None and EDGES.almost(name) is None


def fill(folder: Path, kind: Kind, *chunks: tuple[int, int, int]) -> InputFiles:
    """A folder with empty files of these chunks."""
    folder.mkdir(exist_ok=True)
    for coords in chunks:
        (folder / kind.name(Chunk(2, *coords))).touch()
    return InputFiles(f"file://{folder}")


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "asked for"])
def test_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool) -> None:
    """Chunks without edges, chunks with edges and no components, and files of no chunk are counted the same by a
    listing and one by one."""
    monkeypatch.setattr(module, "LISTED", 100 if listed else 1)
    edges = fill(tmp_path / "edges", EDGES, (0, 0, 0), (1, 0, 0), (3, 1, 0), (4, 0, 0), (0, 0, 7))
    components = fill(tmp_path / "components", COMPONENTS, (0, 0, 0), (2, 0, 0))
    (tmp_path / "components" / "components_3_1_0.proto.zst").touch()
    (tmp_path / "edges" / "edges_0_0_0.proto").touch()
    found = take_inventory(edges, components, GRID)
    assert (found.chunks, found.looked, found.edges, found.without_edges, found.bare) == (8, 8, 3, 5, 2)
    assert (found.strangers, found.stranger_names) == (2, ("edges_0_0_7.proto.zst", "edges_4_0_0.proto.zst"))
    assert set(found.without_components) == {Chunk(2, 1, 0, 0), Chunk(2, 3, 1, 0)}
    assert [one.name for one in found.almost] == ["components_3_1_0.proto.zst"]
    assert (found.almost_total, found.reach, found.whole) == (1, (4, 2, 1), True)
    assert ("no edge file", "5 of 8 chunks") in found.totals()
    assert ("no component file", "2 of 3 chunks with edges") in found.totals()
    assert any(name == "files of no chunk" and value.startswith("2: edges_0_0_7") for name, value in found.totals())


def test_a_sample_of_a_large_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a grid too large to list some chunks are looked for, and the plan says so; the same ones each time."""
    from cloudfiles import CloudFiles

    monkeypatch.setattr(module, "LISTED", 50)
    monkeypatch.setattr(module, "SAMPLED", 40)
    grid = Grid((20, 10, 1))
    location = f"mem://{uuid.uuid4().hex}"
    CloudFiles(location, progress=False).puts(
        [(kind.name(chunk), b"x") for kind in (EDGES, COMPONENTS) for chunk in grid.chunks(2) if chunk.x < 10],
        compress=None,
    )
    folder = InputFiles(location)
    found = take_inventory(folder, folder, grid)
    assert (found.chunks, found.looked, found.whole) == (200, 40, False)
    assert 5 < found.edges < 35 and found.bare == 0
    assert take_inventory(folder, folder, grid) == found
    assert f"{40 - found.edges} of 40 looked for, a sample of 200 chunks" in dict(found.totals())["no edge file"]


def told(setting: str | float, **facts: Any) -> list[str]:
    """The keys of the problems of an inventory of a grid of 8 x 8 x 2 chunks, all there but for `facts`."""
    whole = {"chunks": 128, "looked": 128, "edges": 128, "reach": (8, 8, 2)}
    grid = Grid((8, 8, 2))
    return [key for key, _, _ in missing_problems(setting, Inventory(**(whole | facts)), grid)]  # type: ignore[arg-type]


MISSING, SIZE = "chunkedgraph_ingest.missing_files", "graph_config.CHUNK_SIZE"


def test_settings() -> None:
    """By default many chunks may have no edges, as in sparse volumes, and few of the others no components."""
    assert told(0.1) == told("refuse") == told("report") == []
    assert told(0.1, edges=12, looked=128) == []
    assert told(0.1, bare=12) == [] and told(0.1, bare=13) == [MISSING]
    assert told(0.5, bare=64) == [] and told(0, bare=1) == [MISSING]
    assert told("refuse", edges=127) == [MISSING] and told("refuse", bare=1) == [MISSING]
    assert told("report", edges=1, bare=1) == []


def test_half_the_chunk_size() -> None:
    """Files that fill the lower half of each axis and end there are those of a larger chunk size."""
    assert told(0.1, edges=16, reach=(4, 4, 1)) == [SIZE]
    assert told(0.1, edges=16, reach=(5, 4, 1)) == [] == told(0.1, edges=4, reach=(4, 4, 1))
    assert told("report", edges=16, reach=(4, 4, 1)) == []


def test_nothing_of_the_grid() -> None:
    """Edge files that are all of other chunks are no input, unless a dataset says that it has none."""
    assert told(0.1, edges=0, strangers=5, stranger_names=("edges_9_9_9.proto.zst",)) == ["data_source.EDGES"]
    assert told("report", edges=0) == []


def test_names_that_are_almost_right_are_refused() -> None:
    """Whatever the setting: a file under such a name would be passed over."""
    almost = Almost("edges_1_2_3.proto", Chunk(2, 1, 2, 1), "edges_1_2_3.proto.zst with another ending")
    for setting in ("report", "refuse", 0.1):
        assert "data_source" in told(setting, almost=(almost,), almost_total=3)
