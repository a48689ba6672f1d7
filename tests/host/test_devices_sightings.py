"""What a user can rely on: which board is at a port is found out without disturbing it, whatever it prints,
and what several places know of one device is one row."""

import json
import os
import re
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from serial_board import SerialBoard

from fedmote.monitor.devices import connected
from fedmote.monitor.devices.sighting import Sighting, combine
from fedmote.monitor.ports import Port

SECONDS = 1.0
PATIENCE_S = 20.0  # where a line of telemetry ends the wait


@contextmanager
def printing(data: bytes) -> Iterator[Port]:
    """Yield a port at which these bytes come in again and again."""
    board, port = os.openpty()
    tty.setraw(port)
    os.set_blocking(board, False)
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(0.05):
            with suppress(BlockingIOError):
                os.write(board, data)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield Port(os.ttyname(port), "a pty", ("rpi_pico_w",))
    finally:
        ended.set()
        thread.join()
        os.close(board)
        os.close(port)


def line(**told: object) -> bytes:
    return json.dumps({"device": "attic", "time_ms": 1, **told}).encode() + b"\n"


def test_a_line_of_telemetry_tells_which_device_is_at_a_port() -> None:
    with printing(b"half a li\n" + line(version=7, battery=3.7, rssi=-61)) as port:
        (seen,) = connected.look([port], PATIENCE_S, ask=False)
    assert (seen.device, seen.board, seen.state) == ("attic", "rpi_pico_w", "running")
    assert (seen.version, seen.battery, seen.rssi) == (7, 3.7, -61)
    assert seen.where == (port.device,) and seen.last_seen is not None and seen.note is None


def test_what_a_board_reports_as_wrong_is_noted() -> None:
    with printing(line(error="no Wi-Fi")) as port:
        (seen,) = connected.look([port], PATIENCE_S, ask=False)
    assert seen.note == "no Wi-Fi"


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[2J\x1b]0;title\x07\xff\xfe\x00 Guru Meditation\x9b31m\n",
        b'{"device":"At tic","time_ms":1} Guru Meditation\n',
        b"Guru Meditation " * 1000,  # a line without an end
    ],
)
def test_whatever_a_board_prints_is_shown_short_and_without_control_characters(data: bytes) -> None:
    with printing(data) as port:
        (seen,) = connected.look([port], SECONDS, ask=False)
    assert (seen.device, seen.state) == (None, "silent")
    assert seen.note is not None and "Guru Meditation" in seen.note
    assert seen.note.isprintable() and len(seen.note) < 200


def test_ports_are_listened_to_together_and_told_in_their_order() -> None:
    with printing(line()) as first, printing(b"") as second, printing(line(device="cellar")) as third:
        seen = connected.look([first, second, third], SECONDS, ask=False)
    assert [one.device for one in seen] == ["attic", None, "cellar"]
    assert [one.state for one in seen] == ["running", "silent", "running"]


def test_a_port_that_cannot_be_opened_says_why_and_hides_no_other() -> None:
    with printing(line()) as port:
        gone, seen = connected.look([Port("/dev/ttyGONE", "gone"), port], PATIENCE_S, ask=False)
    assert gone.state == "unreachable" and "no such port" in (gone.note or "")
    assert seen.device == "attic"


def test_a_port_that_goes_away_while_it_is_listened_to_is_told() -> None:
    board, port = os.openpty()
    tty.setraw(port)
    name = os.ttyname(port)
    os.close(port)
    unplugged = threading.Timer(0.3, os.close, [board])
    unplugged.start()
    (seen,) = connected.look([Port(name, "a pty")], PATIENCE_S, ask=False)
    unplugged.join()
    assert seen.state == "unreachable" and seen.note


def test_only_asking_interrupts_a_board_and_its_program_starts_again(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import time\nwhile True:\n    print('at work')\n    time.sleep(0.1)\n")
    with SerialBoard(tmp_path) as board:
        port = Port(board.port, "a Pico of some kind", ("rpi_pico", "rpi_pico_w", "rpi_pico2"))
        (listened,) = connected.look([port], SECONDS, ask=False)
        assert (listened.state, listened.note, board.starts) == ("silent", "prints at work", 1)
        assert listened.candidates == port.boards and listened.board is None
        (asked,) = connected.look([port], SECONDS, ask=True)
        (again,) = connected.look([port], SECONDS, ask=False)
    assert (asked.state, asked.board, asked.candidates) == ("idle", "rpi_pico_w", ())
    assert re.fullmatch(r"micropython \d+\.\d+\.\d+", asked.runtime or "")
    assert asked.machine == "Raspberry Pi Pico W with RP2040"
    assert again.note == "prints at work"


def test_a_port_where_nothing_answers_stays_silent_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedmote.boards.repl._ATTEMPTS", 1)
    monkeypatch.setattr("fedmote.boards.repl._ANSWER_S", 0.2)
    with printing(b"") as port:
        (seen,) = connected.look([port], 0.1, ask=True)
    assert seen.state == "silent" and "no interpreter answers" in (seen.note or "")


def test_a_boot_drive_is_a_board_in_its_boot_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, card = tmp_path / "RPI-RP2", tmp_path / "camera"
    for folder in (drive, card):
        folder.mkdir()
    info = "UF2 Bootloader v2.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"
    (drive / "INFO_UF2.TXT").write_text(info)
    monkeypatch.setattr("fedmote.boards.flashing.drives.mounted", lambda: [card, drive])
    (seen,) = connected.in_boot_loader()
    assert (seen.state, seen.machine, seen.where) == ("boot loader", "Raspberry Pi RP2", (str(drive),))
    assert {"rpi_pico", "rpi_pico_w"} <= set(seen.candidates) and "rpi_pico2" not in seen.candidates


# What several places know


def at_port(port: str = "/dev/ttyACM0", **known: object) -> Sighting:
    return Sighting(**{"device": "attic", "state": "running", "where": (port,), **known})  # type: ignore[arg-type]


def heard(**known: object) -> Sighting:
    values = {"device": "attic", "federation": "home", "state": "online", "where": ("mqtt://b:1883",)}
    return Sighting(**{**values, **known})  # type: ignore[arg-type]


def stored(**known: object) -> Sighting:
    values = {"device": "attic", "federation": "home", "state": "offline", "where": ("state",)}
    return Sighting(**{**values, **known})  # type: ignore[arg-type]


def test_a_device_that_three_places_know_is_one_row_with_the_freshest_of_each_key() -> None:
    (row,) = combine(
        [at_port(candidates=("rpi_pico", "rpi_pico_w"), version=8, last_seen=20.0)],
        [heard(board="rpi_pico_w", rssi=-50, version=9, last_seen=10.0)],
        [stored(firmware="0.2.0", rssi=-90, version=7, battery=3.3, last_seen=5.0)],
    )
    assert row.where == ("/dev/ttyACM0", "mqtt://b:1883", "state")
    assert (row.board, row.candidates, row.federation) == ("rpi_pico_w", (), "home")
    assert (row.state, row.version, row.rssi, row.last_seen) == ("online", 9, -50, 20.0)
    assert (row.firmware, row.battery) == ("0.2.0", 3.3)


def test_two_boards_with_the_same_settings_stay_two_rows() -> None:
    rows = combine([at_port("/dev/ttyACM0"), at_port("/dev/ttyACM1")], [heard()], None)
    assert [row.where[0] for row in rows] == ["/dev/ttyACM0", "/dev/ttyACM1"]


def test_devices_of_two_federations_with_one_name_are_not_mixed_up() -> None:
    rows = combine([at_port()], [heard(federation="home"), heard(federation="work")], None)
    assert [(row.federation, row.where[0]) for row in rows] == [
        (None, "/dev/ttyACM0"),
        ("home", "mqtt://b:1883"),
        ("work", "mqtt://b:1883"),
    ]


def test_a_device_that_the_aggregator_does_not_know_is_marked() -> None:
    rows = combine([], [heard(), heard(device="stranger")], [stored(), stored(device="shed")])
    assert [(row.device, row.note) for row in rows] == [
        ("attic", None),
        ("shed", None),
        ("stranger", "not provisioned here"),
    ]


def test_a_revoked_device_is_shown_as_revoked_even_while_it_is_online() -> None:
    (row,) = combine([at_port()], [heard()], [stored(state="revoked")])
    assert row.state == "revoked"


def test_a_port_in_use_by_another_program_does_not_make_a_device_unreachable() -> None:
    (row,) = combine([at_port(state="unreachable", note="in use")], [], [stored(state="online")])
    assert (row.state, row.note) == ("online", "in use")


def test_times_are_told_to_scripts_in_utc() -> None:
    assert at_port(last_seen=1_700_000_000.7).to_json()["last_seen"] == "2023-11-14T22:13:20+00:00"
