"""What one client's sensor gave: labelled series of readings, and the file that a board replays."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from mote import wire

_VERSION = 1
_LARGEST = 32767


@dataclass(frozen=True)
class Recording:
    """One client's series, rounded to int16 steps of each channel, as the board's file holds them.

    client: a valid device name. labels: uint8 [S]. series: S arrays, float32 [readings, channels].
    scales: float32 [channels], the steps that values were rounded to; None for values as they were measured.
    Raises ValueError for a name that no device may have, and where labels and series do not fit each other.
    """

    client: str
    labels: NDArray[np.uint8]
    series: list[NDArray[np.float32]]
    rate_hz: float
    scales: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not wire.valid_name(self.client):
            raise ValueError(f"client {self.client!r}: a name has 1 to 32 characters of a-z 0-9 _ -")
        if len(self.labels) != len(self.series) or not self.series:
            raise ValueError(f"{self.client} has {len(self.series)} series and {len(self.labels)} labels")
        if any(one.ndim != 2 or one.shape[1] != self.channels or not len(one) for one in self.series):
            raise ValueError(
                f"{self.client} has an empty series, or one that has not {self.channels} channels"
            )
        if self.scales is None:
            largest = np.max([np.abs(one).max(axis=0) for one in self.series], axis=0)
            # a power of two: steps times scale is exact on every board
            scales = np.exp2(np.ceil(np.log2(np.maximum(largest, 1e-30) / _LARGEST))).astype(np.float32)
            series = [
                (self._steps(one, scales) * scales.astype(np.float64)).astype(np.float32)
                for one in self.series
            ]
            object.__setattr__(self, "scales", scales)
            object.__setattr__(self, "series", series)

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
            assert self.scales is not None  # __post_init__ has seen to it
            file.write(self.scales.astype("<f4").tobytes())
            for label, readings in zip(self.labels, self.series, strict=True):
                file.write(struct.pack("<IB3x", len(readings), label))
                file.write(self._steps(readings, self.scales).astype("<i2").tobytes())

    @staticmethod
    def _steps(readings: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.clip(np.rint(readings / scales.astype(np.float64)), -_LARGEST, _LARGEST)
