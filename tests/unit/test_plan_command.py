"""`plan`: what it prints, and the variables for Terraform, alone on stdout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml
from click.testing import CliRunner, Result

from jobs.commands import plan as command
from jobs.paths import REPOSITORY
from shared.errors import ConfigError
from shared.estimate.needs import ASSUMED, LayerNeeds
from shared.estimate.sampled import Looked
from shared.estimate.tfvars import buckets, tfvars, unknown
from shared.exit_codes import Exit
from shared.operate.looking_inside import Look
from shared.plan.config import Dataset
from shared.plan.grid import Grid
from tests.datasets import changed
from tests.on_disk import OnDisk
from tests.shapes import dense, shaped_volume

NEEDS = [LayerNeeds(layer, 1, 0, 0, memory, 0, 0, 0) for layer, memory in ((2, 0.2), (3, 1.01), (4, 7.5), (5, 50))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A dataset of 3 x 2 x 1 chunks that the checks find nothing wrong with, without files to build from."""
    from cloudvolume import CloudVolume

    for name in ("edges/edges_0_0_0.proto.zst", "components/components_0_0_0.proto"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding="compressed_segmentation",
        resolution=[8, 8, 40],
        voxel_offset=[0, 0, 0],
        volume_size=[1500, 1000, 100],
        chunk_size=[64, 64, 32],
    )
    CloudVolume(f"file://{tmp_path}/ws", info=info, progress=False).commit_info()
    content = {
        "data_source": {"EDGES": "./edges", "COMPONENTS": "./components", "WATERSHED": "./ws"},
        "graph_config": {"CHUNK_SIZE": [512, 512, 128], "ID_PREFIX": "lab_"},
    }
    path = tmp_path / "fly.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_plan_prints_work_times_and_bill(file: Path) -> None:
    """Layers and totals, then an estimate a layer, then the bill with its total and the date of its prices."""
    result = CliRunner().invoke(command.plan, [str(file)], env={"INGEST_GRAPH": ""})
    assert result.exit_code == 0, result.output
    text = result.output
    places = [
        text.index(part) for part in ("table lab_fly", "hand-offs read", "estimate, with 1,200", "bill, by list")
    ]
    assert places == sorted(places)
    assert re.search(r"^ +2 .* [46] +1 CPU 1 GiB +8 ", text, re.MULTILINE)
    assert re.search(r"^total +\d+\.\d\d$", text, re.MULTILINE)
    assert re.search(r"seen 2026-\d\d", text)
    assert "…" not in text


def test_plan_says_what_a_verification_costs(file: Path) -> None:
    """As a run by itself and while the graph is built; asked for, it is in the bill's total and not in the rest."""
    told = [
        CliRunner().invoke(command.plan, [str(file), *more], env={"INGEST_GRAPH": ""})
        for more in ([], ["--verify"])
    ]
    plain, verified = (one.output for one in told)
    assert "verification: as a run by itself about $" in plain and "(VERIFY=1) about $" in plain
    (more,) = re.findall(r"while it builds \(VERIFY=1\) \$([\d.]+) of this bill", verified)
    without, total = (float(re.findall(r"^total +([\d.]+)$", text, re.MULTILINE)[0]) for text in (plain, verified))
    assert total - without == pytest.approx(float(more), abs=0.011)


def test_plan_says_what_a_look_found(tmp_path: Path) -> None:
    """What is in a chunk, how sure it is, and rows, time and total with their ranges; without a look the assumption
    and that it is one."""
    path = str(OnDisk.write(tmp_path, shaped_volume((5, 4, 3), dense)).file())
    result = CliRunner().invoke(command.plan, [path, "--sample", "20"], env={"INGEST_GRAPH": ""})
    assert result.exit_code == 0, result.output
    text = result.output
    parts = [
        "looked into the input",
        "in a chunk",
        "opened 20 of 60 edge files",
        "estimate, with",
        "bill, by",
        "rows: ",
    ]
    assert (places := [text.index(part) for part in parts]) == sorted(places)
    for line in (r"^rows: [\d,]+ \([\d,]+ to [\d,]+\)$", r"^takes: \S+ \S+", r"^total: \$[\d,.]+"):
        assert re.search(line, text, re.MULTILINE), line
    blind = CliRunner().invoke(command.plan, [path, "--sample", "0"], env={"INGEST_GRAPH": ""}).output
    assert "not looked into the input" in blind and "estimate, with 1,200 voxels a supervoxel" in blind
    assert "rows: " not in blind and "may be wrong by a factor of a few" in blind


def test_machines_are_chosen_by_the_upper_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory in Terraform's variables is that for the upper end of what a look found, and its number of chunks
    is as asked for."""
    asked: list[int] = []

    def look(_checked: object, count: int, _kept: object) -> Look:
        asked.append(count)
        return Look(cast(Looked, SimpleNamespace(high=replace(ASSUMED, supervoxels=1.0))))

    monkeypatch.setattr(command, "look_inside", look)
    told = CliRunner().invoke(
        command.plan, [str(file), "--tfvars", "--sample", "7"], env={"INGEST_INSTANCE": "my-instance"}
    )
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["layer_memory_gib"]["2"] > 30
    assert asked == [7]


def test_plan_says_what_has_no_effect(file: Path) -> None:
    """Sections of other tools, raw output beside processed files, and missing files are in the plan."""
    content = yaml.safe_load(file.read_text())
    content |= {"cave_config": {"datastack": "x"}, "ingest_config": {"AGGLOMERATION": "gs://b/agg"}}
    content["data_source"]["CV_MIP"] = 1
    file.write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(command.plan, [str(file)], env={"INGEST_GRAPH": ""})
    assert result.exit_code == 0, result.output
    assert "cave_config: a section of another tool" in result.output
    assert "AGGLOMERATION: the processed files in EDGES and COMPONENTS are read" in result.output
    assert re.search(r"^no edge file +5 of 6 chunks$", result.output, re.MULTILINE)
    assert re.search(r"^no component file +0 of 1 chunks with edges$", result.output, re.MULTILINE)


def test_a_damaged_table_of_prices_ends_the_command(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a plan is printed without its prices; the variables for Terraform need none."""
    monkeypatch.setattr(command, "PRICES", tmp_path / "gone.yml")
    result = CliRunner().invoke(command.plan, [str(file)])
    assert (result.exit_code, result.output) == (1, "")
    assert "gone.yml: (file): does not exist" in str(result.exception)
    told = CliRunner().invoke(command.plan, [str(file), "--tfvars"], env={"INGEST_INSTANCE": "my-instance"})
    assert told.exit_code == 0


def test_tfvars_are_alone_on_stdout(file: Path) -> None:
    """The whole output of the program is one JSON object, for whoever reads it; project and
    instance are those of the environment."""
    environ = {**os.environ, "INGEST_PROJECT": "my-project", "INGEST_INSTANCE": "my-instance", "INGEST_GRAPH": ""}
    program = [sys.executable, "-m", "jobs.cli", "plan", str(file), "--tfvars", "--test"]
    result = subprocess.run(program, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == {
        "project": "my-project",
        "layers": 4,
        "lowest_layer": 2,
        "tables": ["lab_fly", "lab_fly_test"],
        "input_buckets": [],
        "output_buckets": [],
        "bigtable_instance": "my-instance",
        "layer_memory_gib": {"2": 1, "3": 1, "4": 1},
        "layer_tasks": {"2": 4, "3": 2, "4": 1},
        "layer_at_once": {"2": 8, "3": 8, "4": 8},
    }


CHATTY = """
import os, sys
import shared.operate.check as library
real = library.read_volume
def read_volume(path):
    print("Using default Google credentials.")
    os.write(1, b"and so does a library below Python\\n")
    return real(path)
library.read_volume = read_volume
from jobs.cli import run
sys.exit(run(sys.argv[1:]))
"""
"""The program with a library that prints to standard output while it is at work, as cloud-files does."""


def test_what_libraries_print_is_in_no_output(file: Path, tmp_path: Path) -> None:
    """Variables on standard output, and in the file, are JSON alone; the library's words are on standard error."""
    environ = {**os.environ, "INGEST_PROJECT": "my-project", "INGEST_INSTANCE": "my-instance"}
    out = tmp_path / "dataset.auto.tfvars.json"
    found = []
    for more in ([], ["--out", str(out)]):
        program = [sys.executable, "-c", CHATTY, "plan", str(file), "--tfvars", *more]
        done = subprocess.run(program, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=True)
        assert "Using default Google" in done.stderr and "below Python" in done.stderr
        found.append(done.stdout)
    assert found[1] == f"wrote {out}\n"
    assert json.loads(found[0]) == json.loads(out.read_text())
    assert json.loads(found[0])["layers"] == 4


def test_variables_replace_a_file_only_when_they_are_good(file: Path, tmp_path: Path) -> None:
    """A dataset that is refused, a place that cannot be written, a variable that Terraform does not have: the
    file of before stays as it was, and nothing else is left beside it."""
    folder = tmp_path / "terraform"
    folder.mkdir()
    out = folder / "dataset.auto.tfvars.json"
    out.write_text("before")

    def told(*arguments: str, instance: str = "my-instance") -> Result:
        environ = {"INGEST_INSTANCE": instance, "INGEST_PROJECT": "", "INGEST_GRAPH": ""}
        return CliRunner().invoke(command.plan, [str(file), *arguments], env=environ)

    refused = told("--tfvars", "--out", str(out), instance="")
    assert "backend_client.CONFIG.INSTANCE" in str(refused.exception)
    assert "cannot be written" in str(told("--tfvars", "--out", str(tmp_path / "gone" / "x.json")).exception)
    assert told("--out", str(out)).exit_code != 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(command, "tfvars", lambda *_: {"bigtable_instance": "x", "no_such": 1})
        assert "declares no no_such" in str(told("--tfvars", "--out", str(out)).exception)
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space left")))
        patched.setattr(command, "tfvars", lambda *_: {"bigtable_instance": "x"})
        assert "no space left" in str(told("--tfvars", "--out", str(out)).exception)
    assert [path.name for path in folder.iterdir()] == [out.name] and out.read_text() == "before"
    assert told("--tfvars", "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text())["bigtable_instance"] == "my-instance"
    assert [path.name for path in folder.iterdir()] == [out.name]


def test_an_instance_that_nobody_names_is_found_first(file: Path) -> None:
    """Without INSTANCE in file or environment no variables are written, as `ingest` would refuse in the end; the
    sentence says where to put it."""
    result = CliRunner().invoke(command.plan, [str(file), "--tfvars"], env={"INGEST_INSTANCE": ""})
    assert isinstance(result.exception, ConfigError)
    assert f"{file}: backend_client.CONFIG.INSTANCE: is not given" in str(result.exception)
    assert "INSTANCE=…" in str(result.exception) and "bigtable_cluster" in str(result.exception)


def test_a_refused_dataset_leaves_stdout_empty(file: Path) -> None:
    """A problem is told on stderr with exit code 2, so that no half of a file is taken for variables."""
    content = yaml.safe_load(file.read_text())
    content["data_source"]["EDGES"] = "./nothing"
    file.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "jobs.cli", "plan", str(file), "--tfvars"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (Exit.REFUSED, "")
    assert "data_source.EDGES" in result.stderr


def test_tfvars_of_a_dataset() -> None:
    """Layers, tables (one for a trial), the buckets that workers read, the instance, and the memory of each
    layer rounded up."""
    dataset = Dataset.model_validate(changed(data_source__WATERSHED="precomputed://gs://another/ws"))
    assert tfvars(dataset, "graph", Grid((4, 1, 1)), NEEDS, None, None) == {
        "project": "project",
        "layers": 4,
        "lowest_layer": 2,
        "tables": ["graph", "graph_test"],
        "input_buckets": ["b"],
        "output_buckets": [],
        "bigtable_instance": "instance",
        "layer_memory_gib": {"2": 1, "3": 1.5, "4": 7.5, "5": 32},
        "layer_tasks": {"2": 1, "3": 1, "4": 1, "5": 1},
        "layer_at_once": {"2": 1, "3": 1, "4": 1, "5": 1},
    }


def test_tasks_are_those_that_the_table_takes_the_rows_of() -> None:
    """Of a layer that writes 25,000 rows a second a task, 30 nodes take the rows of 11 (252,000 a second): so the
    fleet may have four times as many, and not 500; never more than there are chunks."""
    dataset = Dataset.model_validate(changed())
    many = LayerNeeds(2, 10_000, 10_000, 0, 1, 250e6, 0, 0)
    found = tfvars(dataset, "graph", Grid((1, 1, 1)), [many, replace(many, layer=3, chunks=7)], None, None)
    assert found["layer_tasks"] == {"2": 44, "3": 7}


def test_what_is_not_known_is_left_out() -> None:
    """Without project and instance in dataset and environment, Terraform asks or takes its defaults."""
    dataset = Dataset.model_validate(changed(backend_client__CONFIG={}))
    found = tfvars(dataset, "graph", Grid((4, 1, 1)), NEEDS, None, None)
    known = {
        "layers",
        "lowest_layer",
        "tables",
        "input_buckets",
        "output_buckets",
        "layer_memory_gib",
        "layer_tasks",
        "layer_at_once",
    }
    assert set(found) == known


def test_tfvars_of_a_segmentation() -> None:
    """Layers from the lowest that something is done in, each with its memory and tasks; the buckets of volumes and
    tables are read and not those of files, which are written."""
    dataset = Dataset.model_validate(changed())
    below = [LayerNeeds(layer, 5, 3600, 0, memory, 0, 0, 0) for layer, memory in ((0, 0.7), (1, 2.3))]
    read, written = ["gs://volumes/a", "gs://tables/x"], ["gs://b/edges", "precomputed://gs://another/ws"]
    found = tfvars(dataset, "graph", Grid((4, 1, 1), 1), [*below, *NEEDS], None, None, written, read)
    assert (found["layers"], found["lowest_layer"]) == (4, 0)
    assert (found["input_buckets"], found["output_buckets"]) == (["tables", "volumes"], ["another", "b"])
    assert found["layer_memory_gib"] == {"0": 1, "1": 2.5, "2": 1, "3": 1.5, "4": 7.5, "5": 32}
    assert found["layer_tasks"] == {"0": 5, "1": 5, "2": 1, "3": 1, "4": 1, "5": 1}


def test_the_environment_comes_before_the_dataset() -> None:
    """PROJECT and INSTANCE say where, whatever the dataset's file has."""
    found = tfvars(Dataset.model_validate(changed()), "graph", Grid((1, 1, 1)), [], "mine", "other")
    assert (found["project"], found["bigtable_instance"]) == ("mine", "other")


def test_buckets() -> None:
    """Names of Google's buckets alone, sorted, each once, with a format before them or without."""
    found = ["gs://b/edges", "gs://b/components/", "precomputed://gs://a", "s3://other/x", "file:///gs/c"]
    assert buckets(found) == ["a", "b"]
    assert buckets([]) == []


def test_terraform_knows_the_variables() -> None:
    """Every variable that is written is one of Terraform's: another would be ignored with a warning."""
    found = tfvars(Dataset.model_validate(changed()), "graph", Grid((1, 1, 1)), NEEDS, None, None)
    assert unknown(found, command.VARIABLES.read_text()) == []
    assert unknown([*found, "b", "a"], command.VARIABLES.read_text()) == ["a", "b"]
