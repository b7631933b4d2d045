"""The perception node: images in, detections with depth out.

The node is a lifecycle node that starts itself (`autostart`).  The executor's one thread answers services and puts
images into a mailbox; `worker.FrameWorker` does the rest on its own thread.  The interface is docs/ros_interface.md.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

import psutil
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from mp_perception.errors import UserError
from mp_perception.inference.predictor import Predictor
from mp_perception.ros import qos
from mp_perception.ros.diagnostics import Health, Statistics, describe_network, diagnostic_status
from mp_perception.ros.large_images import keep_memory_of_large_messages
from mp_perception.ros.mailbox import FrameQueue, Mailbox
from mp_perception.ros.node_main import StopSignals, run_main, spin_until_signal, start_errors
from mp_perception.ros.parameters import (
    PARAMETER_NAMES,
    RUN_TIME_PARAMETERS,
    NodeParameters,
    declare_parameters,
    read_parameters,
)
from mp_perception.ros.publishing import OutputPublishers
from mp_perception.ros.shared_memory import clean_shared_memory
from mp_perception.ros.worker import LOG_INTERVAL, STEADY_CLOCK, FrameWorker, ReceivedImage

#: Images that may wait with process_every_frame.
QUEUE_CAPACITY = 32
#: A deactivation waits at most this long for the image in work, seconds.
_DEACTIVATION_LIMIT = 30.0


class PerceptionNode(LifecycleNode):
    """See docs/ros_interface.md for topics, parameters and behaviour."""

    def __init__(self, **arguments: Any) -> None:
        """arguments: as rclpy.lifecycle.LifecycleNode takes them."""
        super().__init__("perception", **arguments)
        declare_parameters(self)
        self._settings = NodeParameters()
        self._predictor: Predictor | None = None
        self._publishers_of_outputs: OutputPublishers | None = None
        self._worker: FrameWorker | None = None
        self._mailbox: Mailbox[ReceivedImage] = Mailbox()
        self._inputs: list[Subscription[Any]] = []
        self._image_topic = ""
        self._camera_info: CameraInfo | None = None
        self._statistics = Statistics()
        self._failure = ""
        self._restart_allowed = True
        self._processed_before_restart = 0
        self._process = psutil.Process()

        self.add_on_set_parameters_callback(self._check_changes)
        self.add_post_set_parameters_callback(self._take_changes)
        # Simulated time may stand still: starting and diagnostics must not.
        self._start_timer = self.create_timer(0.0, self._start, clock=STEADY_CLOCK)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.OUTPUT)
        self._diagnostics_timer = self.create_timer(1.0, self._publish_diagnostics, clock=STEADY_CLOCK)
        self._network_failed = self.create_guard_condition(self._recover)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._forget_after_jump)

    # Lifecycle: each callback is one call inside _attempt, because rclpy swallows exceptions of callbacks.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and offer the outputs; on failure stay unconfigured and say why."""
        return self._attempt("configure", self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and process."""
        return self._attempt("activate", self._activate, self._stop_processing)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the image in work; an error if the network has failed."""
        network_failed = bool(self._failure)
        if not self._stop_processing() or network_failed:
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the network's memory back and take the outputs away."""
        return self._attempt("clean up", self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As on_cleanup, from any state."""
        return self._attempt("shut down", self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(
        self, name: str, action: Callable[[], object], undo: Callable[[], object] | None = None
    ) -> TransitionCallbackReturn:
        try:
            if action() is False:
                raise UserError(f"the image in work takes longer than {_DEACTIVATION_LIMIT:g} s")
        except UserError as error:
            self._failure = str(error)
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}".splitlines()[0]
            self.get_logger().debug(traceback.format_exc())
        else:
            self._failure = ""
            return TransitionCallbackReturn.SUCCESS
        self.get_logger().error(f"cannot {name}: {self._failure}")
        if undo is not None:
            undo()
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        parameters = read_parameters(self)
        height, width = parameters.input_size
        self._predictor = Predictor.load(
            parameters.backbone,
            parameters.weights or None,
            runtime=parameters.runtime,
            device=parameters.device,
            precision=parameters.precision,
            num_threads=parameters.num_threads,
            input_size=(height, width) if height else None,
        )
        parameters.check_against(self._predictor.description)
        self._predictor.warm_up()
        self._settings = parameters
        self._diagnostics_timer.timer_period_ns = int(parameters.diagnostics_period * 1e9)
        self._diagnostics_timer.reset()
        self._publishers_of_outputs = OutputPublishers(self)
        network = ", ".join(f"{key} {value}" for key, value in self._network().items() if value)
        self.get_logger().info(f"network ready: {network}")
        if self._predictor.untrained:
            self.get_logger().warning("the weights are untrained: detections and depth mean nothing")

    def _activate(self) -> None:
        assert self._predictor is not None
        assert self._publishers_of_outputs is not None
        parameters = self._settings
        self._mailbox = FrameQueue(QUEUE_CAPACITY) if parameters.process_every_frame else Mailbox()
        self._camera_info = None
        image_type, name = (
            (Image, "image") if parameters.image_transport == "raw" else (CompressedImage, "image/compressed")
        )
        self._image_topic = self.resolve_topic_name(name)
        self._worker = FrameWorker(
            self._mailbox,
            self._predictor,
            self._publishers_of_outputs,
            self._statistics,
            topic=self._image_topic,
            clock=self.get_clock(),
            logger=self.get_logger(),
            parameters=lambda: self._settings,
            camera_info=lambda: self._camera_info,
            on_failure=self._report_network_failure,
        )
        self._subscribe(CameraInfo, "camera_info", self._take_camera_info, qos.camera_info())
        if parameters.process_every_frame:
            self._subscribe(
                image_type, name, self._take_image, qos.every_image(QUEUE_CAPACITY), may_be_overridden=False
            )
        else:
            self._subscribe(image_type, name, self._take_image, qos.newest_image())
        self._statistics.restart()
        self._publish_label_info()
        self._worker.start()
        self.get_logger().info(f"active: looking at {self._image_topic}")

    def _stop_processing(self, limit: float = _DEACTIVATION_LIMIT) -> bool:
        """Unsubscribe and end the worker; False if it did not end within `limit` seconds."""
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()
        worker, self._worker = self._worker, None
        ended = worker is None or worker.stop(limit)
        self._statistics.count("stale", self._mailbox.clear())
        return ended

    def _release(self, limit: float = _DEACTIVATION_LIMIT) -> bool:
        """Back to unconfigured; False, and nothing but unsubscribed, if the worker did not end in time."""
        if not self._stop_processing(limit):
            return False
        if self._publishers_of_outputs is not None:
            self._publishers_of_outputs.destroy()
            self._publishers_of_outputs = None
        if self._predictor is not None:
            self._predictor.close()
            self._predictor = None
        return True

    def _start(self) -> None:
        """First thing in the executor: configure and activate, if that is wanted."""
        self.destroy_timer(self._start_timer)
        if self.get_parameter("autostart").value is False:
            self.get_logger().info("waiting to be configured (autostart is false)")
            return
        self._configure_and_activate()

    def _configure_and_activate(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Inputs

    def _subscribe(
        self,
        message_type: type[Any],
        name: str,
        callback: Callable[[Any], None],
        profile: QoSProfile,
        may_be_overridden: bool = True,
    ) -> None:
        topic = self.resolve_topic_name(name)
        advice = f"set the parameter qos_overrides.{topic}.subscription.reliability to best_effort"
        if not may_be_overridden:
            advice = "process_every_frame needs a reliable publisher"

        def warn(event: Any) -> None:
            kind = event.last_policy_kind
            self.get_logger().warning(f"{qos.describe_incompatible_publisher(self, topic, profile, kind)}; {advice}")

        try:
            subscription = self.create_subscription(
                message_type,
                name,
                callback,
                profile,
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=warn),
                qos_overriding_options=QoSOverridingOptions.with_default_policies() if may_be_overridden else None,
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"qos_overrides of {topic}: {error}") from error
        self._inputs.append(subscription)

    def _take_image(self, message: Image | CompressedImage) -> None:
        if self._worker is None:
            return  # it was on its way when the node was deactivated
        self._statistics.frame_received()
        lost = self._mailbox.put(ReceivedImage(message, time.perf_counter()))
        if not lost:
            return
        if self._settings.process_every_frame:
            self._statistics.count("overflowed")
            self.get_logger().error(
                f"image lost: {QUEUE_CAPACITY} images wait already; play the bag slower",
                throttle_duration_sec=LOG_INTERVAL,
                throttle_time_source_type=STEADY_CLOCK,
            )
        else:
            self._statistics.count("overwritten")

    def _take_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _forget_after_jump(self, jump: TimeJump) -> None:
        """The clock went back, as when a bag starts again: what waits belongs to another time."""
        self._statistics.count("stale", self._mailbox.clear())
        self._statistics.restart()
        self.get_logger().info(f"time jumped back by {-jump.delta.nanoseconds / 1e9:.1f} s: waiting images dropped")

    # Parameters

    def _check_changes(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        """Refuse with a reason what is wrong or cannot be changed now; nothing takes effect here."""
        ours = {change.name: change.value for change in changes if change.name in PARAMETER_NAMES}
        try:
            for name, value in ours.items():
                if self._predictor is not None and name not in RUN_TIME_PARAMETERS:
                    raise UserError(f"{name}: change it while unconfigured (given: {value!r})")
            if ours:
                self._checked_changes(ours)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _checked_changes(self, changes: dict[str, Any]) -> None:
        if self._predictor is not None:
            read_parameters(self, changes).check_against(self._predictor.description)
            return
        # Before configuring, other values may still be wrong: each is to be put right one by one.
        NodeParameters.checked(changes)

    def _take_changes(self, changes: list[Parameter[Any]]) -> None:
        if self._predictor is None or not any(change.name in PARAMETER_NAMES for change in changes):
            return
        before, self._settings = self._settings, read_parameters(self)
        if self._worker is not None and before.score_threshold != self._settings.score_threshold:
            self._publish_label_info()

    def _publish_label_info(self) -> None:
        assert self._predictor is not None
        assert self._publishers_of_outputs is not None
        description = self._predictor.description
        threshold = self._settings.effective_score_threshold(description)
        self._publishers_of_outputs.publish_label_info(description.class_names, threshold)

    # Failures of the network, and how we are

    def _report_network_failure(self, reason: str) -> None:
        """From the worker thread: let the executor's thread recover."""
        self._failure = f"the network failed several times in a row: {reason}"
        self._network_failed.trigger()

    def _recover(self) -> None:
        """Through the lifecycle's error processing to unconfigured, and from there once up again."""
        if self._worker is None:
            return  # somebody deactivated the node meanwhile
        failure = self._failure
        self.get_logger().error(f"{failure}; giving it up")
        self.trigger_deactivate()
        processed = self._statistics.total("processed")
        # Once, and again only if images were processed in between: else it would fail and load for ever.
        if processed > self._processed_before_restart:
            self._restart_allowed = True
        if self._settings.autostart and self._restart_allowed:
            self._restart_allowed, self._processed_before_restart = False, processed
            self.get_logger().warning("configuring once more")
            self._configure_and_activate()

    def _network(self) -> dict[str, str]:
        return {} if self._predictor is None else describe_network(self._predictor, self._settings)

    def _publish_diagnostics(self) -> None:
        active = self._worker is not None
        health = Health(
            state="active" if active else "inactive" if self._predictor is not None else "unconfigured",
            active=active,
            max_age=self._settings.max_age,
            failure=self._failure,
            image_topic=self._image_topic,
            publishers={s.topic_name: self.count_publishers(s.topic_name) for s in self._inputs},
            values=self._network()
            | {
                "images waiting": str(len(self._mailbox)),
                "resident memory (MB)": f"{self._process.memory_info().rss / 1e6:.0f}",
            },
        )
        name = self.get_fully_qualified_name().lstrip("/")
        self._diagnostics.publish(
            DiagnosticArray(
                header=Header(stamp=self.get_clock().now().to_msg()),
                status=[diagnostic_status(name, self._statistics.snapshot(), health)],
            )
        )

    def close(self, limit: float) -> bool:
        """Release everything before the process ends; False if the image in work takes longer than `limit` seconds."""
        return self._release(limit)


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script: see spin_until_signal for the exit codes; 2 after bad arguments."""
    return run_main(_run, arguments)


def _run(arguments: list[str], stop: StopSignals) -> NoReturn:
    options = _parser().parse_args(arguments)
    keep_memory_of_large_messages()
    with start_errors(), clean_shared_memory() if options.clean_shared_memory else nullcontext():
        node = PerceptionNode()
    spin_until_signal(node, stop, node.close)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perception_node",
        description="Detect objects with their distance in camera images, and estimate depth (docs/ros_interface.md).  "
        "Parameters, remappings and other ROS arguments follow after --ros-args.",
    )
    parser.add_argument(
        "--clean-shared-memory",
        action="store_true",
        help="at start, remove this user's stale Fast DDS segments and avoid stale ports (docs/shared_memory.md)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
