"""What a script can rely on: the keys of ``fedmote boards --json`` and ``fedmote devices --json``, and the
types of their values. Keys may be added; none goes away or changes its type."""

import json
from types import NoneType
from typing import Any

import pytest

from fedmote import cli
from fedmote.monitor.devices.sighting import Sighting

RUNTIME = {
    "image": str,
    "kernels": [str],
    "offset": (int, NoneType),
    "heap_bytes": (int, NoneType),
    "heap_measured": bool,
}
BOARD = {
    "name": str,
    "title": str,
    "chip": str,
    "arch": str,
    "cores": int,
    "fpu": bool,
    "flash_bytes": int,
    "ram_bytes": int,
    "psram_bytes": int,
    "wireless": [str],
    "sensors": [str],
    "usb": [str],
    "flash": {"method": str, "family": (int, NoneType), "drive": (str, NoneType)},
}
DEVICE = {
    "device": (str, NoneType),
    "federation": (str, NoneType),
    "board": (str, NoneType),
    "candidates": [str],
    "machine": (str, NoneType),
    "runtime": (str, NoneType),
    "firmware": (str, NoneType),
    "kernel": (str, NoneType),
    "release": (str, NoneType),
    "version": (int, NoneType),
    "role": (str, NoneType),
    "state": str,
    "last_seen": (str, NoneType),
    "battery": (float, NoneType),
    "rssi": (int, NoneType),
    "note": (str, NoneType),
    "where": [str],
}


def check(value: Any, shape: Any, where: str) -> None:
    """Assert that a value has a shape: a dict of shapes by key, a list of one shape, a type, or several."""
    if isinstance(shape, dict):
        assert isinstance(value, dict) and shape.keys() <= value.keys(), where
        for key, inner in shape.items():
            check(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for item in value:
            check(item, shape[0], f"{where}[]")
    else:
        types = shape if isinstance(shape, tuple) else (shape,)
        assert type(value) in types, f"{where} is {value!r}"  # True is no int here


def test_boards_keep_their_keys_and_types(capsys: pytest.CaptureFixture[str]) -> None:
    cli.load("boards").main(["--json"], standalone_mode=False)
    boards = json.loads(capsys.readouterr().out)
    assert len(boards) >= 15
    for board in boards:
        check(board, BOARD, board["name"])
        assert board["runtimes"].keys() <= {"micropython", "circuitpython"}
        for name, runtime in board["runtimes"].items():
            check(runtime, RUNTIME, f"{board['name']}.{name}")
        assert all(type(pin) is int for pin in board["pins"].values())


def test_one_board_is_an_object_with_the_same_keys(capsys: pytest.CaptureFixture[str]) -> None:
    cli.load("boards").main(["rpi_pico_w", "--json"], standalone_mode=False)
    check(json.loads(capsys.readouterr().out), BOARD, "rpi_pico_w")


@pytest.mark.parametrize(
    "sighting",
    [
        Sighting(state="silent", where=("/dev/ttyACM0",)),
        Sighting(
            device="attic",
            federation="home",
            board="rpi_pico_w",
            candidates=("rpi_pico", "rpi_pico_w"),
            machine="Raspberry Pi Pico W with RP2040",
            runtime="micropython 1.26.1",
            firmware="0.2.0",
            kernel="viper",
            release="a1b2",
            version=7,
            role="learn",
            state="online",
            last_seen=1_700_000_000.5,
            battery=3.7,
            rssi=-61,
            note="fine",
            where=("/dev/ttyACM0", "mqtt://broker:1883"),
        ),
    ],
)
def test_devices_keep_their_keys_and_types(sighting: Sighting) -> None:
    told = json.loads(json.dumps(sighting.to_json()))
    check(told, DEVICE, "device")
    assert list(told) == list(DEVICE)
