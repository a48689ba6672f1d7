"""What a user can rely on: nothing that fedmote logs or complains of shows a key or a password, however much
it is asked to log; and it warns of keys that others can read."""

import json
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fedmote.errors import FedmoteError
from fedmote.federation import access, private
from fedmote.federation.store import STORE_NAME, Store
from mote import settings
from mote.links.mqtt import Address

TYPED = ("in-the-url", "of-the-wifi", "in-a-file")
Run = Callable[..., str]


# Runs several commands in one process, as main runs one.
SCRIPT = """
import contextlib, json, sys
from fedmote import cli

for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = ["-vv", *arguments]
    with contextlib.suppress(SystemExit):
        cli.main()
    print("done", arguments[0], flush=True)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs commands in an empty folder and returns all that they say."""

    def run(*commands: tuple[str, ...]) -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(commands)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            env=os.environ | {"FEDMOTE_WIFI_PASSWORD": "of-the-wifi"},
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    return run


def secrets_of(state: Path) -> set[str]:
    """Return the keys and passwords of a federation's devices, as they could be written."""
    found = set(TYPED)
    with Store(state / STORE_NAME) as store:
        for device in store.devices():
            key = store.key(device.device)
            assert key is not None
            found |= {key.hex(), key.hex().upper(), repr(key)[2:-1]}
            found.add(access.board_password("home", device.device, key))
    return found


def test_no_command_shows_a_key_or_a_password(tmp_path: Path, run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "password").write_text("in-a-file\n")
        url = f"mqtts://me:in-the-url@{nowhere}"
        home = ("--federation", "home")
        fleet = ("--prefix", "attic", "--count", "2", "--export", "fleet", "--wifi", "Hive")
        (tmp_path / "board").mkdir()
        text = run(
            ("provision", *home, *fleet, "--broker", url),
            ("provision", *home, *fleet, "--broker", url.replace("me:", "you:")),  # an error: they differ
            ("provision", *home, "--import", "fleet"),
            ("broker-config", "house", *home, "--host", "127.0.0.1"),
            ("deploy", *home, "--board", "rpi_pico_w", "--port", "board", "--broker", url, "--wait", "0",
             "--ca", "house/ca.pem", "--wifi", "Hive", "--set", "WEB=in-a-file"),
            ("serve", *home, "--broker", url, "--ca", "house/ca.pem"),
            ("serve", *home, "--broker", f"mqtts://me@{nowhere}", "--password-file", "password"),
            ("serve", *home, "--broker", "mqtts://me:in-the-url@host:no-port"),
            ("monitor", "--broker", url),
        )  # fmt: skip
    assert text.count("\ndone") == 9 and text.count(f"no broker answers at mqtts://me@{nowhere}") == 3, text
    assert not [one for one in secrets_of(tmp_path / "fedmote-state/home") if one in text]
    assert 'CA = "ca.pem"' in (tmp_path / "board/settings.toml").read_text()
    assert (tmp_path / "board/ca.pem").read_bytes() == (tmp_path / "house/ca.pem").read_bytes()
    assert "in-the-url" in (tmp_path / "fleet/attic-001/settings.toml").read_text()  # where it belongs


def test_a_demo_shows_no_key_of_its_boards(tmp_path: Path, run: Run) -> None:
    text = run(("demo", "--boards", "3", "--rounds", "1"))
    state = tmp_path / "fedmote-state/demo-watch"
    assert "finished with version 1" in text
    assert not [one for one in secrets_of(state) if one in text]
    for path in (state / STORE_NAME, *state.glob("fleet/*/settings.toml")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_settings_file_with_a_mistake_is_told_of_without_the_line(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    for line in ('KEY = "geheim', "KEY = geheim", "KEYgeheim"):
        path.write_text(f"A = 1\n{line}\n")
        with pytest.raises(ValueError, match="line 2") as error:
            settings.read(str(path))
        assert "geheim" not in str(error.value)


@pytest.mark.parametrize("url", ["mqtt//me:geheim@host", "http://me:geheim@host", "mqtt://me:geheim@"])
def test_a_board_tells_of_a_wrong_url_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="BROKER") as error:
        Address(url)
    assert "geheim" not in str(error.value)


def test_a_board_reads_the_same_in_a_url_as_the_host() -> None:
    address = Address("mqtts://attic.home:p%40s%25%C3%A4%s@[fe80::1]:99")
    assert (address.username, address.password) == ("attic.home", "p@s%ä%s")
    assert (address.tls, address.host, address.port) == (True, "fe80::1", 99)


def test_a_store_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "open" / STORE_NAME
    Store(path).close()
    assert not caplog.records
    path.chmod(0o644)
    Store(path).close()
    assert not caplog.records  # its folder lets nobody in
    path.parent.chmod(0o755)
    Store(path).close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"chmod 600 {path}" in caplog.text


def test_a_private_file_is_never_half_there_nor_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    assert private.write(path, b"old") and private.write(path, b"new") and not private.write(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_password_that_cannot_be_in_settings_is_refused_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedmote.boards import image

    with pytest.raises(FedmoteError, match="CIRCUITPY_WIFI_PASSWORD: quotes") as error:
        image.settings_text({"CIRCUITPY_WIFI_PASSWORD": 'ge"heim'})
    assert "heim" not in str(error.value)
