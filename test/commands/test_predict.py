"""`mp_perception predict` as a user calls it: a process, its files, its exit code."""

import json

import cv2
import numpy as np
import pytest


@pytest.fixture
def street(tmp_path):
    folder = tmp_path / "street"
    folder.mkdir()
    for number in range(2):
        image = np.random.default_rng(number).integers(0, 256, (75, 248, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


def test_a_folder_gives_three_files_per_image(mp_perception, street, tmp_path):
    done = mp_perception("predict", street, "--intrinsics", 144, 144, 122, 34, "--score-threshold", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 images" in done.stdout
    names = {file.name for file in (tmp_path / "predictions").iterdir()}
    assert names == {f"{n}{suffix}" for n in "01" for suffix in (".json", "_depth.png", "_overlay.png")}
    result = json.loads((tmp_path / "predictions" / "0.json").read_text())
    assert (result["width"], result["height"]) == (248, 75)
    first = result["detections"][0]
    assert first["position"][2] == first["depth"]
    depth = cv2.imread(str(tmp_path / "predictions" / "0_depth.png"), cv2.IMREAD_UNCHANGED)
    assert depth.shape == (75, 248)
