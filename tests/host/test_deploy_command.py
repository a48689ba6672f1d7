"""``fedmote deploy`` as a user meets it: from an empty board to its first telemetry, with its messages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import serial
from serial_board import serial_board

from fedmote.boards.virtual import interpreter


def fedmote(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedmote", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_deploy_ends_with_the_first_telemetry_and_the_next_one_has_nothing_to_copy(tmp_path: Path) -> None:
    with serial_board(tmp_path / "board", machine="linux", build="standard") as port:
        deploy = ("deploy", "--board", "virtual", "--port", port, "--json")
        first = fedmote(*deploy, "--dry-run", cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        plan = json.loads(first.stdout)
        assert list(plan) == [
            *("board", "runtime", "port", "device", "federation", "version", "copy", "remove", "unchanged"),
            *("bytes", "free_bytes", "telemetry"),
        ]
        assert plan["copy"][-1]["path"] == "main.py" and plan["copy"][-1]["bytes"] > 0
        assert plan["telemetry"] is None and not (tmp_path / "board" / "main.py").exists()
        done = fedmote(*deploy, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["telemetry"]["device"] == plan["device"] == "virtual-e66112"
        again = fedmote(*deploy[:-1], cwd=tmp_path)
        assert "0 copied" in again.stdout and "it runs" in again.stdout and not again.stderr
        with serial.Serial(port, exclusive=True):
            busy = fedmote(*deploy, cwd=tmp_path)
        assert busy.returncode == 1
        assert "another program is using it" in busy.stderr and busy.stderr.count("\n") == 1


def test_the_wrong_board_is_named_and_goes_on_with_its_program(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "main.py").write_text("open('started', 'a').write('x')\nwhile True: pass\n")
    with serial_board(folder) as port:
        refused = fedmote("deploy", "--board", "esp32_s3", "--port", port, cwd=tmp_path)
        assert refused.returncode == 1
        assert "esp32_s3 has an esp32s3: deploy with --board rpi_pico_w" in refused.stderr
    assert (folder / "started").read_text().endswith("x")
    assert sorted(path.name for path in folder.iterdir()) == ["main.py", "started"]


def test_the_password_of_the_wifi_reaches_the_board_and_nothing_else(tmp_path: Path) -> None:
    done = fedmote(
        *("-vv", "deploy", "--board", "rpi_pico_w", "--port", "board/", "--wifi", "Hive"),
        *("--federation", "home", "--broker", "mqtt://me:hush@10.0.0.1"),
        cwd=tmp_path,
        FEDMOTE_WIFI_PASSWORD="open sesame",
    )
    assert done.returncode == 0, done.stderr
    settings = tmp_path / "board" / "settings.toml"
    assert 'CIRCUITPY_WIFI_PASSWORD = "open sesame"' in settings.read_text()
    assert settings.stat().st_mode & 0o077 == 0
    assert "sesame" not in done.stdout + done.stderr and "hush" not in done.stdout + done.stderr
    (tmp_path / "wifi").write_text('CIRCUITPY_WIFI_SSID = "Nest"\nCIRCUITPY_WIFI_PASSWORD = "up high"\n')
    done = fedmote(
        *("deploy", "--board", "rpi_pico_w", "--port", "board", "--wifi-file", "wifi"), cwd=tmp_path
    )
    assert 'CIRCUITPY_WIFI_SSID = "Nest"' in settings.read_text() and "up high" not in done.stdout


def test_a_folder_for_a_virtual_board_runs(tmp_path: Path) -> None:
    done = fedmote("deploy", "--board", "virtual", "--port", "board/", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    board = subprocess.Popen(
        [*interpreter(), "main.py"],
        cwd=tmp_path / "board",
        env={**os.environ, "MICROPYPATH": ":lib:.frozen"},
        stdout=subprocess.PIPE,
    )
    assert board.stdout is not None
    try:
        assert json.loads(board.stdout.readline())["device"].startswith("virtual-")
    finally:
        board.kill()
        board.wait()


def test_a_place_that_is_neither_port_nor_folder_is_not_made_by_mistake(tmp_path: Path) -> None:
    refused = fedmote("deploy", "--board", "rpi_pico_w", "--port", "ttyACM0", cwd=tmp_path)
    assert "a new folder is written with a slash: ttyACM0/" in refused.stderr
    assert not list(tmp_path.iterdir())
