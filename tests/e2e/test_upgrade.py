"""End to end: a table of schema 2 becomes one of schema 3, with worker processes on the emulators."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY
from shared.exit_codes import Exit
from shared.gcp.bigtable.table import BigtableTable
from shared.table.cells import Cells
from shared.table.columns import COUNTER, VERSION_KEY, counter_key, families
from tests.e2e.conftest import SECONDS, Run
from tests.e2e.test_ingest import in_memory, opened, rows


@pytest.fixture
def graph() -> str:
    """A name that no other test uses."""
    return f"g{uuid.uuid4().hex[:12]}"


def version(table: BigtableTable) -> bytes:
    (row,) = table.read_keys([VERSION_KEY])
    return row.cells["0:version"]


def test_upgrade(cli: Run, variables: dict[str, str], few: Path, graph: str) -> None:
    """Interrupted and run again, an upgrade ends with the table of an ingest of schema 3, at the same time."""
    dataset = few / "dataset.yml"
    first = cli("ingest", dataset, "--graph", graph, "--schema", 2, "--workers", 2)
    assert first.returncode == 0, first
    before = opened(variables, graph)
    assert isinstance(before.table, BigtableTable)
    assert (before.table.families(), version(before.table)) == (families(2), b"2.21.1")

    command = [sys.executable, "-m", "jobs.cli", "upgrade", "--graph", graph, "--workers", "2"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "queued" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == Exit.INTERRUPTED
    status = json.loads(cli("status", "--graph", graph, "--json").stdout)
    assert (status["upgrade"], status["finished"]) == (True, False)
    refused = cli("ingest", dataset, "--graph", graph, "--resume")
    assert refused.returncode == Exit.REFUSED and f"make upgrade GRAPH={graph}" in refused.stderr
    assert version(before.table) == b"2.21.1"

    done = cli("upgrade", "--graph", graph, "--workers", 2)
    assert (done.returncode, "is of schema 3 now" in done.stdout) == (0, True), done
    after = opened(variables, graph)
    assert isinstance(after.table, BigtableTable)
    assert after.record == replace(before.record, run=after.record.run, schema=3)
    assert rows(after.table) == rows(in_memory(after))
    assert (after.table.families(), version(after.table)) == (families(3), b"3.1.7")

    assert cli("verify", "--graph", graph).returncode == 0
    again = cli("upgrade", "--graph", graph)
    assert (again.returncode, "schema 3 already" in again.stdout) == (0, True)
    assert cli("ingest", dataset, "--graph", graph).returncode == 0
    other = cli("ingest", dataset, "--graph", graph, "--schema", 2)
    assert other.returncode == Exit.REFUSED and "schema was 3 and is 2" in other.stderr


def test_refusals(cli: Run, variables: dict[str, str], few: Path, graph: str) -> None:
    """A table that a server has edited, or that is not done, is left as it is."""
    assert cli("upgrade", "--graph", graph).returncode == Exit.REFUSED
    dataset = few / "dataset.yml"
    begun = cli("ingest", dataset, "--graph", graph, "--schema", 2, "--test", "--workers", 1)
    assert begun.returncode == 0, begun
    stated = cli("ingest", dataset, "--graph", graph, "--schema", 3, "--test")
    assert stated.returncode == Exit.REFUSED and f"make upgrade GRAPH={graph}" in stated.stderr
    assert cli("reset", "--graph", graph, "--yes").returncode == 0
    unfinished = cli("upgrade", "--graph", graph)
    assert unfinished.returncode == Exit.REFUSED and "make resume GRAPH=" in unfinished.stderr
    assert cli("ingest", dataset, "--graph", graph, "--test", "--resume", "--workers", 1).returncode == 0
    run = opened(variables, graph)
    key = counter_key(run.record.plan.ids.chunk_id(run.record.plan.grid.root), 7)
    run.table.write([Cells(COUNTER, [key], [bytes(8)])], run.record.timestamp_ms + 1)
    edited = cli("upgrade", "--graph", graph)
    assert edited.returncode == Exit.REFUSED and "was edited" in edited.stderr
    assert isinstance(run.table, BigtableTable)
    assert (run.table.families(), version(run.table)) == (families(2), b"2.21.1")
