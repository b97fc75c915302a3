"""Types and refusals that the fields of a configuration are made of.

Invariants: a refusal says why a value is refused and what to type instead. A location is absolute
once it is read, so that it means the same to every process on every machine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

MOST_ATTEMPTS = 20
REFUSED = "refused"
"""The type of the errors that this module raises: their message is a whole sentence."""

REPORT_MISSING, REFUSE_MISSING = "report", "refuse"
MOST_MISSING = 0.1
"""Of the chunks with edges, the share that may have no component file, unless the dataset says otherwise."""

_LAYER = re.compile(r"[2-9]|[1-9][0-9]{1,2}")
_PROTOCOL = re.compile(r"[a-z][a-z0-9+_-]*://.")
_RELATIVE_FILE = re.compile(r"file://(?!/)")


def refusal(consequence: str) -> PydanticCustomError:
    """The error to raise for a value that is refused, with what follows for the person who gave it."""
    # A message is a template, so braces of a value must not look like fields of it.
    return PydanticCustomError(REFUSED, "{consequence}", {"consequence": consequence})


def only(allowed: object, why: str) -> AfterValidator:
    """Refuses every value but one."""

    def check(value: Any) -> Any:
        if value != allowed:
            raise refusal(f"is refused: {why}")
        return value

    return AfterValidator(check)


def attempts(value: Any) -> Any:
    """Refuses what is no number of attempts, and no mapping from layers (as texts) to such numbers.

    Attempts stay well below the 50 deliveries after which Pub/Sub itself gives a message up.
    """
    by_layer = value if isinstance(value, dict) else {"2": value}
    layers = all(_LAYER.fullmatch(str(layer)) for layer in by_layer)
    if not layers or not all(type(count) is int and 1 <= count <= MOST_ATTEMPTS for count in by_layer.values()):
        raise refusal(
            f"must be a number from 1 to {MOST_ATTEMPTS}, or such a number for some layers, as in {{2: 5, 9: 3}}"
        )
    return value


def missing(value: Any) -> Any:
    """Refuses what is neither `report`, `refuse` nor a share from 0 to 1."""
    share = type(value) in (int, float) and 0 <= value <= 1
    if not share and value not in (REPORT_MISSING, REFUSE_MISSING):
        raise refusal(f"must be {REPORT_MISSING}, {REFUSE_MISSING}, or a share from 0 to 1 such as {MOST_MISSING}")
    return value


def or_empty(value: Any) -> Any:
    """An optional section without keys below it (null) counts as an empty one."""
    return {} if value is None else value


def _locate(value: str, info: ValidationInfo) -> str:
    if not value.isprintable() or value != value.strip():
        raise refusal("holds blanks at its ends or characters that cannot be seen; remove them")
    if value.startswith("./"):
        context: dict[str, Path] = info.context or {}
        return "file://" + os.path.normpath(context.get("folder", Path.cwd()) / value)
    if value.startswith("/"):
        return "file://" + os.path.normpath(value)
    if _RELATIVE_FILE.search(value):
        raise refusal(
            "is no absolute path, so each process would look elsewhere; "
            "write file:///folder, or ./folder for a path from this file's folder"
        )
    if not _PROTOCOL.match(value):
        raise refusal(
            "has no protocol; write gs://bucket/folder or file:///folder, "
            "or ./folder for a path from this file's folder"
        )
    return value


Location = Annotated[str, Field(min_length=1), AfterValidator(_locate)]
"""A folder of any cloud-files protocol, or a path from the file's own folder if it begins with "./"."""

Name = Annotated[str, Field(pattern=r"^[-_.:a-zA-Z0-9]+$")]
"""The name of a project or an instance in Google Cloud."""
