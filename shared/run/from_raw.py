"""What stands beside processed files that a run writes from raw output: from which, and whether all are there.

    {EDGES}/from_raw.json, {COMPONENTS}/from_raw.json

Why: a missing file means "nothing here", so files that are half written look like a whole dataset, and the next
ingest would read them. Invariants: it is there before the first file, and says `complete` only when every chunk
has been written; so files of the same raw output may be written over until then, others never are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.errors import DataError
from shared.plan.raw_input import RawInput
from shared.run.record import RunRecord
from shared.version import VERSION

FROM_RAW = "from_raw.json"


@dataclass(frozen=True)
class FromRaw:
    """Processed files of the grid `shape`, whose ids have `spatial_bits`, made from `raw` by a run of a graph."""

    raw: RawInput
    shape: tuple[int, int, int]
    spatial_bits: int
    graph: str
    run: str
    complete: bool = False
    made_by: str = VERSION

    @classmethod
    def of(cls, record: RunRecord, complete: bool) -> FromRaw:
        """What a run that reads raw output says of the files that it writes."""
        assert record.raw is not None
        return cls(record.raw, record.shape, record.spatial_bits, record.graph, record.run, complete)

    def same_files(self, other: FromRaw) -> bool:
        """Whether both are about the same files: of the same raw output, for the same chunks."""
        return replace(self, graph="", run="", complete=False, made_by="") == replace(
            other, graph="", run="", complete=False, made_by=""
        )

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes, file: str) -> FromRaw:
        """What a file's bytes say; DataError for what says nothing of the kind."""
        try:
            fields: dict[str, Any] = json.loads(data)
            raw, (x, y, z) = RawInput.read(fields.pop("raw")), fields.pop("shape")
            found = cls(raw=raw, shape=(int(x), int(y), int(z)), **fields)
            if not isinstance(found.complete, bool):
                raise ValueError(f"complete = {found.complete!r:.60} is neither true nor false")
            return found
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = f"it does not say from which raw output the files beside it are ({error}); take it away"
            raise DataError(file, "-", reason) from error
