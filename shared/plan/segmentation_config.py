"""The settings of a dataset that is a segmentation: what its supervoxels are, and what of them belongs together.

Invariants: a section that is valid says one way to know what belongs together, and nothing of another.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from shared.plan.fields import Location, refusal

WAYS = ("objects", "mapping", "edges")
"""Keys of which at most one is given."""

Voxels = Annotated[int, Field(gt=0)]


def _listed(value: Any) -> Any:
    """One location is a list of one."""
    return [value] if isinstance(value, str) else value


Tables = Annotated[list[Location], Field(min_length=1), BeforeValidator(_listed)]
"""Locations of tables, one or a list: files, or folders of files."""


class SegmentationSection(BaseModel):
    """A segmentation to cut into supervoxels, and how what belongs together is known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    supervoxels: Location = Field(description="a precomputed volume with an id for each supervoxel")
    objects: Location | None = Field(
        default=None,
        description="a volume with an object for each voxel: supervoxels of one object belong together",
    )
    mapping: Tables | None = Field(
        default=None, description="tables of (supervoxel, object): files or folders, Parquet, Feather, CSV or .npy"
    )
    edges: Tables | None = Field(
        default=None, description="tables of (supervoxel, supervoxel, score): files or folders, as for mapping"
    )
    threshold: float | None = Field(
        default=None, strict=False, allow_inf_nan=False, description="the score from which on edges join"
    )
    together: Literal["above", "below"] | None = Field(
        default=None, description="which scores join: above (from the threshold up) or below it"
    )
    affinities: Location | None = Field(
        default=None, description="a volume of three channels, from which each contact has its mean affinity"
    )
    split: tuple[Voxels, Voxels, Voxels] | None = Field(
        default=None, strict=False, description="voxels of the blocks that objects are cut by, such as [64, 64, 32]"
    )
    connectivity: Literal[6, 26] = Field(
        default=26,
        description="which voxels of an object touch, within a block: those with a common face, or corner",
    )
    mip: int = Field(
        default=0, ge=0, le=20, description="the mip level that is read, and becomes the new volume's 0"
    )
    background: int = Field(default=0, ge=0, lt=1 << 64, description="the id that is no supervoxel")
    fill_missing: bool = Field(
        default=False, description="whether blocks of a volume that are not there are background"
    )
    several_objects: Literal["refuse", "most"] = Field(
        default="refuse", description="what is done with a supervoxel that meets several objects"
    )

    @field_validator("threshold", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if value is not None and type(value) not in (int, float):
            raise refusal("must be a number, without quotes")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> SegmentationSection:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) > 1:
            raise refusal(
                f"has {' and '.join(given)}, of which only one can say what belongs together; remove the others"
            )
        scored = self.edges is not None
        if scored and (self.threshold is None or self.together is None):
            raise refusal(
                "has edges, so it needs threshold, and together: above (or below) for the side that joins"
            )
        if not scored and (self.threshold is not None or self.together is not None):
            raise refusal("has threshold or together, which are for edges, and no edges; remove them")
        if given and self.split is not None:
            raise refusal(f"has split, which cuts objects into supervoxels, and {given[0]}; remove one of them")
        if self.objects is None and self.several_objects != "refuse":
            raise refusal("has several_objects, which is for objects, and no objects; remove it")
        return self
