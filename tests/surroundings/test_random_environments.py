"""Random surroundings: whatever variables stand in a shell, there is no traceback, no wait and no wrong code."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from shared.exit_codes import Exit
from tests.examples import examples
from tests.surroundings.conftest import StandIn, Zygote
from tests.surroundings.situations import HOSTS, NO_EMULATORS

MOST_SECONDS = 120.0

REFUSED = {
    "INGEST_PROJECT": ("p", "MY-PROJECT", "a b", "-"),
    "INGEST_INSTANCE": ("i", "../x"),
    "INGEST_VERIFY_PROFILE": (".low", "a/b"),
    "INGEST_DATABASE": ("Data base", "x"),
    "INGEST_PREFIX": ("goog", "1", "a b", "x\n"),
    "INGEST_SCRATCH": ("here", "http://x/y", "file://x"),
    "INGEST_MEMORY_MIB": ("0", "many"),
    "BIGTABLE_EMULATOR_HOST": ("http://localhost:1", "localhost", ":1", "localhost:0"),
    "PUBSUB_EMULATOR_HOST": ("x", "x:y", "x:99999"),
    "FIRESTORE_EMULATOR_HOST": ("[::1", "1", "grpc://[::1]:1"),
    "CLOUD_RUN_EMULATOR_HOST": ("https://run.googleapis.com", "run"),
    "GOOGLE_API_USE_MTLS_ENDPOINT": ("1", "yes"),
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": ("1", "yes"),
}
"""Values that every command refuses that opens a run."""

_HARMLESS = {
    "http_proxy https_proxy all_proxy HTTP_PROXY grpc_proxy": ("http://127.0.0.1:1", "x"),
    "no_proxy NO_PROXY": ("", "*", "localhost", ",,"),
    "HOME TMPDIR XDG_CONFIG_HOME CLOUDSDK_CONFIG": ("", "/none", "/dev/null"),
    "TERM COLUMNS LINES NO_COLOR FORCE_COLOR": ("", "0", "dumb", "-1", "x"),
    "LC_ALL LANG LANGUAGE TZ": ("", "C", "xx_YY", "../.."),
    "PREFIX DATABASE GRAPH SCRATCH PROJECT TRUTH DATASET": ("x", "a b", "/"),
    "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT GCLOUD_PROJECT": ("", "/none", "x"),
    "AWS_PROFILE AWS_ACCESS_KEY_ID AWS_CA_BUNDLE SSL_CERT_FILE": ("", "x", "/none"),
    "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MALLOC_ARENA_MAX": ("", "0", "x"),
    "CLOUD_RUN_EXECUTION CLOUD_RUN_TASK_INDEX K_SERVICE": ("", "x", "-1"),
    "GRPC_VERBOSITY GRPC_TRACE GRPC_DNS_RESOLVER": ("", "none", "native"),
    "BIGTABLE_HOST PUBSUB_HOST STORAGE_EMULATOR_HOST DATASTORE_EMULATOR_HOST": ("", "x"),
    "PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONWARNINGS": ("/none", "error"),
}
HARMLESS = {name: values for names, values in _HARMLESS.items() for name in names.split()}
"""Values that make no difference."""


def chosen(table: dict[str, tuple[str, ...]], most: int) -> st.SearchStrategy[dict[str, str]]:
    """Some of a table's variables, each with one of its values."""
    pairs = st.sampled_from([(name, value) for name, values in sorted(table.items()) for value in values])
    return st.lists(pairs, max_size=most, unique_by=lambda pair: pair[0]).map(dict)


COMMANDS = st.sampled_from([
    ("status", "--graph", "g"),
    ("failed", "--json", "--graph", "g"),
    ("resume", "--graph", "g"),
    ("reset", "--graph", "g"),
    ("chunk", "2", "0", "0", "0", "--graph", "g"),
    ("show", "1", "--graph", "g"),
])  # fmt: skip
MANY = examples(40, HealthCheck.function_scoped_fixture)


@MANY
@given(harmless=chosen(HARMLESS, 12), refused=chosen(REFUSED, 2), command=COMMANDS)
def test_commands_of_a_run(
    start: Zygote, stand_in: StandIn, harmless: dict[str, str], refused: dict[str, str], command: tuple[str, ...]
) -> None:
    """Refused, with every value that is to blame; otherwise what it is without these variables: no such run."""
    hosts = dict.fromkeys(HOSTS, stand_in.host)
    with tempfile.TemporaryDirectory() as folder:
        done = start(Path(folder), *command, environ=harmless | hosts | refused, seconds=MOST_SECONDS)
    assert done.code == Exit.REFUSED and "Traceback" not in done.text and not done.out, done
    if refused:
        assert [name for name in refused if f"{name} = " not in done.err] == [], done
    else:
        assert "there is no run of graph 'g'" in done.err, done


@MANY
@given(harmless=chosen(HARMLESS, 12))
def test_a_plan(start: Zygote, dataset: Path, harmless: dict[str, str]) -> None:
    """The same text to the byte, whatever stands around it."""
    with tempfile.TemporaryDirectory() as folder:
        plain = start(Path(folder), "plan", dataset)
        done = start(Path(folder), "plan", dataset, environ=harmless, seconds=MOST_SECONDS)
    if "FORCE_COLOR" not in harmless:
        assert done.out == plain.out
    assert done.code == plain.code == Exit.OK and not done.err, done


@examples(10, HealthCheck.function_scoped_fixture)
@given(harmless=chosen(HARMLESS, 12))
def test_a_run_in_memory(start: Zygote, dataset: Path, harmless: dict[str, str]) -> None:
    """Where nothing is installed, a whole run works with whatever stands around it, and is verified."""
    with tempfile.TemporaryDirectory() as folder:
        done = start(Path(folder), "ingest", dataset, environ=harmless | NO_EMULATORS, seconds=MOST_SECONDS)
    assert done.code == Exit.OK and "agrees with" in done.out and "Traceback" not in done.text, done
