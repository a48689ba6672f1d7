"""How a board is found without --port: USB ids, running fleets, and what is said of none or several."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fedmote.errors import FedmoteError
from fedmote.monitor import ports


@pytest.fixture(autouse=True)
def nothing_connected(tmp_path, monkeypatch):
    """Hide this machine's own boards and fleets; return a function that connects USB devices."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    devices: list[SimpleNamespace] = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: devices)
    return lambda *arrived: devices.extend(arrived)


@pytest.fixture
def registry(tmp_path):
    return tmp_path / "run" / f"fedmote-{os.getuid()}" / "fleets"


def fleet(folder: Path, *devices: str) -> Path:
    for device in devices:
        (folder / device).mkdir(parents=True)
        (folder / device / "serial").symlink_to("/dev/null")
    return folder


class Usb(SimpleNamespace):
    def __lt__(self, other):
        return self.device < other.device


def test_nothing_is_found_where_nothing_is():
    assert ports.find() == []
    with pytest.raises(FedmoteError, match="no board found: connect one over USB"):
        ports.only()


def test_boards_are_known_by_their_usb_ids(nothing_connected):
    nothing_connected(
        Usb(device="/dev/ttyS0", vid=None, pid=None, serial_number=None),
        Usb(device="/dev/ttyACM0", vid=0x239A, pid=0x8120, serial_number="E661"),
        Usb(device="/dev/ttyACM1", vid=0x1234, pid=0x5678, serial_number="a mouse"),
    )
    described = "rpi_pico_w (239a:8120, serial number E661)"
    assert ports.only() == ports.Port("/dev/ttyACM0", described, ("rpi_pico_w",))


def test_a_board_is_followed_from_port_to_port(nothing_connected, monkeypatch):
    def connect(*ports: Usb) -> None:
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)

    connect(pico("/dev/ttyACM0", "1-1:1.0"), pico("/dev/ttyACM1", "1-1:1.2"))
    locate = ports.follower("/dev/ttyACM0")
    connect()
    assert locate() is None
    other = Usb(device="/dev/ttyACM0", vid=0x239A, pid=0x8120, serial_number="E999", location="1-1:1.0")
    connect(other, pico("/dev/ttyACM4", "1-3:1.0"), pico("/dev/ttyACM5", "1-3:1.2"))
    assert locate() == "/dev/ttyACM4"  # its old name is another board's now


def test_a_port_without_a_serial_number_is_followed_by_its_name(nothing_connected):
    nothing_connected(Usb(device="/dev/ttyUSB0", vid=0x10C4, pid=0xEA60, serial_number=None, location="1-1"))
    assert ports.follower("/dev/ttyUSB0")() == "/dev/ttyUSB0"
    assert ports.follower("socket://localhost:1")() == "socket://localhost:1"


def pico(device: str, location: str) -> Usb:
    return Usb(device=device, vid=0x239A, pid=0x8120, serial_number="E661", location=location)


def test_a_running_fleet_is_found_and_gone_when_it_ends(tmp_path, registry):
    folder = fleet(tmp_path / "fleet", "subject-02", "subject-01")
    with ports.register_fleet(folder):
        assert (registry / str(os.getpid())).read_text() == str(folder)
        assert ports.find() == [
            ports.Port(f"{folder}/subject-01/serial", "virtual board subject-01", ("virtual",)),
            ports.Port(f"{folder}/subject-02/serial", "virtual board subject-02", ("virtual",)),
        ]
    assert ports.find() == []
    assert list(registry.iterdir()) == []


def test_a_board_whose_port_has_gone_is_left_out(tmp_path):
    folder = fleet(tmp_path / "fleet", "subject-01", "subject-02")
    (folder / "subject-02" / "serial").unlink()
    (folder / "subject-02" / "serial").symlink_to("/dev/pts/gone")
    with ports.register_fleet(folder):
        assert ports.only().device == f"{folder}/subject-01/serial"


def test_a_fleet_that_was_killed_is_forgotten(tmp_path, registry):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    registry.mkdir(parents=True)
    (registry / str(ended.pid)).write_text(str(fleet(tmp_path / "fleet", "subject-01")))
    assert ports.find() == []
    assert list(registry.iterdir()) == []


def test_of_several_boards_the_user_chooses(tmp_path):
    folder = fleet(tmp_path / "fleet", "subject-01", "subject-02")
    with ports.register_fleet(folder), pytest.raises(FedmoteError) as raised:
        ports.only()
    message = str(raised.value)
    assert message.startswith("2 boards found, choose one:")
    for device in ("subject-01", "subject-02"):
        assert f"--port {tmp_path}/fleet/{device}/serial    virtual board {device}" in message


def test_a_registry_of_another_user_is_not_believed(tmp_path, registry, monkeypatch):
    with ports.register_fleet(fleet(tmp_path / "fleet", "subject-01")):
        real = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: real + 1)
        registry.parent.rename(registry.parent.with_name(f"fedmote-{real + 1}"))
        assert ports.find() == []
        registry.parent.with_name(f"fedmote-{real + 1}").rename(registry.parent)
