"""What a board's radio has cost: frames, bytes and airtime, up and down, in all and on the running day."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fedmote.bridges.chirpstack.events import Radio
from mote import airtime

_DAY_S = 24 * 3600
_GAP_LIMIT = 1000  # a counter that jumps further was set anew
_LATE_LIMIT = 8  # one that is further back, too


@dataclass
class Traffic:
    """frames, bytes of application payload, airtime_ms: up as received, down as sent by gateways."""

    up_frames: int = 0
    up_bytes: int = 0
    up_airtime_ms: float = 0
    lost_frames: int = 0
    down_frames: int = 0
    down_bytes: int = 0
    down_airtime_ms: float = 0

    def add(self, other: "Traffic") -> None:
        """Add another traffic to this one."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Account:
    """Traffic of one board. day: number of the running day since the epoch, UTC. A lost frame is one that the
    counter skips; it took airtime too, as much as the frame after it."""

    total: Traffic = field(default_factory=Traffic)
    today: Traffic = field(default_factory=Traffic)
    day: int = 0
    counter: int | None = None

    def uplink(self, now: float, counter: int, length: int, radio: Radio | None) -> None:
        """Count a frame of a board. now: seconds since the epoch. counter: LoRaWAN's. length: payload
        bytes."""
        lost = 0 if self.counter is None else counter - self.counter - 1
        if -_LATE_LIMIT <= lost < 0:
            lost = -1  # it was counted as lost
        else:
            lost = lost if 0 <= lost < _GAP_LIMIT else 0
            self.counter = counter
        spent = (1 + lost) * airtime_ms(length, radio, crc=True)
        self._add(now, Traffic(up_frames=1, up_bytes=length, up_airtime_ms=spent, lost_frames=lost))

    def downlink(self, now: float, length: int, radio: Radio | None) -> None:
        """Count a frame to a board."""
        spent = airtime_ms(length, radio, crc=False)
        self._add(now, Traffic(down_frames=1, down_bytes=length, down_airtime_ms=spent))

    def downlinks_today(self, now: float) -> int:
        """Return how many frames went to the board since midnight, UTC."""
        self._turn(now)
        return self.today.down_frames

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Account":
        """Read back what ``to_json`` gave."""
        return cls(Traffic(**fields["total"]), Traffic(**fields["today"]), fields["day"], fields["counter"])

    def _turn(self, now: float) -> None:
        day = int(now // _DAY_S)
        if day != self.day:
            self.day, self.today = day, Traffic()

    def _add(self, now: float, traffic: Traffic) -> None:
        self._turn(now)
        self.total.add(traffic)
        self.today.add(traffic)


def airtime_ms(length: int, radio: Radio | None, crc: bool) -> float:
    """Return the milliseconds on the air of ``length`` payload bytes; 0 where the modulation is not known."""
    if radio is None:
        return 0.0
    return float(airtime.airtime_us(length, radio.spreading, radio.bandwidth, radio.coding, crc)) / 1000
