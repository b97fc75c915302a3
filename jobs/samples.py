"""Where what was sampled of a dataset is kept on this machine, for every plan of it: build/samples/NAME.json.

By the name of the dataset's file, as a sample is of a dataset and serves all graphs of it. Invariants: a sample
that is of another configuration, or cannot be understood, is not used, and whoever asks is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from jobs.output import write_json
from jobs.paths import REPOSITORY
from shared.errors import StateError
from shared.estimate.measured import Measured
from shared.operate.check import Checked
from shared.operate.kept_sample import fingerprint

SAMPLES = REPOSITORY / "build" / "samples"


@dataclass(frozen=True)
class Kept:
    """A sample, or why there is none that counts; neither where nothing was sampled."""

    sample: Measured | None = None
    remark: str = ""


def place_of(dataset: Path) -> Path:
    """The file of a dataset's sample."""
    return SAMPLES / f"{dataset.stem}.json"


def keep(dataset: Path, sample: Measured) -> Path:
    """Keeps a sample in place of an older one; where. StateError if it cannot be written."""
    place = place_of(dataset)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{place} cannot be written ({error}); what was measured is printed above") from error
    write_json(place, sample.fields())
    return place


def kept(dataset: Path, checked: Checked) -> Kept:
    """The sample of a dataset as it is now."""
    place = place_of(dataset)
    try:
        found = Measured.read(json.loads(place.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return Kept()
    except (OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        return Kept(remark=f"{place} cannot be used ({told:.200}), so nothing of it is; make sample makes it anew")
    if found.fingerprint != fingerprint(checked):
        return Kept(
            remark=f"{place} is of another configuration of this dataset, so nothing of it is used; make sample "
            "makes it anew"
        )
    return Kept(found)
