"""The example of variables has every one of them, and works when all of it is switched on."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from shared.estimate.needs import needs
from shared.estimate.report import describe
from shared.estimate.schedule import schedule
from shared.estimate.tfvars import tfvars
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts
from tests.datasets import changed
from tests.terraform.tool import FOLDER, Command, Outcome, read_messages

SOURCE_TEXT = "".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))
EXAMPLE = (FOLDER / "terraform.tfvars.example").read_text()
SOURCE = {"EDGES": "gs://my-edges/e", "COMPONENTS": "gs://my-components", "WATERSHED": "gs://my-edges/ws"}
RUN = """
mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}
mock_provider "time" {}
run "planned" {
  command = plan
  assert {
    condition     = CONDITION
    error_message = "not what was expected"
  }
}
"""


def planned(terraform: Command, folder: Path, values: str, content: str, condition: str) -> Outcome:
    """What comes of a plan with the variables in a file of the name `values`, and of a condition on it."""
    test = folder / "tests" / "variables.tftest.hcl"
    test.write_text(RUN.replace("CONDITION", condition))
    (folder / values).write_text(content)
    try:
        arguments = ("-json", f"-filter=tests/{test.name}", f"-var-file={values}")
        done = terraform.run("test", *arguments, folder=folder)
    finally:
        test.unlink()
        (folder / values).unlink()
    return read_messages(done.stdout, done.stderr)


IMAGE = {"image": "registry.example/ingest:0123456789ab"}
"""What `make image` leaves."""


def declared() -> set[str]:
    """The variables that there are."""
    return set(re.findall(r'^variable "(\w+)"', SOURCE_TEXT, re.MULTILINE))


def switched_on() -> str:
    """The example with its settings no longer comments: those lines in which nothing follows # but a setting."""
    return re.sub(r"^#(?! \S|$)", "", EXAMPLE, flags=re.MULTILINE)


def test_example_has_every_variable() -> None:
    """Each variable is in the example, once, and no other."""
    named = re.findall(r"^#?(\w+) += ", EXAMPLE, re.MULTILINE)
    assert sorted(named) == sorted(declared())


def test_every_variable_says_what_it_is() -> None:
    """Each variable has a description that is a sentence."""
    descriptions = re.findall(r'^variable "\w+" {\n  description = "(.+)"$', SOURCE_TEXT, re.MULTILINE)
    assert len(descriptions) == len(declared()) and all(one.endswith((".", ")")) for one in descriptions)


def test_example_works(terraform: Command, folder: Path) -> None:
    """With all its settings, the example is a configuration that can be planned."""
    layers = "length(local.fleets) == var.layers - var.lowest_layer + 1"
    outcome = planned(terraform, folder, "example.tfvars", switched_on(), layers)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert list(outcome.runs.values()) == ["pass"]


@pytest.mark.parametrize("cut", [False, True])
def test_what_the_plan_writes_is_taken(terraform: Command, folder: Path, cut: bool) -> None:
    """What the plan of a dataset writes is taken as it is, and gives the machines and tasks that it counts with; of
    a segmentation with tables too."""
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=[512, 512, 512], data_source=SOURCE))
    volume = VolumeFacts((0, 0, 0), (50_000, 40_000, 20_000), (8.0, 8.0, 40.0))
    plan = make_plan(dataset, volume, False)
    segmentation, read = None, None
    if cut:
        plan = replace(plan, grid=replace(plan.grid, lowest=1), tables=21)
        where = "gs://my-edges/ws", volume.low, volume.size, (512, 512, 512), volume.resolution
        segmentation, read = (
            Segmentation("gs://my-volumes/a", *where, scores=("gs://my-tables",)),
            ["gs://my-volumes/a"],
        )
    needed = needs(describe(plan, dataset, volume, segmentation=segmentation))
    values = tfvars(dataset, "fly", plan.grid, needed, "any-project", "graphs", ["gs://my-edges/e"], read) | IMAGE
    assert set(values) <= declared()
    stages = schedule(needed)
    assert len(stages) > 5 and len({stage.memory_gib for stage in stages}) > 2
    machines = "; ".join(f"{one.layer} {one.cpu} {one.memory_gib:g} {one.fleet}" for one in stages)
    told = 'join("; ", [for its in local.fleets : "${its.layers[0]} ${its.cpu} ${its.memory_gib} ${its.max}"])'
    outcome = planned(terraform, folder, "dataset.tfvars.json", json.dumps(values), f'{told} == "{machines}"')
    assert not outcome.problems, "\n".join(outcome.problems)
    assert list(outcome.runs.values()) == ["pass"]
