"""Bags that were cut off: whatever was whole in them is read, and nothing else happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mp_perception.bags.messages import image_message
from mp_perception.bags.opening import open_contents, read_bag
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.writing import BagWriter, Storage
from mp_perception.commands.bag import app
from mp_perception.errors import UserError

NUM_IMAGES = 40
START = 1_600_000_000_000_000_000
MESSAGE_TYPE = "sensor_msgs/msg/Image"


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (96, 320, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 40 images, 3.7 MB: with MCAP in several chunks."""
    storage: Storage = request.param
    path = tmp_path_factory.mktemp(storage) / "bag"
    with BagWriter(path, storage) as bag:
        bag.add_topic("/image", MESSAGE_TYPE)
        for number in range(NUM_IMAGES):
            stamp = START + number
            bag.write("/image", stamp, image_message(picture(number), "rgb8", "camera", stamp))
    return path


def data_file(bag: Path) -> Path:
    (file,) = [path for path in bag.iterdir() if path.suffix in (".mcap", ".db3")]
    return file


def check_what_is_read(path: Path, workspace: Path) -> int:
    """Every image that comes out is one that went in, or the whole is refused in one line; gives their number."""

    def read(reader: BagReader) -> list[tuple[int, bytes]]:
        decoded = [(message.time_ns, reader.decode(message)) for message in reader.messages(["/image"])]
        return [(time_ns, message.data.tobytes()) for time_ns, message in decoded]

    workspace.mkdir()
    refused, images = "", []
    try:
        images, _ = read_bag(path, workspace, read)
    except UserError as error:
        refused = str(error)
    shutil.rmtree(workspace)
    assert not refused or (refused.startswith(f"{path}: ") and "\n" not in refused)
    for time_ns, data in images:
        assert data == picture(time_ns - START).tobytes()
    assert len({time_ns for time_ns, _ in images}) == len(images)
    return len(images)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_bag_cut_off_anywhere_gives_what_was_before(whole: Path, tmp_path: Path, share: float) -> None:
    bag = tmp_path / "cut"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(whole, bag)
    content = data_file(bag).read_bytes()
    data_file(bag).write_bytes(content[: int(len(content) * share)])
    found = check_what_is_read(bag, tmp_path / "workspace")
    # Chunks of some 1 MB, a dozen images, are lost whole.
    assert found >= int(NUM_IMAGES * share) - 13
    assert found == NUM_IMAGES or share < 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=300))
def test_a_bag_damaged_anywhere_gives_images_or_one_line(
    whole: Path, tmp_path: Path, place: float, noise: bytes
) -> None:
    file = tmp_path / f"damaged{data_file(whole).suffix}"
    content = bytearray(data_file(whole).read_bytes())
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    file.write_bytes(content)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    refused, frames = "", 0
    try:
        frames = len(open_contents(file, ChosenTopics(), "damaged", workspace).frames)
    except UserError as error:
        refused = str(error)
    shutil.rmtree(workspace)
    assert frames or (str(tmp_path) in refused and "\n" not in refused)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_recording_that_was_not_finished_is_read_without_its_metadata(tmp_path: Path, storage: Storage) -> None:
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.add_topic("/image", MESSAGE_TYPE)
        bag.write("/image", START, image_message(picture(0), "rgb8", "camera", START))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert check_what_is_read(tmp_path / "bag", tmp_path / "workspace") == 1


def test_info_says_what_is_wrong_and_what_is_there(whole: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    shutil.copytree(whole, bag)
    content = data_file(bag).read_bytes()
    data_file(bag).write_bytes(content[: len(content) * 3 // 4])
    shown = CliRunner().invoke(app, ["info", str(bag)])
    assert shown.exit_code == 0, shown.output
    assert "damaged: expected a complete rosbag2, found it unreadable (" in shown.output
    assert "messages can be read, these are taken" in shown.output
    assert "images: /image" in shown.output


def test_a_bag_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    for content in (b"", b"\x89MCAP0\r\n", b"no bag at all"):
        (tmp_path / "bag" / "bag.mcap").write_bytes(content)
        with pytest.raises(UserError, match=r"expected a rosbag2 with metadata.yaml"):
            open_contents(tmp_path / "bag", ChosenTopics(), "bag", tmp_path)
