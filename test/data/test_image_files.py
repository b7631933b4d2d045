"""Images, folders and videos, and the names of their results."""

import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mp_perception.data import image_files
from mp_perception.data.image_files import count_images, find_images_and_videos, read_image, read_images
from mp_perception.encoded_images import MAX_JPEG_SCANS, MAX_PNG_TEXTS
from mp_perception.errors import UserError


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def write(path: Path, image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def assert_is_refused(path: Path, content: bytes) -> None:
    """The content of an image file is not decoded."""
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path.name}: expected an image, found a file that cannot be decoded"):
        read_image(path)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def write_video(path: Path, levels) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in levels:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_pixels_are_rgb(tmp_path, image):
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.png", image)), image)
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))


def test_a_jpeg_with_too_many_scans_is_refused(tmp_path, image):
    """A progressive JPEG whose last scan is repeated: each one would be decoded over the whole image."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = encoded.rindex(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(encoded)
    assert read_image(tmp_path / "a.jpg").shape == image.shape
    assert_is_refused(tmp_path / "b.jpg", encoded[:last] + encoded[last:-2] * MAX_JPEG_SCANS + encoded[-2:])


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.999])
def test_a_jpeg_that_is_cut_off_is_refused(tmp_path, image, fraction):
    """OpenCV would fill the missing rows with grey."""
    content = cv2.imencode(".jpg", image)[1].tobytes()
    assert_is_refused(tmp_path / "a.jpg", content[: int(fraction * len(content))])
    (tmp_path / "a.jpg").write_bytes(content + b"\0" * 100)  # some cameras pad their images
    assert read_image(tmp_path / "a.jpg").shape == image.shape


def test_a_png_with_more_data_than_pixels_is_refused(tmp_path, image):
    content = cv2.imencode(".png", image)[1].tobytes()
    place = content.index(b"IDAT") - 4
    more = png_chunk(b"IDAT", np.random.default_rng(0).bytes(100_000))
    assert_is_refused(tmp_path / "a.png", content[:place] + more + content[place:])


def test_a_png_that_inflates_to_2_gb_is_refused(tmp_path):
    """2 MB of IDAT, of which OpenCV would inflate all and show the first rows."""
    content = cv2.imencode(".png", np.zeros((1300, 1300, 3), np.uint8))[1].tobytes()
    place = content.index(b"IDAT") - 4
    compressor = zlib.compressobj()
    start, run = (compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    assert read_image(write(tmp_path / "black.png", np.zeros((1300, 1300, 3), np.uint8))).shape == (1300, 1300, 3)
    body = start + run * 2047
    assert 2_000_000 < len(body) < 9 * 1300 * 1300
    assert_is_refused(tmp_path / "a.png", content[:place] + png_chunk(b"IDAT", body) + content[-12:])


def test_a_png_with_many_texts_is_refused(tmp_path, image):
    """OpenCV would inflate each to 8 MB, Pillow reads none after the pixels."""
    content = cv2.imencode(".png", image)[1].tobytes()
    text = png_chunk(b"zTXt", b"key\0\0" + zlib.compress(b"text"))
    (tmp_path / "a.png").write_bytes(content[:-12] + text * MAX_PNG_TEXTS + content[-12:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image[..., ::-1])
    assert_is_refused(tmp_path / "a.png", content[:-12] + text * (MAX_PNG_TEXTS + 1) + content[-12:])


def test_a_png_with_damaged_pixels_is_refused(tmp_path, image):
    content = bytearray(cv2.imencode(".png", image)[1].tobytes())
    content[content.index(b"IDAT") + 20] ^= 0xFF
    assert_is_refused(tmp_path / "a.png", bytes(content))


def test_folders_are_searched_and_keep_their_structure(tmp_path, image):
    for name in ("b.png", "a.jpg", "deep/er/c.PNG", "notes.txt"):
        write(tmp_path / name, image) if name != "notes.txt" else (tmp_path / name).write_text("no image")
    found = find_images_and_videos([tmp_path])
    assert [str(name) for _, name in found] == ["a", "b", "deep/er/c"]
    assert count_images(found) == 3


def test_frames_of_videos_are_numbered(tmp_path):
    found = find_images_and_videos([write_video(tmp_path / "drive.mp4", [20, 120, 220])])
    assert count_images(found) == 3
    frames = list(read_images(found))
    assert [str(frame.name) for frame in frames] == ["drive/000000", "drive/000001", "drive/000002"]
    assert frames[2].source.endswith("drive.mp4#2")
    np.testing.assert_allclose([frame.image.mean() for frame in frames], [20, 120, 220], atol=3)


def test_results_that_would_overwrite_each_other_are_refused(tmp_path, image):
    first, second = write(tmp_path / "one" / "a.png", image), write(tmp_path / "two" / "a.png", image)
    with pytest.raises(UserError, match=r"two/a\.png: its results would overwrite those of .*one/a\.png"):
        find_images_and_videos([first, second])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "no such file or folder"),
        ("text.txt", b"hello", "expected an image or a video, found a file ending in '.txt'"),
        ("broken.png", b"\x89PNG broken", "cannot be decoded"),
        ("empty.jpg", b"", "cannot be decoded"),
        ("broken.mp4", b"not a video", "expected a video, found"),
    ],
)
def test_a_file_that_is_not_an_image_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        list(read_images(find_images_and_videos([path])))
    assert str(caught.value).startswith(str(path))


def test_a_video_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "large.mp4", [20, 120])
    monkeypatch.setattr(image_files, "MAX_FILE_PIXELS", 100_000)  # FFmpeg adds borders before it compares
    assert len(list(read_images(find_images_and_videos([path])))) == 2
    monkeypatch.setattr(image_files, "MAX_FILE_PIXELS", 64 * 48 - 1)
    with pytest.raises(UserError, match=r"large\.mp4: expected a video of at most 3071 pixels, found 64x48"):
        list(read_images(find_images_and_videos([path])))


def test_a_video_that_grows_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    frames = [cv2.imencode(".jpg", np.full((h, w, 3), 90, np.uint8))[1].tobytes() for w, h in [(64, 48)] * 30]
    frames.append(cv2.imencode(".jpg", np.full((480, 640, 3), 90, np.uint8))[1].tobytes())
    path = tmp_path / "growing.avi"
    path.write_bytes(b"".join(frames))
    assert [named.image.shape for named in read_images([(path, Path("growing"))])][-1] == (480, 640, 3)
    monkeypatch.setattr(image_files, "MAX_FILE_PIXELS", 640 * 480 - 1)
    images = read_images([(path, Path("growing"))])
    assert [next(images).image.shape for _ in range(30)] == [(48, 64, 3)] * 30
    with pytest.raises(UserError, match=r"growing\.avi: the video cannot be decoded further"):
        next(images)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected images or videos in this folder, found none"):
        find_images_and_videos([tmp_path])
