"""What stands beside files that a run writes for servers: what they are made from, and whether all are there.

    {EDGES}/from_raw.json, {COMPONENTS}/from_raw.json                               of raw agglomeration output
    {EDGES}, {COMPONENTS} and {WATERSHED}, each with /from_segmentation.json       of a segmentation

Why: a missing file means "nothing here", so files that are half written look like a whole dataset, and the next
ingest would read them. Invariants: it is there before the first file, and says `complete` only when every chunk
has been written; so files of the same source may be written over until then, others never are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.errors import DataError
from shared.plan.raw_input import RawInput
from shared.plan.segmentation import Segmentation
from shared.run.record import RunRecord
from shared.version import VERSION

Source = RawInput | Segmentation

FROM_RAW, FROM_SEGMENTATION = "from_raw.json", "from_segmentation.json"
NOTES: dict[str, type[RawInput] | type[Segmentation]] = {FROM_RAW: RawInput, FROM_SEGMENTATION: Segmentation}
"""Names of what is written, with the kind of source that each tells of."""
_KEYS = {FROM_RAW: "raw", FROM_SEGMENTATION: "segmentation"}


def note_of(source: Source) -> str:
    """The name of what is written beside the files of a source."""
    return next(name for name, kind in NOTES.items() if isinstance(source, kind))


@dataclass(frozen=True)
class MadeFrom:
    """Files of the grid `shape`, whose ids have `spatial_bits`, made from `source` by a run of a graph."""

    source: Source
    shape: tuple[int, int, int]
    spatial_bits: int
    graph: str
    run: str
    complete: bool = False
    made_by: str = VERSION

    @classmethod
    def of(cls, record: RunRecord, complete: bool) -> MadeFrom:
        """What a run that writes files says of them."""
        assert record.source is not None
        return cls(record.source, record.shape, record.spatial_bits, record.graph, record.run, complete)

    def same_files(self, other: MadeFrom) -> bool:
        """Whether both are about the same files: of the same source, for the same chunks."""
        return replace(self, graph="", run="", complete=False, made_by="") == replace(
            other, graph="", run="", complete=False, made_by=""
        )

    @property
    def name(self) -> str:
        """The name under which it is written."""
        return note_of(self.source)

    def encode(self) -> bytes:
        """As JSON."""
        fields = asdict(self)
        return json.dumps({_KEYS[self.name]: fields.pop("source"), **fields}, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes, file: str) -> MadeFrom:
        """What a file's bytes say, by the file's name; DataError for what says nothing of the kind."""
        name = file.rpartition("/")[2]
        try:
            fields: dict[str, Any] = json.loads(data)
            source, (x, y, z) = NOTES[name].read(fields.pop(_KEYS[name])), fields.pop("shape")
            found = cls(source=source, shape=(int(x), int(y), int(z)), **fields)
            if not isinstance(found.complete, bool):
                raise ValueError(f"complete = {found.complete!r:.60} is neither true nor false")
            return found
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = f"it does not say what the files beside it are made from ({error}); take it away"
            raise DataError(file, "-", reason) from error
