"""What a user can rely on: real MicroPython boards learn over TLS, at any broker and at a mosquitto that lets
each of them do nothing but that."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from trusted_brokers import MOSQUITTO, House, mosquitto, tls_broker

from fedmote.boards.virtual import Fleet
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.service import serve
from fedmote.federation.session import STORE_NAME, Overrides, Session, compile_model
from fedmote.federation.store import Store
from fedmote.fleet import LEARN, Assignment, lay_out
from fedmote.models.application import Application

PATIENCE_S = 40
APPLICATION = Application.load("watch")
RECORDING = APPLICATION.recordings()[0]


def test_a_board_does_a_round_over_tls(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    with tls_broker(house.signed("broker", "127.0.0.1")) as address:
        trusted = replace(address, ca=house.ca_file)
        learn(tmp_path, provisioned(tmp_path), trusted, trusted)


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_board_does_a_round_at_a_mosquitto_that_allows_no_more_than_that(tmp_path: Path) -> None:
    key = provisioned(tmp_path)
    with mosquitto(tmp_path / "house", APPLICATION.name, {RECORDING.client: key}) as broker:
        entry = BrokerAddress(
            "127.0.0.1", broker.port, tls=True, ca=broker.ca
        )  # its user follows from its key
        learn(tmp_path, key, broker.role("aggregator"), entry)


def provisioned(folder: Path) -> bytes:
    with Store(folder / "state" / STORE_NAME) as store:
        return store.provision(RECORDING.client)


def learn(folder: Path, key: bytes, broker: BrokerAddress, at_the_board: BrokerAddress) -> None:
    """Let one virtual board train a round. broker: as the aggregator enters it."""
    lines: list[bytes] = []
    with (
        Fleet(folder / "fleet", on_line=lambda _, line: lines.append(line)) as fleet,
        Session(APPLICATION, APPLICATION.name, folder / "state", Overrides(1, 1, PATIENCE_S), 1) as session,
    ):
        (board,) = lay_out(
            fleet,
            APPLICATION,
            [Assignment(RECORDING, LEARN)],
            federation=APPLICATION.name,
            broker=at_the_board.url,
            ca=at_the_board.ca,
            key_of=lambda _: key,
            mote=compile_model(APPLICATION),
            seed=1,
            replay_speed=40.0,
        )
        fleet.start(board)

        async def play() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await serve(session.aggregator, broker, asyncio.Event())

        with contextlib.suppress(TimeoutError):
            asyncio.run(play())
        assert session.aggregator.finished, lines[-5:]
        assert session.store.model().version == 1
