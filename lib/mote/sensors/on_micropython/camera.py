"""Camera on MicroPython for ESP32 builds that have the module ``camera`` (micropython-camera-API), whose
images know the pins of their board."""

from camera import Camera, FrameSize, PixelFormat

from .. import checked
from ..image import Shrink
from ..live import Polled


def make(settings):
    """Return the reader: a grey-scale frame shrunk to ``WIDTH`` * ``HEIGHT`` values, see image.py.

    Settings: ``WIDTH``, ``HEIGHT``, ``RATE_HZ`` (default 1, at most 25).
    """
    rate_hz = checked.rate(settings, 1, 25)
    return Polled(_Camera(settings), rate_hz)


class _Camera:
    name = "camera"

    def __init__(self, settings):
        self._camera = Camera(pixel_format=PixelFormat.GRAYSCALE, frame_size=FrameSize.R96X96)
        self._shrink = Shrink(settings, self._camera.get_pixel_width(), self._camera.get_pixel_height())
        self.channels, self.unit = self._shrink.channels, self._shrink.unit

    def measure_into(self, reading):
        frame = self._camera.capture()
        if not frame or len(frame) < self._shrink.frame_bytes:
            raise OSError("the camera gave no whole frame")
        self._shrink.read_into(memoryview(frame), reading)
