"""The rooms of the library, kept by tests: who may import whom, and what no module may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

BASE = {
    *("errors", "bucket_credentials", "exit_codes", "classify", "logs", "timestamps", "version", "environment"),
    "service_names",
}
"""Single modules that any room may import."""

ALLOWED = {
    "errors": set(),
    "bucket_credentials": set(),
    "exit_codes": set(),
    "version": set(),
    "timestamps": set(),
    "logs": {"version"},
    "classify": {"errors"},
    "service_names": set(),
    "environment": {"errors", "service_names"},
    "endings": {"classify", "errors", "exit_codes"},
    "plan": BASE,
    "voxels": BASE | {"plan"},
    "estimate": BASE | {"plan", "voxels"},
    "inputs": BASE | {"plan", "files", "voxels"},
    "table": BASE | {"plan"},
    "tables": BASE | {"plan", "inputs"},
    "chunks": BASE | {"plan", "inputs", "table"},
    "run": BASE | {"plan", "inputs", "table", "chunks"},
    "verify": BASE | {"plan", "inputs", "table", "chunks"},
    "work": BASE | {"plan", "voxels", "inputs", "table", "tables", "chunks", "run", "verify"},
    "operate": BASE
    | {"plan", "estimate", "voxels", "inputs", "ranges", "table", "tables", "chunks", "run", "work", "verify"},
    "dispatch": BASE | {"plan", "run", "operate"},
    "look": BASE | {"plan", "estimate", "voxels", "inputs", "table", "chunks", "run", "dispatch", "operate"},
    "doctor": BASE,
    "logbook": BASE | {"plan", "doctor"},
    "files": BASE,
    "ranges": BASE | {"inputs", "files"},
    "memory": BASE | {"plan", "inputs", "table", "run", "dispatch", "files", "ranges", "doctor"},
    "gcp": BASE | {"plan", "inputs", "table", "run", "dispatch", "files", "ranges", "doctor"},
}
"""Room -> the rooms of shared/ that it may import. Data flows the other way."""

CLOUD = re.compile(r"google\.(?!protobuf)|grpc")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


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
        assert not name.startswith(("jobs", "tests", "shared.chunks", "shared.verify")), f"{path} imports {name}"


@pytest.mark.parametrize("path", modules("shared", "jobs", "functions"), ids=str)
def test_only_one_room_knows_the_cloud(path: Path) -> None:
    """Google's libraries are imported in shared/gcp; grpc there, and where this machine's own servers are
    looked after: a stand-in is served, an emulator is asked whether it answers."""
    if path.is_relative_to(REPOSITORY / "shared" / "gcp"):
        return
    local = path.is_relative_to(REPOSITORY / "jobs" / "local")
    assert not [name for name in imports(path) if CLOUD.match(name) and not (local and name == "grpc")], path


@pytest.mark.parametrize("path", modules("shared", "jobs", "functions"), ids=str)
def test_only_one_module_knows_the_web_server(path: Path) -> None:
    """What only those have who look at something in a browser is imported in one module, which commands import when
    they are called; no command needs it to be listed."""
    banned = {"tornado", "neuroglancer"}
    if path != REPOSITORY / "jobs" / "look" / "loopback.py":
        assert not banned & {name.split(".")[0] for name in imports(path)}, path
    tree = ast.parse(path.read_text())
    named = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    if not path.is_relative_to(REPOSITORY / "jobs" / "look"):
        assert not [name for name in named if name == "jobs.look" or name.startswith("jobs.look.")], path


@pytest.mark.parametrize("path", modules("shared", "jobs", "functions"), ids=str)
def test_stored_objects_are_deleted_in_one_place(path: Path) -> None:
    """Nothing but shared/operate/clearing.py asks a storage to delete, and nothing removes a tree of files."""
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    if not path.is_relative_to(REPOSITORY / "shared" / "gcp") and path.name not in ("clearing.py", "files.py"):
        assert "delete" not in calls, path
    assert "rmtree" not in calls, path


@pytest.mark.parametrize(
    "path", modules("shared/operate") + modules("shared/work") + modules("shared/run"), ids=str
)
def test_the_front_door_parses_and_prints_nothing(path: Path) -> None:
    """What operators do is plain functions: no command line, no terminal, no environment."""
    banned = {"click", "rich", "sys", "os"}
    found = banned & {name.split(".")[0] for name in imports(path)}
    assert not found - ({"os"} if path.name == "clearing.py" else set()), path
    assert "print" not in {getattr(node, "id", "") for node in ast.walk(ast.parse(path.read_text()))}, path


@pytest.mark.parametrize("path", modules("shared/chunks", "shared/plan", "shared/estimate"), ids=str)
def test_core_is_pure(path: Path) -> None:
    """What computes reads no clock, no chance, no environment; only the dataset file is opened."""
    if path.name in {"yaml_file.py", "fields.py"}:
        return
    banned = {"time", "random", "os", "socket", "threading", "logging", "subprocess"}
    assert not banned & {name.split(".")[0] for name in imports(path)}, path


def test_nothing_is_unpickled_and_nothing_is_a_drawer() -> None:
    """No module loads pickles, evaluates text, or is called utils."""
    for path in modules("shared", "jobs", "functions"):
        source = path.read_text()
        assert path.stem not in {"utils", "helpers", "misc"}
        assert not re.search(r"pickle\.(load|Unpickler)|\beval\(|\bexec\(|allow_pickle=True", source), path


@pytest.mark.parametrize("path", modules("shared", "jobs", "functions"), ids=str)
def test_modules_say_why_and_stay_small(path: Path) -> None:
    """Every module has a docstring and at most 330 lines."""
    source = path.read_text()
    assert ast.get_docstring(ast.parse(source)), path
    assert len(source.splitlines()) <= 330, path
