"""Bags that were cut off: what was complete in them is read, and damage of other kinds is refused in one line."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from typer.testing import CliRunner

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.opening import open_bag, open_contents
from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.bags.writing import BagWriter, Storage
from mp_perception.commands.bag import app
from mp_perception.errors import UserError
from mp_perception.messages.images import image_message

NUM_IMAGES = 40
START = 1_600_000_000_000_000_000
STORAGES: list[Storage] = ["mcap", "sqlite3"]
#: Images that a cut may cost, besides those behind it: MCAP's chunks of 1 MiB, a dozen images, are lost whole.
MOST_LOST = {"mcap": 13, "sqlite3": 2}


def picture(number: int) -> np.ndarray:
    """Noise, a quarter of it black, so that compression makes it a quarter smaller."""
    image = np.random.default_rng(number).integers(0, 256, (96, 320, 3), dtype=np.uint8)
    image[:24] = 0
    return image


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A complete bag of 40 images, 3.7 MB, in each storage format."""
    folder = tmp_path_factory.mktemp("bags")
    for storage in STORAGES:
        with BagWriter(folder / storage, storage) as bag:
            for stamp in range(START, START + NUM_IMAGES):
                image = image_message(new_message, picture(stamp - START), "rgb8", bag_header("camera", stamp))
                bag.write("/image", stamp, image)
    return {storage: folder / storage for storage in STORAGES}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    """Each storage format."""
    return str(request.param)


def data_file(bag: Path) -> Path:
    (file,) = [path for path in bag.iterdir() if path.suffix in (".mcap", ".db3")]
    return file


def cut(bag: Path, fraction: float) -> None:
    """Keep the first part of a bag's data file, as when a robot loses power: without metadata.yaml."""
    content = data_file(bag).read_bytes()
    data_file(bag).write_bytes(content[: int(len(content) * fraction)])
    (bag / "metadata.yaml").unlink()


def rewrite(file: Path, compression: CompressionType) -> None:
    """Write an MCAP file anew with compressed chunks."""
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


def read_images(reader: BagReader) -> list[tuple[int, bytes]]:
    decoded = [(message.time_ns, reader.decode(message)) for message in reader.messages(["/image"])]
    return [(time_ns, message.data.tobytes()) for time_ns, message in decoded]


def check_what_is_read(path: Path, workspace: Path) -> tuple[int, str]:
    """Every image that comes out is one that went in, or the whole is refused in one line.

    Gives their number and the note about the damage.
    """
    workspace.mkdir()
    note, images = "", []
    try:
        with open_bag(path, workspace) as (reader, damage):
            note, images = damage or "", read_images(reader)
    except UserError as error:
        note = str(error)
        assert note.startswith(f"{path}: ")
    shutil.rmtree(workspace)
    assert "\n" not in note
    for time_ns, data in images:
        assert data == picture(time_ns - START).tobytes()
    assert len({time_ns for time_ns, _ in images}) == len(images)
    return len(images), note


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fraction=st.floats(0, 1))
def test_a_bag_cut_off_anywhere_gives_what_was_before(
    bags: dict[str, Path], storage: str, tmp_path: Path, fraction: float
) -> None:
    bag = tmp_path / "cut"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(bags[storage], bag)
    cut(bag, fraction)
    found, note = check_what_is_read(bag, tmp_path / "workspace")
    assert found >= int(NUM_IMAGES * fraction) - MOST_LOST[storage]
    if found:
        assert note.endswith(f"; {found} messages were recovered from it")
    else:
        assert "; no message can be recovered: try `mcap recover`" in note
    if fraction == 1:
        assert found == NUM_IMAGES


@pytest.mark.parametrize("compression", [CompressionType.LZ4, CompressionType.ZSTD])
def test_compressed_chunks_before_the_cut_are_read(
    bags: dict[str, Path], tmp_path: Path, compression: CompressionType
) -> None:
    bag = Path(shutil.copytree(bags["mcap"], tmp_path / "bag"))
    rewrite(data_file(bag), compression)
    cut(bag, 0.7)
    found, _ = check_what_is_read(bag, tmp_path / "workspace")
    assert 0.7 * NUM_IMAGES - 17 <= found < 0.7 * NUM_IMAGES


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=300))
def test_a_bag_damaged_anywhere_gives_images_or_one_line(
    bags: dict[str, Path], storage: str, tmp_path: Path, place: float, noise: bytes
) -> None:
    bag = tmp_path / "damaged"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(bags[storage], bag)
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


def test_a_part_of_a_record_that_announces_more_than_memory_ends_the_file(
    bags: dict[str, Path], tmp_path: Path
) -> None:
    bag = Path(shutil.copytree(bags["mcap"], tmp_path / "bag"))
    file = data_file(bag)
    content = file.read_bytes()
    second = list(chunks(content))[1]
    compressed_size = second + 9 + 28 + 4
    file.write_bytes(content[:compressed_size] + (1 << 45).to_bytes(8, "little") + content[compressed_size + 8 :])
    (bag / "metadata.yaml").unlink()
    assert check_what_is_read(bag, tmp_path / "workspace")[0] == 12


def chunks(content: bytes) -> Iterator[int]:
    """Where the chunks of an MCAP file begin."""
    position = 8
    while position < len(content) - 8:
        if content[position] == 6:
            yield position
        position += 9 + int.from_bytes(content[position + 1 : position + 9], "little")


def test_messages_of_unknown_types_and_compressed_ones_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "bag.mcap"
    with file.open("wb") as stream:
        writer = McapWriter(stream)
        writer.start("ros2")
        known = writer.register_channel("/a", "cdr", writer.register_schema("std_msgs/msg/String", "ros2msg", b""))
        other = writer.register_channel("/b", "cdr", writer.register_schema("acme_msgs/msg/Rocket", "ros2msg", b""))
        for channel in (known, other):
            writer.add_message(channel, START, b"\0\1\0\0\2\0\0\0a\0", START)
        writer.add_message(known, START, b"\x28\xb5\x2f\xfd", START)
        writer.finish()
    file.write_bytes(file.read_bytes()[:-8])
    with open_bag(file, tmp_path) as (reader, damage):
        assert reader.message_count == 1
    assert damage is not None
    assert damage.endswith("; 1 messages were recovered from it")


@pytest.mark.parametrize("table", ["topics", "messages"])
def test_a_view_that_never_ends_is_not_read(tmp_path: Path, table: str) -> None:
    file = tmp_path / "bomb.db3"
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)")
        database.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data)")
        database.execute(f"DROP TABLE {table}")
        columns = "i AS id, 'a' AS name, 'b' AS type" if table == "topics" else "i AS id, 1 AS topic_id, 5, x'00'"
        database.execute(f"CREATE VIEW {table} AS {endless} {columns} FROM n")
    with pytest.raises(UserError, match="no message can be recovered"), open_bag(file, tmp_path):
        pass


@pytest.mark.parametrize("name", ["bomb.db3", "folder/bomb.db3"])
def test_columns_that_are_computed_are_not_read(tmp_path: Path, name: str) -> None:
    """Each row of a few bytes would become a gigabyte; the folder lacks metadata.yaml."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format)")
        database.execute("INSERT INTO topics VALUES (1, '/a', 'std_msgs/msg/String', 'cdr')")
        generated = "data GENERATED ALWAYS AS (zeroblob(100 + id))"
        database.execute(f"CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, {generated})")
        database.executemany("INSERT INTO messages VALUES (?, 1, 5)", [(number,) for number in range(1, 9)])
        database.commit()
    bag = file if file.parent == tmp_path else file.parent
    with pytest.raises(UserError, match="no message can be recovered"), open_bag(bag, tmp_path):
        pass


def test_what_is_left_may_take_half_of_the_free_disk(
    bags: dict[str, Path], storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of a cut file could expand to any size."""
    bag = Path(shutil.copytree(bags[storage], tmp_path / "bag"))
    cut(bag, 0.8)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=4_000_000))
    found = r"bag: expected messages of at most 0\.002 GB, half of the free disk"
    with pytest.raises(UserError, match=found), open_bag(bag, tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_a_library_that_is_missing_is_named(
    bags: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = Path(shutil.copytree(bags["mcap"], tmp_path / "bag"))
    cut(bag, 0.5)
    monkeypatch.setitem(sys.modules, "mcap.stream_reader", None)
    missing = r"damaged, and reading the rest needs mcap.*: pip install mcap$"
    with pytest.raises(UserError, match=missing), open_bag(bag, tmp_path):
        pass


def test_info_shows_the_damage_and_what_is_left(bags: dict[str, Path], storage: str, tmp_path: Path) -> None:
    bag = Path(shutil.copytree(bags[storage], tmp_path / "bag"))
    cut(bag, 3 / 4)
    shown = CliRunner().invoke(app, ["info", str(bag)])
    assert shown.exit_code == 0, shown.output
    assert "damaged: expected a rosbag2 with metadata.yaml, found none (recording not finished?)" in shown.output
    assert "messages were recovered from it" in shown.output
    assert "images: /image" in shown.output


def test_a_bag_of_which_nothing_is_left_is_refused_with_the_tools_to_try(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    for name, content in (
        ("bag.mcap", b""),
        ("bag.mcap", b"\x89MCAP0\r\n"),
        ("bag.db3", b"not a database"),
        ("bag.db3.zstd", b"a file that is compressed as a whole"),
    ):
        (tmp_path / "bag" / name).write_bytes(content)
        with pytest.raises(UserError, match=r"no message can be recovered: .*mcap recover.*zstd -d.*reindex"):
            open_contents(tmp_path / "bag", ChosenTopics(), "bag", tmp_path)
