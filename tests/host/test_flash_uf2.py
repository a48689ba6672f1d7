"""An image reaches an RP2040 or RP2350 through its boot drive, and whatever goes wrong is said clearly."""

import errno
import threading
import time
from pathlib import Path

import pytest
from boot_drive import BootDrive
from firmware_images import RP2350, program, uf2
from flash_job import Notebook, flash, on_usb
from serial_board import SerialBoard

from fedmote.boards import catalogue
from fedmote.boards.flashing import common, drives
from fedmote.boards.flashing import uf2 as uf2_steps
from fedmote.errors import FedmoteError

PICO_W_USB = "2e8a:0005"


@pytest.fixture(autouse=True)
def nothing_connected(monkeypatch) -> None:
    mount(monkeypatch)
    on_usb(monkeypatch, list)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "RPI_PICO_W.uf2"
    path.write_bytes(uf2(program()))
    return path


def mount(monkeypatch, *folders: Path) -> None:
    monkeypatch.setattr(drives, "mounted", lambda: list(folders))


def test_a_board_in_its_boot_loader_gets_the_image_and_answers(tmp_path, monkeypatch, image) -> None:
    notebook = Notebook()
    with BootDrive(tmp_path) as drive, SerialBoard(tmp_path / "files") as board:
        mount(monkeypatch, drive.path)
        on_usb(monkeypatch, lambda: [] if drive.path.exists() else [(board.port, PICO_W_USB)])
        job = flash(notebook, "rpi_pico_w", image)
    assert drive.flash is not None and drive.flash.rstrip(b"\0") == program().rstrip(b"\0")
    assert notebook.actions == ["find", "image", "check", "enter", "write", "greet"]
    assert notebook.amounts[-1] == (image.stat().st_size,) * 2
    assert len(notebook.questions) == 1 and str(drive.path) in notebook.questions[0]
    assert job.identity is not None and job.identity.machine == "Raspberry Pi Pico W with RP2040"
    assert job.port == board.port


def test_a_running_board_is_put_into_its_boot_loader(tmp_path, monkeypatch, image) -> None:
    before, after = SerialBoard(tmp_path / "old"), SerialBoard(tmp_path / "new")
    drive = BootDrive(tmp_path / "media")
    seen: list[tuple[str, str]] = []

    def boot_loader() -> None:
        while before.state != "bootloader":
            time.sleep(0.01)
        seen.clear()
        mount(monkeypatch, drive.path)

    with drive, before, after:
        seen.append((before.port, PICO_W_USB))
        on_usb(monkeypatch, lambda: seen if drive.flash is None else [(after.port, PICO_W_USB)])
        waiting = threading.Thread(target=boot_loader, daemon=True)
        waiting.start()
        job = flash(Notebook(), "rpi_pico_w", image)
    assert drive.flash is not None
    assert job.port == after.port


def test_nothing_is_touched_when_the_answer_is_no(tmp_path, monkeypatch, image) -> None:
    with SerialBoard(tmp_path / "files") as board:
        on_usb(monkeypatch, lambda: [(board.port, PICO_W_USB)])
        with pytest.raises(FedmoteError, match="nothing was done"):
            flash(Notebook(answer=False), "rpi_pico_w", image)
        assert (board.state, board.received) == ("running", 0)


def test_a_wrong_image_is_refused_before_anybody_is_asked(tmp_path, monkeypatch) -> None:
    wrong = tmp_path / "wrong.uf2"
    wrong.write_bytes(uf2(program(), RP2350))
    notebook = Notebook()
    with BootDrive(tmp_path) as drive:
        mount(monkeypatch, drive.path)
        with pytest.raises(FedmoteError, match="made for RP2350"):
            flash(notebook, "rpi_pico_w", wrong)
        assert drive.flash is None and not notebook.questions
        assert [path.name for path in drive.path.iterdir()] == ["INFO_UF2.TXT"]


def test_several_boards_are_listed_to_choose_from(tmp_path, monkeypatch, image) -> None:
    first, second = BootDrive(tmp_path / "a"), BootDrive(tmp_path / "b")
    mount(monkeypatch, first.path, second.path)
    with pytest.raises(FedmoteError) as raised:
        flash(Notebook(), "rpi_pico_w", image)
    assert f"--port {first.path}    boot drive of a Raspberry Pi RP2" in str(raised.value)
    assert f"--port {second.path}" in str(raised.value)
    with first, SerialBoard(tmp_path / "files") as board:
        on_usb(monkeypatch, lambda: [] if first.flash is None else [(board.port, PICO_W_USB)])
        flash(Notebook(), "rpi_pico_w", image, port=str(first.path))
    assert first.flash is not None and second.path.exists()


def test_two_running_boards_are_listed_to_choose_from(monkeypatch, image) -> None:
    on_usb(monkeypatch, lambda: [("/dev/a", PICO_W_USB), ("/dev/b", "239a:8120"), ("/dev/c", "1a86:7523")])
    with pytest.raises(FedmoteError, match=r"2 boards(.|\n)*--port /dev/a (.|\n)*--port /dev/b [^c]*$"):
        flash(Notebook(), "rpi_pico_w", image)


def test_the_drive_of_another_chip_is_not_used(tmp_path, monkeypatch, image) -> None:
    other = BootDrive(tmp_path, RP2350)
    mount(monkeypatch, other.path)
    with pytest.raises(FedmoteError, match="BOOTSEL"):
        flash(Notebook(), "rpi_pico_w", image)
    with pytest.raises(FedmoteError, match=r"drive of a RP2350 \(Raspberry Pi RP2350\), but rpi_pico_w"):
        flash(Notebook(), "rpi_pico_w", image, port=str(other.path))
    with pytest.raises(FedmoteError, match="no boot drive"):
        flash(Notebook(), "rpi_pico_w", image, port=str(tmp_path))


def test_a_running_board_with_another_chip_is_left_alone(tmp_path, image) -> None:
    with SerialBoard(tmp_path / "files", machine="Raspberry Pi Pico2 with RP2350") as board:
        with pytest.raises(FedmoteError, match=r"is a Raspberry Pi Pico2 with RP2350.*not changed"):
            flash(Notebook(), "rpi_pico_w", image, port=board.port)
        assert board.state == "running"


def test_a_drive_that_is_pulled_in_the_middle_is_reported_with_how_far_it_was(tmp_path, monkeypatch) -> None:
    image = tmp_path / "image.uf2"
    image.write_bytes(uf2(program(size=400_000)))

    def unplugged(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    drive = BootDrive(tmp_path)
    mount(monkeypatch, drive.path)
    monkeypatch.setattr(uf2_steps.os, "fsync", unplugged)
    with pytest.raises(
        FedmoteError, match=r"lost after 65536 of 800256 bytes \(Input/output error\).*BOOTSEL"
    ):
        flash(Notebook(), "rpi_pico_w", image)


def test_a_full_drive_is_reported(tmp_path, monkeypatch, image) -> None:
    drive = BootDrive(tmp_path)
    (drive.path / image.name).symlink_to("/dev/full")
    mount(monkeypatch, drive.path)
    with pytest.raises(FedmoteError, match=r"is full after 0 of \d+ bytes"):
        flash(Notebook(), "rpi_pico_w", image)


def test_a_board_that_does_not_take_the_image_is_reported(tmp_path, monkeypatch, image) -> None:
    monkeypatch.setattr(uf2_steps, "_RESTART_S", 0.2)
    drive = BootDrive(tmp_path)  # and nothing behind it
    mount(monkeypatch, drive.path)
    with pytest.raises(FedmoteError, match="the board stays in its boot loader"):
        flash(Notebook(), "rpi_pico_w", image)


def test_a_board_that_does_not_come_back_is_reported_as_sent(tmp_path, monkeypatch, image) -> None:
    monkeypatch.setattr(common, "PATIENCE_S", 0.2)
    with BootDrive(tmp_path) as drive:
        mount(monkeypatch, drive.path)
        with pytest.raises(FedmoteError, match=r"the image was sent, but the board has not answered"):
            flash(Notebook(), "rpi_pico_w", image)


def test_another_board_that_was_there_before_is_not_taken_for_ours(tmp_path, monkeypatch, image) -> None:
    monkeypatch.setattr(common, "PATIENCE_S", 0.2)
    with BootDrive(tmp_path) as drive, SerialBoard(tmp_path / "files") as other:
        mount(monkeypatch, drive.path)
        on_usb(monkeypatch, lambda: [(other.port, PICO_W_USB)])
        with pytest.raises(FedmoteError, match="has not answered"):
            flash(Notebook(), "rpi_pico_w", image)
        assert other.received == 0


def test_a_drive_that_nothing_has_mounted_is_named_with_the_command(tmp_path, monkeypatch, image) -> None:
    (tmp_path / "RPI-RP2").touch()
    monkeypatch.setattr(drives, "_LABELS", tmp_path)
    with pytest.raises(FedmoteError, match=f"udisksctl mount -b {tmp_path}/RPI-RP2"):
        flash(Notebook(), "rpi_pico_w", image)


def test_mounted_drives_are_found_among_all_file_systems(tmp_path, monkeypatch) -> None:
    monkeypatch.undo()
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "/dev/sdb1 /media/me/RPI-RP2 vfat rw 0 0\n"
        "/dev/sdc1 /media/a\\040b vfat rw 0 0\n\n"
    )
    monkeypatch.setattr(drives, "_MOUNTS", mounts)
    monkeypatch.setattr(drives.sys, "platform", "linux")
    assert drives.mounted() == [Path("/media/me/RPI-RP2"), Path("/media/a b")]


def test_an_unreadable_or_odd_info_file_is_no_boot_drive(tmp_path) -> None:
    assert drives.read(tmp_path) is None
    (tmp_path / "INFO_UF2.TXT").write_bytes(b"\xff\xfe\0Board-ID")
    found = drives.read(tmp_path)
    assert found is not None and found.board_id == ""
    with pytest.raises(FedmoteError):
        drives.named(tmp_path, catalogue.find("rpi_pico"))
