"""Bags written, read again, and refused."""

from __future__ import annotations

import errno
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from mp_perception.bags.message_types import bag_header, new_message, type_store
from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter, Storage, offered_qos
from mp_perception.errors import UserError
from mp_perception.messages.detections import label_info_message
from mp_perception.messages.header import Message
from mp_perception.messages.images import image_message

IMAGE = "sensor_msgs/msg/Image"
SECOND = 10**9
STORAGES: list[Storage] = ["mcap", "sqlite3"]


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 160, 3), dtype=np.uint8)


def image(number: int, stamp: int) -> Message:
    return image_message(new_message, noise(number), "rgb8", bag_header("camera", stamp))


def write_bag(path: Path, storage: Storage = "mcap", num_images: int = 60) -> None:
    """Images at 10 Hz from 100 s on /image, and a latched label info; with MCAP in more than one chunk."""
    with BagWriter(path, storage) as bag:
        bag.add_topic("/label_info", "vision_msgs/msg/LabelInfo", offered_qos(transient_local=True, depth=1))
        for number in range(num_images):
            stamp = 100 * SECOND + number * SECOND // 10
            bag.write("/image", stamp, image(number, stamp))
        info = label_info_message(new_message, ["Car", "Van"], 0.5, bag_header("", 0))
        bag.write("/label_info", 100 * SECOND, info)


@pytest.mark.parametrize("storage", STORAGES)
def test_messages_come_back_equal_and_in_order(tmp_path: Path, storage: Storage) -> None:
    write_bag(tmp_path / "bag", storage)
    with BagReader(tmp_path / "bag") as reader:
        assert list(reader.topics) == ["/image", "/label_info"]
        assert (reader.topics["/image"].type, reader.topics["/image"].count) == (IMAGE, 60)
        assert not reader.topics["/image"].transient_local
        assert reader.topics["/label_info"].transient_local
        assert (reader.start_ns, reader.end_ns, reader.message_count) == (100 * SECOND, 105_900_000_000, 61)
        images = list(reader.messages(["/image"]))
        assert [message.time_ns for message in images] == [100 * SECOND + n * SECOND // 10 for n in range(60)]
        for number, message in enumerate(images):
            decoded = reader.decode(message)
            assert np.array_equal(decoded.data.reshape(48, 160, 3), noise(number))
            assert decoded.header.stamp.sec * SECOND + decoded.header.stamp.nanosec == message.time_ns
        (info,) = reader.messages(["/label_info"])
        assert [(c.class_id, c.class_name) for c in reader.decode(info).class_map] == [(0, "Car"), (1, "Van")]
        assert len(list(reader.messages())) == 61
        assert len(list(reader.messages(["/image"], start_ns=105 * SECOND))) == 10


@pytest.mark.parametrize("storage", STORAGES)
def test_topics_and_counts_are_those_of_the_files(tmp_path: Path, storage: Storage) -> None:
    """Recorders write the QoS into metadata.yaml in another form than into the files (8 of rosbag2's 21 fixtures)."""
    write_bag(tmp_path / "bag", storage, num_images=5)
    metadata = tmp_path / "bag" / "metadata.yaml"
    text = metadata.read_text()
    depths, counts = re.subn(r"depth: \d+", "depth: 0", text), re.compile(r"message_count: \d+")
    assert depths[1] > 0
    metadata.write_text(counts.sub("message_count: 77", depths[0]))
    with BagReader(tmp_path / "bag") as reader:
        assert (reader.topics["/image"].count, reader.topics["/label_info"].count) == (5, 1)
        assert len(list(reader.messages())) == reader.message_count == 6
        assert (reader.start_ns, reader.end_ns) == (100 * SECOND, 100_400_000_000)


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_type_without_msg_in_its_name_is_the_same_type(tmp_path: Path, as_folder: bool) -> None:
    write_bag(tmp_path / "bag", "sqlite3", num_images=3)
    (file,) = (tmp_path / "bag").glob("*.db3")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE topics SET type = replace(type, '/msg/', '/')")
    metadata = tmp_path / "bag" / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("/msg/", "/"))
    with BagReader(tmp_path / "bag" if as_folder else file) as reader:
        assert {topic.type for topic in reader.topics.values()} == {IMAGE, "vision_msgs/msg/LabelInfo"}
        images = [reader.decode(message) for message in reader.messages(["/image"])]
        assert np.array_equal(images[2].data.reshape(48, 160, 3), noise(2))


def test_bytes_are_kept_as_they_came(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", num_images=3)
    with BagReader(tmp_path / "bag") as reader, BagWriter(tmp_path / "copy") as copy:
        for topic in reader.topics.values():
            copy.add_topic(topic.name, topic.type)
        for message in reader.messages():
            copy.write_serialized(message.topic, message.time_ns, message.data)
    with BagReader(tmp_path / "bag") as first, BagReader(tmp_path / "copy") as second:
        assert list(first.messages()) == list(second.messages())


@pytest.mark.parametrize(
    ("plugin", "mode"),
    [
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
    ],
)
def test_compressed_bags_are_read(tmp_path: Path, plugin: StoragePlugin, mode: CompressionMode) -> None:
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    message = image(1, SECOND)
    with writer:
        connection = writer.add_connection("/image", IMAGE, typestore=type_store())
        writer.write(connection, SECOND, type_store().serialize_cdr(message, IMAGE))
    with BagReader(tmp_path / "bag") as reader:
        (found,) = reader.messages()
        assert np.array_equal(reader.decode(found).data, message.data)


def test_a_single_mcap_file_is_a_bag(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", num_images=2)
    assert sorted(path.name for path in (tmp_path / "bag").iterdir()) == ["bag.mcap", "metadata.yaml"]
    # And is written as one, over an earlier file.
    file = tmp_path / "single.mcap"
    file.write_bytes(b"before")
    write_bag(file, num_images=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "single.mcap"]
    with pytest.raises(UserError, match=r"single.mcap: expected a folder for sqlite3"):
        BagWriter(file, "sqlite3")
    for path in (tmp_path / "bag" / "bag.mcap", file):
        with BagReader(path) as reader:
            assert reader.message_count == 3


@pytest.mark.parametrize("storage", STORAGES)
def test_an_existing_target_is_refused_and_untouched(tmp_path: Path, storage: Storage) -> None:
    write_bag(tmp_path / "bag", storage, num_images=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "bag").iterdir()}
    with pytest.raises(UserError, match="bag: expected a new or empty folder"):
        BagWriter(tmp_path / "bag", storage)
    assert {path.name: path.read_bytes() for path in (tmp_path / "bag").iterdir()} == before


@pytest.mark.parametrize("storage", STORAGES)
def test_a_failed_recording_leaves_nothing(tmp_path: Path, storage: Storage) -> None:
    with (  # noqa: PT012
        pytest.raises(RuntimeError, match="camera on fire"),
        BagWriter(tmp_path / "bag", storage) as bag,
    ):
        bag.write("/image", SECOND, image(0, SECOND))
        assert not (tmp_path / "bag").exists()
        raise RuntimeError("camera on fire")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_type_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"topic /x has the type robot_msgs/msg/Mood"),
        BagWriter(tmp_path / "bag") as bag,
    ):
        bag.add_topic("/x", "robot_msgs/msg/Mood")


def one_line(error: pytest.ExceptionInfo[UserError], path: Path) -> bool:
    text = str(error.value)
    return text.startswith(f"{path}: ") and "\n" not in text


def test_a_path_that_is_not_a_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such bag"):
        BagReader(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"expected a rosbag2 with metadata.yaml"):
        BagReader(tmp_path)
    (tmp_path / "street.mp4").write_bytes(b"video")
    with pytest.raises(UserError, match=r"street.mp4: expected a rosbag2 folder or a .mcap or .db3 file"):
        BagReader(tmp_path / "street.mp4")


@pytest.mark.parametrize("text", ["", "[1, 2", "rosbag2_bagfile_information: 3", "rosbag2_bagfile_information: {}"])
def test_foreign_metadata_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(UserError) as error, BagReader(tmp_path):
        pass
    assert one_line(error, tmp_path)


def test_a_missing_data_file_is_refused(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", num_images=1)
    (tmp_path / "bag" / "bag.mcap").unlink()
    with pytest.raises(UserError, match=r"bag.mcap"), BagReader(tmp_path / "bag"):
        pass


def test_a_missing_topic_is_reported_with_those_of_the_bag(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", num_images=1)
    with (
        BagReader(tmp_path / "bag") as reader,
        pytest.raises(UserError, match="no topic /x; it has /image, /label_info"),
    ):
        list(reader.messages(["/x"]))


def test_a_message_that_does_not_fit_its_type_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/image", IMAGE)
        bag.write_serialized("/image", SECOND, b"\x00\x01\x00\x00short")
    with BagReader(tmp_path / "bag") as reader:
        (message,) = reader.messages()
        with pytest.raises(UserError, match="a message of /image at 1000000000 ns is not a sensor_msgs/msg/Image"):
            reader.decode(message)


def test_a_bag_without_messages_is_a_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/image", IMAGE)
    with BagReader(tmp_path / "bag") as reader:
        assert (reader.message_count, reader.start_ns, reader.end_ns) == (0, 0, 0)
        assert list(reader.messages()) == []


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, storage: Storage) -> None:
    with pytest.raises(UserError) as caught:
        write_bag(tmp_path / "bag", storage)
    assert re.fullmatch(rf"{tmp_path}/bag: cannot be written: [^\n]+", str(caught.value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("full")]
)
def test_a_disk_that_is_full_at_the_start_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(self: Writer) -> None:
        raise failure

    monkeypatch.setattr(Writer, "open", fail)
    with pytest.raises(UserError, match=r"new: cannot be written: .+$"), BagWriter(tmp_path / "new"):
        pass
    assert list(tmp_path.iterdir()) == []
