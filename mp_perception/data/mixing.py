"""Several data sets as one, in shares, so that each branch and each class learns from the images that label it.

What is drawn depends on (seed, epoch, position) alone: the same for any number of loading processes, and after a
resumed training.
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
    """A data set, and how often its samples are drawn relative to the other sources' shares (> 0)."""

    data_set: FrameSet
    share: float = 1.0


class MixedSamples:
    """Samples of several sources in a new order each epoch.

    samples_per_epoch: how many an epoch has.  Each source gives its share of them, to within one sample, in random
    order; it is gone through whole before anything in it is drawn again within an epoch.
    An item is asked for by (epoch, position), so that nobody has to tell the loading processes which epoch it is.
    Raises ValueError without sources or with a share that is not positive.
    """

    def __init__(self, sources: Sequence[Source], transform: Transform, samples_per_epoch: int, seed: int = 0) -> None:
        if not sources or min(source.share for source in sources) <= 0 or samples_per_epoch < 1:
            raise ValueError("expected at least one source, shares above 0 and at least one sample per epoch")
        self.sources = list(sources)
        self.samples_per_epoch = samples_per_epoch
        self._transform = transform
        self._seed = seed
        self._plan: tuple[int, NDArray[np.int64]] | None = None
        shares = np.array([source.share for source in self.sources])
        # Largest remainders: whole numbers that add up.
        exact = shares / shares.sum() * samples_per_epoch
        self.counts = exact.astype(np.int64)
        missing = samples_per_epoch - self.counts.sum()
        self.counts[np.argsort(-(exact - self.counts), kind="stable")[:missing]] += 1

    def plan(self, epoch: int) -> NDArray[np.int64]:
        """What an epoch draws: (samples_per_epoch, 2), the source's number and the frame's in it."""
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
        # A third number sets this generator apart from the plan's.
        random = np.random.default_rng([self._seed, epoch, position])
        return self._transform(self.sources[source].data_set[int(frame)], random)
