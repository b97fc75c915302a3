"""A graph of an example that is small enough for a test: its run in memory, its volume and files on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from jobs.example import ExampleParams, make_example
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.check import check
from shared.operate.run import Run

PARAMS = ExampleParams((4, 3, 2), (24, 20, 16), supervoxel_size=5)


def begun(folder: Path, params: ExampleParams = PARAMS, name: str = "small", test: bool = False) -> Run:
    """Makes an example below a new folder, and begins a run of it, or a test of that."""
    make_example(folder, params)
    path = folder / f"{name}.yml"
    content = {
        "data_source": {"EDGES": "./edges", "COMPONENTS": "./components", "WATERSHED": "./ws"},
        "graph_config": {"CHUNK_SIZE": list(params.chunk_size)},
    }
    path.write_text(yaml.safe_dump(content))
    return begin(MemoryBackend(), check(path, graph=name, test=test), name)[0]


def built(folder: Path, params: ExampleParams = PARAMS) -> Run:
    """The same, finished."""
    run = begun(folder, params)
    run.work()
    assert run.finished
    return run


def location_of(run: Run) -> Path:
    """The folder of the volume of supervoxels."""
    return Path(run.record.dataset["data_source"]["WATERSHED"].removeprefix("file://"))


def supervoxels_of(run: Run) -> Any:
    """The whole volume of supervoxels (x, y, z), as it is stored."""
    from cloudvolume import CloudVolume

    volume: Any = CloudVolume(f"file://{location_of(run)}", progress=False)
    return np.asarray(volume[:, :, :])[..., 0]
