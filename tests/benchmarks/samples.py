"""What a plan predicts after `make sample` against what all chunks really take, on this machine and its clock."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs.example import ExampleParams, make_example
from jobs.example.files import COMPONENTS, EDGES
from jobs.sample_here import sampling
from shared.environment import USABLE
from shared.estimate.cuts import LIBRARY_BYTES
from shared.estimate.measured import Job
from shared.estimate.needs import AROUND_CPU, PROCESS_BYTES, needs_of_range
from shared.operate.check import Checked, check
from shared.operate.kept_sample import measured, record_to_sample
from shared.operate.looking_inside import SAMPLE, chunks_to_sample, look_inside
from shared.plan.grid import Chunk
from tests.benchmarks.measure import show
from tests.datasets import write
from tests.on_disk import OnDisk
from tests.shapes import dense, shaped_volume, slabs, sparse

CHUNKS = 8
"""That are sampled."""
LARGE = ExampleParams((3, 3, 3), (152, 152, 200), 4)
SEGMENTATION = ExampleParams((4, 4, 3), (152, 152, 100), 4)


def measure(folder: Path) -> dict[str, Any]:
    """Datasets of several shapes; each is sampled first, and then built as a whole."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for name, made in datasets().items():
        checked = made(folder / name)
        rows += _compare(name, checked)
    show(f"Predicted from {CHUNKS} sampled chunks (and a look into {SAMPLE}), and real", rows)
    return {"rows": rows}


def datasets() -> dict[str, Callable[[Path], Checked]]:
    """What makes each of them."""
    shapes = {"dense": dense, "sparse": sparse, "slabs": slabs}
    found: dict[str, Callable[[Path], Checked]] = {
        name: lambda at, count=count: OnDisk.write(at, shaped_volume((8, 7, 6), count)).check()  # type: ignore[misc]
        for name, count in shapes.items()
    }
    found["example"] = lambda at: _example(at, ExampleParams())
    found["large chunks"] = lambda at: _example(at, LARGE)
    found["segmentation"] = lambda at: _example(at, SEGMENTATION, segmentation=True)
    return found


def _example(at: Path, params: ExampleParams, segmentation: bool = False) -> Checked:
    make_example(at, params, segmentation=segmentation)
    places = {"EDGES": f"./{EDGES}", "COMPONENTS": f"./{COMPONENTS}", "WATERSHED": "./ws"}
    content: dict[str, Any] = {"data_source": places, "graph_config": {"CHUNK_SIZE": list(params.chunk_size)}}
    if segmentation:
        section = {"supervoxels": "./fragments", "objects": "./objects"}
        places |= {"EDGES": "./out/edges", "COMPONENTS": "./out/components", "WATERSHED": "./out/ws"}
        content["chunkedgraph_ingest"] = {"segmentation": section}
    return check(write(at, content), "graph")


def _compare(name: str, checked: Checked) -> list[dict[str, Any]]:
    record, total = record_to_sample(checked), checked.plan.total(2)
    taken = list(sampling(record).take(chunks_to_sample(checked, CHUNKS)))
    sample = measured("", record, taken, "", "", inside=False)
    look = look_inside(checked, kept=sample)
    predicted = needs_of_range(checked.report, look.density, look.high, look.paces)
    every: list[Chunk] = [checked.plan.chunk_at(2, index) for index in range(total)]
    jobs = [job for one in sampling(record).take(every) for job in one.jobs]
    lines = []
    for layer in (1, 2):
        # A cut that several chunks need is done once in a run.
        real = list({job.chunk: job for job in jobs if job.layer == layer}.values())
        if not real:
            continue
        need = next(one for one in predicted if one.layer == layer)
        cpu, took = need.cpu_seconds - need.chunks * AROUND_CPU, sum(job.cpu_seconds for job in real)
        lines.append({
            "dataset": name,
            "layer": layer,
            "jobs": len(real),
            "supervoxels/job": sum(job.supervoxels for job in real) // len(real),
            "rows / real": need.rows / max(1, sum(job.rows for job in real)),
            "CPU s": cpu,
            "real CPU s": took,
            "CPU / real": cpu / took,
            "with messages": need.cpu_seconds / (took + need.chunks * AROUND_CPU),
            "memory GiB": need.memory_gib,
            "memory / real": need.memory_gib / _gib(real, LIBRARY_BYTES if layer == 1 else 0.0),
        })  # fmt: skip
    return lines


def _gib(jobs: Sequence[Job], before: float) -> float:
    """A machine for the largest, with what is there before it."""
    return (PROCESS_BYTES + before + max(job.grown_bytes or 0.0 for job in jobs)) / USABLE / (1 << 30)
