"""A table that is damaged where it is, in the emulator: found by the queue, and mended, by the commands that are
printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.example import ExampleParams
from jobs.paths import REPOSITORY
from shared.exit_codes import Exit
from shared.gcp.bigtable.table import BigtableTable
from shared.run.ports import Row
from shared.table.cells import Cells
from shared.table.columns import PARENT, Column, node_key
from tests.e2e.conftest import SECONDS, Run, made
from tests.e2e.test_ingest import opened

SMALL = ExampleParams(grid=(5, 3, 2), chunk_size=(24, 24, 20))
"""Layers 2 to 5 of 30, 6, 2 and 1 chunks."""

Typed = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def typed(variables: dict[str, str]) -> Typed:
    """Types a make command that was printed; the environment is as it is, whatever the stamp of it says."""

    def run(command: str) -> subprocess.CompletedProcess[str]:
        make, *words = shlex.split(command)
        assert make == "make"
        return subprocess.run(
            ["make", "-o", ".venv/run.stamp", f"PYTHON={sys.executable}", *words],
            cwd=REPOSITORY,
            env=variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    return run


class Damaged:
    """A table of the emulator as its ingest left it, and what is done to it."""

    def __init__(self, table: BigtableTable, timestamp_ms: int) -> None:
        self.table, self.timestamp_ms = table, timestamp_ms
        self.before = self.rows()

    def rows(self) -> dict[bytes, Row]:
        """All rows, with their times."""
        return {row.key: row for row in self.table.read([(b"", b"\xff")])}

    def some(self, column: str, skip: int = 0) -> Row:
        """A row that has a column that begins so, in the middle of the table."""
        found = [row for row in self.before.values() if any(name.startswith(column) for name in row.cells)]
        return found[len(found) // 2 + skip]

    def put(self, key: bytes, column: str, value: bytes, later_ms: int = 0) -> None:
        """Writes a cell, with the run's time or later."""
        family, qualifier = column.split(":")
        self.table.write([Cells(Column(family, qualifier.encode()), [key], [value])], self.timestamp_ms + later_ms)

    def lose_a_row(self) -> bytes:
        row = self.some(str(PARENT))
        self.table.delete_rows([row.key])
        return row.key

    def change_a_parent(self) -> bytes:
        row, other = self.some(str(PARENT), 7), self.some("0:children", 3)
        self.put(row.key, str(PARENT), int(other.key).to_bytes(8, "little"))
        return row.key

    def add_an_orphan(self) -> bytes:
        row = self.some("0:children")
        key = node_key(int(row.key) + 1000)
        assert key not in self.before
        for column, value in row.cells.items():
            self.put(key, column, value)
        return key

    def lose_an_edge(self) -> bytes:
        row = self.some("3:")
        self.table.delete_rows([row.key])
        lost = next(column for column in row.cells if column.startswith("3:"))
        for column, value in row.cells.items():
            if column != lost:
                self.put(row.key, column, value)
        return row.key

    def write_later(self) -> bytes:
        row = self.some(str(PARENT), 29)
        self.put(row.key, str(PARENT), (7).to_bytes(8, "little"), later_ms=5)
        return row.key


def test_damage_is_found_and_mended(cli: Run, typed: Typed, variables: dict[str, str], tmp_path: Path) -> None:
    """An ingest that verifies while it builds ends with a whole table. A lost row, another parent, an orphan, a
    lost edge and a cell of a later time are all named by a verification through the queue, with exit code 1; what
    it says to type mends them, after showing and asking, and every cell and time is as before."""
    graph = f"g{uuid.uuid4().hex[:12]}"
    dataset = made(tmp_path / "small", SMALL) / "dataset.yml"
    done = cli("ingest", dataset, "--graph", graph, "--verify", "--workers", 2)
    assert done.returncode == 0 and "agrees with" in done.stdout, done
    run = opened(variables, graph)
    assert run.record.verified and run.sources.scratch.list(f"{run.record.run}/verdict5/")
    assert isinstance(run.table, BigtableTable)
    table = Damaged(run.table, run.record.timestamp_ms)
    named = [
        table.lose_a_row(),
        table.change_a_parent(),
        table.add_an_orphan(),
        table.lose_an_edge(),
        table.write_later(),
    ]
    damaged = table.rows()
    assert len(set(named)) == 5 and all(damaged.get(key) != table.before.get(key) for key in named)

    found = cli("verify", "--graph", graph, "--queue", "--workers", 2)
    assert found.returncode == Exit.FAULTY, found
    assert f"{graph}-verify verifies table {graph}: queued 30 chunks" in found.stdout
    assert [key for key in named if key.decode().lstrip("0") not in found.stdout] == []
    (command,) = re.findall(r"mend them with: (make repair .+)", found.stdout)

    shown = typed(f"{command} DRY=1")
    assert shown.returncode == 0, shown
    assert f"row {named[2].decode()} is removed" in shown.stdout
    asked = cli("repair", "--graph", graph)
    assert asked.returncode == Exit.REFUSED and "YES=1" in asked.stderr
    assert table.rows() == damaged
    mended = typed(f"{command} YES=1")
    assert mended.returncode == 0 and "agrees with" in mended.stdout, mended
    assert table.rows() == table.before
    assert "nothing of table" in cli("repair", "--graph", graph).stdout

    clean = cli("verify", "--graph", graph, "--queue", "--workers", 2)
    assert clean.returncode == 0 and "agrees with" in clean.stdout, clean
    took = json.loads(cli("cost", "--graph", f"{graph}-verify", "--json").stdout)
    assert took["result"] == "done" and took["expected"]["needs"][0]["read_rows"] > 0
