"""The README's section for programs, as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY
from tests.e2e.conftest import PARAMS

README = (REPOSITORY / "README.md").read_text()


def test_as_a_library(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's lines of Python run as they stand, on an example of smaller chunks, and print what their
    comments say."""
    for name in ("build", "configs"):
        (tmp_path / name).mkdir()
    (tmp_path / "build" / "example").symlink_to(example)
    config = (REPOSITORY / "configs" / "example.yml").read_text()
    assert "CHUNK_SIZE: [56, 56, 48]" in config
    small = config.replace("[56, 56, 48]", str(list(PARAMS.chunk_size)))
    (tmp_path / "configs" / "example.yml").write_text(small)
    monkeypatch.chdir(tmp_path)
    source = README.split("```python\n")[1].split("```")[0]
    exec(compile(source, "README.md", "exec"), {})
    said = re.findall(r"^print\(.*#\s*(.*)$", source, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said[-2:]
