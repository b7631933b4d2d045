"""Names in the bags that we write: KITTI's topics and frames as KITTI bags have them, and those of the ground truth.

/kitti/camera_color_left/image_raw    sensor_msgs/Image, rgb8                camera 2
/kitti/camera_color_left/camera_info  sensor_msgs/CameraInfo
/kitti/camera_color_right/...         the same for camera 3, if the data have it
/kitti/velo/pointcloud                sensor_msgs/PointCloud2                for the frames that have a scan
/tf_static, /tf                       imu_link -> velo_link -> camera_color_left -> camera_gray_left
/ground_truth/detections              vision_msgs/Detection2DArray           the labels' boxes in the image
/ground_truth/detections_3d           vision_msgs/Detection3DArray           and in space
/ground_truth/labels                  diagnostic_msgs/DiagnosticArray        the labels as KITTI writes them
/ground_truth/label_info              vision_msgs/LabelInfo                  the classes that are labelled
/ground_truth/depth/image             sensor_msgs/Image, 32FC1               metres, NaN where unknown
/ground_truth/depth/description       std_msgs/String                        what the depth was measured with
"""

from __future__ import annotations

#: Camera number -> name of its frame and of its topics.  Camera 0 is the frame that KITTI's labels are in.
CAMERA_NAMES = {0: "camera_gray_left", 2: "camera_color_left", 3: "camera_color_right"}
SCAN_TOPIC = "/kitti/velo/pointcloud"
SCANNER_FRAME = "velo_link"
IMU_FRAME = "imu_link"
STATIC_TRANSFORMS_TOPIC = "/tf_static"
TRANSFORMS_TOPIC = "/tf"

DETECTIONS_TOPIC = "/ground_truth/detections"
DETECTIONS_3D_TOPIC = "/ground_truth/detections_3d"
LABELS_TOPIC = "/ground_truth/labels"
LABEL_INFO_TOPIC = "/ground_truth/label_info"
DEPTH_TOPIC = "/ground_truth/depth/image"
DEPTH_DESCRIPTION_TOPIC = "/ground_truth/depth/description"


def image_topic(camera: int) -> str:
    """Topic of a camera's images."""
    return f"/kitti/{CAMERA_NAMES[camera]}/image_raw"


def camera_info_topic(camera: int) -> str:
    """Topic of a camera's CameraInfo."""
    return f"/kitti/{CAMERA_NAMES[camera]}/camera_info"
