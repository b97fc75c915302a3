"""Google's emulators of Bigtable, Pub/Sub and Firestore: found, started, reused and ended.

Why: `gcloud beta emulators` takes seconds longer and leaves a tree of processes; here each
emulator is one process, straight from the SDK's folder. Invariants: an emulator that the
environment names is used as it is and never started or ended; the others listen on the loopback
only. A folder has at most one of each; commands that share a folder wait for each other; each
emulator is recorded in the folder before it is waited for, so that `stop` finds it even if the
command that started it was killed; a start that fails leaves none of those that it started.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.local import processes
from shared.errors import IngestError

log = logging.getLogger(__name__)

DEBIAN_SDK = Path("/usr/lib/google-cloud-sdk")
START_SECONDS = 60.0
ANSWER_SECONDS = 10.0
"""Backoff with a running emulator: taking a busy one for dead would throw its data away."""
JAVA_FLAGS = (
    "-XX:+UseSerialGC",
    # The quick compiler only: up a fifth sooner, and no slower under load afterwards.
    "-XX:TieredStopAtLevel=1",
    "-Xmx2g",
    # Without memory one of its threads would die and the rest would hang without a word.
    "-XX:+ExitOnOutOfMemoryError",
)


class EmulatorsMissing(IngestError):
    """Emulators (or java) are not installed; the text says which, and what installs them."""


@dataclass(frozen=True)
class Service:
    """An emulator: its name, where the SDK has it, and how it is started."""

    name: str
    variable: str
    """The environment variable by which Google's clients find it."""
    component: str
    """Its name for `gcloud components install`."""
    program: str
    """Its program, or the class path of its Java class, below the SDK's platform folder."""
    java_class: str | None = None

    def installed(self, sdk: Path) -> bool:
        """Whether this SDK has the emulator."""
        return any((sdk / "platform").glob(self.program))

    def command(self, sdk: Path, java: str, host: str, port: int) -> list[str]:
        """The command line that makes it listen on a host and port."""
        program = str(sdk / "platform" / self.program)
        if self.java_class is None:
            return [program, "-host", host, "-port", str(port)]
        return [java, *JAVA_FLAGS, "-cp", program, self.java_class, f"--host={host}", f"--port={port}"]


SERVICES = (
    Service("bigtable", "BIGTABLE_EMULATOR_HOST", "bigtable", "bigtable-emulator/cbtemulator"),
    Service(
        "pubsub",
        "PUBSUB_EMULATOR_HOST",
        "pubsub-emulator",
        "pubsub-emulator/lib/*",  # to java, a class path that ends in * means every jar of the folder
        "com.google.cloud.pubsub.testing.v1.Main",
    ),
    Service(
        "firestore",
        "FIRESTORE_EMULATOR_HOST",
        "cloud-firestore-emulator",
        "cloud-firestore-emulator/cloud-firestore-emulator.jar",
        "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
    ),
)


def find_sdk(environ: Mapping[str, str] | None = None) -> Path:
    """The root folder of the Google Cloud SDK; gcloud itself, which takes a second, is asked last.

    Raises EmulatorsMissing when there is none.
    """
    environ = os.environ if environ is None else environ
    gcloud = shutil.which("gcloud", path=environ.get("PATH"))
    quick = [Path(environ["CLOUDSDK_ROOT_DIR"])] if environ.get("CLOUDSDK_ROOT_DIR") else []
    if gcloud:
        quick.append(Path(gcloud).resolve().parent.parent)
    for root in (*quick, DEBIAN_SDK):
        if (root / "platform").is_dir():
            return root
    if gcloud:
        ask = [gcloud, "info", "--format=value(installation.sdk_root)"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(ask, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
            if said and Path(said, "platform").is_dir():
                return Path(said)
    raise _missing(SERVICES, java=False)


def start(services: Iterable[Service], folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Start those that `environ` does not name, all at once, and return the variable and host of each.

    One that the folder records already is ended and replaced; `ensure` is what reuses them.
    Raises EmulatorsMissing, IngestError with the end of the log for one that does not come up, and
    StateError for a damaged record.
    """
    return _complete(services, folder, environ, reuse=False)


def ensure(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The hosts of all three: those that `environ` names, those that run here, and the rest newly started.

    Raises EmulatorsMissing, IngestError and StateError as `start` does.
    """
    return _complete(SERVICES, folder, environ, reuse=True)


def running(folder: Path) -> dict[str, str]:
    """The hosts of those recorded in the folder that are alive and answer.

    Raises StateError for a damaged record.
    """
    return {
        variable: server.host
        for variable, server in processes.recorded(_state(folder)).items()
        if processes.alive(server) and processes.serves(server, ANSWER_SECONDS)
    }


def stop(folder: Path) -> None:
    """End all emulators that the folder records; no harm when there are none.

    Raises StateError for a damaged record.
    """
    if folder.is_dir():
        with processes.locked(folder):
            processes.end(processes.recorded(_state(folder)).values())
            _state(folder).unlink(missing_ok=True)


def _complete(
    services: Iterable[Service], folder: Path, environ: Mapping[str, str], *, reuse: bool
) -> dict[str, str]:
    services = list(services)
    hosts = {s.variable: environ[s.variable] for s in services if environ.get(s.variable)}
    if len(hosts) < len(services):
        with processes.locked(folder):
            hosts = (running(folder) if reuse else {}) | hosts
            todo = [service for service in services if service.variable not in hosts]
            hosts |= _start(todo, folder, environ) if todo else {}
    return {service.variable: hosts[service.variable] for service in services}


def _start(todo: list[Service], folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    sdk, java = _installed(todo, environ)
    kept = processes.recorded(_state(folder))
    lost = {service: kept.pop(service.variable) for service in todo if service.variable in kept}
    for service, server in lost.items():
        log.warning("%s emulator at %s is replaced: what it held is gone", service.name, server.host)
    processes.end(lost.values())
    new: dict[str, processes.Server] = {}

    def launch(service: Service, port: int) -> None:
        host = processes.LOOPBACK
        command = service.command(sdk, java, host, port)
        new[service.variable] = processes.spawn(command, f"{host}:{port}", _log(folder, service))
        processes.record(_state(folder), kept | new)

    try:
        for service, port in zip(todo, processes.free_ports(len(todo)), strict=True):
            launch(service, port)
        deadline = time.monotonic() + START_SECONDS
        for service in todo:
            if not _came_up(service, folder, new[service.variable], deadline):
                log.warning("%s emulator: its port was taken meanwhile, trying another", service.name)
                processes.end([new[service.variable]])
                launch(service, *processes.free_ports(1))
                if not _came_up(service, folder, new[service.variable], deadline):
                    raise _failed(service, folder, "found its port taken twice")
            log.info("%s emulator at %s", service.name, new[service.variable].host)
    except BaseException:  # Ctrl-C too: nothing half started stays behind
        processes.end(new.values())
        processes.record(_state(folder), kept)
        raise
    return {variable: server.host for variable, server in new.items()}


def _came_up(service: Service, folder: Path, server: processes.Server, deadline: float) -> bool:
    """Wait for an emulator to answer; False when its port is taken, IngestError when it cannot come up."""
    while time.monotonic() < deadline:
        ended = not processes.alive(server)
        if processes.serves(server, seconds=1.0):
            return True
        # Pub/Sub's emulator does not end when it cannot have its port, so what it says decides.
        if b"already in use" in _log(folder, service).read_bytes():
            return False
        if ended:
            raise _failed(service, folder, "ended before it answered")
        time.sleep(processes.POLL_SECONDS)
    raise _failed(service, folder, f"did not answer within {START_SECONDS:g} s")


def recorded(folder: Path) -> dict[str, processes.Server]:
    """The emulators that the folder records, running or not, by variable; StateError for a damaged record."""
    return processes.recorded(_state(folder))


def log_tail(folder: Path, service: Service) -> tuple[Path, str]:
    """The log of an emulator, and its last lines."""
    path = _log(folder, service)
    text = path.read_text(errors="replace") if path.exists() else ""
    return path, "\n".join(text.splitlines()[-20:])


def _failed(service: Service, folder: Path, what: str) -> IngestError:
    path, tail = log_tail(folder, service)
    return IngestError(f"the {service.name} emulator {what}; {path} ends with:\n{tail}")


def _installed(todo: list[Service], environ: Mapping[str, str]) -> tuple[Path, str]:
    home = environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else environ.get("PATH")) or ""
    no_java = not java and any(service.java_class for service in todo)
    try:
        sdk = find_sdk(environ)
    except EmulatorsMissing:
        raise _missing(todo, java=no_java) from None
    absent = [service for service in todo if not service.installed(sdk)]
    if absent or no_java:
        raise _missing(absent, java=no_java)
    return sdk, java


def _missing(services: Iterable[Service], *, java: bool) -> EmulatorsMissing:
    services = list(services)
    home = os.environ.get("JAVA_HOME")
    named = f"java (JAVA_HOME = {home!r} has no bin/java)" if home else "java"
    what = [f"the {service.name} emulator" for service in services] + [named] * java
    debian = [f"google-cloud-cli-{s.name}-emulator" for s in services] + ["default-jre-headless"] * java
    text = f"cannot find {', '.join(what)}: install with `apt-get install {' '.join(debian)}` (Debian)"
    if services:
        text += f" or `gcloud components install {' '.join(s.component for s in services)}`"
    return EmulatorsMissing(text)


def _log(folder: Path, service: Service) -> Path:
    return folder / f"{service.name}.log"


def _state(folder: Path) -> Path:
    return folder / "emulators.json"
