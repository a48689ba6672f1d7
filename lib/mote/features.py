"""From raw readings to a network's int8 input: windows, statistics, normalisation. No reading is kept."""

from array import array
from math import sqrt


class Statistics:
    """Mean, standard deviation, minimum and maximum of every channel over a window, updated reading by
    reading (Welford 1962).

    channels: values per reading. window: readings per window. The row is [means, deviations, minima, maxima],
    4 * channels.
    """

    def __init__(self, channels, window):
        self.channels, self.window = channels, window
        self.width = 4 * channels
        self.row = array("f", bytes(4 * self.width))
        self._count = 0

    def push(self, reading):
        """Take one reading (channels values). Return True when ``row`` now holds a whole window."""
        row, n = self.row, self.channels
        if self._count == 0:
            for c in range(n):
                row[c] = row[2 * n + c] = row[3 * n + c] = reading[c]
                row[n + c] = 0.0
            self._count = 1
        else:
            self._count += 1
            for c in range(n):
                value = reading[c]
                off = value - row[c]
                row[c] += off / self._count
                row[n + c] += off * (value - row[c])
                if value < row[2 * n + c]:
                    row[2 * n + c] = value
                if value > row[3 * n + c]:
                    row[3 * n + c] = value
        if self._count < self.window:
            return False
        for c in range(n, 2 * n):
            row[c] = sqrt(row[c] / self._count)
        self._count = 0
        return True

    def reset(self):
        """Drop the window under way."""
        self._count = 0


class Raw:
    """The readings of a window as they are, one after the other: channels * window values."""

    def __init__(self, channels, window):
        self.channels, self.window = channels, window
        self.width = channels * window
        self.row = array("f", bytes(4 * self.width))
        self._count = 0

    def push(self, reading):
        """Take one reading (channels values). Return True when ``row`` now holds a whole window."""
        if self._count == self.width:
            self._count = 0
        for value in reading:
            self.row[self._count] = value
            self._count += 1
        return self._count == self.width

    def reset(self):
        """Drop the window under way."""
        self._count = 0


KINDS = {"statistics": Statistics, "raw": Raw}


def make(settings):
    """Return the extractor that a model's feature settings name: ``kind``, ``channels``, ``window``."""
    if settings["kind"] not in KINDS:
        raise ValueError(
            "features of kind %r are unknown, choose one of: %s" % (settings["kind"], ", ".join(KINDS))
        )
    return KINDS[settings["kind"]](settings["channels"], settings["window"])


class Normaliser:
    """Centres and scales rows by this board's own mean and deviation, then quantises them for the network's
    input.

    width: values per row. floor: added to every deviation, in the unit of the feature. scale: of the int8
    input.
    """

    def __init__(self, width, floor, scale, zero_point=0):
        self.mean = array("f", bytes(4 * width))
        self.factor = array("f", [1.0] * width)
        self._floor, self._scale, self._zero_point = floor, scale, zero_point

    def fit(self, ring):
        """Take mean and deviation of the rows in the ring buffer; yields after each column."""
        width, values, count = len(self.mean), ring.values, len(ring)
        for k in range(width):
            mean = 0.0
            for i in range(k, count * width, width):
                mean += values[i]
            mean /= count
            square = 0.0
            for i in range(k, count * width, width):
                off = values[i] - mean
                square += off * off
            self.mean[k] = mean
            self.factor[k] = 1.0 / ((sqrt(square / count) + self._floor) * self._scale)
            yield

    def quantise_into(self, row, target):
        """Write the int8 input of the network for ``row`` (width floats) into ``target`` (width int8)."""
        for k in range(len(self.mean)):
            value = round((row[k] - self.mean[k]) * self.factor[k]) + self._zero_point
            target[k] = -128 if value < -128 else 127 if value > 127 else value


class Ring:
    """The most recent windows, in memory taken once: ``values`` float32 [capacity * width], ``labels``
    [capacity].

    They are all labelled or all unlabelled (``labelled`` tells): the first label given empties the ring, and
    from then on windows without one are not kept.
    """

    def __init__(self, capacity, width):
        self.capacity, self.width = capacity, width
        self.values = array("f", bytes(4 * capacity * width))
        self.labels = bytearray(capacity)
        self.labelled = False
        #: windows stored since start
        self.added = 0
        self._rows = memoryview(self.values)
        self._count = self._next = 0

    def __len__(self):
        return self._count

    def add(self, row, label):
        """Store one window, an array('f') of width; the oldest one goes when the buffer is full.

        label: class number, or None where nobody has told.
        """
        if self.labelled and label is None:
            return
        if not self.labelled and label is not None:
            self.labelled = True
            self._count = self._next = 0
        start = self._next * self.width
        self.values[start : start + self.width] = row
        self.labels[self._next] = label or 0
        self._next = (self._next + 1) % self.capacity
        self.added += 1
        if self._count < self.capacity:
            self._count += 1

    def row(self, number):
        """Return window ``number`` as a view of width floats."""
        return self._rows[number * self.width : (number + 1) * self.width]
