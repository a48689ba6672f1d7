"""What a user can rely on: whatever arrives is checked to the last bound before anything is done with it."""

import json
import struct
from array import array

import numpy as np
import pytest
from federation_boards import FEDERATION, LAYOUT
from hypothesis import given
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.federation import protocol, telemetry
from fedmote.federation.bodies import Form
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.manifests import Manifest, manifest_message, receipt_message
from fedmote.federation.protocol import Reason, Refusal, parse_topic
from mote import codec, wire

FORM = Form("int8", (6, 3), 2)
KEY = bytes(range(32))


def body_of(delta: np.ndarray, form: Form = FORM, **fields: float) -> bytes:
    report = codec.Report(4, 10, 5, 0.5, 0.5, 0.5, (1.0, 2.0))
    for name, value in fields.items():
        setattr(report, name, value)
    local = array("f", delta.astype(np.float32).tobytes())
    encoder = codec.Encoder(
        report, codec.CODECS[form.codec], local, array("f", [0.0]) * len(local), form.sizes
    )
    body = bytearray(encoder.total)
    encoder.read_into(body, 0)
    return bytes(body)


def reason_of(body: bytes, kind: int = wire.UPDATE, form: Form = FORM) -> Reason:
    with pytest.raises(Refusal) as refusal:
        form.decode(kind, body, 4)
    return refusal.value.reason


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=9, max_size=9))
def test_an_int8_delta_arrives_within_half_a_step_of_its_scale(values: list[float]) -> None:
    delta = np.array(values, np.float32)
    _, decoded = FORM.decode(wire.UPDATE, body_of(delta), 4)
    for part in (slice(0, 6), slice(6, 9)):
        assert np.abs(decoded[part] - delta[part]).max() <= np.abs(delta[part]).max() / 127 * 0.5001 + 1e-30


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=9, max_size=9))
def test_a_float32_delta_arrives_to_the_bit(values: list[float]) -> None:
    delta = np.array(values, np.float32)
    form = Form("float32", (6, 3), 2)
    report, decoded = form.decode(wire.UPDATE, body_of(delta, form), 4)
    np.testing.assert_array_equal(decoded, delta)
    assert (report.version, report.samples, report.evaluated, report.ranges) == (4, 10, 5, (1.0, 2.0))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"loss": float("nan")}, Reason.NOT_FINITE),
        ({"training_loss": float("inf")}, Reason.NOT_FINITE),
        ({"ranges": (1.0, float("nan"))}, Reason.NOT_FINITE),
        ({"ranges": (1.0, -1.0)}, Reason.BOUNDS),
        ({"ranges": (1.0, 0.0)}, Reason.BOUNDS),
        ({"samples": 0}, Reason.BOUNDS),
        ({"samples": 1_000_001}, Reason.BOUNDS),
        ({"evaluated": 1_000_001}, Reason.BOUNDS),
        ({"accuracy": 1.5}, Reason.BOUNDS),
        ({"loss": -1.0}, Reason.BOUNDS),
        ({"version": 3}, Reason.VERSION),
    ],
)
def test_a_report_out_of_bounds_is_refused(fields: dict[str, float], reason: Reason) -> None:
    assert reason_of(body_of(np.ones(9), **fields)) == reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e7])
def test_a_delta_that_is_not_finite_or_absurd_is_refused(value: float) -> None:
    form = Form("float32", (6, 3), 2)
    delta = np.ones(9)
    delta[7] = value
    expected = Reason.BOUNDS if value == 1e7 else Reason.NOT_FINITE
    assert reason_of(body_of(delta, form), form=form) == expected


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 3e38])
def test_an_int8_scale_that_makes_the_delta_infinite_is_refused(scale: float) -> None:
    body = bytearray(body_of(np.ones(9)))
    struct.pack_into("<f", body, codec.REPORT_BYTES + 8, scale)
    assert reason_of(bytes(body)) == Reason.NOT_FINITE


@pytest.mark.parametrize(("offset", "value"), [(0, codec.FLOAT32), (0, 9), (1, 1), (1, 0), (2, 7)])
def test_a_body_of_another_codec_or_another_network_is_refused(offset: int, value: int) -> None:
    body = bytearray(body_of(np.ones(9)))
    body[offset] = value
    assert reason_of(bytes(body)) == Reason.SHAPE


@given(st.binary(max_size=120), st.sampled_from([wire.UPDATE, wire.EVALUATION]))
def test_no_bytes_whatever_break_the_decoder(body: bytes, kind: int) -> None:
    body = body.ljust(FORM.length(kind) - wire.TAG_BYTES, b"\x01")[: FORM.length(kind) - wire.TAG_BYTES]
    try:
        report, delta = FORM.decode(kind, body, 4)
    except Refusal:
        return
    assert np.isfinite(delta).all() and report.version == 4


@pytest.mark.parametrize(
    "topic",
    [
        "fedmote/other/update/attic/1/0",
        "fedmote/home",
        "fedmote/home/round",
        "fedmote/home/update/attic/1",
        "fedmote/home/update/attic/1/0/0",
        "fedmote/home/update/attic/01/0",
        "fedmote/home/update/attic/-1/0",
        "fedmote/home/update/attic/١/0",
        "fedmote/home/update/attic/99999999999/0",
        "fedmote/home/update/At tic/1/0",
        "fedmote/home/update/" + "a" * 33 + "/1/0",
        "fedmote/home/status/",
        "",
    ],
)
def test_topics_that_no_board_publishes_on_are_refused(topic: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_topic(FEDERATION, topic)
    assert refusal.value.reason is Reason.TOPIC


@given(st.binary(max_size=1100))
def test_no_payload_whatever_breaks_the_chunk_parser(payload: bytes) -> None:
    with pytest.raises(Refusal):
        protocol.parse_chunk(parse_topic(FEDERATION, "fedmote/home/update/attic/1/0"), payload)


def test_the_largest_manifest_fits_what_a_board_takes() -> None:
    most = 2**32 - 1
    largest = Manifest(
        "f" * 8, most, most, most, "evaluate", LAYOUT, most, "f" * 64, "float32", 1000, 1000,
        1.2345e-5, 1.2345e-5, 86_400_000,
    )  # fmt: skip
    message = manifest_message("f" * 32, "d" * 32, KEY, largest, 1000, most, 86_400_000)
    fields = json.loads(message.payload)
    assert len(message.payload) <= 1000 and (fields["protocol"], fields["counter"]) == (2, most)
    assert 0 <= fields["time"] < 24 * 3600 and list(fields)[-1] == "tag" and message.retained
    assert Manifest.from_json(largest.to_json(), "f" * 8) == largest


def test_a_sealed_message_is_for_one_purpose_device_and_federation_and_cannot_be_changed() -> None:
    message = receipt_message("home", "attic", KEY, 3, 7, Reason.SHAPE)
    payload = message.payload
    assert json.loads(payload)["reason"] == "shape"
    assert wire.is_sealed(KEY, wire.RECEIPT_SEAL, "home", "attic", payload)
    for key, purpose, federation, device in (
        (bytes(32), wire.RECEIPT_SEAL, "home", "attic"),
        (KEY, wire.MANIFEST_SEAL, "home", "attic"),
        (KEY, wire.RECEIPT_SEAL, "work", "attic"),
        (KEY, wire.RECEIPT_SEAL, "home", "cellar"),
    ):
        assert not wire.is_sealed(key, purpose, federation, device, payload)
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 1
        assert not wire.is_sealed(KEY, wire.RECEIPT_SEAL, "home", "attic", bytes(changed))


def test_telemetry_is_reduced_to_known_keys_of_bounded_types() -> None:
    line = telemetry.parse_telemetry(
        b'{"device":"attic","time_ms":12,"label":"\\u001b[2Jrow","probabilities":[0.5,0.25],"secret":{"a":1},"loss":null}'
    )
    assert line == {"time_ms": 12, "label": "?[2Jrow", "probabilities": [0.5, 0.25]}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"[]", b"\xff", b"[" * 1000, b'{"time_ms":NaN}', b'{"time_ms":1e999}', b'{"time_ms":"1"}',
        b'{"time_ms":true}',
        b'{"time_ms":' + b"9" * 900 + b"}", b'{"label":["a"]}', b'{"probabilities":[' + b"0," * 200 + b"0]}",
        b'{"labels":[1]}',
    ],
)  # fmt: skip
def test_malformed_telemetry_is_refused(payload: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        telemetry.parse_telemetry(payload)
    assert refusal.value.reason is Reason.MALFORMED


def test_telemetry_of_more_than_a_thousand_bytes_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        telemetry.parse_telemetry(b'{"label":"' + b"x" * 1000 + b'"}')
    assert refusal.value.reason is Reason.OVERSIZE


@pytest.mark.parametrize("payload", [b"{}", b'{"state":"sleeping"}', b'{"state":"online","role":"king"}'])
def test_a_status_that_says_nothing_known_is_refused(payload: bytes) -> None:
    with pytest.raises(Refusal):
        telemetry.parse_status(payload)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mqtt://broker", BrokerAddress("broker", 1883)),
        ("broker:1884", BrokerAddress("broker", 1884)),
        ("mqtts://broker", BrokerAddress("broker", 8883, tls=True)),
        ("mqtts://me:p%40ss@broker:1", BrokerAddress("broker", 1, True, "me", "p@ss")),
        ("mqtt://[::1]:1885/", BrokerAddress("::1", 1885)),
    ],
)
def test_a_broker_address_is_read_and_written_alike(text: str, address: BrokerAddress) -> None:
    assert BrokerAddress.parse(text) == address
    assert BrokerAddress.parse(address.url) == address


def test_a_password_is_never_shown() -> None:
    address = BrokerAddress.parse("mqtts://me:geheim@broker")
    assert "geheim" not in f"{address} {address!r}" and "geheim" in address.url


@pytest.mark.parametrize(
    "text", ["", "http://broker", "mqtt://", "mqtt://b:geheim", "mqtt://u:geheim@b:70000", "mqtt://b/path",
             "mqtt://[b", "mqtt://b:0"]
)  # fmt: skip
def test_what_is_not_a_broker_address_is_explained_without_its_secrets(text: str) -> None:
    with pytest.raises(FedmoteError, match="mqtt://host:port") as error:
        BrokerAddress.parse(text)
    assert "geheim" not in str(error.value)
