"""What is noticed, and said, of local emulators that end while a command uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.local import emulator_guard, processes
from jobs.local.emulators import SERVICES, Service

BIGTABLE, PUBSUB, FIRESTORE = SERVICES
BEGIN, GO_ON = "make ingest DATASET=d GRAPH=g", "make resume GRAPH=g"
PATIENCE = 30.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, processes.Server]]:
    """Three processes in place of emulators, recorded as those are."""
    found = {
        service.variable: processes.spawn(
            ["sleep", "1000"], f"127.0.0.1:{number}", tmp_path / f"{service.name}.log"
        )
        for number, service in enumerate(SERVICES, start=1)
    }
    processes.record(tmp_path / "emulators.json", found)
    yield found
    processes.end(found.values())


def hosts(servers: dict[str, processes.Server]) -> dict[str, str]:
    return {variable: server.host for variable, server in servers.items()}


def test_only_ours_are_looked_at(servers: dict[str, processes.Server], tmp_path: Path) -> None:
    """One that the environment names, elsewhere, is nobody's here; nor is one that had ended before."""
    given = hosts(servers) | {PUBSUB.variable: "elsewhere:1"}
    processes.end([servers[BIGTABLE.variable]])
    assert set(emulator_guard.in_use(tmp_path, given)) == {FIRESTORE}
    assert emulator_guard.in_use(tmp_path / "none", given) == {}


def test_noticed(servers: dict[str, processes.Server], tmp_path: Path) -> None:
    """When one ends, by whatever signal, who looks is told once, with all that a person needs."""
    said: list[str] = []
    told = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        told.set()

    (tmp_path / "firestore.log").write_text("up\nout of memory\n")
    emulator_guard.guard(tmp_path, hosts(servers), tell, BEGIN, GO_ON)
    assert not told.is_set()
    processes.end([servers[FIRESTORE.variable]])
    assert told.wait(PATIENCE)
    for part in ("firestore emulator at 127.0.0.1:3 has ended", "make had started", "out of memory", GO_ON):
        assert part in said[0]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("service", "lost", "typed"),
    [(BIGTABLE, "tables", BEGIN), (PUBSUB, "queued messages", GO_ON), (FIRESTORE, "progress", GO_ON)],
)
def test_what_is_lost(
    servers: dict[str, processes.Server], tmp_path: Path, service: Service, lost: str, typed: str
) -> None:
    """Each service holds something else; tables have to be built again, whatever else is lost with them."""
    used = emulator_guard.in_use(tmp_path, hosts(servers))
    said = emulator_guard.in_words([service], used, tmp_path, BEGIN, GO_ON)
    assert lost in said and said.endswith(typed) and "(nothing)" in said
    both = emulator_guard.in_words([BIGTABLE, service], used, tmp_path, BEGIN, GO_ON)
    assert both.endswith(BEGIN)
