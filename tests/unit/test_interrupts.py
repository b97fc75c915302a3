"""Signals that end a command: none is lost, wherever the program is."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_A_FINALIZER = """
import os, signal, sys
from jobs import interrupts

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        for _ in range(1000):
            pass

interrupts.install()
interrupts.check()
Dropped()
print("went on")
try:
    interrupts.check()
except KeyboardInterrupt:
    print("noticed")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_in_a_finalizer(name: str) -> None:
    """Python drops what is raised in a finalizer; the next look raises it again."""
    done = subprocess.run([sys.executable, "-c", IN_A_FINALIZER, name], capture_output=True, text=True, timeout=600)
    assert done.stdout.split("\n") == ["went on", "noticed", ""] and "KeyboardInterrupt" in done.stderr


def test_elsewhere() -> None:
    """Anywhere else it is a KeyboardInterrupt at once."""
    program = (
        "import os, signal; from jobs import interrupts; interrupts.install(); os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert "KeyboardInterrupt" in done.stderr and done.returncode != 0
