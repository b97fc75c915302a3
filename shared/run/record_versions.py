"""Run records of older versions, as records of this one: a pure step from each version to the next.

Why: a run may last for days, and its table for years, while this pipeline changes. Invariants: every
version that was ever written can be read; a step invents nothing that decides an id, a row or a time. To
add a field: a new RECORD_VERSION, a step to it, and a golden file of the version before
(tests/unit/records/).

| version | what changed |
|---|---|
| 1 | has no number in it |
| 2 | `max_attempts`, from the dataset's settings; `truth`; `made_by`; edge rules; `raw`, `written`, `prepare` |
| 3 | `segmentation` and `table_parts` |
| 4 | `verifies` and `verified` |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.plan.edge_rules import REFUSE

RECORD_VERSION = 4
VERSION_KEY = "version"

MAX_ATTEMPTS = 5
"""Attempts of a chunk that may fail, and of those that may end without a word, unless the dataset says more."""

OTHER_LAYERS = "other"
"""In `max_attempts`: the layers that have no number of their own."""

Fields = dict[str, Any]


def attempts_by_layer(setting: int | dict[Any, int]) -> dict[str, int]:
    """The `max_attempts` of a record, from the setting of a dataset file: a number, or numbers by layer."""
    if isinstance(setting, dict):
        return {OTHER_LAYERS: MAX_ATTEMPTS} | {str(layer): count for layer, count in setting.items()}
    return {OTHER_LAYERS: setting}


def upgraded(content: Any) -> Fields:
    """The fields of a record of this version, from the JSON of any; ValueError for what is no record of any."""
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    fields = dict(content)
    version = fields.get(VERSION_KEY, 1)
    if type(version) is not int or version < 1:
        raise ValueError(f"{VERSION_KEY} = {version!r:.60} is no version")
    if version > RECORD_VERSION:
        raise ValueError(
            f"it is of version {version}, made by release {fields.get('made_by')!s:.40}, and this release knows "
            f"versions up to {RECORD_VERSION}; use that release or a newer one"
        )
    for step in _STEPS[version - 1 :]:
        fields = step(fields)
    return fields


def _from_1(fields: Fields) -> Fields:
    # Version 1 looked for the setting in the dataset's own words each time, and took 5 for what it did not know.
    dataset = fields.get("dataset")
    settings = dataset.get("chunkedgraph_ingest") if isinstance(dataset, dict) else None
    found = settings.get("max_attempts") if isinstance(settings, dict) else None
    by_layer = found if isinstance(found, dict) else {OTHER_LAYERS: found}
    known = {str(layer): count for layer, count in by_layer.items() if type(count) is int and count > 0}
    attempts = {OTHER_LAYERS: MAX_ATTEMPTS} | known
    # There was no other rule, and no raw input.
    new: Fields = dict.fromkeys(("one_sided_edges", "edges_beyond_volume", "unusable_edges"), REFUSE)
    new |= {"raw": None, "written": [], "prepare": False}
    return {**fields, VERSION_KEY: 2, "max_attempts": attempts, "truth": None, "made_by": "", **new}


def _from_2(fields: Fields) -> Fields:
    return {**fields, VERSION_KEY: 3, "segmentation": None, "table_parts": []}


def _from_3(fields: Fields) -> Fields:
    return {**fields, VERSION_KEY: 4, "verifies": None, "verified": False}


_STEPS: tuple[Callable[[Fields], Fields], ...] = (_from_1, _from_2, _from_3)
