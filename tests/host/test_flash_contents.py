"""An image that is not right for the board is refused before the board is touched."""

import os
from pathlib import Path

import pytest
from firmware_images import RP2040, RP2350, esp, program, uf2

from fedmote.boards import catalogue
from fedmote.boards.flashing.contents import examine
from fedmote.boards.flashing.esp_image import CHIPS
from fedmote.errors import FedmoteError

PICO_W = catalogue.find("rpi_pico_w")
S3 = catalogue.find("esp32_s3")


def esp_image(board: str, runtime: str = "micropython", **options: int) -> bytes:
    """Return an image for a board, laid out as its chip wants it."""
    known = catalogue.find(board)
    chip, offset = CHIPS[known.chip], known.runtimes[runtime].offset
    name = known.runtimes[runtime].image
    return esp(chip.number, program(name, runtime), chip.boot_offset, offset, **options)


@pytest.mark.parametrize(
    ("board", "runtime"),
    [
        (board.name, runtime)
        for board in catalogue.load().values()
        for runtime in board.runtimes
        if board.flash.method != "none"
    ],
)
def test_the_right_image_is_taken_for_every_board_and_runtime(board: str, runtime: str) -> None:
    known = catalogue.find(board)
    name = known.runtimes[runtime].image
    if known.flash.method == "uf2":
        data = uf2(program(name, runtime), known.flash.family)
    else:
        data = esp_image(board, runtime)
    contents = examine(data, known, runtime, "it")
    assert (contents.image, contents.size) == (name, len(data))
    assert contents.version == ("1.26.1" if runtime == "micropython" else "9.2.8")


def test_the_block_that_tools_put_first_for_the_rp2350_is_no_harm() -> None:
    data = uf2(program("RPI_PICO2"), RP2350, absolute_first=True)
    assert examine(data, catalogue.find("rpi_pico2"), "micropython", "it").image == "RPI_PICO2"
    with pytest.raises(FedmoteError, match="made for RP2350"):
        examine(data, PICO_W, "micropython", "it")


def refused(data: bytes, board: catalogue.Board = PICO_W, runtime: str = "micropython") -> str:
    with pytest.raises(FedmoteError) as raised:
        examine(data, board, runtime, "fw")
    assert str(raised.value).startswith(f"fw is not for {board.name}: ")
    return str(raised.value)


def test_an_image_for_another_chip_is_refused() -> None:
    assert "made for RP2350 (UF2 family 0xe48bff59), not for RP2040" in refused(uf2(program(), RP2350))
    assert "made for RP2040" in refused(uf2(program(), RP2040), catalogue.find("rpi_pico2_w"))
    assert "made for another chip" in refused(uf2(program(), 0x12345678))
    assert "no UF2 magic" in refused(esp_image("esp32_s3")[:65536])
    assert "it is made for the esp32c3, not for the esp32s3" in refused(esp_image("esp32_c3"), S3)
    assert "it is made for the esp32, not for the esp32s3" in refused(esp_image("esp32_generic"), S3)
    assert "no boot loader" in refused(uf2(program()), S3)


def test_an_image_for_another_board_with_the_same_chip_is_refused() -> None:
    message = refused(uf2(program("RPI_PICO")))
    assert "the image RPI_PICO for rpi_pico, not RPI_PICO_W" in message
    assert "ESP32_GENERIC_S3-SPIRAM_OCT for esp32_s3_psram" in refused(esp_image("esp32_s3_psram"), S3)


def test_the_other_runtime_is_named() -> None:
    data = uf2(program("raspberry_pi_pico_w", "circuitpython"))
    assert "it holds CircuitPython, not MicroPython: add --runtime circuitpython" in refused(data)


def test_a_program_that_is_no_interpreter_is_refused() -> None:
    assert "neither MicroPython nor CircuitPython" in refused(uf2(os.urandom(5000)))


def test_a_build_of_ones_own_is_taken() -> None:
    contents = examine(uf2(program("MY_OWN_BOARD")), PICO_W, "micropython", "it")
    assert (contents.image, contents.version) == (None, "1.26.1")


def test_a_uf2_file_with_a_missing_doubled_or_cut_block_is_refused() -> None:
    data = uf2(program())
    assert "the file is incomplete" in refused(data[:-512])
    assert "the file is incomplete" in refused(data[512:])
    assert "the file is incomplete" in refused(data[:1024] + data[512:])
    assert "no UF2 file" in refused(data[:-100])
    assert "no UF2 file" in refused(b"")
    assert "no UF2 magic" in refused(b"\0" * 512 + data[512:])


def test_an_image_that_lies_outside_of_the_flash_is_refused() -> None:
    assert "not into the board's 2097152 bytes" in refused(uf2(program(), address=0x101FF000))
    assert "not into the board's" in refused(uf2(program(), address=0x20000000))
    assert "needs 16777216 bytes of flash" in refused(esp_image("esp32_s3", flash_end=16 << 20), S3)


@pytest.mark.parametrize("length", [0, 10, 23, 40, 0x8000, 0x8030, 0x10000, 0x10010, 0x10020, -33, -1])
def test_an_esp_image_that_is_cut_short_anywhere_is_refused(length: int) -> None:
    refused(esp_image("esp32_s3")[:length], S3)


@pytest.mark.parametrize("place", [0, 1, 12, 30, 0x8000, 0x10000, 0x10001, 0x1000C, 0x10400, -40, -33, -1])
def test_an_esp_image_with_a_changed_byte_is_refused(place: int) -> None:
    data = bytearray(esp_image("esp32_s3"))
    data[place] ^= 0x40
    refused(bytes(data), S3)


@pytest.mark.skipif("FEDMOTE_UF2_DIR" not in os.environ, reason="FEDMOTE_UF2_DIR names no folder of images")
def test_official_images_are_what_their_names_say() -> None:
    folder = Path(os.environ["FEDMOTE_UF2_DIR"])
    images = sorted(folder.glob("RPI_PICO*.uf2"))
    assert images, f"{folder} has no RPI_PICO*.uf2"
    for path in images:
        name = path.name.partition("-")[0]
        board = next(b for b in catalogue.load().values() if b.runtimes["micropython"].image == name)
        contents = examine(path.read_bytes(), board, "micropython", path.name)
        assert contents.image in (name, None)  # releases before 1.25 have no name in them
        assert f"-v{contents.version}." in path.name
