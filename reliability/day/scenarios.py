"""What may happen to a node in a day: each scenario does it, and returns what happened in a few words.

Its docstring says what is tried.  It raises AssertionError where the node did not behave.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable

from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from reliability.day.clock import clock_is_set
from reliability.day.failures import memory_runs_out, memory_runs_out_in_the_middleware, runtime_fails
from reliability.day.stage import (
    Resources,
    Stage,
    check_accounts,
    frame_counts,
    in_words,
    outputs_go_on,
    stop_camera,
    unaccounted,
)

_SIZE = ("--size", "640", "480")


def publisher_killed_and_restarted(stage: Stage) -> str:
    """The camera's process is killed (SIGKILL) and another one started, three times."""
    _, robot = stage.active_node("/killed")
    waits = []
    for _ in range(3):
        camera = stage.camera("/killed", *_SIZE)
        waits.append(outputs_go_on(robot))
        camera.kill()
        camera.wait()
        robot.spin(0.5)
    counts = check_accounts(robot)
    return f"first output after {', '.join(f'{wait:.1f}' for wait in waits)} s; {in_words(counts)}"


def images_stop_and_return(stage: Stage) -> str:
    """Images stop for five seconds (the camera is suspended) and come again."""
    _, robot = stage.active_node("/silent")
    camera = stage.camera("/silent", *_SIZE)
    outputs_go_on(robot)
    camera.send_signal(signal.SIGSTOP)
    robot.spin(5)
    message = robot.diagnostics(lambda values: "no image for" in values["message"])["message"]
    camera.send_signal(signal.SIGCONT)
    wait = outputs_go_on(robot)
    stop_camera(camera)
    check_accounts(robot)
    return f'diagnostics: "{message.split(",")[0]}"; outputs again after {wait:.1f} s'


def camera_changes(stage: Stage) -> str:
    """Size, encoding, frame and focal length change in mid-stream, four times."""
    _, robot = stage.active_node("/changing")
    cameras = (("640", "480", "rgb8", 500), ("320", "240", "mono8", 250), ("1280", "720", "bgra8", 900))
    for number, (width, height, encoding, focal_length) in enumerate((*cameras, cameras[0])):
        camera = stage.camera(
            "/changing",
            *("--size", width, height, "--encoding", encoding),
            *("--frame", f"camera{number}", "--focal-length", str(focal_length)),
        )
        outputs_go_on(robot, lambda message, number=number: message.header.frame_id == f"camera{number}")
        stop_camera(camera)
    counts = check_accounts(robot)
    assert counts["malformed"] == counts["errors"] == 0, counts
    return f"every change was followed; {in_words(counts)}"


def qos_that_does_not_match(stage: Stage) -> str:
    """The node asks for reliable images and the camera is best effort; then the camera is reliable."""
    topic = "qos_overrides./mismatch/image.subscription.reliability"
    node, robot = stage.active_node("/mismatch", f"{topic}:=reliable")
    camera = stage.camera("/mismatch", *_SIZE, "--best-effort")
    robot.wait(lambda: topic in node.text().split("active:")[-1], "line about QoS")
    robot.spin(1)
    assert frame_counts(robot.diagnostics())["received"] == 0
    stop_camera(camera)
    camera = stage.camera("/mismatch", *_SIZE)
    wait = outputs_go_on(robot)
    stop_camera(camera)
    check_accounts(robot)
    return f"one line names topic, policies and parameter; outputs {wait:.1f} s after a fitting camera"


def two_publishers(stage: Stage) -> str:
    """Two cameras of different size and frame on one topic."""
    _, robot = stage.active_node("/both", "max_age:=5.0")
    cameras = [
        stage.camera("/both", "--size", *size, "--frame", frame, "--rate", "5")
        for frame, size in (("left", ("640", "480")), ("right", ("320", "240")))
    ]
    for frame in ("left", "right", "left"):
        outputs_go_on(robot, lambda message, frame=frame: message.header.frame_id == frame)
    for camera in cameras:
        stop_camera(camera)
    return f"outputs for both; {in_words(check_accounts(robot))}"


def simulated_time_jumps(stage: Stage) -> str:
    """Simulated time runs, stops, jumps 1000 s forward, jumps back 500 s, and goes on."""
    node, robot = stage.active_node("/simulated", "use_sim_time:=true")
    clock = robot.publisher(Clock, "/clock", QoSProfile(depth=10))

    def run_clock(seconds: int) -> None:
        message = Clock()
        message.clock.sec = seconds
        for _ in range(10):
            clock.publish(message)
            robot.spin(0.05)

    for seconds in (1000, 1000, 2000, 1500, 1501):
        run_clock(seconds)
        answer = robot.answer(robot.image(), stamp=seconds - 0.25)
        assert answer.header.stamp.sec == seconds - 1
    assert "time jumped back by 500.0 s" in node.text()
    return f"an output at every time; the jump back is logged; {in_words(check_accounts(robot))}"


def subscriber_that_never_reads(stage: Stage) -> str:
    """A subscriber of detections and depth is suspended for ten seconds while images come at 30 Hz."""
    node, robot = stage.active_node("/unread")
    (process,) = node.children()
    reader = stage.reader("/unread")
    camera = stage.camera("/unread", *_SIZE)
    outputs_go_on(robot)
    robot.wait(lambda: int(robot.diagnostics().get("images published depth/image", 0)) > 0, "depth images", 30)
    before = Resources.of(process)
    reader.send_signal(signal.SIGSTOP)
    processed = frame_counts(robot.diagnostics())["processed"]
    robot.spin(10)
    went_on = frame_counts(robot.diagnostics())["processed"] - processed
    after = Resources.of(process)
    reader.send_signal(signal.SIGCONT)
    stop_camera(camera)
    assert went_on > 5, went_on
    assert after.megabytes < before.megabytes + 100, (before, after)
    check_accounts(robot)
    return f"{went_on} images processed meanwhile; {before} before, {after} after"


def weights_deleted_and_replaced(stage: Stage) -> str:
    """The weights file is deleted, replaced by garbage and put back while the node runs."""
    weights = stage.folder / f"weights{stage.weights.suffix}"
    shutil.copy(stage.weights, weights)
    node, robot = stage.active_node("/weights", weights=weights)
    camera = stage.camera("/weights", *_SIZE, "--rate", "5")
    outputs_go_on(robot)
    weights.unlink()
    outputs_go_on(robot)
    weights.write_bytes(b"garbage" * 1000)
    outputs_go_on(robot)
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        assert robot.change_state(transition)
    assert not robot.change_state(Transition.TRANSITION_CONFIGURE)
    assert robot.state() == "unconfigured"
    reason = next(line for line in node.text().splitlines() if "cannot configure: " in line)
    weights.unlink()
    shutil.copy(stage.weights, weights)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert robot.change_state(transition)
    outputs_go_on(robot)
    stop_camera(camera)
    check_accounts(robot)
    found = reason.partition("cannot configure: ")[2].replace(f"{stage.folder}/", "")
    return f'outputs went on; a new configuration is refused ("{found[:90]}") and works with the file put back'


def log_folder_cannot_be_written(stage: Stage) -> str:
    """The folder of ROS's log files cannot be made."""
    node, robot = stage.active_node("/silentlog", environment={"ROS_LOG_DIR": "/dev/null/logs"})
    camera = stage.camera("/silentlog", *_SIZE)
    outputs_go_on(robot)
    stop_camera(camera)
    check_accounts(robot)
    line = next(line for line in node.text().splitlines() if "log" in line)
    return f'runs; "{line[:100]}"'


def garbage_among_the_images(stage: Stage) -> str:
    """Every second image is one that no camera sends: sizes, steps and encodings that do not fit."""
    _, robot = stage.active_node("/garbage", "max_age:=5.0")
    robot.answer(robot.image())
    before = check_accounts(robot)
    bad = ({"step": 1}, {"height": 2**32 - 1}, {"width": 0}, {"encoding": "garbage"}, {"encoding": "32FC1"})
    for changes in bad:
        message = robot.image()
        for field, value in changes.items():
            setattr(message, field, value)
        robot.send_image(message)
        robot.diagnostics(lambda values: unaccounted(values) == 0)
        robot.answer(robot.image())
    counts = check_accounts(robot)
    assert counts["malformed"] == before["malformed"] + len(bad), counts
    assert counts["errors"] == 0, counts
    return in_words(counts)


#: What `make reliability` tries after the loads and before the kills.
SCENARIOS: tuple[Callable[[Stage], str], ...] = (
    publisher_killed_and_restarted,
    images_stop_and_return,
    camera_changes,
    qos_that_does_not_match,
    two_publishers,
    simulated_time_jumps,
    subscriber_that_never_reads,
    weights_deleted_and_replaced,
    log_folder_cannot_be_written,
    garbage_among_the_images,
    clock_is_set,
    runtime_fails,
    memory_runs_out,
    memory_runs_out_in_the_middleware,
)
