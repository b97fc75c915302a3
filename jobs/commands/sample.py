"""`sample`: a few chunks built for real, here or in a task of the deployed size, and what they took."""

from __future__ import annotations

import uuid
from pathlib import Path

import click

from jobs import memory_limit as memory
from jobs.commands.plan import put_look
from jobs.console import command, dataset_path, environment, raw_option, running_backend, schema_option
from jobs.deployed import local_folders
from jobs.output import put, put_rows, say
from jobs.sample_here import sampling
from jobs.sampled_task import ASKED, answered, asked_of
from jobs.samples import keep
from shared.dispatch.round import read_fleets
from shared.environment import Environment
from shared.errors import ConfigError, IngestError, StateError
from shared.estimate.measured import Job, Measured, job_rows, service_rows
from shared.estimate.needs import needs_of_range
from shared.estimate.schedule import as_rows, remarks, schedule
from shared.gcp.doctor.tasks import LookingTasks
from shared.gcp.doctor.trials import FirestoreNotes
from shared.gcp.progress import endpoints_of
from shared.operate.check import Checked, check
from shared.operate.kept_sample import fingerprint, measured, record_to_sample
from shared.operate.looking_inside import SAMPLE, chunks_to_sample, look_inside
from shared.operate.sampling import first_error
from shared.plan.grid import Chunk
from shared.timestamps import duration, now

CHUNKS = 8
"""Chunks that are built unless somebody says how many: so many tell how much chunks differ."""
MOST = 100
SECONDS = 3600.0
"""How long a task may take for it."""


@command("sample")
@click.argument("dataset")
@click.option(
    "--count", type=click.IntRange(1, MOST), default=CHUNKS, show_default=True, help="Chunks of layer 2 to build."
)
@schema_option
@raw_option
def sample(dataset: str, count: int, schema: int | None, raw: bool) -> None:
    """Build COUNT scattered chunks of DATASET for real and say what they take; keeps what it measured alone."""
    path = dataset_path(dataset)
    checked = check(path, path.stem, False, schema, raw)
    chunks = chunks_to_sample(checked, count)
    if not chunks:
        raise StateError(f"{path}: no chunk has an edge file, so there is nothing to sample")
    if checked.input.segmentation is not None:
        say("a sampled chunk of a segmentation needs its own cut and those behind its faces: up to seven cuts each")
    known = environment()
    found = (_here if known.project is None else _in_a_task)(known, dataset, checked, chunks)
    _put(checked, found, path)


def _here(known: Environment, _dataset: str, checked: Checked, chunks: list[Chunk]) -> Measured:
    """Builds them in this process; raises the first error if none can be built."""
    if known.memory_mib:
        memory.cap(known.memory_mib)
    record, taken = record_to_sample(checked), []
    for one in sampling(record).take(chunks):
        taken.append(one)
        for job in one.jobs:
            put(_line(job))
    if (error := first_error(taken)) is not None:
        raise error
    return measured(fingerprint(checked), record, taken, now(), "on this machine", inside=False)


def _line(job: Job) -> str:
    chunk = Chunk(job.layer, *job.chunk)
    grown = "" if job.grown_bytes is None else f", {job.grown_bytes / 2**20:,.1f} MiB"
    rows = f", {job.rows:,} rows" if job.layer > 1 else ""
    return (
        f"chunk {chunk}: {job.supervoxels:,} supervoxels{rows}; CPU {duration(job.cpu_seconds, 3)}{grown}, "
        f"{duration(job.seconds, 3)} in all"
    )


def _in_a_task(known: Environment, dataset: str, checked: Checked, chunks: list[Chunk]) -> Measured:
    """Has a task of the lowest layer's Job build them, and waits for it."""
    backend = running_backend()
    if not known.run_host and (problems := local_folders(checked, dataset)):
        raise ConfigError(problems)
    lowest = 2 if checked.input.segmentation is None else 1
    fleets = read_fleets(backend.storage(backend.scratch))
    fleet = next((fleet for fleet in fleets if lowest in fleet.layers), None)
    if fleet is None:
        raise StateError(
            f"no Job is deployed for layer {lowest}; type: make deploy DATASET={dataset} PROJECT={known.project}"
        )
    where = f"in a task of {fleet.name} with {fleet.cpu:g} CPU and {fleet.memory_gib:g} GiB"
    say(f"building {len(chunks)} chunks {where}, which takes a minute or more")
    endpoints, name = endpoints_of(known), f"sample-{uuid.uuid4().hex[:12]}"
    notes = FirestoreNotes(endpoints)
    asked = asked_of(fingerprint(checked), record_to_sample(checked), chunks, where)
    notes.put(ASKED.format(name), 0, asked)
    try:
        ran = LookingTasks(endpoints, seconds=SECONDS).run(fleet.job, ["--sample", name], 1)
        left = notes.take(name, 1)
    finally:
        notes.take(ASKED.format(name), 1)
    if not left:
        of_job = f"'resource.labels.job_name=\"{fleet.name}\"'"
        told = ran.told or "nothing is said of it"
        raise IngestError(
            f"the task of {fleet.name} left nothing ({told}); its log says why: "
            f"gcloud logging read {of_job} --limit=20 --project={known.project}"
        )
    say(f"it took {duration(ran.seconds)} with its start")
    try:
        return answered(dict(left[0]), fleet.name)
    except ValueError as error:
        raise IngestError(f"{error}; nothing was measured") from error


def _put(checked: Checked, found: Measured, path: Path) -> None:
    say(f"\nwhat a job took, {found.where}")
    put_rows(job_rows(found), texts=(0,))
    say("\nseconds for each service")
    put_rows(service_rows(checked.report, found), texts=(0, 1, 5))
    for line in (*found.remarks, *(f"not built: {told}" for told in found.failed)):
        say(f"- {line}")
    look = look_inside(checked, SAMPLE, found)
    put_look(look)
    needed = needs_of_range(checked.report, look.density, look.high, look.paces)
    stages = schedule(needed)
    say("\nestimate with that, a layer each")
    put_rows(as_rows(needed, stages))
    for remark in remarks(stages):
        say(f"- {remark}")
    place = keep(path, found)
    say(f"kept in {place}: make plan, make tfvars and make deploy of this dataset reckon with it from now on")
