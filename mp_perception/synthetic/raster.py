"""Which shape is seen through every pixel, and at which depth: a z-buffer over exact ray intersections.

All shapes are handled at once: each is turned into fragments (pixel, inverse depth, shape), and the nearest fragment
of a pixel wins.  The depth of the winner is then computed again in double precision.  Rays go through pixel centres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.curved import NEAR, Integers, curved_depth
from mp_perception.synthetic.shapes import Floats, Kind, Model

#: Fragments handled at once: enough to hide Python's overhead, few enough to stay in the caches.
_CHUNK = 400_000


@dataclass(frozen=True)
class Surfaces:
    """What is seen through every pixel.

    shape (H, W): index of the shape, -1 where none.  depth (H, W): metres along the optical axis, inf where none.
    alone (G, H, W): the pixels that each group of shapes would cover if nothing hid it.
    """

    shape: Integers
    depth: Floats
    alone: NDArray[np.bool_]


def silhouettes(model: Model, camera: CameraIntrinsics) -> tuple[Floats, NDArray[np.bool_]]:
    """Exact boxes (N, 4) around the shapes' projections, as image points, and which shapes can be drawn (N,).

    model: in the camera's frame.  Polygons are cut at NEAR; a curved shape that reaches nearer is not drawn.
    """
    boxes = np.zeros((len(model), 4))
    drawn = np.zeros(len(model), dtype=bool)
    flat = np.flatnonzero(model.kind == Kind.POLYGON)
    corners = _cut_at_near(model.corners[flat])
    inside = corners[..., 2] >= NEAR - 1e-9
    depth = np.where(inside, corners[..., 2], 1.0)
    u = camera.fx * corners[..., 0] / depth + camera.cx + 0.5
    v = camera.fy * corners[..., 1] / depth + camera.cy + 0.5
    drawn[flat] = inside.all(axis=1)
    boxes[flat] = np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1)

    curved = np.flatnonzero(model.kind != Kind.POLYGON)
    centres, axes = model.take(curved).discs()
    nearest = (centres[..., 2] - np.sqrt((axes[..., 2, :] ** 2).sum(-1))).min(axis=1)
    drawn[curved] = nearest > NEAR
    # Dual conic of the projected outline: the extreme image coordinates are roots of a quadratic in closed form.
    dual = axes @ np.swapaxes(axes, -1, -2) - centres[..., :, None] * centres[..., None, :]
    for column, (coordinate, focal, middle) in enumerate(
        ((0, camera.fx, camera.cx + 0.5), (1, camera.fy, camera.cy + 0.5))
    ):
        c33 = np.where(nearest[:, None] > NEAR, dual[..., 2, 2], -1.0)
        c13, c11 = dual[..., coordinate, 2], dual[..., coordinate, coordinate]
        spread = np.sqrt(np.maximum(c13**2 - c11 * c33, 0.0)) / -c33
        boxes[curved, column] = focal * (c13 / c33 - spread).min(axis=1) + middle
        boxes[curved, column + 2] = focal * (c13 / c33 + spread).max(axis=1) + middle
    return boxes, drawn


def trace(
    model: Model, camera: CameraIntrinsics, group: Integers | None = None, wanted: NDArray[np.bool_] | None = None
) -> Surfaces:
    """Nearest surface through every pixel centre.

    model: shapes in the camera's frame.  group (N,): a number from 0 per shape whose covered pixels are kept
    (`alone`); -1 keeps nothing.  wanted (H, W): where it is False, pixels are left empty, which saves time.
    """
    height, width = camera.height, camera.width
    boxes, drawn = silhouettes(model, camera)
    seen = drawn & (boxes[:, 2] > 0) & (boxes[:, 0] < width) & (boxes[:, 3] > 0) & (boxes[:, 1] < height)
    num_groups = 0 if group is None or not len(group) else int(group.max()) + 1
    inverse_axes = np.linalg.inv(model.axes)
    covered = np.zeros((num_groups, height * width), dtype=bool)
    buffer = np.zeros(height * width, dtype=np.int64)
    for kind in (Kind.POLYGON, Kind.QUADRIC, Kind.RING):
        index = np.flatnonzero(seen & (model.kind == kind))
        for pixel, inverse_depth, shape in _fragments(kind, model, inverse_axes, index, boxes, camera, wanted):
            # Positive floats order like their bits, so one integer compares depth first, then the shape's number.
            key = (inverse_depth.astype(np.float32).view(np.int32).astype(np.int64) << 32) | (shape + 1)
            np.maximum.at(buffer, pixel, key)
            if group is not None:
                own = np.flatnonzero(group[shape] >= 0)
                covered[group[shape[own]], pixel[own]] = True
    shape_of_pixel = (buffer & 0xFFFFFFFF).astype(np.int32) - 1
    depth = _exact_depth(model, inverse_axes, shape_of_pixel, camera)
    return Surfaces(
        shape_of_pixel.reshape(height, width), depth.reshape(height, width), covered.reshape(-1, height, width)
    )


def _cut_at_near(corners: Floats) -> Floats:
    """Polygons (P, K, 3) with what is nearer than NEAR cut off; all corners behind stay behind.

    Each corner behind the plane is replaced by a point of its edges on the plane; where a corner needs two points,
    the other lands in a neighbouring slot, for which the builder leaves room by repeating corners.
    """
    behind = corners[..., 2] < NEAR
    mixed = np.flatnonzero(behind.any(axis=1) & ~behind.all(axis=1))
    if not len(mixed):
        return corners
    result = corners.copy()
    for polygon in mixed:
        kept: list[Floats] = []
        points = corners[polygon]
        for here, there in zip(points, np.roll(points, -1, axis=0), strict=True):
            if here[2] >= NEAR:
                kept.append(here)
            if (here[2] < NEAR) != (there[2] < NEAR):
                cut = here + (there - here) * ((NEAR - here[2]) / (there[2] - here[2]))
                cut[2] = NEAR
                kept.append(cut)
        unique = [point for i, point in enumerate(kept) if i == 0 or np.abs(point - kept[i - 1]).max() > 1e-12]
        unique = (unique + [unique[-1]] * len(points))[: len(points)]
        result[polygon] = unique
    return result


def _chunks(counts: Integers) -> Iterator[slice]:
    """Slices of consecutive entries whose counts sum to about one chunk."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        base = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, base + _CHUNK, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def _spread(counts: Integers) -> tuple[Integers, Integers]:
    """For counts (N,): owner and running number within the owner, both (sum,)."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _fragments(
    kind: Kind,
    model: Model,
    inverse_axes: Floats,
    index: Integers,
    boxes: Floats,
    camera: CameraIntrinsics,
    wanted: NDArray[np.bool_] | None,
) -> Iterator[tuple[Integers, Floats, Integers]]:
    """Flat pixel number, inverse depth and shape of every pixel that each shape of one kind covers."""
    if not len(index):
        return
    if kind == Kind.POLYGON:
        rows_of = _polygon_rows(_cut_at_near(model.corners[index]), camera)
    else:
        rows_of = _box_rows(boxes[index], camera)
    owner, row, first, count = rows_of
    if wanted is not None:
        # Most runs hold nothing that is wanted: sums along the rows tell which.
        sums = np.zeros((camera.height, camera.width + 1), dtype=np.int32)
        np.cumsum(wanted, axis=1, out=sums[:, 1:])
        kept = sums[row, first + count] > sums[row, first]
        owner, row, first, count = owner[kept], row[kept], first[kept], count[kept]
    shape_of_run = index[owner]
    if kind == Kind.POLYGON:
        step, along, constant = _plane_coefficients(model, camera)[:, shape_of_run]
        start = step * first + along * row + constant
        depths = model.corners[shape_of_run, :, 2]
        # Seen edge-on, a plane's depth is ill-conditioned: it never leaves the range of the corners.
        nearest, farthest = np.maximum(depths.min(axis=1), NEAR) * (1 - 1e-6), depths.max(axis=1) * (1 + 1e-6)
        safe = (np.minimum(start, start + step * (count - 1)) * farthest >= 1) & (
            np.maximum(start, start + step * (count - 1)) * nearest <= 1
        )
        count = np.where(safe, count, 0)
    for part in _chunks(count):
        run, number = _spread(count[part])
        shape = shape_of_run[part][run]
        pixel = (row * camera.width + first)[part][run] + number
        if kind == Kind.POLYGON:
            inverse_depth = start[part][run] + step[part][run] * number
            if wanted is not None:
                chosen = wanted.ravel()[pixel]
                pixel, inverse_depth, shape = pixel[chosen], inverse_depth[chosen], shape[chosen]
            yield pixel, inverse_depth, shape
            continue
        column, line = first[part][run] + number, row[part][run]
        if wanted is not None:
            chosen = wanted.ravel()[pixel]
            pixel, column, line, shape = pixel[chosen], column[chosen], line[chosen], shape[chosen]
        ray_x, ray_y = (column - camera.cx) / camera.fx, (line - camera.cy) / camera.fy
        depth = curved_depth(kind, model, inverse_axes, shape, ray_x, ray_y)
        hit = np.isfinite(depth)
        yield pixel[hit], 1 / depth[hit], shape[hit]


def _polygon_rows(corners: Floats, camera: CameraIntrinsics) -> tuple[Integers, Integers, Integers, Integers]:
    """Runs of pixels whose centres lie in convex polygons: owner, row, first column, number of columns.

    Half-open at the right and bottom, so polygons that share an edge share no pixel and leave none out.
    """
    u = camera.fx * corners[..., 0] / corners[..., 2] + camera.cx
    v = camera.fy * corners[..., 1] / corners[..., 2] + camera.cy
    top = np.clip(np.ceil(v.min(axis=1)), 0, camera.height).astype(np.int64)
    bottom = np.clip(np.ceil(v.max(axis=1)), 0, camera.height).astype(np.int64)
    owner, number = _spread(np.maximum(bottom - top, 0))
    row = top[owner] + number
    left: Floats = np.full(len(row), np.inf)
    right: Floats = np.full(len(row), -np.inf)
    for start in range(corners.shape[1]):
        stop = (start + 1) % corners.shape[1]
        v0, v1 = v[owner, start], v[owner, stop]
        crossed = (v0 <= row) != (v1 <= row)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = u[owner, start] + (row - v0) * ((u[owner, stop] - u[owner, start]) / (v1 - v0))
        left = np.where(crossed, np.minimum(left, crossing), left)
        right = np.where(crossed, np.maximum(right, crossing), right)
    first = np.clip(np.ceil(np.clip(left, -1, camera.width)), 0, camera.width).astype(np.int64)
    last = np.clip(np.ceil(np.clip(right, -1, camera.width)), 0, camera.width).astype(np.int64)
    return owner, row, first, np.maximum(last - first, 0)


def _box_rows(boxes: Floats, camera: CameraIntrinsics) -> tuple[Integers, Integers, Integers, Integers]:
    """The same runs for all pixels that touch boxes (P, 4)."""
    limits = np.array([camera.width, camera.height] * 2)
    low = np.clip(np.floor(boxes), 0, limits).astype(np.int64)
    high = np.clip(np.ceil(boxes), 0, limits).astype(np.int64)
    owner, number = _spread(np.maximum(high[:, 3] - low[:, 1], 0))
    return owner, low[owner, 1] + number, low[owner, 0], (high[:, 2] - low[:, 0])[owner]


def _plane_coefficients(model: Model, camera: CameraIntrinsics) -> Floats:
    """(3, N): inverse depth of shape i's plane at pixel centre (u, v) is a u + b v + c."""
    normal = model.axes[:, :, 2]
    distance = (normal * model.centre).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = normal[:, 0] / (camera.fx * distance)
        b = normal[:, 1] / (camera.fy * distance)
        c = normal[:, 2] / distance - a * camera.cx - b * camera.cy
    return np.nan_to_num(np.stack([a, b, c]), nan=0.0, posinf=0.0, neginf=0.0)


def _exact_depth(model: Model, inverse_axes: Floats, shape_of_pixel: Integers, camera: CameraIntrinsics) -> Floats:
    """Depth (H * W,) of the winning shape in double precision; inf where none."""
    depth = np.full(len(shape_of_pixel), np.inf)
    seen = np.flatnonzero(shape_of_pixel >= 0)
    shape = shape_of_pixel[seen].astype(np.int64)
    row, column = np.divmod(seen, camera.width)
    kind = model.kind[shape]
    flat = kind == Kind.POLYGON
    a, b, c = _plane_coefficients(model, camera)[:, shape[flat]]
    depth[seen[flat]] = 1 / (a * column[flat] + b * row[flat] + c)
    for curved_kind in (Kind.QUADRIC, Kind.RING):
        chosen = kind == curved_kind
        if chosen.any():
            depth[seen[chosen]] = curved_depth(
                curved_kind,
                model,
                inverse_axes,
                shape[chosen],
                (column[chosen] - camera.cx) / camera.fx,
                (row[chosen] - camera.cy) / camera.fy,
            )
    return depth
