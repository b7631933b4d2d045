"""Colour transforms against torchvision's formulas."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from mp_perception.data.color_transforms import (
    ColorJitter,
    Degrade,
    PermuteChannels,
    adjust_brightness_and_contrast,
    adjust_saturation_and_hue,
)
from mp_perception.data.samples import Sample


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def sample_of(image: np.ndarray) -> Sample:
    return Sample("x", "test", image, ("Car",))


def grey_of(image: np.ndarray) -> np.ndarray:
    return image @ np.array([0.299, 0.587, 0.114])


def test_brightness_scales_and_contrast_scales_differences_from_the_mean_grey(image: np.ndarray) -> None:
    brighter = np.clip(image * 1.2, 0, 255)
    mean = np.clip(np.rint(grey_of(image)) * 1.2, 0, 255).mean()
    expected = np.clip((brighter - mean) * 0.7 + mean, 0, 255)
    found = adjust_brightness_and_contrast(image, 1.2, 0.7)
    assert np.abs(found - expected).max() < 1.1


def test_saturation_scales_differences_from_grey(image: np.ndarray) -> None:
    expected = np.clip(1.3 * image - 0.3 * grey_of(image)[..., None], 0, 255)
    assert np.abs(adjust_saturation_and_hue(image, 1.3, 0) - expected).max() < 1.2


def test_hue_turns_the_colour_circle(image: np.ndarray) -> None:
    turned = adjust_saturation_and_hue(image, 1.0, 0.25)
    for before, after in zip(image.reshape(-1, 3) / 255, turned.reshape(-1, 3) / 255, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        # OpenCV's hue has steps of two degrees.
        expected = colorsys.hsv_to_rgb((hue + 0.25) % 1, saturation, value)
        assert np.abs(after - expected).max() < 0.03


def test_permutation_moves_whole_channels(image: np.ndarray) -> None:
    seen = set()
    for seed in range(60):
        found = PermuteChannels(1.0)(sample_of(image), np.random.default_rng(seed)).image
        order = tuple(
            int(np.flatnonzero([(found[..., i] == image[..., j]).all() for j in range(3)])[0]) for i in range(3)
        )
        seen.add(order)
    assert len(seen) == 6
    assert PermuteChannels(0.0)(sample_of(image), np.random.default_rng(0)).image is image


def test_degradation_stays_close_and_happens_as_often_as_asked() -> None:
    column = np.linspace(30, 220, 200).astype(np.uint8)
    smooth = np.repeat(np.repeat(column[None, :, None], 60, axis=0), 3, axis=2)
    changed = 0
    for seed in range(100):
        found = Degrade(0.3)(sample_of(smooth), np.random.default_rng(seed)).image
        changed += bool((found != smooth).any())
        assert np.abs(found.astype(int) - smooth).mean() < 8
    assert 50 <= changed <= 80  # 1 - 0.7^3 = 66 %
    assert (Degrade(0.0)(sample_of(smooth), np.random.default_rng(0)).image == smooth).all()


def test_a_sample_depends_on_its_seed_only_and_the_old_one_is_not_changed(image: np.ndarray) -> None:
    before = image.copy()
    jitter = ColorJitter(0.3, 0.3, 0.3, 0.1)
    results = [jitter(sample_of(image), np.random.default_rng(seed)).image for seed in (1, 1, 2)]
    assert (results[0] == results[1]).all()
    assert (results[0] != results[2]).any()
    assert (image == before).all()
