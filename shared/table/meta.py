"""The two rows that every reader of a table reads first: what the graph is, and its version.

Invariants: the meta cell is a pickle that we write and never read; our own copy of the same facts
is the run record. Source: the meta object of PyChunkedGraph 2.x and 3.x.
"""

from __future__ import annotations

from shared.plan.config import Dataset
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY, VERSION_TEXT
from shared.table.pickled import Call, Class, Instance, pickled

_MODULE = "pychunkedgraph.graph.meta"
GRAPH_CONFIG = Class(_MODULE, "GraphConfig")
DATA_SOURCE = Class(_MODULE, "DataSource")
GRAPH_META = Class(_MODULE, "ChunkedGraphMeta")
TIMEDELTA = Class("datetime", "timedelta")


def meta_pickle(dataset: Dataset, graph: str) -> bytes:
    """The value of the meta cell: the server's own meta object of a graph called `graph`."""
    config, source = dataset.graph_config, dataset.data_source
    graph_config = Instance(
        GRAPH_CONFIG,
        (
            graph,
            config.ID_PREFIX,
            list(config.CHUNK_SIZE),
            config.FANOUT,
            config.LAYER_ID_BITS,
            config.SPATIAL_BITS,
            config.OVERWRITE,
            Call(TIMEDELTA, (0, config.ROOT_LOCK_EXPIRY, 0)),  # days, seconds, microseconds
            config.ROOT_COUNTERS,
        ),
    )
    data_source = Instance(
        DATA_SOURCE,
        (source.EDGES, source.COMPONENTS, source.WATERSHED, source.DATA_VERSION, source.CV_MIP),
    )
    state = {"graph_config": graph_config, "data_source": data_source, "custom_data": {}}
    return pickled(Instance(GRAPH_META, (graph_config, data_source), state))


def start_cells(dataset: Dataset, graph: str) -> list[Cells]:
    """The cells that are written before any chunk: meta and version."""
    meta = Cells(META, [META_KEY], [meta_pickle(dataset, graph)])
    return [meta, version_cells(dataset.chunkedgraph_ingest.table_schema)]


def version_cells(schema: int) -> Cells:
    """The cell that readers take the schema from."""
    return Cells(VERSION, [VERSION_KEY], [VERSION_TEXT[schema].encode()])
