"""The ROS 2 package (ament_python); pip and colcon both read this file."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "mp_perception"

#: Libraries for `predict`, bags and evaluation without ROS and PyTorch.  Ranges begin with the version that is tested
#: (environment/requirements.txt) and end before the next major version; cv-bridge does not work with NumPy 2.3.
RUNTIME = [
    "av~=18.1",
    "defusedxml~=0.7",
    "lz4~=4.4",
    "mcap~=1.6",
    "numpy~=2.2.6",
    "onnxruntime~=1.32",
    "opencv-python-headless~=4.14",
    "openvino>=2026.4",
    "pillow~=13.0",
    "psutil~=7.2",
    "PyYAML~=6.0",
    "rich~=15.0",
    "rosbags~=0.11.9",
    "scipy~=1.17",
    "typer~=0.29.2",
]
TRAINING = [
    "jsonargparse~=4.53",
    "lightning~=2.6",
    "onnx~=1.23",
    "onnxscript~=0.7.2",
    "pycocotools~=2.0",
    "safetensors~=0.8",
    "tensorboard~=2.21",
    "torch~=2.14",
    "torchmetrics~=1.9",
    "torchvision~=0.29",
]
REPORTS = ["Jinja2~=3.1", "matplotlib~=3.11"]
EXTRAS = {
    "runtime": RUNTIME,
    "reports": [*RUNTIME, *REPORTS],
    "training": [*RUNTIME, *REPORTS, *TRAINING],
    "cluster": ["distributed>=2026.8"],
    "rerun": ["rerun-sdk~=0.41"],
    "peers": ["ultralytics"],
    "test": ["html5lib~=1.1", "hypothesis~=6.170", "pytest~=9.2", "pytest-timeout~=2.4", "pytest-xdist~=3.8"],
}


def share_files() -> list[tuple[str, list[str]]]:
    """(folder under the prefix, files) of everything that is not Python, subfolders kept."""
    files = [("share/ament_index/resource_index/packages", [f"resource/{NAME}"]), (f"share/{NAME}", ["package.xml"])]
    for top in ("config", "launch", "weights"):
        for folder in [Path(top), *sorted(path for path in Path(top).rglob("*") if path.is_dir())]:
            contents = sorted(str(path) for path in folder.glob("*") if path.is_file())
            files.append((f"share/{NAME}/{folder}", contents))
    return [(folder, contents) for folder, contents in files if contents]


setup(
    name=NAME,
    version="0.5.0",
    description="Objects and their distance from one camera: a multitask perception network as a ROS 2 node.",
    # The code; the weights, which are trained on KITTI.
    license="Apache-2.0 AND CC-BY-NC-SA-3.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={
        NAME: ["py.typed"],
        f"{NAME}.evaluation.report": ["templates/*"],
        f"{NAME}.adaptation": ["templates/*"],
    },
    data_files=share_files(),
    # package.xml (rosdep) and the extras name the libraries, not install_requires: a ROS installation brings its own
    # versions, and pip must not replace them.
    install_requires=["setuptools"],
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "mp_perception = mp_perception.commands.main:run",
            "perception_node = mp_perception.ros.perception_node:main",
            "replay_node = mp_perception.ros.replay_node:main",
            "record_node = mp_perception.ros.record_node:main",
        ],
    },
)
