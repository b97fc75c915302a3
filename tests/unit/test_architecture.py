"""The rooms of the library, kept by tests: who may import whom, and what no module may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

ALLOWED = {
    "errors": set(),
    "outcome": set(),
    "logs": set(),
    "plan": {"errors"},
    "inputs": {"errors", "plan"},
    "table": {"errors", "plan"},
    "build": {"errors", "plan", "inputs", "table"},
    "run": {"errors", "outcome", "plan", "inputs", "table", "build"},
    "dispatch": {"errors", "plan", "run"},
    "verify": {"errors", "plan", "inputs", "table", "build", "run"},
    "memory": {"errors", "plan", "table", "run", "dispatch"},
    "files": {"errors", "run"},
    "ranges": {"errors", "inputs", "files"},
    "gcp": {"errors", "plan", "table", "run", "dispatch"},
}
"""Room -> the rooms of shared/ that it may import. Data flows the other way."""

CLOUD = re.compile(r"google\.(?!protobuf)|grpc")


def modules(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(path: Path) -> str:
    return path.relative_to(REPOSITORY / "shared").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in modules("shared") if room(p) != "__init__"], ids=str)
def test_dependencies_point_one_way(path: Path) -> None:
    """A module imports its own room and the rooms before it, nothing else of ours."""
    own = room(path)
    for name in imports(path):
        if name.startswith("shared."):
            other = name.split(".")[1]
            assert other == own or other in ALLOWED[own], f"{path} imports {name}"
        assert not name.startswith(("jobs", "functions", "tests")), f"{path} imports {name}"


@pytest.mark.parametrize("path", modules("functions"), ids=str)
def test_functions_need_only_shared(path: Path) -> None:
    """A function's bundle is its own few lines and shared: it imports no jobs, and no build."""
    for name in imports(path):
        assert not name.startswith(("jobs", "tests", "shared.build", "shared.verify")), f"{path} imports {name}"


@pytest.mark.parametrize("path", [*modules("shared"), *modules("jobs"), *modules("functions")], ids=str)
def test_only_one_room_knows_the_cloud(path: Path) -> None:
    """google.cloud, google.api_core and grpc are imported in shared/gcp; the emulators' check aside."""
    if path.is_relative_to(REPOSITORY / "shared" / "gcp") or path.name == "processes.py":
        return
    assert not [name for name in imports(path) if CLOUD.match(name)], path


@pytest.mark.parametrize("path", modules("shared/build") + modules("shared/plan"), ids=str)
def test_core_is_pure(path: Path) -> None:
    """What computes reads no clock, no chance, no environment; only the dataset file is opened."""
    if path.name in {"yaml_file.py", "fields.py"}:
        return
    banned = {"time", "random", "os", "socket", "threading", "logging", "subprocess"}
    assert not banned & {name.split(".")[0] for name in imports(path)}, path


def test_nothing_is_unpickled_and_nothing_is_a_drawer() -> None:
    """No module loads pickles, evaluates text, or is called utils."""
    for path in [*modules("shared"), *modules("jobs"), *modules("functions")]:
        source = path.read_text()
        assert path.stem not in {"utils", "helpers", "misc"}
        assert not re.search(r"pickle\.(load|Unpickler)|\beval\(|\bexec\(|allow_pickle=True", source), path


@pytest.mark.parametrize("path", [*modules("shared"), *modules("jobs"), *modules("functions")], ids=str)
def test_modules_say_why_and_stay_small(path: Path) -> None:
    """Every module has a docstring and at most 330 lines."""
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), path
    assert len(source.splitlines()) <= 330, path
