"""The CPUs of a container, from the files that the kernel shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.container import cpus

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("max 100000", ALLOWED),
        ("99999999 100000", ALLOWED),
        ("?", ALLOWED),
    ],
)
def test_version_2(tmp_path: Path, text: str, wanted: int) -> None:
    """cpu.max is quota and period: whole CPUs count, at least one, and no more than the process may use."""
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cpus(tmp_path) == wanted


@pytest.mark.parametrize(("quota", "wanted"), [("100000", 1), ("150000", 1), ("-1", ALLOWED)])
def test_version_1(tmp_path: Path, quota: str, wanted: int) -> None:
    """The same from two files; -1 is no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpus(tmp_path) == wanted


def test_no_control_groups(tmp_path: Path) -> None:
    """Where nothing is said, the CPUs that the process may use count."""
    assert cpus(tmp_path) == ALLOWED


def test_affinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that is kept to some CPUs of a large machine has those alone, whatever the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cpus(tmp_path) == 3
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert cpus(tmp_path) == 2
