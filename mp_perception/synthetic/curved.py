"""Where rays meet quadrics and rings, in closed form; tree crowns let some rays through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mp_perception.synthetic.shapes import Floats, Kind, Material, Model
from mp_perception.synthetic.textures import noise

#: Nothing nearer than this is drawn, metres.
NEAR = 0.4

Integers = NDArray[np.integer]


def curved_depth(
    kind: Kind, model: Model, inverse_axes: Floats, shape: Integers, ray_x: Floats, ray_y: Floats
) -> Floats:
    """Depth (F,) at which the rays (ray_x, ray_y, 1) first meet quadrics or rings; inf where they miss."""
    origins = -(inverse_axes @ model.centre[:, :, None])[..., 0]
    d = [
        inverse_axes[shape, i, 0] * ray_x + inverse_axes[shape, i, 1] * ray_y + inverse_axes[shape, i, 2]
        for i in range(3)
    ]
    o = [origins[shape, i] for i in range(3)]
    result = np.full(len(shape), np.inf)
    if kind == Kind.RING:
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = -o[2] / d[2]
            radius = (o[0] + depth * d[0]) ** 2 + (o[1] + depth * d[1]) ** 2
        hit = (depth > NEAR) & (radius <= 1) & (radius >= model.parameters[shape, 0] ** 2)
        result[hit] = depth[hit]
        return result
    # The constant term is one number per shape.
    constants = (origins[:, 0] ** 2 + origins[:, 1] ** 2) + model.parameters[:, 0] * origins[:, 2] ** 2
    constants += model.parameters[:, 1] * origins[:, 2] + model.parameters[:, 2]
    q0 = model.parameters[shape, 0]
    a = d[0] ** 2 + d[1] ** 2 + q0 * d[2] ** 2
    half_b = o[0] * d[0] + o[1] * d[1] + (q0 * o[2] + model.parameters[shape, 1] / 2) * d[2]
    discriminant = half_b**2 - a * constants[shape]
    met = np.flatnonzero(discriminant >= 0)
    shape, a, half_b, root = shape[met], a[met], half_b[met], np.sqrt(discriminant[met])
    d, o = [values[met] for values in d], [values[met] for values in o]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half_b - root) / a, (-half_b + root) / a
    leafy = model.material[shape] == Material.LEAVES
    for depth in (np.maximum(first, second), np.minimum(first, second)):
        hit = np.flatnonzero((depth > NEAR) & (np.abs(o[2] + depth * d[2]) <= 1 + 1e-12))
        leaves = hit[leafy[hit]]
        if len(leaves):
            direction = [values[leaves] for values in d]
            local = [o[i][leaves] + depth[leaves] * direction[i] for i in range(3)]
            open_ = _between_leaves(model, shape[leaves], local, direction)
            hit = np.setdiff1d(hit, leaves[open_], assume_unique=True)
        result[met[hit]] = depth[hit]
    return result


def _between_leaves(model: Model, shape: Integers, local: list[Floats], direction: list[Floats]) -> NDArray[np.bool_]:
    """Where a crown lets the view through: in a fixed pattern, and more towards its outline."""
    length = np.sqrt(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2)
    facing = np.abs(local[0] * direction[0] + local[1] * direction[1] + local[2] * direction[2]) / length
    scale = model.pattern[shape, 1]
    column = (local[0] * 45 + local[2] * 23) * scale + shape * 37
    row = (local[1] * 45 - local[2] * 29) * scale + shape * 91
    gap: NDArray[np.bool_] = noise(1, column, row) > 0.25 + 0.75 * facing
    return gap
