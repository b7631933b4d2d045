"""Lens distortion against the models' published formulas, and at the edge of what a lens sees."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mp_perception.lens_distortion import LensDistortion

REAL = [
    LensDistortion("plumb_bob", (-0.35, 0.12, 0.002, -0.001, 0.01)),
    LensDistortion("plumb_bob", (-0.37, 0.2, 0.002, 0.001)),
    LensDistortion("rational_polynomial", (0.5, -2.5, 0.001, 0.0005, 1.5, 0.4, -2.3, 1.4)),
    LensDistortion("rational_polynomial", (0.5, -2.5, 0.001, 0.0005, 1.5, 0.4, -2.3, 1.4, 1e-3, 2e-3, -1e-3, 5e-4)),
    LensDistortion("equidistant", (-0.02, 0.01, -0.005, 0.001)),
]


def by_formula(lens: LensDistortion, x: float, y: float) -> tuple[float, float]:
    """The formulas of sensor_msgs/distortion_models: Brown's with OpenCV's denominator, and Kannala and Brandt's."""
    r = math.hypot(x, y)
    if lens.model == "equidistant":
        theta = math.atan(r)
        theta_d = theta * (1 + sum(k * theta ** (2 * n) for n, k in enumerate(lens.coefficients, 1)))
        return (x * theta_d / r, y * theta_d / r) if r else (0, 0)
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*lens.coefficients, *[0] * 12)[:12]
    radial = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2) + s1 * r**2 + s2 * r**4,
        y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y + s3 * r**2 + s4 * r**4,
    )


@pytest.mark.parametrize("lens", REAL)
@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_image_points_follow_the_formula_and_lead_back_to_their_rays(lens, x, y):
    point = lens.distort(np.array([[x, y]]))
    np.testing.assert_allclose(point[0], by_formula(lens, x, y), atol=1e-9)
    np.testing.assert_allclose(lens.undistort(point)[0], (x, y), atol=2e-4)


def test_what_a_lens_does_not_see_stays_outside_the_image():
    """x (1 - 0.35 x^2) is at most 0.6506, at x = 0.9759: the formula would bring back a ray of 1.5 to 0.32."""
    lens = LensDistortion("plumb_bob", (-0.35, 0.0, 0.0, 0.0, 0.0))
    points = lens.distort(np.array([[0.97, 0.0], [1.5, 0.0], [40.0, 0.0], [0.0, -1.5]]))
    np.testing.assert_allclose(points[0, 0], 0.6506, atol=1e-4)
    np.testing.assert_allclose(points[[1, 3]], np.array([[1.0, 0], [0, -1.0]]), atol=1e-3)
    assert points[2, 0] > 20
    rays = lens.undistort(np.array([[0.64, 0.0], [0.66, 0.0], [0.0, -5.0]]))
    assert 0.85 < rays[0, 0] < 0.9759
    assert np.isnan(rays[1:]).all()


def test_a_fisheye_of_more_than_half_a_sphere_has_rays_in_front_only():
    lens = LensDistortion("equidistant", (0.0, 0.0, 0.0, 0.0))
    rays = lens.undistort(np.array([[math.radians(60), 0], [0, math.radians(-80)], [math.radians(95), 0]]))
    np.testing.assert_allclose(rays[0], [math.tan(math.radians(60)), 0], rtol=1e-6)
    np.testing.assert_allclose(rays[1], [0, math.tan(math.radians(-80))], rtol=1e-6)
    assert np.isnan(rays[2]).all()


def test_no_points_are_no_points():
    for lens in REAL:
        assert lens.distort(np.zeros((0, 2))).shape == lens.undistort(np.zeros((0, 2))).shape == (0, 2)


def test_further_zeros_are_dropped():
    """Drivers of some cameras give five numbers for every model."""
    assert LensDistortion("equidistant", (0.1, 0.2, 0.3, 0.4, 0.0)).coefficients == (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(
    ("model", "coefficients", "message"),
    [
        ("thin_prism", (0.1,) * 5, "distortion_model: expected one of plumb_bob, rational_polynomial, equidistant"),
        ("", (0.1,) * 5, "found ''"),
        ("plumb_bob", (0.1, 0.2), "D: expected 4 or 5 coefficients of plumb_bob, found 2"),
        ("plumb_bob", (0.1,) * 8, "D: expected 4 or 5 coefficients of plumb_bob, found 8"),
        ("rational_polynomial", (0.1,) * 5, "D: expected 8 or 12 or 14 coefficients of rational_polynomial, found 5"),
        ("equidistant", (0.1,) * 5, "D: expected 4 coefficients of equidistant, found 5"),
        ("plumb_bob", (0.1, math.nan, 0, 0, 0), "D: expected finite numbers up to 10000, found"),
        ("plumb_bob", (0.1, -math.inf, 0, 0, 0), "D: expected finite numbers up to 10000, found"),
        ("plumb_bob", (0.1, 1e5, 0, 0, 0), "D: expected finite numbers up to 10000, found"),
    ],
)
def test_what_is_no_distortion_is_refused(model, coefficients, message):
    with pytest.raises(ValueError, match=message):
        LensDistortion(model, coefficients)
