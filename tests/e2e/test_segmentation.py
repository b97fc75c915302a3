"""End to end from a segmentation: the command line, worker processes and Google's emulators, on a small example."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from jobs.example import make_example
from jobs.paths import REPOSITORY
from shared.exit_codes import Exit
from shared.run.made_from import FROM_SEGMENTATION, MadeFrom
from shared.table.decode import decode_id
from tests.e2e.conftest import FEW, SECONDS, Run
from tests.e2e.test_ingest import opened, rows
from tests.e2e.test_raw import cells, name

OUTPUTS = ("edges", "components", "ws")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small example as a segmentation."""
    folder = tmp_path_factory.mktemp("segmentation")
    make_example(folder / "made", FEW, segmentation=True)
    return folder / "made"


def dataset(folder: Path, example: Path, settings: str) -> Path:
    """A dataset file whose outputs are in `folder`."""
    path = folder / "dataset.yml"
    path.write_text(
        f"data_source: {{EDGES: {folder}/edges, COMPONENTS: {folder}/components, WATERSHED: {folder}/ws}}\n"
        f"graph_config: {{CHUNK_SIZE: {list(FEW.chunk_size)}}}\n"
        f"chunkedgraph_ingest: {{segmentation: {{{settings.format(example)}}}}}\n"
    )
    return path


def complete(folder: Path) -> list[bool]:
    """What stands beside what is written."""
    return [
        MadeFrom.decode((folder / kind / FROM_SEGMENTATION).read_bytes(), FROM_SEGMENTATION).complete
        for kind in OUTPUTS
    ]


def volume(folder: Path) -> Any:
    """All voxels of a volume."""
    return volume_at(f"file://{folder}")


def volume_at(location: str) -> Any:
    """All voxels of the volume at a location."""
    from cloudvolume import CloudVolume

    return np.asarray(CloudVolume(location, progress=False)[:, :, :])[..., 0]


def test_from_voxels_to_a_graph(cli: Run, variables: dict[str, str], example: Path, tmp_path: Path) -> None:
    """Fragments and their objects become a graph with the objects of the truth, the volume that servers read, and
    files from which the next graph has the same rows; the supervoxel at a voxel has a row, whose root is shown."""
    path = dataset(tmp_path, example, "supervoxels: {0}/fragments, objects: {0}/objects")
    truth, first, second = example / "truth.npz", name(), name()
    planned = cli("plan", path)
    assert planned.returncode == 0 and f"the segmentation in file://{example}/fragments" in planned.stdout, planned
    done = cli("ingest", path, "--graph", first, "--workers", 2, "--truth", truth)
    assert (done.returncode, "agrees with" in done.stdout, str(truth) in done.stdout) == (0, True, True), done
    assert complete(tmp_path) == [True, True, True]
    before, after = volume(example / "fragments"), volume(tmp_path / "ws")
    assert before.shape == after.shape and ((before == 0) == (after == 0)).all()
    known = {key for key in rows(opened(variables, first).table) if not key.startswith((b"i", b"m", b"v"))}
    assert {f"{at:020d}".encode() for at in np.unique(after[after != 0]).tolist()} <= known
    shown = cli("show", str(after[after != 0][0]), "--graph", first)
    assert shown.returncode == 0 and "root" in shown.stdout, shown
    assert_view(variables, first, after)
    cut = cli("chunk-local", "1", "0", "0", "0", "--graph", first)
    assert cut.returncode == 0 and "contacts inside" in cut.stdout, cut

    again = cli("ingest", path, "--graph", second, "--workers", 2, "--truth", truth)
    assert again.returncode == 0 and "layer 2" in again.stdout, again
    assert cells(variables, second) == cells(variables, first)


def assert_view(variables: dict[str, str], graph: str, supervoxels: Any) -> None:
    """The command `view` serves the volume with the root of each voxel; Ctrl-C ends it."""
    table, last = opened(variables, graph).table, chr(0x10FFFF).encode()
    parents = {
        int(row.key): decode_id(row.cells["0:parents"])
        for row in table.read([(b"", last)])
        if "0:parents" in row.cells
    }

    def root(node: int) -> int:
        return root(parents[node]) if node in parents else node

    command = [sys.executable, "-m", "jobs.cli", "view", "--graph", graph]
    with subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(word for line in process.stdout for word in line.split() if word.startswith("http"))
        served = volume_at(f"precomputed://{address}segments/6")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == Exit.INTERRUPTED
    ids, at = np.unique(supervoxels, return_inverse=True)
    roots = np.array(list(map(root, ids.tolist())), np.uint64)
    assert roots[0] == 0 and (served == roots[at].reshape(supervoxels.shape)).all()


def test_flat_labels(cli: Run, variables: dict[str, str], example: Path, tmp_path: Path) -> None:
    """Objects alone become a graph whose roots are the objects, with a block of voxels missing at first: its chunks
    end in the dead letters with what to do, and mended the run goes on."""
    labels = tmp_path / "labels"
    path = dataset(tmp_path, example, f"supervoxels: {labels}, split: [12, 12, 10]")
    labels.mkdir()
    for file in (example / "objects").rglob("*"):
        if file.is_file():
            target = labels / file.relative_to(example / "objects")
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    block = sorted((labels / "32_32_40").iterdir())[0]
    kept, graph = block.read_bytes(), name()
    block.unlink()
    failed = cli("ingest", path, "--graph", graph, "--workers", 2)
    assert failed.returncode == Exit.FAILED_CHUNKS and "fill_missing" in failed.stdout, failed
    assert complete(tmp_path) == [False, False, False]
    block.write_bytes(kept)
    done = cli("resume", "--graph", graph, "--workers", 2)
    assert done.returncode == 0 and "agrees with" in done.stdout, done
    assert complete(tmp_path) == [True, True, True]
    objects = len(np.unique(volume(labels))) - 1
    assert f"{objects:,} roots" in done.stdout


def scored(example: Path) -> tuple[list[tuple[int, int]], list[tuple[int, int, float]]]:
    """The objects of an example as tables: of its fragments, and of scored edges between those that touch."""
    fragments, objects = volume(example / "fragments"), volume(example / "objects")
    at = np.unique(fragments, return_index=True)
    of = {int(one): int(objects.ravel()[where]) for one, where in zip(*at, strict=True) if one}
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        low, high = np.moveaxis(fragments, axis, 0)[:-1].ravel(), np.moveaxis(fragments, axis, 0)[1:].ravel()
        touch = (low != high) & (low != 0) & (high != 0)
        pairs.update(zip(low[touch].tolist(), high[touch].tolist(), strict=True))
    edges = [(a, b, 0.75 if of[a] == of[b] else 0.25) for a, b in sorted(pairs) if a < b or (b, a) not in pairs]
    return sorted(of.items()), edges


def test_tables(cli: Run, variables: dict[str, str], example: Path, tmp_path: Path) -> None:
    """A mapping in several files, and scored edges, make the roots that the volume of objects makes; jobs of layer
    0 sort them first. A table that contradicts itself ends there, and goes on when it is mended."""
    mapping, edges = scored(example)
    tables = tmp_path / "tables"
    tables.mkdir()
    np.save(tables / "a.npy", np.array(mapping[::2], np.uint64))
    parquet.write_table(
        pyarrow.table(
            {
                "fragment": pyarrow.array([a for a, _ in mapping[1::2]], pyarrow.uint64()),
                "cell": pyarrow.array([b for _, b in mapping[1::2]], pyarrow.uint64()),
            }
        ),
        tables / "b.parquet",
    )
    truth = example / "truth.npz"
    (tmp_path / "mapped").mkdir()
    path = dataset(tmp_path / "mapped", example, f"supervoxels: {{0}}/fragments, mapping: {tables}")
    done = cli("ingest", path, "--graph", name(), "--workers", 2, "--truth", truth)
    assert (done.returncode, "agrees with" in done.stdout, str(truth) in done.stdout) == (0, True, True), done

    (tmp_path / "scored").mkdir()
    csv, graph = tmp_path / "edges.csv", name()
    rows_of = [f"{a},{b},{score}\n" for a, b, score in edges]
    again = f"{edges[0][1]},{edges[0][0]},"
    csv.write_text("".join(rows_of) + f"{again}0.50\n")
    settings = f"supervoxels: {{0}}/fragments, edges: {csv}, threshold: 0.5, together: above"
    path = dataset(tmp_path / "scored", example, settings)
    failed = cli("ingest", path, "--graph", graph, "--workers", 2, "--truth", truth)
    assert failed.returncode == Exit.FAILED_CHUNKS and "has two scores" in failed.stdout, failed
    assert cli("discard", "--graph", graph, "--layer", 0, "--yes").returncode == Exit.REFUSED
    csv.write_text("".join(rows_of) + f"{again}{edges[0][2]}\n")
    done = cli("resume", "--graph", graph, "--workers", 2)
    assert (done.returncode, "agrees with" in done.stdout, str(truth) in done.stdout) == (0, True, True), done
