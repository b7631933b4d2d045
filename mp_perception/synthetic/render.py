"""Renders a scene: image, exact depth, sky and labelled boxes.

Depth, sky and boxes come from one ray per pixel centre and are exact.  Only the colours are softened: at
edges, and by the camera's blur and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.arrays import AnyFloats
from mp_perception.data.boxes_3d import rotation_about_vertical
from mp_perception.data.object_label import Box3D, ObjectLabel
from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.light import add_haze, illuminate, sky_color
from mp_perception.synthetic.materials import ground_reflectance, shape_color
from mp_perception.synthetic.raster import silhouettes, trace
from mp_perception.synthetic.scene import CAMERA_HEIGHT, Actor, Scene
from mp_perception.synthetic.shadows import cast_shadows
from mp_perception.synthetic.shapes import Model, join

#: The left colour camera of KITTI's recordings of 2011-09-26.
KITTI_CAMERA = CameraIntrinsics(fx=721.5377, fy=721.5377, cx=609.5593, cy=172.854, width=1242, height=375)

#: Visible fractions below which an object is partly occluded, largely occluded, and hidden: KITTI's annotators could
#: not have labelled a hidden one.
OCCLUDED_BELOW = (0.8, 0.4, 0.1)


@dataclass(frozen=True)
class RenderedFrame:
    """What the camera sees.

    image (H, W, 3): RGB.  depth (H, W): metres along the optical axis, NaN for sky.
    labels: of all objects that cover at least one pixel if nothing hides them.  The box is around the part that is in
    the image, including hidden parts; box_3d is in the camera's frame.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: tuple[ObjectLabel, ...]

    @property
    def sky(self) -> NDArray[np.bool_]:
        """Mask (H, W) of the sky: exactly the pixels without depth."""
        return np.isnan(self.depth)


def render(scene: Scene, camera: CameraIntrinsics = KITTI_CAMERA, time: float = 0.0) -> RenderedFrame:
    """The scene as the camera sees it at a time, seconds.  The same arguments give the same bytes."""
    origin = scene.camera.at(time) - (0.0, CAMERA_HEIGHT, 0.0)
    to_camera = rotation_about_vertical(scene.camera.heading).T
    posed = (_pose(actor, time, origin, to_camera, camera) for actor in scene.actors)
    actors = [actor for actor in posed if actor is not None]
    backdrop = scene.backdrop.moved(to_camera, -(to_camera @ origin))
    model = join([backdrop, *(actor.model for actor in actors)])
    owner = np.repeat(np.arange(len(actors) + 1), [len(backdrop), *(len(actor.model) for actor in actors)])

    surfaces = trace(model, camera, owner - 1)
    ground = _ground_depth(camera)
    depth = np.minimum(surfaces.depth, ground)
    shape = np.where(surfaces.depth < ground, surfaces.shape, -1)
    visible = np.where(shape >= 0, owner[shape], 0)
    labels = tuple(
        _label(actor, alone, int((visible == number).sum()), camera)
        for number, (actor, alone) in enumerate(zip(actors, surfaces.alone, strict=True), start=1)
        if alone.any()
    )

    light, rays = scene.light, camera.pixel_rays().astype(np.float32)
    shadows = cast_shadows(model, owner > 0, to_camera @ light.to_sun)
    color = np.empty((*depth.shape, 3), dtype=np.float32)
    is_sky, is_ground, is_shape = np.isinf(depth), np.isfinite(depth) & (shape < 0), shape >= 0
    points = rays * np.where(is_sky, 0, depth).astype(np.float32)[..., None]
    color[is_sky] = sky_color(light, rays[is_sky], shadows.to_sun)
    reflectance = ground_reflectance(scene.road, points[is_ground] @ to_camera + origin, depth[is_ground])
    lit, open_sky = (part[is_ground] for part in shadows.on_ground(camera))
    upwards = np.broadcast_to(np.array([0, -1, 0], dtype=np.float32), reflectance.shape)
    color[is_ground] = illuminate(reflectance, upwards, lit, open_sky, light, shadows.to_sun)
    color[is_shape] = shape_color(model, shape[is_shape], points[is_shape], rays[is_shape], shadows, light)
    color[~is_sky] = add_haze(color[~is_sky], points[~is_sky, 2], light)
    image = _develop(color, scene.exposure, np.random.default_rng([scene.seed, round(time * 1000)]))
    return RenderedFrame(image, np.where(is_sky, np.nan, depth).astype(np.float32), labels)


@dataclass(frozen=True)
class _PosedActor:
    """An actor at a time: its shapes and 3D box in the camera's frame; silhouette (4,): box around its projection."""

    label: str
    model: Model
    box_3d: Box3D
    silhouette: AnyFloats


def _pose(
    actor: Actor, time: float, origin: AnyFloats, to_camera: AnyFloats, camera: CameraIntrinsics
) -> _PosedActor | None:
    """None if the actor is not in view."""
    body = actor.model(time)
    turn = to_camera @ rotation_about_vertical(actor.motion.heading - np.pi / 2)
    shift = to_camera @ (actor.motion.at(time) - origin)
    model = body.moved(turn, shift)
    boxes, drawn = silhouettes(model, camera)
    if not drawn.any():
        return None
    silhouette = np.concatenate([boxes[drawn, :2].min(axis=0), boxes[drawn, 2:].max(axis=0)])
    if (silhouette[:2] >= (camera.width, camera.height)).any() or (silhouette[2:] <= 0).any():
        return None
    lowest, highest = body.bounds()
    length, height, width = (highest - lowest).tolist()
    middle = (lowest + highest) / 2
    x, y, z = (turn @ (middle[0], highest[1], middle[2]) + shift).tolist()
    rotation_y = float(np.arctan2(-turn[2, 0], turn[0, 0]))
    return _PosedActor(actor.label, model, Box3D((x, y, z), (height, width, length), rotation_y), silhouette)


def _ground_depth(camera: CameraIntrinsics) -> AnyFloats:
    """Depth (H, W) of the ground plane, metres; inf above the horizon."""
    down = (np.arange(camera.height) - camera.cy) / camera.fy
    rows = np.where(down > 0, CAMERA_HEIGHT / np.where(down > 0, down, 1), np.inf)
    return np.repeat(rows[:, None], camera.width, axis=1)


def _label(actor: _PosedActor, alone: NDArray[np.bool_], visible: int, camera: CameraIntrinsics) -> ObjectLabel:
    """alone (H, W): the pixels that the actor covers if nothing hides it; visible: how many of them are visible."""
    whole = actor.silhouette
    inside = np.clip(whole, 0, (camera.width, camera.height, camera.width, camera.height))
    # The highest point of a truncated object may be outside the image: then the covered pixels give the box.
    columns, rows = np.flatnonzero(alone.any(axis=0)), np.flatnonzero(alone.any(axis=1))
    covered = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    x1, y1, x2, y2 = (whole if (inside == whole).all() else covered).tolist()
    truncation = float(1 - np.prod(inside[2:] - inside[:2]) / np.prod(whole[2:] - whole[:2]))
    occlusion = sum(visible / alone.sum() < limit for limit in OCCLUDED_BELOW)
    return ObjectLabel(actor.label, (x1, y1, x2, y2), truncation, int(occlusion), actor.box_3d)


def _develop(color: AnyFloats, exposure: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Image (H, W, 3), RGB, from linear light (H, W, 3); transforms of the training vary contrast, blur and noise."""
    values = np.clip(color * exposure, 0, 1) ** (1 / 2.2)
    # Contrast must not make objects in the shade black.
    values = np.clip(np.maximum((values - 0.4) * 1.3 + 0.4, 0.4 * values), 0, 1)
    blurred = cv2.GaussianBlur((values * 255).astype(np.float32), (5, 5), 0.6)
    grain = 2.5 * generator.standard_normal(blurred.shape, dtype=np.float32)
    return np.clip(np.round(blurred + grain), 0, 255).astype(np.uint8)
