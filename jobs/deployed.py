"""What commands do when PROJECT is given: check what is deployed there, and start tasks without waiting.

Invariants: an ingest is refused before it creates anything if the project lacks something that the dataset
needs, with every such thing at once and the command that brings it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from jobs.examination import Asked, region_of
from jobs.health import stopping
from jobs.output import say
from shared.dispatch.fleet import FLEETS_NAME, Fleet
from shared.dispatch.round import one_round, read_fleets
from shared.errors import ConfigError, IngestError, Problem
from shared.estimate.needs import needs
from shared.estimate.schedule import rounded_gib
from shared.gcp.backend import GoogleBackend
from shared.inputs.folder import plain_location
from shared.operate.check import Checked
from shared.operate.looking_inside import Look
from shared.run.registry import Registry

LOGIN = "log in with: gcloud auth application-default login"


def check_deployed(
    backend: GoogleBackend, checked: Checked, dataset: str, look_inside: Callable[[], Look], anyway: bool = False
) -> None:
    """ConfigError with all that the project lacks for this dataset; `dataset` is how the command named it, and
    `look_inside` looks into its input.

    With `anyway` only what cannot be done without is looked for, and `doctor` is not asked.
    """
    environment = backend.environment
    assert environment.project is not None
    deploy = f"type: make deploy DATASET={dataset} PROJECT={environment.project}"
    reason = backend.refused_credentials()
    if reason is not None:
        raise ConfigError([Problem("credentials", "application default", None, f"{reason}; {LOGIN}")])
    found = [] if environment.run_host else local_folders(checked, dataset)
    fleets: list[Fleet] = []

    def look(where: str, key: str, ask: Callable[[], object]) -> None:
        try:
            ask()
        except IngestError as error:
            found.append(Problem(where, key, None, f"{error}; {deploy}"))
        except Exception as error:
            told = f"cannot be reached ({type(error).__name__}: {error}); {deploy}, or check your roles"
            found.append(Problem(where, key, None, told))

    scratch = backend.storage(environment.scratch)
    look(scratch.folder, FLEETS_NAME, lambda: fleets.extend(read_fleets(scratch)))
    look(environment.project, f"Firestore database {environment.database}", backend.board().graphs)
    layers = checked.plan.layers
    if environment.has_apis:
        found.extend([] if anyway else stopping(environment, Asked(dataset, checked, region_of(fleets))))
    else:
        jobs = backend.jobs()
        for fleet in fleets:
            look(environment.project, fleet.job, lambda job=fleet.job: jobs.running(job))  # type: ignore[misc]
        look(environment.project, "Pub/Sub", lambda: backend.need_topics(layers))
        look(environment.project, "Bigtable", lambda: backend.need_instance(checked.instance))
    lacking = sorted(set(layers) - {layer for fleet in fleets for layer in fleet.layers})
    if fleets and lacking:
        told = f"serves no layers {lacking}, which this dataset has; {deploy}"
        found.append(Problem(scratch.folder, FLEETS_NAME, None, told))
    if found:
        raise ConfigError(found)
    for told in small_machines(fleets, checked, look_inside()) if fleets else []:
        say(f"{told}; for larger ones {deploy}")


def small_machines(fleets: list[Fleet], checked: Checked, look: Look) -> list[str]:
    """The layers whose tasks have less memory than their largest chunk may need, by a look into the input as
    `tfvars` has one. The need is an estimate, so nothing is refused for it: a chunk that
    really has too little room ends in the dead letters."""
    needed = needs(checked.report, look.high, look.paces)
    given = {layer: fleet.memory_gib for fleet in fleets for layer in fleet.layers}
    return [
        f"layer {need.layer} may need {rounded_gib(need.memory_gib):g} GiB for a chunk, and its tasks have {has:g}"
        for need in needed
        if (has := given[need.layer]) < rounded_gib(need.memory_gib)
    ]


def dispatch_now(backend: GoogleBackend, more: Mapping[int, int] | None = None) -> None:
    """A round of dispatch at once, where tasks run in a project; `more` chunks a layer wait that no record
    tells of. What it could not start, the dispatch function starts within a minute."""
    if backend.project is None:
        return
    fleets = read_fleets(backend.storage(backend.scratch))
    for turn in one_round(fleets, Registry(backend), backend.jobs(), time.time(), more):
        if turn.started:
            say(f"started {turn.started:,} tasks of {turn.job.rpartition('/')[2]}")
        if turn.error:
            say(f"{turn.job}: {turn.error}; the dispatch function tries again")


def local_folders(checked: Checked, dataset: str) -> list[Problem]:
    """The folders of this machine, which no task in the cloud can reach."""
    told = "is a folder of this machine, which no task in the cloud can reach; use a bucket"
    cut = checked.input.segmentation is not None
    return [
        Problem(dataset, key, folder, told)
        for key, folder in checked.folders.items()
        if (cut or key != "data_source.WATERSHED")
        and (plain_location(folder).startswith("file://") or "://" not in folder)
    ]
