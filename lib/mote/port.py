"""What differs between MicroPython, CircuitPython and CPython: no other module asks which one it runs on."""

import gc
import os
import sys

try:
    from binascii import crc32
except ImportError:  # CircuitPython builds without binascii.crc32
    from zlib import crc32

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


try:
    from time import ticks_add, ticks_diff, ticks_ms, ticks_us
except ImportError:
    try:
        from supervisor import ticks_ms as _ticks_ms  # CircuitPython: wraps at 2^29
    except ImportError:  # CPython
        _ticks_ms = None
    from time import monotonic_ns

    _PERIOD = const(1 << 29)

    def ticks_ms():
        return (_ticks_ms() if _ticks_ms else monotonic_ns() // 1000000) & (_PERIOD - 1)

    def ticks_us():
        return (monotonic_ns() // 1000) & (_PERIOD - 1)

    def ticks_add(ticks, delta):
        return (ticks + delta) & (_PERIOD - 1)

    def ticks_diff(end, start):
        return ((end - start + (_PERIOD >> 1)) & (_PERIOD - 1)) - (_PERIOD >> 1)


try:
    from time import sleep_ms
except ImportError:
    from time import sleep

    def sleep_ms(milliseconds):
        sleep(milliseconds / 1000)


def sha256():
    """Return a new SHA-256 object with ``update`` and ``digest``."""
    import hashlib

    if hasattr(hashlib, "sha256"):
        return hashlib.sha256()
    return hashlib.new("sha256")  # CircuitPython


def random_bytes(count):
    """Return ``count`` bytes from the hardware's or the system's random source."""
    return os.urandom(count)


def free_bytes():
    """Return the free heap in bytes after a collection; 0 where the interpreter does not tell (CPython)."""
    gc.collect()
    return gc.mem_free() if hasattr(gc, "mem_free") else 0


def runtime():
    """Return the interpreter's name and version, such as ``micropython 1.29.0``."""
    name = sys.implementation.name
    return name + " " + ".".join(str(part) for part in sys.implementation.version[:3])


def radio():
    """Return CircuitPython's Wi-Fi radio, which its sockets are made from; None elsewhere."""
    try:
        import wifi
    except ImportError:
        return None
    return wifi.radio


def rssi():
    """Return the strength of the Wi-Fi signal in dBm, or None where it is not known."""
    try:
        board_radio = radio()
        if board_radio is not None:
            return board_radio.ap_info.rssi
        import network

        return network.WLAN(network.STA_IF).status("rssi")
    except (ImportError, AttributeError, ValueError, OSError):  # no radio, none joined, not told
        return None


class Console:
    """Reads what is typed, without waiting."""

    def __init__(self):
        try:
            from supervisor import runtime as _runtime  # CircuitPython

            self._available = lambda: _runtime.serial_bytes_available
        except ImportError:
            from select import POLLIN, poll

            poller = poll()
            poller.register(sys.stdin, POLLIN)
            self._available = lambda: poller.poll(0)

    def read(self):
        """Return the next character, or an empty text."""
        return sys.stdin.read(1) if self._available() else ""


def join_wifi(ssid, password):
    """Connect a board's Wi-Fi and wait up to 20 s. Does nothing where there is no Wi-Fi module. Raises
    OSError on failure."""
    board_radio = radio()
    if board_radio is not None:
        board_radio.connect(ssid, password)
        return
    try:
        import network
    except ImportError:
        return
    station = network.WLAN(network.STA_IF)
    station.active(True)
    station.connect(ssid, password)
    for _ in range(200):
        if station.isconnected():
            return
        sleep_ms(100)
    raise OSError("Wi-Fi %r: no connection after 20 s, check the name and the password" % ssid)


def print_exception(error):
    """Write the traceback to the console."""
    if hasattr(sys, "print_exception"):  # MicroPython
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def restart():
    """Reset the board; end the program where there is no board."""
    for module in ("machine", "microcontroller"):
        try:
            reset = __import__(module).reset
        except (ImportError, AttributeError):
            continue
        reset()
    sys.exit(1)
