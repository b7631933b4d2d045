"""Losses of the detection branch: the paper's equations (3) and (4), and the focal loss as an alternative to (3).

All are sums over default boxes divided by the number of positives (boxes matched with an object) in the batch, as in
SSD; unknown default boxes do not count.

Partial labels.  In a data set that does not label a class, background means "background or an unlabelled class".  With
logits z, 0 the background, L the classes that the image's data set labels and U the others, the loss of a default box
is

    positive of class c in L:   -log( exp z_c / (exp z_0 + sum_L exp z_l) )
    background:                 -log( (exp z_0 + sum_U exp z_u) / (exp z_0 + sum_U exp z_u + sum_L exp z_l) )

where z_u is treated as a constant.  So a class learns only from the sets that label it, a default box that the network
classifies as an unlabelled class is not pushed towards the background, and both are the usual cross entropy where all
classes are labelled.  (Positives exclude U because a set without a class often assigns its objects to another one, such
as vans to cars.)  An image without labelled classes does not count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mp_perception.errors import unknown_name
from mp_perception.network.matching import MatchedTargets

#: Background default boxes per positive (SSD, section 2.2).
NEGATIVES_PER_POSITIVE = 3
#: Weight of positives (1 - weight for the background) and exponent (Lin et al. 2017, section 5.1).
_FOCAL_ALPHA = 0.25
_FOCAL_GAMMA = 2.0

#: (class_logits, targets, labelled) -> scalar, as `hard_negatives_loss`.
ClassificationLoss = Callable[[Tensor, MatchedTargets, Tensor], Tensor]


def hard_negatives_loss(class_logits: Tensor, targets: MatchedTargets, labelled: Tensor) -> Tensor:
    """The paper's equation (3): cross entropy over positives and, per image, three times as many background boxes.

    The background boxes with the highest loss are selected; an image without objects does not contribute, as in SSD.
    class_logits: (B, N, 1 + C).  labelled: (B, C) bool, the classes that the image's data set labels.
    Returns a scalar; 0 without positives.  Raises ValueError for wrong shapes or an object of an unlabelled class.
    """
    positive, background = _roles(class_logits, targets, labelled)
    background_losses = _background_losses(class_logits, labelled)
    wanted = NEGATIVES_PER_POSITIVE * positive.sum(dim=1, keepdim=True)
    most = min(int(wanted.max()), positive.shape[1])
    candidates = torch.where(background, background_losses, -torch.inf)
    hardest = candidates.topk(most, dim=1).values
    chosen = (torch.arange(most, device=wanted.device) < wanted) & (hardest > -torch.inf)
    total = _positive_losses(class_logits, targets.classes, labelled, positive).sum()
    return (total + torch.where(chosen, hardest, 0).sum()) / positive.sum().clamp(min=1)


def focal_loss(class_logits: Tensor, targets: MatchedTargets, labelled: Tensor) -> Tensor:
    """Focal loss (Lin et al. 2017) on the softmax: weight * (1 - q)^2 * -log q over all known default boxes.

    q is the probability in the logarithm of the module's equations; the weight is 0.25 for positives and 0.75 for the
    background.  Images without objects contribute too.
    Arguments and errors as in `hard_negatives_loss`; without positives the sum is divided by 1.
    """
    positive, background = _roles(class_logits, targets, labelled)
    positive_losses = _positive_losses(class_logits, targets.classes, labelled, positive)
    background_losses = torch.where(background, _background_losses(class_logits, labelled), 0)
    total = _FOCAL_ALPHA * _focus(positive_losses).sum() + (1 - _FOCAL_ALPHA) * _focus(background_losses).sum()
    return total / positive.sum().clamp(min=1)


#: Classification losses by name.
CLASSIFICATION_LOSSES: dict[str, ClassificationLoss] = {"hard_negatives": hard_negatives_loss, "focal": focal_loss}


def find_classification_loss(name: str) -> ClassificationLoss:
    """A registered classification loss; raises UserError that lists the known names."""
    if name not in CLASSIFICATION_LOSSES:
        raise unknown_name("classification loss", name, sorted(CLASSIFICATION_LOSSES))
    return CLASSIFICATION_LOSSES[name]


def smooth_l1_loss(box_offsets: Tensor, targets: MatchedTargets) -> Tensor:
    """The paper's equation (4): smooth L1 of the four offsets (B, N, 4) of the positives, summed over the four.

    Positives without exact boxes (NaN) do not count.
    Returns a scalar; 0 without positives.  Raises ValueError for wrong shapes.
    """
    if box_offsets.shape != targets.offsets.shape:
        raise ValueError(f"expected box offsets {tuple(targets.offsets.shape)}, found {tuple(box_offsets.shape)}")
    positive = (targets.classes > 0) & ~targets.offsets.isnan().any(dim=2)
    wanted = targets.offsets[positive]
    found = box_offsets[positive].to(wanted.dtype)
    return functional.smooth_l1_loss(found, wanted, reduction="sum") / max(1, len(wanted))


def _roles(class_logits: Tensor, targets: MatchedTargets, labelled: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, N) of the positives, and of the default boxes that are known to hold no object of a labelled class."""
    if class_logits.ndim != 3 or class_logits.shape[:2] != targets.classes.shape:
        shape = tuple(targets.classes.shape)
        raise ValueError(
            f"expected class logits (B, N, 1 + C) with (B, N) = {shape}, found {tuple(class_logits.shape)}"
        )
    num_images, _, num_logits = class_logits.shape
    if labelled.shape != (num_images, num_logits - 1) or labelled.dtype != torch.bool:
        expected = f"({num_images}, {num_logits - 1})"
        raise ValueError(f"expected labelled classes {expected} bool, found {tuple(labelled.shape)} {labelled.dtype}")
    positive = targets.classes > 0
    images, boxes = positive.nonzero(as_tuple=True)
    classes = targets.classes[images, boxes]
    if (classes >= num_logits).any() or not labelled[images, classes - 1].all():
        raise ValueError("a default box is matched with an object of a class that its image does not label")
    return positive, ~positive & ~targets.unknown


def _positive_losses(class_logits: Tensor, classes: Tensor, labelled: Tensor, positive: Tensor) -> Tensor:
    """Losses (n,) of the positives."""
    images = positive.nonzero()[:, 0]
    takes_part = functional.pad(labelled, (1, 0), value=True)[images]
    logits = class_logits[positive].float() if class_logits.dtype != torch.float64 else class_logits[positive]
    return functional.cross_entropy(logits.masked_fill(~takes_part, -torch.inf), classes[positive], reduction="none")


def _background_losses(class_logits: Tensor, labelled: Tensor) -> Tensor:
    """The loss (B, N) of each default box as background; 0 in images without a labelled class.

    -log(b / (b + l)) = softplus(log l - log b), which is precise where the loss is small.
    """
    logits = class_logits if class_logits.dtype == torch.float64 else class_logits.float()
    takes_part = functional.pad(labelled, (1, 0), value=True)[:, None]
    logits = torch.where(takes_part, logits, logits.detach())
    is_labelled = functional.pad(labelled, (1, 0), value=False)[:, None]
    labelled_sum = logits.masked_fill(~is_labelled, -torch.inf).logsumexp(dim=2)
    background_sum = logits.masked_fill(is_labelled, -torch.inf).logsumexp(dim=2)
    return functional.softplus(labelled_sum - background_sum)


def _focus(losses: Tensor) -> Tensor:
    """(1 - q)^gamma * -log q from -log q."""
    return (-torch.expm1(-losses)) ** _FOCAL_GAMMA * losses
