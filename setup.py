"""The ROS 2 package (ament_python); pip and colcon both read this file."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "mp_perception"


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
    version="0.1.0",
    description="Objects and their distance from one camera: a multitask perception network as a ROS 2 node.",
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={f"{NAME}.evaluation.report": ["templates/*"]},
    data_files=share_files(),
    # What is needed lies in package.xml (rosdep) and in environment/requirements.txt (pip), not here: a ROS
    # installation has its own versions, and an executable must not refuse them.
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"], "cluster": ["distributed"], "peers": ["ultralytics"], "rerun": ["rerun-sdk"]},
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
