"""The section `segmentation` of a dataset, and what stands in a run record of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import ConfigError
from shared.plan.config import load_dataset
from shared.plan.segmentation import Segmentation, jobs_of_tables

SECTION = "chunkedgraph_ingest.segmentation"
SCORED = {"edges": "gs://lab/edges", "threshold": 0.5, "together": "above"}


def problems(folder: Path, section: Any) -> list[str]:
    """What is wrong with a dataset whose segmentation is described so."""
    path = folder / "dataset.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "data_source": {"EDGES": "gs://lab/e", "COMPONENTS": "gs://lab/c", "WATERSHED": "gs://lab/w"},
                "graph_config": {"CHUNK_SIZE": [512, 512, 128]},
                "chunkedgraph_ingest": {"segmentation": section},
            }
        )
    )
    try:
        load_dataset(path)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"split": [64, 64, 32], "connectivity": 6},
        {"objects": "gs://lab/objects", "several_objects": "most"},
        {"mapping": "gs://lab/mapping.parquet"},
        {"mapping": ["gs://lab/a.npy", "./tables"], "affinities": "gs://lab/affinities"},
        {**SCORED, "together": "below", "threshold": 0},
        {"mip": 1, "background": 2**64 - 1, "fill_missing": True},
    ],
    ids=str,
)
def test_sections_that_are_taken(tmp_path: Path, more: dict[str, Any]) -> None:
    """Each of the ways to know what belongs together, with what goes with it."""
    assert problems(tmp_path, {"supervoxels": "gs://lab/fragments", **more}) == []


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ({}, f"{SECTION}.supervoxels", "is missing"),
        ({"supervoxels": "labels"}, f"{SECTION}.supervoxels", "no protocol"),
        ({"objects": "gs://lab/o", "mapping": "gs://lab/m"}, SECTION, "only one can say what belongs together"),
        ({"mapping": "gs://lab/m", **SCORED}, SECTION, "mapping and edges"),
        ({"edges": "gs://lab/e"}, SECTION, "needs threshold, and together"),
        ({"edges": "gs://lab/e", "threshold": 1.0}, SECTION, "needs threshold, and together"),
        ({"threshold": 1.0}, SECTION, "which are for edges"),
        ({"mapping": "gs://lab/m", "together": "above"}, SECTION, "which are for edges"),
        ({"objects": "gs://lab/o", "split": [8, 8, 8]}, SECTION, "cuts objects into supervoxels"),
        ({"mapping": "gs://lab/m", "several_objects": "most"}, SECTION, "which is for objects"),
        ({"mapping": []}, f"{SECTION}.mapping", "1"),
        ({"split": [8, 8]}, f"{SECTION}.split", "too few numbers"),
        ({"split": [8, 8, 0]}, f"{SECTION}.split.2", "greater than 0"),
        ({"connectivity": 18}, f"{SECTION}.connectivity", "6 or 26"),
        ({**SCORED, "threshold": "0.5"}, f"{SECTION}.threshold", "must be a number"),
        ({**SCORED, "threshold": float("nan")}, f"{SECTION}.threshold", "finite"),
        ({**SCORED, "together": "over"}, f"{SECTION}.together", "above"),
        ({"mip": -1}, f"{SECTION}.mip", "at least 0"),
        ({"background": 2**64}, f"{SECTION}.background", "64 bits"),
        ({"supervoxel": "gs://lab/f"}, f"{SECTION}.supervoxel", "supervoxels"),
        (["gs://lab/f"], SECTION, "must be keys with values"),
    ],
    ids=str,
)
def test_sections_that_are_refused(tmp_path: Path, section: Any, key: str, said: str) -> None:
    """What contradicts itself, or is no value, is named with its key and what follows."""
    if isinstance(section, dict) and section and "supervoxels" not in section:
        section = {"supervoxels": "gs://lab/fragments", **section}
    found = problems(tmp_path, section)
    assert any(f"{key}" in problem and said in problem for problem in found), found


CUT = Segmentation("s", "w", (-3, 0, 7), (10, 9, 8), (4, 4, 4), (8.0, 8.0, 40.0), scores=("t",), split=None)


def test_boxes_of_chunks() -> None:
    """Chunks lie one after the other from the lower corner on, and end with the volume."""
    assert CUT.box(0, 0, 0) == ((-3, 0, 7), (1, 4, 11))
    assert CUT.box(2, 2, 1) == ((5, 8, 11), (7, 9, 15))


def test_jobs_of_tables() -> None:
    """A part is a job; scores take one more, which makes objects of them."""
    mapped = Segmentation("s", "w", (0, 0, 0), (1, 1, 1), (1, 1, 1), (1.0, 1.0, 1.0), mapping=("t",))
    assert [jobs_of_tables(of, 3) for of in (CUT, mapped)] == [4, 3]
    assert jobs_of_tables(None, 0) == 0


def test_a_record_of_it_comes_back() -> None:
    """What is written as JSON is read as the same."""
    assert Segmentation.read(json.loads(json.dumps(asdict(CUT)))) == CUT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("supervoxels", ""),
        ("low", [0, 0]),
        ("size", [1, 1, 0]),
        ("chunk_size", [1.0, 1, 1]),
        ("resolution", [0, 1, 1]),
        ("mip", True),
        ("mapping", "t"),
        ("objects", "o"),
        ("together", "over"),
        ("connectivity", 18),
        ("background", -1),
        ("fill_missing", 1),
        ("several_objects", "least"),
        ("other", 1),
    ],
)
def test_what_is_no_record_of_it(name: str, value: Any) -> None:
    """A value that none of ours has, or a way beside another, is a ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        Segmentation.read({**json.loads(json.dumps(asdict(CUT))), name: value})
