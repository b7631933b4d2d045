"""The nodes, and what they consist of."""

from mp_perception.ros.shared_memory import exit_if_full

exit_if_full()  # before rclpy is imported
