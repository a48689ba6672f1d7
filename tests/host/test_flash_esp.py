"""An image reaches boards of the ESP32 family: esptool's real code against a chip's boot loader on a pty."""

import pytest
from flash_job import Notebook, flash, on_usb
from rom_loader import RomLoader
from serial_board import SerialBoard
from test_flash_contents import esp_image

from fedmote.boards import catalogue
from fedmote.errors import FedmoteError

BRIDGE = "10c4:ea60"
CHIPS = {  # board -> chip, USB id of its boot loader or bridge
    "esp32_generic": ("esp32", BRIDGE),
    "esp32_s2": ("esp32s2", "303a:0002"),
    "esp32_s3": ("esp32s3", "303a:1001"),
    "esp32_c3": ("esp32c3", BRIDGE),
    "esp32_c6": ("esp32c6", "303a:1001"),
}


@pytest.fixture(autouse=True)
def nothing_connected(monkeypatch) -> None:
    on_usb(monkeypatch, list)


@pytest.fixture
def image(tmp_path):
    """Return a function that writes a board's image and returns its path."""

    def write(board: str, **options):
        path = tmp_path / f"{board}.bin"
        path.write_bytes(esp_image(board, **options))
        return path

    return write


@pytest.mark.parametrize("board", CHIPS)
def test_the_image_lies_where_the_chip_looks_for_it(board, image, tmp_path, monkeypatch) -> None:
    path, notebook = image(board), Notebook()
    known = catalogue.find(board)
    name, usb_id = CHIPS[board]
    with RomLoader(name) as chip, SerialBoard(tmp_path / "files") as started:
        on_usb(monkeypatch, lambda: [(started.port, known.usb[0]) if chip.verified else (chip.port, usb_id)])
        job = flash(notebook, board, path)
        offset = known.runtimes["micropython"].offset
        data = path.read_bytes()
        assert chip.flash[offset : offset + len(data)] == data
        assert set(chip.flash[:offset]) <= {0x55}, "what lies before the image was not touched"
    assert job.identity is not None and job.port == started.port
    assert notebook.actions == ["find", "image", "check", "connect", "write", "start", "greet"]
    done, total = notebook.amounts[-1]
    assert done == total


def test_a_board_on_its_own_usb_is_put_into_its_boot_loader(image, tmp_path, monkeypatch) -> None:
    running = SerialBoard(tmp_path / "old", machine="Generic ESP32S3 module with ESP32S3")
    started = SerialBoard(tmp_path / "new", machine="Generic ESP32S3 module with ESP32S3")
    with running, RomLoader("esp32s3") as chip, started:

        def see() -> list[tuple[str, str]]:
            if chip.verified:
                return [(started.port, "303a:4001")]
            return [(running.port, "303a:4001") if running.state == "running" else (chip.port, "303a:1001")]

        on_usb(monkeypatch, see)
        job = flash(Notebook(), "esp32_s3", image("esp32_s3"))
    assert running.state != "running"
    assert job.port == started.port


def test_erasing_leaves_nothing_of_what_was_in_flash(image, tmp_path, monkeypatch) -> None:
    path, notebook = image("esp32_s3"), Notebook()
    with RomLoader("esp32s3") as chip, SerialBoard(tmp_path / "files") as started:
        on_usb(monkeypatch, lambda: [(started.port if chip.verified else chip.port, "1a86:55d3")])
        flash(notebook, "esp32_s3", path, erase=True)
        data = path.read_bytes()
        assert bytes(chip.flash) == data.ljust(len(chip.flash), b"\xff")
    assert notebook.actions.index("erase") < notebook.actions.index("write")
    assert "all that is in its flash is erased" in notebook.questions[0]


@pytest.mark.parametrize(("name", "right"), [("esp32c3", "esp32_c3"), ("esp32", "esp32_generic")])
def test_a_wrong_chip_is_reported_and_keeps_its_flash(image, name, right) -> None:
    with RomLoader(name) as chip:
        with pytest.raises(FedmoteError, match=f"but esp32_s3 has an esp32s3: choose --board {right}"):
            flash(Notebook(), "esp32_s3", image("esp32_s3"), port=chip.port, erase=True)
        assert set(chip.flash) == {0x55}


def test_an_image_that_is_larger_than_the_flash_of_this_board_is_not_written(image) -> None:
    with RomLoader("esp32s3", flash_bytes=4 << 20) as chip:
        with pytest.raises(FedmoteError, match=r"needs 8388608 bytes of flash, the board has 4194304"):
            flash(Notebook(), "esp32_s3", image("esp32_s3", flash_end=8 << 20), port=chip.port)
        assert set(chip.flash) == {0x55}


def test_nobody_at_the_port_is_told_with_what_to_press(image, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("esptool.loader.SYNC_TIMEOUT", 0.01)
    with RomLoader() as chip:
        monkeypatch.setattr(chip, "_answer", lambda packet: None)
        with pytest.raises(FedmoteError, match=r"Failed to connect.*hold BOOT, press and release RESET"):
            flash(Notebook(), "esp32_s3", image("esp32_s3"), port=chip.port)
    with pytest.raises(FedmoteError, match=r"/dev/nothing.*another port\. Run this again"):
        flash(Notebook(), "esp32_s3", image("esp32_s3"), port="/dev/nothing")


def test_a_lost_connection_is_told_and_that_the_image_is_not_whole(image, monkeypatch) -> None:
    monkeypatch.setattr("esptool.cmds.DEFAULT_CONNECT_ATTEMPTS", 0)  # the port may be somebody else's by then
    lost = pytest.raises(FedmoteError, match="not whole on the board: run this again")
    with RomLoader("esp32s3", unplug_after=20_000) as chip, lost:
        flash(Notebook(), "esp32_s3", image("esp32_s3"), port=chip.port)


def test_flash_that_does_not_keep_what_was_written_is_found(image) -> None:
    found = pytest.raises(FedmoteError, match=r"MD5.*--baud 115200")
    with RomLoader("esp32s3", wear=0x10100) as chip, found:
        flash(Notebook(), "esp32_s3", image("esp32_s3"), port=chip.port)


def test_no_board_and_several_boards_are_told_apart(image, monkeypatch) -> None:
    path = image("esp32_s3")
    with pytest.raises(FedmoteError, match="no ESP32-S3"):
        flash(Notebook(), "esp32_s3", path)
    on_usb(monkeypatch, lambda: [("/dev/a", "303a:4001"), ("/dev/b", "303a:1001"), ("/dev/c", "2e8a:0005")])
    with pytest.raises(FedmoteError, match=r"2 boards(.|\n)*--port /dev/a (.|\n)*--port /dev/b [^c]*$"):
        flash(Notebook(), "esp32_s3", path)
