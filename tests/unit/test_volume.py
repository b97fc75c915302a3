"""Bounds come from the volume's info; folders are listed without being walked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from shared.inputs.listing import can_list, list_sources
from shared.inputs.volume import read_volume
from shared.plan.volume import VolumeFacts
from tests.datasets import dataset


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
    (tmp_path / "components_0_0_0.proto").touch()
    assert "holds no edges_*.proto.zst" in str(can_list(folder, "edges_", ".proto.zst"))
    (tmp_path / "edges_0_0_0.proto.zst").touch()
    assert can_list(folder, "edges_", ".proto.zst") is None
    assert "does not exist" in str(can_list(f"{folder}/missing", "edges_", ".proto.zst"))
    assert "cannot be listed" in str(can_list(f"{folder}/edges_0_0_0.proto.zst", "edges_", ".proto.zst"))


def test_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket's listing ends with the first object."""
    from cloudfiles import CloudFiles

    asked = []

    def listing(files: CloudFiles, prefix: str, flat: bool) -> Iterator[str]:
        asked.append((files.cloudpath, prefix, flat))
        yield "edges_0_0_0.proto.zst"
        raise AssertionError("asked for more than one object")

    assert "holds no edges_*" in str(can_list("mem://bucket/edges", "edges_", ".proto.zst"))
    monkeypatch.setattr(CloudFiles, "list", listing)
    assert can_list("mem://bucket/edges", "edges_", ".proto.zst") is None
    assert asked == [("mem://bucket/edges", "edges_", True)]


def test_bucket_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cloud-files raises becomes a reason."""
    from cloudfiles import CloudFiles

    def listing(*_: object, **__: object) -> Iterator[str]:
        raise PermissionError("\x1b[1mno access\x1b[m\nmore")

    monkeypatch.setattr(CloudFiles, "list", listing)
    assert "(PermissionError: no access)" in str(can_list("mem://bucket/edges", "edges_", ".proto.zst"))


def test_sources_of_a_dataset(tmp_path: Path) -> None:
    """Each folder of a dataset is looked at under its key."""
    (tmp_path / "edges").mkdir()
    (tmp_path / "edges" / "edges_0_0_0.proto.zst").touch()
    data = dataset(
        tmp_path,
        data_source__EDGES="./edges",
        data_source__COMPONENTS="./edges",
    )
    found = list_sources(data)
    assert found.pop("data_source.COMPONENTS") is not None
    assert found == {"data_source.EDGES": None}
