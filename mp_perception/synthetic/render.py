"""Renders a scene: image, exact depth, sky, instances and labelled boxes.

Depth, sky, instances and boxes come from one ray per pixel centre and are exact.  Only the colours are softened: at
edges, and by the camera's blur and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.light import add_haze, illuminate, sky_color
from mp_perception.synthetic.materials import shape_color
from mp_perception.synthetic.raster import silhouettes, trace
from mp_perception.synthetic.road import ground_reflectance
from mp_perception.synthetic.scene import Actor, CameraLook, Scene
from mp_perception.synthetic.shadows import ShadowMap, cast_shadows
from mp_perception.synthetic.shapes import Floats, Model, join, rotation_about_vertical

#: The left colour camera of KITTI's recordings of 2011-09-26.
KITTI_CAMERA = CameraIntrinsics(fx=721.5377, fy=721.5377, cx=609.5593, cy=172.854, width=1242, height=375)

#: An object counts as hidden if a smaller fraction of it is visible: KITTI's annotators could not have labelled it.
HIDDEN_BELOW = 0.1


@dataclass(frozen=True)
class RenderedObject:
    """A labelled object that is at least partly in the image.

    label: class name.  instance: its number in `RenderedFrame.instance`.
    box (4,): x1 y1 x2 y2 around the part that is in the image, including hidden parts; image points, so pixel i covers
    [i, i + 1).
    dimensions (3,): height, width, length, metres.  location (3,): bottom centre of the 3D box in the camera's frame,
    metres.  rotation_y: heading about the camera's y axis, -pi..pi, 0 faces right (KITTI's).
    truncation: fraction of the whole object's box that is outside the image, 0..1.  visible_fraction: fraction of its
    pixels in the image that are not hidden.
    """

    label: str
    instance: int
    box: Floats
    dimensions: Floats
    location: Floats
    rotation_y: float
    truncation: float
    visible_fraction: float

    @property
    def occlusion(self) -> int:
        """0 for a visible fraction of at least 0.8, 1 for at least 0.4, 2 below that, 3 if the object is hidden."""
        if self.visible_fraction < HIDDEN_BELOW:
            return 3
        return int(self.visible_fraction < 0.8) + int(self.visible_fraction < 0.4)


@dataclass(frozen=True)
class RenderedFrame:
    """What the camera sees.

    image (H, W, 3): RGB.  depth (H, W): metres along the optical axis, NaN for sky.  instance (H, W): number of the
    visible object, 0 for everything without a label.  objects: all that cover at least one pixel if nothing hides them.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    instance: NDArray[np.int32]
    objects: tuple[RenderedObject, ...]

    @property
    def sky(self) -> NDArray[np.bool_]:
        """Mask (H, W) of the sky: exactly the pixels without depth."""
        return np.isnan(self.depth)


def render(scene: Scene, camera: CameraIntrinsics = KITTI_CAMERA, time: float = 0.0) -> RenderedFrame:
    """The scene as the camera sees it at a time, seconds.  The same arguments give the same bytes."""
    eye = _Eye(*scene.ego.at(scene.road, time))
    actors = [actor for actor in (_pose(actor, scene, time, eye) for actor in scene.actors) if actor.in_view(camera)]
    backdrop = scene.backdrop.moved(eye.to_camera, -(eye.to_camera @ eye.origin))
    model = join([backdrop, *(actor.model for actor in actors)])
    owner = np.repeat(np.arange(len(actors) + 1), [len(backdrop), *(len(actor.model) for actor in actors)])

    surfaces = trace(model, camera, owner - 1)
    ground = _ground_depth(camera, eye.height)
    depth = np.minimum(surfaces.depth, ground)
    shape = np.where(surfaces.depth < ground, surfaces.shape, -1)
    instance = np.where(shape >= 0, owner[shape], 0).astype(np.int32)
    visible = np.bincount(instance.ravel(), minlength=len(actors) + 1)
    objects = tuple(
        _describe(actor, number, alone, int(visible[number]), camera)
        for number, (actor, alone) in enumerate(zip(actors, surfaces.alone, strict=True), start=1)
        if alone.any()
    )
    shadows = cast_shadows(model, owner > 0, eye.to_camera @ scene.light.to_sun, eye.height)
    color = _color(scene, eye, camera, model, shadows, shape, depth)
    image = _develop(color, scene.look, np.random.default_rng([scene.seed, round(time * 1000)]))
    return RenderedFrame(image, np.where(np.isfinite(depth), depth, np.nan).astype(np.float32), instance, objects)


@dataclass(frozen=True)
class _Eye:
    """Position (3,) of the camera in the world and its heading, radians from z towards x."""

    origin: Floats
    heading: float

    @property
    def height(self) -> float:
        """Above the ground, metres."""
        return -float(self.origin[1])

    @property
    def to_camera(self) -> Floats:
        """Rotation (3, 3) of directions from the world to the camera."""
        return rotation_about_vertical(self.heading).T


@dataclass(frozen=True)
class _PosedActor:
    """An actor at a time: its shapes and 3D box as in `RenderedObject`, in the camera's frame."""

    label: str
    model: Model
    dimensions: Floats
    location: Floats
    rotation_y: float

    def silhouette(self, camera: CameraIntrinsics) -> Floats | None:
        """Box (4,) around the whole projection, image points; None if no shape can be drawn."""
        boxes, drawn = silhouettes(self.model, camera)
        return np.concatenate([boxes[drawn, :2].min(axis=0), boxes[drawn, 2:].max(axis=0)]) if drawn.any() else None

    def in_view(self, camera: CameraIntrinsics) -> bool:
        """Whether the silhouette and the image overlap."""
        box = self.silhouette(camera)
        return box is not None and bool((box[:2] < (camera.width, camera.height)).all() and (box[2:] > 0).all())


def _pose(actor: Actor, scene: Scene, time: float, eye: _Eye) -> _PosedActor:
    body = actor.model(time)
    position, heading = actor.motion.at(scene.road, time)
    turn = eye.to_camera @ rotation_about_vertical(heading - np.pi / 2)
    shift = eye.to_camera @ (position - eye.origin)
    lowest, highest = body.bounds()
    # The middle of the bounds is not always the point that moves along the road.
    bottom_centre = np.array([(lowest[0] + highest[0]) / 2, highest[1], (lowest[2] + highest[2]) / 2])
    return _PosedActor(
        label=actor.label,
        model=body.moved(turn, shift),
        dimensions=(highest - lowest)[[1, 2, 0]],
        location=turn @ bottom_centre + shift,
        rotation_y=float(np.arctan2(-turn[2, 0], turn[0, 0])),
    )


def _ground_depth(camera: CameraIntrinsics, height: float) -> Floats:
    """Depth (H, W) of the ground plane under a camera at a height, metres; inf above the horizon."""
    down = (np.arange(camera.height) - camera.cy) / camera.fy
    rows = np.where(down > 0, height / np.where(down > 0, down, 1), np.inf)
    return np.repeat(rows[:, None], camera.width, axis=1)


def _describe(
    actor: _PosedActor, instance: int, alone: NDArray[np.bool_], visible: int, camera: CameraIntrinsics
) -> RenderedObject:
    """alone (H, W): the pixels that the actor covers if nothing hides it; visible: how many of them are visible."""
    whole = actor.silhouette(camera)
    assert whole is not None
    limits = (camera.width, camera.height, camera.width, camera.height)
    inside = np.clip(whole, 0, limits)
    # The highest point of a truncated object may be outside the image: then the covered pixels give the box.
    columns, rows = np.flatnonzero(alone.any(axis=0)), np.flatnonzero(alone.any(axis=1))
    covered = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    return RenderedObject(
        label=actor.label,
        instance=instance,
        box=np.where(np.abs(inside - covered) < 1, inside, covered) if (inside != whole).any() else whole,
        dimensions=actor.dimensions,
        location=actor.location,
        rotation_y=actor.rotation_y,
        truncation=float(1 - np.prod(inside[2:] - inside[:2]) / np.prod(whole[2:] - whole[:2])),
        visible_fraction=float(visible / alone.sum()),
    )


def _color(
    scene: Scene,
    eye: _Eye,
    camera: CameraIntrinsics,
    model: Model,
    shadows: ShadowMap,
    shape: NDArray[np.int32],
    depth: Floats,
) -> Floats:
    """Linear light (H, W, 3) from the visible shapes (H, W), -1 for ground and sky, at their depths (H, W)."""
    light, rays = scene.light, camera.pixel_rays().astype(np.float32)
    color = np.empty((*depth.shape, 3), dtype=np.float32)
    sky, solid = ~np.isfinite(depth), shape >= 0
    ground = ~sky & ~solid
    color[sky] = sky_color(light, rays[sky], shadows.to_sun, eye.heading)

    distance = depth[ground].astype(np.float32)
    points = rays[ground] * distance[:, None]
    reflectance = ground_reflectance(scene.road, points @ eye.to_camera + eye.origin, distance)
    normals = np.broadcast_to(np.array([0.0, -1.0, 0.0], dtype=np.float32), points.shape)
    color[ground] = illuminate(
        reflectance, normals, *(part[ground] for part in shadows.on_ground(camera)), light, shadows.to_sun
    )

    points = rays[solid] * depth[solid, None].astype(np.float32)
    color[solid] = shape_color(model, shape[solid], points, rays[solid], shadows, light, eye.heading)
    color[~sky] = add_haze(color[~sky], depth[~sky].astype(np.float32), light)
    return color


def _develop(color: Floats, look: CameraLook, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Image (H, W, 3), RGB, from linear light (H, W, 3)."""
    values = np.clip(color * look.exposure, 0, 1) ** (1 / 2.2)
    # Contrast must not make objects in the shade black.
    values = np.clip(np.maximum((values - 0.4) * look.contrast + 0.4, 0.4 * values), 0, 1)
    image = cv2.GaussianBlur((values * 255).astype(np.float32), (5, 5), look.blur)
    image += look.noise * generator.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
