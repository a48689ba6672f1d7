"""What one client's sensor gave: labelled series of readings, and the file that a board replays."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from mote import wire

_VERSION = 1


@dataclass(frozen=True)
class Recording:
    """One client's series. client: a valid device name. labels: uint8 [S]. series: S arrays, float32
    [readings, channels].

    Raises ValueError for a name that no device may have, and where labels and series do not fit each other.
    """

    client: str
    labels: NDArray[np.uint8]
    series: list[NDArray[np.float32]]
    rate_hz: float

    def __post_init__(self) -> None:
        if not wire.valid_name(self.client):
            raise ValueError(f"client {self.client!r}: a name has 1 to 32 characters of a-z 0-9 _ -")
        if len(self.labels) != len(self.series) or not self.series:
            raise ValueError(f"{self.client} has {len(self.series)} series and {len(self.labels)} labels")
        if any(one.ndim != 2 or one.shape[1] != self.channels or not len(one) for one in self.series):
            raise ValueError(
                f"{self.client} has an empty series, or one that has not {self.channels} channels"
            )

    @property
    def channels(self) -> int:
        """Values per reading."""
        return int(self.series[0].shape[-1])

    @property
    def readings(self) -> int:
        """Readings of all series together."""
        return sum(map(len, self.series))

    def shuffled(self, seed: int) -> "Recording":
        """Return the recording with its series in another order, so that a board meets the classes mixed."""
        order = list(range(len(self.series)))
        Random(f"{seed} {self.client}").shuffle(order)
        return replace(self, labels=self.labels[order], series=[self.series[n] for n in order])

    def write(self, path: Path) -> None:
        """Write the file (.rec) that lib/mote/sensors/replay.py plays; the layout stands there."""
        with path.open("wb") as file:
            head = (b"MREC", _VERSION, self.channels, self.rate_hz, len(self.series), self.readings, 0)
            file.write(struct.pack("<4sHHfIII", *head))
            for label, readings in zip(self.labels, self.series, strict=True):
                file.write(struct.pack("<IB3x", len(readings), label))
                file.write(readings.astype("<f4").tobytes())
