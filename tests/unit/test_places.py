"""The same table wherever the same input files are: what the check accepts, the worker can open."""

from __future__ import annotations

import gzip
import uuid
from pathlib import Path

import pytest

from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.check import Checked
from shared.work.open_runs import OpenRuns
from tests.harness import worker_of
from tests.on_disk import OnDisk, threads_volume
from tests.web_server import serving

Cells = dict[bytes, dict[str, bytes]]


def table_of(checked: Checked) -> Cells:
    """The table that an ingest of a checked dataset makes, without its meta row, which names the places."""
    backend = MemoryBackend()
    run, _ = begin(backend, checked, "graph", now_ms=1_700_000_000_000)
    opened = OpenRuns(backend, lambda: 0.0)
    worker_of(backend.queue(run.record.plan.layers), opened).run(idle_seconds=0.0)
    assert run.finished, run.failures()
    return {row.key: row.cells for row in run.opened.table.read([(b"", b"\xff")]) if row.key != b"meta"}


@pytest.fixture
def data(tmp_path: Path) -> OnDisk:
    """A small dataset on disk."""
    return OnDisk.write(tmp_path, threads_volume((3, 2, 1)))


@pytest.fixture
def on_disk(data: OnDisk) -> Cells:
    """Its table."""
    return table_of(data.check())


def test_formats_before_a_location(data: OnDisk, on_disk: Cells) -> None:
    """A location with the name of a format is the same place to the check and to the worker."""
    places = {"EDGES": f"precomputed://file://{data.folder}/edges"}
    places["COMPONENTS"] = f"precomputed://file://{data.folder}/components"
    assert table_of(data.check(**places)) == on_disk


@pytest.mark.parametrize("head", [True, False])
def test_web_server(data: OnDisk, on_disk: Cells, head: bool) -> None:
    """Files of a web server, which has no listings, are asked for by name; missing ones are missing there, too."""
    with serving(data.volume.edges | data.volume.components, head) as address:
        checked = data.check(EDGES=f"{address}/edges", COMPONENTS=f"{address}/components")
        assert table_of(checked) == on_disk
        assert checked.inventory.looked == checked.inventory.edges == 6
    lost = dict(sorted(data.volume.edges.items())[:-1])
    with serving(lost | data.volume.components, head) as address:
        told = data.refusal(EDGES=f"{address}/edges", COMPONENTS=f"{address}/components")
        assert "edges_2_1_0.proto.zst has to have them" in told


def test_web_server_with_nothing(data: OnDisk) -> None:
    """A web server that has none of the files is refused, and so is one that is not there."""
    with serving({}) as address:
        assert "has no edge file of the grid of 3 x 2 x 1 chunks" in data.refusal(EDGES=f"{address}/edges")
    told = data.refusal(EDGES="http://127.0.0.1:1/edges")
    assert "data_source.EDGES" in told and "cannot be read" in told and "Connection refused" in told


@pytest.mark.parametrize("packed", [False, True])
def test_bucket(data: OnDisk, on_disk: Cells, packed: bool) -> None:
    """Files that cloud-files copies to a bucket, packed on disk or not, are the same dataset."""
    from cloudfiles import CloudFiles

    bucket = f"mem://{uuid.uuid4().hex}"
    for name, files in (("edges", data.volume.edges), ("components", data.volume.components)):
        for file, content in files.items():
            path = data.folder / name / file
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
                path.unlink()
        local = CloudFiles(f"file://{data.folder}/{name}", progress=False)
        local.transfer_to(f"{bucket}/{name}", paths=list(files))
    assert table_of(data.check()) == on_disk
    assert table_of(data.check(EDGES=f"{bucket}/edges", COMPONENTS=f"{bucket}/components")) == on_disk
