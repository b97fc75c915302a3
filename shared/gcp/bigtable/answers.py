"""What the answers to a MutateRows request say of its rows.

Almost always that all are written, in one sequence of bytes that depends on their number alone; so the
bytes are compared, and taken apart only if they differ: reading a status object a row takes longer than
encoding the row. Answers that come in several messages read as one, joined: their entries add up.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

from shared.gcp.bigtable.entries import field, varint
from shared.gcp.bigtable.rows import bigtable_message

Failed = dict[int, tuple[str, str]]
"""By number of an entry: the name of its status, and the reason."""

_SILENT = ("UNAVAILABLE", "no status came for it")


def failed_rows(count: int, answer: bytes) -> Failed:
    """The entries of `count` that are not known to be written, by the bytes of the answers."""
    written, ends = _all_written(count.bit_length())
    if answer == written[: ends[count]]:
        return {}
    found: Failed = dict.fromkeys(range(count), _SILENT)
    for entry in bigtable_message("MutateRowsResponse").FromString(answer).entries:
        if not entry.status.code:
            found.pop(entry.index, None)
        elif entry.index in found:
            found[entry.index] = _status(entry.status)
    return found


@lru_cache
def _all_written(bits: int) -> tuple[bytes, list[int]]:
    """The answer that 2^bits entries are written, each with an empty status; where the first n of them end."""
    status = field(0x12, b"")
    entries = [field(0x0A, (b"\x08" + varint(index) if index else b"") + status) for index in range(1 << bits)]
    return b"".join(entries), [0, *itertools.accumulate(map(len, entries))]


def _status(status: Any) -> tuple[str, str]:
    """The name of a google.rpc.Status' code, and its message."""
    import grpc

    names = {code.value[0]: code.name for code in grpc.StatusCode}
    return names.get(status.code, "UNKNOWN"), status.message
