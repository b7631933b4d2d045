"""When a task's own parameters are updated: once enough images with its labels were seen (UberNet, Kokkinos 2017).

With partial labels a batch holds few or no labels of some task.  A step from those few would be noisy, so gradients
are gathered until they come from enough images.
"""

from __future__ import annotations

from collections.abc import Mapping


class UpdateSchedule:
    """Counts labelled images by task.

    images_per_update: task -> number of labelled images (> 0) after which its parameters are updated.
    """

    def __init__(self, images_per_update: Mapping[str, int]) -> None:
        if not images_per_update or min(images_per_update.values()) < 1:
            raise ValueError(f"expected at least one image per update of every task, found {dict(images_per_update)}")
        self._needed = dict(images_per_update)
        self._seen = dict.fromkeys(images_per_update, 0)

    def step(self, labelled_images: Mapping[str, int]) -> dict[str, int]:
        """Counts a batch: task -> images with its labels.

        Returns the tasks that are due, each with the number of images since its last update (which to average its
        gathered gradients over); their counts start again at 0.  Raises KeyError for an unknown task.
        """
        for task, count in labelled_images.items():
            self._seen[task] += count
        due = {task: seen for task, seen in self._seen.items() if seen >= self._needed[task]}
        self._seen.update(dict.fromkeys(due, 0))
        return due

    def state(self) -> dict[str, int]:
        """Images seen by task since its last update, for checkpoints."""
        return dict(self._seen)

    def restore(self, state: Mapping[str, int]) -> None:
        """Goes on from a state.  Raises ValueError if it is of other tasks."""
        if state.keys() != self._seen.keys():
            raise ValueError(f"expected counts of {sorted(self._seen)}, found {sorted(state)}")
        self._seen = dict(state)
