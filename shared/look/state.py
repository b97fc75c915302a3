"""What a viewer is opened with: its layers, what is selected, and where it looks. JSON of Neuroglancer's own state.

Invariants: ids are texts, as a viewer reads them exactly then; sources begin with `ORIGIN`, in the place of which
the page puts the address that it was opened by.
"""

from __future__ import annotations

from typing import Any

from shared.look.outlines import SPACING
from shared.look.space import Space
from shared.plan.grid import Chunk
from shared.plan.segmentation import Triple

ORIGIN = "{origin}"

ROOTS, SUPERVOXELS, GRID, OUTLINED = "roots", "supervoxels", "chunk grid", "outlined"
"""Names of the viewer's layers, with `layer 2` and so on between the first two."""

PANEL = 600
"""Pixels that a viewer's panel has, about."""

SHADER = """#uicontrol int layer slider(min=0, max={top}, default=0, step=1)
void main() {{
  if (layer != 0 && int(prop_layer()) != layer) discard;
  setColor(vec4(mix(vec3(1.0, 1.0, 1.0), vec3(1.0, 0.7, 0.0), (float(prop_layer()) - 2.0) / {span:.1f}), 0.6));
}}
"""
"""Of the chunk grid: higher layers are more yellow; its control shows the boxes of one layer, or with 0 of all."""


def layer_name(layer: int, top: int) -> str:
    """What the viewer calls the nodes of a layer; the top one's are roots, and whatever has no parent."""
    return ROOTS if layer >= top else SUPERVOXELS if layer == 1 else f"layer {layer}"


def viewer_state(
    space: Space, top: int, shown: int, position: Triple | None, selected: list[int], chunks: list[Chunk]
) -> dict[str, Any]:
    """The state for a graph whose highest layer is `top`, coloured by the nodes of layer `shown`.

    `position` is a voxel, the middle of the volume if None; `selected` are nodes of the layer shown, and `chunks`
    are outlined.
    """
    middle = [(low + high) / 2 for low, high in zip(space.low, space.high, strict=True)]
    layers = [
        {
            "type": "segmentation",
            "source": f"precomputed://{ORIGIN}/segments/{layer}",
            "name": layer_name(layer, top),
            "segments": [str(node) for node in selected] if layer == shown else [],
            "notSelectedAlpha": 0.15 if selected and layer == shown else 0,
            "selectedAlpha": 0.6,
            "visible": layer == shown,
        }
        for layer in range(top, 0, -1)
    ]
    span = max(1, space.grid.layer_count - 2)
    return {
        "dimensions": {name: [nm * 1e-9, "m"] for name, nm in zip("xyz", space.resolution, strict=True)},
        "position": [at + 0.5 for at in position] if position else middle,
        # Voxels a pixel: a few small chunks, or as much as there is of a large one at full size.
        "crossSectionScale": min(1.0, 2 * max(space.side(2)[:2]) / PANEL),
        "projectionScale": 10 * max(space.side(2)),
        "layers": [
            *layers,
            {
                "type": "annotation",
                "source": f"precomputed://{ORIGIN}/chunks",
                "name": GRID,
                "shader": SHADER.format(top=space.grid.layer_count, span=span),
                "crossSectionAnnotationSpacing": SPACING,
                "projectionAnnotationSpacing": SPACING,
            },
            {
                "type": "annotation",
                "source": "local://annotations",
                "name": OUTLINED,
                "annotationColor": "#00ffff",
                "annotations": [outline(space, chunk) for chunk in chunks],
            },
        ],
        "selectedLayer": {"layer": layer_name(shown, top), "visible": False},
        "layout": "xy-3d",
        "showDefaultAnnotations": False,
    }


def outline(space: Space, chunk: Chunk) -> dict[str, Any]:
    """The box of a chunk, as an annotation that the viewer keeps itself."""
    low, high = space.box(chunk)
    return {
        "type": "axis_aligned_bounding_box",
        "id": str(chunk),
        "pointA": list(low),
        "pointB": list(high),
        "description": f"chunk {chunk}",
    }
