"""What a user can rely on: a broker that misbehaves, a disk that is full, two programs at once are named with
what to do, and nothing is half done."""

import asyncio
import logging
import socket
import sqlite3
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from federation_boards import FEDERATION, PLAN, Home
from scripted_broker import CONNECT, PUBLISH, SUBSCRIBE, UNAUTHORISED, answering, connack, scripted_broker

from fedmote.errors import FedmoteError
from fedmote.federation import link, schema
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.mqtt import Message
from fedmote.federation.protocol import Outgoing, filters
from fedmote.federation.service import serve
from fedmote.federation.session import Overrides, Session
from fedmote.federation.store import Store
from fedmote.federation.summary import summarise
from fedmote.models.application import Application
from mote import wire
from mote.model import Model

PATIENCE_S = 15


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "aggregator.db")
    yield home
    home.store.close()


# Brokers that misbehave


def test_a_broker_that_forbids_to_subscribe_is_named_with_the_topic(home: Home) -> None:
    with (
        scripted_broker(lambda kind, packet: answering(kind, packet, code=0x80)) as address,
        pytest.raises(FedmoteError, match=f"{address} forbids to subscribe to fedmote/home/status/"),
    ):
        asyncio.run(serve(home.aggregator, address, asyncio.Event()))


def test_a_server_that_never_answers_is_not_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_ANSWER_S", 0.2)
    with (
        scripted_broker(lambda kind, packet: b"") as address,
        pytest.raises(FedmoteError, match="does not answer as an MQTT broker: check --broker"),
    ):
        asyncio.run(serve(home.aggregator, address, asyncio.Event()))


def test_a_server_that_goes_on_in_another_language_is_named(home: Home) -> None:
    with (
        scripted_broker(lambda kind, packet: connack() + b"\0\0") as address,
        pytest.raises(FedmoteError, match="does not answer as an MQTT broker: check --broker"),
    ):
        asyncio.run(serve(home.aggregator, address, asyncio.Event()))


def test_a_broker_that_comes_back_is_joined_whatever_it_answers_at_first(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link, "_RECONNECT_S", (0.01, 0.02))
    greetings = iter([connack(), None, connack(UNAUTHORISED), None, connack()])

    def answer(kind: int, packet: bytes) -> bytes | None:
        if kind == PUBLISH:  # with it the broker goes down
            return None
        return next(greetings) if kind == CONNECT else answering(kind, packet)

    async def play(address: BrokerAddress) -> None:
        one = link.Link(address, "onlooker", [[("a", 1)]])
        await one.open()
        assert one.connected and one.renewed()
        one.publish([Outgoing("b", b"")])
        async with asyncio.timeout(PATIENCE_S):
            while not one.renewed():
                await asyncio.sleep(0.01)
        assert one.connected and next(greetings, "all were given") == "all were given"
        await one.close()

    with scripted_broker(answer) as address:
        asyncio.run(play(address))
    lost, refused = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "lost the connection" in lost.message and "not authorised" in refused.message


def test_access_rules_that_came_meanwhile_are_told_of_where_a_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(kind: int, packet: bytes) -> bytes:
        return connack(resumed=True) if kind == CONNECT else answering(kind, packet, code=0x80)

    async def play(address: BrokerAddress) -> None:
        one = link.Link(address, "onlooker", [[("a", 1)]])
        await one.open()
        async with asyncio.timeout(PATIENCE_S):
            while not told():
                await asyncio.sleep(0.01)
        assert one.connected  # it has the subscriptions that it had
        await one.close()

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if is_warning(record)]

    def is_warning(record: logging.LogRecord) -> bool:
        return record.name.startswith("fedmote") and record.levelno >= logging.WARNING

    with scripted_broker(answer) as address:
        asyncio.run(play(address))
        assert told() == [f"{address} forbids to subscribe to a: check the broker's access rules"]


def test_a_user_without_a_password_is_named_to_the_broker() -> None:
    greeted: list[bytes] = []

    def answer(kind: int, packet: bytes) -> bytes:
        if kind == CONNECT:
            greeted.append(packet)
        return answering(kind, packet)

    async def play(address: BrokerAddress) -> None:
        one = link.Link(replace(address, username="attic"), "us", [[("a", 1)]])
        await one.open()
        await one.close()

    with scripted_broker(answer) as address:
        asyncio.run(play(address))
    assert greeted == [b"\0\4MQTT\4\x80\0\x1e\0\2us\0\5attic"]


def test_a_server_that_speaks_no_tls_is_named(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = BrokerAddress("127.0.0.1", server.getsockname()[1], tls=True)
        with pytest.raises(FedmoteError, match=r"does not speak TLS as we do .*mqtt://"):
            asyncio.run(serve(home.aggregator, address, asyncio.Event()))


def test_a_topic_that_is_no_text_is_refused_and_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_FLUSH_S", 0.1)  # the script acknowledges nothing
    topic = b"fedmote/home/status/\xff\xfe"
    message = bytes([PUBLISH << 4, 2 + len(topic) + 2]) + struct.pack(">H", len(topic)) + topic + b"{}"

    async def play(address: BrokerAddress) -> None:
        stop = asyncio.Event()
        service = asyncio.create_task(serve(home.aggregator, address, stop))
        async with asyncio.timeout(PATIENCE_S):
            while not home.refused():
                await asyncio.sleep(0.02)
        stop.set()
        await service

    with scripted_broker(
        lambda kind, packet: answering(kind, packet) + (message if kind == SUBSCRIBE else b"")
    ) as address:
        asyncio.run(play(address))
    assert home.refused().keys() == {("topic", "")}


def test_a_flood_of_telemetry_is_let_go_while_a_status_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_WAITING_LIMIT", 10)

    async def play(address: BrokerAddress) -> list[Message]:
        one = link.Link(address, "onlooker", filters(FEDERATION, 1))
        await one.open()
        device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        device.connect(address.host, address.port)
        device.loop_start()
        telemetry = wire.topic(FEDERATION, "telemetry", "attic"), b"{}"
        for _ in range(20):
            device.publish(*telemetry, 0)
        async with asyncio.timeout(PATIENCE_S):
            while len(one._queue) <= 10:
                await asyncio.sleep(0.02)
        for _ in range(500):
            device.publish(*telemetry, 0)
        sent = device.publish(wire.topic(FEDERATION, "status", "attic"), b"{}", 1)
        await asyncio.to_thread(sent.wait_for_publish, PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while not any(item.qos for item in one._queue):
                await asyncio.sleep(0.02)
        arrived = await one.receive(1000, 0.2)
        device.disconnect()
        device.loop_stop()
        await one.close()
        return arrived

    with EmbeddedBroker() as broker:
        arrived = asyncio.run(play(broker.address))
    assert len(arrived) < 500 and [item.topic for item in arrived if item.qos] == [
        "fedmote/home/status/attic"
    ]


def test_the_embedded_broker_has_an_address_only_while_it_runs() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(RuntimeError):
        _ = broker.address
    with broker:
        assert broker.address.host == "127.0.0.1"
    with pytest.raises(RuntimeError):
        _ = broker.address


@pytest.mark.parametrize("listen", ["0.0.0.0", "127.0.0.1", "127.0.0.2"])
def test_the_embedded_broker_is_reached_wherever_it_listens(listen: str) -> None:
    if sys.platform != "linux" and listen == "127.0.0.2":
        pytest.skip("a second loopback address has to be set up here")
    with EmbeddedBroker(listen=listen) as broker:
        socket.create_connection((broker.address.host, broker.address.port)).close()


@pytest.mark.parametrize("listen", ["localhost", "::1", "203.0.113.1", ""])
def test_the_embedded_broker_listens_nowhere_else_than_on_this_machine(listen: str) -> None:
    with (
        pytest.raises(FedmoteError, match=f"--listen '{listen}' is no IPv4 address of this machine"),
        EmbeddedBroker(listen=listen),
    ):
        pass


# Stores that fail


def test_a_full_disk_ends_the_service_with_what_to_do_and_loses_nothing(home: Home) -> None:
    home.begin()
    connection = home.store._connection
    connection.execute("VACUUM")
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")

    async def play(address: BrokerAddress) -> None:
        device = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        device.connect(address.host, address.port)
        device.loop_start()
        service = asyncio.create_task(serve(home.aggregator, address, asyncio.Event()))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not service.done():
                    for message in home.boards["attic"].update(np.zeros(sum(PLAN.sizes), np.float32)):
                        device.publish(*message, 1)
                    await asyncio.sleep(0.05)
            await service
        finally:
            device.disconnect()
            device.loop_stop()

    with (
        EmbeddedBroker() as broker,
        pytest.raises(FedmoteError, match=r"cannot be written .*full.*make room"),
    ):
        asyncio.run(play(broker.address))
    assert not home.store.accepted(1)
    home.kill_and_start()  # there is room again
    home.aggregator.handle(home.boards["attic"].update(np.zeros(sum(PLAN.sizes), np.float32)))
    assert len(home.store.accepted(1)) == 1


def test_two_programs_that_open_an_old_store_at_once_bring_it_up_to_date_once(tmp_path: Path) -> None:
    path = tmp_path / "aggregator.db"

    class Slower(sqlite3.Connection):
        """Another program is faster each time."""

        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql == "BEGIN EXCLUSIVE":
                Store(path).close()
            return super().execute(sql, *values)

    connection = sqlite3.connect(path, isolation_level=None, factory=Slower)
    schema.migrate(connection, str(path))
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 1
    connection.close()


def test_an_old_store_on_a_full_disk_is_brought_up_to_date_when_there_is_room(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "aggregator.db", isolation_level=None)
    connection.execute("CREATE TABLE filler (x)")
    connection.execute("PRAGMA max_page_count = 6")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        schema.migrate(connection, "aggregator.db")
    assert not connection.in_transaction
    connection.execute("PRAGMA max_page_count = 100000")
    schema.migrate(connection, "aggregator.db")
    assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 1
    connection.close()


def test_a_session_that_cannot_have_the_store_leaves_it_to_the_other(tmp_path: Path) -> None:
    application = Application.load("watch")
    with Session(application, "home", tmp_path, Overrides()):
        with pytest.raises(FedmoteError, match="another aggregator is at work"):
            Session(application, "home", tmp_path, Overrides())
        with pytest.raises(FedmoteError, match="another aggregator is at work"):
            Session(application, "home", tmp_path, Overrides())
    with Session(application, "home", tmp_path, Overrides()) as session:
        assert session.store.model().version == 0


@pytest.mark.parametrize("name", ["", "My Home", "a/b", "#", "h" * 33])
def test_an_aggregator_of_a_federation_that_cannot_be_named_does_not_start(home: Home, name: str) -> None:
    with pytest.raises(FedmoteError, match="federation name"):
        Aggregator(home.store, name, PLAN)


# What is left when nobody answered


def test_a_model_that_no_board_has_measured_is_exported_with_the_ranges_of_the_last_that_was(
    tmp_path: Path,
) -> None:
    with Session(Application.load("watch"), "home", tmp_path, Overrides()) as session:
        values = session.store.model().values
        session.store.set_ranges(0, np.array([2.0, 3.0]))
        session.store.add_model(1, values + 1)
        assert session.store.newest_ranges() == (2.0, 3.0)
        files = session.export()
        weights = np.load(files.weights)
        assert sum(tensor.size for tensor in weights.values()) == values.size
        assert Model(bytearray(files.model.read_bytes()), "plain").layout == session.aggregator.plan.layout
        assert files.model.name == "model-v1.mote"


def test_a_round_in_which_no_board_could_measure_ends_and_leaves_the_ranges_as_they_are(home: Home) -> None:
    home.begin()
    for number in (1, 2):
        for board in home.boards.values():
            zeros = np.zeros(sum(PLAN.sizes), np.float32)
            home.aggregator.handle(board.update(zeros, number=number, version=number - 1))
    ranges = home.store.newest_ranges()
    for board in home.boards.values():
        home.aggregator.handle(board.evaluation(evaluated=0, number=3, version=2))
    assert home.aggregator.finished and home.store.model().ranges is None
    assert home.store.newest_ranges() == ranges is not None


def test_the_summary_tells_rounds_devices_and_refusals(home: Home) -> None:
    home.begin()
    home.board("never-there")
    for number in (1, 2):
        for board in home.boards.values():
            values = np.ones(sum(PLAN.sizes), np.float32)
            home.aggregator.handle(board.update(values, number=number, version=number - 1))
    for board in home.boards.values():
        home.aggregator.handle(board.evaluation(0.5, number=3, version=2))
    home.aggregator.handle([("fedmote/home/telemetry/stranger", b"{}")])
    summary = summarise(home.store)
    assert (summary["application"], summary["version"]) == ("tests", 2)
    assert [(row["phase"], row["updates"], row["ended"]) for row in summary["rounds"]] == [
        ("train", 2, True),
        ("train", 2, True),
        ("evaluate", 0, True),
    ]
    assert summary["rounds"][2]["learners"] == {"boards": 2, "samples": 40, "loss": 0.5, "accuracy": 0.5}
    assert summary["rounds"][2]["evaluators"] is None
    assert [(row["device"], row["updates"]) for row in summary["devices"]] == [
        ("attic", 2),
        ("cellar", 2),
        ("never-there", 0),
    ]
    assert summary["refusals"] == [{"reason": "unknown device", "device": "", "count": 1}]
