"""What a user can rely on at a mosquitto with the files of ``fedmote broker-config``: a device does its own
work there and nothing else, a stranger nothing at all. It runs the real broker where that is installed."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from trusted_brokers import MOSQUITTO, Mosquitto, mosquitto

from fedmote.federation import access
from fedmote.federation.broker import BrokerAddress
from mote import wire

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")

PATIENCE_S = 10
LISTENERS = ("aggregator", "monitor")
FEDERATION = "home"


class Client:
    """A client of the broker. taken: (topic, payload) of what it receives."""

    def __init__(self, address: BrokerAddress, identifier: str = "", clean: bool = True) -> None:
        self.taken: list[tuple[str, bytes]] = []
        self.answers: list[Any] = []
        self.lost = 0
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, identifier, clean, reconnect_on_failure=False
        )
        address.prepare(self._client)
        self._client.on_connect = lambda _, __, ___, reason, ____: self.answers.append(reason)
        self._client.on_message = lambda _, __, message: self.taken.append((message.topic, message.payload))
        self._client.on_disconnect = self._on_disconnect
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        wait(lambda: self.answers)

    @property
    def admitted(self) -> bool:
        return not self.answers[0].is_failure

    def subscribe(self, *names: str) -> "Client":
        done: list[int] = []
        self._client.on_subscribe = lambda *_: done.append(1)
        self._client.subscribe([(topic(name), 1) for name in names])
        wait(lambda: done)
        return self

    def publish(self, name: str, payload: bytes = b"x", retained: bool = False) -> "Client":
        self._client.publish(topic(name), payload, 1, retained).wait_for_publish(PATIENCE_S)
        return self

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_disconnect(self, *_: Any) -> None:
        self.lost += 1


def topic(name: str) -> str:
    return wire.topic(FEDERATION, name) if name != "#" else "#"


def wait(condition: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    keys = {"attic": bytes(range(32)), "cellar": bytes(range(32, 64))}
    with mosquitto(tmp_path_factory.mktemp("mosquitto") / "house", FEDERATION, keys) as broker:
        yield broker


@pytest.fixture(scope="module")
def clients(broker: Mosquitto) -> Iterator[dict[str, Client]]:
    """Return the aggregator, a monitor and two boards, which have subscribed to all that there is."""
    everything = ("round/#", "model/#", "update/#", "status/#", "telemetry/#", "command/#", "offer/#", "#")
    clients = {name: Client(broker.role(name)) for name in ("aggregator", "monitor")}
    clients |= {name: Client(broker.board(name)) for name in broker.keys}
    for client in clients.values():
        client.subscribe(*everything, "release/#")
    yield clients
    for client in clients.values():
        client.close()


def received(clients: dict[str, Client], sender: str, name: str, retained: bool = False) -> set[str]:
    """Publish on a topic and return who receives it. The last topics tell when all was carried."""
    clients[sender].publish(name, name.encode(), retained)
    clients["aggregator"].publish("model/end")
    clients["attic"].publish("telemetry/attic", b"end")
    wait(lambda: all((topic("model/end"), b"x") in clients[one].taken for one in ("attic", "cellar")))
    wait(lambda: all((topic("telemetry/attic"), b"end") in clients[one].taken for one in LISTENERS))
    who = {one for one, client in clients.items() if (topic(name), name.encode()) in client.taken}
    for client in clients.values():
        client.taken.clear()
    return who


@pytest.mark.parametrize(
    ("sender", "name", "readers"),
    [
        ("attic", "update/attic/1/0", {"aggregator"}),
        ("attic", "status/attic", {"aggregator", "monitor"}),
        ("attic", "telemetry/attic", {"aggregator", "monitor"}),
        ("aggregator", "round/attic", {"attic"}),
        ("aggregator", "model/3/0", {"attic", "cellar"}),
        ("aggregator", "command/attic", {"attic"}),
        ("aggregator", "offer/cellar", {"cellar"}),
        ("aggregator", "release/0123/0", {"attic", "cellar"}),
        # none of these is anybody's to say
        ("attic", "update/cellar/1/0", set()),
        ("attic", "status/cellar", set()),
        ("attic", "telemetry/cellar", set()),
        ("attic", "round/cellar", set()),
        ("attic", "round/attic", set()),
        ("attic", "command/cellar", set()),
        ("attic", "model/3/0", set()),
        ("attic", "offer/attic", set()),
        ("attic", "release/0123/0", set()),
        ("monitor", "command/attic", set()),
        ("monitor", "status/attic", set()),
        ("aggregator", "update/attic/1/0", set()),
    ],
)
def test_everyone_hears_what_is_meant_for_them_from_those_who_may_say_it(
    clients: dict[str, Client], sender: str, name: str, readers: set[str]
) -> None:
    assert received(clients, sender, name) == readers


def test_what_the_broker_keeps_is_given_to_those_who_may_read_it(
    broker: Mosquitto, clients: dict[str, Client]
) -> None:
    clients["aggregator"].publish("round/attic", b"manifest", retained=True)
    for name, expected in (("attic", [(topic("round/attic"), b"manifest")]), ("cellar", [])):
        late = Client(broker.board(name)).subscribe("round/#")
        if expected:
            wait(lambda late=late: late.taken)
        assert late.taken == expected
        late.close()
    clients["aggregator"].publish("round/attic", b"", retained=True)


def test_a_stranger_does_not_come_in(broker: Mosquitto) -> None:
    good = broker.board("attic")
    for address in (
        replace(good, username=None, password=None),
        replace(good, password="guessed"),
        replace(good, username="garage.home"),
        replace(good, username=broker.role("aggregator").username),
        replace(good, port=broker.aggregator_port),  # a board is no aggregator
        replace(broker.role("monitor"), port=broker.port),
    ):
        client = Client(address)
        assert not client.admitted
        client.close()


def test_nobody_comes_in_without_tls(broker: Mosquitto) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    answers: list[Any] = []
    client.on_connect = lambda *_: answers.append(1)
    client.on_disconnect = lambda *_: answers.append(0)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    wait(lambda: answers)
    client.disconnect()
    client.loop_stop()
    assert answers[0] == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(replace(broker.board("attic"), ca=None))


def test_a_board_cannot_end_another_ones_session_nor_the_aggregators(broker: Mosquitto) -> None:
    aggregator = Client(broker.role("aggregator"), "fedmote-home-aggregator", clean=False)
    victim = Client(broker.board("cellar"), "cellar").subscribe("command/cellar")
    for identifier in ("cellar", "cellar.home", "fedmote-home-aggregator"):
        thief = Client(broker.board("attic"), identifier)
        assert thief.admitted
        thief.close()
    aggregator.publish("command/cellar", b"still there")
    wait(lambda: victim.taken)
    assert (victim.lost, aggregator.lost) == (0, 0)
    victim.close()
    aggregator.close()


def test_what_boards_send_while_the_aggregator_is_away_waits_for_it_over_a_restart(broker: Mosquitto) -> None:
    Client(broker.role("aggregator"), "away", clean=False).subscribe("update/#").close()
    Client(broker.board("attic")).publish("update/attic/1/0").close()
    broker.stop()
    broker.start()
    aggregator = Client(broker.role("aggregator"), "away", clean=False)
    wait(lambda: aggregator.taken == [(topic("update/attic/1/0"), b"x")])
    aggregator.close()
    Client(broker.role("aggregator"), "away").close()


def test_many_messages_wait_and_as_many_as_fill_a_transaction_are_on_their_way(broker: Mosquitto) -> None:
    Client(broker.role("aggregator"), "away", clean=False).subscribe("update/#").close()
    attic = Client(broker.board("attic"))
    sent = [attic._client.publish(topic(f"update/attic/1/{n}"), bytes(1000), 1) for n in range(1500)]
    wait(lambda: all(one.is_published() for one in sent))
    attic.close()
    taken: list[mqtt.MQTTMessage] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "away", clean_session=False, manual_ack=True)
    client.on_message = lambda _, __, message: taken.append(message)
    address = broker.role("aggregator")
    address.prepare(client)
    client.connect(address.host, address.port)
    client.loop_start()
    wait(lambda: len(taken) == 100)
    time.sleep(0.2)
    assert len(taken) == 100  # none is acknowledged
    done = 0
    while len(taken) < len(sent):
        known = len(taken)
        for message in taken[done:known]:
            client.ack(message.mid, message.qos)
        done = known
        wait(lambda known=known: len(taken) > known)
    client.disconnect()
    client.loop_stop()
    assert len({message.topic for message in taken}) == len(sent)
    Client(broker.role("aggregator"), "away").close()


def test_messages_that_are_too_long_are_not_carried(broker: Mosquitto) -> None:
    longest = bytes(wire.MESSAGE_BYTES)
    aggregator = Client(broker.role("aggregator")).subscribe("update/#")
    attic = Client(broker.board("attic")).publish("update/attic/1/0", longest)
    attic.publish("update/attic/1/1", longest + b"x").publish("update/attic/1/2", b"short")
    wait(lambda: aggregator.taken[-1][1] == b"short")
    assert [payload for _, payload in aggregator.taken] == [longest, b"short"]
    attic._client.publish(topic("update/attic/1/1"), 3 * longest, 1)
    wait(lambda: attic.lost)  # what could only be an attack ends the connection
    for client in (aggregator, attic):
        client.close()


def test_devices_that_are_added_and_revoked_are_known_after_a_reload(broker: Mosquitto) -> None:
    broker.keys["garage"] = bytes(32)
    garage, attic = broker.board("garage"), broker.board("attic")
    connected = Client(attic)
    key = broker.keys.pop("attic")
    assert set(broker.write().changed) == {"broker/boards.acl", "broker/boards.passwords"}
    broker.reload()
    wait(lambda: connected.lost)
    connected.close()
    newcomer = Client(garage)
    assert newcomer.admitted
    newcomer.close()
    gone = Client(attic)
    assert not gone.admitted
    gone.close()
    broker.keys["attic"] = key
    del broker.keys["garage"]
    broker.write()
    broker.reload()


def test_its_log_shows_no_password(broker: Mosquitto) -> None:
    log = (broker.folder / "log").read_text()
    assert "attic.home" in log
    for device, key in broker.keys.items():
        assert access.board_password(FEDERATION, device, key) not in log
