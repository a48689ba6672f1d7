"""How long a LoRa transmission is on the air, and when the next one is allowed. It has no radio.

The formula is of Semtech's AN1200.13 (LoRa Modem Designer's Guide), in whole microseconds.
"""

from .port import ticks_add, ticks_diff

#: region -> (spreading factor, bandwidth in Hz, largest application payload in bytes) by data rate:
#: LoRaWAN Regional Parameters RP002, LoRa rates alone, without repeaters
REGIONS = {
    "EU868": (
        (12, 125000, 51),
        (11, 125000, 51),
        (10, 125000, 51),
        (9, 125000, 115),
        (8, 125000, 222),
        (7, 125000, 222),
        (7, 250000, 222),
    ),
    "US915": (
        (10, 125000, 11),
        (9, 125000, 53),
        (8, 125000, 125),
        (7, 125000, 222),
        (8, 500000, 222),
    ),
}

#: bytes that LoRaWAN puts around an application payload: MHDR, DevAddr, FCtrl, FCnt, FPort, MIC
FRAME_BYTES = 13

_PREAMBLE_SYMBOLS = 8
_DAY_MS = 24 * 3600 * 1000


def airtime_us(payload_bytes, spreading, bandwidth, coding=1, crc=True):
    """Return the microseconds that a LoRaWAN frame with ``payload_bytes`` of the application is on the air.

    spreading: 7 to 12. bandwidth: Hz. coding: 1 for 4/5 to 4 for 4/8. crc: downlinks have none.
    """
    symbol_us = 1000000 * (1 << spreading) // bandwidth
    slow = 2 if symbol_us > 16000 else 0  # low data rate optimisation
    bits = 8 * (payload_bytes + FRAME_BYTES) - 4 * spreading + 28 + (16 if crc else 0)
    width = 4 * (spreading - slow)
    symbols = 8 + max(0, (bits + width - 1) // width) * (coding + 4)
    return symbol_us * (_PREAMBLE_SYMBOLS + symbols) + symbol_us * 17 // 4


class Pace:
    """Keeps transmissions within a duty cycle and a daily airtime. All times are milliseconds of
    port.ticks_ms.

    duty: percent of the time. day_ms: airtime of 24 hours, 0 for as much as the duty cycle gives. To be
    asked at least once a day, or ticks wrap unseen. Raises ValueError for a duty or a day that lets
    nothing be sent.
    """

    def __init__(self, now, duty=1.0, day_ms=0):
        if not 0 < duty <= 100 or day_ms < 0:
            raise ValueError("duty cycle of %s percent, %s ms a day" % (duty, day_ms))
        self._duty, self._day_ms = duty, day_ms
        self._free_at = self._day_from = now
        #: airtime since the board started, and of the running 24 hours
        self.total_ms = self.today_ms = 0

    @property
    def share(self):
        """The part of the time that may be spent on the air, 0 to 1."""
        share = self._duty / 100
        return min(share, self._day_ms / _DAY_MS) if self._day_ms else share

    def allows(self, now, airtime_ms):
        """Tell whether a transmission of this length may begin now."""
        if ticks_diff(now, self._day_from) >= _DAY_MS:
            self._day_from, self.today_ms = now, 0
        if self._day_ms and self.today_ms + airtime_ms > self._day_ms:
            return False
        if ticks_diff(now, self._free_at) < 0:
            return False
        self._free_at = now  # so that it never lies half a period of ticks behind
        return True

    def spend(self, now, airtime_ms):
        """Count a transmission that begins now."""
        self.total_ms += airtime_ms
        self.today_ms += airtime_ms
        self._free_at = ticks_add(now, round(airtime_ms * 100 / self._duty))
