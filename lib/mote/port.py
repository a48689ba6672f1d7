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


# A collection takes long where there are megabytes, as CPython has, and boards with PSRAM.
_SHORT = hasattr(gc, "mem_free") and gc.mem_free() < 1 << 20


def collect():
    """Let what stays from here on lie close together, where memory is short."""
    if _SHORT:
        gc.collect()


#: whether sensors are read by CircuitPython's modules; by MicroPython's elsewhere
CIRCUITPYTHON = sys.implementation.name == "circuitpython"


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


def arch():
    """Return the architecture of native code in .mpy files that the interpreter takes, None where it takes
    none."""
    number = getattr(sys.implementation, "_mpy", 0) >> 10 & 0x3F
    return _ARCHS[number] if 0 < number < len(_ARCHS) else None


_ARCHS = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa",
    "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip


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


def tls_context(ca, certificate, key, blocks):
    """Return what wraps a socket in TLS and checks the server's certificate and name.

    ca: path of a PEM file of CAs, None for the usual ones. certificate, key: paths of PEM files for the
    server to see, or None. blocks(path): yields what is in a PEM file, as DER, for the interpreter that takes
    no PEM.
    """
    import ssl

    if sys.implementation.name == "micropython":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        for authority in blocks(ca):  # one at a time: of several it would take the first
            context.load_verify_locations(cadata=authority)
        if certificate:
            context.load_cert_chain(next(blocks(certificate)), next(blocks(key)))
        return _Impatient(context)
    context = ssl.create_default_context()
    if ca:
        if not CIRCUITPYTHON:  # where what is loaded takes the place of the usual CAs
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with open(ca) as file:
            context.load_verify_locations(cadata=file.read())
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class _Impatient:
    """Ends MicroPython's handshake, which blocks, where the other side says nothing for long."""

    def __init__(self, context):
        self._context = context

    def wrap_socket(self, plain, server_hostname):
        plain.settimeout(_HANDSHAKE_S)
        try:
            return self._context.wrap_socket(plain, server_hostname=server_hostname)
        except OSError as error:
            if error.errno in _BROKEN_OFF:
                raise OSError("the server broke off the handshake: perhaps it wants a client certificate")
            raise


_HANDSHAKE_S = 5  # shorter than the shortest watchdog, which an update on trial starts
_BROKEN_OFF = (32, 104)  # EPIPE, ECONNRESET


def uart(tx, rx, baud):
    """Return a serial port, to ``read(count)`` without waiting and to ``write(data)``. tx, rx: a pin's number
    or name; on MicroPython those of UART 1."""
    try:
        import board
        import busio
    except ImportError:
        from machine import UART, Pin

        return UART(1, baud, tx=Pin(tx), rx=Pin(rx), timeout=0, rxbuf=1200)
    return busio.UART(
        getattr(board, tx), getattr(board, rx), baudrate=baud, timeout=0, receiver_buffer_size=1200
    )


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


def join_wifi(ssid, password, alive=lambda: None):
    """Connect a board's Wi-Fi and wait up to 20 s, calling ``alive`` meanwhile. Does nothing where there is
    no Wi-Fi module. Raises OSError on failure."""
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
        alive()
        sleep_ms(100)
    raise OSError("Wi-Fi %r: no connection after 20 s, check the name and the password" % ssid)


def print_exception(error):
    """Write the traceback to the console."""
    if hasattr(sys, "print_exception"):  # MicroPython
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


def deep_sleep(seconds):
    """Switch the board off; it starts anew after that time, on some boards earlier. Where there is no such
    sleep this returns after it."""
    try:
        from time import monotonic

        import alarm  # CircuitPython

        alarm.exit_and_deep_sleep_until_alarms(alarm.time.TimeAlarm(monotonic_time=monotonic() + seconds))
    except ImportError:
        try:
            from machine import deepsleep
        except ImportError:
            sleep_ms(1000 * seconds)
            return
        deepsleep(1000 * (min(seconds, _RP2_SLEEP_S) if sys.platform == "rp2" else seconds))


_RP2_SLEEP_S = 3600  # its timer counts 2^32 us


def restart():
    """Reset the board; end the program where there is no board."""
    for module in ("machine", "microcontroller"):
        try:
            reset = __import__(module).reset
        except (ImportError, AttributeError):
            continue
        reset()
    sys.exit(1)
