"""Random transforms of whole samples, and the augmentation recipes that combine them.

The caller seeds the random generator.  Functions that move pixels are in sample_geometry, transforms of colours in
color_transforms, pasted people in cutouts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mp_perception.data.color_transforms import ColorJitter, Degrade, PermuteChannels
from mp_perception.data.cutouts import Cutouts, PasteCutouts
from mp_perception.data.sample_geometry import crop, flip, letterbox, pad, resize
from mp_perception.data.samples import Sample
from mp_perception.geometry import scaled_size

#: A sample and a random generator -> a new sample; the first is not changed.
Transform = Callable[[Sample, np.random.Generator], Sample]


@dataclass(frozen=True)
class Compose:
    """Transforms one after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        for transform in self.transforms:
            sample = transform(sample, random)
        return sample


@dataclass(frozen=True)
class RandomFlip:
    """The mirror image with this probability."""

    probability: float = 0.5

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        return flip(sample) if random.random() < self.probability else sample


@dataclass(frozen=True)
class Letterbox:
    """The network's input size (height, width): aspect ratio kept, in the top-left corner, as at inference."""

    input_size: tuple[int, int]

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        return letterbox(sample, self.input_size)


@dataclass(frozen=True)
class ScaleAndCrop:
    """The network's input size (height, width), with a random zoom.

    zoom: minimum and maximum factor on a scale between that of the letterbox, where all of the image is in the input,
    and that at which the image fills the input; they differ where the aspect ratios do.  Larger scales are more
    frequent, because smaller ones leave much of the input black.
    tilt: if the camera is known, its principal point keeps its row, as if the lens zoomed, up to this fraction of the
    input's height.  So a row of the road keeps its distance (times the focal length), which the network may learn.  If
    the camera is not known, the part is taken from anywhere.
    """

    input_size: tuple[int, int]
    zoom: tuple[float, float] = (0.85, 1.4)
    tilt: float = 0.04

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        height, width = sample.size
        zoom = np.exp(random.uniform(*np.log(self.zoom)))
        fitting = [limit / side for side, limit in zip(sample.size, self.input_size, strict=True)]
        usual_scale = float(min(fitting) * (max(fitting) / min(fitting)) ** np.sqrt(random.random()))
        scale = zoom * usual_scale
        part_height, part_width = (
            min(side, max(1, round(limit / scale))) for side, limit in zip(sample.size, self.input_size, strict=True)
        )
        top = int(random.integers(height - part_height + 1))
        left = int(random.integers(width - part_width + 1))
        new_height, new_width = scaled_size((part_height, part_width), scale, self.input_size)
        free_rows = 0
        if sample.intrinsics is not None:
            shift = random.uniform(-self.tilt, self.tilt) * self.input_size[0]
            row = sample.intrinsics.cy * usual_scale + shift
            top = int(np.clip(round(sample.intrinsics.cy - row / scale), 0, height - part_height))
            free_rows = int(np.clip(round(row - sample.intrinsics.cy * scale), 0, self.input_size[0] - new_height))
        part = crop(sample, left, top, part_width, part_height)
        return pad(resize(part, new_width, new_height), self.input_size[1], self.input_size[0], free_rows)


def plain_recipe(input_size: tuple[int, int]) -> Transform:
    """No augmentation: the image as in validation and at inference."""
    return Letterbox(input_size)


def paper_recipe(input_size: tuple[int, int]) -> Transform:
    """The paper's augmentation: flip, channel permutation, brightness and contrast by 0.25."""
    return Compose(
        (
            RandomFlip(0.5),
            Letterbox(input_size),
            PermuteChannels(0.5),
            ColorJitter(brightness=0.25, contrast=0.25),
        )
    )


def modern_recipe(input_size: tuple[int, int], cutouts: Cutouts | None = None) -> Transform:
    """Flip, zoom, colours, mild degradation, and pasted people."""
    pasting = () if cutouts is None else (PasteCutouts(cutouts),)
    return Compose(
        (
            *pasting,
            RandomFlip(0.5),
            ScaleAndCrop(input_size),
            ColorJitter(brightness=0.3, contrast=0.3, saturation=0.4, hue=0.03),
            PermuteChannels(0.05),
            Degrade(),
        )
    )


def camera_recipe(input_size: tuple[int, int]) -> Transform:
    """For one camera that stays where it is on its robot: flip, a slight zoom, colours, mild degradation."""
    return Compose(
        (
            RandomFlip(0.5),
            ScaleAndCrop(input_size, zoom=(0.95, 1.2), tilt=0.03),
            ColorJitter(brightness=0.3, contrast=0.3, saturation=0.4, hue=0.03),
            Degrade(),
        )
    )
