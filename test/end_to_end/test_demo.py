"""`mp_perception demo` as `make demo` calls it: real processes, real DDS, and what they leave behind."""

import json
import os
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
import torch

from mp_perception.bags.reading import BagReader
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

pytestmark = [pytest.mark.slow, pytest.mark.dds]


def demo(*arguments, cwd, environment):
    command = [sys.executable, "-m", "mp_perception.commands.main", "demo", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dds_environment):
    """A demo of twelve synthetic frames with weights whose every box counts."""
    folder = tmp_path_factory.mktemp("demo")
    torch.manual_seed(0)
    description = describe_network("mobilenet_v2", input_size=(96, 320))
    object.__setattr__(description, "score_threshold", 0.0)
    write_checkpoint(folder / "net.safetensors", MultiTaskNetwork(description))
    done = demo("--frames", 12, "--weights", "net.safetensors", cwd=folder, environment=dds_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "demo_output", done


def test_every_frame_is_accounted_for(finished):
    out, done = finished
    summary = json.loads((out / "summary.json").read_text())
    frames = summary["frames"]
    assert frames["sent"] == frames["received"] == 12
    assert frames["processed"] + frames["overwritten"] + frames["stale"] == 12
    assert frames["processed"] > 0
    assert summary["every_frame_accounted_for"]
    assert summary["headers_equal_the_inputs"]
    assert summary["detection_messages_recorded"] == frames["processed"]
    assert set(summary["latency_ms"]) >= {"wait", "inference", "publish", "total"}
    assert summary["network"]["weights"] == "net.safetensors"
    assert "untrained" not in done.stdout


def test_pictures_and_depth_maps(finished):
    out, _ = finished
    processed = json.loads((out / "summary.json").read_text())["frames"]["processed"]
    assert len(list((out / "frames").iterdir())) == len(list((out / "depth").iterdir())) == processed
    first = min(path.name for path in (out / "frames").iterdir())
    images = {path.stem for path in (out / "synthetic_drive").glob("*/*/*_sync/image_02/data/*")}
    assert {path.stem for path in (out / "depth").iterdir()} <= images
    assert len(images) == 12
    overlay = cv2.imread(str(out / "frames" / first))
    assert overlay.shape == (375, 1242, 3)
    depth = cv2.imread(str(out / "depth" / first), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert 1 <= np.median(depth) / 256 <= 80
    with av.open(str(out / "overlay.mp4")) as video:
        assert video.streams.video[0].frames == processed
        assert (video.streams.video[0].width, video.streams.video[0].height) == (1242, 750)


def test_every_output_is_recorded_and_depth_is_in_metres(finished):
    out, _ = finished
    processed = json.loads((out / "summary.json").read_text())["frames"]["processed"]
    with BagReader(out / "recording") as bag:
        for topic in ("/detections", "/depth/image", "/depth/camera_info", "/overlay", "/markers", "/tracks"):
            assert bag.topics[topic].count == processed, topic
        for message in bag.messages(["/detections"]):
            detections = bag.decode(message).detections
            assert len(detections) == 100
            assert all(1 <= d.results[0].pose.pose.position.z <= 80 for d in detections)


def test_no_process_is_left_behind(finished):
    out, _ = finished
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                assert str(out).encode() not in file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
