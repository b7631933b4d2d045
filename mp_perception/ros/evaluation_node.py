"""`evaluation_node`: scores what the perception node publishes while a bag with ground truth is replayed.

It reads from the bag which topics hold the truth and which messages belong to which image, and takes the messages
themselves, and the node's outputs, from DDS (evaluation_topics.py).  The main thread, here, scores.  It ends when the
bag has ended (whoever published the images is gone and no frame waits any more) or with a signal, and then writes its
report.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor

from mp_perception.bags.contents import BagContents
from mp_perception.bags.evaluation import write_result
from mp_perception.bags.live_pairing import LiveFrame, open_replayed_bag
from mp_perception.bags.live_scoring import LiveScoring
from mp_perception.errors import UserError
from mp_perception.evaluation.run import Outputs
from mp_perception.ros.evaluation_topics import EvaluationNode
from mp_perception.ros.stop_signals import LONGEST_SLEEP, StopSignals, initialise_ros

_FIGURES_PERIOD = 2.0


class _Run:
    """Scores in the main thread; the report is written there or, when the service asks, between two frames."""

    def __init__(self, node: EvaluationNode, bag: BagContents) -> None:
        self._node = node
        self._bag = bag
        self._scoring: LiveScoring | None = None
        self._lock = threading.Lock()
        self._last_figures = 0.0
        node.write = self.write_intermediate

    def until_end(self, stop: StopSignals) -> None:
        """Score until the bag has ended or a signal comes, then write everything."""
        node = self._node
        while not stop.received and not node.bag_ended():
            if node.failure is not None:
                raise node.failure
            frame = node.take()
            if frame is not None:
                self._add(frame)
            else:
                stop.sleep_until(time.monotonic() + LONGEST_SLEEP / 2)
            self._publish()
        ended = not stop.received
        while (frame := node.close_pairing(ended)) is not None:
            self._add(frame)
        if self._scoring is None and not node.counts().dropped:
            raise UserError(f"{self._bag.topics.image}: expected images of {self._bag.source}, none came")
        self._write(node.parameters.outputs)

    def write_intermediate(self) -> str:
        """Report and figures of what has been scored; gives the files' names, or nothing if nothing was scored."""
        if self._scoring is None:
            return ""
        outputs = replace(self._node.parameters.outputs, plots=None)
        self._write(outputs)
        return ", ".join(str(path) for path in (outputs.report, outputs.json) if path is not None)

    def _add(self, frame: LiveFrame) -> None:
        with self._lock:
            self._started().add(frame)

    def _started(self) -> LiveScoring:
        if self._scoring is None:
            node, parameters = self._node, self._node.parameters
            threshold = parameters.score_threshold
            self._scoring = LiveScoring(
                self._bag,
                node.detections,
                node.depth,
                node.class_names,
                node.published_threshold if threshold is None else threshold,
                with_pictures=parameters.outputs.report is not None or parameters.outputs.plots is not None,
            )
        return self._scoring

    def _publish(self) -> None:
        if self._scoring is not None and time.monotonic() - self._last_figures > _FIGURES_PERIOD:
            self._node.publish_figures(self._scoring)
            self._last_figures = time.monotonic()

    def _write(self, outputs: Outputs) -> None:
        with self._lock:
            result, score = self._started().result(self._node.counts(), self._node.node_values)
            write_result(outputs, [self._bag], {}, result, score)


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: 0 at the end of the bag and after SIGINT or SIGTERM, 2 with one line on what is wrong.

    That nothing came, so that there is nothing to report, is wrong too.
    """
    given = list(sys.argv if arguments is None else ["evaluation_node", *arguments])
    stop = StopSignals()
    try:
        initialise_ros(given)
        node = EvaluationNode()
        node.parameters.outputs.check()
        with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
            path = node.parameters.bag
            bag = open_replayed_bag(path, Path(workspace))
            for note in bag.notes:
                node.get_logger().warning(f"{path}: {note}")
            node.begin(bag)
            with _spinning(node):
                _Run(node, bag).until_end(stop)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    return 0


@contextlib.contextmanager
def _spinning(node: EvaluationNode) -> Iterator[None]:
    """Callbacks run in other threads while the block does; what one of them raises ends up in `node.failure`."""
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            node.failure = error

    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown(timeout_sec=1.0)
        thread.join(1.0)


if __name__ == "__main__":
    sys.exit(main())
