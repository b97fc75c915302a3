"""cloudbuild.yaml: what is built is what is pushed, under the name that is given."""

from __future__ import annotations

import re

import yaml

from jobs.paths import REPOSITORY

FILE = REPOSITORY / "cloudbuild.yaml"


def test_the_image_that_is_built_is_pushed() -> None:
    """One step builds this folder's Dockerfile, and its tag is what is pushed."""
    build = yaml.safe_load(FILE.read_text())
    (step,) = build["steps"]
    verb, *options, folder = step["args"]
    assert (verb, folder) == ("build", ".")
    assert dict(zip(options[::2], options[1::2], strict=True)) == {"--tag": "${_IMAGE}"}
    assert build["images"] == ["${_IMAGE}"]


def test_its_name_must_be_given() -> None:
    """The only substitution is the image's name, and it has no default that would be pushed by mistake."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    assert set(re.findall(r"\$\{?(\w+)", text)) == {"_IMAGE"}
    assert "substitutions" not in yaml.safe_load(text)
