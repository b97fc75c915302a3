"""How much work a plan comes to, as far as it follows from the grid alone.

Invariants: sums are products of numbers an axis, so a plan of 10^7 chunks is described as fast as
one of 10. Rows and bytes depend on the data and are not guessed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.plan.config import Dataset
from shared.plan.grid import Grid
from shared.plan.plan import Plan
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts

Triple = tuple[int, int, int]
WATERSHED = "watershed"
"""What a run that cuts a segmentation writes besides files: the volume."""


@dataclass(frozen=True)
class LayerReport:
    """One layer: its whole grid, and what the run builds of it."""

    layer: int
    grid: Triple
    chunks: int
    axis_bits: int
    segment_bits: int
    root_range: int
    """Roots that the job of one chunk can number."""
    transactions: int
    """Completion records that are updated once all chunks are done: one for each chunk that waits for one."""


@dataclass(frozen=True)
class PlanReport:
    """What a run will do."""

    voxels: Triple
    resolution: tuple[float, float, float]
    chunk_size: Triple
    schema: int
    test: bool
    layers: tuple[LayerReport, ...]
    lower_neighbours: int
    """Pairs (layer-2 chunk, its neighbour through a lower face): its job reads that one's component file."""
    raw: bool = False
    """Whether layer 2 reads raw agglomeration output."""
    written: int = 0
    """Processed files that each layer-2 chunk writes from it, or from a segmentation."""
    segmentation: Segmentation | None = None
    """What layer 1 cuts."""
    watershed: bool = False
    """Whether it writes the voxels."""

    @property
    def chunks(self) -> int:
        """Chunks that are built; there is one message and one hand-off object for each."""
        return sum(layer.chunks for layer in self.layers)

    @property
    def records(self) -> int:
        """Firestore documents: one for each chunk that waits for others, and one that ends the run; of all cuts one
        waits, for the tables."""
        waiting = [layer.chunks if layer.layer > 1 else 1 for layer in self.layers[1:]]
        return sum(waiting) + 1

    @property
    def transactions(self) -> int:
        """Firestore transactions, if no chunk is built twice."""
        return sum(layer.transactions for layer in self.layers)

    @property
    def handoff_reads(self) -> int:
        """Hand-off objects that are read: a chunk's by each that waits for it, but for the last one's. Of sorted
        tables every cut reads what it needs."""
        return sum(layer.transactions for layer in self.layers if layer.layer > 0) - 1

    def at(self, layer: int) -> LayerReport:
        """One of the layers."""
        return self.layers[layer - self.layers[0].layer]

    def as_rows(self) -> list[tuple[str, ...]]:
        """A table of the layers, with its heading first."""
        heading = ("layer", "grid", "chunks", "bits x/y/z", "bits segment", "roots a chunk", "transactions")
        return [heading, *(_row(layer) for layer in self.layers)]

    def totals(self) -> list[tuple[str, str]]:
        """What the whole run comes to, as names and values."""
        return [
            ("volume", f"{_times(self.voxels)} voxels of {_times(self.resolution)} nm"),
            ("chunk", f"{_times(self.chunk_size)} voxels"),
            ("schema", str(self.schema)),
            (
                "run",
                "test: the children of the middle layer-3 chunk, and that chunk" if self.test else "all chunks",
            ),
            ("chunks", f"{self.chunks:,}"),
            ("Pub/Sub messages", f"{self.chunks:,}"),
            ("Firestore records", f"{self.records:,}"),
            ("Firestore transactions", f"{self.transactions:,}"),
            ("hand-offs written", f"{self.chunks:,}"),
            ("hand-offs read", f"{self.handoff_reads:,}"),
        ]


def named(layer: int) -> str:
    """A layer as tables show it: those below 2 by what is done there."""
    return {0: "0 tables", 1: "1 cuts"}.get(layer, str(layer))


def describe(
    plan: Plan,
    dataset: Dataset,
    volume: VolumeFacts,
    raw: bool = False,
    written: Collection[str] = (),
    segmentation: Segmentation | None = None,
) -> PlanReport:
    """The size of what `plan`, made of `dataset` and `volume`, comes to; the plan has passed its checks.

    `raw`: it reads raw agglomeration output, or it cuts `segmentation`; `written` is what is written from either.
    """
    return PlanReport(
        voxels=volume.size,
        resolution=volume.resolution,
        chunk_size=dataset.graph_config.CHUNK_SIZE,
        schema=plan.schema,
        test=plan.test,
        layers=tuple(_layer(plan, layer) for layer in plan.layers),
        lower_neighbours=_lower_neighbours(plan),
        raw=raw,
        written=len(set(written) - {WATERSHED}),
        segmentation=segmentation,
        watershed=WATERSHED in written,
    )


def waiting_total(grid: Grid, layer: int) -> int:
    """The number of pairs (chunk of `layer`, chunk above that waits for it) in a whole grid.

    Each chunk has its parent. Along an axis, one of its two neighbours is a sibling and the other is
    not: if that one is inside the grid, its parent waits too. Along n chunks that is so for all but
    the first, and but the last if n is even: for 2 * ((n - 1) // 2) of them.
    """
    chunks = grid.chunk_total(layer)
    return chunks + sum(2 * ((length - 1) // 2) * (chunks // length) for length in grid.layer_shape(layer))


def _lower_neighbours(plan: Plan) -> int:
    if plan.test:
        chunks = (plan.chunk_at(2, index) for index in range(plan.total(2)))
        return sum(face % 2 == 0 for chunk in chunks for face in plan.grid.neighbours(chunk))
    chunks_in_all = plan.grid.chunk_total(2)
    return sum((length - 1) * (chunks_in_all // length) for length in plan.grid.shape)


def _layer(plan: Plan, layer: int) -> LayerReport:
    chunks = plan.total(layer)
    if layer == 0:
        return LayerReport(0, (chunks, 1, 1), chunks, 0, 0, 0, chunks)
    return LayerReport(
        layer=layer,
        grid=plan.grid.layer_shape(layer),
        chunks=chunks,
        axis_bits=plan.ids.axis_bits(layer),
        segment_bits=plan.ids.segment_bits(layer),
        root_range=plan.roots.size(layer) if layer > 1 else 0,
        transactions=_transactions(plan, layer, chunks),
    )


def _transactions(plan: Plan, layer: int, chunks: int) -> int:
    if layer == 1 and plan.test:
        return sum(len(plan.dependents(plan.chunk_at(1, index))) for index in range(chunks))
    if layer == 1:
        # Its own chunk waits for each cut, and those behind its faces.
        return chunks + 2 * _lower_neighbours(plan)
    return chunks if plan.test or layer == plan.top.layer else waiting_total(plan.grid, layer)


def _row(layer: LayerReport) -> tuple[str, ...]:
    return (
        named(layer.layer),
        _times(layer.grid),
        f"{layer.chunks:,}",
        str(layer.axis_bits or ""),
        str(layer.segment_bits or ""),
        f"{layer.root_range:,}" if layer.layer > 1 else "",
        f"{layer.transactions:,}",
    )


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers)
