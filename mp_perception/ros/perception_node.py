"""The perception node: camera images in, detections with distance and depth images out.

The node is a lifecycle node that starts itself (`autostart`).  The executor's one thread answers services and puts
images into a mailbox (`image_stream`); `worker` does the rest in its own thread.  docs/ros_interface.md describes
topics, parameters and behaviour.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NoReturn

import psutil
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from mp_perception.errors import UserError
from mp_perception.inference.predictor import Predictor
from mp_perception.ros import qos
from mp_perception.ros.declared_parameters import check_names, declare_parameters, read_parameters, with_limits
from mp_perception.ros.diagnostics import (
    InputWarnings,
    NodeState,
    Statistics,
    diagnostic_status,
    missing_inputs,
    network_values,
)
from mp_perception.ros.image_stream import DEACTIVATION_LIMIT, ImageStream
from mp_perception.ros.large_images import keep_memory_of_large_messages
from mp_perception.ros.node_main import STEADY_CLOCK, StopSignals, run_main, spin_until_signal, start_errors
from mp_perception.ros.parameters import PARAMETERS, NodeParameters
from mp_perception.ros.publishing import OutputPublishers
from mp_perception.ros.shared_memory import clean_shared_memory

#: The topics that the node may subscribe to, as relative names.
_INPUTS = ("image", "image/compressed", "camera_info", "/tf", "/tf_static")


class PerceptionNode(LifecycleNode):
    """See docs/ros_interface.md for topics, parameters and behaviour."""

    def __init__(self, **arguments: Any) -> None:
        """arguments: of rclpy.lifecycle.LifecycleNode."""
        super().__init__("perception", **arguments)
        declare_parameters(self)
        check_names(self, self._parameter_overrides, [self.resolve_topic_name(name) for name in _INPUTS])
        self._settings = NodeParameters()
        self._predictor: Predictor | None = None
        self._outputs: OutputPublishers | None = None
        self._statistics = Statistics()
        self._stream = ImageStream(self, self._statistics, lambda: self._settings, self._report_network_failure)
        self._input_warnings = InputWarnings(self.get_logger())
        self._failure = ""
        self._finalized = False
        self._processed_before_restart = -1
        self._process = psutil.Process()

        self.add_pre_set_parameters_callback(self._refuse_unknown_names)
        self.add_on_set_parameters_callback(self._check_changes)
        self.add_post_set_parameters_callback(self._apply_changes)
        # Simulated time may stand still; the start and the diagnostics must not depend on it.
        self._start_timer = self.create_timer(0.0, self._start, clock=STEADY_CLOCK)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.OUTPUT)
        self._diagnostics_timer = self.create_timer(1.0, self._publish_diagnostics, clock=STEADY_CLOCK)
        self._network_failed = self.create_guard_condition(self._recover)

    # Lifecycle: the callbacks use _attempt, because rclpy swallows exceptions of callbacks.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network and create the publishers; after a failure stay unconfigured and log the reason."""
        return self._attempt("configure", self._configure, self.release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and process images."""
        return self._attempt("activate", self._activate, self._stream.stop)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the image in work; an error if the network has failed."""
        network_failed = bool(self._failure)
        if not self._stream.stop() or network_failed:
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and remove the publishers."""
        return self._attempt("clean up", self.release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As on_cleanup, from any state."""
        result = self._attempt("shut down", self.release)
        self._finalized = result == TransitionCallbackReturn.SUCCESS
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As on_cleanup; the node can be configured again."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(
        self, name: str, action: Callable[[], object], undo: Callable[[], object] | None = None
    ) -> TransitionCallbackReturn:
        try:
            if action() is False:
                raise UserError(f"the image in work takes longer than {DEACTIVATION_LIMIT:g} s")
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
            input_pixels=parameters.input_pixels or None,
        )
        parameters.check_against(self._predictor.description)
        self._predictor.warm_up()
        self._settings = parameters
        self._diagnostics_timer.timer_period_ns = int(parameters.diagnostics_period * 1e9)
        self._diagnostics_timer.reset()
        self._outputs = OutputPublishers(self)
        network = ", ".join(f"{key} {value}" for key, value in self._network().items() if value)
        self.get_logger().info(f"network ready: {network}")
        if self._predictor.untrained:
            self.get_logger().warning("the weights are untrained: detections and depth mean nothing")

    def _activate(self) -> None:
        assert self._predictor is not None
        assert self._outputs is not None
        self._stream.start(self._predictor, self._outputs)
        self._input_warnings = InputWarnings(self.get_logger())
        self._publish_label_info()
        self.get_logger().info(f"active: looking at {self._stream.image_topic}")

    def release(self, limit: float = DEACTIVATION_LIMIT) -> bool:
        """Return to unconfigured; False, after unsubscribing only, if the worker did not end within `limit` seconds."""
        if not self._stream.stop(limit):
            return False
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        if self._predictor is not None:
            self._predictor.close()
            self._predictor = None
        return True

    def _start(self) -> None:
        """The first callback of the executor: configure and activate, unless autostart is off."""
        self.destroy_timer(self._start_timer)
        if self.get_parameter("autostart").value is False:
            self.get_logger().info("waiting to be configured (autostart is false)")
            return
        self._configure_and_activate()

    def _configure_and_activate(self) -> None:
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Parameters

    def describe_parameter(self, name: str) -> ParameterDescriptor:
        """As rclpy's; also with the limits of a number."""
        return with_limits(name, super().describe_parameter(name))

    def _refuse_unknown_names(self, changes: list[Parameter[Any]]) -> list[Parameter[Any]]:
        """Give the reason that rclpy does not: its own error names no parameter."""
        try:
            check_names(self, [change.name for change in changes], [])
        except UserError as error:
            raise ParameterNotDeclaredException(str(error)) from error
        return changes

    def _check_changes(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        """Refuse wrong values, and changes that are not possible now, with a reason; nothing takes effect here."""
        ours = {change.name: change.value for change in changes if change.name in PARAMETERS}
        try:
            if self._predictor is None:
                # Other parameters may still be wrong, so that each change is checked on its own.
                NodeParameters.checked(ours)
                return SetParametersResult(successful=True)
            for name, value in ours.items():
                if not PARAMETERS[name].metadata["run_time"]:
                    raise UserError(f"{name}: change it while unconfigured (given: {value!r})")
            if ours:
                read_parameters(self, ours).check_against(self._predictor.description)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_changes(self, changes: list[Parameter[Any]]) -> None:
        if self._predictor is None or not any(change.name in PARAMETERS for change in changes):
            return
        before, self._settings = self._settings, read_parameters(self)
        if self._stream.active and before.score_threshold != self._settings.score_threshold:
            self._publish_label_info()

    def _publish_label_info(self) -> None:
        assert self._predictor is not None
        assert self._outputs is not None
        description = self._predictor.description
        threshold = self._settings.effective_score_threshold(description)
        self._outputs.publish_label_info(description.class_names, threshold)

    # Failures of the network, and diagnostics

    def _report_network_failure(self, reason: str) -> None:
        """Called from the worker thread: the executor's thread recovers."""
        self._failure = f"the network failed several times in a row: {reason}"
        self._network_failed.trigger()

    def _recover(self) -> None:
        """Return to unconfigured through the lifecycle's error processing, and start once more."""
        if not self._stream.active:
            return  # the node was deactivated in the meantime
        self.get_logger().error(f"{self._failure}; stopping")
        self.trigger_deactivate()
        processed = self._statistics.total("processed")
        # A second restart needs an image processed since the first: otherwise the node would load and fail forever.
        if self._settings.autostart and processed > self._processed_before_restart:
            self._processed_before_restart = processed
            self.get_logger().warning("configuring once more")
            self._configure_and_activate()

    def _network(self) -> dict[str, str]:
        return {} if self._predictor is None else network_values(self._predictor, self._settings)

    def _publish_diagnostics(self) -> None:
        snapshot = self._statistics.snapshot()
        node = NodeState(
            state=self._state(),
            max_age=self._settings.max_age,
            failure=self._failure,
            publishers=self._stream.num_publishers(),
            image_source=self._stream.describe_image_source(snapshot),
            camera_info_source=self._stream.describe_camera_info_source(snapshot),
            values={
                **self._network(),
                "images waiting": str(self._stream.num_waiting),
                "resident memory (MB)": f"{self._process.memory_info().rss / 1e6:.0f}",
            },
        )
        if node.state == "active":
            self._input_warnings.update(missing_inputs(snapshot, node))
        name = self.get_fully_qualified_name().lstrip("/")
        status = diagnostic_status(name, snapshot, node)
        self._diagnostics.publish(
            DiagnosticArray(header=Header(stamp=self.get_clock().now().to_msg()), status=[status])
        )

    def _state(self) -> str:
        if self._finalized:
            return "finalized"
        return "active" if self._stream.active else "inactive" if self._predictor else "unconfigured"


def main() -> int:
    """Console script; exit codes as run_main and spin_until_signal."""
    return run_main(_run)


def _run(arguments: list[str], stop: StopSignals) -> NoReturn:
    options = _parser().parse_args(arguments)
    keep_memory_of_large_messages()
    with start_errors(), clean_shared_memory() if options.clean_shared_memory else nullcontext():
        node = PerceptionNode()
    spin_until_signal(node, stop, node.release)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perception_node",
        description="Detect objects with their distance, and estimate depth, in camera images.  Parameters, remappings "
        "and other ROS arguments follow after --ros-args.",
    )
    parser.add_argument(
        "--clean-shared-memory",
        action="store_true",
        help="at start, remove this user's stale Fast DDS segments and avoid stale ports",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
