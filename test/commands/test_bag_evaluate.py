"""`mp_perception bag evaluate` as a user calls it: bags with truth give the figures of the files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mp_perception.bags.frames import BagFrames
from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.opening import open_contents
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.writing import BagWriter
from mp_perception.commands.main import app
from mp_perception.data.data_sets import open_data_set
from mp_perception.errors import UserError
from mp_perception.evaluation.frame_scores import LOWEST_SCORE, MAX_DETECTIONS
from mp_perception.evaluation.scoring import evaluate
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.messages.detections import detections_message, label_info_message
from mp_perception.messages.images import depth_message, depth_to_array, image_message

IMAGES = "/kitti/camera_color_left/image_raw"
#: What says where figures come from, and is not the same for files and bags.
ORIGIN = ("data_set", "run", "latency_ms", "frames")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def figures(*arguments: object, out: Path) -> dict[str, Any]:
    """The JSON of a command that must succeed."""
    done = run(*arguments, "--json", out)
    if done.exception is not None:
        raise done.exception
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def without_origin(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in ORIGIN}


def split_bag(bag: Path, target: Path, first: int, last: int) -> Path:
    """A part of a bag: the messages of the frames first..last, and all that is latched."""
    with BagReader(bag) as reader, BagWriter(target, "sqlite3") as writer:
        stamps = [message.time_ns for message in reader.messages([IMAGES])]
        for message in reader.messages():
            latched = reader.topics[message.topic].transient_local
            if latched or stamps[first] <= message.time_ns <= stamps[last]:
                writer.write(message.topic, message.time_ns, reader.decode(message))
    return target


def write_images(bag: Path, target: Path, **changes: object) -> Path:
    """The images of a bag alone, with changed fields."""
    with BagReader(bag) as reader, BagWriter(target) as writer:
        for message in reader.messages([IMAGES]):
            image = replace(reader.decode(message), **changes)
            writer.write(IMAGES, message.time_ns, image)
    return target


@pytest.fixture(scope="module")
def file_figures(streets: Path, street_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `evaluate` says of the same frames as files."""
    options = ("--dataset", "synthetic", "--root", streets, "--weights", street_weights, "--num-threads", 1)
    return figures("evaluate", *options, "--resamples", 20, out=tmp_path_factory.mktemp("files") / "out.json")


@pytest.mark.slow
def test_a_bag_gives_the_figures_of_the_files(
    street_bag: Path, street_weights: Path, file_figures: dict[str, Any], tmp_path: Path
) -> None:
    options = ("--weights", street_weights, "--num-threads", 1, "--resamples", 20)
    outputs = ("--plots", tmp_path / "plots", "--report", tmp_path / "report.html")
    result = figures("bag", "evaluate", street_bag, *options, *outputs, out=tmp_path / "bag.json")
    assert without_origin(result) == without_origin(file_figures)
    # What is compared is neither nothing nor perfect.
    assert result["detection"]["Pedestrian"]["AP40"]["hard"] > 0
    assert result["depth"]["protocol"]["ground_truth"] == "exact depth of the synthetic scene"
    assert set(result["latency_ms"]) == {"preprocess", "inference", "postprocess", "total"}
    total = result["latency_ms"]["total"]
    assert 0 < total["median"] <= total["p90"] <= total["p99"]
    assert result["frames"] == {"received": 6, "scored": 6, "dropped": {}}
    assert result["data_set"]["bags"][0]["KITTI labels"] == 6
    assert any((tmp_path / "plots").iterdir())
    assert "street" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_two_bags_in_two_processes_give_the_figures_of_one(
    street_bag: Path, street_weights: Path, file_figures: dict[str, Any], tmp_path: Path
) -> None:
    bags = [split_bag(street_bag, tmp_path / "first", 0, 3), split_bag(street_bag, tmp_path / "second", 4, 5)]
    options = ("--weights", street_weights, "--num-threads", 1, "--resamples", 20, "--processes", 2)
    result = figures("bag", "evaluate", *bags, *options, out=tmp_path / "bag.json")
    assert without_origin(result) == without_origin(file_figures)
    assert result["run"]["processes"] == 2
    assert [bag["frames"] for bag in result["data_set"]["bags"]] == [4, 2]


@pytest.mark.slow
def test_what_is_mended_is_said_whichever_process_does_it(
    street_bag: Path, street_weights: Path, tmp_path: Path
) -> None:
    topic = "/ground_truth/depth/image"
    with BagReader(street_bag) as whole, BagWriter(tmp_path / "halved") as halved:
        for message in whole.messages():
            decoded = whole.decode(message)
            if message.topic == topic:
                decoded = image_message(new_message, depth_to_array(decoded)[::2, ::2], "32FC1", decoded.header)
            halved.write(message.topic, message.time_ns, decoded)
    out = tmp_path / "out.json"
    options = ("--weights", street_weights, "--num-threads", 1, "--processes", 2, "--json", out)
    done = run("bag", "evaluate", tmp_path / "halved", *options)
    assert done.exit_code == 0, done.output
    mended = f"{topic}: resized from 320x96 to the image's 640x192"
    assert json.loads(out.read_text())["data_set"]["mended"] == [mended]
    assert f"mended: {mended}" in done.output.splitlines()


@pytest.mark.slow
def test_runtime_and_precision_are_those_of_the_user(street_bag: Path, tmp_path: Path) -> None:
    options = ("--runtime", "onnxruntime", "--precision", "fp32", "--num-threads", 1)
    result = figures("bag", "evaluate", street_bag, *options, out=tmp_path / "bag.json")
    assert result["runtime"] == {"name": "onnxruntime", "device": "cpu", "precision": "fp32"}
    assert result["frames"]["scored"] == 6
    shown = run("bag", "render", street_bag, tmp_path / "street.mp4", *options)
    assert (shown.exit_code, (tmp_path / "street.mp4").exists()) == (0, True), shown.output
    for command in (("evaluate", street_bag), ("render", street_bag, tmp_path / "other.mp4")):
        refused = run("bag", *command, "--runtime", "torch", "--precision", "int8")
        assert isinstance(refused.exception, UserError)
        assert "precision 'int8' is not supported by runtime 'torch'" in str(refused.exception)


@pytest.mark.slow
def test_a_bag_that_cannot_be_used_is_left_out_of_many(street_bag: Path, street_weights: Path, tmp_path: Path) -> None:
    part = split_bag(street_bag, tmp_path / "part", 0, 1)
    (tmp_path / "broken").mkdir()
    options = ("--weights", street_weights, "--num-threads", 1)
    result = figures("bag", "evaluate", tmp_path / "broken", part, *options, out=tmp_path / "bag.json")
    assert result["frames"]["scored"] == 2
    (reason,) = result["data_set"]["unusable_bags"].values()
    assert "expected a rosbag2 with metadata.yaml" in reason


@pytest.mark.slow
def test_a_bag_cut_off_is_scored_as_far_as_it_goes(street_bag: Path, street_weights: Path, tmp_path: Path) -> None:
    (source,) = street_bag.glob("*.mcap")
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    options = ("--weights", street_weights, "--num-threads", 1)
    result = figures("bag", "evaluate", cut, *options, out=tmp_path / "bag.json")
    assert 2 <= result["frames"]["scored"] <= 4
    ((note, *_),) = [bag["notes"] for bag in result["data_set"]["bags"]]
    assert "messages were recovered from it" in note
    assert result["data_set"]["bags"][0]["path"] == str(cut)


def record_outputs(bag: Path, target: Path, weights: Path, leave_out: int) -> list[int]:
    """What the node publishes for a bag's images, except for every third one; gives the stamps that are left out."""
    predictor = Predictor.load(None, weights, num_threads=1)
    frames = BagFrames([open_contents(bag, ChosenTopics(), "bag", target.parent)])
    settings = PredictionSettings(score_threshold=LOWEST_SCORE, max_detections=MAX_DETECTIONS)
    left_out = []
    with BagReader(bag) as reader, BagWriter(target) as writer:
        for message in reader.messages():
            writer.write(message.topic, message.time_ns, reader.decode(message))
        names, threshold = predictor.description.class_names, predictor.description.score_threshold
        info = label_info_message(new_message, names, threshold, bag_header("", reader.start_ns))
        writer.write("/label_info", reader.start_ns, info)
        for index in range(len(frames)):
            stamp = frames.place(index)[1].stamp_ns
            if index % leave_out == leave_out - 1:
                left_out.append(stamp)
                continue
            sample = frames[index]
            prediction = predictor.predict(sample.image, sample.intrinsics, settings)
            header, later = bag_header("camera_color_left", stamp), stamp + 30_000_000
            detections = detections_message(new_message, prediction.detections, None, header, "name")
            writer.write("/detections", later, detections)
            writer.write("/depth/image", later, depth_message(new_message, prediction.network_depth, "32FC1", header))
    return left_out


@pytest.mark.slow
def test_recorded_outputs_are_scored_as_they_are_and_missing_ones_counted(
    street_bag: Path, streets: Path, street_weights: Path, tmp_path: Path
) -> None:
    recorded = tmp_path / "recorded"
    assert len(record_outputs(street_bag, recorded, street_weights, leave_out=3)) == 2
    result = figures("bag", "evaluate", recorded, "--recorded", out=tmp_path / "bag.json")
    assert result["frames"] == {"received": 6, "scored": 4, "dropped": {"no output": 2}}
    predictor = Predictor.load(None, street_weights, num_threads=1)
    expected = evaluate(predictor, open_data_set("synthetic", streets), indices=[0, 1, 3, 4]).result(with_coco=True)
    expected = without_origin(json.loads(json.dumps(expected)))
    assert {name: result[name] for name in expected if name != "score_threshold"} == {
        name: value for name, value in expected.items() if name != "score_threshold"
    }
    assert result["data_set"]["problems"]["no output"]["frames"] == 2
    assert result["latency_ms"]["recorded"]["median"] == pytest.approx(30)
    assert result["score_threshold"] == pytest.approx(predictor.description.score_threshold)
    # And the network can still be run on that bag: its outputs are not taken for truth.
    again = figures("bag", "evaluate", recorded, "--weights", street_weights, out=tmp_path / "again.json")
    assert again["frames"]["scored"] == 6


def test_a_bag_without_ground_truth_shows_what_was_detected(
    street_bag: Path, street_weights: Path, file_figures: dict[str, Any], tmp_path: Path
) -> None:
    """The images of the streets alone: the same detections, pictures, and no figure that needs truth."""
    bare = write_images(street_bag, tmp_path / "bare")
    options = ("--weights", street_weights, "--num-threads", 1, "--report", tmp_path / "report.html")
    result = figures("bag", "evaluate", bare, *options, out=tmp_path / "bare.json")
    assert (result["depth"], result["objects"], result["detection"]) == (None, None, None)
    counted = [
        {name: (row["objects"], row["images"]) for name, row in found["detected"].items()}
        for found in (result, file_figures)
    ]
    assert counted[0] == counted[1] != {}
    page = (tmp_path / "report.html").read_text()
    headings = ("it detects", "Detected objects", "Most objects 1", "predicted depth", "Latency", "Neither depth nor")
    assert [words for words in headings if words not in page] == []


def test_a_bag_whose_images_are_all_unusable_is_refused(street_bag: Path, street_weights: Path, tmp_path: Path) -> None:
    bad = write_images(street_bag, tmp_path / "bad", step=1)
    out = tmp_path / "out.json"
    done = run("bag", "evaluate", bad, "--weights", street_weights, "--num-threads", 1, "--json", out)
    assert isinstance(done.exception, UserError), (done.output, done.exception)
    assert re.fullmatch(r"none of 6 frames can be scored; the first, [^:]+: .+", str(done.exception))
    assert not out.exists()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start_cluster(folder: Path, start_process: Any) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """A dask scheduler and two workers, each a process of its own: the scheduler's address, and the workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard", "--host", address]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    worker += ["--no-dashboard", "--local-directory", str(folder)]
    with (folder / "cluster.log").open("wb") as log:
        processes = [start_process(command, stdout=log, stderr=log) for command in (dask, worker, worker)]
    return address, processes[1:]


@pytest.mark.slow
@pytest.mark.extended
def test_a_cluster_gives_the_same_figures_though_a_worker_dies(
    street_bag: Path, street_weights: Path, file_figures: dict[str, Any], tmp_path: Path, start_process: Any
) -> None:
    distributed = pytest.importorskip("distributed")
    bags = [split_bag(street_bag, tmp_path / f"bag_{number}", number, number) for number in range(6)]
    address, workers = start_cluster(tmp_path, start_process)
    with distributed.Client(address, timeout="60s") as client:
        client.wait_for_workers(2, timeout=60)
        command = [sys.executable, "-m", "mp_perception.commands.main", "bag", "evaluate", *map(str, bags)]
        command += ["--weights", str(street_weights), "--num-threads", "1", "--resamples", "20"]
        command += ["--cluster", address, "--json", str(tmp_path / "out.json")]
        process = start_process(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        victim = busy_worker(client, {worker.pid for worker in workers})
        os.kill(victim, signal.SIGKILL)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output.decode()
        assert len(client.scheduler_info()["workers"]) == 1
    result = json.loads((tmp_path / "out.json").read_text())
    assert without_origin(result) == without_origin(file_figures)
    assert result["frames"] == {"received": 6, "scored": 6, "dropped": {}}
    assert result["run"]["cluster"] == address


def busy_worker(client: Any, pids: set[int]) -> int:
    """The process of a worker that is in the middle of a task."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        running = [address for address, tasks in client.processing().items() if tasks]
        if running:
            (pid,) = client.run(os.getpid, workers=running[:1]).values()
            assert pid in pids
            return int(pid)
        time.sleep(0.02)
    raise TimeoutError("no worker took a task")


@pytest.mark.extended
def test_a_scheduler_that_is_not_there_is_named(street_bag: Path, street_weights: Path) -> None:
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    done = run("bag", "evaluate", street_bag, "--weights", street_weights, "--cluster", address)
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith(f"--cluster {address}: expected a dask scheduler")


@pytest.mark.slow
@pytest.mark.extended
@pytest.mark.shared_data
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("source", ["object", "drive"])
def test_real_frames_give_the_figures_of_the_files(shared_data: Path, tmp_path: Path, source: str) -> None:
    kitti, bag = shared_data / "kitti", tmp_path / "bag"
    if source == "object":
        made = run("bag", "from-kitti-object", kitti / "object", bag, "--split", "val")
        files = ("--dataset", "kitti-object", "--root", kitti / "object", "--split", "val")
    else:
        drive = kitti / "raw" / "2011_09_26" / "2011_09_26_drive_0005_sync"
        made = run("bag", "from-kitti-raw", drive, bag)
        files = ("--dataset", "kitti-raw", "--root", drive)
    assert made.exit_code == 0, made.output
    from_files = figures("evaluate", *files, "--num-threads", 1, out=tmp_path / "files.json")
    from_bag = figures("bag", "evaluate", bag, "--num-threads", 1, "--processes", 2, out=tmp_path / "bag.json")
    assert without_origin(from_bag) == without_origin(from_files)
    assert from_bag["images"] == from_files["images"]
    assert min(from_bag["images"].values()) > 50
