"""What the folders of a dataset hold, as far as the choice between raw and processed input needs to know.

Invariants: a listing stops at the first object that fits; nothing is written.
"""

from __future__ import annotations

import itertools

from shared.bucket_credentials import used_for
from shared.files import CloudFilesStorage
from shared.inputs.folder import CannotList, InputFiles, plain_location
from shared.inputs.names import COMPONENTS, EDGES
from shared.inputs.reasons import reason_of
from shared.plan.grid import Grid
from shared.plan.shuffle import shuffled

KINDS = {"edges": EDGES, "components": COMPONENTS}
"""The kinds of processed files."""

RAW_FOLDERS = {"chunked_rg": "in_chunk_0_", "remap": "done_"}
"""Below the folder of raw output: how the names in each folder begin that any such output has."""

ASKED = 100
"""Chunks whose files are asked for, where a protocol has no listings."""

_SUFFIX = ".data"


def holds_files(location: str, kind: str, grid: Grid) -> bool:
    """Whether a folder has the processed file of any chunk of a grid; raises what its protocol raises."""
    folder, names = InputFiles(location), KINDS[kind]
    try:
        found = (names.chunk_of(name, folder.takes_siblings) for name in folder.names(names.prefix))
        return any(chunk in grid for chunk in found if chunk)
    except FileNotFoundError:
        return False
    except CannotList:
        total = grid.chunk_total(2)
        chunks = (grid.chunk_at(2, index) for index in itertools.islice(shuffled(total, total), ASKED))
        return any(folder.has([names.name(chunk) for chunk in chunks]).values())


def content_of(location: str, name: str) -> bytes | None:
    """The content of one file in a folder, None where there is none; IngestError for what cannot be read."""
    return CloudFilesStorage(plain_location(location)).get([name])[name]


def lacks_raw(location: str) -> str | None:
    """None if a folder holds raw agglomeration output, or cannot be listed; otherwise what is missing."""
    for below, prefix in RAW_FOLDERS.items():
        try:
            names = InputFiles(f"{location.rstrip('/')}/{below}").names(prefix)
            found = any(name.startswith(prefix) and name.endswith(_SUFFIX) for name in names)
        except CannotList:
            continue
        except FileNotFoundError:
            found = False
        except Exception as error:  # cloud-files raises whatever its protocols raise
            why = f"{used_for(location)} ({reason_of(error)})"
            return f"{below} in it cannot be listed{why}; check the path and that you may read it"
        if not found:
            return f"holds no {below}/{prefix}*{_SUFFIX}, so it is no raw agglomeration output; check the path"
    return None
