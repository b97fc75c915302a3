"""functions/bundle.py: what a bundle has, and that it works where nothing but its requirements is installed."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from functions import bundle
from jobs.local.cloudrun_server import JobsServer
from jobs.local.executions import LocalExecutor
from shared.dispatch.fleet import FLEETS_NAME, Fleet, encode_fleets
from shared.errors import StateError
from shared.files import CloudFilesStorage
from shared.gcp.clients import EMULATOR_PROJECT, Endpoints
from shared.gcp.cloudrun.messages import JobSpec
from shared.gcp.firestore.board import FirestoreBoard
from shared.gcp.firestore.completion import FirestoreCompletion
from shared.plan.grid import Chunk
from shared.run.ports import State
from shared.run.record import RECORD_NAME, RunRecord
from tests.functions.conftest import Deployable
from tests.harness import record_of
from tests.volumes import random_volume

Get = Callable[[str], Deployable]

NEVER_CALLED = {
    "dead_letter": ("google.pubsub_v1", "google.cloud.bigtable", "google.cloud.run"),
    "dispatch": ("google.pubsub_v1", "google.cloud.bigtable"),
}
"""What shared modules import only when a queue, a table or a Job is asked for, which that function never does."""

IMPORTS = """
import importlib, importlib.util, json, sys
folder, name, *others = sys.argv[1:]
from functions_framework import create_app
create_app(name, f"{folder}/main.py")
for other in others:
    importlib.import_module(other)
absent = [name for name in ("jobs", "tests", "graph_tool", "scipy", "pytest") if importlib.util.find_spec(name)]
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps({"absent": absent, "files": {name: file for name, file in files.items() if file}}))
"""

REQUEST = """
import json, sys
folder, name, body = sys.argv[1:]
from functions_framework import create_app
client = create_app(name, f"{folder}/main.py").test_client()
print(json.dumps([client.post("/").status_code, client.post("/", json=json.loads(body)).status_code]))
"""


@dataclass(frozen=True)
class Surroundings:
    """What a function finds: a Firestore database of its own, and a scratch folder with the record of a run."""

    record: RunRecord
    endpoints: Endpoints
    variables: dict[str, str]


@pytest.fixture
def surroundings(emulators: dict[str, str], tmp_path: Path) -> Surroundings:
    """A run that has begun, with nothing done yet."""
    record = record_of(random_volume(3, (2, 2, 1), size=5), graph=f"g{uuid.uuid4().hex[:10]}")
    CloudFilesStorage(f"{tmp_path}/{record.graph}").put(RECORD_NAME, record.encode())
    database, host = f"d{uuid.uuid4().hex}", emulators["FIRESTORE_EMULATOR_HOST"]
    variables = {
        "INGEST_SCRATCH": f"file://{tmp_path}",
        "INGEST_DATABASE": database,
        "FIRESTORE_EMULATOR_HOST": host,
    }
    return Surroundings(record, replace(Endpoints.emulated(emulators), database=database), variables)


def state(folder: Path) -> dict[str, tuple[bytes, float, int]]:
    """Everything in a folder: content, time and mode of each file by its path."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime, path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def pins(path: Path) -> dict[str, str]:
    """The version of each package in a requirements file, where every line is `name==version`."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    for requirement in found:
        assert [at.operator for at in requirement.specifier] == ["=="], f"{path}: {requirement} is not pinned"
    return {canonicalize_name(at.name): str(at.specifier).removeprefix("==") for at in found}


@pytest.mark.parametrize("name", bundle.names())
def test_same_source_same_bundle(name: str, tmp_path: Path) -> None:
    """Two bundles are alike in names, bytes, times and modes, also where an older one was in the way."""
    old = bundle.write(name, tmp_path / "b") / "shared" / "gone.py"
    old.write_text("gone = True\n")
    first, second = bundle.write(name, tmp_path / "a"), bundle.write(name, tmp_path / "b")
    assert state(first) == state(second)
    assert {mode & 0o777 for _, _, mode in state(first).values()} == {0o644}


FOREIGN = {
    "a text beside it": ("notes.txt", "mine"),
    "a source of another kind": ("shared/data.json", "{}"),
    "a folder of another name": ("other/x.py", "x = 1"),
    "no mark": ("requirements.txt", "numpy==1.0"),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_not_a_bundle_is_never_deleted(foreign: str, tmp_path: Path) -> None:
    """One file that is not ours, and everything in the folder stays as it is; the refusal names the file."""
    name = bundle.names()[0]
    place = bundle.write(name, tmp_path)
    path, text = FOREIGN[foreign]
    (place / path).parent.mkdir(exist_ok=True)
    (place / path).write_text(text)
    before = state(place)
    with pytest.raises(StateError, match=path):
        bundle.write(name, tmp_path)
    assert state(place) == before


@pytest.mark.parametrize("kind", ["link", "file", "link inside"])
def test_links_are_not_followed(kind: str, tmp_path: Path) -> None:
    """A link in the bundle's place or in it leads to what is somebody else's."""
    name = bundle.names()[0]
    other = bundle.write(name, tmp_path / "elsewhere")
    place = tmp_path / "to" / name
    place.parent.mkdir()
    if kind == "link":
        place.symlink_to(other)
    elif kind == "file":
        place.write_text("mine")
    else:
        (bundle.write(name, tmp_path / "to") / "shared" / "more").symlink_to(other / "shared")
    before = state(other)
    with pytest.raises(StateError, match="no part of a bundle"):
        bundle.write(name, tmp_path / "to")
    assert state(other) == before


def test_the_sources_are_no_bundles() -> None:
    """`functions` itself, given as FOLDER, keeps its sources: they look like a bundle."""
    name = bundle.names()[0]
    before = state(bundle.FUNCTIONS / name)
    with pytest.raises(StateError, match="no part of a bundle"):
        bundle.write(name, bundle.FUNCTIONS)
    assert state(bundle.FUNCTIONS / name) == before


def test_an_interrupted_bundle_is_replaced(tmp_path: Path) -> None:
    """Wherever the writing of a bundle ended, the next one takes its place."""
    name = bundle.names()[0]
    whole = state(bundle.write(name, tmp_path / "whole"))
    place = tmp_path / "half" / name
    place.mkdir(parents=True)
    (place / bundle.MARKED).write_bytes(whole[bundle.MARKED][0])
    (place / "shared").mkdir()
    assert state(bundle.write(name, tmp_path / "half")) == whole


@pytest.mark.parametrize("name", bundle.names())
def test_only_what_is_needed(name: str) -> None:
    """main.py is at the top; what builds, checks or stands in is left out, the bundling itself too."""
    found = set(bundle.contents(name))
    assert {"main.py", "requirements.txt", "constraints.txt", "functions/registry.py", "shared/errors.py"} <= found
    unwanted = ("jobs/", "tests/", "shared/chunks/", "shared/verify/", "shared/memory/", "functions/bundle")
    assert not [path for path in found if path.startswith(unwanted)]


def test_imports_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import inside a function counts, a module that nobody imports does not, one that is lost is refused."""
    sources = {
        "functions/f/main.py": "def f():\n    from shared import late\n",
        "shared/__init__.py": "",
        "shared/late.py": "import json\nimport numpy\nfrom shared.later import name\n",
        "shared/later.py": "name = 1\n",
        "shared/unused.py": "raise RuntimeError\n",
    }
    for path, text in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(bundle, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bundle, "FUNCTIONS", tmp_path / "functions")
    files, others = bundle.find_imports("f")
    assert [file.relative_to(tmp_path / "shared").as_posix() for file in files] == [
        "__init__.py",
        "late.py",
        "later.py",
    ]
    assert others == {"numpy"}
    (tmp_path / "shared" / "later.py").unlink()
    with pytest.raises(ImportError, match=r"f/main\.py: shared\.later"):
        bundle.find_imports("f")


@pytest.mark.parametrize("name", bundle.names())
def test_versions(name: str) -> None:
    """A function pins what it names, to the versions that everything else here runs with."""
    root = bundle.REPOSITORY
    known = pins(root / "constraints.txt") | pins(root / "requirements-dev.txt") | pins(root / "requirements.txt")
    own = pins(bundle.FUNCTIONS / name / "requirements.txt")
    # numpy is Debian's everywhere else: of the same major version, which decides what code may call.
    numpy = own.pop("numpy", version("numpy"))
    assert own == {package: known.get(package) for package in own}
    assert numpy.partition(".")[0] == version("numpy").partition(".")[0]


@pytest.mark.parametrize("name", bundle.names())
def test_clean_environment(name: str, deployable: Get) -> None:
    """The framework loads the bundle where only its requirements are; what it imports when called is there too."""
    function = deployable(name)
    _, others = bundle.find_imports(name)
    called = sorted(other for other in others if not other.startswith(NEVER_CALLED[name]))
    done = function.run(IMPORTS, name, *called)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["absent"] == []
    ours = {at for at in facts["files"] if at.partition(".")[0] in ("functions", "shared")}
    assert ours and all(facts["files"][at].startswith(f"{function.folder}/") for at in ours)
    assert not [file for file in facts["files"].values() if file.startswith(str(bundle.REPOSITORY / "shared"))]


def test_dead_letter_answers(deployable: Get, surroundings: Surroundings) -> None:
    """In the clean environment an empty request gets 400, and a letter becomes a failure record in Firestore."""
    record, chunk = surroundings.record, Chunk(2, 0, 1, 0)
    letter = {
        "message": {
            "data": base64.b64encode(record.message(chunk)).decode(),
            "attributes": {"error": "DataError", "reason": "bad file", "worker": "w"},
            "publishTime": "2024-01-01T00:00:00Z",
        }
    }
    function = deployable("dead_letter")
    done = function.run(REQUEST, "dead_letter", json.dumps(letter), **surroundings.variables)
    assert (done.returncode, done.stdout.strip()) == (0, "[400, 204]"), done.stderr
    (failure,) = FirestoreCompletion(surroundings.endpoints, record.graph, record.run).failures()
    assert (failure.chunk, failure.state, failure.error) == (chunk, State.DEAD, "DataError")


def test_dispatch_answers(deployable: Get, surroundings: Surroundings, tmp_path: Path) -> None:
    """In the clean environment it starts an execution where chunks wait; called again at once it starts none."""
    job = f"projects/{EMULATOR_PROJECT}/locations/local/jobs/l2"
    fleet = Fleet(job, (2,), start=1, factor=2, period=3600, max=5)
    CloudFilesStorage(str(tmp_path)).put(FLEETS_NAME, encode_fleets([fleet]))
    FirestoreBoard(surroundings.endpoints).announce(surroundings.record.graph)
    executor = LocalExecutor({}, tmp_path / "logs", command=("sleep", "3600"))
    executor.create(JobSpec(job))
    server = JobsServer(executor)
    try:
        variables = {**surroundings.variables, "CLOUD_RUN_EMULATOR_HOST": server.host}
        done = deployable("dispatch").run(REQUEST, "dispatch", "{}", **variables)
        assert (done.returncode, done.stdout.strip()) == (0, "[200, 200]"), done.stderr
        assert [execution.tasks for execution in executor.executions(job)] == [1]
    finally:
        server.close()
        executor.close()
