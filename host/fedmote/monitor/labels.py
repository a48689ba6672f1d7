"""Tells a board over its serial port what its sensor sees, so that it can learn from it."""

import json
import time
from collections.abc import Iterator

import serial

from fedmote.errors import FedmoteError
from fedmote.monitor.lines import Splitter
from fedmote.monitor.telemetry import Telemetry, parse

ANSWER_S = 10.0
_READ_BYTES = 4096


def tell(port: str, label: str | None, baud: int = 115200) -> Telemetry:
    """Name the class that the board senses from now on, None for an unknown one; return the board's answer.

    Raises FedmoteError where the port cannot be used, the board does not answer or has no such class.
    """
    try:
        with serial.serial_for_url(port, baud, timeout=0.1, write_timeout=ANSWER_S) as connection:
            connection.write(b"\n" + json.dumps({"label": label}).encode() + b"\n")
            for telemetry in _heard(connection):
                if telemetry.error is not None and "not understood" in telemetry.error:
                    raise FedmoteError(
                        f"{telemetry.device} knows no class {label!r}: `fedmote monitor` shows them"
                    )
                if "told" in telemetry.raw:
                    return telemetry
    except (OSError, ValueError) as error:
        raise FedmoteError(f"{port} cannot be used ({error}): is another program using it?") from None
    raise FedmoteError(f"no answer at {port}: does the board's program run? `fedmote monitor` shows it")


def _heard(connection: serial.Serial) -> Iterator[Telemetry]:
    splitter = Splitter()
    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end:
        for line in splitter.feed(connection.read(_READ_BYTES if connection.in_waiting else 1)):
            if telemetry := parse(line):
                yield telemetry
