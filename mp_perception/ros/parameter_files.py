"""The files made from the parameter table: `config/perception.yaml` and `docs/parameters.md`.

Run `python -m mp_perception.ros.parameter_files` in the checkout after changing the table; a test holds them equal.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from textwrap import wrap

import yaml

from mp_perception.files import share_folder
from mp_perception.ros.parameters import NodeParameters, constraint_text, ros_value, type_name

YAML_FILE = Path("config/perception.yaml")
DOCUMENTATION_FILE = Path("docs/parameters.md")

_YAML_HEAD = """\
# Parameters of the perception node with their defaults, for every node name and namespace.
# Made from the table in mp_perception/ros/parameters.py; "run time" may change while the node is active.
/**:
  ros__parameters:
"""

_DOCUMENTATION_HEAD = """\
# Parameters of the perception node

Made from the table in `mp_perception/ros/parameters.py`. A parameter marked "yes" may change while the node is active,
for example `ros2 param set /perception score_threshold 0.5`; the others while it is unconfigured. A change that is
refused names the range and the value given. -1 and [0, 0] stand for the checkpoint's own value; the diagnostics show
the one in effect.

| name | type | default | range | run time | meaning |
|---|---|---|---|---|---|
"""

_DOCUMENTATION_END = """
## Quality of service

The subscriptions take rclpy's own overrides. Their names hold the resolved topic, so after remapping `image` to
`/front/image` a reliable subscription is asked for by

```yaml
/**:
  ros__parameters:
    qos_overrides:
      /front/image:
        subscription:
          reliability: reliable
```

or `--ros-args -p qos_overrides./front/image.subscription.reliability:=reliable`. History, depth and reliability can be
set. When a publisher cannot serve the subscription, the node says so in one line with both policies and the parameter.
With `process_every_frame` the subscription to the images is always reliable and takes no overrides.
"""


def yaml_text() -> str:
    """Text of config/perception.yaml."""
    lines = []
    for row in fields(NodeParameters):
        note = (
            f"{constraint_text(row)}{'; run time' if row.metadata['run_time'] else ''}. {row.metadata['description']}"
        )
        lines += [f"    # {line}" for line in wrap(note, 110)]
        value = yaml.safe_dump(ros_value(row.default), default_flow_style=True, width=1000).splitlines()[0]
        lines.append(f"    {row.name}: {value}")
    return _YAML_HEAD + "\n".join(lines) + "\n"


def documentation_text() -> str:
    """Text of docs/parameters.md."""
    lines = []
    for row in fields(NodeParameters):
        default = yaml.safe_dump(ros_value(row.default), default_flow_style=True, width=1000).splitlines()[0]
        run_time = "yes" if row.metadata["run_time"] else "no"
        cells = (type_name(row), f"`{default}`", row.metadata["range"].text, run_time, row.metadata["description"])
        lines.append(f"| `{row.name}` | {' | '.join(cells)} |")
    return _DOCUMENTATION_HEAD + "\n".join(lines) + "\n" + _DOCUMENTATION_END


def write_files(folder: Path) -> None:
    """Write both files below the checkout `folder`."""
    (folder / YAML_FILE).write_text(yaml_text(), encoding="utf-8")
    (folder / DOCUMENTATION_FILE).write_text(documentation_text(), encoding="utf-8")


if __name__ == "__main__":
    write_files(share_folder())
