"""What the bridge does with single messages: it wastes no downlink, loses no body, and believes nothing that
it cannot read."""

import asyncio
import base64
import hashlib
import json
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from chirpstack_stand_in import APPLICATION, ChirpStack
from federation_boards import FEDERATION, LAYOUT, Board, Clock

from fedmote.bridges import compact
from fedmote.bridges.chirpstack import events, service
from fedmote.bridges.chirpstack.bridge import Bridge, Turn
from fedmote.bridges.chirpstack.models import Models, step_between
from fedmote.bridges.chirpstack.service import serve
from fedmote.cli.bridge import read_devices
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.protocol import Outgoing, model_messages
from fedmote.federation.steps import ternary_step
from mote import compact as board_compact
from mote import frames, wire

EUI = "0101010101010101"
KEY = bytes(range(32))
HERE = Path(__file__).parent
DAY_S = 24 * 3600


class Scene:
    """A bridge with one board, spoken to without brokers."""

    def __init__(self, budget: int = 10, rate: int = 5) -> None:
        self.clock = Clock()
        self.bridge = Bridge(APPLICATION, FEDERATION, {EUI: "attic"}, budget=budget, clock=self.clock)
        self.board = Board("attic", KEY, "0011aabb")
        self.rate = rate
        self.counter = -1
        self.receiving = frames.Receiving()

    def up(self, data: bytes, **changes: Any) -> Turn:
        self.counter += 1
        event = {
            "deduplicationId": f"{self.counter}",
            "deviceInfo": {"devEui": EUI},
            "dr": self.rate,
            "fCnt": self.counter,
            "fPort": frames.PORT,
            "data": base64.b64encode(data).decode(),
            "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -90}],
            "txInfo": {
                "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}}
            },
        }
        return self.event("up", {**event, **changes})

    def event(self, kind: str, fields: dict[str, Any]) -> Turn:
        topic = f"application/{APPLICATION}/device/{EUI}/event/{kind}"
        return self.bridge.from_network(topic, json.dumps(fields).encode())

    def look(self, identity: int = 0, received: int = 0, manifest: int = 0, model: int = 0) -> Turn:
        return self.up(frames.Look(identity, received, 0, manifest, model, int(LAYOUT, 16)).frame())

    def sent(self, command: Outgoing) -> bytes:
        """A gateway sends the downlink; return its frame. ``after``: what that brings about."""
        fields = json.loads(command.payload)
        assert command.topic == f"application/{APPLICATION}/device/{EUI}/command/down"
        assert (fields["devEui"], fields["confirmed"], fields["fPort"]) == (EUI, False, frames.PORT)
        self.after = self.event(
            "txack", {"deviceInfo": {"devEui": EUI}, "queueItemId": fields["id"], "txInfo": {}}
        )
        return base64.b64decode(fields["data"])

    def down(self, turn: Turn) -> tuple[int, bytes] | None:
        """Let what goes down arrive; return the message, None without one."""
        while turn.network:
            (command,) = turn.network
            message = self.receiving.take(self.sent(command))
            if message is not None:
                return message
            turn = self.after
        return None

    def tell(self, messages: list[Outgoing]) -> Turn:
        turn = Turn()
        for message in messages:
            part = self.bridge.from_federation(message.topic, message.payload)
            turn.network += part.network
            turn.federation += part.federation
        return turn

    def manifest(self, body: bytes, topic: tuple[str, ...] = ("round",), **changes: Any) -> bytes:
        """Let the aggregator publish a model and a manifest; return the latter."""
        fields: dict[str, Any] = {
            "run": "0011aabb", "round": 1, "version": 0, "phase": "train", "layout": LAYOUT, "size":
            len(body), "sha256": hashlib.sha256(body).hexdigest(), "codec": "float32", "epochs": 1, "batch":
            8, "rate": 0.05, "decay": 0.001, "deadline_ms": 60000, **changes, "tag": "a7" * 32,
        }  # fmt: skip
        text = json.dumps({"protocol": wire.PROTOCOL, **fields}, separators=(",", ":")).encode()
        self.tell(list(model_messages(FEDERATION, fields["version"], body)))
        self.last = self.tell([Outgoing(wire.topic(FEDERATION, *topic), text)])
        return text

    def upload(self, number: int = 1, counter: int = 1) -> list[Turn]:
        """The board sends an update; return what each of its frames brings about."""
        self.messages = self.board.update(np.ones(730), number=number, counter=counter)
        body = b"".join(payload[wire.HEADER_BYTES :] for _, payload in self.messages)
        self.sending = frames.Sending(wire.UPDATE, struct.pack(frames.UPLOAD, number, counter) + body, 222)
        return [self.up(self.sending.frame()) for _ in range(self.sending.count)]


def model(seed: int = 1) -> bytes:
    return np.random.default_rng(seed).standard_normal(730).astype("<f4").tobytes()


def receipt(counter: int = 1, result: str = "accepted") -> Outgoing:
    text = f'{{"receipt":1,"counter":{counter},"result":"{result}","tag":"{"0b" * 32}"}}'
    return Outgoing(wire.topic(FEDERATION, "command", "attic"), text.encode())


# Up


def test_an_update_is_published_as_a_board_on_wifi_would() -> None:
    scene = Scene()
    turns = scene.upload()
    assert not any(turn.federation for turn in turns[:-1])
    assert [(one.topic, one.payload, one.retained) for one in turns[-1].federation] == [
        (topic, payload, False) for topic, payload in scene.messages
    ]


def test_copies_of_a_frame_are_taken_once() -> None:
    scene = Scene()
    scene.upload()
    again = scene.up(b"\1\1\1\1abc", deduplicationId="0")
    assert not again.federation and not again.network
    assert scene.bridge.boards[EUI].account.total.up_frames == scene.sending.count


def test_a_board_that_goes_on_sending_gets_its_update_published_again_until_there_is_a_receipt() -> None:
    scene = Scene()
    scene.upload()
    assert len(scene.up(scene.sending.frame()).federation) == len(scene.messages)
    first = scene.tell([receipt()])
    kind, payload = scene.down(first) or (0, b"")
    assert (kind, board_compact.read(payload)) == (frames.RECEIPT, receipt().payload)
    scene.receiving = frames.Receiving()  # it was lost in the air
    again = scene.up(scene.sending.frame())
    assert not again.federation and scene.down(again) == (kind, payload)


def test_receipts_for_other_bodies_cost_no_downlink() -> None:
    scene = Scene()
    scene.upload(counter=5)
    assert not scene.tell([receipt(counter=4)]).network
    assert scene.tell([receipt(5, "refused")]).network


def test_a_look_becomes_a_status_and_silence_too() -> None:
    scene = Scene()
    scene.manifest(model())
    (status,) = scene.look(model=frames.sum_of(model())).federation
    assert (status.topic, status.retained) == (wire.topic(FEDERATION, "status", "attic"), True)
    expected = {
        "state": "online", "role": "learn", "layout": LAYOUT, "protocol": 2, "rssi": -90, "version": 0
    }  # fmt: skip
    assert json.loads(status.payload) == expected
    assert not scene.look(model=frames.sum_of(model())).federation
    assert not scene.bridge.tick().federation
    scene.clock.now += 2 * DAY_S
    (status,) = scene.bridge.tick().federation
    assert json.loads(status.payload) == {"state": "offline"}
    assert len(scene.look(model=frames.sum_of(model())).federation) == 1


# Down


@pytest.mark.parametrize("topic", [("round",), ("round", "attic")])
@pytest.mark.parametrize("rate", [0, 5])
def test_a_manifest_arrives_byte_for_byte_and_once(topic: tuple[str, ...], rate: int) -> None:
    scene = Scene(rate=rate)
    text = scene.manifest(model(), topic)
    assert not scene.last.network  # nobody knows what the board has
    kind, payload = scene.down(scene.look(model=frames.sum_of(model()))) or (0, b"")
    length = struct.unpack_from("<H", payload)[0]
    assert kind == frames.MANIFEST and board_compact.read(payload[2:]) == text and length == len(payload) - 2
    assert not scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model())).network


def test_a_manifest_that_only_tells_another_time_is_not_sent_again() -> None:
    scene = Scene()
    text = scene.manifest(model())
    scene.down(scene.look(model=frames.sum_of(model())))
    scene.manifest(model(), deadline_ms=50000)
    assert not scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model())).network
    scene.manifest(model(), round=2)
    assert scene.last.network


def test_a_new_model_goes_down_with_the_manifest_in_steps_where_it_is_some() -> None:
    scene = Scene()
    old = np.frombuffer(model(), "<f4")
    new = old
    bodies = [model()]
    for _ in range(3):
        new, _ = ternary_step(new, np.random.default_rng(3).standard_normal(730) * 0.01)
        bodies.append(new.tobytes())
    for version, body in enumerate(bodies):
        scene.manifest(body, version=version, round=version + 1)
    kind, payload = scene.down(scene.look(model=frames.sum_of(bodies[0]))) or (0, b"")
    (length,) = struct.unpack_from("<H", payload)
    moved = bytearray(bodies[0])
    frames.apply_steps(moved, payload[2 + length + 4 :])
    assert kind == frames.MANIFEST and bytes(moved) == bodies[3]
    assert len(payload) - 2 - length < 4 + 3 * 40


def test_a_model_that_is_no_step_goes_down_whole() -> None:
    scene = Scene(budget=0)
    text = scene.manifest(model(2))
    turn = scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model(1)))
    assert scene.down(turn) == (frames.BODY, model(2))


def test_what_is_lost_going_down_is_made_good_after_the_next_look_and_no_more() -> None:
    scene = Scene(rate=0)
    scene.manifest(model())
    turn, count = scene.look(model=frames.sum_of(model())), 0
    while turn.network:  # all of it is lost
        count += 1
        frame = scene.sent(turn.network[0])
        turn = scene.after
    assert count == frame[3] == 3
    assert not scene.up(b"\1\1\1\7" + bytes(47)).network  # not a look: nothing is known
    turn = scene.look(model=frames.sum_of(model()))
    assert scene.down(turn) is not None


def test_the_budget_of_a_day_is_kept_with_some_left_for_receipts() -> None:
    scene = Scene(budget=8)
    scene.manifest(model())
    count = 0
    for _ in range(50):
        turn = scene.look(model=frames.sum_of(model()))
        while turn.network:
            scene.sent(turn.network[0])
            turn = scene.after
            count += 1
    assert count == 6
    scene.upload()
    assert scene.tell([receipt()]).network
    scene.clock.now += DAY_S
    assert scene.bridge.boards[EUI].account.downlinks_today(scene.clock.now) == 0


def test_a_downlink_too_long_for_the_network_is_cut_anew() -> None:
    scene = Scene()
    scene.manifest(model())
    (command,) = scene.look(model=frames.sum_of(model())).network
    assert len(base64.b64decode(json.loads(command.payload)["data"])) > 51
    turn = scene.event(
        "log",
        {"deviceInfo": {"devEui": EUI}, "level": "ERROR", "code": "DOWNLINK_PAYLOAD_SIZE", "description": ""},
    )
    (command,) = turn.network
    assert len(base64.b64decode(json.loads(command.payload)["data"])) <= 51
    scene.look(model=frames.sum_of(model()))  # at the same data rate
    assert len(scene.sent(command)) <= 51 and len(scene.sent(scene.after.network[0])) <= 51


def test_a_downlink_that_the_network_server_forgot_does_not_block_the_next() -> None:
    scene = Scene()
    scene.manifest(model())
    assert scene.look(model=frames.sum_of(model())).network
    turns = [scene.look(model=frames.sum_of(model())) for _ in range(6)]
    assert 1 <= sum(len(turn.network) for turn in turns) <= 2


def test_a_restarted_bridge_goes_on_with_what_it_knew() -> None:
    scene = Scene()
    text = scene.manifest(model())
    scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model()))
    state = json.loads(json.dumps(scene.bridge.state()))
    scene.bridge = Bridge(APPLICATION, FEDERATION, {EUI: "attic"}, clock=scene.clock)
    scene.bridge.restore(state)
    assert scene.bridge.boards[EUI].account.total.up_frames == 1
    assert len(scene.bridge.renewed().federation) == 1
    assert not scene.manifest(model()) or not scene.last.network
    assert not scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model())).network


def test_a_new_connection_to_the_federation_brings_what_has_no_receipt_again() -> None:
    scene = Scene()
    scene.manifest(model())
    scene.look()
    scene.upload()
    again = [(o.topic, bytes(o.payload)) for o in scene.bridge.renewed().federation if "/update/" in o.topic]
    assert again == scene.messages
    scene.tell([receipt()])
    assert not [o for o in scene.bridge.renewed().federation if "/update/" in o.topic]


def test_a_board_that_left_the_table_of_devices_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.manifest(model())
    scene.look()
    state, models = scene.bridge.state(), scene.bridge.models
    scene.bridge = Bridge(APPLICATION, FEDERATION, {"02" * 8: "cellar"}, clock=scene.clock)
    scene.bridge.restore(state)
    assert list(scene.bridge.boards) == ["02" * 8] and scene.bridge.models.bodies == models.bodies
    assert scene.look() == Turn() and scene.bridge.handled == 0
    assert "is not in the table of devices" in caplog.text


def bridged(bridge: Bridge, path: Path, until: Callable[[], bool] = lambda: False) -> None:
    """Serve a bridge, until something is so."""

    async def play(address: BrokerAddress) -> None:
        stop = asyncio.Event()
        service = asyncio.create_task(serve(bridge, address, address, path, stop))
        async with asyncio.timeout(15):
            while not until() and not service.done():
                await asyncio.sleep(0.01)
        stop.set()
        await service

    with EmbeddedBroker() as broker:
        asyncio.run(play(broker.address))


def test_the_state_is_kept_while_the_bridge_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_SAVE_S", 0.01)
    scene, path = Scene(), tmp_path / "state" / service.STATE_NAME
    scene.look()
    bridged(scene.bridge, path, path.exists)  # not only at its end
    assert service.load(path) == json.loads(json.dumps(scene.bridge.state()))


def test_a_state_that_cannot_be_read_or_written_ends_the_bridge_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / service.STATE_NAME
    path.write_text("{")
    with pytest.raises(FedmoteError, match=r"chirpstack\.json cannot be read .* move it away"):
        bridged(Scene().bridge, path)
    with pytest.raises(FedmoteError, match=r"cannot be written .* make room"):
        bridged(Scene().bridge, path / "below a file", lambda: True)
    assert path.read_text() == "{"


# What it is told


def test_lost_and_late_frames_are_told_by_their_counters() -> None:
    scene = Scene()
    for counter in (0, 1, 4, 3, 10):
        scene.up(b"x", fCnt=counter, deduplicationId=f"n{counter}")
    total = scene.bridge.boards[EUI].account.total
    assert (total.up_frames, total.lost_frames) == (5, 6)
    scene.up(b"x", fCnt=0, deduplicationId="joined again")
    assert scene.bridge.boards[EUI].account.total.lost_frames == 6


def test_nothing_that_it_cannot_read_changes_anything() -> None:
    scene = Scene()
    chance = random.Random(1)
    text = scene.manifest(model())
    scene.look(manifest=frames.sum_of(text), model=frames.sum_of(model()))
    before = scene.bridge.state()
    good = [(HERE / "chirpstack_up.json").read_bytes(), receipt().payload, text]
    for _ in range(2000):
        bad = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 6)):
            bad[chance.randrange(len(bad))] = chance.choice(b'\x00\xff0129{}[]:,"aez')
        scene.bridge.from_network(f"application/{APPLICATION}/device/{EUI}/event/up", bytes(bad))
        scene.bridge.from_network(f"application/{APPLICATION}/device/{EUI}/event/txack", bytes(bad))
        scene.bridge.from_federation(wire.topic(FEDERATION, "command", "attic"), bytes(bad))
        scene.bridge.from_federation(wire.topic(FEDERATION, "model", 0, 0), bytes(bad))
        scene.bridge.from_network(chance.choice(["", "x", "application/a/device/b/event/up"]), bytes(bad))
        frame = chance.randbytes(chance.randint(0, 60))
        if frames.look_of(frame) is None:
            scene.up(frame)
    for bad in (b"", b"[]", b"{}", b"[" * 5000, b'{"round":1}'):
        scene.tell([Outgoing(wire.topic(FEDERATION, "round"), bad)])
    after = scene.bridge.state()
    assert after["models"] == before["models"] and scene.bridge.boards[EUI].upload is None
    for name in ("manifest", "look", "online"):
        assert after["boards"][EUI][name] == before["boards"][EUI][name]


def test_the_events_of_chirpstack_s_documentation_are_read() -> None:
    text = (HERE / "chirpstack_up.json").read_bytes()
    event = events.parse(f"application/{APPLICATION}/device/{EUI}/event/up", text)
    radio = events.Radio(11, 125000, 1)
    identity = "3ac7e3c4-4401-4b8d-9386-a5c902f9202d"
    assert event == events.Uplink(EUI, identity, 1, 0, 1, b"\xaa", 1, -36, radio)


def test_every_flat_json_object_has_a_compact_form_or_is_refused() -> None:
    for text in (
        b'{"receipt":4,"counter":70000,"result":"refused","reason":"out of bounds"}',
        b'{"a":null,"b":[1,2],"c":-1.5,"d":"\\u00e4","e":"","f":true}',
    ):
        assert board_compact.read(compact.write(text)) == text
    for text in (b"[]", b'{"a": 1}', b"{", b'{"a":"' + b"x" * 300 + b'"}'):
        with pytest.raises(FedmoteError, match="no compact form"):
            compact.write(text)


def test_a_step_is_found_exactly_or_not_at_all() -> None:
    chance = np.random.default_rng(5)
    for scale in (1e-3, 1, 1e3):
        old = (chance.standard_normal(1000) * scale).astype(np.float32)
        new, _ = ternary_step(old, chance.standard_normal(1000) * 0.01)
        step = step_between(old.tobytes(), new.tobytes())
        assert step is not None and len(step) < 60
        other = new.copy()
        other[np.flatnonzero(new != old)[0]] += np.float32(0.01 * scale)
        assert step_between(old.tobytes(), other.tobytes()) is None
    assert step_between(model(1), model(2)) is None
    models = Models({0: old.tobytes(), 1: new.tobytes()})
    assert models.steps(frames.sum_of(old.tobytes()), 1) == step
    assert models.steps(123, 1) is None


# Command


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no device"),
        ('"01" = "attic"', "16 hexadecimal digits"),
        (f'"{EUI}" = "Attic"', "device id"),
        (f'"{EUI}" = "attic"\n"0202020202020202" = "attic"', "two devices are called 'attic'"),
        ("=", "devices.toml"),
    ],
)
def test_a_wrong_table_of_devices_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(text)
    with pytest.raises(FedmoteError, match=complaint):
        read_devices(path)


def test_the_command_bridges_until_it_is_stopped_and_tells_what_it_took(tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text(f'"{EUI}" = "attic"\n')
    with EmbeddedBroker() as broker, ChirpStack(broker.address) as chirpstack:
        url = f"mqtt://127.0.0.1:{broker.address.port}"
        heard: list[mqtt.MQTTMessage] = []
        listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        listener.on_message = lambda _, __, message: heard.append(message)
        listener.connect("127.0.0.1", broker.address.port)
        listener.subscribe(wire.topic(FEDERATION, "status", "+"), 1)
        listener.loop_start()
        arguments = ["--application", APPLICATION, "--devices", "devices.toml", "--chirpstack", url]
        arguments += ["--broker", url, "--federation", FEDERATION, "--state", "state", "--json"]
        with subprocess.Popen(
            [sys.executable, "-m", "fedmote", "bridge", "chirpstack", *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            radio = chirpstack.radio(EUI)
            end = time.monotonic() + 20
            while not heard:
                assert time.monotonic() < end
                chirpstack.uplink(radio, frames.PORT, frames.Look(0, 0, 1, 0, 0, 7).frame())
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=20)
        listener.disconnect()
        listener.loop_stop()
    assert process.returncode == 0
    (row,) = json.loads(out)
    assert row["device"] == "attic" and row["total"]["up_frames"] > 0 and row["today"]["up_airtime_ms"] > 60
    shown = subprocess.run(
        [sys.executable, "-m", "fedmote", "bridge", "status", "--state", "state"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.returncode == 0 and "attic" in shown.stdout and " s " in shown.stdout


def test_the_figures_of_the_documentation_are_those_of_the_command() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "fedmote", "bridge", "cost", "--app", "watch"], capture_output=True, text=True
    )
    assert shown.returncode == 0
    assert shown.stdout in (HERE.parents[1] / "docs" / "lorawan.md").read_text()
