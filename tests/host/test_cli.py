"""The command line as a user meets it: help, errors, exit codes, streams."""

import json
import subprocess
import sys

import pytest

from fedmote.cli import COMMANDS


def fedmote(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedmote", *arguments], capture_output=True, text=True, timeout=60
    )


def test_help_lists_every_command_with_a_line_of_help():
    shown = fedmote("--help")
    assert shown.returncode == 0
    for name, entry in COMMANDS.items():
        assert f" {name} " in shown.stdout
        assert entry.help[:30] in shown.stdout


def test_help_imports_no_command_and_nothing_heavy():
    heavy = [
        "numpy",
        "serial",
        "paho",
        "iotcore",
        "sqlite3",
        *(entry.target.split(":")[0] for entry in COMMANDS.values()),
    ]
    code = (
        "import sys; from fedmote.cli import main\n"
        "try: main()\n"
        f"finally: print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_examples(name):
    shown = fedmote(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Examples" in shown.stdout
    assert f"fedmote {name}" in shown.stdout


def test_version_is_that_of_the_package():
    import fedmote as package

    assert fedmote("--version").stdout == f"fedmote {package.__version__}\n"


def test_a_misspelt_command_is_answered_with_the_closest_one():
    shown = fedmote("bords")
    assert shown.returncode == 2
    assert "boards" in shown.stderr
    assert shown.stdout == ""


def test_an_error_for_the_user_is_one_line_on_stderr():
    shown = fedmote("boards", "rpi_pcio")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("error: no board is called 'rpi_pcio': did you mean rpi_pico")


def test_boards_in_a_pipe_gives_one_unbroken_line_per_board():
    lines = fedmote("boards").stdout.splitlines()
    assert len(lines) == 1 + 16
    assert any(
        "arduino_nano_rp2040_connect" in line and "imu microphone temperature" in line for line in lines
    )


def test_boards_as_json_has_all_that_is_known():
    boards = {board["name"]: board for board in json.loads(fedmote("boards", "--json").stdout)}
    assert boards["rpi_pico"]["runtimes"]["micropython"]["image"] == "RPI_PICO"
    assert json.loads(fedmote("boards", "rpi_pico", "--json").stdout) == boards["rpi_pico"]


def test_one_board_is_shown_in_full():
    shown = fedmote("boards", "esp32_generic").stdout
    for part in ("xtensawin", "0x1000", "ESP32_GENERIC", "10c4:ea60", "160 kB"):
        assert part in shown
