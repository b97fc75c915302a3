"""End to end from raw output: the command line, worker processes and Google's emulators, on a small example."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from jobs.example import make_example
from shared.exit_codes import Exit
from shared.operate import raw_sample
from shared.run.made_from import FROM_RAW, MadeFrom
from tests.e2e.conftest import FEW, Run
from tests.e2e.test_ingest import in_memory, opened, rows

DATASET = """
data_source: {{EDGES: {0}/edges, COMPONENTS: {0}/components, WATERSHED: "file://{0}/ws", DATA_VERSION: 4}}
graph_config: {{CHUNK_SIZE: [24, 24, 20], FANOUT: 2, SPATIAL_BITS: 10}}
ingest_config: {{AGGLOMERATION: {0}/raw}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small example as raw output, with its dataset.yml."""
    found = tmp_path / "raw"
    make_example(found, FEW, raw=True)
    (found / "dataset.yml").write_text(DATASET.format(found))
    return found


def name() -> str:
    return f"g{uuid.uuid4().hex[:12]}"


def cells(variables: dict[str, str], graph: str) -> dict[bytes, dict[str, bytes]]:
    """The rows of a table, without times."""
    return {key: found for key, (found, _) in rows(opened(variables, graph).table).items()}


def complete(folder: Path) -> list[bool]:
    """What stands beside the processed files."""
    return [
        MadeFrom.decode((folder / kind / FROM_RAW).read_bytes(), FROM_RAW).complete
        for kind in ("edges", "components")
    ]


def test_ingest_from_raw_output(cli: Run, variables: dict[str, str], folder: Path) -> None:
    """Raw output is read where there are no files yet, and is verified against its own input and the truth; the
    next graph reads the files that the first one wrote, and has the same rows."""
    dataset, truth, first, second = folder / "dataset.yml", folder / "truth.npz", name(), name()
    planned = cli("plan", dataset)
    assert planned.returncode == 0 and f"raw output in file://{folder}/raw, data version 4" in planned.stdout
    done = cli("ingest", dataset, "--graph", first, "--workers", 2, "--truth", truth)
    assert (done.returncode, "agrees with" in done.stdout, str(truth) in done.stdout) == (0, True, True), done
    assert f"edges written to: file://{folder}/edges" in done.stdout and complete(folder) == [True, True]
    run = opened(variables, first)
    assert rows(run.table) == rows(in_memory(run))
    assert "every chunk" in cli("ingest", dataset, "--graph", first).stdout

    assert f"processed files in file://{folder}/edges" in cli("plan", dataset).stdout
    again = cli("ingest", dataset, "--graph", second, "--workers", 2, "--truth", truth)
    assert again.returncode == 0 and "processed files in EDGES and COMPONENTS are read" in again.stdout, again
    assert cells(variables, second) == cells(variables, first)

    files = {path.name: path.read_bytes() for path in (folder / "edges").iterdir()}
    third = cli("ingest", dataset, "--graph", name(), "--raw", "--workers", 2, "--truth", truth)
    assert third.returncode == 0 and "edges are in" in third.stdout
    assert {path.name: path.read_bytes() for path in (folder / "edges").iterdir()} == files


def test_prepare_only(cli: Run, variables: dict[str, str], folder: Path) -> None:
    """Files are written and no table; after that the ingest of the same name reads them. A half of them is refused
    where nobody can tell what it is a half of."""
    dataset, graph = folder / "dataset.yml", name()
    done = cli("ingest", dataset, "--graph", graph, "--prepare-only", "--workers", 2)
    assert done.returncode == 0 and "processed files are in" in done.stdout and "table" not in done.stdout, done
    assert complete(folder) == [True, True] and not opened(variables, graph).table.exists()
    assert cli("verify", "--graph", graph).returncode == Exit.REFUSED
    assert "processed files are in" in cli("ingest", dataset, "--graph", graph, "--prepare-only").stdout
    assert cli("ingest", dataset, "--graph", name(), "--prepare-only").returncode == Exit.REFUSED
    ingested = cli("ingest", dataset, "--graph", graph, "--workers", 2, "--truth", folder / "truth.npz")
    assert ingested.returncode == 0 and "agrees with" in ingested.stdout, ingested

    note = folder / "edges" / FROM_RAW
    note.write_bytes(note.read_bytes().replace(b'"complete": true', b'"complete": false'))
    dataset.write_text(dataset.read_text().replace(f"ingest_config: {{AGGLOMERATION: {folder}/raw}}", ""))
    refused = cli("ingest", dataset, "--graph", name())
    assert refused.returncode == Exit.REFUSED and f"make resume GRAPH={graph}" in refused.stderr


def test_damaged_shard_then_mended(
    cli: Run, variables: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged shard is refused by name if a sampled chunk meets it; if none does, it ends the run with its name,
    and files that are not noted as complete; mended and resumed, the run completes."""
    graph = name()
    damaged = max((folder / "raw/chunked_rg").glob("in_chunk*.data"), key=lambda path: path.stat().st_size)
    good = damaged.read_bytes()
    damaged.write_bytes(good[: len(good) // 2])
    refused = cli("ingest", folder / "dataset.yml", "--graph", graph, "--workers", 1)
    assert refused.returncode == Exit.REFUSED and damaged.name in refused.stderr and not (folder / "edges").exists()
    monkeypatch.setattr(raw_sample, "CHUNKS", 0)
    failed = cli("ingest", folder / "dataset.yml", "--graph", graph, "--workers", 1)
    assert failed.returncode == Exit.FAILED_CHUNKS and damaged.name in failed.stdout, failed
    assert complete(folder) == [False, False]
    damaged.write_bytes(good)
    truth = folder / "truth.npz"
    mended = cli("ingest", folder / "dataset.yml", "--graph", graph, "--workers", 2, "--resume", "--truth", truth)
    assert mended.returncode == 0 and complete(folder) == [True, True], mended
