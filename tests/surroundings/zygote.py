"""Starts programs of this project as processes of their own, in milliseconds: everything is imported already.

`python -m tests.surroundings.zygote` takes a request a line (JSON) and answers it with the exit code (negative
for a signal that ended it, None when it had to be killed) and the seconds. A request says what a process can be
given: program and arguments, environment, folder, streams, limits and user. Only what is read while Python or a
library is imported is as it was here; tests of that start an interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import pwd
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

PROGRAMS = ("jobs.cli", "jobs.deploy", "jobs.example", "jobs.worker", "jobs.task", "functions.bundle")
IMPORTED = (
    "cloudfiles",
    "cloudvolume",
    "google.cloud.bigtable_admin_v2",
    "google.cloud.firestore",
    "google.cloud.run_v2",
    "google.pubsub_v1",
    "graph_tool",
    "jobs.cli",
    "jobs.example.__main__",
    "jobs.worker",
    "shared.gcp.bigtable.table",
    "shared.gcp.cloudrun.jobs",
    "shared.gcp.pubsub.pending",
    "shared.gcp.pubsub.queue",
)
"""What would be imported while a program runs, so that even who may not read it has it."""
NOBODY = "nobody"


def main() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # no collection of what is there already copies its pages
    answers.write('"ready"\n')
    for line in sys.stdin:
        request = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            answers.close()
            _become(request)
        code = _wait(child, request["seconds"])
        answers.write(json.dumps({"code": code, "seconds": time.monotonic() - began}) + "\n")


def _wait(child: int, seconds: float) -> int | None:
    until, code = time.monotonic() + seconds, None
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.003)
    with contextlib.suppress(ProcessLookupError):  # with all that it started
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return code


def _become(request: dict[str, Any]) -> None:
    """Is the process that a request describes; does not return."""
    os.setsid()
    for descriptor, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        _stream(descriptor, request[name])
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    if request["nobody"] and os.getuid() == 0:
        entry = pwd.getpwnam(NOBODY)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    import jobs.commands.down
    import jobs.commands.logs
    import jobs.console
    import jobs.local.cloudrun
    import jobs.local.given
    import jobs.samples

    local = Path(request["local"])
    for module in (jobs.console, jobs.commands.down, jobs.commands.logs, jobs.local.cloudrun):
        module.LOCAL = local  # type: ignore[attr-defined]
    jobs.samples.SAMPLES = local / "samples"
    jobs.local.given.need_answers.__defaults__ = (request["answer_seconds"],)
    for name in request["ignored"]:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    module = request["program"]
    sys.argv = [module, *request["arguments"]]
    for cached in (module, f"{module}.__main__"):
        sys.modules.pop(cached, None)
    code = 70
    begin = _program(module)
    # Only now: a limit is one on the program, not on what reads it.
    for name, value in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    try:
        begin()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        with contextlib.suppress(Exception):
            traceback.print_exc()
        code = 1  # what Python itself would end with
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except Exception:
                code = 120  # as Python does
        os._exit(code)


def _program(name: str) -> Callable[[], None]:
    """A module as `python -m` runs it, read already."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{name}.__main__")
    assert spec is not None and isinstance(spec.loader, SourceFileLoader)
    code = spec.loader.get_code(spec.name)
    assert code is not None
    main = ModuleType("__main__")
    main.__spec__, main.__file__, main.__package__ = spec, spec.origin, spec.parent
    sys.modules["__main__"] = main
    return partial(exec, code, main.__dict__)


def _stream(descriptor: int, what: str) -> None:
    """Puts a file, a pipe that nobody reads, or nothing in a standard stream's place."""
    name = ("stdin", "stdout", "stderr")[descriptor]
    if what == "closed":
        os.close(descriptor)
        setattr(sys, name, None)
        return
    if what == "broken pipe":
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, descriptor)
        os.close(write)
    else:
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(what, flags, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    stream = os.fdopen(descriptor, "r" if descriptor == 0 else "w", closefd=False, encoding="utf-8")
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main()
