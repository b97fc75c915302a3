"""The image, built once a session, and the file that keeps what was measured of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.paths import REPOSITORY
from tests.image.dockerfile import DOCKERFILE
from tests.image.tool import ImageTool, find_tool

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
        missing = "no container engine runs here, and IMAGE_TOOL names no program that stands in for one"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return tool


@pytest.fixture(scope="session")
def image(image_tool: ImageTool) -> Iterator[Image]:
    """The image of the Dockerfile."""
    began = time.monotonic()
    done = image_tool.build(NAME, REPOSITORY, DOCKERFILE)
    assert done.returncode == 0, done.stdout[-4000:]
    image = Image(image_tool, NAME, {"build_seconds": round(time.monotonic() - began, 1)})
    yield image
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps(image.measured, indent=2) + "\n")
    print(f"\n{MEASURED}: {json.dumps(image.measured)}")
