"""Everything about a dataset that can be wrong is found here, before anything is created."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.errors import ConfigError, IngestError, Problem
from shared.estimate.report import PlanReport, describe
from shared.inputs.folder import InputFiles
from shared.inputs.inventory import NOT_LOOKED_FOR, Inventory, take_inventory
from shared.inputs.listing import can_list
from shared.inputs.present import KINDS
from shared.inputs.reasons import reason_of
from shared.inputs.volume import read_volume
from shared.operate.missing import missing_problems
from shared.operate.raw_sample import raw_problems
from shared.operate.sample import Sample
from shared.operate.segmentation_input import (
    SECTION,
    input_lines,
    locations_of,
    outputs_of,
    segmentation_of,
    table_parts,
    unreadable,
    volume_problems,
    which_segmentation,
)
from shared.operate.which_input import (
    AGGLOMERATION,
    PROCESSED,
    WhichInput,
    all_there,
    as_problems,
    folders_of,
    key_of,
    look,
    which_input,
)
from shared.plan.checks import check_dataset, make_plan
from shared.plan.config import Dataset, load_dataset
from shared.plan.fields import REFUSE_MISSING, REPORT_MISSING
from shared.plan.grid import Grid
from shared.plan.plan import Plan
from shared.plan.raw_input import RawInput
from shared.plan.segmentation import jobs_of_tables
from shared.plan.segmentation_config import SegmentationSection
from shared.plan.volume import VolumeFacts
from shared.run.record import WRITTEN, RunRecord
from shared.run.record_versions import attempts_by_layer


@dataclass(frozen=True)
class Checked:
    """A dataset that can be ingested as `table`, with its plan and what there is of its input files."""

    dataset: Dataset
    volume: VolumeFacts
    plan: Plan
    table: str
    inventory: Inventory = NOT_LOOKED_FOR
    input: WhichInput = PROCESSED
    say_raw: bool = False
    """Whether whoever asked said that raw output is to be read."""

    @property
    def folders(self) -> dict[str, str]:
        """The folders that are read, or written to, by their keys."""
        found = {key_of(kind): folder for kind, folder in folders_of(self.dataset).items()}
        raw = {} if self.input.raw is None else {AGGLOMERATION: self.input.raw.agglomeration}
        cut = {} if self.input.segmentation is None else locations_of(self.input.segmentation)
        return {**found, **raw, **cut, "data_source.WATERSHED": self.dataset.data_source.WATERSHED}

    @property
    def notes(self) -> list[str]:
        """What of the dataset has no effect here, though it is no mistake."""
        found = [
            f"{name}: a section of another tool; it is kept in the run record and has no effect here"
            for name in self.dataset.foreign_sections
        ]
        if self.dataset.ingest_config.AGGLOMERATION is not None and self.input.raw is None:
            found.append(
                "ingest_config.AGGLOMERATION: the processed files in EDGES and COMPONENTS are read, not raw output"
            )
        return found

    @property
    def instance(self) -> str | None:
        """The Bigtable instance that the dataset names."""
        return self.dataset.backend_client.CONFIG.INSTANCE

    @property
    def written(self) -> tuple[str, ...]:
        """The kinds of processed files that a run of it writes; a test none, which would be a few of many."""
        return () if self.plan.test else self.input.written

    @property
    def report(self) -> PlanReport:
        """What its plan comes to."""
        raw = self.input.raw is not None
        return describe(self.plan, self.dataset, self.volume, raw, self.written, self.input.segmentation)

    def with_schema(self, schema: int) -> Checked:
        """The same with another schema."""
        return replace(self, dataset=self.dataset.with_schema(schema), plan=replace(self.plan, schema=schema))

    def as_begun(self, record: RunRecord) -> Checked:
        """The same, reading what a run was begun with where nobody said otherwise: by now there may be other
        files, which it has written."""
        if self.say_raw or record.source == self.input.source:
            return self
        if record.segmentation is not None and self.input.kept:
            return self._as_cut(record)
        return replace(self, input=self._other(record))

    def _as_cut(self, record: RunRecord) -> Checked:
        """The same, for a run that has written all that is read by now."""
        plan = replace(self.plan, grid=record.plan.grid, tables=record.plan.tables)
        chosen = WhichInput(
            segmentation=record.segmentation, written=record.written, table_parts=record.table_parts
        )
        return replace(self, plan=plan, input=chosen)

    def _other(self, record: RunRecord) -> WhichInput:
        folder, version = self.dataset.ingest_config.AGGLOMERATION, self.dataset.data_source.DATA_VERSION
        if record.raw is None or folder is None or version is None:
            return PROCESSED
        return WhichInput(RawInput(folder, version, self.volume.resolution))

    def input_rows(self) -> list[tuple[str, str]]:
        """What a run reads, and writes beside its table, as names and values."""
        raw, given = self.input.raw, outputs_of(self.dataset)
        if self.input.segmentation is not None:
            rows = input_lines(self.input.segmentation)
            return rows + [(f"{kind} written to", given[kind]) for kind in self.written]
        given = folders_of(self.dataset)
        if raw is None:
            return [("input", "processed files in " + " and ".join(given.values()))]
        rows = [("input", f"raw output in {raw.agglomeration}, data version {raw.data_version}")]
        rows += [(f"{kind} written to", given[kind]) for kind in self.written]
        return rows + [(f"{kind} are in", given[kind]) for kind in self.input.kept]

    def _with_locations(self) -> dict[str, Any]:
        """The configuration as given, but for paths that are relative to its file."""
        raw, source = self.dataset.raw, self.dataset.data_source
        locations = {"EDGES": source.EDGES, "COMPONENTS": source.COMPONENTS, "WATERSHED": source.WATERSHED}
        given = {name: folder for name, folder in locations.items() if folder is not None}
        found = {**raw, "data_source": {**raw["data_source"], **given}}
        agglomeration = self.dataset.ingest_config.AGGLOMERATION
        if agglomeration is not None:
            found["ingest_config"] = {**raw["ingest_config"], "AGGLOMERATION": agglomeration}
        return found

    def record(
        self, graph: str, run: str, timestamp_ms: int, truth: str | None = None, prepare: bool = False
    ) -> RunRecord:
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
            raw=self.input.raw,
            segmentation=self.input.segmentation,
            table_parts=self.input.table_parts,
            written=self.written,
            prepare=prepare,
            auto_queue_parents=settings.auto_queue_parents or prepare,
            one_sided_edges=settings.one_sided_edges,
            edges_beyond_volume=settings.edges_beyond_volume,
            unusable_edges=settings.unusable_edges,
            max_attempts=attempts_by_layer(settings.max_attempts),
            truth=truth,
            dataset=self._with_locations(),
        )


def check(path: Path, graph: str, test: bool = False, schema: int | None = None, say_raw: bool = False) -> Checked:
    """Reads a dataset file and what it names; ConfigError with every problem at once.

    `schema` overrides the file's; with `say_raw` raw output is to be read, whatever else there is.
    """
    dataset = load_dataset(path)
    if schema is not None:
        dataset = dataset.with_schema(schema)
    if dataset.segmentation is not None:
        return _check_segmentation(dataset, dataset.segmentation, str(path), graph, test, say_raw)
    with ThreadPoolExecutor(2) as pool:
        facts = pool.submit(read_volume, dataset.data_source.WATERSHED)
        listing = pool.submit(_listings, dataset)
        try:
            volume = facts.result()
        except ConfigError as error:
            listings = {} if dataset.ingest_config.AGGLOMERATION else listing.result()
            raise ConfigError(error.problems + check_dataset(dataset, str(path), graph, None, listings)) from error
    grid = Grid(volume.grid_shape(dataset.graph_config.CHUNK_SIZE)) if min(volume.size) >= 1 else None
    places = look(dataset, grid) if grid else {}
    chosen, found = which_input(dataset, grid, volume, places, say_raw) if grid else (PROCESSED, [])
    # Processed files that are to be written need not be there.
    listings = {} if chosen.raw or say_raw else listing.result()
    problems = check_dataset(dataset, str(path), graph, volume, listings)
    known = {problem.key for problem in problems}
    problems += as_problems(str(path), [one for one in found if one[0] not in known])
    if problems:
        raise ConfigError(problems)
    plan = make_plan(dataset, volume, test)
    if chosen.raw is not None:
        inventory, problems = NOT_LOOKED_FOR, as_problems(str(path), raw_problems(plan, chosen.raw))
    else:
        inventory, problems = _look_into(dataset, str(path), plan, all_there(places))
    if problems:
        raise ConfigError(problems)
    return Checked(dataset, volume, plan, dataset.table_name(graph), inventory, chosen, say_raw)


def _check_segmentation(
    dataset: Dataset, section: SegmentationSection, file: str, graph: str, test: bool, say_raw: bool
) -> Checked:
    """The same of a dataset that is a segmentation: from its volume, or what was made of it."""
    try:
        volume = read_volume(section.supervoxels, section.mip)
    except ConfigError as error:
        told = [Problem(file, f"{SECTION}.supervoxels", one.where, one.consequence) for one in error.problems]
        raise ConfigError(told + check_dataset(dataset, file, graph, None, {})) from error
    problems = check_dataset(dataset, file, graph, volume, {}) + as_problems(file, volume_problems(section, volume))
    if problems:
        raise ConfigError(problems)
    cut = segmentation_of(section, dataset, volume)
    plan = make_plan(dataset, volume, test)
    chosen, found = which_segmentation(dataset, cut, plan.grid, say_raw)
    inventory, parts = NOT_LOOKED_FOR, list[dict[str, Any]]()
    if chosen.segmentation is None and not found:
        inventory, problems = _look_into(dataset, file, plan, complete=True)
    else:
        found += unreadable(cut)
        parts, more = table_parts(cut)
        found += more
        grid = replace(plan.grid, lowest=1)
        plan = replace(plan, grid=grid, tables=jobs_of_tables(cut, len(parts)))
    problems += as_problems(file, found)
    if problems:
        raise ConfigError(problems)
    chosen = replace(chosen, table_parts=tuple(parts))
    return Checked(dataset, volume, plan, dataset.table_name(graph), inventory, chosen)


def _listings(dataset: Dataset) -> dict[str, str | None]:
    """For the dotted key of each folder, why it cannot be used, or None."""
    reported = dataset.chunkedgraph_ingest.missing_files == REPORT_MISSING
    return {
        key_of(kind): can_list(folder, KINDS[kind], kind == "components" and reported)
        for kind, folder in folders_of(dataset).items()
    }


def _look_into(dataset: Dataset, file: str, plan: Plan, complete: bool) -> tuple[Inventory, list[Problem]]:
    """What there is of the input files, and what is wrong with it. Of files that are known to be `complete` none is
    missing, however few there are."""
    given, setting = folders_of(dataset), dataset.chunkedgraph_ingest.missing_files
    if complete and setting != REFUSE_MISSING:
        setting = REPORT_MISSING
    try:
        edges, components = (InputFiles(given[kind]) for kind in WRITTEN)
        inventory = take_inventory(edges, components, plan.grid)
        found = missing_problems(setting, inventory, plan.grid)
        found += Sample(plan, edges, components, setting).problems(inventory)
    except IngestError as error:
        raise ConfigError([Problem(file, "data_source", None, str(error))]) from error
    except Exception as error:  # cloud-files raises whatever its protocols raise
        told = f"its files cannot be looked for ({reason_of(error)}); check that you may read them"
        raise ConfigError([Problem(file, "data_source", None, told)]) from error
    return inventory, [Problem(file, key, value, told) for key, value, told in found]
