"""The run record: what a run was started with, kept as JSON beside its hand-offs.

It is the truth about a run; progress elsewhere can be lost and rebuilt. Invariants: it changes only
when a run is reset, and then keeps its timestamp, so that everything built again is the same. A record
of any older version is read as one of this (`shared.run.record_versions`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from shared.errors import DataError
from shared.plan.edge_rules import ONE_SIDED, REFUSE, WITHOUT, EdgeRules
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.names import NAME, TABLE_NAME
from shared.plan.plan import MOST_TABLE_PARTS, Plan
from shared.plan.raw_input import RawInput
from shared.plan.segmentation import Segmentation, jobs_of_tables
from shared.run.messages import Message
from shared.run.record_versions import MAX_ATTEMPTS, OTHER_LAYERS, RECORD_VERSION, VERSION_KEY, upgraded
from shared.version import VERSION

RECORD_NAME = "run.json"
VERIFY_NAME = "verify.json"
"""The report of the last verification of a graph's table, in the graph's folder."""
HANDOFF_SUFFIX = ".handoff"
"""By which a bucket's lifecycle rule tells hand-offs, which may go when a run is over, from records."""
FINDINGS_SUFFIX = ".json"
WRITTEN = ("edges", "components")
"""The kinds of processed files that a run may write."""
OUTPUTS = (*WRITTEN, "watershed")
"""All that a run may write beside its table: of a segmentation also the volume of supervoxels."""
MAX_SPATIAL_BITS = 18
"""The most that a configuration may ask for; an axis of the grid has no more chunks than these can number."""
_SOMETHING = re.compile(".+", re.DOTALL)


@dataclass(frozen=True)
class RunRecord:
    """One run of one graph.

    `timestamp_ms` is the time of every cell (milliseconds since 1970); `shape` the layer-2 grid;
    `edges` and `components` the folders of the processed files; `dataset` the configuration as it was given.
    `raw` or `segmentation`: what is read instead of those files, and `written` what is written from it (of
    `OUTPUTS`); `prepare`: that is all that the run does, and it has no table. `table_parts` are the parts of the
    segmentation's tables, each as `shared.tables.parts` has it in JSON.
    `one_sided_edges`, `edges_beyond_volume` and `unusable_edges` are the plan's `EdgeRules`.
    `verifies`: the run builds nothing, it verifies the table that the run of this graph made; `verified`: each
    chunk is verified by the job that builds it.
    `upgrade`: the run adds family 4 to a table of schema 2, and writes nothing else. `max_attempts` has
    how many attempts the chunks of a layer have, by its number as a text, and for `OTHER_LAYERS`.
    `truth` is a file with the object of every supervoxel, if there is one to compare with; `made_by` the
    version of the pipeline that began the run, empty if that is not known.
    """

    graph: str
    run: str
    table: str
    instance: str | None
    timestamp_ms: int
    shape: tuple[int, int, int]
    edges: str | None
    components: str | None
    spatial_bits: int = 10
    layer_id_bits: int = 8
    schema: int = 2
    test: bool = False
    upgrade: bool = False
    raw: RawInput | None = None
    segmentation: Segmentation | None = None
    table_parts: tuple[dict[str, Any], ...] = ()
    written: tuple[str, ...] = ()
    prepare: bool = False
    auto_queue_parents: bool = True
    one_sided_edges: str = REFUSE
    edges_beyond_volume: str = REFUSE
    unusable_edges: str = REFUSE
    max_attempts: dict[str, int] = field(default_factory=lambda: {OTHER_LAYERS: MAX_ATTEMPTS})
    verifies: str | None = None
    verified: bool = False
    truth: str | None = None
    made_by: str = VERSION
    dataset: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def plan(self) -> Plan:
        """The plan that these facts come to."""
        grid = Grid(self.shape, 2 if self.segmentation is None else 1)
        rules = EdgeRules(self.one_sided_edges, self.edges_beyond_volume, self.unusable_edges)
        ids = IdLayout(grid.layer_count, self.spatial_bits, self.layer_id_bits)
        tables = jobs_of_tables(self.segmentation, len(self.table_parts))
        return Plan(grid, ids, self.schema, self.test, rules, tables)

    @property
    def source(self) -> RawInput | Segmentation | None:
        """What the processed files are made from; None where they are read."""
        return self.raw or self.segmentation

    def message(self, chunk: Chunk) -> bytes:
        """The queue message for a chunk of this run."""
        return Message(self.graph, self.run, chunk).encode()

    def handoff_name(self, chunk: Chunk) -> str:
        """The name of a chunk's hand-off in the graph's scratch folder."""
        return f"{self.run}/layer{chunk.layer}/{chunk.x}_{chunk.y}_{chunk.z}{HANDOFF_SUFFIX}"

    def verdict_name(self, chunk: Chunk) -> str:
        """The name of what a chunk's verification hands on: its hand-off, in a run that does nothing else."""
        return (
            self.handoff_name(chunk) if self.verifies else self.handoff_name(chunk).replace("/layer", "/verdict", 1)
        )

    def findings_name(self, chunk: Chunk) -> str:
        """The name of what was found wrong in a chunk."""
        return f"{self.run}/findings/{chunk.layer}_{chunk.x}_{chunk.y}_{chunk.z}{FINDINGS_SUFFIX}"

    def handoff_chunk(self, name: str) -> Chunk:
        """The chunk whose hand-off has that name; ValueError for a name that no hand-off has."""
        layer, coords = name.removeprefix(f"{self.run}/layer").removesuffix(HANDOFF_SUFFIX).split("/")
        x, y, z = map(int, coords.split("_"))
        return Chunk(int(layer), x, y, z)

    def attempt_limit(self, layer: int) -> int:
        """How many attempts a chunk of a layer has before it goes to the dead letters."""
        return self.max_attempts.get(str(layer), self.max_attempts[OTHER_LAYERS])

    def encode(self) -> bytes:
        """The record as JSON."""
        return json.dumps({**asdict(self), VERSION_KEY: RECORD_VERSION}, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes, file: str) -> RunRecord:
        """The record in a file's bytes; DataError if it is none of this version or an older one.

        Every field of its version has to be there: a default in place of a lost one could change every id.
        """
        try:
            fields = upgraded(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise DataError(file, "-", f"no run record ({error})") from error
        del fields[VERSION_KEY]
        if set(fields) != set(_FIELDS):
            found = sorted(set(fields) ^ set(_FIELDS))
            raise DataError(file, "-", f"no run record of this version; missing or unknown: {found!s:.200}")
        for name, (expected, fits) in _FIELDS.items():
            if not fits(fields[name]):
                raise DataError(file, "-", f"run record: {name} = {fields[name]!r:.100} is not {expected}")
        if fields["raw"] is not None and fields["segmentation"] is not None:
            raise DataError(file, "-", "run record: raw and segmentation cannot both be read")
        if fields["raw"] is None and None in (fields["edges"], fields["components"]):
            raise DataError(file, "-", "run record: edges and components may be null only where raw is not")
        x, y, z = fields.pop("shape")
        raw, segmentation = fields.pop("raw"), fields.pop("segmentation")
        return cls(
            shape=(x, y, z),
            raw=raw and RawInput.read(raw),
            segmentation=segmentation and Segmentation.read(segmentation),
            written=tuple(fields.pop("written")),
            table_parts=tuple(fields.pop("table_parts")),
            **fields,
        )


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _text(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_whole(1, 1 << MAX_SPATIAL_BITS), value))


def _is_raw(value: Any) -> bool:
    try:
        return value is None or bool(RawInput.read(value))
    except ValueError:
        return False


def _is_segmentation(value: Any) -> bool:
    try:
        return value is None or bool(Segmentation.read(value))
    except ValueError:
        return False


def _is_parts(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) < MOST_TABLE_PARTS and all(isinstance(part, dict) for part in value)
    )


def _is_written(value: Any) -> bool:
    return isinstance(value, list) and value in ([name for name in OUTPUTS if name in value],)


_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "graph": ("a name", _text(NAME)),
    "run": ("a name", _text(NAME)),
    "table": ("the name of a table", _text(TABLE_NAME)),
    "instance": ("a name or null", lambda value: value is None or _text(_SOMETHING)(value)),
    "timestamp_ms": ("a time in milliseconds", _whole(1, (1 << 63) // 1000)),
    "shape": ("three numbers of chunks", _is_shape),
    "edges": ("a folder or null", lambda value: value is None or _text(_SOMETHING)(value)),
    "components": ("a folder or null", lambda value: value is None or _text(_SOMETHING)(value)),
    "spatial_bits": (f"a number from 1 to {MAX_SPATIAL_BITS}", _whole(1, MAX_SPATIAL_BITS)),
    "layer_id_bits": ("8", _whole(8, 8)),
    "schema": ("2 or 3", _whole(2, 3)),
    "test": ("true or false", lambda value: isinstance(value, bool)),
    "upgrade": ("true or false", lambda value: isinstance(value, bool)),
    "raw": ("raw agglomeration output or null", _is_raw),
    "segmentation": ("a segmentation or null", _is_segmentation),
    "table_parts": (f"a list of less than {MOST_TABLE_PARTS} parts", _is_parts),
    "written": (f"some of {OUTPUTS}, in this order", _is_written),
    "prepare": ("true or false", lambda value: isinstance(value, bool)),
    "auto_queue_parents": ("true or false", lambda value: isinstance(value, bool)),
    "one_sided_edges": (f"one of {ONE_SIDED}", lambda value: value in ONE_SIDED),
    "edges_beyond_volume": (f"one of {WITHOUT}", lambda value: value in WITHOUT),
    "unusable_edges": (f"one of {WITHOUT}", lambda value: value in WITHOUT),
    "max_attempts": (
        f"numbers from 1 by layer, one for {OTHER_LAYERS!r} among them",
        lambda value: (
            isinstance(value, dict) and OTHER_LAYERS in value and all(map(_whole(1, 1 << 31), value.values()))
        ),
    ),
    "verifies": ("the name of a graph or null", lambda value: value is None or _text(NAME)(value)),
    "verified": ("true or false", lambda value: isinstance(value, bool)),
    "truth": ("a path or null", lambda value: value is None or _text(_SOMETHING)(value)),
    "made_by": ("a version", lambda value: isinstance(value, str)),
    "dataset": ("a mapping", lambda value: isinstance(value, dict)),
}
"""For each field what its value must be, in words and as a check."""
