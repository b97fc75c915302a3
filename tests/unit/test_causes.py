"""Failures by cause: one damaged file is one thing to mend, however many chunks read it.

components of 1_1_0, damaged -> 1_1_0 and its upper neighbours fail -> all above them waits
"""

from __future__ import annotations

from dataclasses import replace

from jobs.commands.failures import _lines
from shared.inputs.components import components_name
from shared.operate.causes import causes
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State
from tests.harness import MemoryRun
from tests.on_disk import threads_volume

CHUNK = Chunk(2, 1, 1, 0)


def broken() -> MemoryRun:
    """A run over threads along x, with one damaged component file."""
    volume = threads_volume((4, 2, 1))
    components = volume.components | {components_name(CHUNK): b"version https://git-lfs.github.com/spec/v1\n"}
    return MemoryRun.of(replace(volume, components=components)).start().work()


def test_one_file_is_one_cause() -> None:
    """All chunks that read a damaged file are one cause, whose text names file and reason once."""
    run = broken()
    found = run.completion.failures()
    assert [failure.chunk for failure in found] == [CHUNK, Chunk(2, 2, 1, 0)]
    (cause,) = causes(found)
    assert cause.error == "DataError" and cause.failures == tuple(found)
    assert components_name(CHUNK) in cause.text and "Git LFS pointer" in cause.text and "chunk 2/" not in cause.text
    assert cause.holds_up(run.record.plan) == 3


def test_other_reasons_are_other_causes() -> None:
    """Errors that differ in class or text stand apart, in the order of their chunks; what is tried again holds
    nothing up yet."""
    run = broken()
    found = run.completion.failures()
    third = Failure(Chunk(2, 3, 0, 0), "WorkerKilled", "chunk 2/3_0_0: delivered 9 times", state=State.TRYING)
    apart = causes([*found, third, replace(found[0], error="OSError")])
    assert [(cause.error, len(cause.failures)) for cause in apart] == [
        ("DataError", 2),
        ("WorkerKilled", 1),
        ("OSError", 1),
    ]
    assert apart[1].text == "delivered 9 times" and apart[1].holds_up(run.record.plan) == 0
    assert causes([]) == []


def test_lines() -> None:
    """`failed` has a line for each chunk, and below those of a cause its error once and what it holds up."""
    run = broken()
    lines = _lines(run.record, run.completion.failures())
    assert [line.split()[0] for line in lines] == ["chunk", "2/1_1_0", "2/2_1_0", "DataError:", "it"]
    assert "Git LFS" in lines[3]
    assert lines[4] == "    it holds up 2 chunks and 3 above them"
