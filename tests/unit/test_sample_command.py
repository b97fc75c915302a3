"""`sample` as people run it, and who goes by what it kept: plans, Terraform's variables, and no one else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobs import samples
from jobs.commands import plan as plan_command
from jobs.commands import sample as command
from jobs.deployed import small_machines
from jobs.sampled_task import answered, asked_of, built
from jobs.samples import Kept, keep, kept
from shared.dispatch.fleet import Fleet
from shared.doctor.inside import Execution
from shared.errors import ConfigError, DataError, IngestError, StateError
from shared.estimate.measured import Measured
from shared.operate.check import Checked
from shared.operate.kept_sample import fingerprint, record_to_sample
from shared.operate.looking_inside import chunks_to_sample, look_inside
from tests.on_disk import OnDisk
from tests.shapes import dense, shaped_volume

CLEAN = {"INGEST_GRAPH": "", "INGEST_PROJECT": "", "INGEST_INSTANCE": "my-instance", "INGEST_MEMORY_MIB": ""}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnDisk:
    """A dataset, and a place for samples that nobody else has."""
    monkeypatch.setattr(samples, "SAMPLES", tmp_path / "samples")
    return OnDisk.write(tmp_path / "data", shaped_volume((4, 3, 2), dense))


def run(*arguments: object, environ: Mapping[str, str] | None = None) -> Result:
    """A command's end."""
    commands = {"sample": command.sample, "plan": plan_command.plan}
    name, *rest = map(str, arguments)
    return CliRunner().invoke(commands[name], rest, env=CLEAN | dict(environ or {}))


def test_what_it_prints_and_keeps(data: OnDisk) -> None:
    """A line a job, then what they took, each service, the estimate with that; and the file that is kept."""
    done = run("sample", data.file(), "--count", "5")
    assert done.exit_code == 0, done.output
    text = done.output
    assert text.count("chunk 2/") == 5
    parts = ("what a job took, on this machine", "seconds for each service", "rows encoded", "estimate with that")
    places = [text.index(part) for part in parts]
    assert places == sorted(places) and "assumed, as nothing was stored" in text
    sample = kept(data.file(), data.check()).sample
    assert sample is not None and len(sample.seen) == 5 and not sample.inside
    assert f"kept in {samples.SAMPLES / 'dataset.json'}" in text.replace("\n", "")


def test_a_plan_goes_by_it(data: OnDisk) -> None:
    """It says so, with the date; a sample of slow and large jobs makes hours and machines larger, in Terraform's
    variables too, and in what an ingest says of machines that are too small."""
    blind = run("plan", data.file())
    assert "make sample" not in blind.output and kept(data.file(), data.check()) == Kept()
    run("sample", data.file(), "--count", "5")
    found = kept(data.file(), data.check()).sample
    assert found is not None
    large = [replace(job, cpu_seconds=50.0, grown_bytes=6e9) for job in found.jobs]
    keep(data.file(), replace(found, jobs=tuple(large)))
    planned = run("plan", data.file()).output
    assert f"measured on {found.when[:10]} by make sample, on this machine: 5 chunks of layer 2" in planned
    assert "times the CPU" in planned and planned != blind.output
    out = data.folder / "variables.json"
    told = run("plan", data.file(), "--tfvars", "--out", out)
    assert told.exit_code == 0 and "times the CPU" in told.output
    assert json.loads(out.read_text())["layer_memory_gib"]["2"] >= 6.5
    alone = run("plan", data.file(), "--tfvars")
    assert json.loads(alone.output)["layer_memory_gib"]["2"] >= 6.5
    fleets = [
        Fleet(f"projects/p/locations/r/jobs/j-l{at}", (at,), 1, 2, 1.0, 2, memory_gib=2) for at in range(2, 5)
    ]
    checked = data.check()
    assert small_machines(fleets, checked, look_inside(checked)) == []
    sampled = look_inside(checked, kept=kept(data.file(), checked).sample)
    assert "layer 2 may need" in small_machines(fleets, checked, sampled)[0]


def test_one_of_another_configuration(data: OnDisk) -> None:
    """Is not gone by, and a plan says so; nor is one that is damaged."""
    run("sample", data.file(), "--count", "2")
    path = data.file(one_sided_edges="join")
    told = run("plan", path).output
    assert "is of another configuration of this dataset" in told and "times the CPU" not in told
    (samples.SAMPLES / "dataset.json").write_bytes(b'{"version": 1')
    told = run("plan", path).output
    assert "cannot be used" in told and "times the CPU" not in told


def test_nothing_can_be_built(data: OnDisk) -> None:
    """The first error ends the command; where there is no edge file it is refused, and nothing is kept."""
    checked = data.check()
    files = sorted((data.folder / "edges").iterdir())
    content = [path.read_bytes() for path in files]
    for path in files:
        path.write_bytes(b"no edges")
    with pytest.raises(ConfigError):  # a few files are read before anything else
        raise run("sample", data.file()).exception  # type: ignore[misc]
    asked = asked_of("mark", record_to_sample(checked), chunks_to_sample(checked, 3), "there")
    with pytest.raises(ValueError, match=r"no chunk could be built; the first: DataError: .*edges_"):
        answered(built(asked), "a-job")
    assert not samples.SAMPLES.exists()
    for path, data_of in zip(files, content, strict=True):
        path.write_bytes(data_of)
    with pytest.raises(DataError):
        built(asked | {"record": "{}"})


def test_a_task_builds_what_it_is_told(data: OnDisk) -> None:
    """By documents of texts, as the database takes them; what is in the chunks is what is found here."""
    checked = data.check()
    chunks = chunks_to_sample(checked, 3)
    asked = asked_of("mark", record_to_sample(checked), chunks, "in a task")
    found = answered(built(asked), "a-job")
    assert all(isinstance(value, str) for value in asked.values())
    assert found.inside and found.where == "in a task" and found.fingerprint == "mark"
    assert [chunk for chunk, _ in found.seen] == [chunk.coords for chunk in chunks]
    for damaged in (
        {"error": "", "sample": "{}"},
        {"error": "", "sample": ""},
        {"error": "no memory", "sample": ""},
    ):
        with pytest.raises(ValueError, match=r"sample|no memory|Expecting"):
            answered(damaged, "a-job")


@dataclass
class Stubs:
    """A project with one Job, whose tasks do what they are told, or nothing."""

    checked: Checked
    silent: bool = False
    layers: tuple[int, ...] = (2,)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    ran: list[tuple[str, list[str], int]] = field(default_factory=list)

    def put(self, name: str, task: int, seen: Mapping[str, Any]) -> None:
        self.notes[name] = dict(seen)

    def take(self, name: str, tasks: int) -> list[dict[str, Any]]:
        return [self.notes.pop(name)] if name in self.notes else []

    def run(self, job: str, arguments: list[str], tasks: int) -> Execution:
        self.ran.append((job, arguments, tasks))
        asked = self.take(f"{arguments[1]}-asked", 1)[0] if not self.silent else {}
        if asked:
            self.put(arguments[1], 0, built(asked))
        return Execution(f"{job}/executions/e", 61.0, 1, 1, None, "" if asked else "Task 0 failed: memory limit")

    def fleets(self) -> list[Fleet]:
        return [Fleet("projects/p/locations/r/jobs/j-l2", self.layers, 1, 2, 1.0, 2, memory_gib=4)]


@pytest.fixture
def stubs(data: OnDisk, monkeypatch: pytest.MonkeyPatch) -> Stubs:
    """In the places of the project's services."""
    found = Stubs(data.check())
    backend = SimpleNamespace(storage=lambda _folder: None, scratch="gs://scratch")
    monkeypatch.setattr(command, "running_backend", lambda: backend)
    monkeypatch.setattr(command, "read_fleets", lambda _storage: found.fleets())
    monkeypatch.setattr(command, "local_folders", lambda _checked, _dataset: [])
    monkeypatch.setattr(command, "FirestoreNotes", lambda _endpoints: found)
    monkeypatch.setattr(command, "LookingTasks", lambda _endpoints, seconds: found)
    return found


IN_PROJECT = {"INGEST_PROJECT": "my-project"}


def test_in_a_task(data: OnDisk, stubs: Stubs) -> None:
    """One task of the lowest layer's Job; where it was is kept, and nothing is left in the database."""
    done = run("sample", data.file(), "--count", "2", environ=IN_PROJECT)
    assert done.exit_code == 0, done.output
    ((job, arguments, tasks),) = stubs.ran
    assert (job, arguments[0], tasks, stubs.notes) == ("projects/p/locations/r/jobs/j-l2", "--sample", 1, {})
    assert "in a task of j-l2 with 1 CPU and 4 GiB" in done.output and "for its inputs" in done.output
    sample = kept(data.file(), stubs.checked).sample
    assert sample is not None and sample.inside and sample.fingerprint == fingerprint(stubs.checked)


def test_a_task_that_says_nothing(data: OnDisk, stubs: Stubs) -> None:
    """What the service says of it, and where its log is; what it was asked for goes away all the same. Without a
    Job nothing is asked."""
    stubs.silent = True
    told = run("sample", data.file(), environ=IN_PROJECT).exception
    assert isinstance(told, IngestError) and "Task 0 failed: memory limit" in str(told)
    assert "gcloud logging read" in str(told) and stubs.notes == {}
    stubs.layers, stubs.ran = (3,), []
    told = run("sample", data.file(), environ=IN_PROJECT).exception
    assert isinstance(told, StateError) and "make deploy DATASET=" in str(told) and not stubs.ran


def test_what_is_kept_is_whole(data: OnDisk) -> None:
    """A sample that cannot be kept changes none that is there."""
    run("sample", data.file(), "--count", "2")
    before = (samples.SAMPLES / "dataset.json").read_bytes()
    assert Measured.read(json.loads(before)).jobs
    samples.SAMPLES.chmod(0o555)
    try:
        told = run("sample", data.file(), "--count", "2")
        if isinstance(told.exception, StateError):  # the superuser may write anywhere
            assert (samples.SAMPLES / "dataset.json").read_bytes() == before
    finally:
        samples.SAMPLES.chmod(0o755)
