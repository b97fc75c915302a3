"""A copy of the repository, a small dataset, and a machine on which gcloud and terraform are stand-ins."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jobs.example import ExampleParams, make_example
from jobs.local.apis_server import ApisServer
from jobs.paths import REPOSITORY
from shared.doctor.place import Place
from shared.memory.cloud import MemoryCloud, healthy
from tests.contract.test_cloud import key_file
from tests.walk.world import World

PARAMS = ExampleParams(grid=(4, 2, 2), chunk_size=(24, 24, 20))
DATASET = """
data_source: {{EDGES: {0}/edges, COMPONENTS: {0}/components, WATERSHED: "file://{0}/ws"}}
graph_config: {{CHUNK_SIZE: [24, 24, 20], FANOUT: 2, SPATIAL_BITS: 10}}
backend_client: {{TYPE: bigtable, CONFIG: {{ADMIN: true, READ_ONLY: false, PROJECT: p, INSTANCE: graphs}}}}
"""
PLACE = Place(
    project="my-project",
    prefix="chunkedgraph-ingest",
    database="chunkedgraph-ingest",
    region="us-central1",
    instance="graphs",
    scratch="my-project-chunkedgraph-ingest-scratch",
    layers=(2, 3, 4),
    tables=("fly", "fly_test"),
)


@dataclass
class Lab:
    """A folder to type commands in; `variables` is the environment of all of them."""

    folder: Path
    world: World
    cloud: MemoryCloud
    variables: dict[str, str] = field(default_factory=dict)

    def type(self, command: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command in a shell, at a terminal on which these answers have been typed."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answers.encode())
            return subprocess.run(
                command,
                shell=True,
                cwd=self.folder,
                env=self.variables,
                stdin=theirs if answers else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
            )
        finally:
            os.close(ours)
            os.close(theirs)

    def copy(self, root: Path) -> Lab:
        """Another lab where all of that has happened too."""
        root.mkdir(exist_ok=True)
        shutil.copytree(self.folder, root / "repository", symlinks=True)
        shutil.copytree(self.world.folder, root / "world")
        made = replace(
            self, folder=root / "repository", world=World(root / "world"), variables=dict(self.variables)
        )
        made.variables["PATH"] = f"{programs(root / 'bin', made.world)}:{self.variables['PATH']}"
        return made


def programs(folder: Path, world: World) -> Path:
    """A folder with a gcloud and a terraform for a world."""
    folder.mkdir()
    for name in ("gcloud", "terraform"):
        call = f'exec env PYTHONPATH={REPOSITORY} {sys.executable} -m tests.walk.{name} {world.folder} "$@"'
        (folder / name).write_text(f"#!/bin/sh\n{call}\n")
        (folder / name).chmod(0o755)
    return folder


def copied(root: Path) -> Path:
    """What a clone has, with an environment that has all that is needed."""
    folder = root / "repository"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if name and not name.startswith("tests/") and (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(root / "python")
    (root / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (root / "python").chmod(0o755)
    (folder / ".venv" / "run.stamp").touch()
    return folder


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Before anything was typed: the repository with fly.yml in it, and an empty project that is paid for."""
    root = tmp_path_factory.mktemp("walk")
    folder, world = copied(root), World(root / "world")
    world.folder.mkdir()
    make_example(root / "data", PARAMS)
    (folder / "fly.yml").write_text(DATASET.format(root / "data"))
    cloud = healthy(PLACE)
    server = ApisServer(cloud)
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    variables = kept | {
        "PATH": f"{programs(root / 'bin', world)}:{os.environ['PATH']}",
        "GOOGLE_APIS_EMULATOR_HOST": server.host,
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file(root)),
        "PYTHONWARNINGS": "ignore",
    }
    yield Lab(folder, world, cloud, variables)
    server.close()


@pytest.fixture(scope="session")
def deployed(clone: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """After `make deploy`."""
    lab = clone.copy(tmp_path_factory.mktemp("deployed"))
    done = lab.type("make deploy DATASET=fly.yml PROJECT=my-project YES=1")
    assert done.returncode == 0, done.stdout + done.stderr
    return lab


@pytest.fixture
def lab(deployed: Lab, tmp_path: Path) -> Lab:
    """A copy of what is deployed, to do something else with."""
    made = deployed.copy(tmp_path / f"lab-{uuid.uuid4().hex[:6]}")
    made.world.calls()
    return made
