"""What a user can rely on: a fleet's settings go out to a folder that only its owner can read, and come back
into another aggregator's store; no key is shown on the way."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedmote import cli
from fedmote.errors import FedmoteError
from fedmote.federation.store import STORE_NAME, Store
from mote import settings

Command = Callable[..., str]
FLEET = ("--prefix", "kitchen", "--count", "3", "--export", "fleet", "--broker", "mqtt://me:secret@broker")


@pytest.fixture
def provision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command, which runs in an empty folder and returns what it prints on stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEDMOTE_WIFI_PASSWORD", raising=False)

    def run(*arguments: str) -> str:
        cli.load("provision").main(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def read(device: str) -> dict:
    return settings.read(f"fleet/{device}/settings.toml")


def keys(state: str = "fedmote-state/watch") -> dict[str, bytes | None]:
    with Store(Path(state) / STORE_NAME, read_only=True) as store:
        return {device.device: store.key(device.device) for device in store.devices()}


def test_a_fleet_is_exported_as_settings_that_boards_read(provision: Command) -> None:
    assert provision(*FLEET) == "fleet holds the settings of 3 devices, 3 of them new\n"
    assert sorted(path.name for path in Path("fleet").iterdir()) == [
        "kitchen-001",
        "kitchen-002",
        "kitchen-003",
    ]
    for device, key in keys().items():
        assert read(device) == {
            "FEDERATION": "watch",
            "DEVICE": device,
            "KEY": key.hex() if key else None,
            "BROKER": "mqtt://me:secret@broker:1883",
            "ROLE": "learn",
            "BOARD": "unknown",
        }
    assert len(set(keys().values())) == 3


def test_only_the_owner_can_read_what_was_exported(provision: Command) -> None:
    provision(*FLEET)
    for path in (Path("fleet"), *Path("fleet").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_fleet_that_grows_keeps_its_names_its_keys_and_what_was_written_into_its_files(
    provision: Command,
) -> None:
    provision(*FLEET)
    before = keys()
    edited = Path("fleet/kitchen-002/settings.toml")
    edited.write_text('CIRCUITPY_WIFI_SSID = "home"\n' + edited.read_text())
    assert provision(*FLEET[:2], "--count", "5", *FLEET[4:]).endswith("5 devices, 2 of them new\n")
    assert read("kitchen-002")["CIRCUITPY_WIFI_SSID"] == "home"
    assert {device: key for device, key in keys().items() if device in before} == before and len(keys()) == 5


def test_a_file_that_says_something_else_is_not_overwritten(provision: Command) -> None:
    provision(*FLEET)
    provision("kitchen-002", "--revoke")
    with pytest.raises(FedmoteError, match=r"kitchen-002/settings\.toml is there already with another KEY"):
        provision(*FLEET[:2], "--count", "4", *FLEET[4:])
    assert not Path("fleet/kitchen-004").exists()


def test_devices_that_are_named_are_exported_alike(provision: Command) -> None:
    assert provision("attic", "shed", "--export", "fleet").startswith("fleet holds the settings of 2 devices")
    assert read("attic")["DEVICE"] == "attic" and read("shed")["KEY"] != read("attic")["KEY"]


def test_a_fleet_can_be_given_its_wifi_without_the_password_on_the_command_line(
    provision: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDMOTE_WIFI_PASSWORD", "open sesame")
    provision(*FLEET, "--wifi", "home")
    assert (read("kitchen-001")["CIRCUITPY_WIFI_SSID"], read("kitchen-003")["CIRCUITPY_WIFI_PASSWORD"]) == (
        "home",
        "open sesame",
    )


def test_the_password_of_the_wifi_is_asked_for_where_it_is_not_given(
    provision: Command,
) -> None:
    done = CliRunner().invoke(cli.app, ["provision", *FLEET, "--wifi", "home"], input="open sesame\n")
    assert done.exit_code == 0 and read("kitchen-002")["CIRCUITPY_WIFI_PASSWORD"] == "open sesame"
    assert "Password of the Wi-Fi home" in done.stderr and "sesame" not in done.output


def test_another_aggregator_takes_a_fleet_in_with_its_keys(provision: Command) -> None:
    provision(*FLEET)
    taken = provision("--import", "fleet", "--state", "other")
    assert taken == "other knows the keys of 3 devices in fleet, 3 of them new\n"
    assert keys("other") == keys()
    assert provision("--import", "fleet", "--state", "other").endswith("0 of them new\n")


def test_several_devices_are_revoked_at_once(provision: Command) -> None:
    provision(*FLEET)
    provision("kitchen-001", "kitchen-003", "--revoke")
    assert [device for device, key in keys().items() if key is None] == ["kitchen-001", "kitchen-003"]


def test_no_key_is_ever_listed(provision: Command) -> None:
    provision(*FLEET)
    listed = provision("--list") + provision("--list", "--json")
    for key in keys().values():
        assert key is not None and key.hex()[:8] not in listed and "kitchen-001" in listed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('"watch"', '"work"'), "belongs to the federation 'work', not 'watch'"),
        (lambda text: text.replace('KEY = "', 'KEY = "0'), "has no DEVICE and KEY"),
        (lambda text: text.replace('KEY = "', 'KEY = "xy'), "has no DEVICE and KEY"),
        (lambda text: text.replace("kitchen-002", "Kitchen"), "has no DEVICE and KEY"),
        (lambda text: text.replace("kitchen-002", "kitchen-001"), "'kitchen-001' another key"),
        (lambda text: text.replace('KEY = "', "KEY = "), "is no settings.toml that a board could read"),
    ],
)
def test_a_damaged_fleet_is_not_taken_in_and_its_keys_are_not_shown(
    provision: Command, damage: Callable[[str], str], message: str
) -> None:
    provision(*FLEET)
    path = Path("fleet/kitchen-002/settings.toml")
    path.write_text(damage(path.read_text()))
    with pytest.raises(FedmoteError) as raised:
        provision("--import", "fleet", "--state", "other")
    assert message in str(raised.value) and "fleet/kitchen-002" in str(raised.value)
    assert not any(key.hex()[:8] in str(raised.value) for key in keys().values() if key)
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attic", "--federation", "My Home"], "federation name 'My Home'"),
        (["attic", "--role", "king"], "role 'king'"),
        (["--list", "--state", "nowhere"], "no federation in nowhere"),
        (["a", "b"], "2 devices need a settings.toml each: name a folder with --export"),
        (["--prefix", "kitchen"], "both --prefix and --count"),
        (["--count", "3", "attic"], "both --prefix and --count"),
        (["--prefix", "Kitchen", "--count", "3"], "'Kitchen-003'"),
        (["--prefix", "k", "--count", "0"], "--count 0"),
        (["--prefix", "k", "--count", "3", "--revoke"], "name one device"),
        (["attic", "--list"], "name one device"),
        (["--list", "--import", "fleet"], "name one device"),
        (["--import", "nothing"], "nothing holds no settings.toml"),
        (["--import", "folders"], "folders/attic/settings.toml cannot be read: Is a directory"),
        (["attic", "--export", "/dev/null/fleet"], "cannot export to /dev/null/fleet"),
        (["attic", "--wifi", 'a"b'], "quotes, backslashes"),
    ],
)
def test_a_fleet_that_cannot_be_is_explained(
    provision: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setenv("FEDMOTE_WIFI_PASSWORD", "")
    Path("folders/attic/settings.toml").mkdir(parents=True)
    with pytest.raises(FedmoteError) as raised:
        provision(*arguments)
    assert message in str(raised.value)
