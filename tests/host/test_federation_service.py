"""What a user can rely on: over a real broker, nothing is lost while
the aggregator is away, and nothing counts twice."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from federation_boards import FEDERATION, PLAN, Home, Message

from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.protocol import filters
from fedmote.federation.service import serve
from mote import wire

PATIENCE_S = 15
DELTA = np.linspace(-0.1, 0.1, sum(PLAN.sizes), dtype=np.float32)
BROKER_SCRIPT = """
import time
from fedmote.federation.broker import EmbeddedBroker

with EmbeddedBroker() as broker:
    print(broker.address.port, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


class Device:
    """A client of the broker that keeps what it receives. Messages are
    acknowledged by the broker before ``publish`` returns."""

    def __init__(self, address: BrokerAddress, *topics: str) -> None:
        self.received: dict[str, list[bytes]] = {}
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _, __, m: self.received.setdefault(m.topic, []).append(m.payload)
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        for topic in topics:
            self._client.subscribe(topic, 1)

    def publish(self, messages: list[Message], retained: bool = False) -> None:
        for topic, payload in messages:
            self._client.publish(topic, payload, 1, retained).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)


def served(home: Home, address: BrokerAddress, scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Serve a home's aggregator while ``scene`` plays."""

    async def play() -> None:
        stop = asyncio.Event()
        service = asyncio.create_task(serve(home.aggregator, address, stop))
        acted = asyncio.create_task(scene())
        await asyncio.wait([service, acted], return_when=asyncio.FIRST_COMPLETED)
        if not service.done():
            await acted
            stop.set()
        elif service.exception():
            acted.cancel()
        await service
        await acted

    asyncio.run(play())


def manifests(device: Device) -> list[dict]:
    """Return what attic was told, in order."""
    told = device.received.get(wire.topic(FEDERATION, "round", "attic"), [])
    return [json.loads(payload) for payload in told]


def receipts(device: Device, name: str) -> list[dict]:
    return [
        json.loads(payload) for payload in device.received.get(wire.topic(FEDERATION, "command", name), [])
    ]


def test_a_federation_runs_from_the_first_status_to_rest(tmp_path: Path, broker: EmbeddedBroker) -> None:
    home = Home(tmp_path / "aggregator.db")
    device = Device(
        broker.address, wire.topic(FEDERATION, "round", "attic"), wire.topic(FEDERATION, "command", "+")
    )

    async def scene() -> None:
        device.publish([board.status() for board in home.boards.values()], retained=True)
        for number in (1, 2):
            await until(lambda wanted=number: manifests(device) and manifests(device)[-1]["round"] == wanted)
            for board in home.boards.values():
                device.publish(board.update(DELTA, number=number, version=number - 1))
        await until(lambda: manifests(device)[-1]["phase"] == "evaluate")
        for board in home.boards.values():
            device.publish(board.evaluation(number=3, version=2))
        await until(lambda: manifests(device)[-1]["phase"] == "idle")

    served(home, broker.address, scene)
    device.close()
    assert home.aggregator.finished
    expected = home.store.model(0).values + 2 * DELTA
    np.testing.assert_allclose(home.store.model().values, expected, atol=1e-6)
    assert [r["receipt"] for r in receipts(device, "attic")] == [1, 2, 3]


def test_what_is_sent_while_the_aggregator_is_away_is_delivered_and_counted_once(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    home = Home(tmp_path / "aggregator.db")
    attic, cellar = home.boards.values()
    device = Device(broker.address, wire.topic(FEDERATION, "command", "+"))

    async def half() -> None:
        device.publish([board.status() for board in home.boards.values()], retained=True)
        await until(lambda: home.aggregator.manifest)
        device.publish(attic.update(DELTA)[:2])
        await until(lambda: home.store.partial("attic"))

    served(home, broker.address, half)
    device.publish(attic.update(DELTA)[1:])  # nobody serves; one piece comes again
    device.publish(cellar.update(3 * DELTA))
    home.kill_and_start()

    async def rest() -> None:
        await until(lambda: home.store.model().version == 1)
        await until(lambda: receipts(device, "attic") and receipts(device, "cellar"))

    served(home, broker.address, rest)
    device.close()
    assert [one.device for one in home.store.accepted(1)] == ["attic", "cellar"]
    np.testing.assert_allclose(home.store.model(1).values, home.store.model(0).values + 2 * DELTA, atol=1e-6)


def test_messages_whose_transaction_was_lost_come_again(tmp_path: Path, broker: EmbeddedBroker) -> None:
    home = Home(tmp_path / "aggregator.db")
    attic, cellar = home.boards.values()
    device = Device(broker.address)

    async def begin() -> None:
        device.publish([board.status() for board in home.boards.values()], retained=True)
        await until(lambda: home.aggregator.manifest)

    served(home, broker.address, begin)

    def fail(*_: object) -> None:
        raise MemoryError

    home.store.accept = fail  # type: ignore[method-assign]

    async def crash() -> None:
        device.publish(attic.update(DELTA))
        device.publish(cellar.update(DELTA))
        await asyncio.sleep(PATIENCE_S)

    with pytest.raises(MemoryError):
        served(home, broker.address, crash)
    home.kill_and_start()

    async def again() -> None:
        await until(lambda: home.store.model().version == 1)

    served(home, broker.address, again)
    device.close()
    np.testing.assert_allclose(home.store.model(1).values, home.store.model(0).values + DELTA, atol=1e-6)


def test_the_service_comes_back_when_the_broker_does(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    first = EmbeddedBroker()
    first.__enter__()
    address = first.address

    async def scene() -> None:
        device = Device(address)
        device.publish([board.status() for board in home.boards.values()], retained=True)
        await until(lambda: home.aggregator.manifest)
        device.close()
        first.__exit__(None, None, None)
        await asyncio.sleep(0.5)
        with EmbeddedBroker(address.port):
            # The new broker retains nothing, so the aggregator has to tell it all again.
            device = Device(
                address, wire.topic(FEDERATION, "round", "attic"), wire.topic(FEDERATION, "model", "0", "+")
            )
            await until(lambda: manifests(device) and len(device.received) == 4)
            assert manifests(device)[-1]["round"] == 1
            device.publish(home.boards["attic"].update(DELTA))
            await until(lambda: home.store.has_accepted(1, "attic"))
            device.close()

    served(home, address, scene)


def test_a_flood_of_telemetry_does_not_hold_up_an_update(tmp_path: Path, broker: EmbeddedBroker) -> None:
    home = Home(tmp_path / "aggregator.db")
    device = Device(broker.address)

    async def scene() -> None:
        device.publish([board.status() for board in home.boards.values()], retained=True)
        await until(lambda: home.aggregator.manifest)
        line = b'{"device":"attic","time_ms":1}'
        for _ in range(3000):
            device._client.publish(wire.topic(FEDERATION, "telemetry", "attic"), line, 0)
        device.publish(home.boards["attic"].update(DELTA))
        await until(lambda: home.store.has_accepted(1, "attic"))

    served(home, broker.address, scene)
    device.close()


def test_an_update_of_more_pieces_than_topics_are_listed_arrives(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    plan = replace(PLAN, sizes=(300_000,), codec="int8")
    home = Home(tmp_path / "aggregator.db", plan)
    update = home.boards["attic"]
    update.sizes = plan.sizes
    assert [topic for topic, _ in filters(FEDERATION, plan.pieces)[0]][1] == "fedmote/home/update/+/+/+"

    async def scene() -> None:
        device = Device(broker.address)
        device.publish([board.status() for board in home.boards.values()], retained=True)
        await until(lambda: home.aggregator.manifest)
        messages = update.update(np.zeros(300_000, np.float32))
        assert len(messages) > 256
        for message in messages:
            device._client.publish(*message, 1)
        await until(lambda: home.store.has_accepted(1, "attic"))
        device.close()

    served(home, broker.address, scene)


def test_a_broker_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "aggregator.db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = BrokerAddress.parse(f"mqtt://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(FedmoteError, match=f"no broker answers at {address}.*--broker"):
            asyncio.run(serve(home.aggregator, address, asyncio.Event()))


@pytest.mark.parametrize("code", [4, 5])
def test_a_broker_that_refuses_our_credentials_is_named_without_the_password(
    tmp_path: Path, code: int
) -> None:
    home = Home(tmp_path / "aggregator.db")
    with socket.create_server(("127.0.0.1", 0)) as server:  # the embedded broker lets everybody in
        address = BrokerAddress("127.0.0.1", server.getsockname()[1], False, "me", "geheim")

        async def refuse() -> None:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(100)
                writer.write(bytes([0x20, 2, 0, code]))

            async with await asyncio.start_server(answer, sock=server.dup()):
                await serve(home.aggregator, address, asyncio.Event())

        with pytest.raises(FedmoteError, match="does not let us in") as error:
            asyncio.run(refuse())
    assert "geheim" not in str(error.value)


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with EmbeddedBroker() as broker:
        port = broker.address.port
        with pytest.raises(FedmoteError, match=rf"port {port} is taken.*--port"), EmbeddedBroker(port):
            pass


def test_the_embedded_broker_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", BROKER_SCRIPT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        socket.create_connection(("127.0.0.1", port)).close()
        os.kill(parent.pid, signal.SIGKILL)
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < end, "the broker is still there"
        time.sleep(0.05)
