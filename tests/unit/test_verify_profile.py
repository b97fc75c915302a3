"""Verifications read by the app profile that is made for them, and nothing else does: no write, and no build."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest

from shared.classify import Kind
from shared.environment import EMULATORS, Environment
from shared.errors import OfOneRun, StateError
from shared.gcp.backend import GoogleBackend
from shared.gcp.bigtable.rows import bigtable_message
from shared.gcp.progress import CLASSIFY
from shared.memory.backend import MemoryBackend
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.ports import Table
from shared.table.cells import Cells
from shared.table.columns import PARENT
from shared.work.open_runs import open_run
from tests.harness import MemoryRun, backend_of
from tests.volumes import random_volume

PROFILE = "chunkedgraph-ingest-verify"
NAME = "projects/my-project/instances/graphs/tables/t"
Asked = tuple[str, str, str]
"""A method, the app profile in a request of it, and what it is routed by."""


@dataclass
class Service:
    """Bigtable's data service as far as it is asked here: it takes all writes, and has no rows. `wrong` says what
    is wrong with a request of an app profile."""

    host: str = ""
    asked: list[Asked] = field(default_factory=list)
    wrong: Callable[[str], grpc.StatusCode | None] = lambda profile: None

    def answer(self, method: str, data: bytes, context: Any) -> Iterator[bytes]:
        """The encoded answers to an encoded request."""
        request = bigtable_message(f"{method}Request").FromString(data)
        assert request.table_name == NAME
        routed = dict(context.invocation_metadata())["x-goog-request-params"]
        self.asked.append((method, request.app_profile_id, routed))
        code = self.wrong(request.app_profile_id)
        if code is not None:
            context.abort(code, "what it says")
        if method == "MutateRows":
            entries = [{"index": at, "status": {}} for at in range(len(request.entries))]
            yield bigtable_message("MutateRowsResponse")(entries=entries).SerializeToString()

    def backend(self, profile: str | None = PROFILE) -> GoogleBackend:
        """A project of which this is Bigtable."""
        variables = {"INGEST_PROJECT": "my-project", "INGEST_INSTANCE": "graphs"}
        variables |= dict.fromkeys(EMULATORS, self.host) | {"INGEST_VERIFY_PROFILE": profile or ""}
        environment = Environment.read(variables)
        assert Environment.read(environment.variables()) == environment
        return GoogleBackend(environment)


@pytest.fixture
def service() -> Iterator[Service]:
    """A Bigtable on the loopback."""
    found = Service()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            method = details.method.removeprefix("/google.bigtable.v2.Bigtable/")
            return grpc.unary_stream_rpc_method_handler(lambda data, context: found.answer(method, data, context))

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    found.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield found
    server.stop(None).wait()


def use(table: Table) -> None:
    """Reads in every way that there is, and writes in every way."""
    assert list(table.read([(b"a", b"b")])) == [] and list(table.read_keys([b"a"], PARENT)) == []
    assert not len(table.scan([(b"a", b"b")]).nodes)
    table.write([Cells(PARENT, [b"a"], [b"x"])], 1)
    table.delete_rows([b"a"])


def test_what_a_verification_reads_names_the_profile(service: Service) -> None:
    """Each read of it does, in the request and in what it is routed by; what it writes does not, nor does anything
    of a table that is opened for a build, nor of one in an instance without a profile."""
    name = "table_name=projects%2Fmy-project%2Finstances%2Fgraphs%2Ftables%2Ft"
    backend = service.backend()
    use(backend.table("t", None, verifying=True))
    read = ("ReadRows", PROFILE, f"{name}&app_profile_id={PROFILE}")
    write = ("MutateRows", "", name)
    assert service.asked == [read] * 3 + [write] * 2
    for table in (backend.table("t", None), service.backend(None).table("t", None, verifying=True)):
        service.asked.clear()
        use(table)
        assert service.asked == [("ReadRows", "", name)] * 3 + [write] * 2


GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION)


@pytest.mark.parametrize("code", GONE, ids=lambda code: code.name)
def test_a_profile_that_is_gone(service: Service, code: grpc.StatusCode) -> None:
    """It is named with what makes it again, and what the service said; reads and writes of builds go on."""
    service.wrong = lambda profile: code if profile else None
    backend = service.backend()
    told = f"app profile {PROFILE}, which INGEST_VERIFY_PROFILE .* \\(what it says\\).*make deploy .*my-project"
    for read in (lambda table: table.scan([(b"a", b"b")]), lambda table: list(table.read_keys([b"a"]))):
        with pytest.raises(StateError, match=told):
            read(backend.table("t", None, verifying=True))
    use(backend.table("t", None))


def test_a_table_that_is_gone_is_not_taken_for_a_profile(service: Service) -> None:
    """Without the table it is the table that is missing, whether or not a profile is named."""
    service.wrong = lambda profile: grpc.StatusCode.NOT_FOUND
    for verifying in (True, False):
        with pytest.raises(StateError, match="there is no table t in projects/my-project/instances/graphs"):
            service.backend().table("t", None, verifying=verifying).scan([(b"a", b"b")])


@pytest.mark.parametrize("profile", ["-low", ".low", "low priority", "projects/p/appProfiles/low", "ä"])
def test_a_name_that_no_profile_has(profile: str) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(StateError, match=r"INGEST_VERIFY_PROFILE = .* should look like chunkedgraph-ingest-verify"):
        Environment.read({"INGEST_VERIFY_PROFILE": profile})


class One:
    """A table of which only some methods may be called."""

    def __init__(self, table: Table, *allowed: str) -> None:
        self._table, self._allowed, self.called = table, allowed, set[str]()

    def __getattr__(self, name: str) -> Any:
        assert name in self._allowed, f"{name} of a table that may only {self._allowed}"
        self.called.add(name)
        return getattr(self._table, name)


READS = ("read", "read_keys", "scan")


@dataclass
class Apart(MemoryBackend):
    """Tables that builds only write, and verifications only read."""

    opened: dict[bool, One] = field(default_factory=dict)

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Any:
        return self.opened.setdefault(
            verifying, One(super().table(name, instance), *(READS if verifying else ("create", "write")))
        )


def apart(memory: MemoryRun) -> Apart:
    """The parts of a run behind such tables."""
    return Apart(**vars(backend_of(memory)))


def test_jobs_that_verify_what_they_build() -> None:
    """With `verified` a job writes by one opening of the table and verifies by the other."""
    memory = MemoryRun.of(random_volume(4, (3, 2, 2), size=8, density=0.3), verified=True)
    backend = apart(memory)
    memory.start()
    run = Run(backend, memory.record)
    run.work()
    assert run.finished and run.verification().rows
    assert backend.opened[False].called == {"write"} and backend.opened[True].called == set(READS)


def test_verifications_of_what_is_built() -> None:
    """By the queue, in one process, or of some chunks: all is read by the opening for verifications alone; so is
    what a repair compares."""
    memory = MemoryRun.of(random_volume(4, (3, 2, 2), size=8, density=0.3)).start().work()
    backend = apart(memory)
    run = Run(backend, memory.record)
    verifying, _ = run.begin_verification()
    verifying.work()
    assert run.verification().rows == run.verify().rows
    run.look(2)
    run.plan_repair()
    assert backend.opened[True].called == set(READS) and not backend.opened[False].called


def test_a_verification_that_cannot_read_waits_alone() -> None:
    """Its chunks are given back for later, nothing is held against them, and other runs go on."""
    memory = MemoryRun.of(random_volume(4, (1, 1, 1), size=8, density=0.3), verified=True).start()
    opened = open_run(backend_of(memory), memory.record)
    verifying = opened.sources.verifying
    assert verifying is not None

    class Gone:
        def scan(self, *_: Any) -> Any:
            raise StateError("no profile")

    table: Any = Gone()
    broken = replace(verifying, verifier=replace(verifying.verifier, table=table))
    with pytest.raises(OfOneRun, match="the table of graph graph: no profile") as caught:
        broken.verify(Chunk(2, 0, 0, 0))
    assert CLASSIFY(caught.value) is Kind.BLOCKED
