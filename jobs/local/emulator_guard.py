"""Notices when an emulator that was started here ends while a command uses it, and says what that means.

Why: an outage of a service in the cloud passes, and is waited for; a local emulator that has ended does not come
back by itself, and what it held is gone. Invariants: only those are looked at that the folder records, that are
in use and ran when the command began; looking is a few reads of /proc a second, whatever the command does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jobs.local import processes
from jobs.local.emulators import SERVICES, Service, log_tail, recorded

SECONDS = 0.5
"""The time between two looks."""

SAID_SECONDS = 60.0
"""How long it may take to say what there is to say, on a machine that is busy."""

LOST = {
    "bigtable": "the tables of all local graphs are",
    "pubsub": "the queued messages of all local graphs are",
    "firestore": "the progress of all local graphs is",
}
"""What only the emulator of a service held."""


def in_use(folder: Path, hosts: Mapping[str, str]) -> dict[Service, processes.Server]:
    """The emulators that a folder records, that run, and that `hosts` has by their variables."""
    servers = recorded(folder)
    return {
        service: server
        for service in SERVICES
        if (server := servers.get(service.variable)) is not None
        and hosts.get(service.variable) == server.host
        and processes.alive(server)
    }


def ended(used: Mapping[Service, processes.Server]) -> list[Service]:
    """Those that run no more."""
    return [service for service, server in used.items() if not processes.alive(server)]


def in_words(
    services: Iterable[Service], used: Mapping[Service, processes.Server], folder: Path, begin: str, go_on: str
) -> str:
    """What is said of emulators that have ended: which, whose, why, what is lost and what to type; `begin` is the
    command that begins the graph anew, `go_on` the one that goes on with it."""
    services = list(services)
    lines = []
    for service in services:
        path, tail = log_tail(folder, service)
        lines.append(
            f"the {service.name} emulator at {used[service].host} has ended. It was one that make had started; "
            f"its log {path} ends with:\n{tail or '(nothing)'}"
        )
    lost = ", ".join(LOST[service.name] for service in services)
    # Whatever is there beside the tables can be made again from what is stored; they cannot.
    tables = any(service.name == "bigtable" for service in services)
    typed = f"begin it anew: {begin}" if tables else f"go on: {go_on}"
    last = f"Emulators keep nothing on disk: {lost} gone. Another is started by what you type to {typed}"
    return "\n".join([*lines, last])


_used: dict[Service, processes.Server] = {}
"""Those that are looked at."""


def guard(folder: Path, hosts: Mapping[str, str], tell: Callable[[str], object], begin: str, go_on: str) -> None:
    """Looks on while this process lasts, in a thread; `tell` is called once, with what there is to say."""
    used = in_use(folder, hosts)
    _used.update(used)

    def look() -> None:
        wait = threading.Event().wait
        while not (gone := ended(used)):
            wait(SECONDS)
        tell(in_words(gone, used, folder, begin, go_on))

    if used:
        threading.Thread(target=look, name="emulators", daemon=True).start()


def has_more_to_say() -> bool:
    """Whether an emulator has ended that is looked at; what there is to say has been said then."""
    wait = threading.Event().wait
    try:
        # Its connections may be closed a moment before it is gone.
        until = time.monotonic() + 3 * SECONDS
        while _used and time.monotonic() < until:
            if ended(_used):
                wait(SAID_SECONDS)
            wait(SECONDS / 10)
    except KeyboardInterrupt:
        return True
    return False
