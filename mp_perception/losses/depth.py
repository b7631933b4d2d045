"""Losses of the depth branch by name: the paper's loss and common alternatives.

All take a prediction and a target (B, 1, H, W) in metres and raise ValueError for other shapes.  A target pixel is
valid if it is finite and above 0; NaN means unknown.  All return a scalar in the target's precision, 0 with a gradient
of 0 if no pixel is valid.  It is a mean over the valid pixels of the batch, or per image where stated, so that sparse
lidar and dense maps give losses of the same order.

Losses on logarithms and reciprocals expect a bounded depth: for predictions that are not positive they are finite,
but their gradient is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align
from torchvision.transforms.functional import gaussian_blur

from mp_perception.errors import unknown_name
from mp_perception.geometry import CORE_FRACTION

#: Smallest depth whose logarithm is taken, metres.
_MIN_DEPTH = 1e-3
#: Added below the square root of the gradient's magnitude, (metres per pixel)^2: its derivative at 0 is infinite.
_MAGNITUDE_EPSILON = 1e-6

#: SSIM (Wang et al. 2004): Gaussian window, standard deviation in pixels, and the two stabilising constants.
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_K1 = 0.01
_SSIM_K2 = 0.03

#: The core is sampled on a grid of this many rows and columns at any size.
_CORE_GRID = 8

DepthLoss = Callable[[Tensor, Tensor], Tensor]


def l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The paper's equation (1): mean of |d - p| over the valid pixels, metres."""
    prediction, target, valid = _prepare(prediction, target)
    return _mean((target - prediction).abs(), valid)


def gradient_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The paper's equation (2): mean of (|grad d| - |grad p|)^2.

    |grad| = sqrt(gx^2 + gy^2) by 3x3 Sobel filters that are not normalised (1 2 1), the image zero-padded.  A pixel
    counts if its 3x3 neighbourhood inside the image is valid, which is rare in a single lidar scan.
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

    Over the valid pixels of each image, then the mean over images with valid pixels.
    weight: 0 gives the squared log error, 1 ignores a wrong scale; Eigen uses 0.5, later work 0.85.
    """
    prediction, target, valid = _prepare(prediction, target)
    errors = torch.where(valid, _log(prediction) - target.log(), 0)
    counts = valid.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    means = errors.sum(dim=(1, 2, 3), keepdim=True) / counts
    # Equal to eq. 4, without the difference of two large numbers.
    variances = torch.where(valid, (errors - means).square(), 0).sum(dim=(1, 2, 3), keepdim=True) / counts
    per_image = variances + (1 - weight) * means.square()
    return _mean(per_image, valid.any(dim=3, keepdim=True).any(dim=2, keepdim=True))


def log_l1_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of |log p - log d| over the valid pixels of each image, then over the images with valid pixels.

    For sparse lidar and metric depth: like rel and d1, it weighs errors by their ratio at any distance; outliers at
    object edges have no larger gradient than other pixels; and unlike the scale-invariant loss it penalises a wrong
    scale.  The mean is per image because a synthetic image with depth at every pixel would otherwise outweigh two
    images with lidar.
    """
    prediction, target, valid = _prepare(prediction, target)
    return _mean_over_images((_log(prediction) - target.log()).abs(), valid)


def dense_depth_loss(prediction: Tensor, target: Tensor, depth_range: tuple[float, float] = (1.0, 80.0)) -> Tensor:
    """DenseDepth's loss (Alhashim and Wonka 2018): 0.1 L1 + L1 of the image gradients + (1 - SSIM) / 2.

    All on reciprocal depth maximum / d, in 1..maximum / minimum.  Gradients are differences of neighbouring valid
    pixels.  SSIM's Gaussian window (11x11, sigma 1.5) around each valid pixel averages over its valid pixels only;
    pixels beyond the image's border are not valid.
    depth_range: (minimum, maximum), metres; nearer depth is clamped to the minimum.
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
        raise unknown_name("depth loss", name, sorted(DEPTH_LOSSES))
    return DEPTH_LOSSES[name]


def object_depth_loss(prediction: Tensor, boxes: Sequence[Tensor], depths: Sequence[Tensor]) -> Tensor:
    """A weak depth target from labelled objects, for images without lidar: mean over objects of |c - log d|.

    c is the interquartile mean of 8x8 samples of the predicted log depth in the core of the object's box: a quarter of
    the samples may lie on the background and another quarter on something in front.
    prediction: (B, 1, H, W) metres, > 0.  boxes: per image (M, 4), in pixels of the prediction's map.
    depths: per image (M,) metres, of the objects' visible surface, NaN where unknown.  Objects of unknown depth and
    objects whose core lies outside the map do not count.
    Returns a scalar; 0 if no object counts.  Raises ValueError for wrong shapes or counts.
    """
    _check_map(prediction, "prediction")
    if not len(boxes) == len(depths) == len(prediction):
        raise ValueError(f"expected boxes and depths of {len(prediction)} images, found {len(boxes)}, {len(depths)}")
    for i, (image_boxes, image_depths) in enumerate(zip(boxes, depths, strict=True)):
        if image_boxes.shape != (len(image_depths), 4) or image_depths.ndim != 1:
            shapes = f"{tuple(image_boxes.shape)}, {tuple(image_depths.shape)}"
            raise ValueError(f"image {i}: expected boxes (M, 4) and depths (M,), found {shapes}")
    # Half precision is too coarse for positions and logarithms, and roi_align needs one type.
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
    """The prediction in the target's precision, the target with 1 m where it is unknown, and the valid pixels.

    A NaN in the graph would make gradients NaN even where it is masked afterwards.
    """
    _check_map(prediction, "prediction")
    if prediction.shape != target.shape:
        raise ValueError(f"expected a target {tuple(prediction.shape)}, found {tuple(target.shape)}")
    valid = target.isfinite() & (target > 0)
    return prediction.to(target.dtype), torch.where(valid, target, 1), valid


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the valid values; 0, connected to the graph, if no value is valid."""
    total: Tensor = torch.where(valid, values, 0).sum() / valid.sum().clamp(min=1)
    return total


def _mean_over_images(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over images of the mean of their valid values; images without valid values do not count."""
    counts = valid.sum(dim=(1, 2, 3))
    means = torch.where(valid, values, 0).sum(dim=(1, 2, 3)) / counts.clamp(min=1)
    return _mean(means, counts > 0)


def _log(depth: Tensor) -> Tensor:
    return depth.clamp(min=_MIN_DEPTH).log()


def _gradient_magnitude(depth: Tensor) -> Tensor:
    """|grad| (B, 1, H, W) of equation (2), from slices because single-channel convolutions are slow on CPUs."""
    padded = functional.pad(depth, (1, 1, 1, 1))
    across = padded[..., 2:] - padded[..., :-2]
    smooth = padded[..., 2:] + 2 * padded[..., 1:-1] + padded[..., :-2]
    gradient_x = across[..., 2:, :] + 2 * across[..., 1:-1, :] + across[..., :-2, :]
    gradient_y = smooth[..., 2:, :] - smooth[..., :-2, :]
    return torch.sqrt(gradient_x.square() + gradient_y.square() + _MAGNITUDE_EPSILON)


def _structural_similarity(first: Tensor, second: Tensor, valid: Tensor, dynamic_range: float) -> Tensor:
    """SSIM (B, 1, H, W) of two maps over the valid pixels of each window; meaningless where a pixel is not valid."""
    weights = valid.to(first.dtype)
    total = _blur(weights).clamp(min=torch.finfo(first.dtype).tiny)

    def local_mean(values: Tensor) -> Tensor:
        return _blur(values * weights) / total

    mean_1, mean_2 = local_mean(first), local_mean(second)
    # Rounding can make a variance of 0 negative.
    variance_1 = (local_mean(first.square()) - mean_1.square()).clamp(min=0)
    variance_2 = (local_mean(second.square()) - mean_2.square()).clamp(min=0)
    covariance = local_mean(first * second) - mean_1 * mean_2
    c1, c2 = (_SSIM_K1 * dynamic_range) ** 2, (_SSIM_K2 * dynamic_range) ** 2
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    return luminance * (2 * covariance + c2) / (variance_1 + variance_2 + c2)


def _blur(maps: Tensor) -> Tensor:
    """Maps (B, 1, H, W) filtered with SSIM's Gaussian window, zero-padded."""
    border = _SSIM_WINDOW // 2
    # Autocast would multiply in half precision, too coarse for differences of squares.
    with torch.autocast(maps.device.type, enabled=False):
        padded = functional.pad(maps, (border,) * 4)
        blurred: Tensor = gaussian_blur(padded, [_SSIM_WINDOW] * 2, [_SSIM_SIGMA] * 2)
    return blurred[..., border:-border, border:-border]


def _cores(boxes: Tensor, width: int, height: int) -> Tensor:
    """The cores (M, 4) of boxes (M, 4), clipped to the map; x1 >= x2 or y1 >= y2 for cores outside the map."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half_sizes = (boxes[:, 2:] - boxes[:, :2]) * CORE_FRACTION / 2
    limits = boxes.new_tensor([width, height, width, height])
    cores = torch.cat([centres - half_sizes, centres + half_sizes], dim=1)
    return torch.minimum(cores.clamp(min=0), limits)
