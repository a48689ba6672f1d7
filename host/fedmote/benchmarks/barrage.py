"""A great many hostile messages against an aggregator in one process, without a broker, as fast as it takes
them: what counts of them, and what they do to its memory.

A process of its own runs ``main`` with MESSAGES and SEED: it prints how many it has had, then a Barrage.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np

from fedmote.benchmarks.hostile import KINDS, Intruder, Pair
from fedmote.benchmarks.served import rss_bytes
from fedmote.federation import events
from fedmote.federation.aggregator import Aggregator
from fedmote.federation.plan import Plan
from fedmote.federation.store import STORE_NAME, Store
from mote import wire

FEDERATION = "house"
HONEST = tuple(f"board-{number:02d}" for number in range(10))
INSIDERS = tuple(f"insider-{number:02d}" for number in range(40))
PLAN = Plan("0c0ffee0", (1536, 24, 240, 10), 2, minimum=len(HONEST), rounds=2, deadline_s=3600)

_BATCH = 2000
_PER_SECOND = 250  # messages in a second of the aggregator's clock: no more than its limits let through
_FLOOD_PER_SECOND = 20_000  # far more than that
_PATIENT = 0.8  # the part of the messages that come slowly enough
_AMNESTY = 2  # batches after which insiders are released, so that they are heard again


@dataclass(frozen=True)
class Barrage:
    """What came of it. sent: messages by kind. refused: messages by reason. taken: those that were not
    refused: pieces of bodies that were never whole, statuses, telemetry. accepted: bodies that count, but for
    those of honest boards. quarantines: how often a device was put into it. start, tenth, end: resident
    memory in bytes when the first messages came, after a tenth of them, at the end. honest: updates of honest
    boards that count in the round that was open all the time; exact: whether the model is made of these
    alone, to the bit.
    """

    messages: int
    seconds: float
    sent: dict[str, int]
    refused: dict[str, int]
    taken: int
    accepted: int
    quarantines: int
    start_rss_bytes: int
    tenth_rss_bytes: int
    end_rss_bytes: int
    honest: int
    exact: bool


class Home:
    """An aggregator on a store in ``folder``, with honest boards that have done round 1."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.told: Counter[type] = Counter()
        self.store = Store(folder / STORE_NAME)
        self.keys = {name: self.store.provision(name) for name in HONEST}
        self.insiders = {name: self.store.provision(name) for name in INSIDERS}
        self.store.found("intruder", PLAN.layout, np.zeros(sum(PLAN.sizes), np.float32))
        self.aggregator = Aggregator(self.store, FEDERATION, PLAN, lambda: self.now)
        self.aggregator.listeners.append(lambda event: self.told.update([type(event)]))
        self.aggregator.start()

    def handle(self, messages: list[Pair], per_second: int = _PER_SECOND) -> None:
        """Let the aggregator take messages; its clock goes on."""
        self.aggregator.handle(messages)
        self.now += len(messages) / per_second
        self.aggregator.tick()

    def appear(self) -> None:
        """All honest boards come online."""
        status = {"state": "online", "role": "learn", "layout": PLAN.layout, "protocol": wire.PROTOCOL}
        self.handle(
            [(wire.topic(FEDERATION, "status", name), json.dumps(status).encode()) for name in HONEST]
        )

    def updates(self, number: int, version: int) -> dict[str, list[Pair]]:
        """Return the messages of an honest update of every board, for a round that starts from a version."""
        made = {}
        for place, name in enumerate(HONEST):
            maker = Intruder(
                FEDERATION,
                PLAN,
                Random(place),
                (),
                {},
                run=self.store.run,
                round=number,
                version=version,
                counter=number,
            )
            made[name] = maker.body(name, self.keys[name], scale=1e-3 * (1 + place))
        return made


def attack(folder: Path, count: int, seed: int, progress: Callable[[int], None]) -> Barrage:
    """Send at least ``count`` hostile messages to an aggregator, then let the honest boards finish.

    progress: called with how many it has had.
    """
    home = Home(folder)
    home.appear()
    first = [pair for pairs in home.updates(1, 0).values() for pair in pairs]
    home.handle(first)
    intruder = Intruder(
        FEDERATION,
        PLAN,
        Random(seed),
        HONEST,
        home.insiders,
        heard=first,
        run=home.store.run,
        round=2,
        version=1,
    )
    before = _bodies(home)
    base = home.store.model().values
    sent: Counter[str] = Counter()
    batch: list[Pair] = []
    tenth = 0
    handled = batches = 0
    began = time.perf_counter()
    start = 0
    while handled < count:
        while len(batch) < min(_BATCH, count - handled):
            kind, messages = intruder.messages()
            sent[kind] += len(messages)
            batch += messages
        home.handle(batch, _PER_SECOND if handled < _PATIENT * count else _FLOOD_PER_SECOND)
        handled += len(batch)
        batches += 1
        batch.clear()
        start = start or rss_bytes()
        if not tenth and handled >= count / 10:
            tenth = rss_bytes()
        if not batches % _AMNESTY:
            _release(home)
        progress(handled)
    seconds, end = time.perf_counter() - began, rss_bytes()
    refused: Counter[str] = Counter()
    for (reason, _), number in home.store.refusals().items():
        refused[reason] += number
    accepted = _bodies(home) - before
    exact = _finish(home, base)
    return Barrage(
        messages=handled,
        seconds=seconds,
        sent={kind: sent[kind] for kind in KINDS},
        refused=dict(refused.most_common()),
        taken=handled - refused.total(),
        accepted=accepted,
        quarantines=home.told[events.Quarantined],
        start_rss_bytes=start,
        tenth_rss_bytes=tenth,
        end_rss_bytes=end,
        honest=len(home.store.accepted(2)),
        exact=exact,
    )


def _finish(home: Home, base: np.ndarray) -> bool:
    """Let the honest boards answer; tell whether the new model is made of their updates alone."""
    updates = home.updates(2, 1)
    for _ in range(3):  # a body that an intruder's pieces have spoiled is sent again
        home.now += 60
        home.appear()
        for messages in updates.values():
            home.handle(messages)
    home.now += PLAN.deadline_s
    home.aggregator.tick()
    form = PLAN.form(PLAN.codec)
    total, weight = np.zeros(sum(PLAN.sizes)), 0.0
    for name in sorted(updates):
        body = b"".join(payload[wire.HEADER_BYTES :] for _, payload in updates[name])
        report, delta = form.decode(wire.UPDATE, body[: -wire.TAG_BYTES], 1)
        total += report.samples * delta.astype(np.float64)
        weight += report.samples
    expected = (base + total / weight).astype(np.float32)
    model = home.store.model()
    return model.version == 2 and bool(np.array_equal(model.values, expected))


def _bodies(home: Home) -> int:
    return home.told[events.UpdateAccepted] + home.told[events.EvaluationAccepted]


def _release(home: Home) -> None:
    for device in home.store.devices():
        if device.quarantine is not None:
            home.store.release(device.device)


def _tell(handled: int) -> None:
    print(handled, flush=True)


def main() -> None:
    """Attack; the arguments are the number of messages and the seed."""
    with tempfile.TemporaryDirectory(prefix="fedmote-barrage-") as folder:
        barrage = attack(Path(folder), int(sys.argv[1]), int(sys.argv[2]), _tell)
    print(json.dumps(asdict(barrage)))
