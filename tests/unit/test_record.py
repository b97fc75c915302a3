"""The run record: golden bytes, round trips, and DataError for a file that is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.names import NAME, TABLE_NAME
from shared.plan.raw_input import DATA_VERSIONS, RawInput
from shared.plan.segmentation import Segmentation
from shared.run.messages import Message
from shared.run.record import OUTPUTS, RunRecord
from shared.run.record_versions import RECORD_VERSION
from tests.unit.test_messages import anything

RECORD = RunRecord(
    graph="fly_v1",
    run="r1",
    table="lab_fly_v1",
    instance="lab-instance",
    timestamp_ms=1_700_000_000_123,
    shape=(5, 3, 1),
    edges="gs://bucket/edges",
    components="gs://bucket/components",
    spatial_bits=9,
    schema=3,
    one_sided_edges="join",
    edges_beyond_volume="drop",
    unusable_edges="drop",
    max_attempts={"other": 5, "4": 7},
    made_by="0.9.0",
    dataset={"graph_config": {"FANOUT": 2}, "chunkedgraph_ingest": {"max_attempts": {"4": 7}}},
)
RECORDS = Path(__file__).parent / "records"
"""A golden file of each version: the record above, as that version wrote it."""

RAW = dataclasses.replace(
    RECORD,
    edges=None,
    raw=RawInput("gs://bucket/agg", 3, (8.0, 8.0, 40.0)),
    written=("components",),
    prepare=True,
)
"""The same, reading raw output, as the golden file v3-raw.json."""

CUT = dataclasses.replace(
    RECORD,
    segmentation=Segmentation(
        "gs://bucket/fragments",
        "gs://bucket/ws",
        (-5, 0, 7),
        (600, 300, 70),
        (128, 128, 64),
        (8.0, 8.0, 40.0),
        mip=1,
        scores=("gs://bucket/edges.parquet",),
        threshold=0.25,
        affinities="gs://bucket/affinities",
    ),
    table_parts=({"rows": 3},),
    written=OUTPUTS,
)
"""The same, cutting a segmentation, as the golden file v3-segmentation.json."""

VERIFIES = dataclasses.replace(RECORD, verifies="fly", verified=True)
"""The same, verifying a table, as the golden file v4-verify.json."""

GOLDEN = (RECORDS / f"v{RECORD_VERSION}.json").read_bytes().rstrip()
FILE = "gs://bucket/scratch/fly_v1/run.json"

names = st.from_regex(NAME, fullmatch=True)
lengths = st.integers(1, 1000)
records = st.builds(
    RunRecord,
    graph=names,
    run=names,
    table=st.from_regex(TABLE_NAME, fullmatch=True),
    instance=st.none() | names,
    timestamp_ms=st.integers(1, 2**53 + 1),
    shape=st.tuples(lengths, lengths, lengths),
    edges=st.text(min_size=1),
    components=st.text(min_size=1),
    spatial_bits=st.integers(1, 18),
    layer_id_bits=st.just(8),
    schema=st.sampled_from([2, 3]),
    test=st.booleans(),
    raw=st.none()
    | st.builds(
        RawInput,
        st.text(min_size=1),
        st.sampled_from(DATA_VERSIONS),
        st.tuples(*[st.floats(1e-3, 1e6) | st.integers(1, 10**6).map(float)] * 3),
    ),
    written=st.sampled_from([(), ("edges",), ("components",), ("edges", "components")]),
    prepare=st.booleans(),
    verifies=st.none() | names,
    verified=st.booleans(),
    auto_queue_parents=st.booleans(),
    one_sided_edges=st.sampled_from(["refuse", "join"]),
    edges_beyond_volume=st.sampled_from(["refuse", "drop"]),
    unusable_edges=st.sampled_from(["refuse", "drop"]),
    dataset=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans()), max_size=3),
)


def refused(data: bytes) -> None:
    """Decoding must raise a DataError that names the file."""
    with pytest.raises(DataError, match=FILE):
        RunRecord.decode(data, FILE)


def changed(**fields: Any) -> bytes:
    """The golden record with other values."""
    return json.dumps(json.loads(GOLDEN) | fields).encode()


def test_golden_bytes() -> None:
    """A record of a run that is under way can be read after an update of the code."""
    assert RECORD.encode() == GOLDEN
    assert RunRecord.decode(GOLDEN, FILE) == RECORD


@pytest.mark.parametrize(("name", "record"), [("raw", RAW), ("segmentation", CUT), ("verify", VERIFIES)])
def test_golden_bytes_of_other_inputs(name: str, record: RunRecord) -> None:
    """A run that reads raw output, or a segmentation, is the same after an update, too."""
    golden = (RECORDS / f"v{RECORD_VERSION}-{name}.json").read_bytes().rstrip()
    assert record.encode() == golden
    assert RunRecord.decode(golden, FILE) == record


def test_raw_output_in_an_older_version() -> None:
    """So is one that an older release began."""
    assert RunRecord.decode((RECORDS / "v2-raw.json").read_bytes(), FILE) == RAW


@pytest.mark.parametrize("version", range(1, RECORD_VERSION + 1))
def test_older_versions_are_read(version: int) -> None:
    """A record that any release wrote is the same record today, but for what that release did not know."""
    read = RunRecord.decode((RECORDS / f"v{version}.json").read_bytes(), FILE)
    rules = dict.fromkeys(("one_sided_edges", "edges_beyond_volume", "unusable_edges"), "refuse")
    unknown: dict[str, Any] = {1: {"made_by": "", **rules}}.get(version, {})
    assert read == dataclasses.replace(RECORD, **unknown)
    assert RunRecord.decode(read.encode(), FILE) == read


def test_newer_versions_are_refused_by_name() -> None:
    """A record of a newer release says which release can read it."""
    with pytest.raises(DataError, match=rf"version {RECORD_VERSION + 1}, made by release 9\.9"):
        RunRecord.decode(changed(version=RECORD_VERSION + 1, made_by="9.9"), FILE)


@pytest.mark.parametrize("version", [0, -1, "2", None, 1.5, True])
def test_no_version(version: object) -> None:
    """What is no version number is refused."""
    refused(changed(version=version))


@given(records)
def test_round_trip(record: RunRecord) -> None:
    """Every record comes back from its bytes, and is the same plan."""
    decoded = RunRecord.decode(record.encode(), FILE)
    assert decoded == record
    assert decoded.plan == record.plan
    assert decoded.encode() == record.encode()


def test_plan_of_a_record() -> None:
    """Grid, id layout, schema and test mode of the plan are those of the record."""
    plan = RECORD.plan
    assert plan.grid == Grid((5, 3, 1))
    assert plan.ids == IdLayout(5, spatial_bits=9, layer_id_bits=8)
    assert (plan.schema, plan.test) == (3, False)
    assert RunRecord.decode(changed(test=True), FILE).plan.test


def test_messages_and_names() -> None:
    """Messages name graph, run and chunk; hand-offs of a run lie in a folder a layer under its name."""
    chunk = Chunk(3, 2, 0, 0)
    assert Message.decode(RECORD.message(chunk)) == Message("fly_v1", "r1", chunk)
    assert RECORD.handoff_name(chunk) == "r1/layer3/2_0_0.handoff"
    assert RECORD.verdict_name(chunk) == "r1/verdict3/2_0_0.handoff"
    assert VERIFIES.verdict_name(chunk) == VERIFIES.handoff_name(chunk)
    assert RECORD.findings_name(chunk) == "r1/findings/3_2_0_0.json"
    assert RECORD.handoff_chunk("r1/layer3/2_0_0.handoff") == chunk


def test_cut_off() -> None:
    """A record cut off at any byte is refused, with the file's name."""
    for length in range(len(GOLDEN)):
        refused(GOLDEN[:length])


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(RunRecord)])
def test_missing_field(key: str) -> None:
    """A record without one of its facts is refused, also where there is a default: another value of
    spatial_bits would change every id."""
    with pytest.raises(DataError, match=key):
        RunRecord.decode(
            json.dumps({name: value for name, value in json.loads(GOLDEN).items() if name != key}).encode(), FILE
        )


def test_field_too_many() -> None:
    """A record with a field that we do not know is of another version, and refused."""
    refused(changed(priority=1))


@pytest.mark.parametrize("shape", [None, 5, [], [5, 3], [5, 3, 1, 1], ["x", 1, 1], [[5], 3, 1], [None, 1, 1]])
def test_bad_shape(shape: object) -> None:
    """A shape that is not three numbers is refused."""
    refused(changed(shape=shape))


def test_infinite_shape() -> None:
    """An infinite shape is refused."""
    refused(changed(shape=[float("inf"), 1, 1]))


def test_deep_nesting() -> None:
    """Nesting without end is refused."""
    refused(b"[" * 100_000)
    refused(b'{"dataset":' + b'{"a":' * 100_000)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [2.7, 1, 1]),
        ("shape", [True, 1, 1]),
        ("shape", ["5", "3", "1"]),
        ("shape", "531"),
        ("shape", [0, 1, 1]),
        ("shape", [-5, 1, 1]),
        ("shape", [1 << 19, 1, 1]),
        ("shape", {"5": 1, "3": 1, "1": 1}),
        ("graph", "../other"),
        ("graph", 5),
        ("run", "../../other"),
        ("run", ""),
        ("run", "r1\n"),
        ("table", None),
        ("table", "a/b"),
        ("table", "a" * 51),
        ("instance", 5),
        ("instance", ""),
        ("timestamp_ms", "now"),
        ("timestamp_ms", 1.5),
        ("timestamp_ms", -1),
        ("timestamp_ms", True),
        ("timestamp_ms", 0),
        ("timestamp_ms", 1 << 63),
        ("timestamp_ms", float("inf")),
        ("edges", 1),
        ("edges", ""),
        ("components", []),
        ("raw", {}),
        ("raw", "gs://bucket/agg"),
        ("raw", {"agglomeration": "", "data_version": 2, "resolution": [1, 1, 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 5, "resolution": [1, 1, 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 2.0, "resolution": [1, 1, 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 2, "resolution": [1, 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 2, "resolution": [1, 0, 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 2, "resolution": [1, float("inf"), 1]}),
        ("raw", {"agglomeration": "gs://b/a", "data_version": 2, "resolution": [1, 1, 1], "more": 1}),
        ("written", None),
        ("written", ["components", "edges"]),
        ("written", ["edges", "edges"]),
        ("written", ["../edges"]),
        ("written", [1]),
        ("prepare", 0),
        ("spatial_bits", 9.5),
        ("spatial_bits", 10**6),
        ("spatial_bits", 0),
        ("spatial_bits", float("inf")),
        ("layer_id_bits", -8),
        ("schema", 7),
        ("schema", 2.0),
        ("schema", float("nan")),
        ("test", "no"),
        ("auto_queue_parents", 1),
        ("dataset", None),
        ("dataset", []),
    ],
)
def test_wrong_values(key: str, value: object) -> None:
    """A field of another type, a name that leads out of the folder and numbers out of range are refused."""
    with pytest.raises(DataError, match=f"{FILE}.*: {key} = "):
        RunRecord.decode(changed(**{key: value}), FILE)


@pytest.mark.parametrize("key", ["edges", "components"])
def test_folders_may_lack_for_raw_output_alone(key: str) -> None:
    """A run that reads processed files has both folders."""
    with pytest.raises(DataError, match=f"{FILE}.*only where raw is not"):
        RunRecord.decode(changed(**{key: None}), FILE)


@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    """Random bytes are refused."""
    refused(data)


@given(anything)
def test_random_json(value: object) -> None:
    """Random JSON is refused."""
    refused(json.dumps(value).encode())
