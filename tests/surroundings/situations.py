"""The table of situations: what is around a program, and how it ends in it.

A row says how a program is started (arguments, environment, streams, limits, user, what lies in its folders), and
its exit code and a part of what it must say. {place} stands for a folder of the row's own, {dataset} for a small
dataset's file, {host} for a server that answers as emulators do and refuses everything else, {other} for one that
answers nothing but refusals, {dead} for a port where nobody is, {deaf} for one where nobody speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.exit_codes import Exit

HOSTS = ("BIGTABLE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST")
SERVED = dict.fromkeys(HOSTS, "{host}")
NO_EMULATORS = {"CLOUDSDK_ROOT_DIR": "/none", "PATH": "/none"}
"""No Java, so nothing is started."""
GRAPH = ("--graph", "g")

OF_A_RUN: tuple[tuple[str, ...], ...] = (
    *(("status", *GRAPH), ("verify", *GRAPH), ("show", "1", *GRAPH), ("layer", "2", *GRAPH)),
    *(("chunk", "2/0_0_0", *GRAPH), ("chunk-local", "2 0 0 0", *GRAPH), ("reset", "--yes", *GRAPH)),
    *(
        ("upgrade", *GRAPH),
        ("repair", *GRAPH),
        ("failed", *GRAPH),
        ("replay", *GRAPH),
        ("discard", "2", *GRAPH),
        ("pause", *GRAPH),
    ),
)
"""Every command that opens a run on what runs already."""
STARTING: tuple[tuple[str, ...], ...] = (("ingest", "{dataset}"), ("resume", *GRAPH))
"""Those that start emulators where none are."""

Prepare = Callable[[Path], None]


@dataclass(frozen=True)
class Situation:
    """One row."""

    name: str
    arguments: tuple[str, ...]
    code: Exit
    says: str = ""
    program: str = "jobs.cli"
    environ: dict[str, str] = field(default_factory=dict)
    streams: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    nobody: bool = False
    local: str = "{place}/local"
    prepare: Prepare = lambda _place: None
    never: str = "Traceback"
    """What may not be said."""


def situations() -> list[Situation]:
    """All rows."""
    around = (no_services, hosts, names, graphs, streams, permissions, damaged, limits, datasets, odd, refused)
    groups = (*around, logs, samples)
    return [row for group in groups for row in group()]


def no_services() -> Iterator[Situation]:
    for command in OF_A_RUN:
        yield Situation(f"no emulators: {command[0]}", command, Exit.REFUSED, "start them with: make ingest")
    yield Situation("no emulators: resume", STARTING[1], Exit.REFUSED, "cannot find", environ=NO_EMULATORS)
    yield Situation(
        "no emulators: ingest",
        STARTING[0],
        Exit.OK,
        "it was built in memory and is gone now",
        environ=NO_EMULATORS,
        never="make status",
    )
    for home in ("/none", "{place}"):
        yield Situation(
            f"JAVA_HOME={home}",
            STARTING[0],
            Exit.OK,
            "has no bin/java",
            environ={"JAVA_HOME": home},
        )
    yield Situation("no emulators: down", ("down",), Exit.OK, "are down")
    yield Situation("no emulators: plan", ("plan", "{dataset}"), Exit.OK, "estimate")


def hosts() -> Iterator[Situation]:
    forms = {
        "scheme": ("http://127.0.0.1:1", "begins with a scheme"),
        "no port": ("localhost", "is no name and port"),
        "port 0": ("localhost:0", "has a port outside"),
        "large port": ("localhost:70000", "has a port outside"),
        "word for a port": ("localhost:http", "is no name and port"),
        "blank": ("local host:1", "is no name and port"),
        "path": ("localhost:1/x", "is no name and port"),
        "control": ("localhost:1\n", "is no name and port"),
    }
    for variable in (*HOSTS, "CLOUD_RUN_EMULATOR_HOST"):
        for form, (value, says) in forms.items():
            environ = {variable: value}
            yield Situation(f"{variable}: {form}", OF_A_RUN[0], Exit.REFUSED, says, environ=environ)
    for command in (*OF_A_RUN, *STARTING):
        environ = SERVED | {"PUBSUB_EMULATOR_HOST": "{dead}"}
        says = "PUBSUB_EMULATOR_HOST = '127.0.0.1:"
        yield Situation(f"nobody at the host: {command[0]}", command, Exit.REFUSED, says, environ=environ)
        environ = {"FIRESTORE_EMULATOR_HOST": "grpc://x:1"}
        says = "FIRESTORE_EMULATOR_HOST = 'grpc://x:1' begins with a scheme"
        yield Situation(f"scheme: {command[0]}", command, Exit.REFUSED, says, environ=environ)
    for variable in HOSTS:
        for host, says in (
            ("{deaf}", "no emulator answers there"),
            ("{other}", "is no emulator of"),
            ("no-such-host.invalid:1", "no emulator answers"),
        ):
            environ = SERVED | {variable: host}
            yield Situation(f"{variable}: {host}", OF_A_RUN[0], Exit.REFUSED, says, environ=environ)
    environ = SERVED | {"INGEST_PROJECT": "my-project", "CLOUD_RUN_EMULATOR_HOST": "{other}"}
    yield Situation("no stand-in for Jobs", OF_A_RUN[0], Exit.REFUSED, "is no emulator of Cloud", environ=environ)


def names() -> Iterator[Situation]:
    wrong = {
        "INGEST_PROJECT": ("p", "My-Project", "my project", "1project", "project-", "x" * 31, "projekt-ä"),
        "INGEST_INSTANCE": ("i", "Instance", "instance-", "in stance", "x" * 34),
        "INGEST_VERIFY_PROFILE": ("-low", "low priority", "a/b"),
        "INGEST_DATABASE": ("d", "default", "Data", "123e4567-e89b-12d3-a456-426614174000", "data base"),
        "INGEST_PREFIX": ("", "goog-x", "a b", "1x", "ä", "x/y", "x" * 201, "x\n"),
        "INGEST_SCRATCH": ("here", "./x", "file://x", "https://h/x", "gs://", "mem://x", "gs:/x"),
        "INGEST_MEMORY_MIB": ("0", "-1", "1.5", "1G", "٣", "1" * 13),
        "GOOGLE_API_USE_MTLS_ENDPOINT": ("yes",),
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": ("maybe",),
    }
    for variable, values in wrong.items():
        for value in values:
            if variable == "INGEST_DATABASE" and value == "default":
                continue  # a name like any other
            says = f"{variable} = " if value else "start them with"
            row = f"{variable}={value[:20]!r}"
            yield Situation(row, OF_A_RUN[0], Exit.REFUSED, says, environ={variable: value})
    for command in (*OF_A_RUN[1:], *STARTING, ("plan", "{dataset}", "--tfvars")):
        environ = {"INGEST_PREFIX": "a b", "INGEST_DATABASE": "x"}
        says = "it should look like chunkedgraph-ingest"
        yield Situation(f"names: {command[0]}", command, Exit.REFUSED, says, environ=environ)
    yield Situation(
        "names: worker",
        ("--layers", "2"),
        Exit.REFUSED,
        "INGEST_PREFIX = 'a b'",
        program="jobs.worker",
        environ={"INGEST_PREFIX": "a b"},
    )
    yield Situation("WORKERS", STARTING[0], Exit.REFUSED, "--workers", environ={"INGEST_WORKERS": "many"})


def graphs() -> Iterator[Situation]:
    for name in ("../g", "a b", ".", "..", "g" * 64, "é", "-x", "g/h", "g\n", "1g", "$(x)"):
        row = f"graph {name[:10]!r}"
        yield Situation(row, ("status", "--graph", name), Exit.REFUSED, "is no graph's name", environ=SERVED)
    for command in (*OF_A_RUN[1:], STARTING[1]):
        unsafe = (*command[:-2], "--graph", "../g")
        yield Situation(f"unsafe graph: {command[0]}", unsafe, Exit.REFUSED, "is no graph's name", environ=SERVED)
    for command in (*OF_A_RUN, STARTING[1]):
        says = "there is no run of graph 'g'"
        yield Situation(f"no such run: {command[0]}", command, Exit.REFUSED, says, environ=SERVED)


def streams() -> Iterator[Situation]:
    programs = {
        "plan": ("jobs.cli", ("plan", "{dataset}"), {}),
        "ingest": ("jobs.cli", ("ingest", "{dataset}"), NO_EMULATORS),
        "help": ("jobs.cli", ("--help",), {}),
        "command help": ("jobs.cli", ("ingest", "--help"), {}),
        "version": ("jobs.cli", ("--version",), {}),
        "example": ("jobs.example", ("{place}/x", "--grid", "1", "1", "1", "--chunk-size", "8", "8", "8"), {}),
        "example help": ("jobs.example", ("--help",), {}),
        "worker help": ("jobs.worker", ("--help",), {}),
        "task help": ("jobs.task", ("--help",), {}),
        "deploy help": ("jobs.deploy", ("--help",), {}),
        "bundle": ("functions.bundle", ("{place}/x",), {}),
    }
    ends = {
        "broken pipe": (Exit.FILES, "nobody reads what is printed here any more"),
        "/dev/full": (Exit.TRY_AGAIN, "No space left on device"),
        "closed": (Exit.OK, ""),
    }
    for name, (program, arguments, environ) in programs.items():
        for end, (code, says) in ends.items():
            yield Situation(
                f"stdout {end}: {name}", arguments, code, says, program, environ, streams={"stdout": end}
            )
    refused = ("plan", "gone.yml")
    for end in ("broken pipe", "/dev/full", "closed"):
        yield Situation(f"stderr {end}", refused, Exit.REFUSED, streams={"stderr": end})
        plan = ("plan", "{dataset}")
        yield Situation(f"stderr {end}, all is well", plan, Exit.OK, streams={"stderr": end})
    everything = dict.fromkeys(("stdin", "stdout", "stderr"), "closed")
    yield Situation("all streams closed", ("plan", "{dataset}"), Exit.OK, streams=everything)
    yield Situation(
        "all streams closed: ingest", ("ingest", "{dataset}"), Exit.OK, environ=NO_EMULATORS, streams=everything
    )
    yield Situation("stdin closed", ("plan", "{dataset}"), Exit.OK, "estimate", streams={"stdin": "closed"})


def _read_only(place: Path) -> None:
    (place / "ro").mkdir()
    (place / "ro").chmod(0o555)


def _unreadable(place: Path) -> None:
    (place / "ro").mkdir()
    (place / "ro").chmod(0o000)


def permissions() -> Iterator[Situation]:
    at: dict[str, Any] = {"nobody": True, "prepare": _read_only}
    local = "{place}/ro/local"
    yield Situation("read-only: ingest", STARTING[0], Exit.FILES, "Permission denied", local=local, **at)
    yield Situation("read-only: resume", STARTING[1], Exit.FILES, "Permission denied", local=local, **at)
    yield Situation("read-only: down", ("down",), Exit.OK, "are down", local=local, **at)
    yield Situation("read-only: example", ("{place}/ro/x",), Exit.FILES, "/ro/x", "jobs.example", **at)
    yield Situation("read-only: bundle", ("{place}/ro",), Exit.FILES, "/ro/", "functions.bundle", **at)
    scratch = SERVED | {"INGEST_SCRATCH": "{place}/ro"}
    at = {"nobody": True, "prepare": _unreadable}
    for command in (*OF_A_RUN, *STARTING):
        row = f"unreadable scratch: {command[0]}"
        yield Situation(row, command, Exit.FILES, "run.json cannot be read", environ=scratch, **at)
    for command in (*OF_A_RUN, *STARTING, ("down",)):
        row = f"unreadable state: {command[0]}"
        yield Situation(row, command, Exit.FILES, "Permission denied", local="{place}/ro", **at)
    yield Situation("unreadable dataset", ("plan", "{place}/ro/x.yml"), Exit.REFUSED, "cannot be read", **at)
    yield Situation("unreadable bundle", ("{place}/ro",), Exit.FILES, "/ro", "functions.bundle", **at)
    yield Situation("another user", ("plan", "{dataset}"), Exit.OK, "estimate", nobody=True)


def _state(content: bytes) -> Prepare:
    def prepare(place: Path) -> None:
        (place / "local").mkdir()
        (place / "local" / "emulators.json").write_bytes(content)

    return prepare


def _record(content: bytes | None) -> Prepare:
    def prepare(place: Path) -> None:
        file = place / "scratch" / "g" / "run.json"
        file.parent.mkdir(parents=True)
        if content is None:
            file.mkdir()
        else:
            file.write_bytes(content)

    return prepare


def _file_for_a_folder(place: Path) -> None:
    (place / "local").write_text("")


def _folder_for_a_file(place: Path) -> None:
    (place / "local" / "emulators.json").mkdir(parents=True)


def damaged() -> Iterator[Situation]:
    contents = {
        "half": b'{"BIGTABLE',
        "a list": b"[]",
        "no text": b"\xff\xfe\0",
        "other": b'{"x": 1}',
        "empty": b"",
    }
    for kind, content in contents.items():
        for command in (OF_A_RUN[0], STARTING[0], ("down",)):
            prepare, says = _state(content), "not a record of running servers"
            yield Situation(f"state {kind}: {command[0]}", command, Exit.REFUSED, says, prepare=prepare)
    foreign = b'{"BIGTABLE_EMULATOR_HOST": {"pid": 1, "started": 1, "host": "127.0.0.1:1"}}'
    for command in (OF_A_RUN[0], ("down",)):
        code, says = (Exit.OK, "are down") if command[0] == "down" else (Exit.REFUSED, "no emulators run")
        row = f"state of another machine: {command[0]}"
        yield Situation(row, command, code, says, prepare=_state(foreign))
    for prepare, says in ((_file_for_a_folder, "Not a directory"), (_folder_for_a_file, "Is a directory")):
        for command in (OF_A_RUN[0], STARTING[0]):
            yield Situation(f"{says}: {command[0]}", command, Exit.FILES, says, prepare=prepare)
    scratch = SERVED | {"INGEST_SCRATCH": "{place}/scratch"}
    for kind, content in (*contents.items(), ("deep", b"[" * 100_000), ("large", b'{"x":' + b"1" * 10_000 + b"}")):
        for command in (OF_A_RUN[0], OF_A_RUN[8], STARTING[1]):
            row, says = f"record {kind}: {command[0]}", "g/run.json"
            prepare = _record(content)
            yield Situation(row, command, Exit.REFUSED, says, environ=scratch, prepare=prepare)
    for command in (OF_A_RUN[0], STARTING[1]):
        prepare, says = _record(None), "run.json cannot be read"
        yield Situation(
            f"record a folder: {command[0]}", command, Exit.FILES, says, environ=scratch, prepare=prepare
        )


def limits() -> Iterator[Situation]:
    at: dict[str, Any]
    for limit in ("RLIMIT_AS", "RLIMIT_DATA"):
        for size in (1 << 20, 100 << 20):
            for command in (("plan", "{dataset}"), STARTING[0], OF_A_RUN[0]):
                row = f"{limit} {size >> 20} MiB: {command[0]}"
                at = {"environ": NO_EMULATORS, "limits": {limit: size}}
                yield Situation(row, command, Exit.TRY_AGAIN, "may take no more memory", **at)
    for command, environ in ((("plan", "{dataset}"), {}), (OF_A_RUN[0], SERVED)):
        at = {"environ": environ, "limits": {"RLIMIT_NPROC": 0}, "nobody": True}
        yield Situation(f"no threads: {command[0]}", command, Exit.TRY_AGAIN, "starts no more threads", **at)
    # What a file may hold limits its output too.
    at = {"limits": {"RLIMIT_FSIZE": 0}, "environ": NO_EMULATORS}
    yield Situation("no file may grow", STARTING[0], Exit.FILES, **at)
    at = {"limits": {"RLIMIT_FSIZE": 0}, "environ": NO_EMULATORS, "streams": {"stdout": "/dev/null"}}
    example = ("{place}/x", "--grid", "1", "1", "1", "--chunk-size", "8", "8", "8")
    yield Situation("no file may grow: example", example, Exit.FILES, program="jobs.example", **at)


def _log(place: Path) -> None:
    file = place / "local" / "logs" / "g" / "g-1-0.log"
    file.parent.mkdir(parents=True)
    file.write_text("no line for everyone")
    file.chmod(0o000)


def logs() -> Iterator[Situation]:
    """Logs are there without any emulator."""
    command = ("logs", "2/0_0_0", *GRAPH)
    yield Situation("logs: no run", command, Exit.REFUSED, "there is no run of graph 'g'")
    yield Situation("logs: no logs", (*command, "--all"), Exit.OK, "there is no folder")
    yield Situation("logs: unsafe graph", (*command[:2], "--graph", "../g"), Exit.REFUSED, "is no graph's name")
    yield Situation("logs: no chunk", ("logs", "2 0", *GRAPH), Exit.REFUSED, "is no chunk")
    yield Situation("logs: names", command, Exit.REFUSED, "it should look", environ={"INGEST_PREFIX": "a b"})
    at: dict[str, Any] = {"nobody": True, "prepare": _log}
    yield Situation("logs: unreadable log", (*command, "--all"), Exit.OK, "cannot be read to its end", **at)
    scratch: dict[str, Any] = {"environ": {"INGEST_SCRATCH": "{place}/scratch"}}
    yield Situation("logs: record half", command, Exit.REFUSED, "g/run.json", prepare=_record(b'{"x'), **scratch)
    scratch = {"environ": {"INGEST_SCRATCH": "{place}/ro"}, "nobody": True, "prepare": _unreadable}
    yield Situation("logs: unreadable scratch", command, Exit.FILES, "run.json cannot be read", **scratch)
    project = {"INGEST_PROJECT": "my-project", "INGEST_SCRATCH": "{place}/scratch", **SERVED}
    says = "in no Cloud Logging"
    yield Situation("logs: emulators for a project", (*command, "--all"), Exit.REFUSED, says, environ=project)


def _kept(content: bytes) -> Prepare:
    def prepare(place: Path) -> None:
        file = place / "local" / "samples" / "small.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(content)

    return prepare


def samples() -> Iterator[Situation]:
    """What is measured is kept, and a kept one is no matter of a plan's success."""
    command = ("sample", "{dataset}", "--count", "1")
    yield Situation("sample: kept", command, Exit.OK, "reckon with it from now on")
    yield Situation("sample: none", (*command[:3], "0"), Exit.REFUSED, "--count")
    yield Situation("sample: gone", ("sample", "gone.yml"), Exit.REFUSED, "there is no such file in")
    at: dict[str, Any] = {"nobody": True, "prepare": _read_only, "local": "{place}/ro/local"}
    yield Situation("sample: read-only", command, Exit.REFUSED, "what was measured is printed above", **at)
    environ = {"INGEST_PROJECT": "my-project", "INGEST_SCRATCH": "{place}/scratch", **SERVED}
    yield Situation(
        "sample: nothing is deployed", command, Exit.REFUSED, "which no task in the cloud", environ=environ
    )
    for kind, content in {"half": b'{"version"', "empty": b"", "a list": b"[]", "deep": b"[" * 100_000}.items():
        plan = ("plan", "{dataset}", "--sample", "0")
        prepare = _kept(content)
        yield Situation(f"kept sample {kind}: plan", plan, Exit.OK, "so nothing of it is", prepare=prepare)


def datasets() -> Iterator[Situation]:
    rows = {
        "gone": ("gone.yml", "there is no such file in"),
        "gone, absolute": ("/none/gone.yml", "does not exist"),
        "no such name": ("nothing", "there is no"),
        "a folder": ("/tmp/", "cannot be read"),
        "nothing in it": ("/dev/null", "must be keys with values"),
        "no text": ("/bin/sh", "is no valid YAML"),
        "surrogate": ("a\udc80.yml", "there is no such file"),
        "newline": ("a\nb", "there is no"),
        "a hyphen": ("--", "Missing argument"),
        "empty": ("", "there is no"),
    }
    for kind, (name, says) in rows.items():
        for command in ("plan", "ingest"):
            yield Situation(f"dataset {kind}: {command}", (command, name), Exit.REFUSED, says)
    yield Situation("dataset too long", ("plan", "x" * 300), Exit.FILES, "File name too long")


def odd() -> Iterator[Situation]:
    """What other programs read, and makes no difference here."""
    rows = (
        *({"HOME": home} for home in ("", "/none", "/dev/null")),
        *({"TERM": term} for term in ("", "dumb", "no-such-terminal")),
        *({"COLUMNS": columns, "LINES": columns} for columns in ("0", "-1", "wide", "1")),
        *({"LC_ALL": locale} for locale in ("C", "xx_YY.bogus", "POSIX")),
        *({name: "http://127.0.0.1:1"} for name in ("http_proxy", "ALL_PROXY", "grpc_proxy", "HTTPS_PROXY")),
        *({name: "1"} for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PYTHONUTF8", "CI")),
        *({name: "/none"} for name in ("TMPDIR", "GOOGLE_APPLICATION_CREDENTIALS", "SSL_CERT_FILE", "TZ")),
        *({name: "7"} for name in ("PREFIX", "DATABASE", "GRAPH", "SCRATCH", "PROJECT", "YES", "INSTANCE")),
        {"OMP_NUM_THREADS": "many", "OPENBLAS_NUM_THREADS": "0"},
        {"AWS_PROFILE": "none", "AWS_DEFAULT_REGION": ""},
    )
    for environ in rows:
        row = " ".join(f"{name}={value}" for name, value in environ.items())
        yield Situation(f"odd: {row}", ("plan", "{dataset}"), Exit.OK, "estimate", environ=environ)


def refused() -> Iterator[Situation]:
    """Services that are there and refuse what they are asked."""
    yield Situation("refused: ingest", STARTING[0], Exit.REFUSED, "a service refuses the request", environ=SERVED)
    proxy = {"http_proxy": "http://{dead}", "grpc_proxy": "http://{dead}", "HTTPS_PROXY": "http://{dead}"}
    says = "there is no run of graph"
    yield Situation("a proxy", OF_A_RUN[0], Exit.REFUSED, says, environ=SERVED | proxy)
