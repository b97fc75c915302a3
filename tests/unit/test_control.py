"""Pausing a run and looking first: one small object beside the run record."""

from __future__ import annotations

import pytest

from shared.errors import DataError
from shared.memory.storage import MemoryStorage
from shared.run import control
from shared.run.control import CONTROL_NAME, Control, read_control


def test_pause_and_go_on() -> None:
    """A pause says since when and by whom; each wish leaves the other as it is."""
    scratch = MemoryStorage()
    assert read_control(scratch) == Control()
    control.go_on(scratch)
    assert list(scratch.list("")) == []
    control.pause(scratch, "since noon")
    control.check_done_first(scratch)
    assert read_control(scratch) == Control("since noon", True)
    control.go_on(scratch)
    assert read_control(scratch) == Control("", True)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"paused": ""}', b"[" * 100_000])
def test_damaged(data: bytes) -> None:
    """A damaged object is named, with what to do about it."""
    scratch = MemoryStorage()
    scratch.put(CONTROL_NAME, data)
    with pytest.raises(DataError, match=r"memory/control\.json.*delete it"):
        read_control(scratch)
