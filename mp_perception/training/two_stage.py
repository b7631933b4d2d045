"""The training step of the two-stage detector with which our network is compared."""

from __future__ import annotations

from torch import Tensor

from mp_perception.errors import UserError
from mp_perception.losses.weighting import FixedWeights
from mp_perception.network.faster_rcnn import FasterRcnnNetwork
from mp_perception.training.batch import Batch
from mp_perception.training.configuration import TrainingConfiguration
from mp_perception.training.module import MultiTaskTraining

#: The losses by torchvision's names.
LOSSES = ("loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg")


class TwoStageTraining(MultiTaskTraining):
    """Trains a FasterRcnnNetwork with torchvision's own losses; data, optimiser and validation are the same."""

    network: FasterRcnnNetwork

    def __init__(self, configuration: TrainingConfiguration) -> None:
        super().__init__(configuration)
        self.weighting = FixedWeights(dict.fromkeys(LOSSES, 1.0))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The sum of torchvision's losses.

        Raises UserError for a batch with an unlabelled class, which Faster R-CNN would learn as background, and for a
        loss that is not finite.
        """
        if not bool(batch.labelled_classes.all()):
            raise UserError(f"head 'faster_rcnn': expected data sets that label all classes, found {batch.origins}")
        return self.total_loss(dict(self.network.losses(batch.images, batch.boxes, batch.labels)), batch)
