"""A dataset's configuration: the field's own YAML, and what is ours under `chunkedgraph_ingest`.

Invariants: a `Dataset` has the right shape and types, and no setting that contradicts what the
pipeline does; whether it fits the volume is checked by `shared.plan.checks`. Each field's
description is what problems and people are told about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from shared.errors import ConfigError, Problem
from shared.plan.edge_rules import EdgeRules
from shared.plan.explain import explain, misplaced, not_given
from shared.plan.fields import MOST_MISSING, Location, Name, attempts, missing, only, or_empty
from shared.plan.segmentation_config import SegmentationSection
from shared.plan.yaml_file import WHOLE_FILE, read_yaml

RAW_INPUT = (
    "whether raw agglomeration output is read is not for the file to say, as for PyChunkedGraph's own ingest; "
    "remove this key, and say RAW=1 (--raw)"
)

Voxels = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Settings that are checked as they stand: no conversion, no unknown key, no change afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class DataSource(Section):
    """Where the input is."""

    EDGES: Location | None = Field(
        default=None, description="the folder of the edge files, such as gs://bucket/edges"
    )
    COMPONENTS: Location | None = Field(default=None, description="the folder of the component files")
    WATERSHED: Location = Field(description="the precomputed watershed segmentation")
    DATA_VERSION: Literal[2, 3, 4] | None = Field(
        default=None, description="the version of raw agglomeration output"
    )
    CV_MIP: int = Field(
        default=0, ge=0, le=20, description="the mip level whose coordinates servers look supervoxels up at"
    )


class GraphConfig(Section):
    """How the volume is cut into chunks, and ids into fields."""

    # Not strict, since YAML has lists and no tuples; the numbers in it still are.
    CHUNK_SIZE: tuple[Voxels, Voxels, Voxels] = Field(
        strict=False, description="voxels of a chunk at mip 0, such as [512, 512, 128]"
    )
    FANOUT: Annotated[int, only(2, "servers support no other value; set it to 2")] = Field(
        default=2, description="chunks an axis that form a parent chunk"
    )
    SPATIAL_BITS: int = Field(
        default=10, ge=1, le=18, description="bits of each chunk coordinate in supervoxel ids"
    )
    LAYER_ID_BITS: Annotated[int, only(8, "servers look for an id's layer in its upper 8 bits; set it to 8")] = (
        Field(default=8, description="bits of the layer in ids")
    )
    ID_PREFIX: Annotated[str, Field(pattern=r"^[-_.a-zA-Z0-9]*$")] = Field(
        default="", description="what the table's name starts with: letters, digits, '-', '_' and '.'"
    )
    ROOT_LOCK_EXPIRY: int = Field(default=180, ge=1, le=86_400, description="seconds until a server's lock expires")
    ROOT_COUNTERS: Annotated[int, only(8, "2^8 counters are written for root ids; remove this key")] = Field(
        default=8, description="bits of the number of root counters"
    )
    OVERWRITE: Annotated[bool, only(False, "a table that exists is never overwritten; remove this key")] = Field(
        default=False, description="what today's builders do with a table that exists"
    )


class BigtableConfig(Section):
    """Which Bigtable instance the table is made in."""

    ADMIN: Annotated[bool, only(True, "an ingest makes its table, which takes an admin; set it to true")] = Field(
        default=True, description="whether tables may be made"
    )
    READ_ONLY: Annotated[bool, only(False, "an ingest has to write; set it to false")] = Field(
        default=False, description="whether the table may only be read"
    )
    PROJECT: Name | None = Field(default=None, description="the Google Cloud project of the Bigtable instance")
    INSTANCE: Name | None = Field(default=None, description="the Bigtable instance")
    CREDENTIALS: Any = Field(default=None, description="credentials of the servers' own client")
    MAX_ROW_KEY_COUNT: int | None = Field(
        default=None, ge=1, description="rows that the servers' own client asks for at once"
    )


class BackendClient(Section):
    """What kind of table the graph is kept in."""

    TYPE: Literal["bigtable"] = Field(default="bigtable", description="the kind of table")
    CONFIG: BigtableConfig = Field(
        default=BigtableConfig(), description="the Bigtable instance: PROJECT and INSTANCE"
    )


class IngestConfig(Section):
    """Raw agglomeration output, which edge and component files are made from."""

    AGGLOMERATION: Location | None = Field(default=None, description="the folder of raw agglomeration output")
    WATERSHED: Location | None = Field(default=None, description="a copy of data_source.WATERSHED")
    USE_RAW_EDGES: Annotated[bool, only(False, RAW_INPUT)] = Field(
        default=False, description="whether edges are raw output"
    )
    USE_RAW_COMPONENTS: Annotated[bool, only(False, RAW_INPUT)] = Field(
        default=False, description="whether components are raw output"
    )


class IngestSettings(Section):
    """What this pipeline adds to the field's own keys."""

    # "schema" is a method of every pydantic model, hence the alias.
    table_schema: Literal[2, 3] = Field(default=3, alias="schema", description="the layout of the table")
    auto_queue_parents: bool = Field(default=True, description="whether parents are queued once they are ready")
    missing_files: Annotated[Any, AfterValidator(missing)] = Field(
        default=MOST_MISSING, description="what is done about chunks whose files are missing"
    )
    one_sided_edges: Literal["refuse", "join"] = Field(
        default="refuse", description="what is done with edges that only one of two chunks' files has"
    )
    edges_beyond_volume: Literal["refuse", "drop"] = Field(
        default="refuse", description="what is done with edges that lead out of the volume"
    )
    unusable_edges: Literal["refuse", "drop"] = Field(
        default="refuse", description="what is done with edges whose ends are not what they have to be"
    )
    max_attempts: Annotated[Any, AfterValidator(attempts)] = Field(
        default=5, description="attempts at a chunk before it goes to the dead letters, for all layers or by layer"
    )
    segmentation: SegmentationSection | None = Field(
        default=None, description="a segmentation that edges and components are made from"
    )

    @property
    def edge_rules(self) -> EdgeRules:
        """What the plan does with edges that the format does not allow."""
        return EdgeRules(self.one_sided_edges, self.edges_beyond_volume, self.unusable_edges)


class Dataset(Section):
    """A whole configuration file; sections of tools that nobody here knows are kept as they are."""

    model_config = ConfigDict(extra="allow")

    data_source: DataSource = Field(description="where the input is")
    graph_config: GraphConfig = Field(description="how the volume is cut into chunks")
    backend_client: Annotated[BackendClient, BeforeValidator(or_empty)] = Field(
        default=BackendClient(), description="where the table goes"
    )
    ingest_config: Annotated[IngestConfig, BeforeValidator(or_empty)] = Field(
        default=IngestConfig(), description="settings for raw input"
    )
    mesh_config: dict[str, Any] | None = Field(default=None, description="settings of the meshing pipeline")
    l2cache_config: dict[str, Any] | None = Field(default=None, description="settings of the level-2 cache")
    chunkedgraph_ingest: Annotated[IngestSettings, BeforeValidator(or_empty)] = Field(
        default=IngestSettings(), description="settings of this pipeline"
    )
    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        """The file's content as it was given, for the run record; JSON can hold it."""
        return self._raw

    @property
    def segmentation(self) -> SegmentationSection | None:
        """The segmentation that is cut, if there is one."""
        return self.chunkedgraph_ingest.segmentation

    @property
    def foreign_sections(self) -> list[str]:
        """The names of the sections that nothing here reads."""
        return sorted(self.model_extra or {})

    @property
    def states_schema(self) -> bool:
        """Whether the schema was given, and is not the default for want of one."""
        return "table_schema" in self.chunkedgraph_ingest.model_fields_set

    def with_schema(self, schema: int) -> Dataset:
        """The same dataset with this schema as the one given; `raw` stays the file's content."""
        settings = self.chunkedgraph_ingest.model_copy(update={"table_schema": schema})
        return self.model_copy(update={"chunkedgraph_ingest": settings})

    def table_name(self, graph: str) -> str:
        """The name of a graph's table."""
        return self.graph_config.ID_PREFIX + graph


def load_dataset(path: Path) -> Dataset:
    """The configuration in a YAML file; ConfigError with everything that is wrong with it."""
    content, problems = read_yaml(path)
    if not problems and not isinstance(content, dict):
        wanted = "must be keys with values, starting with data_source; see configs/example.yml"
        problems = [Problem(str(path), WHOLE_FILE, content, wanted)]
    if isinstance(content, dict):
        gaps = {problem.key for problem in problems}
        problems += [not_given(str(path), key, Dataset) for key in _lacking(content) if key not in gaps]
        problems += misplaced(content, str(path), Dataset)
    try:
        dataset = Dataset.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        if isinstance(content, dict):
            found = explain(error, str(path), Dataset)
            problems += [one for one in found if one.value is not None or one.key not in gaps]
        raise ConfigError(problems) from error
    if problems:
        raise ConfigError(problems)
    # Secrets stay in the file: what is recorded lies in a bucket.
    dataset._raw = _without_credentials(content)
    return dataset


def _without_credentials(content: dict[str, Any]) -> dict[str, Any]:
    client = content.get("backend_client") or {}
    config = client.get("CONFIG") or {}
    if config.get("CREDENTIALS") is None:
        return content
    return {**content, "backend_client": {**client, "CONFIG": {**config, "CREDENTIALS": None}}}


def _lacking(content: dict[str, Any]) -> list[str]:
    """The folders that have to be given where no raw output is, and are not."""
    source = content.get("data_source")
    if not isinstance(source, dict):
        return []
    raw = content.get("ingest_config")
    if isinstance(raw, dict) and raw.get("AGGLOMERATION") is not None:
        return []
    return [f"data_source.{key}" for key in ("EDGES", "COMPONENTS") if source.get(key) is None]
