"""What a user can rely on: whatever reaches the host's parsers is understood as it was meant, or refused; no
bytes stop the aggregator or a bridge, and none show a secret."""

import base64
import json
import struct
from array import array
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from chirpstack_stand_in import APPLICATION
from federation_boards import FEDERATION, Board
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedmote.bridges import compact as compact_writer
from fedmote.bridges.chirpstack import events
from fedmote.bridges.chirpstack.bridge import Bridge
from fedmote.errors import FedmoteError
from fedmote.federation import mosquitto, mqtt, provisioning, telemetry
from fedmote.federation.bodies import MAGNITUDE_LIMIT, RANGE_FLOOR, SAMPLES_LIMIT, Form
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.manifests import Manifest, manifest_message
from fedmote.federation.mqtt import Connection, Message
from fedmote.federation.protocol import Refusal, model_messages, parse_topic
from mote import codec, compact, frames, wire

EUI = "0101010101010101"
SECRET = "c0ffee" * 4
BITS = st.integers(0, 2**32 - 1)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=32)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=5,
)


def changed(fields: dict[str, Any]) -> Any:
    """Return a strategy for an object with some values replaced or left out."""
    changes = st.dictionaries(st.sampled_from(list(fields)), VALUES, max_size=3)
    gone = st.sets(st.sampled_from(list(fields)), max_size=2)
    return st.builds(
        lambda new, out: {k: v for k, v in {**fields, **new}.items() if k not in out}, changes, gone
    )


# Topics, bodies, manifests


@given(NAMES, NAMES, BITS, BITS)
def test_a_board_s_topics_are_read_as_they_are_written(home: str, device: str, number: int, at: int) -> None:
    topic = parse_topic(home, wire.topic(home, "update", device, number, at))
    assert (topic.branch, topic.device, topic.round, topic.index) == ("update", device, number, at)
    assert parse_topic(home, wire.topic(home, "status", device)).device == device


@given(st.text(max_size=80) | st.text("fedmot/hupasi0123+#-", max_size=60))
def test_no_topic_is_two_messages(text: str) -> None:
    for name in (text, f"fedmote/home/update/{text}", f"fedmote/home/update/attic/{text}"):
        with suppress(Refusal):
            topic = parse_topic("home", name)
            levels = (topic.branch, topic.device) + (
                (topic.round, topic.index) if topic.branch == "update" else ()
            )
            assert wire.topic("home", *levels) == name


def body_of(name: str) -> bytes:
    report = codec.Report(4, 10, 5, 0.5, 0.5, 0.5, (1.0, 2.0))
    local = array("f", np.linspace(-1, 1, 70, dtype=np.float32).tobytes())
    base = array("f", bytes(4 * len(local)))
    encoder = codec.Encoder(report, codec.CODECS[name], local, base, (40, 30))
    body = bytearray(encoder.total)
    encoder.read_into(body, 0)
    return bytes(body)


@settings(deadline=None)
@given(
    st.sampled_from(list(codec.CODECS)), st.sampled_from([wire.UPDATE, wire.EVALUATION]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), st.integers(-3, 3),
)  # fmt: skip
def test_a_body_with_any_bytes_changed_is_within_all_bounds_or_refused(
    name: str, kind: int, changes: list[tuple[int, int]], longer: int
) -> None:
    body = bytearray(body_of(name))
    for at, value in changes:
        body[at % len(body)] = value
    form = Form(name, (40, 30), 2)
    data = bytes(body) + bytes(longer) if longer >= 0 else bytes(body[:longer])
    try:
        report, delta = form.decode(kind, data, 4)
    except Refusal:
        return
    assert (kind, longer, report.version) == (wire.UPDATE, 0, 4) and len(delta) in (30, 70)
    assert np.isfinite(delta).all() and np.abs(delta).max() <= MAGNITUDE_LIMIT
    assert 0 < report.samples <= SAMPLES_LIMIT and 0 <= report.accuracy <= 1
    assert all(RANGE_FLOOR <= one <= MAGNITUDE_LIMIT for one in report.ranges)


FLOATS = st.floats(0, 1000)


@given(
    st.builds(
        Manifest, st.text("0123456789abcdef", min_size=8, max_size=8), BITS, BITS, BITS,
        st.sampled_from(["train", "evaluate", "idle"]), st.just("0123abcd"), BITS, st.just("5" * 64),
        st.sampled_from(list(codec.CODECS)), st.integers(1, 1000), st.integers(1, 1000), FLOATS, FLOATS,
        st.integers(100, 86_400_000),
    ),
    NAMES, NAMES, st.integers(1, 1000), BITS, BITS,
)  # fmt: skip
def test_every_manifest_fits_is_sealed_and_has_a_compact_form(
    manifest: Manifest, home: str, device: str, epochs: int, counter: int, pause_ms: int
) -> None:
    key = bytes(range(32))
    message = manifest_message(home, device, key, manifest, epochs, counter, pause_ms)
    assert wire.is_sealed(key, wire.MANIFEST_SEAL, home, device, message.payload)
    told = json.loads(message.payload)
    expected = {**vars(manifest), "epochs": epochs, "counter": counter, "pause_ms": pause_ms}
    assert {name: told[name] for name in expected} == expected
    assert compact.read(compact_writer.write(message.payload)) == message.payload
    assert Manifest.from_json(manifest.to_json(), manifest.run) == manifest


STATUS: dict[str, Any] = {
    "state": "online", "role": "learn", "protocol": 2, "board": "rpi_pico_w", "layout": "0123abcd",
    "version": 3, "rssi": -60, "tensors": 2, "back_s": 300,
}  # fmt: skip


@given(st.binary(max_size=1100) | changed(STATUS).map(lambda fields: json.dumps(fields).encode()))
def test_a_status_has_known_keys_of_bounded_values_or_is_refused(payload: bytes) -> None:
    try:
        status = telemetry.parse_status(payload)
    except Refusal:
        return
    assert status["state"] in ("online", "offline") and len(json.dumps(status)) < 2000
    assert 0 <= status.get("back_s", 0) <= 7 * 86_400 and 0 <= status.get("protocol", 0) <= 255
    assert all(text.isprintable() for text in status.values() if isinstance(text, str))


# MQTT


class Deaf(mqtt.asyncio.Transport):
    """Takes everything and does nothing."""

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass


def packet(topic: str, payload: bytes, identifier: int) -> bytes:
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", identifier) + payload
    return b"\x32" + mqtt._length(len(body)) + body


PUBLICATIONS = st.lists(
    st.tuples(st.text(max_size=20), st.binary(max_size=300), st.integers(1, 65535)), max_size=12
)


@settings(deadline=None)
@given(PUBLICATIONS, st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_publications_arrive_whole_wherever_their_bytes_are_cut(
    sent: list[tuple[str, bytes, int]], cuts: list[int]
) -> None:
    arrived: list[Message] = []
    lost: list[str] = []

    async def play() -> None:
        connection = Connection(arrived.extend, lost.append)
        connection.connection_made(Deaf())
        data, at, turn = b"".join(packet(*one) for one in sent), 0, 0
        while at < len(data):
            end = at + cuts[turn % len(cuts)]
            connection.data_received(data[at:end])
            at, turn = end, turn + 1

    mqtt.asyncio.run(play())
    assert [(m.topic, m.payload, m.identifier) for m in arrived] == sent and not lost


@given(st.text(max_size=60) | st.text("mqts:/@%[]0123456789.abc?#", max_size=40))
def test_a_broker_s_address_is_read_as_it_is_written_or_refused(text: str) -> None:
    try:
        address = BrokerAddress.parse(text)
    except FedmoteError:
        return
    assert BrokerAddress.parse(address.url) == address


@given(st.text(max_size=20) | st.text(":/@%[]0123456789.abc", max_size=30))
def test_no_error_of_a_broker_s_address_shows_its_password(place: str) -> None:
    for text in (f"mqtt://user:{SECRET}@{place}", f"mqtt//user:{SECRET}@{place}", f"user:{SECRET}@{place}"):
        try:
            address = BrokerAddress.parse(text)
        except FedmoteError as error:
            assert SECRET not in str(error)
        else:
            assert SECRET not in f"{address} {address!r}"


# Files


@settings(deadline=None)
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_exported_settings_whatever_show_a_key(tmp_path_factory: Any, before: bytes, after: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "exported"
    folder.mkdir(exist_ok=True)
    lines = f'FEDERATION = "home"\nDEVICE = "attic"\nKEY = "{SECRET}"'.encode()
    (folder / "settings.toml").write_bytes(before + lines + after)
    with pytest.raises(FedmoteError) as caught:  # 24 digits are no key
        provisioning.keys_in(folder, "home")
    assert SECRET not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=80) | st.text("attic:$7A=\n1", max_size=80))
@example("attic:$7$2000000000$AAAA$AAAA\n")
@example("attic:$7$101$AAAA$\u00e4\n")
def test_no_password_file_whatever_keeps_the_right_passwords_from_being_written(existing: str) -> None:
    text = mosquitto.passwords({"attic": "one", "cellar": "two"}, existing)
    assert [line.split(":")[0] for line in text.splitlines()] == ["attic", "cellar"]
    assert mosquitto.passwords({"attic": "one", "cellar": "two"}, text) == text


# ChirpStack


UPLINK: dict[str, Any] = {
    "deduplicationId": "1", "deviceInfo": {"devEui": EUI}, "dr": 5, "fCnt": 0, "fPort": frames.PORT,
    "data": "AAAA", "rxInfo": [{"rssi": -90}],
    "txInfo": {"modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}}},
}  # fmt: skip
ACKNOWLEDGED: dict[str, Any] = {"deviceInfo": {"devEui": EUI}, "queueItemId": "1", "txInfo": {}}
LOGGED: dict[str, Any] = {"deviceInfo": {"devEui": EUI}, "level": "ERROR", "code": "OTAA", "description": ""}
EVENTS = st.one_of(
    *(st.tuples(st.just(kind), changed(fields))
      for kind, fields in (("up", UPLINK), ("txack", ACKNOWLEDGED), ("log", LOGGED))),
    st.tuples(st.sampled_from(["up", "txack", "log", "join"]), VALUES),
)  # fmt: skip


def event_topic(kind: str) -> str:
    return f"application/{APPLICATION}/device/{EUI}/event/{kind}"


@given(EVENTS)
def test_no_event_of_chirpstack_whatever_is_more_than_refused(event: tuple[str, Any]) -> None:
    try:
        found = events.parse(event_topic(event[0]), json.dumps(event[1]).encode())
    except ValueError:
        return
    assert found.eui == EUI


MANIFEST: dict[str, Any] = {
    "protocol": 2, "run": "0011aabb", "round": 1, "edition": 1, "version": 0, "phase": "train",
    "layout": "0123abcd", "size": 80, "sha256": "0" * 64, "codec": "int8", "time": 0, "tag": "a7" * 32,
}  # fmt: skip
RECEIPT: dict[str, Any] = {"receipt": 1, "counter": 1, "result": "accepted", "tag": "0b" * 32}


def telling(branch: str, fields: Any) -> Any:
    """Return a strategy for what the federation's broker brings: (topic, payload)."""
    payloads = st.binary(max_size=60) | (fields | VALUES).map(lambda one: json.dumps(one).encode())
    return st.tuples(st.just(wire.topic(FEDERATION, branch, "attic")), payloads)


MODEL = st.builds(
    lambda version, piece: next((m.topic, m.payload) for m in model_messages(FEDERATION, version, piece)),
    st.integers(0, 3), st.binary(min_size=1, max_size=90),
)  # fmt: skip
UPLOADS = st.builds(
    lambda kind, body: frames.Sending(kind, body, 222).frame(),
    st.sampled_from([wire.UPDATE, wire.EVALUATION, 0, 18]), st.binary(max_size=90),
)  # fmt: skip
LOOKS = st.builds(lambda *of: frames.Look(*of).frame(), *[st.integers(0, 255)] * 3, BITS, BITS, BITS)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            EVENTS,
            st.binary(max_size=60) | UPLOADS | LOOKS,
            st.tuples(st.just("model"), MODEL),
            st.tuples(
                st.just("told"), telling("round", changed(MANIFEST)) | telling("command", changed(RECEIPT))
            ),
        ),
        max_size=15,
    )
)
@example([b"\0\0\0\1\0"])  # one byte that claims to be a message
@example([("up", {**UPLINK, "dr": -100, "data": ""})])
@example([("told", (wire.topic(FEDERATION, "round", "attic"), json.dumps(MANIFEST).encode("utf-16")))])
@example([
    ("told", (wire.topic(FEDERATION, "round", "attic"), json.dumps({**MANIFEST, "version": [1]}).encode())),
    frames.Look(0, 0, 0, 0, 0, 0).frame(),
])  # fmt: skip
def test_no_messages_whatever_stop_a_bridge(messages: list[Any]) -> None:
    bridge = Bridge(APPLICATION, FEDERATION, {EUI: "attic"}, budget=0)
    for number, message in enumerate(messages):
        if isinstance(message, bytes):
            data = base64.b64encode(message).decode()
            message = "up", {**UPLINK, "data": data, "deduplicationId": f"n{number}", "fCnt": number}
        kind, content = message
        if kind in ("told", "model"):
            bridge.from_federation(*content)
        else:
            bridge.from_network(event_topic(kind), json.dumps(content).encode())
        bridge.tick()
        json.dumps(bridge.state())
    another = Bridge(APPLICATION, FEDERATION, {EUI: "attic"}, budget=0)
    another.restore(json.loads(json.dumps(bridge.state())))
    another.renewed()


def test_the_bridge_of_these_tests_takes_a_real_upload() -> None:
    board = Board("attic", bytes(range(32)), "0011aabb", codec="int8", sizes=(20,))
    (_, message), = board.update(np.ones(20))  # fmt: skip
    payload = struct.pack(frames.UPLOAD, 1, 1) + message[wire.HEADER_BYTES :]
    bridge = Bridge(APPLICATION, FEDERATION, {EUI: "attic"}, budget=0)
    frame = frames.Sending(wire.UPDATE, payload, 222).frame()
    turn = bridge.from_network(
        event_topic("up"), json.dumps({**UPLINK, "data": base64.b64encode(frame).decode()}).encode()
    )
    assert [(one.topic, one.payload) for one in turn.federation] == [board.update(np.ones(20))[0]]
