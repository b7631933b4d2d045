"""Bags that were cut off or damaged, compressed or not: what was whole in them is read, and nothing else happens."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from typer.testing import CliRunner

from mp_perception.bags.message_types import type_store
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
STORAGE_SUFFIXES = (".mcap", ".db3", ".zstd")


@dataclass(frozen=True)
class Kind:
    """A way to write a bag.

    most_lost: images that a cut may cost, those that were cut included.  MCAP's chunks of 1 MiB, a dozen images or
    sixteen compressed ones, are lost whole; compressed files lose a block of 128 KiB more.
    """

    plugin: StoragePlugin
    mode: CompressionMode
    most_lost: int
    lz4: bool = False


KINDS = {
    "mcap": Kind(StoragePlugin.MCAP, CompressionMode.NONE, 13),
    "mcap, chunks by zstd": Kind(StoragePlugin.MCAP, CompressionMode.STORAGE, 13),
    "mcap, chunks by lz4": Kind(StoragePlugin.MCAP, CompressionMode.NONE, 13, lz4=True),
    "mcap, files by zstd": Kind(StoragePlugin.MCAP, CompressionMode.FILE, 15),
    "mcap, messages by zstd": Kind(StoragePlugin.MCAP, CompressionMode.MESSAGE, 17),
    "sqlite3": Kind(StoragePlugin.SQLITE3, CompressionMode.NONE, 2),
    "sqlite3, files by zstd": Kind(StoragePlugin.SQLITE3, CompressionMode.FILE, 4),
    "sqlite3, messages by zstd": Kind(StoragePlugin.SQLITE3, CompressionMode.MESSAGE, 2),
}


def picture(number: int) -> np.ndarray:
    """Noise, a quarter of it black, so that compression makes it a quarter smaller."""
    image = np.random.default_rng(number).integers(0, 256, (96, 320, 3), dtype=np.uint8)
    image[:24] = 0
    return image


def write_bag(path: Path, kind: Kind) -> None:
    """A bag of 40 images, 3.7 MB: with MCAP in several chunks."""
    writer = Writer(path, version=9, storage_plugin=kind.plugin)
    writer.set_compression(kind.mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/image", MESSAGE_TYPE, typestore=type_store())
        for stamp in range(START, START + NUM_IMAGES):
            message = image_message(picture(stamp - START), "rgb8", "camera", stamp)
            writer.write(connection, stamp, type_store().serialize_cdr(message, MESSAGE_TYPE))
    if kind.lz4:
        rewrite(data_file(path), CompressionType.LZ4)


def rewrite(file: Path, compression: CompressionType) -> None:
    """Writes an MCAP file anew, its chunks with checksums and any compression, which rosbags' have not."""
    with file.open("rb") as stream:
        messages = list(make_reader(stream).iter_messages())
    with file.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=1 << 20, compression=compression)
        writer.start("ros2")
        schema = messages[0][0]
        assert schema is not None
        channel = writer.register_channel("/image", "cdr", writer.register_schema(schema.name, "ros2msg", schema.data))
        for _, _, message in messages:
            writer.add_message(channel, message.log_time, message.data, message.publish_time)
        writer.finish()


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole bag of every kind."""
    folder = tmp_path_factory.mktemp("bags")
    for name, kind in KINDS.items():
        write_bag(folder / name / "bag", kind)
    return {name: folder / name / "bag" for name in KINDS}


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each kind."""
    return str(request.param)


@pytest.fixture
def bag(tmp_path: Path, bags: dict[str, Path], name: str) -> Path:
    """A copy of a bag of that kind, to damage."""
    return Path(shutil.copytree(bags[name], tmp_path / "bag"))


def data_file(bag: Path) -> Path:
    (file,) = [path for path in bag.iterdir() if path.suffix in STORAGE_SUFFIXES]
    return file


def cut(bag: Path, share: float) -> None:
    content = data_file(bag).read_bytes()
    data_file(bag).write_bytes(content[: int(len(content) * share)])


def read_images(reader: BagReader) -> list[tuple[int, bytes]]:
    decoded = [(message.time_ns, reader.decode(message)) for message in reader.messages(["/image"])]
    return [(time_ns, message.data.tobytes()) for time_ns, message in decoded]


def check_what_is_read(path: Path, workspace: Path) -> tuple[int, str]:
    """Every image that comes out is one that went in, or the whole is refused in one line.

    Gives their number and what was said about the damage.
    """
    workspace.mkdir()
    said, images = "", []
    try:
        images, damage = read_bag(path, workspace, read_images)
        said = damage or ""
    except UserError as error:
        said = str(error)
        assert said.startswith(f"{path}: ")
    shutil.rmtree(workspace)
    assert "\n" not in said
    for time_ns, data in images:
        assert data == picture(time_ns - START).tobytes()
    assert len({time_ns for time_ns, _ in images}) == len(images)
    return len(images), said


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_bag_cut_off_anywhere_gives_what_was_before(
    bags: dict[str, Path], name: str, tmp_path: Path, share: float
) -> None:
    bag = tmp_path / "cut"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(bags[name], bag)
    cut(bag, share)
    found, said = check_what_is_read(bag, tmp_path / "workspace")
    assert found >= int(NUM_IMAGES * share) - KINDS[name].most_lost
    if share == 1:
        assert (found, said) == (NUM_IMAGES, "")
    elif found:
        assert f"{found} of {NUM_IMAGES} messages can be read, these are taken" in said


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=300))
def test_a_bag_damaged_anywhere_gives_images_or_one_line(
    bags: dict[str, Path], name: str, tmp_path: Path, place: float, noise: bytes
) -> None:
    bag = tmp_path / "damaged"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(bags[name], bag)
    content = bytearray(data_file(bag).read_bytes())
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    data_file(bag).write_bytes(content)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    refused, frames = "", 0
    try:
        frames = len(open_contents(bag, ChosenTopics(), "damaged", workspace).frames)
    except UserError as error:
        refused = str(error)
    shutil.rmtree(workspace)
    assert frames or (str(tmp_path) in refused and "\n" not in refused)


def test_a_recording_that_was_not_finished_is_read_without_its_metadata(bag: Path, tmp_path: Path) -> None:
    (bag / "metadata.yaml").unlink()
    found, said = check_what_is_read(bag, tmp_path / "workspace")
    assert found == NUM_IMAGES
    assert said.endswith(f"; {NUM_IMAGES} messages can be read, these are taken")


@pytest.mark.parametrize("name", ["mcap, files by zstd", "sqlite3, files by zstd"], indirect=True)
def test_a_recording_that_was_cut_while_it_was_compressed_counts_once(bag: Path, tmp_path: Path) -> None:
    # What `ros2 bag record` leaves when it dies there: the whole file, and part of the compressed one.
    kind = KINDS["mcap" if data_file(bag).stem.endswith("mcap") else "sqlite3"]
    write_bag(tmp_path / "plain" / "bag", kind)
    cut(bag, 0.7)
    shutil.copy(data_file(tmp_path / "plain" / "bag"), bag)
    (bag / "metadata.yaml").unlink()
    assert check_what_is_read(bag, tmp_path / "workspace")[0] == NUM_IMAGES


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("name", ["mcap", "mcap, messages by zstd"], indirect=True)
def test_a_damaged_chunk_costs_no_other(bag: Path, tmp_path: Path, compression: CompressionType) -> None:
    rewrite(data_file(bag), compression)
    file = data_file(bag)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(byte ^ 255 for byte in content[middle : middle + 100])
    file.write_bytes(content)
    (bag / "metadata.yaml").unlink()
    found, said = check_what_is_read(bag, tmp_path / "workspace")
    assert NUM_IMAGES - 17 <= found < NUM_IMAGES
    assert said.endswith(f"{found} messages can be read, these are taken (damaged chunks of bag.mcap: 1)")


@pytest.mark.parametrize("name", ["sqlite3, messages by zstd"], indirect=True)
def test_a_damaged_message_costs_no_other(bag: Path, tmp_path: Path) -> None:
    file = data_file(bag)
    content = bytearray(file.read_bytes())
    frame = content.index(b"\x28\xb5\x2f\xfd", len(content) // 2)
    content[frame + 4 : frame + 40] = bytes(36)
    file.write_bytes(content)
    (bag / "metadata.yaml").unlink()
    found, said = check_what_is_read(bag, tmp_path / "workspace")
    assert found == NUM_IMAGES - 1
    assert said.endswith(f"{found} messages can be read, these are taken (damaged messages: 1)")


def test_a_chunk_that_announces_more_than_memory_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "bag" / "bag.mcap"
    write_bag(file.parent, KINDS["mcap, chunks by zstd"])
    content = file.read_bytes()
    second = list(chunks(content))[1]
    huge = (1 << 45).to_bytes(8, "little")
    file.write_bytes(content[: second + 25] + huge + content[second + 33 :])
    (file.parent / "metadata.yaml").unlink()
    found, said = check_what_is_read(file.parent, tmp_path / "workspace")
    assert found == NUM_IMAGES - 12
    assert said.endswith("(damaged chunks of bag.mcap: 1)")


def test_a_part_of_a_record_that_announces_more_than_memory_ends_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bag" / "bag.mcap"
    write_bag(file.parent, KINDS["mcap"])
    content = file.read_bytes()
    second = list(chunks(content))[1]
    compressed_size = second + 9 + 28 + 4
    huge = (1 << 45).to_bytes(8, "little")
    file.write_bytes(content[:compressed_size] + huge + content[compressed_size + 8 :])
    (file.parent / "metadata.yaml").unlink()
    found, said = check_what_is_read(file.parent, tmp_path / "workspace")
    assert found == 12
    assert said.endswith(f"(bag.mcap ends or is damaged at byte {second})")


def chunks(content: bytes) -> Iterator[int]:
    """Where the chunks of an MCAP file begin."""
    position = 8
    while position < len(content) - 8:
        if content[position] == 6:
            yield position
        position += 9 + int.from_bytes(content[position + 1 : position + 9], "little")


def test_messages_of_unknown_types_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "bag.mcap"
    with file.open("wb") as stream:
        writer = McapWriter(stream)
        writer.start("ros2")
        known = writer.register_channel("/a", "cdr", writer.register_schema("std_msgs/msg/String", "ros2msg", b""))
        other = writer.register_channel("/b", "cdr", writer.register_schema("acme_msgs/msg/Rocket", "ros2msg", b""))
        for channel in (known, other, other):
            writer.add_message(channel, START, b"\0\1\0\0\2\0\0\0a\0", START)
        writer.finish()
    file.write_bytes(file.read_bytes()[:-8])
    _, said = read_bag(file, tmp_path, lambda reader: reader.message_count)
    assert said is not None
    assert "; 1 messages can be read, these are taken (" in said
    assert "messages of types that are not known here: 2" in said


def test_a_library_that_is_missing_is_named(
    bags: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bags["sqlite3, files by zstd"], tmp_path / "bag")
    cut(tmp_path / "bag", 0.5)
    monkeypatch.delitem(sys.modules, "mp_perception.bags.decompression", raising=False)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UserError, match=r"bag: damaged, and reading what is left needs zstandard: pip install mcap$"):
        read_bag(tmp_path / "bag", tmp_path, read_images)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_of_our_own_writer_is_read_without_its_metadata(tmp_path: Path, storage: Storage) -> None:
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.add_topic("/image", MESSAGE_TYPE)
        bag.write("/image", START, image_message(picture(0), "rgb8", "camera", START))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert check_what_is_read(tmp_path / "bag", tmp_path / "workspace")[0] == 1


def test_info_says_what_is_wrong_and_what_is_there(bag: Path) -> None:
    cut(bag, 3 / 4)
    shown = CliRunner().invoke(app, ["info", str(bag)])
    assert shown.exit_code == 0, shown.output
    assert "damaged: expected a complete rosbag2, found it unreadable (" in shown.output
    assert f"of {NUM_IMAGES} messages can be read, these are taken" in shown.output
    assert "images: /image" in shown.output


def test_a_bag_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    for name, content in (
        ("bag.mcap", b""),
        ("bag.mcap", b"\x89MCAP0\r\n"),
        ("bag.mcap", b"no bag at all"),
        ("bag.db3.zstd", b"no bag at all"),
    ):
        (tmp_path / "bag" / name).write_bytes(content)
        with pytest.raises(UserError, match=r"expected a rosbag2 with metadata.yaml"):
            open_contents(tmp_path / "bag", ChosenTopics(), "bag", tmp_path)
