"""Whole rounds over LoRaWAN: boards' own code, an air that loses frames, the bridge, the aggregator, a real
broker."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chirpstack_stand_in import APPLICATION, REGION, ChirpStack, Radio
from federation_boards import FEDERATION, Home

from fedmote.bridges.chirpstack.bridge import Bridge
from fedmote.bridges.chirpstack.service import serve as serve_bridge
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.events import Refused
from fedmote.federation.plan import Plan
from fedmote.federation.service import serve
from mote import airtime, member, port
from mote.links.lorawan import LorawanLink

sys.path.append(str(Path(__file__).parents[1] / "device"))
import learning
import updating

PATIENCE_S = 40
NAMES = ("attic", "cellar")
EUIS = ("0101010101010101", "0202020202020202")


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


class Ticks:
    """The boards' clock, which stands until it is set."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def plan(codec: str, rounds: int = 1) -> Plan:
    learner = learning.local().learner
    return Plan(
        learner.layout, tuple(learner.sizes), len(learner.ranges), codec, batch=8, rate=0.1, rounds=rounds,
        deadline_s=24 * 3600,
    )  # fmt: skip


def members(home: Home, broker: EmbeddedBroker) -> list[member.Member]:
    """Return a board for every name of the federation, with a drive of its own."""
    drives = [Path(f"{home.path}-{name}") for name in home.names]
    for drive in drives:
        drive.mkdir()
    return [
        member.Member(
            {
                "FEDERATION": FEDERATION,
                "DEVICE": name,
                "KEY": home.boards[name].key.hex(),
                "BROKER": f"mqtt://127.0.0.1:{broker.address.port}",
                "SEED": number + 1,
            },
            learning.local(seed=number + 1),
            updating.starter.Journal(f"{drive}/"),
        )
        for number, (name, drive) in enumerate(zip(home.names, drives, strict=True))
    ]


def turn(board: member.Member, now: int) -> bool:
    """One turn of a board's loop; returns whether it works."""
    board.poll(now)
    busy = bool(board.step(now))
    board.send()
    return busy


def over_mqtt(path: Path, plan: Plan, broker: EmbeddedBroker) -> Home:
    """Run a federation of boards on Wi-Fi to its end."""
    home = Home(path, plan, NAMES)
    boards = members(home, broker)

    async def scene() -> None:
        end = time.monotonic() + PATIENCE_S
        while not home.aggregator.finished:
            assert time.monotonic() < end
            busy = [turn(board, port.ticks_ms()) for board in boards]
            if not any(busy):
                await asyncio.sleep(0.005)
            await asyncio.sleep(0)

    async def play() -> None:
        await asyncio.gather(serve(home.aggregator, broker.address, asyncio.Event()), scene())

    asyncio.run(play())
    return home


class Countryside:
    """Boards on LoRaWAN, a network server, a bridge and an aggregator."""

    def __init__(
        self,
        path: Path,
        plan: Plan,
        broker: EmbeddedBroker,
        monkeypatch: pytest.MonkeyPatch,
        deployed: bool,
        **air: Any,
    ) -> None:
        self.home = Home(path / "aggregator.db", plan, NAMES)
        self.initial = self.home.store.model().body
        self._broker, self._path = broker, path
        self.ticks = Ticks()
        monkeypatch.setattr(port, "ticks_ms", self.ticks)
        self.chirpstack = ChirpStack(broker.address, **air)
        self.radios = [self.chirpstack.radio(eui) for eui in EUIS]
        radios = iter(self.radios)
        self.links: list[LorawanLink] = []

        def link(*_: object) -> LorawanLink:
            radio: Radio = next(radios)
            if deployed:  # with the model that the federation starts from
                (path / radio.eui).write_bytes(self.initial)
            self.links.append(LorawanLink(radio, 0, 1.0, 0, path=str(path / radio.eui)))
            return self.links[-1]

        monkeypatch.setattr(member, "_link", link)
        self.new_bridge()
        self.boards = members(self.home, broker)

    def new_bridge(self) -> None:
        """The bridge ends; what it knew is in its file."""
        self.bridge = Bridge(APPLICATION, FEDERATION, dict(zip(EUIS, NAMES, strict=True)), REGION, 0)

    def run(self, until: Callable[[], bool]) -> None:
        async def play() -> None:
            stop = asyncio.Event()
            state = self._path / "bridge.json"
            services = asyncio.gather(
                serve(self.home.aggregator, self._broker.address, stop),
                serve_bridge(self.bridge, self._broker.address, self._broker.address, state, stop),
            )
            await self._scene(until, services)
            stop.set()
            await services

        with self.chirpstack:
            asyncio.run(play())

    async def _scene(self, until: Callable[[], bool], services: asyncio.Future[Any]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < end, "waited in vain"
            if services.done():
                services.result()
            sent = sum(len(radio.sent) for radio in self.radios)
            busy = [turn(board, self.ticks.now) for board in self.boards]
            if sum(len(radio.sent) for radio in self.radios) > sent:
                await asyncio.sleep(0.02)  # the air is slow, the network server and the bridge are not
            elif not any(busy):
                self.ticks.now += 1000
            await asyncio.sleep(0)


def test_a_round_over_lorawan_gives_the_model_that_mqtt_gives(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedBroker() as other:
        expected = over_mqtt(tmp_path / "mqtt.db", plan("int8"), other)
    country = Countryside(tmp_path, plan("int8"), broker, monkeypatch, False, loss_up=0.3, loss_down=0.3)
    country.run(lambda: country.home.store.model().version == 1)
    assert country.home.store.model().body == expected.store.model().body
    assert not country.home.told(Refused)


def test_a_bridge_that_is_started_again_goes_on_with_the_round(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    country = Countryside(tmp_path, plan("int8"), broker, monkeypatch, True, loss_up=0.2)
    store = country.home.store
    country.run(lambda: any(len(radio.sent) > 4 for radio in country.radios))
    assert not store.accepted(1)
    country.new_bridge()
    country.run(lambda: any(store.has_accepted(1, name) for name in NAMES))
    country.new_bridge()
    country.run(lambda: store.model().version == 1)
    assert [one.device for one in store.accepted(1)] == list(NAMES)


def test_a_federation_of_steps_needs_few_downlinks_and_ends_with_one_model_everywhere(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    country = Countryside(tmp_path, plan("ternary", 3), broker, monkeypatch, True, loss_up=0.4, loss_down=0.2)
    home = country.home
    country.radios[0].rate = 0
    country.run(lambda: home.aggregator.finished)
    assert home.store.model().version == 3
    for board in country.boards:
        assert bytes(board.local.base) == home.store.model().body
    # Five manifests (the last says that there is nothing to do) of 4 frames at data rate 0 and of 1 at data
    # rate 5, four receipts for each board, and what was lost.
    assert country.chirpstack.downlinks < 2 * (5 * 4 + 5 * 1 + 2 * 4)
    assert all(len(home.store.accepted(number)) == 2 for number in (1, 2, 3, 4))
    total = country.bridge.boards[EUIS[0]].account.total
    unheard = len(country.radios[0].sent) - total.up_frames - total.lost_frames
    assert total.lost_frames > 0 and 0 <= unheard < 10  # the last ones, which no later counter tells of
    air_ms = sum(airtime.airtime_us(length, 12, 125000) for length in country.radios[0].sent) / 1000
    assert country.links[0].pace.total_ms >= air_ms
    assert abs(total.up_airtime_ms - air_ms) < 0.3 * air_ms  # the lost ones are taken to be like others
