"""Changes of an image's colours and sharpness; labels stay as they are.

Strengths are drawn from a NumPy generator, so that a sample depends on its seed only, and not on the library's state or
the number of loading processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mp_perception.arrays import RgbImage
from mp_perception.data.samples import Sample


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast and saturation by factors 1 - x .. 1 + x, hue by -hue .. hue of the colour circle.

    As torchvision's: brightness scales, contrast scales the difference from the image's mean grey, saturation from the
    pixel's grey.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        ranges = (self.brightness, self.contrast, self.saturation)
        brightness, contrast, saturation = (random.uniform(1 - limit, 1 + limit) for limit in ranges)
        turn = random.uniform(-self.hue, self.hue)
        image = adjust_brightness_and_contrast(sample.image, brightness, contrast)
        if self.saturation or self.hue:
            image = adjust_saturation_and_hue(image, saturation, turn)
        return replace(sample, image=image)


@dataclass(frozen=True)
class PermuteChannels:
    """A random order of the three colour channels with this probability (the paper's recipe)."""

    probability: float = 0.5

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        if random.random() >= self.probability:
            return sample
        return replace(sample, image=np.ascontiguousarray(sample.image[..., random.permutation(3)]))


@dataclass(frozen=True)
class Degrade:
    """Blur, sensor noise and JPEG artefacts, each with this probability, as strong as in usual cameras.

    Standard deviations are at most 1 pixel and 8 grey values, JPEG's quality is at least 40.
    """

    probability: float = 0.2

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        image = sample.image
        if random.random() < self.probability:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.0)), dtype=np.uint8)
        if random.random() < self.probability:
            noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(random.uniform(1, 8))
            image = np.clip(image + noise + 0.5, 0, 255).astype(np.uint8)
        if random.random() < self.probability:
            quality = int(random.integers(40, 96))
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert decoded is not None
            image = np.asarray(decoded[..., ::-1], dtype=np.uint8)
        return replace(sample, image=np.ascontiguousarray(image))


def adjust_brightness_and_contrast(image: RgbImage, brightness: float, contrast: float) -> RgbImage:
    """The image (H, W, 3) times `brightness`, then its difference from the mean grey times `contrast`."""
    values = np.clip(np.arange(256, dtype=np.float64) * brightness, 0, 255)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean = float(values[grey].mean())
    table = np.clip(np.rint((values - mean) * contrast + mean), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def adjust_saturation_and_hue(image: RgbImage, saturation: float, turn: float) -> RgbImage:
    """The image with each pixel's difference from its grey times `saturation`, hue turned by `turn` of the circle."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image = np.asarray(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0), dtype=np.uint8)
    steps = round(turn * 180)
    if steps % 180 == 0:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # OpenCV counts hue in steps of two degrees.
    hsv[..., 0] = cv2.LUT(hsv[..., 0], ((np.arange(256) + steps) % 180).astype(np.uint8))
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)
