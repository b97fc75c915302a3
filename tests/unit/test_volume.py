"""Bounds come from the volume's info; folders are listed without being walked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from shared.inputs.listing import can_list
from shared.inputs.names import COMPONENTS, EDGES
from shared.inputs.volume import read_volume
from shared.plan.volume import VolumeFacts


def make_volume(path: str) -> None:
    """An empty segmentation with two mip levels and an offset."""
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding="compressed_segmentation",
        resolution=[8, 8.5, 40],
        voxel_offset=[104, -56, 24],
        volume_size=[1000, 999, 33],
        chunk_size=[64, 64, 32],
    )
    made: Any = CloudVolume(path, info=info, progress=False)
    made.add_scale((2, 2, 1))
    made.commit_info()


def test_bounds_and_resolution_of_mip_0(tmp_path: Path) -> None:
    """The facts are those of the finest level, and reading them writes nothing."""
    make_volume(f"file://{tmp_path}/ws")
    before = sorted(tmp_path.rglob("*"))
    facts = read_volume(f"file://{tmp_path}/ws")
    assert facts == VolumeFacts((104, -56, 24), (1104, 943, 57), (8.0, 8.5, 40.0))
    assert facts.grid_shape((512, 512, 32)) == (2, 2, 2)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["file:///no/such/volume", "gs://", "mem://no/volume"])
def test_unreadable_volume(path: str) -> None:
    """A volume that cannot be read is a problem that names its path and what to check."""
    with pytest.raises(ConfigError) as caught:
        read_volume(path)
    (problem,) = caught.value.problems
    assert problem.where == path
    assert "check the path" in problem.consequence
    assert "\x1b" not in problem.consequence


def test_damaged_info(tmp_path: Path) -> None:
    """An info file that is none is a problem, not a crash."""
    (tmp_path / "info").write_text("{")
    with pytest.raises(ConfigError):
        read_volume(f"file://{tmp_path}")


def test_local_folders(tmp_path: Path) -> None:
    """A folder has to be there and to hold a file whose name fits."""
    folder = f"file://{tmp_path}"
    for name in ("components_0_0_0.proto", "edges_0_0_0.proto", "edges_0_0.proto.zst", "edges_00_0_0.proto.zst"):
        (tmp_path / name).touch()
    assert "holds no edges_*.proto.zst" in str(can_list(folder, EDGES))
    (tmp_path / "edges_0_0_0.proto.zst").touch()
    assert can_list(f"precomputed://{folder}", EDGES) is None
    assert can_list(folder, EDGES) is None
    assert "does not exist" in str(can_list(f"{folder}/missing", EDGES))
    assert "cannot be listed" in str(can_list(f"{folder}/edges_0_0_0.proto.zst", EDGES))


def test_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket's listing ends with the first object."""
    from cloudfiles import CloudFiles

    asked = []

    def listing(files: CloudFiles, prefix: str, flat: bool) -> Iterator[str]:
        asked.append((files.cloudpath, prefix, flat))
        yield "edges_0_0_0.proto.zst"
        raise AssertionError("asked for more than one object")

    assert "holds no edges_*" in str(can_list("mem://bucket/edges", EDGES))
    monkeypatch.setattr(CloudFiles, "list", listing)
    assert can_list("mem://bucket/edges", EDGES) is None
    assert asked == [("mem://bucket/edges", "edge", True)]


def test_bucket_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cloud-files raises becomes a reason."""
    from cloudfiles import CloudFiles

    def listing(*_: object, **__: object) -> Iterator[str]:
        raise PermissionError("\x1b[1mno access\x1b[m\nmore")

    monkeypatch.setattr(CloudFiles, "list", listing)
    assert "(PermissionError: no access)" in str(can_list("mem://bucket/edges", EDGES))


def test_a_folder_may_be_empty(tmp_path: Path) -> None:
    """Where a dataset says so, a folder has to be there and to hold nothing."""
    assert can_list(f"file://{tmp_path}", COMPONENTS, may_be_empty=True) is None
    assert "does not exist" in str(can_list(f"file://{tmp_path}/missing", COMPONENTS, may_be_empty=True))


def test_protocols_without_listings() -> None:
    """Nothing is said of a folder on a web server, whose names are asked for later."""
    assert can_list("https://localhost:1/edges", EDGES) is None
