"""A federation of real processes, ``fedmote serve`` and virtual boards, on a broker that lets everybody in:
an intruder too, until the rounds are done."""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fedmote.benchmarks.hostile import Intruder, Pair
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.mqtt import Connection, Message
from fedmote.federation.session import Overrides, plan_of
from fedmote.federation.store import STORE_NAME, Store
from fedmote.fleet import LEARN, assign
from fedmote.models.application import Application
from mote import wire

APPLICATION = "digits"
ROUNDS = 10

_INSIDERS = 5
_DEADLINE_S = 5  # as long as a false status can hold up a round
_PER_SECOND = 300  # messages, so few that the limits of each device's name stop none of the boards
_TURN_S = 0.05
_HEARD_LIMIT = 2000
_PATIENCE_S = 240.0
_SEED = 1


@dataclass(frozen=True)
class Siege:
    """What came of it. messages: hostile ones that the broker has taken. rounds: that ended with a model.
    updates: that count in these. accepted: bodies of anybody but the boards that count. refused: messages by
    reason. learners: boards that train. start, end: resident memory of ``fedmote serve`` in bytes.
    """

    messages: int
    seconds: float
    learners: int
    rounds: int
    updates: int
    accepted: int
    refused: dict[str, int]
    start_rss_bytes: int
    end_rss_bytes: int


class _Besieger:
    """The intruder's connection. It listens to what everybody may hear there."""

    def __init__(self, intruder: Intruder) -> None:
        self.intruder = intruder
        self.messages = 0
        self.rss: list[int] = []  # of the aggregator, some times a second
        self._heard: list[Pair] = []

    async def attack(self, address: BrokerAddress, serving: "subprocess.Popen[str]") -> None:
        """Send until the aggregator has ended. Raises FedmoteError where that takes too long."""
        connection = await Connection.connect(address, "intruder", 30, 10, self._hear, lambda _: None)
        topics = [self.intruder.topic("round", "+"), self.intruder.topic("update", "+", "+", "+")]
        await connection.subscribe([(topic, 0) for topic in topics])
        end = time.monotonic() + _PATIENCE_S
        while serving.poll() is None:
            if time.monotonic() > end:
                raise FedmoteError(f"the rounds are not done after {_PATIENCE_S:.0f} s under attack")
            for _ in range(round(_PER_SECOND * _TURN_S)):
                for topic, payload in self.intruder.messages()[1]:
                    if _may_publish(topic):
                        connection.publish(topic, payload)
                        self.messages += 1
            connection.flush()
            if self.intruder.round:  # it serves
                self.rss += _rss_of(serving.pid)
            await asyncio.sleep(_TURN_S)
        connection.close()

    def _hear(self, messages: list[Message]) -> None:
        for message in messages:
            branch, device = message.topic.split("/")[2:4]
            if branch == "update":
                if device not in self.intruder.victims or len(message.payload) <= wire.HEADER_BYTES:
                    continue
                self._heard.append((message.topic, message.payload))
                del self._heard[:-_HEARD_LIMIT]
                self.intruder.heard = self._heard
            elif message.payload[:1] == b"{":
                manifest = json.loads(message.payload)
                if manifest.get("edition", 0) < 10**6:  # not one of our own
                    self.intruder.run, self.intruder.round = manifest["run"], manifest["round"]
                    self.intruder.version = manifest["version"]


def besiege(boards: int, seed: int, rounds: int = ROUNDS) -> Siege:
    """Run a federation of so many virtual boards under attack.

    Raises FedmoteError where a process fails or the rounds do not end.
    """
    application = Application.load(APPLICATION)
    learners = [one.device for one in assign(application, boards, _SEED) if one.role == LEARN]
    with tempfile.TemporaryDirectory(prefix="fedmote-siege-") as folder, EmbeddedBroker() as broker:
        state = Path(folder)
        with Store(state / STORE_NAME) as store:
            insiders = {f"insider-{n}": store.provision(f"insider-{n}") for n in range(_INSIDERS)}
        common = ["--app", APPLICATION, "--broker", broker.address.url, "--state", folder]
        serving = _start(
            "serve", *common, "--rounds", rounds, "--minimum", len(learners), "--deadline", _DEADLINE_S
        )
        fleet = _start("fleet", *common, "--boards", boards, "--seed", _SEED, "--speed", 8)
        try:
            plan = plan_of(application, Overrides())
            intruder = Intruder(APPLICATION, plan, Random(seed), learners, insiders, round=0)
            besieger = _Besieger(intruder)
            began = time.monotonic()
            asyncio.run(besieger.attack(broker.address, serving))
        finally:
            for process in (serving, fleet):
                process.terminate()
                process.wait()
        if serving.returncode:
            raise FedmoteError(f"fedmote serve ended with {serving.returncode}")
        with Store(state / STORE_NAME, read_only=True) as store:
            refused: Counter[str] = Counter()
            for (reason, _), count in store.refusals().items():
                refused[reason] += count
            bodies = [one for number, *_ in store.rounds() for one in store.accepted(number)]
            honest = [one for one in bodies if one.device not in insiders]
            return Siege(
                messages=besieger.messages,
                seconds=time.monotonic() - began,
                learners=len(learners),
                rounds=store.model().version,
                updates=sum(one.kind == wire.UPDATE for one in honest),
                accepted=len(bodies) - len(honest),
                refused=dict(refused.most_common()),
                start_rss_bytes=next(iter(besieger.rss), 0),
                end_rss_bytes=next(reversed(besieger.rss), 0),
            )


def _start(command: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fedmote", command, *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _rss_of(process: int) -> list[int]:
    """Return the resident memory of a process in bytes, nothing where it has ended."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])  # it is not waited for yet
    return [pages * resource.getpagesize()] if pages else []


def _may_publish(topic: str) -> bool:
    return topic[:1] not in ("", "$") and not set(topic) & set("+#")
