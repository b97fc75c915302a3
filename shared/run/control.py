"""What an operator wants of a run, kept beside its record: whether it is paused, and whether to look twice.

Why in the scratch folder: it must outlive the progress records, and workers read that folder anyway.
Invariants: a graph without this object runs and has each chunk queued once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from shared.errors import DataError
from shared.run.ports import Storage

CONTROL_NAME = "control.json"


@dataclass(frozen=True)
class Control:
    """`paused` says since when and by whom, empty if it is not.

    `check_done_first`: chunks may be queued twice, as after a resume, so a worker looks whether one is
    done before it builds it. That costs a read a chunk, which an undisturbed run need not pay.
    """

    paused: str = ""
    check_done_first: bool = False

    @classmethod
    def decode(cls, data: bytes, file: str) -> Control:
        """The object in a file's bytes; DataError if it is none."""
        try:
            fields = json.loads(data)
            # Before version 0.9 the second one was called look_first.
            first = fields["check_done_first"] if "check_done_first" in fields else fields["look_first"]
            return cls(paused=str(fields["paused"]), check_done_first=bool(first))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(file, "-", f"no control file of this version ({error!r}); delete it") from error


def decode_control(data: bytes | None, scratch: Storage) -> Control:
    """The control in an object of a graph's folder; without the object nothing is wanted."""
    return Control() if data is None else Control.decode(data, f"{scratch.folder}/{CONTROL_NAME}")


def read_control(scratch: Storage) -> Control:
    """The control of a graph's current run."""
    return decode_control(scratch.get([CONTROL_NAME])[CONTROL_NAME], scratch)


def pause(scratch: Storage, who: str) -> None:
    """Workers begin no chunk from now on; those that are begun are finished."""
    _write(scratch, replace(read_control(scratch), paused=who))


def go_on(scratch: Storage) -> None:
    """Workers begin chunks again."""
    control = read_control(scratch)
    if control.paused:
        _write(scratch, replace(control, paused=""))


def check_done_first(scratch: Storage) -> None:
    """Workers look from now on whether a chunk is done before they build it."""
    control = read_control(scratch)
    if not control.check_done_first:
        _write(scratch, replace(control, check_done_first=True))


def _write(scratch: Storage, control: Control) -> None:
    scratch.put(CONTROL_NAME, json.dumps(asdict(control), sort_keys=True).encode())
