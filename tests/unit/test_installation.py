"""Where an installation is, is remembered, and a phase of a deployment loses nothing that was not named."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.deploy import installation
from jobs.deploy.__main__ import Terraform, phase
from shared.errors import StateError
from shared.exit_codes import Exit
from tests.unit.test_plan_check import change, plan

HERE = {"project": "any-project", "region": "us-central1", "prefix": "chunkedgraph-ingest"}

STAND_IN = """#!{python}
import json, os, pathlib, sys
home = pathlib.Path(__file__).parent
assert "TERRAFORM" not in os.environ
with (home / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for argument in sys.argv:
    if argument.startswith("-out="):
        pathlib.Path(argument.removeprefix("-out=")).write_text("a plan")
if sys.argv[1] == "show":
    print((home / "plan.json").read_text())
sys.exit(int((home / "codes" / sys.argv[1]).read_text()) if (home / "codes" / sys.argv[1]).exists() else 0)
"""
"""Stands in for terraform: notes how it was called, and answers with a plan from a file."""


class Place:
    """A folder terraform/ with a stand-in for the command."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "terraform"
        self.folder.mkdir()
        self._bin = root / "bin"
        (self._bin / "codes").mkdir(parents=True)
        program = self._bin / "terraform"
        program.write_text(STAND_IN.replace("{python}", sys.executable))
        program.chmod(0o755)
        monkeypatch.setenv("TERRAFORM", str(program))

    def plans(self, *changes: dict[str, Any], **variables: str) -> None:
        """What the next plan is."""
        made = plan(*changes) | {
            "variables": {name: {"value": value} for name, value in (HERE | variables).items()}
        }
        (self._bin / "plan.json").write_text(json.dumps(made))

    def fails(self, command: str) -> None:
        (self._bin / "codes" / command).write_text("1")

    def phase(self, *arguments: str, replace: bool = False, yes: bool = True) -> Exit:
        return phase(Terraform(self.folder), self.folder, arguments, replace, yes)

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self._bin / "calls").read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


MOVED = change("google_storage_bucket", ["delete", "create"], replace_paths=[["location"]])


def test_the_plan_that_was_looked_at_is_applied(place: Place) -> None:
    """Planned with what was given, shown, and then that very plan; nothing is left of it."""
    place.plans(change("google_pubsub_topic", ["create"]))
    assert place.phase("-var", "project=any-project", "-target=time_sleep.build_grants") == Exit.OK
    planned, shown, applied = place.calls()
    file = planned[2].removeprefix("-out=")
    assert planned[3:] == ["-var", "project=any-project", "-target=time_sleep.build_grants"]
    assert (shown, applied) == (["show", "-json", file], ["apply", "-input=false", file])
    assert not os.path.exists(file)
    assert installation.read(place.folder) == HERE


def test_a_move_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that would replace a bucket is not applied, and what is remembered stays; what was said is named."""
    installation.write(place.folder, HERE)
    place.plans(MOVED, region="europe-west1")
    assert place.phase() == Exit.REFUSED
    assert [call[0] for call in place.calls()] == ["plan", "show"]
    assert installation.read(place.folder) == HERE
    said = capsys.readouterr().err
    assert "google_storage_bucket.this" in said and "REPLACE=1" in said
    assert "region was us-central1 and is now europe-west1" in said


def test_a_move_that_is_asked_for(place: Place) -> None:
    """Said so, it is applied, and the new place remembered."""
    installation.write(place.folder, HERE)
    place.plans(MOVED, region="europe-west1")
    assert place.phase(replace=True) == Exit.OK
    assert place.calls()[-1][0] == "apply"
    assert installation.read(place.folder)["region"] == "europe-west1"


def test_nobody_can_be_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal nothing is changed unless that was said; a plan without changes needs no asking."""
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        place.plans(change("google_pubsub_topic", ["create"]))
        assert place.phase(yes=False) == Exit.REFUSED
        assert [call[0] for call in place.calls()] == ["plan", "show"]
        assert installation.read(place.folder) == {}
        place.plans(change("google_pubsub_topic", ["no-op"]))
        assert place.phase(yes=False) == Exit.OK


def test_what_stops_half_way_is_where_it_is(place: Place) -> None:
    """An apply that fails has made things already, so the place is remembered; the same command goes on."""
    place.plans(change("google_pubsub_topic", ["create"]))
    place.fails("apply")
    assert place.phase() == Exit.TRY_AGAIN
    assert installation.read(place.folder) == HERE


@pytest.mark.parametrize("command", ["plan", "show"])
def test_without_a_plan_nothing_is_done(place: Place, command: str) -> None:
    """Where no plan can be had, or not be read, nothing is applied."""
    place.plans(change("google_pubsub_topic", ["create"]))
    place.fails(command)
    try:
        assert place.phase() == Exit.REFUSED
    except StateError as error:
        assert "nothing was changed" in str(error)
    assert "apply" not in [call[0] for call in place.calls()]


def test_no_terraform(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is not there is said, with what to install."""
    monkeypatch.setenv("TERRAFORM", "/nowhere/terraform")
    with pytest.raises(StateError, match=r"/nowhere/terraform.*install Terraform"):
        place.phase()


def test_what_is_remembered_is_a_file_of_variables(tmp_path: Path) -> None:
    """A variable a line, in JSON; what cannot be read is said, with the file."""
    assert installation.read(tmp_path) == {}
    installation.write(tmp_path, HERE | {"other": "x"})
    text = (tmp_path / installation.FILE).read_text()
    assert json.loads(text) == HERE and len(text.splitlines()) == 2 + len(HERE)
    assert [path.name for path in tmp_path.iterdir()] == [installation.FILE]
    for broken in ("{", "[1]", "3"):
        (tmp_path / installation.FILE).write_text(broken)
        with pytest.raises(StateError, match=installation.FILE):
            installation.read(tmp_path)


def test_nothing_moves_on_a_first_deployment() -> None:
    """Where nothing is remembered, or the same, nothing differs."""
    assert installation.moved({}, HERE) == installation.moved(HERE, HERE) == []
    assert installation.moved({"region": "a"}, HERE | {"region": "b"}) == ["region was a and is now b"]
