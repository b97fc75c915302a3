"""The one place that deletes stored objects, and what keeps a user's own files out of its way.

    run.json, control.json, queued.json, verify.json, {run}/layer{n}/{x}_{y}_{z}.handoff (and verdict{n}),
    {run}/findings/{n}_{x}_{y}_{z}.json, and the leftovers of broken writes

Invariants: an object is deleted only if its whole name is one that this pipeline writes, never for being
below a folder. A run is begun only in a folder that holds nothing else, and that neither holds, nor lies
in, a folder that is read.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping

from shared.errors import Problem, StateError
from shared.inputs.folder import plain_location
from shared.plan.grid import Chunk
from shared.plan.names import NAME
from shared.run.control import CONTROL_NAME
from shared.run.ports import Storage
from shared.run.queued import QUEUED_NAME
from shared.run.record import FINDINGS_SUFFIX, HANDOFF_SUFFIX, RECORD_NAME, VERIFY_NAME, RunRecord

BATCH = 1000
"""Names that are deleted at once."""

_HANDOFF = re.compile(
    rf"({NAME.pattern})/(?:(?:layer|verdict)\d+/\d+_\d+_\d+{re.escape(HANDOFF_SUFFIX)}"
    rf"|findings/\d+_\d+_\d+_\d+{re.escape(FINDINGS_SUFFIX)})"
)


def is_ours(name: str) -> bool:
    """Whether an object of a graph's folder has a name that this pipeline writes."""
    return name in (RECORD_NAME, CONTROL_NAME, QUEUED_NAME, VERIFY_NAME) or _HANDOFF.fullmatch(name) is not None


def delete_run(folder: Storage, run: str) -> None:
    """Deletes the hand-offs of one run of the graph whose folder it is."""
    names = folder.list(f"{run}/")
    _delete(folder, (name for name in names if (ours := _HANDOFF.fullmatch(name)) and ours[1] == run))
    _delete(folder, folder.leftovers(f"{run}/"))


def delete_findings(folder: Storage, record: RunRecord, chunk: Chunk) -> None:
    """Deletes what was found wrong in a chunk, before it is verified again."""
    _delete(folder, [record.findings_name(chunk)])


def delete_graph(folder: Storage) -> None:
    """Deletes everything of ours in a graph's folder; the record last, as long as which the rest is known."""
    _delete(folder, (name for name in folder.list("") if is_ours(name) and name != RECORD_NAME))
    _delete(folder, folder.leftovers(""))
    _delete(folder, [RECORD_NAME])


def delete_graphs(scratch: Storage) -> None:
    """Deletes everything of ours in all graphs' folders below a scratch folder."""
    ours = (name for name in scratch.list("") if NAME.fullmatch(name.partition("/")[0]))
    _delete(scratch, (name for name in ours if is_ours(name.partition("/")[2])))


def need_own_folder(folder: Storage) -> None:
    """StateError if a graph's folder holds anything that is not ours, with some of it."""
    found = list(itertools.islice((name for name in folder.list("") if not is_ours(name)), 4))
    if found:
        named = ", ".join(found[:3]) + (" and more" if len(found) > 3 else "")
        raise StateError(
            f"{folder.folder}: this is where the run's own files would go, and it holds others ({named}). Nothing "
            "was created or deleted; give the graph another name with GRAPH=…, or another folder with SCRATCH=…"
        )


def overlaps(scratch: str, folders: Mapping[str, str]) -> list[Problem]:
    """A problem for each folder of a dataset, by its key, that is, holds or lies in the scratch folder."""
    found = []
    for key, folder in folders.items():
        how = _relation(_parts(scratch), _parts(folder))
        if how:
            told = f"{how} the scratch folder {scratch}, where runs keep their files; give another with SCRATCH=…"
            found.append(Problem("dataset", key, folder, told))
    return found


def _relation(scratch: list[str], folder: list[str]) -> str:
    if scratch == folder:
        return "is"
    if folder[: len(scratch)] == scratch:
        return "lies in"
    return "holds" if scratch[: len(folder)] == folder else ""


def _parts(folder: str) -> list[str]:
    """The steps from the protocol down to a folder; the same for the same folder, however it is written."""
    protocol, separator, path = plain_location(folder).partition("://")
    if not separator or protocol == "file":
        return ["file", *os.path.realpath(path if separator else protocol).split("/")[1:]]
    return [protocol, *os.path.normpath(path).split("/")]


def _delete(folder: Storage, names: Iterable[str]) -> None:
    rest: Iterator[str] = iter(names)
    while batch := list(itertools.islice(rest, BATCH)):
        folder.delete(batch)
