"""A periodic timer of whichever kind the board's MicroPython has."""

from machine import Timer

# (number, options): a virtual timer that interrupts at once, one whose callback waits for the end of a
# bytecode, and hardware timer 0 where there are no virtual ones
_KINDS = ((-1, {"hard": True}), (-1, {}), (0, {"hard": True}), (0, {}))


def start(rate_hz, callback):
    """Call ``callback(timer)`` ``rate_hz`` times a second and return the timer, which must be kept.

    Raises OSError where the board has no timer.
    """
    for number, options in _KINDS:
        try:
            return Timer(number, freq=rate_hz, mode=Timer.PERIODIC, callback=callback, **options)
        except (TypeError, ValueError):  # no such timer, or no such option
            continue
    raise OSError("no timer of this board runs at %s Hz" % rate_hz)
