"""What commands know of a segmentation that is to be cut in a project: its layers, buckets and machines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from jobs import examination
from jobs.commands import plan as command
from jobs.deployed import local_folders, small_machines
from jobs.examination import Asked, patient
from shared.dispatch.fleet import Fleet
from shared.doctor.tools import Machine
from shared.environment import Environment
from shared.memory.cloud import MemoryCloud
from shared.operate.check import Checked, check
from shared.operate.looking_inside import look_inside
from shared.operate.segmentation_input import outputs_of
from tests.segmentations import Scene, write

ENVIRONMENT = Environment.read({"INGEST_PROJECT": "my-project"})
PROGRAMS = Machine(None, None, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A dataset that is a segmentation with objects, of 3 x 2 x 2 chunks."""
    labels = np.random.default_rng(1).integers(1, 20, (24, 16, 12)).astype("uint64")
    return write(tmp_path, Scene(labels, (8, 8, 6), objects=labels % 5 + 1))


def in_buckets(checked: Checked) -> Checked:
    """The same with its folders in buckets, as if it had been read from there."""
    source = checked.dataset.data_source
    places = {"EDGES": "gs://files/e", "COMPONENTS": "gs://files/c", "WATERSHED": "precomputed://gs://volume/ws"}
    dataset = checked.dataset.model_copy(update={"data_source": source.model_copy(update=places)})
    assert checked.input.segmentation is not None
    cut = replace(checked.input.segmentation, supervoxels="gs://labels/a", objects="gs://objects/b")
    return replace(checked, dataset=dataset, input=replace(checked.input, segmentation=cut))


def test_doctor_knows_its_layers_and_buckets(file: Path) -> None:
    """Layer 1 is there too; volumes are what is read, and files and the new volume what is written."""
    asked = Asked("scene.yml", in_buckets(check(file, "graph")), "us-central1")
    place = patient(ENVIRONMENT, MemoryCloud(), asked, PROGRAMS).place
    assert place.layers == (1, 2, 3, 4)
    assert (place.inputs, place.outputs) == (("labels", "objects"), ("files", "volume"))


def test_doctor_remembers_the_lowest_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a dataset the layers are those of the last deployment; one that says no lowest has them from 2 on."""
    monkeypatch.setattr(examination, "VARIABLES", tmp_path / "last.json")
    for last, layers in (({"layers": 4}, (2, 3, 4)), ({"layers": 3, "lowest_layer": 0}, (0, 1, 2, 3))):
        (tmp_path / "last.json").write_text(json.dumps({"project": "my-project", **last}))
        assert patient(ENVIRONMENT, MemoryCloud(), Asked(), PROGRAMS).place.layers == layers


def test_folders_of_this_machine(file: Path) -> None:
    """No task reaches them: neither the volumes that are read nor the one that is written, which of other datasets
    is only looked at here."""
    checked = check(file, "graph")
    found = {problem.key for problem in local_folders(checked, "scene.yml")}
    outputs = {"data_source.EDGES", "data_source.COMPONENTS", "data_source.WATERSHED"}
    section = "chunkedgraph_ingest.segmentation"
    assert found == outputs | {f"{section}.supervoxels", f"{section}.objects"}
    assert local_folders(in_buckets(checked), "scene.yml") == []


def test_small_machines_of_cuts(file: Path) -> None:
    """A fleet of cuts with less memory than a chunk may need is told of, as others are."""
    checked = check(file, "graph")
    job = "projects/my-project/locations/r/jobs/chunkedgraph-ingest-l"
    fleets = [
        Fleet(f"{job}{layer}", (layer,), 1, 2, 60.0, 2, memory_gib=0.5 if layer == 1 else 2)
        for layer in checked.plan.layers
    ]
    (told,) = small_machines(fleets, checked, look_inside(checked))
    assert told.startswith("layer 1 may need 1 GiB")


def test_plan_shows_the_cuts(file: Path) -> None:
    """The plan has a line for them in both of its tables; Terraform is told of layer 1."""
    shown = CliRunner().invoke(command.plan, [str(file)], env={"INGEST_GRAPH": ""})
    assert shown.exit_code == 0, shown.output
    assert sum(line.lstrip().startswith("1 cuts ") for line in shown.output.splitlines()) == 2
    assert "volume and files, 1 month" in shown.output
    variables = CliRunner().invoke(command.plan, [str(file), "--tfvars"], env={"INGEST_INSTANCE": "graphs"})
    found = json.loads(variables.stdout)
    assert (found["layers"], found["lowest_layer"]) == (4, 1)
    assert set(found["layer_memory_gib"]) == set(found["layer_tasks"]) == {"1", "2", "3", "4"}
    assert len(outputs_of(check(file, "graph").dataset)) == 3
