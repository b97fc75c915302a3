"""Dataset configurations for tests: a small valid one, and ways to write it to a file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from shared.plan.config import Dataset, load_dataset

VALID: dict[str, Any] = {
    "data_source": {"EDGES": "gs://b/edges", "COMPONENTS": "gs://b/components", "WATERSHED": "gs://b/ws"},
    "graph_config": {"CHUNK_SIZE": [64, 64, 32]},
    "backend_client": {"CONFIG": {"PROJECT": "project", "INSTANCE": "instance"}},
}


def changed(**values: Any) -> dict[str, Any]:
    """The valid content with other values; a key's dots are written as `__`."""
    content = copy.deepcopy(VALID)
    for key, value in values.items():
        *sections, name = key.split("__")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return content


def write(folder: Path, content: Any) -> Path:
    """A YAML file with this content."""
    file = folder / "dataset.yml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return file


def dataset(folder: Path, **values: Any) -> Dataset:
    """The dataset of the valid content with other values."""
    return load_dataset(write(folder, changed(**values)))
