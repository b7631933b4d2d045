"""Several data sets as one, in given proportions, so that each branch and each class learns from images that label it.

The samples depend on (seed, epoch, position) only: they are the same for any number of loading processes, and after a
training is resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mp_perception.data.augmentation import Transform
from mp_perception.data.frame_sets import FrameSet
from mp_perception.data.samples import Sample


@dataclass(frozen=True)
class Source:
    """A data set, and its weight (> 0): its number of samples is proportional to it."""

    data_set: FrameSet
    weight: float = 1.0


class MixedSamples:
    """Samples of several sources in a new order each epoch.

    Each source gives a part of samples_per_epoch in proportion to its weight, in random order; within an epoch all its
    frames are drawn before any of them is drawn again.  One of the transforms is drawn for every batch_size positions,
    because the samples of a batch have one size.
    The index is (epoch, position), so that the loading processes need not be told the epoch.
    Raises ValueError if there are no sources or a weight is not positive.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        transforms: Sequence[Transform],
        samples_per_epoch: int,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        if not sources or min(source.weight for source in sources) <= 0 or samples_per_epoch < 1:
            raise ValueError("expected at least one source, weights above 0 and at least one sample per epoch")
        self.sources = list(sources)
        self.samples_per_epoch = samples_per_epoch
        self._transforms = list(transforms)
        self._batch_size = batch_size
        self._seed = seed
        self._plan: tuple[int, NDArray[np.int64]] | None = None
        weights = np.array([source.weight for source in self.sources])
        # Largest remainders: whole numbers that add up.
        exact = weights / weights.sum() * samples_per_epoch
        self.counts = exact.astype(np.int64)
        missing = samples_per_epoch - self.counts.sum()
        self.counts[np.argsort(-(exact - self.counts), kind="stable")[:missing]] += 1

    def plan(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch, (samples_per_epoch, 2): number of the source, number of the frame in it."""
        if self._plan is None or self._plan[0] != epoch:
            random = np.random.default_rng([self._seed, epoch])
            parts = []
            for number, (source, count) in enumerate(zip(self.sources, self.counts, strict=True)):
                rounds = -(-int(count) // len(source.data_set))
                frames = [random.permutation(len(source.data_set)) for _ in range(rounds)]
                chosen = np.concatenate([*frames, np.zeros(0, dtype=np.int64)])[:count]
                parts.append(np.stack([np.full(count, number), chosen], axis=1))
            self._plan = epoch, random.permutation(np.concatenate(parts))
        return self._plan[1]

    def __len__(self) -> int:
        return self.samples_per_epoch

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The transformed sample at (epoch, position)."""
        epoch, position = key
        source, frame = self.plan(epoch)[position]
        # The third number makes these generators different from the plan's.
        of_batch = np.random.default_rng([self._seed, epoch, position // self._batch_size, 1])
        transform = self._transforms[of_batch.integers(len(self._transforms))]
        random = np.random.default_rng([self._seed, epoch, position])
        return transform(self.sources[source].data_set[int(frame)], random)
