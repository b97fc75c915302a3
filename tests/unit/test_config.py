"""A dataset file becomes a Dataset, or one error that names everything that is wrong with it."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from jobs.example import ExampleParams
from jobs.example.files import COMPONENTS, EDGES, WATERSHED
from jobs.paths import REPOSITORY
from shared.errors import ConfigError, Problem
from shared.plan.config import Dataset, Section, load_dataset
from shared.plan.explain import known_keys
from shared.plan.segmentation_config import WAYS
from tests.datasets import VALID, changed, dataset, write
from tests.examples import examples

CONFIGS = Path(__file__).parents[2] / "configs"


def problems_of(file: Path) -> list[Problem]:
    """What is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        load_dataset(file)
    assert all(problem.where == str(file) and problem.key for problem in caught.value.problems)
    assert str(caught.value)
    return caught.value.problems


def refused(tmp_path: Path, **values: Any) -> Problem:
    """The one problem of the valid content with other values."""
    (problem,) = problems_of(write(tmp_path, changed(**values)))
    return problem


def test_minimal_file_gets_the_defaults(tmp_path: Path) -> None:
    """What a file leaves out has the defaults that servers and this pipeline have."""
    found = dataset(tmp_path)
    config = found.graph_config
    assert (config.FANOUT, config.SPATIAL_BITS, config.LAYER_ID_BITS, config.ID_PREFIX) == (2, 10, 8, "")
    assert (config.CHUNK_SIZE, config.ROOT_LOCK_EXPIRY) == ((64, 64, 32), 180)
    ours = found.chunkedgraph_ingest
    assert (ours.table_schema, ours.auto_queue_parents, found.states_schema) == (3, True, False)
    assert (found.raw, found.table_name("g")) == (VALID, "g")


def test_schema_from_elsewhere(tmp_path: Path) -> None:
    """A schema that is given beside the file counts as the one given; the file's content stays as it is."""
    stated = dataset(tmp_path, chunkedgraph_ingest__schema=3, chunkedgraph_ingest__auto_queue_parents=False)
    assert (stated.chunkedgraph_ingest.table_schema, stated.states_schema) == (3, True)
    for found in (stated, dataset(tmp_path)):
        other = found.with_schema(2)
        assert (other.chunkedgraph_ingest.table_schema, other.states_schema) == (2, True)
        assert other.chunkedgraph_ingest.auto_queue_parents == found.chunkedgraph_ingest.auto_queue_parents
        assert other.raw == found.raw


def test_file_of_the_field_is_taken_as_it_is(tmp_path: Path) -> None:
    """Sections of other tools, keys that are numbers, empty sections and aliases are no problems."""
    text = yaml.safe_dump(VALID)
    text += "mesh_config:\n  chunk_size: &size [512, 512, 128]\n  again: *size\n  minishard_bits: {2: 1, 3: 3}\n"
    text += "l2cache_config: {table_id: l2cache, made: 2024-01-31}\ningest_config:\n  # AGGLOMERATION: gs://b/agg\n"
    file = tmp_path / "x.yml"
    file.write_text(text)
    raw = load_dataset(file).raw
    assert raw["mesh_config"]["minishard_bits"] == {"2": 1, "3": 3}
    assert raw["mesh_config"]["again"] == [512, 512, 128]
    assert json.loads(json.dumps(raw, sort_keys=True, allow_nan=False)) == raw


def test_relative_location_starts_at_the_files_folder(tmp_path: Path) -> None:
    """A location that begins with ./ is the same wherever a process runs."""
    found = dataset(tmp_path, data_source__EDGES="./../x/edges", data_source__COMPONENTS="/y/components")
    locations = [found.data_source.EDGES, found.data_source.COMPONENTS]
    assert locations == [f"file://{tmp_path.parent}/x/edges", "file:///y/components"]
    assert found.raw["data_source"]["EDGES"] == "./../x/edges"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data_source__EDGES", "", "empty"),
        ("data_source__EDGES", "edges", "no protocol"),
        ("data_source__EDGES", "../edges", "no protocol"),
        ("data_source__EDGES", "data/edges", "file:///folder"),
        ("data_source__EDGES", "file://./edges", "no absolute path"),
        ("data_source__WATERSHED", "precomputed://file://ws", "no absolute path"),
        ("data_source__EDGES", " gs://b/e", "blanks"),
        ("data_source__EDGES", "gs://b/\0e", "cannot be seen"),
        ("data_source__DATA_VERSION", 5, "2, 3 or 4"),
        ("data_source__CV_MIP", -1, "at least 0"),
        ("data_source__CV_MIP", "1", "without quotes"),
        ("graph_config__CHUNK_SIZE", [64, 64], "too few"),
        ("graph_config__CHUNK_SIZE", [64, 64, 64, 64], "more than 3"),
        ("graph_config__CHUNK_SIZE", 64, "list of numbers"),
        ("graph_config__FANOUT", 4, "servers support no other"),
        ("graph_config__FANOUT", True, "whole number"),
        ("graph_config__SPATIAL_BITS", "10", "without quotes"),
        ("graph_config__SPATIAL_BITS", 10.0, "whole number"),
        ("graph_config__SPATIAL_BITS", 0, "at least 1"),
        ("graph_config__SPATIAL_BITS", 19, "at most 18"),
        ("graph_config__SPATIAL_BITS", 1 << 70, "64 bits"),
        ("graph_config__SPATIAL_BITS", float("nan"), "finite"),
        ("graph_config__LAYER_ID_BITS", 7, "upper 8 bits"),
        ("graph_config__ID_PREFIX", "lab/", "not allowed"),
        ("graph_config__ROOT_LOCK_EXPIRY", -1, "at least 1"),
        ("graph_config__ROOT_COUNTERS", 4, "2^8 counters"),
        ("graph_config__OVERWRITE", True, "never overwritten"),
        ("backend_client__TYPE", "hbase", "'bigtable'"),
        ("backend_client__CONFIG__ADMIN", "y", "true or false"),
        ("backend_client__CONFIG__ADMIN", False, "an ingest makes its table"),
        ("backend_client__CONFIG__READ_ONLY", True, "an ingest has to write"),
        ("backend_client__CONFIG__PROJECT", 12, "must be text"),
        ("backend_client__CONFIG__INSTANCE", "{a}", "not allowed"),
        ("backend_client__CONFIG__MAX_ROW_KEY_COUNT", 0, "at least 1"),
        ("ingest_config__AGGLOMERATION", "agg", "no protocol"),
        ("ingest_config__USE_RAW_EDGES", True, "not for the file to say"),
        ("ingest_config__USE_RAW_COMPONENTS", True, "not for the file to say"),
        ("mesh_config", 3, "keys with values"),
        ("chunkedgraph_ingest", "x", "keys with values"),
        ("chunkedgraph_ingest__schema", 4, "2 or 3"),
        ("chunkedgraph_ingest__auto_queue_parents", 1, "true or false"),
        ("chunkedgraph_ingest__max_attempts", 0, "from 1 to 20"),
        ("chunkedgraph_ingest__max_attempts", "5", "from 1 to 20"),
        ("chunkedgraph_ingest__max_attempts", {1: 5}, "for some layers"),
        ("chunkedgraph_ingest__max_attempts", {2: 21}, "for some layers"),
        ("chunkedgraph_ingest__missing_files", "many", "report, refuse, or a share"),
        ("chunkedgraph_ingest__missing_files", 1.5, "report, refuse, or a share"),
        ("chunkedgraph_ingest__missing_files", True, "report, refuse, or a share"),
        ("chunkedgraph_ingest__one_sided_edges", "drop", "'refuse' or 'join'"),
        ("chunkedgraph_ingest__edges_beyond_volume", "join", "'refuse' or 'drop'"),
        ("chunkedgraph_ingest__unusable_edges", True, "'refuse' or 'drop'"),
    ],
)
def test_refused_values(tmp_path: Path, key: str, value: Any, said: str) -> None:
    """A value that cannot be used is named with its key, and the problem says why."""
    problem = refused(tmp_path, **{key: value})
    assert problem.key == key.replace("__", ".")
    assert said in problem.consequence


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("data_source__WATERSHEDS", "did you mean WATERSHED?"),
        ("graph_config__chunk_sise", "did you mean CHUNK_SIZE?"),
        ("chunkedgraph_ingest__auto_queue", "did you mean auto_queue_parents?"),
        ("graph_configs", "did you mean graph_config?"),
        ("chunkedgraph_ingst", "did you mean chunkedgraph_ingest?"),
        ("Data_Source", "did you mean data_source?"),
        ("EDGES", "move it to data_source"),
        ("data_source__SPATIAL_BITS", "move it to graph_config"),
        ("graph_config__graph_config", "move it to the left margin"),
        ("graph_config__qqq", "remove it (known here: CHUNK_SIZE, "),
    ],
)
def test_unknown_key_names_the_nearest(tmp_path: Path, key: str, said: str) -> None:
    """A key that is not known is refused with the key or the place that was probably meant."""
    assert said in refused(tmp_path, **{key: 1}).consequence


@pytest.mark.parametrize("name", ["cave_config", "skeleton_config", "version", "l2cache"])
@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, 3, None])
def test_sections_of_other_tools_are_kept(tmp_path: Path, name: str, value: Any) -> None:
    """A section that nothing here knows and that is like none of ours is kept as it is, and named."""
    found = dataset(tmp_path, **{name: value})
    assert found.foreign_sections == [name] and found.raw[name] == value
    assert dataset(tmp_path).foreign_sections == []


def test_keys_of_the_servers_readers(tmp_path: Path) -> None:
    """What the servers' own client reads is accepted; credentials go nowhere from here."""
    client = {"PROJECT": "p", "INSTANCE": "i", "CREDENTIALS": {"private_key": "secret"}, "MAX_ROW_KEY_COUNT": 1000}
    found = dataset(tmp_path, backend_client__CONFIG=client)
    assert found.backend_client.CONFIG.MAX_ROW_KEY_COUNT == 1000
    assert "secret" not in json.dumps(found.raw)
    assert found.raw["backend_client"]["CONFIG"] == client | {"CREDENTIALS": None}


PUBLISHED = {
    # As published with PyChunkedGraph (data/minnie65_phase3.yml).
    "minnie65_phase3": """
data_source:
  EDGES: "gs://chunked-graph/minnie_p3/edges"
  COMPONENTS: "gs://chunked-graph/minnie_p3/components"
  WATERSHED: "gs://ranl-minnie-ws/neuroglancer/minnie_p3"
  DATA_VERSION: 4
graph_config:
  CHUNK_SIZE: [256, 256, 512]
  FANOUT: 2
  SPATIAL_BITS: 10
  ID_PREFIX: ""
backend_client:
  TYPE: "bigtable"
  CONFIG:
    ADMIN: true
    READ_ONLY: false
ingest_config:
  AGGLOMERATION: "gs://ranl-minnie-rg/minnie_p3/agg"
  WATERSHED: "gs://ranl-minnie-ws/neuroglancer/minnie_p3"
""",
    # As published with CAVEpipelines (config/dataset-example.yml), its optional sections in use.
    "dataset-example": """
data_source:
  EDGES: gs://bucket/edges
  COMPONENTS: gs://bucket/components
  WATERSHED: gs://bucket/ws
graph_config:
  CHUNK_SIZE: [512, 512, 128]
  FANOUT: 2
  SPATIAL_BITS: 10
  LAYER_ID_BITS: 8
backend_client:
  TYPE: bigtable
  CONFIG:
    ADMIN: true
    READ_ONLY: false
mesh_config:
  dir: graphene_meshes
  dynamic_mesh_dir: "dynamic"
  mip: 0
  chunk_size: [512, 512, 128]
  minishard_bits: {2: 1, 3: 3}
l2cache_config:
  cv_path: graphene://https://server/segmentation/table/my_graph
  table_id: l2cache_my_graph
cave_config:
  datastack: my_datastack
ingest_config:
  AGGLOMERATION: gs://bucket/agg
""",
}


@pytest.mark.parametrize("text", PUBLISHED.values(), ids=PUBLISHED)
def test_published_files(tmp_path: Path, text: str) -> None:
    """Dataset files as they are published pass."""
    file = tmp_path / "x.yml"
    file.write_text(text)
    assert load_dataset(file).ingest_config.AGGLOMERATION in (
        "gs://ranl-minnie-rg/minnie_p3/agg",
        "gs://bucket/agg",
    )


def test_every_problem_at_once(tmp_path: Path) -> None:
    """One error names all that is wrong, whatever kind it is."""
    file = tmp_path / "bad.yml"
    file.write_text(
        "data_source: {EDGES: gs://b/e, EDGES: gs://b/f, WATERSHED: !!set {a}}\n"
        "graph_config: {CHUNK_SIZE: [64, -1, x], FANOUT: 3, SPATIAL_BIT: 10, ? [a] : 1}\n"
        "backend_client: {<<: {a: b}, CONFIG: {PROJECT: p, READ_ONLY: true}}\n"
    )
    assert [problem.key for problem in problems_of(file)] == [
        "data_source.EDGES",
        "data_source.WATERSHED",
        "graph_config",
        "backend_client.<<",
        "data_source.COMPONENTS",
        "graph_config.CHUNK_SIZE.1",
        "graph_config.CHUNK_SIZE.2",
        "graph_config.FANOUT",
        "graph_config.SPATIAL_BIT",
        "backend_client.CONFIG.READ_ONLY",
    ]


@pytest.mark.parametrize(
    ("content", "key", "said"),
    [
        (b"", "(file)", "must be keys with values"),
        (b"- a\n- b\n", "(file)", "must be keys with values"),
        (b"a: [1, 2\n", "line 2, column 1", "no valid YAML"),
        (b"a: 1\n---\nb: 1\n", "line 2, column 1", "no valid YAML"),
        (b"a: \xff\xff\n", "(file)", "no valid YAML"),
        (b"[" * 5000, "(file)", "nested too deeply"),
    ],
)
def test_files_that_hold_no_configuration(tmp_path: Path, content: bytes, key: str, said: str) -> None:
    """A file that is no YAML mapping is one problem, with the place where reading stopped."""
    file = tmp_path / "bad.yml"
    file.write_bytes(content)
    (problem,) = problems_of(file)
    assert problem.key == key
    assert said in problem.consequence


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A path that leads to no file is a problem, not a crash."""
    assert "does not exist" in problems_of(tmp_path / "missing.yml")[0].consequence
    assert "cannot be read" in problems_of(tmp_path)[0].consequence
    assert "cannot be read" in problems_of(tmp_path / "a\0b")[0].consequence


def test_value_that_contains_itself(tmp_path: Path) -> None:
    """A cycle of aliases ends in a problem, not in endless reading."""
    file = tmp_path / "cycle.yml"
    file.write_text(yaml.safe_dump(VALID) + "mesh_config: &m {dir: [*m]}\n")
    assert [problem.key for problem in problems_of(file)] == ["mesh_config.dir.0"]


FIELDS = [key.replace(".", "__") for key, _ in known_keys(Dataset)]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=8
)
TEXTS = st.text(alphabet=" \n\t:-,[]{}&*!|>'\"%@`?#<.~0123456789abxefEnNyY_/\\\0\u20ac", max_size=30)


def loads_or_says_why(file: Path) -> None:
    """The file is a Dataset that can be kept as JSON, or an error names file and key."""
    try:
        json.dumps(load_dataset(file).raw, sort_keys=True, allow_nan=False)
    except ConfigError as error:
        assert error.problems
        assert all(problem.where == str(file) and problem.key for problem in error.problems)
        assert all(problem.consequence in str(error) for problem in error.problems)


@examples(300, HealthCheck.function_scoped_fixture)
@given(key=st.sampled_from(FIELDS), value=VALUES)
def test_any_value_in_any_field(tmp_path: Path, key: str, value: Any) -> None:
    """Whatever stands in a field, the outcome is a Dataset or a ConfigError."""
    loads_or_says_why(write(tmp_path, changed(**{key: value})))


@examples(300, HealthCheck.function_scoped_fixture)
@given(section=st.sampled_from(["data_source", "mesh_config", "graph_config", ""]), text=TEXTS)
def test_any_text_in_the_file(tmp_path: Path, section: str, text: str) -> None:
    """Whatever is typed into the file, the outcome is a Dataset or a ConfigError."""
    content = yaml.safe_dump({key: value for key, value in VALID.items() if key != section})
    file = tmp_path / "typed.yml"
    file.write_bytes((content + (f"{section}: {text}\n" if section else text)).encode())
    loads_or_says_why(file)


def test_example_fits_the_generator() -> None:
    """The example file describes what the generator writes by default."""
    example = load_dataset(CONFIGS / "example.yml")
    made, folder = ExampleParams(), f"file://{CONFIGS.parent}/build/example"
    written = {
        "CHUNK_SIZE": made.chunk_size,
        "SPATIAL_BITS": made.layout.spatial_bits,
        "EDGES": f"{folder}/{EDGES}",
        "COMPONENTS": f"{folder}/{COMPONENTS}",
        "WATERSHED": f"{folder}/{WATERSHED}",
    }
    described = {**dict(example.graph_config), **dict(example.data_source)}
    assert {key: described[key] for key in written} == written


def documented() -> dict[str, str]:
    """The keys in the tables of configs/README.md with their defaults, as they stand there."""
    rows = re.findall(r"^\| `([\w.]+)` \|[^|]+\|([^|]+)\|", (CONFIGS / "README.md").read_text(), re.MULTILINE)
    return {key: default.strip() for key, default in rows}


def test_files_to_write_are_files(tmp_path: Path) -> None:
    """Each whole file in the README is one: an ingest would take it, but for its places."""
    text = (REPOSITORY / "configs/README.md").read_text().partition("## What do I write?")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    files = [textwrap.dedent(block) for block in blocks if "data_source" in block]
    assert len(files) == 6
    ways = []
    for number, content in enumerate(files):
        path = tmp_path / f"{number}.yml"
        path.write_text(content)
        cut = load_dataset(path).segmentation
        ways.append([] if cut is None else [name for name in WAYS if getattr(cut, name)])
    assert ways == [[], ["objects"], ["mapping"], ["edges"], [], []]


def test_every_field_is_documented() -> None:
    """The README has each key that the models know, and no other."""
    assert sorted(documented()) == sorted(key for key, _ in known_keys(Dataset))


def test_documented_defaults_are_the_real_ones() -> None:
    """The README's default of each key is the model's."""

    def check(model: type[Section], prefix: str) -> None:
        for name, field in model.model_fields.items():
            key, default = prefix + (field.alias or name), field.default
            said = documented()[key].partition(":")[0].strip("`")
            if field.is_required():
                assert said == "required", key
            elif default is None:
                assert said == "none", key
            elif isinstance(default, Section):
                assert said == "empty", key
            else:
                assert (yaml.safe_load(said), type(yaml.safe_load(said))) == (default, type(default)), key
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                check(field.annotation, f"{key}.")

    check(Dataset, "")
