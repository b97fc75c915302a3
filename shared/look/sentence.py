"""The state of a run in a sentence, and what it waits for: pure.

layer 2 is 63 % done, 5.0 h left; 3 chunks need you
"""

from __future__ import annotations

from shared.operate.status import LayerStatus, RunStatus
from shared.run.record import RunRecord
from shared.timestamps import duration

NAMES = {0: "the sorting of tables (layer 0)", 1: "the cutting (layer 1)"}


def kind_of(record: RunRecord) -> str:
    """What a run is for, in a few words."""
    if record.prepare:
        what = "prepares processed files"
    elif record.upgrade:
        what = "upgrades the table to schema 3"
    else:
        what = f"builds table {record.table} of schema {record.schema}"
    read = ""
    if record.segmentation is not None:
        read = f" from the segmentation in {record.segmentation.supervoxels}"
    elif record.raw is not None:
        read = f" from raw output in {record.raw.agglomeration}"
    return ("a test run that " if record.test else "") + what + read


def sentence(status: RunStatus, paused: str = "", quiet_seconds: float | None = None) -> str:
    """How far the run is, how long it takes, and what needs a person. `paused`: since when and by whom;
    `quiet_seconds`: how long nothing has been done for, if that is known."""
    if status.finished:
        return f"done: all {status.done:,} chunks are built"
    at = _at(status)
    parts = [f"{_of_layer(at)}{_left(at)}"]
    if paused:
        parts = [f"paused {paused}", *parts]
    elif not status.under_way:
        parts.append("nothing is queued")
    elif quiet_seconds is not None and quiet_seconds >= 120:
        parts.append(f"nothing has been done for {duration(quiet_seconds)}")
    if status.failed:
        parts.append(f"{_count(status.failed)} need{'s' if status.failed == 1 else ''} you")
    if status.discarded:
        parts.append(f"{_count(status.discarded)} {'was' if status.discarded == 1 else 'were'} given up")
    return "; ".join(parts)


def _at(status: RunStatus) -> LayerStatus:
    """The layer that a run is at: the lowest that is not done."""
    return next(layer for layer in status.layers if layer.done < layer.total)


def _of_layer(layer: LayerStatus) -> str:
    name = NAMES.get(layer.layer, f"layer {layer.layer}")
    if not layer.done:
        return f"no chunk of layer {layer.layer} is done yet"
    # Rounded down: what is 100 % done has nothing left.
    return f"{name} is {100 * layer.done // layer.total} % done"


def _left(layer: LayerStatus) -> str:
    return f", {duration(layer.left_seconds)} left" if layer.left_seconds else ""


def _count(number: int) -> str:
    return f"{number:,} chunk{'' if number == 1 else 's'}"
