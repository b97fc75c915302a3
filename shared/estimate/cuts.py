"""What a segmentation takes besides its graph: the cuts of layer 1, the parts of its tables, and in layer 2 what is
made of seven cuts. Estimates, as in `needs`, whose constants are not repeated here.

Invariants: figures are of a whole chunk or a voxel of it; whoever knows how many there are multiplies.
"""

from __future__ import annotations

from math import ceil, prod

from shared.estimate.report import PlanReport, Triple
from shared.plan.segmentation import Segmentation
from shared.voxels.volume import stored_block

# ---- measured by make bench: `cut`, the best of several, with a chunk of 512 x 512 x 128 voxels of uint64 ----

CUT_CPU = 75e-9
"""Seconds of CPU for a voxel: read, cut, contacts, hand-off, and the new voxels written. 1.9 to 2.0 s for the chunk
by itself, 2.3 to 2.5 where others have the machine's second core and its memory, as in the cloud."""
OBJECTS_CPU = 14e-9
"""More for a voxel where there is a volume of objects."""
AFFINITIES_CPU = 26e-9
"""More for a voxel with three affinities."""

CUT_BYTES = 26.0
"""Memory for a voxel of the chunk; with supervoxels 880 to 990 MB for it."""
OBJECTS_BYTES = 12.0
AFFINITIES_BYTES = 12.0
"""More with these volumes; 1.25 and 1.62 GB for the chunk."""
PIECE_BYTES = 3000.0
"""And for each supervoxel, with its contacts."""
LIBRARY_BYTES = 85e6
"""Memory of the libraries for voxels, which other layers do without."""

PIECE_HANDOFF = 40.0
"""Bytes of a stored cut for each supervoxel: its label, object and size, and seven contacts."""
PLANE_HANDOFF = 0.3
"""And for each voxel of its faces."""
AFFINITY_HANDOFF = (24.0, 2.0)
"""More of both with affinities."""

VOXEL_STORED = 0.15
"""Bytes of the new volume for a voxel, as compressed_segmentation in gzip."""

SOURCE_CPU = 6e-6
"""Seconds of CPU in layer 2 for each supervoxel: seven cuts decoded, edges, components, and both files made."""
SOURCE_BYTES = (2500.0, 30.0)
"""Memory of that, for each supervoxel of its own cut, and for each voxel of its faces; 115 to 140 MB."""
FILE_BYTES = 50.0
"""Of both files, for each supervoxel; 73 with affinities, which do not shrink."""

# ---- measured by make bench: `tables` ----

ROWS_A_PART = 10_000_000
"""Rows of a part of the tables: of a large table each has so many or more, of a small one the only part fewer."""
SORT_CPU, JOIN_CPU = 0.45e-6, 0.95e-6
"""Seconds of CPU for a row: to sort it, and for scores to join it with the others."""
SORT_BYTES = 700e6
"""Memory of a part, however many rows it has, as so many are sorted at a time."""
JOIN_BYTES = (600e6, 19.0)
"""Memory of the one job that joins scores, and for each supervoxel."""
ROW_HANDOFF = 7.0
"""Bytes of a sorted row."""
LOOKUP_CPU = 0.015
"""Seconds for what tables say of a chunk's supervoxels, where ids follow space; 0.3 and more where they do not."""

# ---- assumed ----

BLOCK_READ: Triple = (64, 64, 64)
"""Voxels of a stored block of the volumes that are read; chunks are taken to be made of whole ones."""
AT_ONCE = 20
"""Blocks that are read or written at a time: threads of cloud-volume and cloud-files."""
LOOKUP_GETS = 4
"""Ranges of sorted tables that a cut reads, of which one waits for another."""


def volumes(segmentation: Segmentation) -> int:
    """How many volumes are read."""
    return 1 + (segmentation.objects is not None) + (segmentation.affinities is not None)


def blocks_read(report: PlanReport) -> int:
    """Blocks that a cut reads, of all volumes."""
    assert report.segmentation is not None
    return volumes(report.segmentation) * _blocks(report, BLOCK_READ)


def blocks_written(report: PlanReport) -> int:
    """Blocks of the new volume that a cut writes; none in a test."""
    return _blocks(report, stored_block(report.chunk_size)) if report.watershed else 0


def cut_cpu(segmentation: Segmentation) -> tuple[float, float]:
    """Seconds of CPU of a cut, and for each voxel."""
    more = OBJECTS_CPU * (segmentation.objects is not None) + AFFINITIES_CPU * (segmentation.affinities is not None)
    return LOOKUP_CPU * bool(segmentation.tables), CUT_CPU + more


def cut_bytes(segmentation: Segmentation) -> float:
    """Memory of a cut for each voxel."""
    more = OBJECTS_BYTES * (segmentation.objects is not None)
    return CUT_BYTES + more + AFFINITIES_BYTES * (segmentation.affinities is not None)


def handoff_bytes(segmentation: Segmentation, pieces: float, planes: float) -> float:
    """Bytes of stored cuts of so many supervoxels, and voxels of faces."""
    more = AFFINITY_HANDOFF if segmentation.affinities is not None else (0.0, 0.0)
    # Of two faces that touch one has the affinities.
    return pieces * (PIECE_HANDOFF + more[0]) + planes * (PLANE_HANDOFF + more[1] / 2)


def rounds(blocks: int) -> int:
    """How often a cut waits for blocks."""
    return ceil(blocks / AT_ONCE)


def _blocks(report: PlanReport, block: Triple) -> int:
    sides = zip(report.chunk_size, report.voxels, block, strict=True)
    return prod(ceil(min(length, size) / step) for length, size, step in sides)
