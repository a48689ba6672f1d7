"""Camera on CircuitPython's ``espcamera``, for boards whose module ``board`` names the camera's pins."""

import board
import busio
import espcamera

from .. import checked
from ..image import Shrink
from ..live import Polled

# what boards call each pin; the first is also its name in messages
_PINS = {
    "data_pins": ("CAMERA_DATA", "CAM_DATA"),
    "external_clock_pin": ("CAMERA_XCLK", "CAM_XCLK"),
    "pixel_clock_pin": ("CAMERA_PCLK", "CAM_PCLK"),
    "vsync_pin": ("CAMERA_VSYNC", "CAM_VSYNC"),
    "href_pin": ("CAMERA_HREF", "CAM_HREF"),
}
_SDA = ("CAMERA_SIOD", "CAM_SDA", "SDA")
_SCL = ("CAMERA_SIOC", "CAM_SCL", "SCL")


def make(settings):
    """Return the reader: a grey-scale frame shrunk to ``WIDTH`` * ``HEIGHT`` values, see image.py.

    Settings: ``WIDTH``, ``HEIGHT``, ``RATE_HZ`` (default 1, at most 25).
    """
    return Polled(_Camera(settings), checked.rate(settings, 1, 25))


class _Camera:
    name = "camera"

    def __init__(self, settings):
        pins = {argument: _named(names) for argument, names in _PINS.items()}
        self._camera = espcamera.Camera(
            i2c=busio.I2C(_named(_SCL), _named(_SDA)),
            pixel_format=espcamera.PixelFormat.GRAYSCALE,
            frame_size=espcamera.FrameSize.R96X96,
            grab_mode=espcamera.GrabMode.LATEST,
            **pins,
        )
        self._shrink = Shrink(settings, self._camera.width, self._camera.height)
        self.channels, self.unit = self._shrink.channels, self._shrink.unit

    def measure_into(self, reading):
        frame = self._camera.take(0.1)
        if frame is None:
            raise OSError("the camera gave no frame")
        self._shrink.read_into(memoryview(frame), reading)  # type: ignore  # the stubs lack it


def _named(names):
    for name in names:
        if hasattr(board, name):
            return getattr(board, name)
    raise ValueError("SENSOR = 'camera': this board has no pins called %s" % " or ".join(names))
