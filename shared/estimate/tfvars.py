"""What Terraform has to know of a dataset (terraform/variables.tf), as values that JSON can hold.

Invariants: a value that is not known is left out, so that Terraform asks for it or takes its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from shared.estimate.needs import LayerNeeds
from shared.estimate.schedule import rounded_gib, schedule
from shared.plan.config import Dataset
from shared.plan.grid import Grid
from shared.plan.names import TABLE_NAME

_BUCKET = re.compile(r"(?:[a-z_]+://)?gs://([^/]+)")
"""A location in Google's storage, perhaps with a format before it (precomputed://gs://…)."""

_DECLARED = re.compile(r'^variable "(\w+)" \{', re.MULTILINE)


def tfvars(
    dataset: Dataset,
    table: str,
    grid: Grid,
    needs: Sequence[LayerNeeds],
    project: str | None,
    instance: str | None,
    written: Iterable[str] = (),
    read: Iterable[str] | None = None,
) -> dict[str, object]:
    """The variables of a dataset; `project` and `instance` are the environment's and come before the dataset's.

    `needs` are those of all layers, also where only a test is to be run: the infrastructure is the dataset's.
    `written` are the locations that are written to beside the table, `read` those of a segmentation's volumes and
    tables, None where none is cut.
    """
    stages = schedule(needs)
    client, source = dataset.backend_client.CONFIG, dataset.data_source
    if read is None:
        read = filter(None, [source.EDGES, source.COMPONENTS, dataset.ingest_config.AGGLOMERATION])
    found = {
        "project": project or client.PROJECT,
        "layers": grid.layer_count,
        "lowest_layer": min((layer.layer for layer in needs), default=2),
        # The second for `make ingest TEST=1 GRAPH=…_test`, so that a trial needs no other deployment.
        "tables": [name for name in (table, f"{table}_test") if TABLE_NAME.fullmatch(name)],
        "input_buckets": buckets(read),
        "output_buckets": buckets(written),
        "bigtable_instance": instance or client.INSTANCE,
        "layer_memory_gib": {str(layer.layer): rounded_gib(layer.memory_gib) for layer in needs},
        "layer_tasks": {str(stage.layer): stage.fleet for stage in stages},
        "layer_at_once": {str(stage.layer): stage.at_once for stage in stages},
    }
    return {name: value for name, value in found.items() if value is not None}


def unknown(variables: Iterable[str], declared: str) -> list[str]:
    """Those of the variables that Terraform would ignore: the text of variables.tf does not declare them."""
    return sorted(set(variables) - set(_DECLARED.findall(declared)))


def buckets(locations: Iterable[str]) -> list[str]:
    """The names of the locations' buckets in Google's storage, sorted, each once."""
    return sorted({match[1] for match in map(_BUCKET.match, locations) if match})
