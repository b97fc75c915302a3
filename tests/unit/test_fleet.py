"""The fleets' object: what Terraform writes, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dispatch.fleet import FLEETS_NAME, Fleet, decode_fleets, encode_fleets
from shared.dispatch.round import read_fleets
from shared.errors import DataError, StateError
from shared.memory.storage import MemoryStorage

FLEET = Fleet("projects/p/locations/r/jobs/chunkedgraph-ingest-l2", (2,), 10, 2, 300, 500, 1, 2)
FILE = "gs://b/fleets.json"

fleets = st.builds(
    Fleet,
    job=st.from_regex(r"\Aprojects/[a-z-]{1,9}/locations/[a-z0-9-]{1,9}/jobs/[a-z][a-z0-9-]{0,9}\Z"),
    layers=st.just((2, 3)),
    start=st.integers(1, 100),
    factor=st.floats(1.01, 10),
    period=st.integers(1, 10_000),
    max=st.integers(100, 10_000),
    cpu=st.sampled_from([1, 2, 8]),
    memory_gib=st.floats(0.5, 32),
)


@given(fleets)
def test_round_trip(fleet: Fleet) -> None:
    """What is written is read again, exactly."""
    assert decode_fleets(encode_fleets([fleet]), FILE) == [fleet]


def test_the_contract_with_terraform() -> None:
    """The object as Terraform writes it, byte for byte a JSON of these names."""
    data = json.dumps({
        "fleets": [
            {
                "job": FLEET.job,
                "layers": [2],
                "start": 10,
                "factor": 2,
                "period": 300,
                "max": 500,
                "cpu": 1,
                "memory_gib": 2,
            }
        ]
    })  # fmt: skip
    assert decode_fleets(data.encode(), FILE) == [FLEET]
    assert FLEET.name == "chunkedgraph-ingest-l2"


WRONG: dict[str, list[Any]] = {
    "job": ["jobs/x", 7, "projects/p/locations/r/jobs/../x"],
    "layers": [[], [1], ["2"], None],
    "start": [0, 1.5, True, "10"],
    "max": [9, None, 10.0],
    "factor": [1, 0.5, "2", float("nan"), float("inf")],
    "period": [0, -1, None],
    "cpu": [0, "1"],
    "memory_gib": [0, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_values(name: str, value: object) -> None:
    """A value that no fleet can have is refused with its name and the file."""
    fields = json.loads(encode_fleets([FLEET]))["fleets"][0] | {name: value}
    with pytest.raises(DataError, match=FILE) as caught:
        decode_fleets(json.dumps({"fleets": [fields]}).encode(), FILE)
    assert name in str(caught.value) or name == "layers"


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"fleets": 1}', '{"fleets": [{}]}', '{"fleets": [{"x": 1}]}'])
def test_other_objects(data: str) -> None:
    """Anything else is refused, with what to type."""
    with pytest.raises(DataError, match="make deploy"):
        decode_fleets(data.encode(), FILE)


def test_two_fleets_for_a_layer() -> None:
    """A layer whose chunks two fleets would count as theirs is refused."""
    with pytest.raises(DataError, match=r"layers \[2\]"):
        decode_fleets(encode_fleets([FLEET, replace(FLEET, layers=(2, 3))]), FILE)


def test_nothing_deployed() -> None:
    """Without the object a command says what is missing, and what to type."""
    scratch = MemoryStorage()
    with pytest.raises(StateError, match="make deploy"):
        read_fleets(scratch)
    scratch.put(FLEETS_NAME, encode_fleets([FLEET]))
    assert read_fleets(scratch) == [FLEET]
