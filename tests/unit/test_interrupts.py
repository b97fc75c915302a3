"""Signals that end a command: none is lost, wherever the program is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs import interrupts

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
    """Python drops what is raised in a finalizer; the next look raises it again, and nothing is said meanwhile."""
    done = subprocess.run([sys.executable, "-c", IN_A_FINALIZER, name], capture_output=True, text=True, timeout=600)
    assert done.stdout.split("\n") == ["went on", "noticed", ""] and done.stderr == ""


def test_elsewhere() -> None:
    """Anywhere else it is a KeyboardInterrupt at once."""
    program = (
        "import os, signal; from jobs import interrupts; interrupts.install(); os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert "KeyboardInterrupt" in done.stderr and done.returncode != 0


WHILE_LEAVING = """
import atexit, os, signal
from jobs import interrupts

interrupts.install()
atexit.register(os.kill, os.getpid(), signal.SIGINT)
interrupts.leave(7)
"""


def test_while_leaving() -> None:
    """One that comes when the exit code is decided changes it no more."""
    done = subprocess.run([sys.executable, "-c", WHILE_LEAVING], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


WHILE_ENDING = """
import os, signal, sys
from jobs import interrupts, program
from shared.classify import Classifier
from shared.errors import StateError

class Told(StateError):
    def __str__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return "told"

def fail():
    raise Told("told")

interrupts.install()
interrupts.leave(program.ended(fail, Classifier()))
"""


def test_while_an_error_is_told() -> None:
    """One that comes while another end is told is answered like any other."""
    done = subprocess.run([sys.executable, "-c", WHILE_ENDING], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (130, interrupts.INTERRUPTED + "\n")
