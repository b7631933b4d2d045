"""Draws a scene: image, exact depth, instances and labelled boxes.

Depth, instances and boxes come from one ray per pixel centre and are exact.  Only the colours are softened: at edges
they are the mean of the pixel's centre and its four corners; then come the camera's blur, noise and compression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.geometry import CameraIntrinsics
from mp_perception.synthetic.ground import Road, ground_color, ground_depth
from mp_perception.synthetic.raster import Surfaces, silhouettes, trace
from mp_perception.synthetic.scene import Actor, CameraLook, Light, Scene
from mp_perception.synthetic.shading import add_haze, illuminate, sky_color, surface_color
from mp_perception.synthetic.shadows import ContactShade, ShadowMap, cast_shadows, shade_ground
from mp_perception.synthetic.shapes import Floats, Model, join, rotation_about_vertical

#: The left colour camera of KITTI's recordings of 2011-09-26.
KITTI_CAMERA = CameraIntrinsics(fx=721.5377, fy=721.5377, cx=609.5593, cy=172.854, width=1242, height=375)

#: An object of which less than this share is seen counts as hidden: KITTI's annotators could not have drawn it.
HIDDEN_BELOW = 0.1


@dataclass(frozen=True)
class RenderedObject:
    """A labelled object that is at least partly in the image.

    label: class name.  instance: its number in `RenderedFrame.instance`.
    box (4,): x1 y1 x2 y2 around the part that lies in the image, also where something hides it; image points, so pixel
    i covers [i, i + 1).
    dimensions (3,): height, width, length, metres.  location (3,): bottom centre of the 3D box in the camera's frame,
    metres.  rotation_y: heading about the camera's y axis, -pi..pi, 0 faces right (KITTI's).
    truncation: share outside the image of the box around the whole object, 0..1.  visible_share: share of its pixels in
    the image that nothing hides.  occlusion: 0 for a visible share of at least 0.8, 1 of at least 0.4, 2 below, 3 if
    hidden.
    """

    label: str
    instance: int
    box: Floats
    dimensions: Floats
    location: Floats
    rotation_y: float
    truncation: float
    visible_share: float

    @property
    def occlusion(self) -> int:
        if self.visible_share < HIDDEN_BELOW:
            return 3
        return int(self.visible_share < 0.8) + int(self.visible_share < 0.4)


@dataclass(frozen=True)
class RenderedFrame:
    """What the camera sees.

    image (H, W, 3): RGB.  depth (H, W): metres along the optical axis, NaN for sky.  instance (H, W): number of the
    object seen, 0 for everything without label.  objects: all that cover at least one pixel if nothing hides them.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    instance: NDArray[np.int32]
    objects: tuple[RenderedObject, ...]


def render(scene: Scene, camera: CameraIntrinsics = KITTI_CAMERA, time: float = 0.0) -> RenderedFrame:
    """The scene as the camera sees it at a time, seconds.  The same arguments give the same bytes."""
    origin, heading = scene.ego.at(scene.road, time)
    # The camera's axes: z along the heading; this turns world directions into camera directions.
    to_camera = rotation_about_vertical(heading).T
    posed = [_pose(actor, scene.road, time, to_camera, origin) for actor in scene.actors]
    in_view = [actor for actor in posed if _in_view(actor.model, camera)]
    backdrop = scene.backdrop.moved(to_camera, -(to_camera @ origin))
    model = join([backdrop, *(actor.model for actor in in_view)])
    instance = np.repeat(np.arange(len(in_view) + 1), [len(backdrop), *(len(actor.model) for actor in in_view)])
    to_sun = (to_camera @ scene.light.to_sun).astype(np.float32)
    shadows = cast_shadows(model, to_sun, -origin[1])
    contact = shade_ground(model.take(instance > 0), -origin[1])
    eye = _Eye(scene, origin, heading, to_camera, model, shadows, contact)

    surfaces, depth = eye.look(camera, instance - 1)
    color = _soften_edges(eye, camera, eye.color(camera, surfaces, depth), surfaces)
    on_shape = surfaces.shape >= 0
    instance_map = np.where(on_shape, instance[np.where(on_shape, surfaces.shape, 0)], 0).astype(np.int32)
    visible = np.bincount(instance_map.ravel(), minlength=len(in_view) + 1)
    objects = [
        _describe(actor, number, alone, int(visible[number]), camera)
        for number, (actor, alone) in enumerate(zip(in_view, surfaces.alone, strict=True), start=1)
        if alone.any()
    ]
    generator = np.random.default_rng([scene.seed, round(time * 1000)])
    return RenderedFrame(
        _develop(color, scene.look, scene.light, generator),
        np.where(np.isfinite(depth), depth, np.nan).astype(np.float32),
        instance_map,
        tuple(objects),
    )


@dataclass(frozen=True)
class _Posed:
    """An actor at a time: its shapes, and its 3D box as `RenderedObject` describes it, in the camera's frame."""

    label: str
    model: Model
    dimensions: Floats
    location: Floats
    rotation_y: float


def _pose(actor: Actor, road: Road, time: float, to_camera: Floats, origin: Floats) -> _Posed:
    body = actor.body.model(time)
    position, heading = actor.motion.at(road, time)
    turn = to_camera @ rotation_about_vertical(heading - np.pi / 2)
    shift = to_camera @ (position - origin)
    lowest, highest = body.bounds()
    # Bounds are in the object's own frame: its middle need not be the point that moves along the road.
    middle = np.array([(lowest[0] + highest[0]) / 2, highest[1], (lowest[2] + highest[2]) / 2])
    length, height, width = highest - lowest
    return _Posed(
        label=actor.body.label,
        model=body.moved(turn, shift),
        dimensions=np.array([height, width, length]),
        location=turn @ middle + shift,
        rotation_y=float(np.arctan2(-turn[2, 0], turn[0, 0])),
    )


def _in_view(model: Model, camera: CameraIntrinsics) -> bool:
    boxes, drawn = silhouettes(model, camera)
    boxes = boxes[drawn]
    return len(boxes) > 0 and bool(
        boxes[:, 0].min() < camera.width
        and boxes[:, 2].max() > 0
        and boxes[:, 1].min() < camera.height
        and boxes[:, 3].max() > 0
    )


@dataclass(frozen=True)
class _Eye:
    """A scene seen from one place: what lies along rays, and in which colour."""

    scene: Scene
    origin: Floats
    heading: float
    to_camera: Floats
    model: Model
    shadows: ShadowMap
    contact: ContactShade

    def look(
        self, camera: CameraIntrinsics, group: NDArray[Any] | None = None, wanted: NDArray[np.bool_] | None = None
    ) -> tuple[Surfaces, Floats]:
        """Surfaces with the ground in front of what it hides, and depth (H, W): inf for sky.  Arguments as `trace`."""
        surfaces = trace(self.model, camera, group, wanted)
        depth = surfaces.depth
        horizon = max(0, int(np.floor(camera.cy)) + 1)
        if horizon < camera.height:
            directions = camera.pixel_rays()[horizon:] @ self.to_camera
            ground = ground_depth(self.scene.road, self.origin, directions)
            nearer = ground < depth[horizon:]
            depth = depth.copy()
            depth[horizon:][nearer] = ground[nearer]
            shape = surfaces.shape.copy()
            shape[horizon:][nearer] = -1
            surfaces = replace(surfaces, shape=shape, depth=depth)
        return surfaces, depth

    def color(
        self, camera: CameraIntrinsics, surfaces: Surfaces, depth: Floats, wanted: NDArray[np.bool_] | None = None
    ) -> Floats:
        """Linear light (H, W, 3); 0 where it is not wanted."""
        if wanted is None:
            wanted = np.ones(depth.shape, dtype=bool)
        rays = camera.pixel_rays()[wanted].astype(np.float32)
        result = np.zeros((*depth.shape, 3), dtype=np.float32)
        result[wanted] = self._color_along(rays, surfaces.shape[wanted], depth[wanted].astype(np.float32))
        return result

    def _color_along(self, rays: Floats, shape: NDArray[Any], distance: Floats) -> Floats:
        """Linear light (N, 3) along rays (N, 3) that meet shapes (N,), -1 for the ground, at distances (N,)."""
        light = self.scene.light
        color = np.empty((len(shape), 3), dtype=np.float32)
        sky = ~np.isfinite(distance)
        color[sky] = sky_color(light, rays[sky], self.heading)
        ground = np.flatnonzero(~sky & (shape < 0))
        points = rays[ground] * distance[ground, None]
        reflectance = ground_color(
            self.scene.road, (points @ self.to_camera + self.origin).astype(np.float32), distance[ground]
        )
        upright = np.tile(np.array([0.0, -1.0, 0.0], dtype=np.float32), (len(ground), 1))
        lit = self.shadows.lit(points, on_ground=True)
        darkness = 0.75 * self.contact.at(points)
        color[ground] = illuminate(reflectance, upright, lit, light, self.shadows.to_sun, darkness=darkness)
        if light.wetness > 0:
            # A wet road mirrors the sky at flat angles.
            flat = (0.45 * light.wetness * np.exp(-np.abs(points[:, 1]) / points[:, 2] * 5))[:, None]
            color[ground] = color[ground] * (1 - 0.3 * light.wetness) * (1 - flat) + 0.8 * light.sky * flat
        solid = np.flatnonzero(shape >= 0)
        points = rays[solid] * distance[solid, None]
        color[solid] = surface_color(self.model, shape[solid], points, rays[solid], self.shadows, light, self.heading)
        near = ~sky
        color[near] = add_haze(color[near], distance[near], light)
        return color


def _soften_edges(eye: _Eye, camera: CameraIntrinsics, color: Floats, surfaces: Surfaces) -> Floats:
    """The colours (H, W, 3) with the pixels at edges averaged over their centre (half) and corners (an eighth each)."""
    grey = np.sqrt(np.clip(color[..., 1], 0, 1.2))
    edge = np.zeros(grey.shape, dtype=bool)
    for axis in (0, 1):
        change = (np.abs(np.diff(grey, axis=axis)) > 0.07) | (np.diff(surfaces.shape, axis=axis) != 0)
        low, high = (slice(None, -1), slice(1, None))
        edge[(slice(None),) * axis + (low,)] |= change
        edge[(slice(None),) * axis + (high,)] |= change
    # The pixels' corners are the pixel centres of a camera shifted by half a pixel.
    corner_camera = replace(
        camera, cx=camera.cx + 0.5, cy=camera.cy + 0.5, width=camera.width + 1, height=camera.height + 1
    )
    wanted = np.zeros((camera.height + 1, camera.width + 1), dtype=bool)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            wanted[rows, columns] |= edge
    corners = eye.color(corner_camera, *eye.look(corner_camera, None, wanted), wanted)
    mean = corners[:-1, :-1] + corners[:-1, 1:] + corners[1:, :-1] + corners[1:, 1:]
    return np.where(edge[..., None], 0.5 * color + 0.125 * mean, color)


def _describe(
    actor: _Posed, instance: int, alone: NDArray[np.bool_], visible: int, camera: CameraIntrinsics
) -> RenderedObject:
    """alone (H, W): the pixels that the actor covers if nothing hides it; visible: how many of them are seen."""
    boxes, drawn = silhouettes(actor.model, camera)
    left_top, right_bottom = boxes[drawn, :2].min(axis=0), boxes[drawn, 2:].max(axis=0)
    limits = np.array([camera.width, camera.height], dtype=np.float64)
    clipped = np.concatenate([np.clip(left_top, 0, limits), np.clip(right_bottom, 0, limits)])
    inside = np.prod(clipped[2:] - clipped[:2])
    # What sticks out highest may lie outside the image: then the part inside, to a pixel, is lower.
    columns, rows = np.flatnonzero(alone.any(axis=0)), np.flatnonzero(alone.any(axis=1))
    covered = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    whole = (left_top >= 0).all() and (right_bottom <= limits).all()
    box = clipped if whole else np.where(np.abs(clipped - covered) < 1, clipped, covered)
    return RenderedObject(
        label=actor.label,
        instance=instance,
        box=box,
        dimensions=actor.dimensions,
        location=actor.location,
        rotation_y=actor.rotation_y,
        truncation=float(np.clip(1 - inside / np.prod(right_bottom - left_top), 0, 1)),
        visible_share=float(visible / alone.sum()),
    )


def _develop(color: Floats, look: CameraLook, light: Light, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Image (H, W, 3), RGB, from linear light (H, W, 3): exposure, curve, rain, blur, noise, JPEG."""
    exposed = np.clip(color * look.exposure * np.array(look.balance), 0, None)
    values = np.clip(exposed, 0, 1) ** (1 / 2.2)
    # Contrast must not swallow what stands in the shade.
    steeper = np.maximum((values - 0.4) * look.contrast + 0.4, 0.4 * values)
    image = (np.clip(steeper, 0, 1) * 255).astype(np.float32)
    if light.wetness > 0:
        image = _draw_rain(image, generator)
    if look.blur > 0.2:
        image = cv2.GaussianBlur(image, (5, 5), look.blur)
    grain = generator.standard_normal(image.shape, dtype=np.float32)
    developed = np.clip(np.round(image + look.noise * grain), 0, 255).astype(np.uint8)
    if look.jpeg_quality:
        _, encoded = cv2.imencode(".jpg", developed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None
        developed = decoded[..., ::-1]
    return np.ascontiguousarray(developed)


def _draw_rain(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    streaks = np.zeros((height, width), dtype=np.float32)
    for _ in range(int(width * height / 1500)):
        x, y = int(generator.integers(width)), int(generator.integers(height))
        length = int(generator.integers(4, 16))
        cv2.line(streaks, (x, y), (x + length // 6, y + length), float(generator.uniform(5, 22)), 1, cv2.LINE_AA)
    return image + streaks[..., None]
