"""Whether the folders of a dataset are there and hold what they should, without reading a file.

Invariants: a listing stops at the first object that fits, so a folder of 10^7 objects costs one
request; nothing is written. (cloud-files sorts a local folder before it names one file, so local
folders are scanned directly.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from shared.bucket_credentials import used_for
from shared.inputs.reasons import reason_of
from shared.plan.config import Dataset

_LOCAL = "file://"


def list_sources(dataset: Dataset) -> dict[str, str | None]:
    """For the dotted key of each folder that a run uses, why it cannot be used, or None."""
    source = dataset.data_source
    return {
        "data_source.EDGES": can_list(source.EDGES, "edges_", ".proto.zst"),
        "data_source.COMPONENTS": can_list(source.COMPONENTS, "components_", ".proto"),
    }


def can_list(folder: str, prefix: str, suffix: str) -> str | None:
    """None if `folder` can be listed and holds an object with such a name; otherwise the reason."""
    try:
        first = next(_names(folder, prefix), None)
    except FileNotFoundError:
        return "does not exist; check the path"
    except Exception as error:  # cloud-files raises whatever its protocols raise
        return f"cannot be listed{used_for(folder)} ({reason_of(error)}); check the path and that you may read it"
    return None if first else f"holds no {prefix}*{suffix}, so there is nothing to ingest; check the path"


def _names(folder: str, prefix: str) -> Iterator[str]:
    """Names in a folder that start with `prefix`, found one by one."""
    if folder.startswith(_LOCAL):
        with os.scandir(Path(folder.removeprefix(_LOCAL))) as entries:
            yield from (entry.name for entry in entries if entry.name.startswith(prefix))
        return
    from cloudfiles import CloudFiles  # imported here since it takes a second
    from cloudfiles.paths import get_protocol

    if get_protocol(folder) is None:
        raise ValueError("unknown protocol; known are gs, s3, file, https and those of cloud-files' aliases")
    yield from CloudFiles(folder, progress=False).list(prefix=prefix, flat=True)
