"""Whether a folder of a dataset is there and holds what it should, without reading a file.

Invariants: a listing stops at the first object that fits, so a folder of 10^7 objects costs one
request; nothing is written.
"""

from __future__ import annotations

from shared.bucket_credentials import used_for
from shared.inputs.folder import CannotList, InputFiles
from shared.inputs.names import Kind
from shared.inputs.reasons import reason_of


def can_list(location: str, kind: Kind, may_be_empty: bool = False) -> str | None:
    """None if a folder can be read and holds a file of this kind; otherwise the reason.

    Where a protocol has no listings nothing is known here of what the folder holds.
    """
    try:
        folder = InputFiles(location)
        fits = (name for name in folder.names(kind.prefix) if kind.chunk_of(name, folder.takes_siblings))
        first = next(fits, None) or may_be_empty
    except CannotList:
        return None
    except FileNotFoundError:
        return "does not exist; check the path"
    except Exception as error:  # cloud-files raises whatever its protocols raise
        return f"cannot be listed{used_for(location)} ({reason_of(error)}); check the path and that you may read it"
    return None if first else f"holds no {kind.pattern}, so there is nothing to ingest; check the path"
