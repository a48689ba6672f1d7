"""What a user can rely on: a real MicroPython board that is killed while it sends an update goes on with it
after its next start; it does not train a second time."""

import json
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from fedmote.boards.virtual import Fleet
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.protocol import Outgoing
from fedmote.federation.session import Overrides, Session, compile_model
from fedmote.fleet import LEARN, Assignment, lay_out
from fedmote.models.application import Application
from mote import wire

FEDERATION = "home"
DEVICE = "subject-01"
PATIENCE_S = 60


class Link:
    """The aggregator's link by hand, so that nothing is answered before the test wants it."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda *of: self.messages.put((of[2].topic, bytes(of[2].payload)))
        self._client.connect(broker.address.host, broker.address.port)
        for levels in (("status", "+"), ("update", "+", "+", "+"), ("telemetry", "+")):
            self._client.subscribe(wire.topic(FEDERATION, *levels), 1)
        self._client.loop_start()

    def publish(self, messages: list[Outgoing]) -> None:
        for one in messages:
            self._client.publish(one.topic, one.payload, 1, one.retained)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_killed_board_goes_on_with_its_update_and_does_not_train_again(tmp_path: Path) -> None:
    application = Application.load("watch")
    recording = next(one for one in application.recordings() if one.client == DEVICE)
    lines: list[dict[str, Any]] = []

    def on_line(_: str, line: bytes) -> None:
        if line.startswith(b"{"):
            lines.append(json.loads(line))

    def play(until: Callable[[str, bytes], Any], answered: bool) -> Any:
        """Pass messages on until one is what is wanted; updates only where they are to be answered."""
        end = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < end, lines[-3:]
            try:
                topic, payload = link.messages.get(timeout=0.1)
            except queue.Empty:
                link.publish(session.aggregator.tick())
                continue
            if answered or "/update/" not in topic:
                link.publish(session.aggregator.handle([(topic, payload)]))
            found = until(topic, payload)
            if found:
                return found

    with (
        EmbeddedBroker() as broker,
        Session(application, FEDERATION, tmp_path, Overrides(rounds=1, minimum=1)) as session,
        Fleet(tmp_path / "fleet", on_line=on_line) as fleet,
    ):
        key = session.store.provision(DEVICE)
        (board,) = lay_out(
            fleet, application, [Assignment(recording, LEARN)], federation=FEDERATION,
            broker=broker.address.url, key_of=lambda _: key, mote=compile_model(application), seed=1,
            replay_speed=8.0,
        )  # fmt: skip
        link = Link(broker)
        link.publish(session.aggregator.start())
        fleet.start(board)
        before = play(lambda topic, payload: "/update/" in topic and wire.Chunk(payload), answered=False)
        fleet.stop(board, kill=True)
        assert any(line.get("state") == "training" for line in lines)
        while not link.messages.empty():
            link.messages.get()
        lines.clear()

        fleet.start(board)
        play(lambda topic, payload: session.aggregator.finished, answered=True)
        end = time.monotonic() + PATIENCE_S
        while not any(line.get("version") is not None for line in lines):  # the model is live after all
            assert time.monotonic() < end, lines[-3:]
            time.sleep(0.05)
        link.close()
        (report,) = session.store.accepted(1)
        assert report.counter == before.counter
        assert not [line for line in lines if line.get("state") == "training" or "error" in line]
