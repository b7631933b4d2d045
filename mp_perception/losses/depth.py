"""Losses of the depth branch, selectable by name: the paper's, and those of the field beside it.

All take a prediction and a target (B, 1, H, W) of the same size, metres.  A target pixel is valid if it is finite and
above 0; NaN means unknown.  All return a scalar in the target's precision: a mean over what is valid in the batch, or
image by image where it says so, so that sparse lidar and filled maps give figures of the same order; it is 0, with a
gradient of 0, if nothing is valid.
All raise ValueError for other shapes.

Losses on logarithms and reciprocals suppose a bounded depth: where a prediction is not positive they stay finite,
but cannot tell it where to go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align

from mp_perception.errors import UserError

#: Smallest depth whose logarithm is taken, metres.
_MIN_DEPTH = 1e-3
#: Under the square root of the gradient's magnitude, (metres per pixel)^2: its derivative at 0 would be infinite.
_MAGNITUDE_EPSILON = 1e-6

#: SSIM (Wang et al. 2004): Gaussian window, standard deviation in pixels, and the two stabilising constants.
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_K1 = 0.01
_SSIM_K2 = 0.03

#: The core of a box, as a share of its width and height: where `inference.object_depth` measures.
CORE_SHARE = 0.5
#: The core is sampled on a grid of this many rows and columns, whatever its size.
_CORE_GRID = 8

DepthLoss = Callable[[Tensor, Tensor], Tensor]


def l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The paper's equation (1): mean of |d - p| over valid pixels, metres."""
    prediction, target, valid = _prepare(prediction, target)
    return _mean((target - prediction).abs(), valid)


def gradient_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The paper's equation (2): mean of (|grad d| - |grad p|)^2.

    |grad| = sqrt(gx^2 + gy^2) by 3x3 Sobel filters that are not normalised (1 2 1), the image zero-padded.  A pixel
    counts if all of its 3x3 neighbourhood inside the image is valid, so a single lidar scan hardly has any that do.
    """
    prediction, target, valid = _prepare(prediction, target)
    near_invalid = functional.max_pool2d((~valid).to(target.dtype), kernel_size=3, stride=1, padding=1) > 0
    errors = _gradient_magnitude(target) - _gradient_magnitude(prediction)
    return _mean(errors.square(), ~near_invalid)


def paper_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The paper's depth loss: equations (1) and (2) with equal weights."""
    return l1_loss(prediction, target) + gradient_loss(prediction, target)


def scale_invariant_log_loss(prediction: Tensor, target: Tensor, weight: float = 0.85) -> Tensor:
    """Scale-invariant log error (Eigen et al. 2014, eq. 4): mean(e^2) - weight * mean(e)^2 with e = log p - log d.

    Over the valid pixels of each image, then the mean over images that have any: a scale is a property of an image.
    weight: 0 is the squared log error, 1 forgives any scale; Eigen trains with 0.5, the field since with 0.85.
    """
    prediction, target, valid = _prepare(prediction, target)
    errors = torch.where(valid, _log(prediction) - target.log(), 0)
    counts = valid.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    means = errors.sum(dim=(1, 2, 3), keepdim=True) / counts
    # The same as in eq. 4, without the difference of two large numbers.
    variances = torch.where(valid, (errors - means).square(), 0).sum(dim=(1, 2, 3), keepdim=True) / counts
    per_image = variances + (1 - weight) * means.square()
    return _mean(per_image, valid.any(dim=3, keepdim=True).any(dim=2, keepdim=True))


def log_l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of |log p - log d| over the valid pixels of each image, then over the images that have any.

    For sparse lidar and metric depth: an error counts by its ratio, as in rel and the shares below 1.25, at any
    distance; a wrong point at an object's edge pulls no harder than others; and unlike the scale-invariant loss it
    forgives no scale.  Image by image, because a synthetic scene with depth at every pixel would otherwise
    outweigh two images with a lidar scan.
    """
    prediction, target, valid = _prepare(prediction, target)
    return _mean_over_images((_log(prediction) - target.log()).abs(), valid)


def dense_depth_loss(prediction: Tensor, target: Tensor, depth_range: tuple[float, float] = (1.0, 80.0)) -> Tensor:
    """DenseDepth's loss (Alhashim and Wonka 2018): 0.1 L1 + L1 of the image gradients + (1 - SSIM) / 2.

    All on reciprocal depth maximum / d, which lies in 1..maximum / minimum; depth_range: (minimum, maximum), metres,
    what is nearer counts as the minimum.  Gradients are differences of neighbours, where both are valid.  SSIM's
    Gaussian window (11x11, sigma 1.5) around each valid pixel takes in its valid pixels only, those beyond the
    image's border being as unknown as any other; a filled map gives the usual SSIM but for five pixels at the border.
    """
    prediction, target, valid = _prepare(prediction, target)
    nearest, farthest = depth_range
    reciprocal_prediction = farthest / prediction.clamp(min=nearest)
    reciprocal_target = farthest / target.clamp(min=nearest)
    errors = reciprocal_prediction - reciprocal_target
    across = _mean((errors[..., 1:] - errors[..., :-1]).abs(), valid[..., 1:] & valid[..., :-1])
    down = _mean((errors[..., 1:, :] - errors[..., :-1, :]).abs(), valid[..., 1:, :] & valid[..., :-1, :])
    similarity = _structural_similarity(reciprocal_prediction, reciprocal_target, valid, farthest / nearest)
    dissimilarity = ((1 - similarity) / 2).clamp(0, 1)
    return 0.1 * _mean(errors.abs(), valid) + across + down + _mean(dissimilarity, valid)


#: Dense losses by name.
DEPTH_LOSSES: dict[str, DepthLoss] = {
    "paper": paper_loss,
    "l1": l1_loss,
    "scale_invariant_log": scale_invariant_log_loss,
    "log_l1": log_l1_loss,
    "dense_depth": dense_depth_loss,
}


def find_depth_loss(name: str) -> DepthLoss:
    """A registered dense loss; raises UserError that lists the known names."""
    if name not in DEPTH_LOSSES:
        raise UserError(f"unknown depth loss '{name}': expected one of {', '.join(sorted(DEPTH_LOSSES))}")
    return DEPTH_LOSSES[name]


def object_depth_loss(prediction: Tensor, boxes: Sequence[Tensor], depths: Sequence[Tensor]) -> Tensor:
    """A weak depth target from labelled objects, for images without lidar: mean over objects of |c - log d|.

    c is the robust centre of the predicted log depth in the core of the object's box: the mean of the middle half of
    8x8 samples, so a quarter of them may see the background and another quarter something in front.
    prediction: (B, 1, H, W) metres, > 0.  boxes: per image (M, 4), in pixels of the prediction's map.
    depths: per image (M,) metres, of the objects' visible surface; NaN where unknown, and such objects take no part,
    nor do those whose core lies outside the map.
    Returns a scalar; 0 if no object takes part.  Raises ValueError for wrong shapes or counts.
    """
    _check_map(prediction, "prediction")
    if not len(boxes) == len(depths) == len(prediction):
        raise ValueError(f"expected boxes and depths of {len(prediction)} images, found {len(boxes)}, {len(depths)}")
    for i, (image_boxes, image_depths) in enumerate(zip(boxes, depths, strict=True)):
        if image_boxes.shape != (len(image_depths), 4) or image_depths.ndim != 1:
            shapes = f"{tuple(image_boxes.shape)}, {tuple(image_depths.shape)}"
            raise ValueError(f"image {i}: expected boxes (M, 4) and depths (M,), found {shapes}")
    # Half precision is too coarse for positions and logarithms, and the sampling needs one type.
    precise = prediction if prediction.dtype == torch.float64 else prediction.float()
    targets = torch.cat(list(depths)).to(precise)
    images = torch.repeat_interleave(torch.tensor([len(image) for image in depths])).to(precise)
    cores = _cores(torch.cat(list(boxes)).to(precise), prediction.shape[3], prediction.shape[2])
    known = targets.isfinite() & (targets > 0) & (cores[:, 2:] > cores[:, :2]).all(dim=1)
    regions = torch.cat([images[:, None], cores], dim=1)[known]
    samples: Tensor = roi_align(_log(precise), regions, output_size=_CORE_GRID, sampling_ratio=1, aligned=True)
    ordered = samples.flatten(start_dim=1).sort(dim=1).values
    quarter = _CORE_GRID**2 // 4
    centres = ordered[:, quarter:-quarter].mean(dim=1)
    total = (centres - targets[known].log()).abs().sum()
    return total / known.sum().clamp(min=1)


def _check_map(depth: Tensor, name: str) -> None:
    """Raises ValueError unless depth is (B, 1, H, W)."""
    if depth.ndim != 4 or depth.shape[1] != 1:
        raise ValueError(f"expected a {name} (B, 1, H, W), found {tuple(depth.shape)}")


def _prepare(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The prediction in the target's precision, the target with 1 m where it is unknown, and where it is valid.

    No NaN may enter a graph, even where it is masked afterwards: its gradient would be NaN times 0.
    """
    _check_map(prediction, "prediction")
    if prediction.shape != target.shape:
        raise ValueError(f"expected a target {tuple(prediction.shape)}, found {tuple(target.shape)}")
    valid = target.isfinite() & (target > 0)
    return prediction.to(target.dtype), torch.where(valid, target, 1), valid


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the valid values; 0, with a graph, if there are none."""
    total: Tensor = torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)
    return total


def _mean_over_images(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over images of the mean of their valid values; images without any do not count."""
    counts = valid.sum(dim=(1, 2, 3))
    means = torch.where(valid, values, 0).sum(dim=(1, 2, 3)) / counts.clamp(min=1)
    return _mean(means, counts > 0)


def _log(depth: Tensor) -> Tensor:
    return depth.clamp(min=_MIN_DEPTH).log()


def _gradient_magnitude(depth: Tensor) -> Tensor:
    """|grad| (B, 1, H, W) of equation (2).  Differences of slices: a convolution of one channel is slow on a CPU."""
    padded = functional.pad(depth, (1, 1, 1, 1))
    across = padded[..., 2:] - padded[..., :-2]
    smooth = padded[..., 2:] + 2 * padded[..., 1:-1] + padded[..., :-2]
    gradient_x = across[..., 2:, :] + 2 * across[..., 1:-1, :] + across[..., :-2, :]
    gradient_y = smooth[..., 2:, :] - smooth[..., :-2, :]
    return torch.sqrt(gradient_x.square() + gradient_y.square() + _MAGNITUDE_EPSILON)


def _structural_similarity(first: Tensor, second: Tensor, valid: Tensor, dynamic_range: float) -> Tensor:
    """SSIM (B, 1, H, W) of two maps over the valid pixels of each window; without meaning where valid is false."""
    weights = valid.to(first.dtype)
    total = _blur(weights).clamp(min=torch.finfo(first.dtype).tiny)

    def local_mean(values: Tensor) -> Tensor:
        return _blur(values * weights) / total

    mean_1, mean_2 = local_mean(first), local_mean(second)
    # Rounding may bring a variance of 0 below it.
    variance_1 = (local_mean(first.square()) - mean_1.square()).clamp(min=0)
    variance_2 = (local_mean(second.square()) - mean_2.square()).clamp(min=0)
    covariance = local_mean(first * second) - mean_1 * mean_2
    c1, c2 = (_SSIM_K1 * dynamic_range) ** 2, (_SSIM_K2 * dynamic_range) ** 2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    return luminance * (2 * covariance + c2) / (variance_1 + variance_2 + c2)


def _blur(maps: Tensor) -> Tensor:
    """Maps (..., H, W) under SSIM's Gaussian window, zero-padded.

    As products with banded matrices, ten times as fast on a CPU as convolutions of one channel.
    """
    height, width = maps.shape[-2:]
    # Autocast would multiply in half precision, too coarse for differences of squares.
    with torch.autocast(maps.device.type, enabled=False):
        return torch.matmul(_gaussian_band(height, maps), torch.matmul(maps, _gaussian_band(width, maps)))


def _gaussian_band(size: int, like: Tensor) -> Tensor:
    """(size, size) matrix whose row i is SSIM's window around i, cut at the ends; local_mean divides by its sum."""
    positions = torch.arange(size, dtype=like.dtype, device=like.device)
    distances = (positions[:, None] - positions).abs()
    return torch.exp(-distances.square() / (2 * _SSIM_SIGMA**2)) * (distances <= _SSIM_WINDOW // 2)


def _cores(boxes: Tensor, width: int, height: int) -> Tensor:
    """The cores (M, 4) of boxes (M, 4), cut to the map; x1 >= x2 or y1 >= y2 where nothing is left."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half_sizes = (boxes[:, 2:] - boxes[:, :2]) * CORE_SHARE / 2
    limits = boxes.new_tensor([width, height, width, height])
    cores = torch.cat([centres - half_sizes, centres + half_sizes], dim=1)
    return torch.minimum(cores.clamp(min=0), limits)
