"""A task that works on nothing and notes what there is: `python -m jobs.looking_around JSON`.

It tells what documentation does not promise: which of the kernel's files a container
has and what is in them, how much room there is for temporary files, how far each service is, and what the worker's
account may do. `make doctor START=1` starts it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs import memory_limit as memory
from jobs.container import cpus
from shared.doctor.needs import asked
from shared.doctor.place import Place
from shared.environment import Environment
from shared.gcp.doctor.rest import RestCloud
from shared.gcp.doctor.trials import FirestoreNotes, GoogleTrials
from shared.gcp.progress import endpoints_of
from shared.version import VERSION

FILES = (
    "sys/fs/cgroup/cgroup.controllers",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/memory.current",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory/memory.limit_in_bytes",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us",
)
"""What jobs.memory_limit and jobs.container go by, and what tells which version of cgroups there is."""


def files(root: Path = Path("/")) -> dict[str, str]:
    """The first line of each of the kernel's files, or why there is none."""
    return {f"/{name}": _line(root / name) for name in FILES}


def _line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0][:120]
    except OSError as error:
        return error.strerror or type(error).__name__


def facts(environ: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """What this container is, by everything that says it."""
    meter = memory.ProcessMeter()
    meter.start()
    peak = meter.peak_mb()
    found = {
        "version": VERSION,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "CPUs of the machine": str(os.cpu_count()),
        "CPUs that may be used": str(len(os.sched_getaffinity(0))),
        "CPUs that are counted on": str(cpus()),
        "memory that is counted on": f"{memory.available() / 2**20:,.0f} MiB",
        "memory of this process at most": "not known" if peak is None else f"{peak:,.0f} MiB",
        "memory that a worker is told": f"{environ.get('INGEST_MEMORY_MIB', 'no')} MiB",
        f"room in {temporary}": f"{shutil.disk_usage(temporary).free / 2**20:,.0f} MiB",
    }
    return found | {name: environ[name] for name in sorted(environ) if name.startswith("CLOUD_RUN_")}


def services(environment: Environment, told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What layer 2 needs: what may be done, by its own account, and what was done for real."""
    assert environment.project is not None
    place = Place(
        project=environment.project,
        prefix=environment.prefix,
        database=environment.database,
        instance=environment.instance,
        scratch=environment.bucket,
        layers=tuple(told["layers"]),
        tables=tuple(told["tables"]),
        inputs=tuple(told["inputs"]),
    )
    found = asked(place, 2, RestCloud(place.project, environment.apis_host), time.monotonic)
    # Of the project's only: a worker may write to the tables that it is told of, and make none.
    trials = GoogleTrials(endpoints_of(environment), environment.prefix, makes_tables=False)
    found["a document, there and back"] = _timed(trials.document)
    table = place.trial_table
    if table is not None:
        found[f"a row of {table}, there and back"] = _timed(lambda: trials.row(table))
    return found


def _timed(do: Callable[[], None]) -> Mapping[str, Any]:
    began, error = time.monotonic(), None
    try:
        do()
    except Exception as raised:
        error = str(raised).split("\n")[0][:300] or type(raised).__name__
    return {"milliseconds": 1000 * (time.monotonic() - began), "error": error}


def main(text: str) -> None:
    """Looks around, and leaves what was seen in the database and in the log."""
    told = json.loads(text)
    began = time.time()
    environment = Environment.read(os.environ)
    task = int(os.environ.get("CLOUD_RUN_TASK_INDEX", 0))
    seen: dict[str, Any] = {
        "task": task,
        "began": began,
        "facts": facts(os.environ, Path(tempfile.gettempdir())),
        "files": files(),
    }
    seen["services"] = services(environment, told)
    # So that tasks which may run at the same time are seen to.
    time.sleep(max(0.0, told["stays"] - (time.time() - began)))
    seen["ended"] = time.time()
    print(json.dumps({"severity": "INFO", "message": "task.looked_around", **seen}), flush=True)
    FirestoreNotes(endpoints_of(environment)).put(told["name"], task, seen)


if __name__ == "__main__":
    main(sys.argv[1])
