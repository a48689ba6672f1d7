"""boards.toml: what it must hold, and how a mistake in it is reported."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedmote import assets
from fedmote.boards import catalogue, page
from fedmote.cli import app
from fedmote.errors import FedmoteError

NAMES = (
    "rpi_pico rpi_pico_w rpi_pico2 rpi_pico2_w adafruit_feather_rp2040 arduino_nano_rp2040_connect "
    "esp32_generic esp32_s2 esp32_s3 esp32_s3_psram esp32_c3 esp32_c6 adafruit_feather_esp32s3 "
    "adafruit_qtpy_esp32s2 seeed_xiao_esp32s3_sense virtual"
)
#: processor -> the kernel in machine code for it
_NATIVE = {"armv6m": "armv6m", "armv7emsp": "armv8m", "rv32imc": "rv32", "xtensawin": "xtensa"}
KEYS = [
    *("name", "title", "chip", "arch", "cores", "fpu", "flash_bytes", "ram_bytes", "psram_bytes", "wireless"),
    *("sensors", "usb", "flash", "pins", "runtimes"),
]
GOOD = """\
[pico]
title = "Pico"
chip = "rp2040"
arch = "armv6m"
cores = 2
fpu = false
flash_bytes = 2_097_152
ram_bytes = 270_336
wireless = []
sensors = ["temperature"]
usb = ["2e8a:0005"]
flash = { method = "uf2", family = 1, drive = "RPI-RP2" }
[pico.micropython]
image = "RPI_PICO"
kernels = ["viper", "plain"]
"""


@pytest.fixture
def fails(tmp_path):
    """Return the message for GOOD with one piece replaced."""

    def message(old: str, new: str) -> str:
        assert old in GOOD
        path = tmp_path / f"{abs(hash((old, new)))}.toml"
        path.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(FedmoteError) as raised:
            catalogue.load(path)
        return str(raised.value).removeprefix(str(path))

    return message


def test_all_promised_boards_are_there():
    assert list(catalogue.load()) == NAMES.split()


def test_chips_of_one_kind_agree():
    facts: dict[str, set] = {}
    for board in catalogue.load().values():
        facts.setdefault(board.chip, set()).add(
            (board.arch, board.cores, board.fpu, board.ram_bytes, board.flash)
        )
    assert {chip: len(variants) for chip, variants in facts.items() if len(variants) > 1} == {}


def test_only_micropython_is_promised_native_code():
    for board in catalogue.load().values():
        for name, runtime in board.runtimes.items():
            assert runtime.kernels[-1] == "plain"
            assert ("viper" in runtime.kernels) == (name == "micropython")
            native = [_NATIVE[board.arch]] if name == "micropython" and board.arch in _NATIVE else []
            assert [kernel for kernel in runtime.kernels if kernel in _NATIVE.values()] == native


def test_measured_heaps_are_the_measured_ones():
    measured = {
        (board.name, name): runtime.heap_bytes
        for board in catalogue.load().values()
        for name, runtime in board.runtimes.items()
        if runtime.heap_measured
    }
    assert measured == {
        ("rpi_pico", "micropython"): 229_000,
        ("rpi_pico", "circuitpython"): 165_000,
        ("rpi_pico_w", "micropython"): 201_000,
    }


def test_scripts_find_every_key_of_every_board():
    shown = CliRunner().invoke(app, ["boards", "--json"])
    boards = json.loads(shown.stdout)
    assert [board["name"] for board in boards] == NAMES.split()
    for board in boards:
        assert list(board) == KEYS
        assert list(board["flash"]) == ["method", "family", "drive"]
        for runtime in board["runtimes"].values():
            assert list(runtime) == ["image", "kernels", "offset", "heap_bytes", "heap_measured"]
    one = CliRunner().invoke(app, ["boards", "rpi_pico", "--json"])
    assert json.loads(one.stdout) == boards[0]


def test_every_real_board_has_both_runtimes_and_pins_for_an_i2c_sensor():
    for board in catalogue.load().values():
        if board.name != "virtual":
            assert list(board.runtimes) == list(catalogue.RUNTIMES)
            assert {"sda", "scl"} <= set(board.pins) and len(set(board.pins.values())) == len(board.pins)
            assert board.usb


def test_the_page_is_current():
    written = assets.library().parent.parent / "docs" / "boards.md"
    assert written.read_text(encoding="utf-8") == page.page(), "run: make docs"


def test_usb_ids_lead_to_boards():
    assert [board.name for board in catalogue.by_usb(0x239A, 0x8120)] == ["rpi_pico_w"]
    assert "rpi_pico2" in [board.name for board in catalogue.by_usb(0x2E8A, 0x0005)]
    assert catalogue.by_usb(0x1234, 0x5678) == []


def test_an_unknown_board_is_answered_with_the_closest_names():
    assert catalogue.find("esp32_c3").chip == "esp32c3"
    with pytest.raises(FedmoteError, match=r"no board is called 'esp32c3': did you mean esp32_c3"):
        catalogue.find("esp32c3")
    with pytest.raises(FedmoteError, match="`fedmote boards` lists all"):
        catalogue.find("zx81")


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "boards.toml"
    path.write_text(GOOD)
    board = catalogue.load(path)["pico"]
    assert (board.psram_bytes, board.pins, list(board.runtimes)) == (0, {}, ["micropython"])
    assert board.runtimes["micropython"].kernels == ("viper", "plain")


def test_a_misspelt_key_is_reported_with_line_and_the_closest_key(fails):
    assert (
        fails("ram_bytes", "ram_byte")
        == ", line 8: board pico: unknown key ram_byte: did you mean ram_bytes?"
    )
    assert fails("kernels", "kernel") == (
        ", line 15: board pico: unknown key micropython.kernel: did you mean kernels?"
    )
    assert fails("[pico.micropython]", "[pico.micropithon]").endswith(
        "unknown key micropithon: did you mean micropython?"
    )


def test_a_wrong_value_is_reported_with_line_value_and_what_is_right(fails):
    assert fails("cores = 2", 'cores = "two"') == (
        ", line 5: board pico: cores = 'two' must be a whole number, at least 0"
    )
    assert fails('"plain"]', '"fast"]').startswith(
        ", line 15: board pico: micropython.kernels = ['viper', 'fast'] must be a list of armv6m, armv8m"
    )
    assert ", line 12: board pico: flash.family = -1" in fails("family = 1", "family = -1")
    assert ", line 3: board pico: chip = 'rp2041' must be one of rp2040" in fails("rp2040", "rp2041")
    assert ", line 11: board pico: usb" in fails("2e8a:0005", "2E8A:5")
    assert ", line 5: board pico: cores = True" in fails("cores = 2", "cores = true")
    assert ", line 9: board pico: wireless = [['wifi']]" in fails("wireless = []", 'wireless = [["wifi"]]')
    assert ", line 12: board pico: flash = 'uf2' must be a table" in re.sub(
        r"\{.*?\}", "", fails('{ method = "uf2", family = 1, drive = "RPI-RP2" }', '"uf2"')
    )


def test_a_missing_key_is_reported(fails):
    assert fails("cores = 2\n", "") == ", line 1: board pico: key cores is missing"
    assert fails("family = 1, ", "") == ", line 12: board pico: key flash.family is missing: uf2 needs it"
    assert fails('method = "uf2"', 'method = "esptool"') == (
        ", line 13: board pico: key micropython.offset is missing: esptool needs it"
    )
    assert "needs a table micropython or circuitpython" in fails(
        '[pico.micropython]\nimage = "RPI_PICO"\nkernels = ["viper", "plain"]\n', ""
    )


def test_text_that_is_no_toml_is_reported_with_its_line(fails):
    assert "line 4" in fails('arch = "armv6m"', "arch = armv6m")
    assert fails("[pico]", "zero = 3\n[pico]") == ", line 1: board zero: zero = 3 must be a table, [zero]"


def test_a_missing_file_is_an_error_for_the_user():
    with pytest.raises(FedmoteError, match="nowhere"):
        catalogue.load(Path("nowhere.toml"))
