"""From a grey-scale frame to one reading of few pixels. It opens no camera."""

from . import checked


class Shrink:
    """Settings: ``WIDTH`` and ``HEIGHT`` of a reading in pixels, row by row, each from 0 (black) to 1
    (white).

    frame_width, frame_height: of the camera's frames. Each pixel of a reading is the mean of a box of whole
    pixels; what is left at the frame's edges is cut off evenly.
    """

    unit = ""

    def __init__(self, settings, frame_width, frame_height):
        self._columns = checked.number(settings, "WIDTH", 8, 1, frame_width)
        self._rows = checked.number(settings, "HEIGHT", 8, 1, frame_height)
        self.channels = self._columns * self._rows
        self._width = frame_width
        self._across, self._down = frame_width // self._columns, frame_height // self._rows
        left = (frame_width - self._across * self._columns) // 2
        top = (frame_height - self._down * self._rows) // 2
        self._start = top * frame_width + left
        self.frame_bytes = frame_width * frame_height

    def read_into(self, frame, reading):
        """Make ``reading`` of a memoryview of bytes, one a pixel."""
        across, down, width = self._across, self._down, self._width
        scale = 1.0 / (255 * across * down)
        for row in range(self._rows):
            for column in range(self._columns):
                at = self._start + row * down * width + column * across
                total = 0
                for _ in range(down):
                    total += sum(frame[at : at + across])  # at the speed of C
                    at += width
                reading[row * self._columns + column] = total * scale
