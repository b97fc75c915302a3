"""Everything about a dataset that can be wrong is found here, before anything is created."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.errors import ConfigError, IngestError, Problem
from shared.inputs.folder import InputFiles
from shared.inputs.inventory import NOT_LOOKED_FOR, Inventory, take_inventory
from shared.inputs.listing import can_list
from shared.inputs.names import COMPONENTS, EDGES
from shared.inputs.reasons import reason_of
from shared.inputs.volume import read_volume
from shared.operate.missing import missing_problems
from shared.operate.sample import Sample
from shared.plan.checks import check_dataset, make_plan
from shared.plan.config import Dataset, load_dataset
from shared.plan.fields import REPORT_MISSING
from shared.plan.plan import Plan
from shared.plan.volume import VolumeFacts
from shared.run.record import RunRecord
from shared.run.record_versions import attempts_by_layer


@dataclass(frozen=True)
class Checked:
    """A dataset that can be ingested as `table`, with its plan and what there is of its input files."""

    dataset: Dataset
    volume: VolumeFacts
    plan: Plan
    table: str
    inventory: Inventory = NOT_LOOKED_FOR

    @property
    def folders(self) -> dict[str, str]:
        """The folders that are read, by their keys."""
        source = self.dataset.data_source
        return {
            "data_source.EDGES": source.EDGES,
            "data_source.COMPONENTS": source.COMPONENTS,
            "data_source.WATERSHED": source.WATERSHED,
        }

    @property
    def notes(self) -> list[str]:
        """What of the dataset has no effect here, though it is no mistake."""
        found = [
            f"{name}: a section of another tool; it is kept in the run record and has no effect here"
            for name in self.dataset.foreign_sections
        ]
        if self.dataset.ingest_config.AGGLOMERATION is not None:
            found.append(
                "ingest_config.AGGLOMERATION: the processed files in EDGES and COMPONENTS are read, not raw output"
            )
        return found

    @property
    def instance(self) -> str | None:
        """The Bigtable instance that the dataset names."""
        return self.dataset.backend_client.CONFIG.INSTANCE

    def with_schema(self, schema: int) -> Checked:
        """The same with another schema."""
        return replace(self, dataset=self.dataset.with_schema(schema), plan=replace(self.plan, schema=schema))

    def _with_locations(self) -> dict[str, Any]:
        """The configuration as given, but for paths that are relative to its file."""
        raw, source = self.dataset.raw, self.dataset.data_source
        locations = {"EDGES": source.EDGES, "COMPONENTS": source.COMPONENTS, "WATERSHED": source.WATERSHED}
        found = {**raw, "data_source": {**raw["data_source"], **locations}}
        agglomeration = self.dataset.ingest_config.AGGLOMERATION
        if agglomeration is not None:
            found["ingest_config"] = {**raw["ingest_config"], "AGGLOMERATION": agglomeration}
        return found

    def record(self, graph: str, run: str, timestamp_ms: int, truth: str | None = None) -> RunRecord:
        """The record of a run of it."""
        settings = self.dataset.chunkedgraph_ingest
        source = self.dataset.data_source
        return RunRecord(
            graph=graph,
            run=run,
            table=self.table,
            instance=self.instance,
            timestamp_ms=timestamp_ms,
            shape=self.plan.grid.shape,
            edges=source.EDGES,
            components=source.COMPONENTS,
            spatial_bits=self.plan.ids.spatial_bits,
            layer_id_bits=self.plan.ids.layer_id_bits,
            schema=self.plan.schema,
            test=self.plan.test,
            auto_queue_parents=settings.auto_queue_parents,
            one_sided_edges=settings.one_sided_edges,
            edges_beyond_volume=settings.edges_beyond_volume,
            unusable_edges=settings.unusable_edges,
            max_attempts=attempts_by_layer(settings.max_attempts),
            truth=truth,
            dataset=self._with_locations(),
        )


def check(path: Path, graph: str, test: bool = False, schema: int | None = None) -> Checked:
    """Reads a dataset file and what it names; ConfigError with every problem at once.

    `schema` overrides the file's.
    """
    dataset = load_dataset(path)
    if schema is not None:
        dataset = dataset.with_schema(schema)
    with ThreadPoolExecutor(2) as pool:
        facts = pool.submit(read_volume, dataset.data_source.WATERSHED)
        listings = pool.submit(_listings, dataset).result()
        try:
            volume = facts.result()
        except ConfigError as error:
            raise ConfigError(error.problems + check_dataset(dataset, str(path), graph, None, listings)) from error
        problems = check_dataset(dataset, str(path), graph, volume, listings)
    if problems:
        raise ConfigError(problems)
    plan = make_plan(dataset, volume, test)
    inventory, problems = _look_into(dataset, str(path), plan)
    if problems:
        raise ConfigError(problems)
    return Checked(dataset, volume, plan, dataset.table_name(graph), inventory)


def _listings(dataset: Dataset) -> dict[str, str | None]:
    """For the dotted key of each folder, why it cannot be used, or None."""
    source = dataset.data_source
    may_be_empty = dataset.chunkedgraph_ingest.missing_files == REPORT_MISSING
    return {
        "data_source.EDGES": can_list(source.EDGES, EDGES),
        "data_source.COMPONENTS": can_list(source.COMPONENTS, COMPONENTS, may_be_empty),
    }


def _look_into(dataset: Dataset, file: str, plan: Plan) -> tuple[Inventory, list[Problem]]:
    """What there is of the input files, and what is wrong with it."""
    source, setting = dataset.data_source, dataset.chunkedgraph_ingest.missing_files
    try:
        edges, components = InputFiles(source.EDGES), InputFiles(source.COMPONENTS)
        inventory = take_inventory(edges, components, plan.grid)
        found = missing_problems(setting, inventory, plan.grid)
        found += Sample(plan, edges, components, setting).problems(inventory)
    except IngestError as error:
        raise ConfigError([Problem(file, "data_source", None, str(error))]) from error
    except Exception as error:  # cloud-files raises whatever its protocols raise
        told = f"its files cannot be looked for ({reason_of(error)}); check that you may read them"
        raise ConfigError([Problem(file, "data_source", None, told)]) from error
    return inventory, [Problem(file, key, value, told) for key, value, told in found]
