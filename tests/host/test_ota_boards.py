"""What a user can rely on: real MicroPython boards are updated over a real broker; a release that does not
work is taken back; what is not signed for the board is refused."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from fedmote.boards import image
from fedmote.boards.virtual import Fleet
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.offers import Offers
from fedmote.federation.protocol import Outgoing
from fedmote.federation.release import Release
from fedmote.federation.session import STORE_NAME, compile_model
from fedmote.fleet import LEARN, Assignment, lay_out
from fedmote.models.application import Application
from fedmote.models.compiler import initial_values
from mote import wire

APPLICATION = Application.load("watch")
NODE = "node.mpy" if image.native_arch() else "node.py"
FEDERATION = "home"
DEVICE = "subject-01"
PATIENCE_S = 60


@dataclass
class House:
    """A broker and one virtual board, which is switched on."""

    path: Path
    broker: EmbeddedBroker
    fleet: Fleet
    key: bytes
    lines: list[dict[str, Any]] = field(default_factory=list)

    def fedmote(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fedmote", "ota", *arguments]
        command += [
            "--federation",
            FEDERATION,
            "--state",
            str(self.path),
            "--broker",
            self.broker.address.url,
        ]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, timeout=2 * PATIENCE_S)

    def push(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.fedmote("push", "--board", "virtual", "--device", DEVICE, "--wait", *arguments)

    def publish(self, *messages: Outgoing) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect(self.broker.address.host, self.broker.address.port)
        client.loop_start()
        for one in messages:
            client.publish(one.topic, one.payload, 1, one.retained).wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()

    def wait(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait for a new line of telemetry and return it."""
        start, end = len(self.lines), time.monotonic() + PATIENCE_S
        while True:
            for line in self.lines[start:]:
                if wanted(line):
                    return line
            assert time.monotonic() < end, self.lines[-5:]
            time.sleep(0.02)

    def file(self, name: str) -> Path:
        return self.fleet.boards[0].folder / name


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    recording = next(one for one in APPLICATION.recordings() if one.client == DEVICE)
    lines: list[dict[str, Any]] = []
    started = threading.Event()

    def on_line(_: str, line: bytes) -> None:
        if line.startswith(b"{"):
            lines.append(json.loads(line))
            started.set()

    with EmbeddedBroker() as broker, Fleet(tmp_path / "fleet", on_line=on_line) as fleet:
        with Offers(tmp_path / STORE_NAME) as store:
            key = store.provision(DEVICE)
        lay_out(
            fleet,
            APPLICATION,
            [Assignment(recording, LEARN)],
            federation=FEDERATION,
            broker=broker.address.url,
            key_of=lambda _: key,
            mote=compile_model(APPLICATION),
            seed=1,
            replay_speed=4.0,
        )
        image.write(fleet.boards[0].folder)  # as a board has it: so little is left to fetch
        fleet.start(fleet.boards[0])
        assert started.wait(PATIENCE_S)
        yield House(tmp_path, broker, fleet, key, lines)


def folder_with(path: Path, **files: str) -> str:
    path.mkdir()
    for name, content in files.items():
        (path / f"{name}.py").write_text(content)
    return str(path)


def test_good_release_is_confirmed_and_a_broken_one_rolled_back(house: House) -> None:
    extra = folder_with(house.path / "good", lamp="COLOUR = 'green'\n")
    model = house.path / "better.mote"
    model.write_bytes(compile_model(APPLICATION, initial_values(APPLICATION.layers, seed=5)))
    done = house.push("--files", extra, "--model", str(model), "--json")
    assert done.returncode == 0, done.stdout + done.stderr + str(house.lines[-3:])
    told = json.loads(done.stdout)
    assert told["devices"] == [{"device": DEVICE, "state": "confirmed", "detail": ""}]
    assert house.file("lamp.py").read_text() == "COLOUR = 'green'\n"
    assert house.file("model.mote").read_bytes() == model.read_bytes()
    node = house.file(NODE).read_bytes()
    assert sorted(path.name for path in house.file("ota").iterdir()) == [
        "journal.0",
        "journal.1",
        "new",
        "old",
    ]

    broken = folder_with(house.path / "broken", node="raise ValueError('no lamp')\n", lamp="COLOUR = 'red'\n")
    done = house.push("--files", broken)
    assert done.returncode == 1 and "not updated" in done.stderr, done.stdout + done.stderr
    assert "rolled back" in done.stdout and "no lamp" in done.stdout
    line = house.wait(lambda line: "update" in line)
    assert line["update"].startswith("rolled back") and line["update"].endswith("no lamp")
    assert house.file(NODE).read_bytes() == node
    assert house.file("lamp.py").read_text() == "COLOUR = 'green'\n"
    assert house.file("model.mote").read_bytes() == model.read_bytes()

    told = json.loads(house.fedmote("status", "--json").stdout)
    assert told[0]["state"] == "rolled back" and told[0]["name"] == "watch"
    assert house.fedmote("clear", "--all").stdout == f"withdrawn from {DEVICE}\n"
    assert json.loads(house.fedmote("status", "--json").stdout) == []


def test_offer_that_is_not_signed_for_this_board_or_was_sent_before_is_refused(house: House) -> None:
    release = Release({"node.py": b"raise SystemExit"}, "watch", "1", "micropython")
    genuine = release.offer(FEDERATION, DEVICE, house.key, 1)
    changed = genuine.payload.replace(b'"counter":1', b'"counter":2')
    for offer in (
        release.offer(FEDERATION, DEVICE, bytes(wire.KEY_BYTES), 1),
        Outgoing(genuine.topic, changed, retained=True),
        Outgoing(genuine.topic, release.offer(FEDERATION, "subject-02", house.key, 1).payload, retained=True),
    ):
        house.publish(offer)
        line = house.wait(lambda line: "offer refused" in line.get("error", ""))
        assert "tag" in line["error"] and "update" not in line
    manifest = Release({"node.py": b"raise SystemEXIT"}, "watch", "1", "micropython")
    manifest.id = release.id
    house.publish(*manifest.messages(FEDERATION), release.offer(FEDERATION, DEVICE, house.key, 5))
    line = house.wait(lambda line: line.get("update", "").startswith("failed"))
    assert "SHA-256" in line["update"]
    house.publish(release.offer(FEDERATION, DEVICE, house.key, 4))
    line = house.wait(lambda line: "offer refused" in line.get("error", ""))
    assert "before the last one" in line["error"]
    assert b"SystemE" not in house.file(NODE).read_bytes()
