"""``fedmote flash`` says what it will do, asks before it does it, and is stable for scripts."""

import hashlib
import json
import os
import pty
import subprocess
import sys

import pytest
import typer.testing
from boot_drive import BootDrive
from firmware_images import program, uf2
from flash_job import on_usb
from serial_board import SerialBoard
from test_flash_images import Site

from fedmote.boards import catalogue, flashing, images
from fedmote.boards.flashing import drives
from fedmote.cli import app
from fedmote.errors import FedmoteError


def run(*arguments: str, answer: str | None = None) -> typer.testing.Result:
    """Run ``fedmote flash`` with a terminal that answers, or with none."""
    return typer.testing.CliRunner().invoke(app, ["flash", *arguments], input=answer)


@pytest.mark.parametrize(
    ("board", "actions"),
    [
        ("rpi_pico_w", ["find", "image", "check", "enter", "write", "greet"]),
        ("esp32_c3", ["find", "image", "check", "connect", "write", "start", "greet"]),
    ],
)
def test_a_dry_run_tells_scripts_every_step(board, actions, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = run("--board", board, "--dry-run", "--json", "--port", "/dev/ttyX")
    plan = json.loads(result.stdout)
    assert list(plan) == ["schema", "board", "runtime", "method", "port", "image", "steps", "result"]
    assert (plan["schema"], plan["board"], plan["port"], plan["result"]) == (1, board, "/dev/ttyX", None)
    assert list(plan["image"]) == ["file", "path", "present", "url", "release", "bytes", "sha256"]
    assert plan["image"]["present"] is False
    assert [step["action"] for step in plan["steps"]] == actions
    changing = [step["action"] for step in plan["steps"] if step["changes_board"]]
    assert changing == actions[3:-1]
    assert list(tmp_path.iterdir()) == []


def test_the_steps_of_a_dry_run_are_those_of_a_real_one() -> None:
    for board in catalogue.load().values():
        for runtime in board.runtimes:
            if board.flash.method == "none":
                continue
            order = flashing.Order(board=board, runtime=runtime)
            shown = flashing.plan(order).as_json()["steps"]
            assert [step.text for step in flashing.plan(order).steps] == [step["text"] for step in shown]
            assert any(images.official(board, runtime).file in step["text"] for step in shown)


def test_a_dry_run_for_people_names_url_place_and_offset(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = run("--board", "esp32_generic", "--erase", "--dry-run").stdout
    file = "ESP32_GENERIC-20250911-v1.26.1.bin"
    for part in (f"https://micropython.org/resources/firmware/{file}", f"{tmp_path}/fedmote/images/{file}"):
        assert part in text
    assert "write the image at 0x1000 with 460800 baud" in text
    assert "erase the whole flash" in text


def test_without_a_terminal_and_without_yes_nothing_is_done() -> None:
    result = run("--board", "rpi_pico_w")
    assert isinstance(result.exception, FedmoteError)
    assert "add --yes" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "virtual"], "needs no interpreter"),
        (["--board", "rpi_pico", "--erase"], "cannot be erased"),
        (
            ["--board", "rpi_pico", "--runtime", "lua"],
            "has no 'lua', choose one of: micropython, circuitpython",
        ),
        (["--board", "rpi_pico", "--sha256", "abc"], "must be 64 hexadecimal digits"),
        (["--board", "rpi_picow"], "did you mean rpi_pico_w"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(arguments, message) -> None:
    result = run(*arguments, "--dry-run")
    assert isinstance(result.exception, FedmoteError)
    assert message in str(result.exception)


def test_a_bare_board_is_flashed_with_what_the_site_serves(tmp_path, monkeypatch) -> None:
    data = uf2(program())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site() as site, BootDrive(tmp_path) as drive, SerialBoard(tmp_path / "files") as board:
        site.data, site.promises = data, len(data)
        entry = {
            "release": "1",
            "file": "{image}.{suffix}",
            "url": site.url + "/{file}",
            "page": "https://p/",
        }
        listing = {"micropython": entry, "files": {}}
        monkeypatch.setattr(images, "_listing", lambda: listing)
        monkeypatch.setattr(drives, "mounted", lambda: [drive.path])
        on_usb(monkeypatch, lambda: [] if drive.path.exists() else [(board.port, "2e8a:0005")])
        result = run("--board", "rpi_pico_w", "--yes", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["result"]["port"] == board.port
    assert found["result"]["machine"] == "Raspberry Pi Pico W with RP2040"
    assert found["image"]["present"] is True
    assert f"SHA-256 {hashlib.sha256(data).hexdigest()}: fedmote knows none of it" in result.stderr


def test_a_person_is_asked_and_a_no_leaves_the_board_as_it_was(tmp_path, monkeypatch) -> None:
    firmware = tmp_path / "fw.uf2"
    firmware.write_bytes(uf2(program()))
    drive = BootDrive(tmp_path)
    command = [sys.executable, "-m", "fedmote", "flash", "--board", "rpi_pico_w", "--firmware", str(firmware)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command, "--port", str(drive.path)], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.write(ours, b"n\n")
    output, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 1 and output == b""
    assert b"Write fw.uf2 to Raspberry Pi Pico W" in errors.replace(b"\n", b" ")
    assert b"error: nothing was done to the board" in errors
    assert [path.name for path in drive.path.iterdir()] == ["INFO_UF2.TXT"]
