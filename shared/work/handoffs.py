"""The stored hand-offs of chunks, cuts among them, as the jobs that wait for them read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.errors import IngestError
from shared.plan.grid import Chunk
from shared.run.ports import Storage
from shared.run.record import RunRecord

Missing = Callable[[Chunk, str], IngestError]
"""The error for the hand-off of a chunk that is not there, by the chunk and the file."""


def stored(
    record: RunRecord, scratch: Storage, of: Iterable[Chunk], missing: Missing
) -> dict[Chunk, tuple[bytes, str]]:
    """The stored hand-offs of some chunks, each with its place; raises what `missing` makes of one that is gone."""
    names = {record.handoff_name(one): one for one in of}
    found: dict[Chunk, tuple[bytes, str]] = {}
    for name, content in scratch.get(list(names)).items():
        file = f"{scratch.folder}/{name}"
        if content is None:
            raise missing(names[name], file)
        found[names[name]] = content, file
    return found
