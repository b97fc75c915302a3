"""The image as it is built: what is in it and what is not."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.paths import REPOSITORY
from tests.image.conftest import NAME, Image
from tests.image.tool import ImageTool
from tests.lacking import needs_network

PROBE = """
import importlib, json, os, pkgutil, shutil, subprocess, sys
import jobs, shared
for package in (jobs, shared):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
mounts = [line.split()[4] for line in open("/proc/self/mountinfo")]
mapped = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if len(line.split()) > 5}
walked = [(folder, name) for top in ("/app", "/home", "/opt", "/root", "/usr", "/var")
          for folder, names, files in os.walk(top) for name in names + files]
print(json.dumps({
    "user": [os.getuid(), os.geteuid(), os.getgid()],
    "modules": [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)],
    "mapped": sorted(path for path in mapped if path.startswith("/")),
    "mounts": mounts,
    "programs": [name for name in sys.argv[1].split() if shutil.which(name)],
    "compilers": [f"{folder}/{name}" for folder, name in walked if name in ("cc1", "cc1plus", "collect2", "lto1")],
    "pip": [f"{folder}/{name}" for folder, name in walked
            if name == "pip" and folder.endswith(("site-packages", "dist-packages", "cache"))],
    "writable": [path for path in (*sys.path, "/app", "/opt/venv", "/usr") if path and os.access(path, os.W_OK)],
    "app": [os.path.relpath(os.path.join(folder, name), "/app")
            for folder, _, names in os.walk("/app") for name in names],
    "seen": [path for path in sys.argv[2:] if os.path.exists(path)],
    "bytes": int(subprocess.run(["du", "-sxB1", "/"], capture_output=True, text=True).stdout.split()[0]),
}))
"""

COMPILERS = "gcc g++ cc c++ clang clang++ tcc as ld make cpp rustc go pip pip3"
OURS = ("/app/", "/opt/venv/", "/usr/lib/")
BY_ENGINES = ("/proc", "/sys", "/dev", "/run", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""What engines mount into every container."""


def sources() -> set[str]:
    """The files of the repository that belong into the image."""
    left_out = ("jobs/example/", "jobs/local/browser.sh", "jobs/local/install.sh")
    files = (path for room in ("shared", "jobs") for path in (REPOSITORY / room).rglob("*") if path.is_file())
    names = (path.relative_to(REPOSITORY).as_posix() for path in files if path.parent.name != "__pycache__")
    return {name for name in names if not name.startswith(left_out)}


def test_what_is_in_it(image: Image) -> None:
    """Not root, no compiler, no pip; every module comes from inside, and the repository is nowhere to be seen."""
    done = image.tool.run(image.name, "python", "-c", PROBE, COMPILERS, str(REPOSITORY), str(Path(__file__)))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    image.measured["image_mb"] = round(facts["bytes"] / 1e6)
    assert 0 not in facts["user"]
    assert (facts["programs"], facts["compilers"], facts["pip"], facts["writable"]) == ([], [], [], [])
    assert [
        path for path in facts["modules"] + facts["mapped"] if not path.startswith(OURS) and "/bin/" not in path
    ] == []
    assert [at for at in facts["mounts"] if at != "/" and not at.startswith(BY_ENGINES)] == []
    assert facts["seen"] == []
    assert {name for name in facts["app"] if not name.endswith(".pyc")} == sources()
    # Made when the image is, as the user cannot: otherwise every task would compile everything first.
    assert sum(name.endswith(".pyc") for name in facts["app"]) == sum(name.endswith(".py") for name in sources())


def test_what_the_build_sees(image_tool: ImageTool, tmp_path: Path) -> None:
    """.dockerignore lets through what the Dockerfile copies, and neither tests nor .git nor build."""
    file = tmp_path / "Dockerfile"
    file.write_text("FROM debian:bookworm-slim\nCOPY . /context\n")
    built = image_tool.build(f"{NAME}-context", REPOSITORY, file)
    needs_network(built, "image", "an image of the build's context cannot be built")
    listed = image_tool.run(f"{NAME}-context", "find", "/context", "-type", "f", "-printf", "%P\\n")
    assert listed.returncode == 0, listed.stderr
    assert set(listed.stdout.splitlines()) == sources() | {"requirements.txt", "constraints.txt"}
    assert all((REPOSITORY / name).exists() for name in ("tests", "Makefile", "README.md"))
