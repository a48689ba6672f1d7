"""Many boards over a real broker: who is heard, what is refused, and a broker that goes and comes back."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.monitor.events import Event, Lost, Opened, Output, Received, Reported
from fedmote.monitor.subscription import follow, interpret

PATIENCE_S = 20
STATUS = b'{"state":"online","role":"learn","board":"rpi_pico_w"}'
TOPIC = "fedmote/home/telemetry/subject-01"


def telemetry(device: str = "subject-01", **values) -> bytes:
    return json.dumps({"device": device, "time_ms": 1000, **values}).encode()


class Publisher:
    """A client that publishes as boards do."""

    def __init__(self, address: BrokerAddress) -> None:
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.connect(address.host, address.port)
        self._client.loop_start()

    def __call__(self, topic: str, payload: bytes, retained: bool = False) -> None:
        self._client.publish(topic, payload, 1, retained).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def following(events: Iterator[Event], kind: type) -> Event:
    """Return the next event of a kind."""
    end = time.monotonic() + PATIENCE_S
    for event in events:
        if isinstance(event, kind):
            return event
        assert time.monotonic() < end, f"no {kind.__name__} came"
    raise AssertionError("no more events")


def test_boards_of_a_federation_are_heard_and_a_status_that_waited_too():
    with EmbeddedBroker() as broker, closing(Publisher(broker.address)) as publish:
        publish("fedmote/home/status/subject-01", STATUS, retained=True)
        events = follow(broker.address, "home")
        assert following(events, Opened).source == f"{broker.address}, federation home"
        status = following(events, Reported)
        assert (status.board, status.status["board"]) == ("home/subject-01", "rpi_pico_w")
        publish("fedmote/elsewhere/telemetry/subject-01", telemetry())
        publish(TOPIC, b"\x1b[2Jno telemetry")
        publish(TOPIC, telemetry(label="PEN"))
        assert following(events, Output).text == "·[2Jno telemetry"
        heard = following(events, Received)
        assert (heard.board, heard.telemetry.label) == ("home/subject-01", "PEN")
        events.close()


def test_without_a_name_all_federations_are_heard():
    with EmbeddedBroker() as broker, closing(Publisher(broker.address)) as publish:
        events = follow(broker.address)
        next(events)
        for federation in ("home", "elsewhere"):
            publish(f"fedmote/{federation}/telemetry/subject-01", telemetry())
        assert {following(events, Received).board for _ in range(2)} == {
            "home/subject-01",
            "elsewhere/subject-01",
        }
        events.close()


def test_a_broker_that_went_away_is_heard_again_once_it_is_back():
    with EmbeddedBroker() as broker:
        address = broker.address
        events = follow(address)
        next(events)
    assert following(events, Lost).reason
    with EmbeddedBroker(address.port), closing(Publisher(address)) as publish:
        assert following(events, Opened)
        publish(TOPIC, telemetry(label="PEN"))
        assert following(events, Received).telemetry.label == "PEN"
    events.close()


def test_what_cannot_work_is_explained():
    with pytest.raises(FedmoteError, match="no broker answers at mqtt://127"):
        next(follow(BrokerAddress("127.0.0.1", 1)))
    with pytest.raises(FedmoteError, match="--federation 'My home' is no name"):
        next(follow(BrokerAddress("127.0.0.1", 1), "My home"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with pytest.raises(FedmoteError, match="does not answer as an MQTT broker"):
            next(follow(BrokerAddress("127.0.0.1", server.getsockname()[1])))


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        (TOPIC, telemetry(), Received),
        (TOPIC, telemetry("subject-02"), Output),  # it says it is somebody else
        (TOPIC, b"", type(None)),
        ("fedmote/home/status/subject-01", STATUS, Reported),
        ("fedmote/home/status/subject-01", b'{"state":"sleeping"}', Output),
        ("fedmote/home/status/subject-01", b"x" * 5000, Output),
        ("fedmote/Home/status/subject-01", STATUS, Output),
        ("fedmote/home/status", STATUS, Output),
    ],
)
def test_a_message_is_taken_or_shown(topic, payload, kind):
    event = interpret(topic, payload, 1.0)
    assert type(event) is kind
    if isinstance(event, Output):
        assert len(event.text) < 1200


@settings(deadline=None)
@given(
    st.text(max_size=40) | st.sampled_from([TOPIC, "fedmote/home/status/subject-01"]),
    st.binary(max_size=1200)
    | st.sampled_from([STATUS, telemetry()]).flatmap(
        lambda payload: st.integers(0, len(payload)).map(
            lambda cut: payload[:cut] + b"\x1b[2J" + payload[cut:]
        )
    ),
)
def test_no_message_raises_or_reaches_a_terminal_unseen(topic, payload):
    event = interpret(topic, payload, 1.0)
    if isinstance(event, Output):
        assert (event.board + event.text).isprintable()
