"""What a user can rely on: ``fedmote devices`` finds real virtual boards at their ports, at a real broker and
in an aggregator's store."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from fedmote import cli
from fedmote.boards.virtual import Fleet
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.session import STORE_NAME, compile_model
from fedmote.federation.store import Store
from fedmote.fleet import assign, lay_out
from fedmote.models.application import Application
from fedmote.monitor.devices import federated
from fedmote.monitor.ports import register_fleet
from mote import wire

PATIENCE_S = 40
APPLICATION = Application.load("watch")

Command = Callable[..., str]


@dataclass
class House:
    """A broker, a store, and a virtual board that is registered as its fleet."""

    broker: str
    state: Path
    fleet: Fleet


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch, EmbeddedBroker() as broker:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setattr("serial.tools.list_ports.comports", list)  # this machine's own boards
        patch.setattr("fedmote.boards.flashing.drives.mounted", list)
        with Store(folder / STORE_NAME) as store, Fleet(folder / "fleet") as fleet:
            store.provision("never-seen")
            (board,) = lay_out(
                fleet,
                APPLICATION,
                assign(APPLICATION, 3, seed=1)[:1],
                federation="home",
                broker=broker.address.url,
                key_of=store.provision,
                mote=compile_model(APPLICATION),
                seed=1,
                replay_speed=4.0,
            )
            with register_fleet(fleet.folder):
                fleet.start(board)
                end = time.monotonic() + PATIENCE_S
                while not came_online(broker.address):
                    assert board.running and time.monotonic() < end, board.last_output
                yield House(broker.address.url, folder, fleet)


def came_online(address: BrokerAddress) -> bool:
    return any(sighting.runtime for sighting in federated.at_broker(address, "home", 0.5))


@pytest.fixture
def devices(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command, which returns what it prints on stdout."""

    def run(*arguments: str) -> str:
        cli.load("devices").main(["--seconds", "1.5", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_a_virtual_board_is_one_row_with_its_port_its_broker_and_its_store(
    house: House, devices: Command
) -> None:
    board = house.fleet.boards[0]
    arguments = ("--broker", house.broker, "--federation", "home", "--state", str(house.state))
    rows = json.loads(devices("--json", *arguments))
    assert [row["device"] for row in rows] == [board.device, "never-seen"]
    assert rows[0]["where"] == [str(board.serial), house.broker, str(house.state)]
    assert (rows[0]["federation"], rows[0]["board"], rows[0]["state"]) == ("home", "virtual", "online")
    assert re.fullmatch(r"micropython \d+\.\d+\.\d+", rows[0]["runtime"]) and rows[0]["firmware"]
    assert rows[0]["last_seen"] is not None
    assert (rows[1]["state"], rows[1]["last_seen"], rows[1]["where"]) == ("offline", None, [str(house.state)])


def test_without_a_federation_all_that_are_at_the_broker_are_found(house: House, devices: Command) -> None:
    (row,) = json.loads(devices("--json", "--broker", house.broker))
    assert (row["federation"], row["device"]) == ("home", house.fleet.boards[0].device)


def test_the_table_shows_what_is_known_and_leaves_out_what_nobody_told(
    house: House, devices: Command
) -> None:
    heading, *lines = devices("--broker", house.broker).splitlines()
    assert heading.split()[:4] == ["device", "federation", "board", "state"] and "battery" not in heading
    assert house.fleet.boards[0].device in lines[0] and " online " in lines[0] and " now " in lines[0]


def test_the_store_alone_tells_when_a_device_was_last_heard(
    devices: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    passed = {"attic": 30, "cellar": 200, "garden": 3 * 3600 + 5, "shed": 2 * 86400 + 5}
    with Store(Path("fedmote-state/home") / STORE_NAME) as store:
        for device, seconds in passed.items():
            store.provision(device)
            store.note_heard(device, time.time() - seconds, {"battery": 3.704, "rssi": -61})
        store.note_status("garden", False, {}, time.time() + 3600)
        store.revoke("shed")
    lines = devices("--federation", "home", "--port", "/dev/ttyGONE").splitlines()
    assert [word in lines[0] for word in ("battery", "rssi", "note")] == [True] * 3
    for line, text in zip(lines[2:], ("30 s ago", "3 min ago", "3 h ago", "2 d ago"), strict=True):
        assert text in line and "3.70 V" in line and "-61 dBm" in line
    assert "unreachable" in lines[1] and "revoked" in lines[5]
    assert [" rests, back by " in line for line in lines[2:]] == [False, False, True, False]


def test_no_more_devices_are_kept_than_there_can_be(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(federated, "DEVICES", 3)
    stranger = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    address = BrokerAddress.parse(house.broker)
    stranger.connect(address.host, address.port)
    stranger.loop_start()
    topics = [wire.topic("crowd", "status", f"board-{number}") for number in range(9)]
    try:
        for topic in topics:
            status = b'{"state":"online","board":"unknown"}'
            stranger.publish(topic, status, 1, retain=True).wait_for_publish(PATIENCE_S)
        known = federated.at_broker(address, "crowd", 0.5)
        assert len(known) == 3 and {one.board for one in known} == {None}
    finally:
        for topic in topics:
            stranger.publish(topic, b"", 1, retain=True).wait_for_publish(PATIENCE_S)
        stranger.disconnect()
        stranger.loop_stop()


def test_a_port_that_is_named_is_looked_at_alone(house: House, devices: Command) -> None:
    port = str(house.fleet.boards[0].serial)
    (row,) = json.loads(devices("--json", "--port", port))
    assert (row["device"], row["state"], row["where"]) == (house.fleet.boards[0].device, "running", [port])


def test_where_there_is_nothing_it_says_what_to_do(
    house: House,
    devices: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    cli.load("devices").main([], standalone_mode=False)
    printed = capsys.readouterr()
    assert printed.out == "" and "connect one over USB" in printed.err
    assert devices("--json") == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--federation", "My Home"], "federation name 'My Home'"),
        (["--federation", "nothing"], "no federation in fedmote-state/nothing"),
        (["--state", "nowhere"], "no federation in nowhere"),
        (["--state", ".", "--broker", "mqtt://127.0.0.1:1"], "with --federation"),
        (["--broker", "http://x"], "begins with http://"),
        (["--broker", "mqtt://127.0.0.1:1"], "no broker answers at mqtt://127.0.0.1:1"),
    ],
)
def test_devices_explains_what_is_wrong(
    devices: Command, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FedmoteError) as raised:
        devices("--seconds", "0.1", *arguments)
    assert message in str(raised.value)


def test_a_board_that_loses_its_power_is_offline_by_its_last_will(house: House, devices: Command) -> None:
    house.fleet.stop(house.fleet.boards[0], kill=True)
    (row,) = json.loads(devices("--json", "--broker", house.broker, "--federation", "home"))
    assert (row["state"], row["where"]) == ("offline", [house.broker])
