"""The image, built once a session, and the file that keeps what was measured of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.paths import REPOSITORY
from tests.image.dockerfile import DOCKERFILE
from tests.image.tool import ImageTool, find_tool
from tests.lacking import lacks, needs_network

NAME = "chunkedgraph-ingest-test"
MEASURED = REPOSITORY / "build" / "image.json"


@dataclass(frozen=True)
class Image:
    """A built image; what tests measure of it goes to build/image.json and is never asserted."""

    tool: ImageTool
    name: str
    measured: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def image_tool() -> ImageTool:
    """The program that builds and runs images; without one these tests are left out, but not in CI."""
    tool = find_tool()
    if tool is None:
        lacks("image", "no engine builds images here, and IMAGE_TOOL names no program that stands in for one")
    return tool


@pytest.fixture(scope="session")
def image(image_tool: ImageTool) -> Iterator[Image]:
    """The image of the Dockerfile."""
    began = time.monotonic()
    done = image_tool.build(NAME, REPOSITORY, DOCKERFILE)
    needs_network(done, "image", "the image cannot be built")
    image = Image(image_tool, NAME, {"build_seconds": round(time.monotonic() - began, 1)})
    yield image
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps(image.measured, indent=2) + "\n")
    print(f"\n{MEASURED}: {json.dumps(image.measured)}")
