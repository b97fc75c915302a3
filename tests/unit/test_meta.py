"""The meta row is what a server's own classes make of it, and nothing here ever reads a pickle."""

from __future__ import annotations

import json
import pickletools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.plan.config import Dataset
from shared.table.columns import META, VERSION
from shared.table.meta import meta_pickle, start_cells
from shared.table.pickled import PROTOCOL, pickled
from tests.datasets import changed

ROOT = Path(__file__).parents[2]

READER = """
import collections, datetime, json, pickle, sys, types

GraphConfig = collections.namedtuple(
    "GraphConfig",
    "ID ID_PREFIX CHUNK_SIZE FANOUT LAYER_ID_BITS SPATIAL_BITS OVERWRITE ROOT_LOCK_EXPIRY ROOT_COUNTERS",
)
DataSource = collections.namedtuple("DataSource", "EDGES COMPONENTS WATERSHED DATA_VERSION CV_MIP")

class ChunkedGraphMeta:
    def __init__(self, graph_config, data_source, custom_data):
        self.parts = graph_config, data_source, custom_data
    def __getnewargs__(self):
        return self.parts[:2]
    def __getstate__(self):
        return dict(zip(("graph_config", "data_source", "custom_data"), self.parts))
    def __setstate__(self, state):
        self.__init__(state["graph_config"], state["data_source"], state["custom_data"])

for name in ("pychunkedgraph", "pychunkedgraph.graph", "pychunkedgraph.graph.meta"):
    sys.modules[name] = types.ModuleType(name)
for of in (GraphConfig, DataSource, ChunkedGraphMeta):
    of.__module__ = "pychunkedgraph.graph.meta"
    setattr(sys.modules[of.__module__], of.__name__, of)

made = pickle.load(sys.stdin.buffer)
again = pickle.loads(pickle.dumps(made, 4))
config, source, custom = made.parts
assert again.parts == made.parts and made.__getstate__() == again.__getstate__()
assert type(made) is ChunkedGraphMeta and type(config) is GraphConfig and type(source) is DataSource
assert config.ROOT_LOCK_EXPIRY == datetime.timedelta(seconds=config.ROOT_LOCK_EXPIRY.total_seconds())
fields = config._asdict()
fields["ROOT_LOCK_EXPIRY"] = fields["ROOT_LOCK_EXPIRY"].total_seconds()
print(json.dumps([fields, source._asdict(), custom]))
"""


def data(**values: Any) -> Dataset:
    """A dataset with these values."""
    return Dataset.model_validate(changed(**values))


def read_by_server(value: bytes) -> Any:
    """What stand-ins for the server's classes make of a meta cell, in another process."""
    answer = subprocess.run([sys.executable, "-c", READER], input=value, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr.decode()
    return json.loads(answer.stdout)


def test_server_reads_what_was_configured() -> None:
    """Graph config, data source and custom data have the configured values, and their own classes."""
    found = read_by_server(
        meta_pickle(
            data(
                graph_config={
                    "CHUNK_SIZE": [512, 300, 128],
                    "ID_PREFIX": "lab_",
                    "ROOT_LOCK_EXPIRY": 85_000,
                },
                data_source__DATA_VERSION=4,
                data_source__CV_MIP=1,
                data_source__WATERSHED="gs://b/w\u00e4sser",
            ),
            "graph1",
        )
    )
    assert found == [
        {
            "ID": "graph1",
            "ID_PREFIX": "lab_",
            "CHUNK_SIZE": [512, 300, 128],
            "FANOUT": 2,
            "LAYER_ID_BITS": 8,
            "SPATIAL_BITS": 10,
            "OVERWRITE": False,
            "ROOT_LOCK_EXPIRY": 85_000.0,
            "ROOT_COUNTERS": 8,
        },
        {
            "EDGES": "gs://b/edges",
            "COMPONENTS": "gs://b/components",
            "WATERSHED": "gs://b/w\u00e4sser",
            "DATA_VERSION": 4,
            "CV_MIP": 1,
        },
        {},
    ]


def test_same_bytes_each_time() -> None:
    """The pickle depends on its arguments alone, needs protocol 4, and imports nothing to be written."""
    first = meta_pickle(data(), "g")
    assert first == meta_pickle(data(), "g") != meta_pickle(data(), "h")
    assert not [name for name in sys.modules if name.startswith("pychunkedgraph")]
    assert max(opcode.proto for opcode, _, _ in pickletools.genops(first)) == PROTOCOL == 4


@pytest.mark.parametrize("value", [1.5, b"x", {1}, object()])
def test_other_values_are_refused(value: object) -> None:
    """Only what a meta object is made of can be written."""
    with pytest.raises(TypeError):
        pickled([value])


@pytest.mark.parametrize(("schema", "version"), [(2, b"2.21.1"), (3, b"3.1.7")])
def test_start_cells(schema: int, version: bytes) -> None:
    """A table starts with the meta row and the version that readers take the schema from."""
    meta, said = start_cells(data(chunkedgraph_ingest={"schema": schema}), "g")
    assert (meta.column, meta.keys) == (META, [b"meta"])
    assert (said.column, said.keys, said.values) == (VERSION, [b"version"], [version])


def test_nothing_is_unpickled() -> None:
    """No source file of ours can read a pickle."""
    reading = re.compile(
        r"pickle\.loads?\b|\b(Unpickler|_pickle|cPickle|cloudpickle|dill|shelve)\b|allow_pickle\s*=\s*True"
    )
    files = [file for folder in ("shared", "jobs", "functions") for file in (ROOT / folder).rglob("*.py")]
    assert files
    assert [file for file in files if reading.search(file.read_text(encoding="utf-8"))] == []
