"""A small volume as a dataset on disk: edge and component files, the watershed's info, the YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.errors import ConfigError
from shared.operate.check import Checked, check
from shared.plan.grid import Chunk
from tests.volumes import Point, Volume, traced_volume

VOXELS = 8
"""Voxels of a chunk along each axis."""


@dataclass
class OnDisk:
    """The dataset below `folder`."""

    folder: Path
    volume: Volume

    @classmethod
    def write(cls, folder: Path, volume: Volume) -> OnDisk:
        """Writes all files."""
        from cloudvolume import CloudVolume

        for name, files in (("edges", volume.edges), ("components", volume.components)):
            (folder / name).mkdir(parents=True)
            for file, data in files.items():
                (folder / name / file).write_bytes(data)
        info = CloudVolume.create_new_info(
            num_channels=1,
            layer_type="segmentation",
            data_type="uint64",
            encoding="raw",
            resolution=[8, 8, 40],
            voxel_offset=[0, 0, 0],
            volume_size=[VOXELS * length for length in volume.plan.grid.shape],
            chunk_size=[64, 64, 64],
        )
        CloudVolume(f"file://{folder}/ws", info=info, progress=False).commit_info()
        return cls(folder, volume)

    def file(self, **settings: Any) -> Path:
        """The YAML file, with settings of ours; `chunk` is the chunk size; EDGES and the like are locations."""
        chunk = settings.pop("chunk", [VOXELS] * 3)
        bits = settings.pop("bits", 10)
        source = {"EDGES": "./edges", "COMPONENTS": "./components", "WATERSHED": "./ws"}
        source |= {key: settings.pop(key) for key in list(settings) if key.isupper()}
        path = self.folder / "dataset.yml"
        content = {
            "data_source": source,
            "graph_config": {"CHUNK_SIZE": chunk, "SPATIAL_BITS": bits},
            "chunkedgraph_ingest": settings,
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def check(self, **settings: Any) -> Checked:
        """What an ingest checks first."""
        return check(self.file(**settings), "graph", test=False)

    def refusal(self, **settings: Any) -> str:
        """All problems of the dataset as text; empty if it has none."""
        try:
            self.check(**settings)
        except ConfigError as error:
            return str(error)
        return ""


def threads_volume(shape: tuple[int, int, int], schema: int = 3) -> Volume:
    """An object along each row of chunks of a grid, two supervoxels of it in each chunk."""
    x, y, z = shape
    traces: list[list[Point]] = [
        [((i, j, k), segment) for i in range(x) for segment in (1, 2)] for j in range(y) for k in range(z)
    ]
    return traced_volume(shape, traces, schema)


def edge_path(data: OnDisk, *coords: int) -> Path:
    """The edge file of a chunk."""
    return data.folder / "edges" / "edges_{}_{}_{}.proto.zst".format(*coords)


def component_path(data: OnDisk, *coords: int) -> Path:
    """The component file of a chunk."""
    return data.folder / "components" / "components_{}_{}_{}.proto".format(*coords)


def supervoxel(volume: Volume, coords: tuple[int, int, int], segment: int) -> int:
    """The id of a supervoxel."""
    return volume.plan.ids.chunk_id(Chunk(1, *coords)) + segment
