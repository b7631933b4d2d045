"""Images as users have them: single files, folders and videos, all as named RGB arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mp_perception.arrays import RgbImage
from mp_perception.encoded_images import encoded_size
from mp_perception.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer

#: Maximum number of pixels of images and videos: an image of this size takes 300 MB, twice while it is read.
MAX_FILE_PIXELS = 100_000_000
#: Pillow's names of the formats of IMAGE_SUFFIXES.
_PICTURE_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "WEBP", "TIFF", "PPM")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
#: Of the images of data sets.
FRAME_SUFFIXES = (".png", ".jpg")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class NamedImage:
    """An image and the name of its results.

    name: path without suffix, relative to the output folder.  source: its name in messages and results.
    image: RGB uint8 (H, W, 3).  time: of a video's frame, seconds from its start; None for others.
    """

    name: Path
    source: str
    image: RgbImage
    time: float | None = None


def read_image(path: Path) -> RgbImage:
    """RGB uint8 (H, W, 3), upright by EXIF.  Raises UserError if the file is missing, not an image or too large."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: expected an image, found: {error.strerror}") from error
    size = encoded_size(content, _PICTURE_FORMATS)
    if size is not None and size[0] * size[1] > MAX_FILE_PIXELS:
        raise UserError(f"{path}: expected an image of at most {MAX_FILE_PIXELS} pixels, found {size[0]}x{size[1]}")
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if size is not None else None
    except cv2.error as error:
        raise UserError(f"{path}: expected an image, found: {error.err}") from error
    if decoded is None:
        raise UserError(f"{path}: expected an image, found a file that cannot be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def find_images_and_videos(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(file, name of its results) for every image and video under `paths`, sorted within a folder.

    A folder is searched recursively, and its results keep its structure.
    Raises UserError for a path that is missing, of an unknown kind or empty, and for two files with the same name.
    """
    found: list[tuple[Path, Path]] = []
    for path in paths:
        if path.is_dir():
            known = IMAGE_SUFFIXES + VIDEO_SUFFIXES
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in known and file.is_file())
            if not files:
                raise UserError(f"{path}: expected images or videos in this folder, found none")
            found += [(file, file.relative_to(path).with_suffix("")) for file in files]
        elif not path.exists():
            raise UserError(f"{path}: no such file or folder")
        elif path.suffix.lower() not in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
            raise UserError(f"{path}: expected an image or a video, found a file ending in '{path.suffix}'")
        else:
            found.append((path, Path(path.stem)))
    by_name: dict[Path, Path] = {}
    for file, name in found:
        if name in by_name:
            raise UserError(f"{file}: its results would overwrite those of {by_name[name]}: predict them separately")
        by_name[name] = file
    return found


def read_images(files: Sequence[tuple[Path, Path]]) -> Iterator[NamedImage]:
    """All images of `find_images_and_videos`, one at a time; a video's frames are numbered in a folder of its name."""
    for file, name in files:
        if file.suffix.lower() in VIDEO_SUFFIXES:
            yield from _read_video(file, name)
        else:
            yield NamedImage(name, str(file), read_image(file))


def count_images(files: Sequence[tuple[Path, Path]]) -> int | None:
    """Number of images that `read_images` yields, for a progress bar; None if a video does not tell."""
    total = 0
    for file, _ in files:
        if file.suffix.lower() in VIDEO_SUFFIXES:
            with _open_video(file) as container:
                frames = container.streams.video[0].frames
            if not frames:
                return None
            total += frames
        else:
            total += 1
    return total


def _open_video(path: Path) -> InputContainer:
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: expected a video, found: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: expected a video, found a file without a video stream")
    codec = container.streams.video[0].codec_context
    if codec.width * codec.height > MAX_FILE_PIXELS:
        container.close()
        raise UserError(
            f"{path}: expected a video of at most {MAX_FILE_PIXELS} pixels, found {codec.width}x{codec.height}"
        )
    codec.options = {"max_pixels": str(MAX_FILE_PIXELS)}  # the size may change within the stream
    return container


def _read_video(path: Path, name: Path) -> Iterator[NamedImage]:
    import av  # not at the top: images and bags do not need it

    with _open_video(path) as container:
        try:
            for number, frame in enumerate(container.decode(video=0)):
                image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                yield NamedImage(name / f"{number:06d}", f"{path}#{number}", image, frame.time)
        except av.FFmpegError as error:
            raise UserError(f"{path}: the video cannot be decoded further: {error.strerror}") from error
