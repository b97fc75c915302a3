"""The example as raw output has the edges and the objects of the example as processed files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jobs.example import ExampleParams, make_example
from jobs.example.params import RESOLUTION
from jobs.example.raw import DATA_VERSION
from shared.inputs.edges import ChunkEdges
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.source import ProcessedSource, RawSource
from shared.memory.storage import MemoryStorage
from shared.operate.raw_sample import raw_problems
from shared.plan.config import load_dataset
from shared.plan.plan import Plan
from shared.plan.raw_input import RawInput
from shared.ranges import CloudFilesRanges
from tests.unit.test_config import CONFIGS
from tests.unit.test_example import load

PARAMS = ExampleParams((3, 2, 2), (24, 24, 20))


def pairs(edges: ChunkEdges | None) -> dict[str, Counter[frozenset[int]]]:
    """The ends of all edges by kind, whichever comes first."""
    lists = ChunkEdges() if edges is None else edges
    kinds = {"inside": lists.inside, "between": lists.between, "cross": lists.cross}
    return {name: Counter(map(frozenset, part.pairs.tolist())) for name, part in kinds.items()}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as raw output."""
    folder = tmp_path_factory.mktemp("raw") / "raw"
    summary = make_example(folder, PARAMS, raw=True)
    assert summary.shards > 10 and summary.edge_files == summary.disagreements == 0
    return folder


def test_edges_and_truth(raw: Path, tmp_path: Path) -> None:
    """Every chunk has the same edges, whatever shards they were spread over, and every supervoxel the same object;
    a chunk's components are those of the true objects."""
    files = load(tmp_path / "files", PARAMS)
    x, y, z = map(float, RESOLUTION)
    reader = CloudFilesRanges(str(raw / "raw"))
    records = RecordFormat(DATA_VERSION, (x, y, z))
    source = RawSource(RawAgglomeration(reader, PARAMS.chunks, PARAMS.layout, records))
    listed = 0
    for chunk in PARAMS.chunks.chunks(2):
        assert pairs(source.edges(chunk, [chunk])[chunk]) == pairs(files.edges[chunk])
        parts = source.components(chunk, [chunk])[chunk]
        if parts is not None:
            objects = [files.truth[one] for one in parts.ids.tolist()]
            assert len(set(zip(objects, parts.labels.tolist(), strict=True))) == len(set(objects))
            listed += len(objects)
    assert listed > 100
    with np.load(raw / "truth.npz") as one, np.load(tmp_path / "files" / "truth.npz") as other:
        assert all((one[name] == other[name]).all() for name in ("supervoxel", "object"))


def test_the_same_bytes_each_time(raw: Path, tmp_path: Path) -> None:
    """The same parameters give the same shards."""
    make_example(tmp_path / "again", PARAMS, raw=True)
    shards = sorted(path.relative_to(raw) for path in (raw / "raw").rglob("*.data"))
    assert shards and all((raw / one).read_bytes() == (tmp_path / "again" / one).read_bytes() for one in shards)
    with pytest.raises(FileExistsError):
        make_example(raw, PARAMS, raw=True)


def test_its_configuration_fits() -> None:
    """configs/raw.yml describes what `make ingest DATASET=raw` makes."""
    found, made = load_dataset(CONFIGS / "raw.yml"), ExampleParams()
    folder = f"file://{CONFIGS.parent}/build/raw"
    assert f"{folder}/raw" == found.ingest_config.AGGLOMERATION
    assert (f"{folder}/ws", DATA_VERSION) == (found.data_source.WATERSHED, found.data_source.DATA_VERSION)
    assert (
        made.chunk_size,
        made.layout.spatial_bits,
    ) == (found.graph_config.CHUNK_SIZE, found.graph_config.SPATIAL_BITS)


def test_a_source_without_files(raw: Path) -> None:
    """Where there is nothing both kinds of source say so, and name where they looked."""
    chunk = next(iter(PARAMS.chunks.chunks(2)))
    nothing = RawAgglomeration(
        CloudFilesRanges(str(raw / "none")), PARAMS.chunks, PARAMS.layout, RecordFormat(2, (1.0, 1.0, 1.0))
    )
    for source, place in (
        (ProcessedSource(MemoryStorage("e"), MemoryStorage("c")), "e/edges_0_0_0.proto.zst"),
        (RawSource(nothing), f"file://{raw}/none"),
    ):
        assert source.edges(chunk, [chunk]) == {chunk: None}
        assert source.components(chunk, [chunk]) == {chunk: None}
        assert source.place(chunk) == place


@pytest.mark.parametrize("version", [2, 3, DATA_VERSION])
def test_a_few_chunks_are_read_before_the_start(raw: Path, version: int) -> None:
    """Output of another version is refused in one sentence, before anything is made; the right one is not."""
    plan = Plan(PARAMS.chunks, PARAMS.layout)
    found = raw_problems(plan, RawInput(f"file://{raw}/raw", version, (32.0, 32.0, 40.0)))
    assert [key for key, _, _ in found] == ([] if version == DATA_VERSION else ["ingest_config.AGGLOMERATION"])
    assert all(f"data_source.DATA_VERSION = {version}" in told and "the first: " in told for *_, told in found)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A shard that is there and cannot be read is no missing one."""
    (tmp_path / "chunked_rg").mkdir()
    (tmp_path / "chunked_rg/in_chunk_0_0_0_0.data").symlink_to(tmp_path / "gone")
    plan = Plan(PARAMS.chunks, PARAMS.layout)
    ((key, _, told),) = raw_problems(plan, RawInput(str(tmp_path), 2, (1.0, 1.0, 1.0)))
    assert key == "ingest_config.AGGLOMERATION" and "link to a file that is not there" in told
