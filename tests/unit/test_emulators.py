"""The manager of the emulators: mostly with stand-ins for the programs, so that each test is quick."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.cloud.bigtable_admin_v2.services.bigtable_table_admin import BaseBigtableTableAdminClient
from google.cloud.bigtable_admin_v2.services.bigtable_table_admin.transports import (
    BigtableTableAdminGrpcTransport,
)
from google.cloud.bigtable_admin_v2.types import Table
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import Document
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from jobs.local import emulators as manager
from jobs.local import processes
from shared.errors import IngestError, StateError

BIGTABLE, PUBSUB, FIRESTORE = manager.SERVICES
VARIABLES = [service.variable for service in manager.SERVICES]

SERVE = """
import re, signal, socket
from concurrent import futures
import grpc
port = int(re.search(r"-port[= ](\\d+)", " ".join(sys.argv)).group(1))
with socket.socket() as probe:
    probe.bind(("127.0.0.1", port))
server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
signal.pause()
"""
"""A stand-in for an emulator, or for java: a gRPC server without a single method."""

HANG_ON_TAKEN = SERVE.replace(
    '    probe.bind(("127.0.0.1", port))\n',
    '    try:\n        probe.bind(("127.0.0.1", port))\n'
    "    except OSError as error:\n        print(error, flush=True)\n        signal.pause()\n",
)
"""Like it, but without its port it says so and stays: as the emulator of Pub/Sub does."""


class FakeSdk:
    """A folder laid out like the SDK, and a java, whose programs run a given text of Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cbt = root / "sdk/platform" / BIGTABLE.program
        self.java = root / "jdk/bin/java"
        jars = [root / "sdk/platform/pubsub-emulator/lib/fake.jar", root / "sdk/platform" / FIRESTORE.program]
        for path in (self.cbt, self.java, *jars):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self.program(SERVE)
        self.environ = {
            "CLOUDSDK_ROOT_DIR": str(root / "sdk"),
            "JAVA_HOME": str(root / "jdk"),
            "PATH": str(root / "nothing"),
        }

    def program(self, text: str) -> None:
        """Change what all of its programs do."""
        for path in (self.cbt, self.java):
            path.write_text(f"#!{sys.executable}\nimport sys\n{text}")
            path.chmod(0o755)


@pytest.fixture
def sdk(tmp_path: Path) -> FakeSdk:
    """An SDK of stand-ins."""
    return FakeSdk(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for emulators; those that a test leaves running are ended."""
    where = tmp_path / "emulators"
    yield where
    manager.stop(where)


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[processes.Server]:
    """A process that has nothing to do with any emulator."""
    server = processes.spawn(["sleep", "1000"], "127.0.0.1:1", tmp_path / "bystander.log")
    yield server
    processes.end([server])


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where some other program answers gRPC."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def recorded(folder: Path) -> dict[str, processes.Server]:
    """What the folder says is running."""
    return processes.recorded(folder / "emulators.json")


def test_real_emulators_do_their_work(emulators: dict[str, str]) -> None:
    """Each of the three real emulators, started by the manager, takes a request of its own service."""
    channels = [grpc.insecure_channel(emulators[variable]) for variable in VARIABLES]
    tables = BaseBigtableTableAdminClient(transport=BigtableTableAdminGrpcTransport(channel=channels[0]))
    topics = PublisherClient(transport=PublisherGrpcTransport(channel=channels[1]))
    documents = FirestoreClient(transport=FirestoreGrpcTransport(channel=channels[2]))

    instance = "projects/no-such-project/instances/manager"
    tables.create_table(parent=instance, table_id="table", table=Table())
    assert [table.name for table in tables.list_tables(parent=instance)] == [f"{instance}/tables/table"]
    topic = "projects/no-such-project/topics/manager"
    assert topics.create_topic(name=topic).name == topic
    root = "projects/no-such-project/databases/manager/documents"
    request = {"parent": root, "collection_id": "c", "document_id": "d", "document": Document()}
    assert documents.create_document(request=request).name == f"{root}/c/d"
    for channel in channels:
        channel.close()


def test_start_brings_up_all_that_are_asked_for(sdk: FakeSdk, folder: Path) -> None:
    """All three come up on ports of their own, each with a log and a record of pid and start time."""
    hosts = manager.start(manager.SERVICES, folder, sdk.environ)
    assert list(hosts) == VARIABLES
    assert len(set(hosts.values())) == 3
    assert manager.running(folder) == hosts
    assert json.loads((folder / "emulators.json").read_text()).keys() == set(VARIABLES)
    for service in manager.SERVICES:
        server = recorded(folder)[service.variable]
        assert os.getpgid(server.pid) == server.pid != os.getpgrp()
        assert (folder / f"{service.name}.log").exists()


def test_given_host_is_used_and_not_started(sdk: FakeSdk, folder: Path) -> None:
    """A host from the environment is handed on as it is, and nothing is started or recorded for it."""
    given = {"PUBSUB_EMULATOR_HOST": "elsewhere:85"}
    hosts = manager.start([PUBSUB, BIGTABLE], folder, sdk.environ | given)
    assert hosts["PUBSUB_EMULATOR_HOST"] == "elsewhere:85"
    assert list(recorded(folder)) == ["BIGTABLE_EMULATOR_HOST"]


def test_nothing_is_needed_when_all_hosts_are_given(tmp_path: Path) -> None:
    """With all three hosts given neither an SDK nor a folder is needed."""
    given = {variable: "elsewhere:1" for variable in VARIABLES}
    assert manager.ensure(tmp_path / "none", given | {"PATH": ""}) == given
    assert not (tmp_path / "none").exists()


def test_ensure_reuses_what_runs(sdk: FakeSdk, folder: Path) -> None:
    """A second ensure starts nothing: the same processes at the same hosts."""
    hosts = manager.ensure(folder, sdk.environ)
    before = recorded(folder)
    sdk.program("sys.exit('must not be started')")
    assert manager.ensure(folder, sdk.environ) == hosts
    assert recorded(folder) == before


def test_ensure_repairs_a_partial_loss(sdk: FakeSdk, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When one emulator was killed, only that one is started again, and the loss is logged."""
    manager.ensure(folder, sdk.environ)
    before = recorded(folder)
    processes.end([before[PUBSUB.variable]])
    assert manager.running(folder).keys() == {BIGTABLE.variable, FIRESTORE.variable}
    with caplog.at_level(logging.WARNING):
        hosts = manager.ensure(folder, sdk.environ)
    after = recorded(folder)
    assert {variable for variable in VARIABLES if after[variable] != before[variable]} == {PUBSUB.variable}
    assert manager.running(folder) == hosts
    assert "pubsub emulator at" in caplog.text


def test_ensure_twice_at_once_starts_one_set(sdk: FakeSdk, folder: Path) -> None:
    """Two commands that ensure the same folder at the same time end up with the same emulators."""
    found: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(manager.ensure(folder, sdk.environ))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == manager.running(folder)


def test_start_replaces_what_the_folder_has(sdk: FakeSdk, folder: Path) -> None:
    """Starting again in the same folder ends the earlier process, so none is forgotten."""
    manager.start([BIGTABLE], folder, sdk.environ)
    first = recorded(folder)[BIGTABLE.variable]
    manager.start([BIGTABLE], folder, sdk.environ)
    assert not processes.alive(first)
    assert recorded(folder)[BIGTABLE.variable] != first


def test_stop_ends_all_and_may_be_repeated(sdk: FakeSdk, folder: Path) -> None:
    """Stop ends every process and removes the record; a second stop, or one without a folder, is harmless."""
    manager.ensure(folder, sdk.environ)
    servers = list(recorded(folder).values())
    manager.stop(folder)
    assert not any(processes.alive(server) for server in servers)
    assert not (folder / "emulators.json").exists()
    assert manager.running(folder) == {}
    manager.stop(folder)
    manager.stop(folder / "none")


def test_end_reaches_the_whole_group(tmp_path: Path) -> None:
    """A process that ignores the polite signal is killed, and so is the child that it started."""
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap '' TERM; sleep 1000 & echo $! > {ready}; wait"
    server = processes.spawn(["sh", "-c", script], "127.0.0.1:1", tmp_path / "log")
    child = int(ready.read_text())
    assert set(processes.members(server.pid)) == {server.pid, child}
    processes.end([server], grace=0.2)
    assert processes.members(server.pid) == []


def test_end_leaves_no_zombie(sdk: FakeSdk, folder: Path) -> None:
    """Once ended, the emulators are gone from the process table, not left there as zombies."""
    manager.start(manager.SERVICES, folder, sdk.environ)
    servers = list(recorded(folder).values())
    manager.stop(folder)
    assert not any(Path(f"/proc/{server.pid}").exists() for server in servers)


def test_recycled_pid_is_not_ended(folder: Path, bystander: processes.Server) -> None:
    """A process with a recorded pid but another start time is neither taken for running nor ended."""
    folder.mkdir()
    stale = replace(bystander, started=bystander.started - 1)
    processes.record(folder / "emulators.json", {BIGTABLE.variable: stale})
    assert manager.running(folder) == {}
    manager.stop(folder)
    assert processes.alive(bystander)


def test_alive_without_answer_is_not_running(folder: Path, bystander: processes.Server, taken: int) -> None:
    """A live process does not count as running when another program answers on its port."""
    folder.mkdir()
    server = replace(bystander, host=f"127.0.0.1:{taken}")
    processes.record(folder / "emulators.json", {BIGTABLE.variable: server})
    assert manager.running(folder) == {}


def test_listening_without_answer_does_not_serve(bystander: processes.Server) -> None:
    """A port that is open but speaks no gRPC is not taken for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        own = processes.Server(os.getpgrp(), bystander.started, f"127.0.0.1:{port}")
        assert not processes.serves(own, seconds=0.2)


@pytest.mark.parametrize("program", [SERVE, HANG_ON_TAKEN], ids=["ends", "hangs"])
def test_port_taken_meanwhile_is_tried_anew(
    sdk: FakeSdk, folder: Path, taken: int, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """When another program got the port in between, a second one is tried, though the first one answers."""
    sdk.program(program)
    ports = [[taken], processes.free_ports(1)]
    free = ports[1][0]
    monkeypatch.setattr(processes, "free_ports", lambda count: ports.pop(0))
    hosts = manager.start([BIGTABLE], folder, sdk.environ)
    assert hosts == {BIGTABLE.variable: f"127.0.0.1:{free}"}
    assert manager.running(folder) == hosts


def test_port_taken_twice_is_an_error(
    sdk: FakeSdk, folder: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second loss of a port is not tried away: the error says so."""
    monkeypatch.setattr(processes, "free_ports", lambda count: [taken])
    with pytest.raises(IngestError, match="bigtable emulator found its port taken twice"):
        manager.start([BIGTABLE], folder, sdk.environ)
    assert recorded(folder) == {}


def test_one_that_dies_shows_its_log_and_takes_the_rest_along(sdk: FakeSdk, folder: Path) -> None:
    """An emulator that dies is named with the end of its log, and those started with it are ended."""
    sdk.java.write_text(f"#!{sys.executable}\nraise SystemExit('no such class')\n")
    ended: list[processes.Server] = []
    write = processes.record

    def spy(path: Path, servers: dict[str, processes.Server]) -> None:
        ended.extend(servers.values())
        write(path, servers)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(IngestError) as caught:
        patch.setattr(processes, "record", spy)
        manager.start(manager.SERVICES, folder, sdk.environ)
    assert "the pubsub emulator ended before it answered" in str(caught.value)
    assert "no such class" in str(caught.value)
    assert len(set(ended)) == 3
    assert not any(processes.alive(server) for server in ended)
    assert recorded(folder) == {}


def test_one_that_never_answers_meets_the_deadline(
    sdk: FakeSdk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulator that runs but never answers is given up at the deadline, with its log, and ended."""
    sdk.program("import signal\nprint('warming up', flush=True)\nsignal.pause()\n")
    usual = manager.START_SECONDS
    monkeypatch.setattr(manager, "START_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(IngestError, match=r"did not answer within 1 s; .*\n.*warming up"):
        manager.start([BIGTABLE], folder, sdk.environ)
    assert time.monotonic() - began < usual
    assert recorded(folder) == {}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as a terminal has it: where a script starts the tests in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_start_leaves_nothing(sdk: FakeSdk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the emulators come up ends those that were already started."""
    seen: list[processes.Server] = []

    def interrupt(server: processes.Server, seconds: float) -> bool:
        seen.extend(recorded(folder).values())
        signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(processes, "serves", interrupt)
    with pytest.raises(KeyboardInterrupt):
        manager.start(manager.SERVICES, folder, sdk.environ)
    assert len(seen) == 3
    assert not any(processes.alive(server) for server in seen)
    assert recorded(folder) == {}


def test_missing_emulators_are_named_with_the_command(sdk: FakeSdk, folder: Path) -> None:
    """What is not installed, and only that, is named in a sentence with the commands that install it."""
    shutil.rmtree(sdk.root / "sdk/platform/pubsub-emulator")
    sdk.java.unlink()
    with pytest.raises(manager.EmulatorsMissing) as caught:
        manager.ensure(folder, sdk.environ)
    assert str(caught.value) == (
        "cannot find the pubsub emulator, java: install with `apt-get install "
        "google-cloud-cli-pubsub-emulator default-jre-headless` (Debian) "
        "or `gcloud components install pubsub-emulator`"
    )
    assert "\n" not in str(caught.value)
    assert recorded(folder) == {}


def test_missing_sdk_names_all(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any SDK all three emulators are named, and java too when it is missing."""
    monkeypatch.setattr(manager, "DEBIAN_SDK", tmp_path / "none")
    with pytest.raises(manager.EmulatorsMissing) as caught:
        manager.ensure(folder, {"PATH": str(tmp_path)})
    for part in ("bigtable-emulator", "pubsub-emulator", "firestore-emulator", "default-jre-headless"):
        assert part in str(caught.value)
    with pytest.raises(manager.EmulatorsMissing, match="bigtable pubsub-emulator cloud-firestore-emulator"):
        manager.find_sdk({"PATH": str(tmp_path)})


def test_java_is_not_needed_for_bigtable(sdk: FakeSdk, folder: Path) -> None:
    """The emulator of Bigtable starts on a machine without java."""
    sdk.java.unlink()
    assert manager.running(folder) == {}
    assert list(manager.start([BIGTABLE], folder, sdk.environ)) == [BIGTABLE.variable]


def test_sdk_is_found_by_its_gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to gcloud leads to the SDK that it lies in, without running it; a wrapper is asked."""
    monkeypatch.setattr(manager, "DEBIAN_SDK", tmp_path / "none")
    root = tmp_path / "sdk"
    for path in (root / "platform", root / "bin", tmp_path / "linked", tmp_path / "wrapped"):
        path.mkdir(parents=True)
    inside = root / "bin/gcloud"
    inside.write_text("#!/bin/sh\nexit 1\n")
    inside.chmod(0o755)
    (tmp_path / "linked/gcloud").symlink_to(inside)
    assert manager.find_sdk({"PATH": str(tmp_path / "linked")}) == root
    wrapper = tmp_path / "wrapped/gcloud"
    wrapper.write_text(f"#!/bin/sh\necho {root}\n")
    wrapper.chmod(0o755)
    assert manager.find_sdk({"PATH": str(tmp_path / "wrapped")}) == root


def test_damaged_record_is_refused(folder: Path) -> None:
    """A record that cannot be understood stops the command instead of leaving processes behind unseen."""
    folder.mkdir()
    state = folder / "emulators.json"
    for text in ("{", "[]", '{"BIGTABLE_EMULATOR_HOST": {"pid": 1}}'):
        state.write_text(text)
        with pytest.raises(StateError, match=r"emulators\.json: not a record"):
            manager.stop(folder)
    state.unlink()
