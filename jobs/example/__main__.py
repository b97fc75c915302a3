"""`python -m jobs.example FOLDER`: make the example dataset."""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    from dataclasses import asdict
    from pathlib import Path

    import click

    from jobs.example import ExampleParams, make_example
    from jobs.example.params import Triple
    from jobs.output import put
    from jobs.program import Program, ended
    from jobs.streams import claimed
    from shared.classify import Classifier
    from shared.errors import StateError

DEFAULT = ExampleParams()


@click.command(cls=Program, context_settings={"show_default": True})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--grid", type=int, nargs=3, default=DEFAULT.grid, help="Chunks along x, y and z.")
@click.option(
    "--chunk-size", type=int, nargs=3, default=DEFAULT.chunk_size, help="Voxels of a chunk along x, y and z."
)
@click.option(
    "--supervoxel-size",
    type=int,
    default=DEFAULT.supervoxel_size,
    help="Voxels across a supervoxel: smaller ones mean more for each chunk.",
)
@click.option("--seed", type=int, default=DEFAULT.seed, help="Another seed gives another dataset.")
@click.option("--raw", is_flag=True, help="Write raw agglomeration output in the place of edges and components.")
@click.option(
    "--segmentation", is_flag=True, help="Write the volume before chunks cut it, and one of its objects, alone."
)
def main(
    folder: Path,
    grid: Triple,
    chunk_size: Triple,
    supervoxel_size: int,
    seed: int,
    raw: bool,
    segmentation: bool,
) -> None:
    """Make an example dataset of branching neurites below FOLDER.

    Writes the watershed volume (ws), edges and components, or raw, and the true objects (truth.npz); or the volumes
    of a segmentation.
    """
    with claimed():
        try:
            params = ExampleParams(grid, chunk_size, supervoxel_size, seed)
            summary = make_example(folder, params, raw, segmentation)
        except (ValueError, FileExistsError) as error:
            raise StateError(str(error)) from error
        for name, value in asdict(summary).items():
            put(f"{name:18} {value}")


if __name__ == "__main__":
    entry.leave(ended(lambda: main(standalone_mode=False), Classifier()))
