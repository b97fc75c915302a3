"""What only a process of its own shows: what is read while libraries are imported, and a shell's pipes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.entry import variables
from jobs.paths import ISOLATED, REPOSITORY
from shared.exit_codes import Exit
from tests.lacking import IN_CI
from tests.surroundings.conftest import KEPT

SECONDS = 600.0
slow = pytest.mark.skipif(not IN_CI, reason="starts interpreters for many seconds; CI=true runs it")


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the checkout with an environment of these variables alone."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=kept | more,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def shadowed(folder: Path) -> dict[str, str]:
    """Variables by which another program's Python finds packages of its own, each of which ends it."""
    for name in ("numpy", "click", "json", "shared", "grpc", "sitecustomize", "usercustomize"):
        (folder / "path" / name).mkdir(parents=True)
        (folder / "path" / name / "__init__.py").write_text(f"raise SystemExit('the wrong {name}')\n")
    base = folder / "base" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    shutil.copytree(folder / "path", base)
    (folder / "startup.py").write_text("raise SystemExit('startup')\n")
    return {
        "PYTHONPATH": str(folder / "path"),
        "PYTHONUSERBASE": str(folder / "base"),
        "PYTHONSAFEPATH": "1",
        "PYTHONSTARTUP": str(folder / "startup.py"),
        "PYTHONINSPECT": "1",
        "PYTHONIOENCODING": "ascii:strict",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONHASHSEED": "no number",
        "PYTHONHOME": str(folder / "none"),
    }


def test_python_is_isolated(tmp_path: Path, dataset: Path) -> None:
    """Variables and packages of other programs are not seen, as make starts Python."""
    done = run(*ISOLATED, "-m", "jobs.cli", "plan", str(dataset), **shadowed(tmp_path))
    assert done.returncode == Exit.OK and "estimate" in done.stdout and not done.stderr, done


def test_make_starts_python_so() -> None:
    """The Makefile's Python has the options of `ISOLATED`."""
    (line,) = [line for line in (REPOSITORY / "Makefile").read_text().splitlines() if line.startswith("PYTHON :=")]
    assert line.split()[3:] == [*ISOLATED[1:]]


def test_tasks_and_workers_are_isolated(tmp_path: Path) -> None:
    """A task that is started so starts its workers so, whatever stands in the environment."""
    arguments = ("-m", "jobs.task", "--processes", "2", "--layers", "2")
    done = run(*ISOLATED, *arguments, **shadowed(tmp_path), INGEST_PREFIX="a b")
    refusals = [json.loads(line)["reason"] for line in done.stderr.splitlines()]
    assert done.returncode == Exit.REFUSED and len(refusals) == 2, done
    assert all("INGEST_PREFIX" in reason for reason in refusals)


def test_a_library_that_prints(dataset: Path) -> None:
    """JSON is all that is on standard output, however, whenever and by whatever else is printed."""
    done = run(*ISOLATED, "-m", "tests.surroundings.noisy", "plan", str(dataset), "--tfvars")
    assert done.returncode == Exit.OK, done
    assert set(json.loads(done.stdout)) >= {"layers", "tables"}
    said = (
        "at import",
        "in the command",
        "that was kept",
        "to the descriptor",
        "by C",
        "from a program",
        "in a thread",
    )
    assert [text for text in (*said, "printed at the end", "written at the end") if text not in done.stderr] == []


@pytest.mark.parametrize("command", ["plan {} | head -1", "--help | head -1", "--version | true"])
def test_a_shells_pipe(command: str, dataset: Path) -> None:
    """A reader that goes early: its own code is 0, ours 74 or, where all fitted into the pipe, 0."""
    program = f"{sys.executable} -E -s -m jobs.cli {command.format(dataset)}; echo ${{PIPESTATUS[0]}} >&2"
    done = run("bash", "-c", program)
    *said, code = done.stderr.splitlines()
    assert int(code) in (Exit.OK, Exit.FILES), done
    assert said == [] or (len(said) == 1 and "closed pipe" in said[0]), done


def test_grpc_is_quiet_unless_asked() -> None:
    """Its own words are off, but for who asks for them; the loopback goes through no proxy, whatever is given."""
    assert variables({})["GRPC_VERBOSITY"] == "NONE"
    assert variables({"GRPC_VERBOSITY": "debug"})["GRPC_VERBOSITY"] == "debug"
    assert variables({})["no_proxy"] == "localhost,127.0.0.1,::1"
    assert variables({"NO_PROXY": "a, 127.0.0.1"})["NO_PROXY"] == "a,127.0.0.1,localhost,::1"
    assert variables({"no_proxy": "*", "NO_PROXY": "b"})["NO_PROXY"] == "*"


def copy_of_the_checkout(folder: Path) -> Path:
    """The programs' files, to take some away."""
    for name in ("jobs", "shared", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    folder.chmod(0o755)
    return folder


@pytest.mark.parametrize("lost", ["shared", "shared/plan", "shared/errors.py", "jobs/console.py", "jobs/commands"])
def test_an_unreadable_checkout(lost: str, place: Path) -> None:
    """Files that may not be read end a program with a sentence and a code of its own."""
    checkout = copy_of_the_checkout(place / "checkout")
    (checkout / lost).chmod(0o000)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*user, *ISOLATED, "-m", "jobs.cli", "--version"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    (checkout / lost).chmod(0o755)
    assert done.returncode == Exit.FILES and "cannot be imported" in done.stderr, done
    assert "Traceback" not in done.stderr and not done.stdout


def test_a_package_is_missing(place: Path) -> None:
    """Half an environment is told of, with what makes it anew."""
    checkout = copy_of_the_checkout(place / "checkout")
    (checkout / "jobs" / "console.py").write_text("import no_such_package\n")
    done = subprocess.run([*ISOLATED, "-m", "jobs.cli"], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == Exit.FILES and "no_such_package" in done.stderr and "make clean" in done.stderr, done


@slow
@pytest.mark.parametrize("mib", [40, 80, 160, 320, 640, 1280, 2560])
@pytest.mark.parametrize("limit", ["v", "d"])
def test_little_memory(mib: int, limit: str, dataset: Path) -> None:
    """Whatever limit a shell has set: it works, or ends soon with a sentence, from the first import on."""
    program = f"ulimit -{limit} {mib << 10}; exec {sys.executable} -E -s -m jobs.cli plan {dataset}"
    done = run("sh", "-c", program, OPENBLAS_NUM_THREADS="1")
    assert done.returncode in (Exit.OK, Exit.FILES, Exit.TRY_AGAIN), done
    assert "Traceback" not in done.stderr, done


@slow
@pytest.mark.parametrize("files", range(3, 16))
def test_few_open_files(files: int, dataset: Path) -> None:
    """So with open files, for as many as Python itself needs to begin."""
    done = run("sh", "-c", f"ulimit -n {files}; exec {sys.executable} -E -s -m jobs.cli plan {dataset}")
    assert "jobs" not in done.stderr or "Traceback" not in done.stderr, done
    # A dataset whose files cannot be opened is refused with that reason, as for any other.
    told = done.returncode == Exit.REFUSED and "Too many open files" in done.stderr
    assert done.returncode in (Exit.OK, Exit.FILES, Exit.TRY_AGAIN) or told or files < 5, done


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_anything(name: str) -> None:
    """While libraries are imported a signal ends a program, and never with a violation's code."""
    program = f"""
import os, signal, sys
# As a terminal has it: what starts the tests may have it ignored.
signal.signal(signal.{name}, signal.default_int_handler if "{name}" == "SIGINT" else signal.SIG_DFL)
sys.argv = ["jobs.cli", "--version"]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "jobs.console":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Finder())
import runpy
runpy.run_module("jobs.cli", run_name="__main__", alter_sys=True)
"""
    done = run(*ISOLATED, "-c", program)
    assert done.returncode in (Exit.INTERRUPTED, -getattr(signal, name)), done
    assert "Traceback" not in done.stderr, done


@slow
def test_a_host_where_nobody_is(place: Path) -> None:
    """The real time: a sentence for each, after the seconds that a host has to answer."""
    host = {"BIGTABLE_EMULATOR_HOST": "127.0.0.1:1", "PUBSUB_EMULATOR_HOST": "192.0.2.1:1"}
    more = host | {"FIRESTORE_EMULATOR_HOST": "no-such-host.invalid:1"}
    done = subprocess.run(
        [*ISOLATED, "-m", "jobs.cli", "status", "--graph", "g"],
        cwd=REPOSITORY,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == Exit.REFUSED
    assert [name for name in more if f"{name} = " not in done.stderr] == []
