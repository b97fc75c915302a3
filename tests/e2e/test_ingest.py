"""End to end: the command line, worker processes and Google's emulators, on a small example of 6 layers."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY
from shared.environment import Environment
from shared.exit_codes import Exit
from shared.gcp.backend import GoogleBackend
from shared.gcp.bigtable.table import BigtableTable
from shared.memory.completion import MemoryCompletion
from shared.memory.queue import MemoryBroker
from shared.memory.storage import MemoryStorage
from shared.memory.table import MemoryTable
from shared.operate.queueing import start
from shared.plan.grid import Chunk
from shared.run.ports import Table
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.registry import graph_folder
from shared.table.cells import Cells
from shared.table.columns import PARENT, node_key
from shared.work.open_runs import open_run
from shared.work.sources import Sources
from shared.work.steps import OpenRun
from shared.work.worker import Worker
from tests.e2e.conftest import SECONDS, Run


@pytest.fixture
def graph() -> str:
    """A name that no other test uses."""
    return f"g{uuid.uuid4().hex[:12]}"


def rows(table: Table) -> dict[bytes, tuple[dict[str, bytes], dict[str, int]]]:
    found = {row.key: (row.cells, row.timestamps) for row in table.read([(b"", b"\xff")])}
    return {key: row for key, row in found.items() if key not in (b"meta", b"version")}


def opened(variables: dict[str, str], graph: str) -> OpenRun:
    backend = GoogleBackend(Environment.read(variables))
    data = graph_folder(backend, graph).get([RECORD_NAME])[RECORD_NAME]
    assert data is not None
    return open_run(backend, RunRecord.decode(data, "run.json"))


def in_memory(run: OpenRun) -> MemoryTable:
    """What the same run comes to with every part in memory, in one thread."""
    broker, table = MemoryBroker(), MemoryTable()
    sources = Sources(run.sources.inputs, MemoryStorage())
    other = OpenRun(run.record, sources, table, MemoryCompletion())

    class Runs:
        def open(self, graph: str, run: str) -> OpenRun:
            return other

    start(run.record, sources.scratch, table, broker.open([]), [])
    Worker(broker.open(run.record.plan.layers), Runs(), "m", lambda: 0.0, lambda: False).run(0.0)
    return table


def test_ingest_and_all_that_follows(
    cli: Run, program: Run, variables: dict[str, str], example: Path, graph: str
) -> None:
    """An ingest ends with a verified table, the same as in memory; the other commands work on it."""
    truth = example / "truth.npz"
    done = program("ingest", example / "dataset.yml", "--graph", graph, "--workers", 2, "--truth", truth)
    assert (done.returncode, "agrees with" in done.stdout, str(truth) in done.stdout) == (0, True, True), done
    run = opened(variables, graph)
    assert isinstance(run.table, BigtableTable)
    assert rows(run.table) == rows(in_memory(run))

    again = cli("ingest", example / "dataset.yml", "--graph", graph)
    assert (again.returncode, "every chunk" in again.stdout) == (0, True)

    status = program("status", "--graph", graph, "--json")
    facts = json.loads(status.stdout)
    assert facts["finished"] and facts["hosts"].keys() <= variables.keys()
    assert [layer["done"] for layer in facts["layers"]] == [layer["total"] for layer in facts["layers"]]
    assert "BIGTABLE_EMULATOR_HOST" in cli("status", "--graph", graph).stdout

    took = json.loads(cli("cost", "--graph", graph, "--json").stdout)
    assert [layer["chunks"] for layer in took["layers"]] == [layer["total"] for layer in facts["layers"]]
    assert all(layer["known"] == layer["chunks"] and layer["cpu"] > 0 for layer in took["layers"])
    assert took["expected"] and all(line["usd_plan"] is not None for line in took["services"])
    (kept,) = [one for one in json.loads(cli("runs", "--json").stdout) if one["graph"] == graph]
    assert (kept["result"], kept["run"], kept["usd"]) == ("done", facts["run"], took["usd"])
    assert graph in cli("runs").stdout and "Bigtable" in cli("cost", "--graph", graph).stdout

    root = next(key for key in rows(run.table) if key.isdigit() and int(key) >> 56 == 1)
    shown = cli("show", int(root), "--graph", graph)
    assert shown.returncode == 0 and "root" in shown.stdout

    local = cli("chunk-local", 2, 1, 1, 1, "--graph", graph)
    assert local.returncode == 0 and "0:children" in local.stdout
    before = rows(run.table)
    queued = cli("chunk", 2, 1, 1, 1, "--graph", graph)
    assert queued.returncode == 0 and "queued" in queued.stdout

    asked = program("reset", "--graph", graph)
    assert asked.returncode == Exit.REFUSED and "YES=1" in asked.stderr
    assert cli("reset", "--graph", graph, "--yes").returncode == 0
    fresh = json.loads(cli("status", "--graph", graph, "--json").stdout)
    assert not fresh["finished"] and sum(layer["done"] for layer in fresh["layers"]) == 0
    refused = cli("ingest", example / "dataset.yml", "--graph", graph)
    assert refused.returncode == Exit.REFUSED and f"make resume GRAPH={graph}" in refused.stderr
    assert cli("ingest", example / "dataset.yml", "--graph", graph, "--resume", "--workers", 2).returncode == 0
    assert rows(run.table) == before

    wrong = Cells(PARENT, [node_key(int(root))], [(7).to_bytes(8, "little")])
    run.table.write([wrong], run.record.timestamp_ms + 1)
    faulty = program("verify", "--graph", graph)
    assert faulty.returncode == Exit.FAULTY and str(int(root)) in faulty.stdout


def test_damaged_file_then_mended(
    cli: Run, program: Run, variables: dict[str, str], few: Path, graph: str, tmp_path: Path
) -> None:
    """A damaged input file ends the run with its name and exit code 3; mended and resumed, it completes."""
    folder = tmp_path / "copy"
    shutil.copytree(few, folder)
    text = (few / "dataset.yml").read_text().replace(str(few), str(folder))
    (folder / "dataset.yml").write_text(text)
    damaged = folder / "edges" / "edges_1_1_1.proto.zst"
    good = damaged.read_bytes()
    damaged.write_bytes(good[: len(good) // 2])
    failed = program("ingest", folder / "dataset.yml", "--graph", graph, "--workers", 1)
    assert failed.returncode == Exit.FAILED_CHUNKS
    assert "edges_1_1_1.proto.zst" in failed.stdout and "2/1_1_1" in failed.stdout
    assert cli("verify", "--graph", graph).returncode == Exit.REFUSED
    damaged.write_bytes(good)
    mended = cli("ingest", folder / "dataset.yml", "--graph", graph, "--workers", 2, "--resume")
    assert mended.returncode == 0, mended
    run = opened(variables, graph)
    assert rows(run.table) == rows(in_memory(run))


def test_interrupted_then_resumed(cli: Run, variables: dict[str, str], example: Path, graph: str) -> None:
    """Ctrl-C ends command and workers with exit code 130; resumed, the run ends as if nothing had been."""
    command = [sys.executable, "-m", "jobs.cli", "ingest", str(example / "dataset.yml"), "--graph", graph]
    with subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "queued" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == Exit.INTERRUPTED
    assert cli("ingest", example / "dataset.yml", "--graph", graph, "--resume").returncode == 0
    run = opened(variables, graph)
    assert rows(run.table) == rows(in_memory(run))


def test_layer_by_layer(cli: Run, few: Path, graph: str, tmp_path: Path) -> None:
    """With auto_queue_parents: false every layer is started by a command, in order only."""
    dataset = tmp_path / "slow.yml"
    dataset.write_text((few / "dataset.yml").read_text() + "chunkedgraph_ingest: {auto_queue_parents: false}\n")
    first = cli("ingest", dataset, "--graph", graph)
    assert first.returncode == 0 and "make layer N=3" in first.stdout
    early = cli("layer", 4, "--graph", graph)
    assert early.returncode == Exit.REFUSED and "make layer N=3" in early.stderr
    for number in (3, 4, 5, 6):
        assert cli("layer", number, "--graph", graph).returncode == 0
    assert cli("verify", "--graph", graph).returncode == 0


def test_test_run(cli: Run, variables: dict[str, str], example: Path, graph: str) -> None:
    """`--test` builds the middle layer-3 chunk and its children only, and verifies them."""
    done = cli("ingest", example / "dataset.yml", "--graph", graph, "--test", "--workers", 1)
    assert done.returncode == 0, done
    run = opened(variables, graph)
    names = sorted(name.split("/", 1)[1] for name in run.sources.scratch.list(f"{run.record.run}/"))
    top = run.record.plan.top
    expected = [*run.record.plan.grid.children(top), top]
    assert names == sorted(f"layer{at.layer}/{at.x}_{at.y}_{at.z}.handoff" for at in expected)
    assert top.layer == 3 and isinstance(top, Chunk)


def test_refusals(cli: Run, program: Run, example: Path, graph: str, tmp_path: Path) -> None:
    """What cannot be is refused with exit code 2 before anything is created, with what to do."""
    bad = tmp_path / "bad.yml"
    bad.write_text((example / "dataset.yml").read_text().replace("FANOUT: 2", "FANOUT: 3, SPATIAL: 1"))
    found = program("ingest", bad, "--graph", graph)
    assert found.returncode == Exit.REFUSED
    assert "graph_config.FANOUT" in found.stderr and "graph_config.SPATIAL" in found.stderr
    assert cli("status", "--graph", graph).returncode == Exit.REFUSED
    assert cli("ingest", "no-such-dataset").returncode == Exit.REFUSED
    assert cli("nonsense").returncode == Exit.REFUSED
    planned = cli("plan", example / "dataset.yml")
    assert planned.returncode == 0 and "9 x 5 x 3" in planned.stdout


ELSEWHERE = """
import sys
from pathlib import Path
import jobs.paths
jobs.paths.LOCAL = Path(sys.argv.pop(1))
import jobs.cli
jobs.cli.main()
"""


def test_without_emulators(variables: dict[str, str], few: Path, graph: str, tmp_path: Path) -> None:
    """Where no emulator is found, nor runs, the same job runs in memory, after one sentence that says so."""
    none = {"BIGTABLE_EMULATOR_HOST": "", "PUBSUB_EMULATOR_HOST": "", "FIRESTORE_EMULATOR_HOST": ""}
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "local")]
    done = subprocess.run(
        [*command, "ingest", str(few / "dataset.yml"), "--graph", graph],
        cwd=REPOSITORY,
        env={**variables, **none, "PATH": "/nonexistent", "CLOUDSDK_ROOT_DIR": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done
    assert "apt-get install" in done.stdout and "agrees with" in done.stdout


def words(text: str) -> list[str]:
    """The words of what an ingest prints, without times of layers, nor the progress that a slow machine shows."""
    lines = (re.sub(r"^( +\d .*?)( +[\d.,]+){2}$", r"\1", line) for line in text.splitlines())
    return " ".join(line for line in lines if not re.match(r"layer \d+: \d", line)).split()


def test_the_example(cli: Run, whole_example: Path, graph: str, tmp_path: Path) -> None:
    """The example of the README, whole: two workers build its 6 layers, and it agrees with its truth."""
    folder = whole_example
    text = (REPOSITORY / "configs" / "example.yml").read_text().replace("./../build/example", str(folder))
    (tmp_path / "example.yml").write_text(text)
    truth = folder / "truth.npz"
    done = cli("ingest", tmp_path / "example.yml", "--graph", graph, "--workers", 2, "--truth", truth)
    assert (done.returncode, str(truth) in done.stdout) == (0, True), done
    said = done.stdout.replace(graph, "example").replace(str(truth), "build/example/truth.npz")
    readme = (REPOSITORY / "README.md").read_text()
    sample = readme[readme.index("    created table example") :].split("\n\n")[0]
    assert words(sample) == words(said.split("next:")[0])
    totals = json.loads(cli("status", "--graph", graph, "--json").stdout)["layers"]
    assert [layer["total"] for layer in totals] == [135, 30, 6, 2, 1]
