"""The memory of a worker: its share, its limit, and the peak of one chunk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs import memory_limit as memory
from shared.environment import Environment
from shared.errors import StateError

GIB = 1 << 30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       33554432 kB\nMemFree:  1 kB\n")
    return path


@pytest.mark.parametrize(
    ("limit", "found"), [(None, 32 * GIB), ("max", 32 * GIB), (str(4 * GIB), 4 * GIB), (str(1 << 62), 32 * GIB)]
)
def test_available(meminfo: Path, tmp_path: Path, limit: str | None, found: int) -> None:
    """A container's own limit counts where it has one, otherwise the machine's memory."""
    path = tmp_path / "memory.max"
    if limit is not None:
        path.write_text(f"{limit}\n")
    assert memory.available([path], meminfo) == found


def test_share() -> None:
    """Workers share what there is, with something left over."""
    assert memory.share(2) <= memory.share(1) / 2 + 1
    assert (memory.share(1) << 20) < memory.available()


def test_peak() -> None:
    """The peak of a chunk is what was held since it began, not what the chunk before it held."""
    meter = memory.ProcessMeter()
    meter.start()
    before = meter.peak_mb()
    held = bytearray(200 << 20)
    during = meter.peak_mb()
    del held
    meter.start()
    after = meter.peak_mb()
    assert before is not None and during is not None and after is not None
    assert during - before > 150 and during - after > 150


def test_peak_that_cannot_be_known(tmp_path: Path) -> None:
    """Without the kernel's numbers there is no peak, and no error."""
    meter = memory.ProcessMeter(tmp_path / "nothing")
    meter.start()
    assert meter.peak_mb() is None
    (tmp_path / "status").write_text("Name: x\n")
    assert memory.ProcessMeter(tmp_path).peak_mb() is None


CAPPED = """
import numpy as np
from jobs import memory_limit as memory
from shared.inputs.schema import ComponentsMessage, parsed
message = ComponentsMessage()
message.components.extend(range(1 << 24))
data = message.SerializeToString()
del message
memory.cap(100)
many = lambda: [parsed(ComponentsMessage, data) for _ in range(9)]
for attempt in (lambda: np.ones(1 << 29), lambda: bytes(1 << 30), many):
    try:
        attempt()
    except MemoryError:
        print("MemoryError")
print(len(np.ones(1 << 20)))
"""


def test_limit() -> None:
    """Beyond the limit an allocation fails with a MemoryError, whoever makes it, and the process goes on."""
    done = subprocess.run([sys.executable, "-c", CAPPED], capture_output=True, text=True, timeout=600)
    assert done.stdout.split() == ["MemoryError"] * 3 + [str(1 << 20)], done.stderr


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "2GB"])
def test_limit_from_the_environment(text: str) -> None:
    """MEMORY_MIB is a number of MiB, and anything else is refused."""
    with pytest.raises(StateError, match="INGEST_MEMORY_MIB"):
        Environment.read({"INGEST_MEMORY_MIB": text})
    read = Environment.read({"INGEST_MEMORY_MIB": "512"})
    assert read.memory_mib == 512 and read.variables()["INGEST_MEMORY_MIB"] == "512"
    assert Environment.read({}).memory_mib is None and "INGEST_MEMORY_MIB" not in Environment.read({}).variables()
