"""Runs one federation on this machine, every part of it a process, and kills processes at random. What came
of it others judge."""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TextIO

from fedmote.benchmarks.faulty_proxy import Faults, FaultyProxy
from fedmote.benchmarks.respawning import Respawning
from fedmote.benchmarks.witness import Witness
from fedmote.boards.virtual import Fleet, VirtualBoard
from fedmote.errors import FedmoteError
from fedmote.federation.broker import LOOPBACK, BrokerAddress
from fedmote.federation.plan import TRAIN
from fedmote.federation.session import STORE_NAME, compile_model
from fedmote.federation.store import Store
from fedmote.fleet import LEARN, Assignment, lay_out
from fedmote.models.application import Application

logger = logging.getLogger(__name__)

#: how often each kind of process is the victim, out of 20
_VICTIMS = {"board": 17, "aggregator": 2, "broker": 1}
_HEAP_BYTES = (
    512 * 1024
)  # unlike real boards, virtual ones compile their program, and leave holes in the heap
_DOWN_S = 1.5  # a process that ended starts again within it
_PATIENCE_S = 240.0  # a round that takes longer is stuck
_LOOK_S = 0.1
_DEATHS = 20  # of processes by themselves; with more of them there is nothing to learn from a run
_BROKER = """
import iotcore, logging, sys
logging.getLogger("rumqttd").setLevel(logging.CRITICAL)  # it tells of every packet
port, listen = int(sys.argv[1]), sys.argv[2]
iotcore.IotCoreBroker(port=port, listen=listen, max_payload_size=1 << 16).run_forever()
"""
_AGGREGATOR = """
from fedmote.cli import main
main()
"""


@dataclass(frozen=True)
class Ordeal:
    """What a federation has to go through. rounds: that train, at least; as many more as the kills need.

    pace_s: mean time between two kills. deadline_s: of rounds. A round needs an update of every learner.
    """

    application: Application
    assignments: Sequence[Assignment]
    rounds: int
    kills: int
    faults: Faults
    seed: int
    pace_s: float = 1.0
    deadline_s: float = 60.0


@dataclass(frozen=True)
class Course:
    """How it went. kills: by kind of process. faults: what the network did, by name. deaths: last words of
    processes that ended with nobody's help."""

    store: Path
    witness: Witness
    kills: Counter[str]
    faults: Counter[str]
    deaths: list[str]
    seconds: float


async def undergo(ordeal: Ordeal, folder: Path, progress: Callable[[int, int], None]) -> Course:
    """Run it below ``folder``. progress: called with (kills or rounds done, in all).

    Raises FedmoteError where the federation is stuck.
    """
    began = time.monotonic()
    store, port = folder / STORE_NAME, _free_port()
    federation = ordeal.application.name
    witness = Witness(federation)
    folder.mkdir(parents=True)
    with (
        (folder / "boards.log").open("a") as words,
        Fleet(folder / "fleet", _HEAP_BYTES, _noting(words)) as fleet,
    ):
        proxy = FaultyProxy(BrokerAddress(LOOPBACK, port), ordeal.seed, ordeal.faults, witness.take)
        async with proxy:
            with Store(store) as provisioned:
                lay_out(
                    fleet,
                    ordeal.application,
                    ordeal.assignments,
                    federation=federation,
                    broker=proxy.address.url,
                    key_of=provisioned.provision,
                    mote=compile_model(ordeal.application),
                    seed=ordeal.seed,
                    replay_speed=1.0,
                )
            trial = _Trial(ordeal, folder, fleet, proxy.address, port, progress)
            await trial.run()
    return Course(store, witness, trial.kills, proxy.counts, trial.deaths, time.monotonic() - began)


class _Trial:
    """The processes of one run, and who kills them."""

    def __init__(
        self,
        ordeal: Ordeal,
        folder: Path,
        fleet: Fleet,
        address: BrokerAddress,
        port: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self._ordeal, self._folder, self._fleet, self._address = ordeal, folder, fleet, address
        self._progress = progress
        self._random = Random(ordeal.seed)
        self.kills: Counter[str] = Counter()
        self.deaths: list[str] = []
        self._rounds = 0 if ordeal.kills else ordeal.rounds
        self._down: set[str] = set()
        self._closed = 0
        self._closed_at = time.monotonic()
        self._broker = Respawning(
            "broker", _BROKER, lambda: [str(port), LOOPBACK], self._log, self._random, _DOWN_S
        )
        self._aggregator = Respawning(
            "aggregator", _AGGREGATOR, self._serve, self._log, self._random, _DOWN_S
        )

    async def run(self) -> None:
        """Return when the aggregator has finished all rounds."""
        for board in self._fleet.boards:
            self._fleet.start(board)
        serving = asyncio.create_task(self._aggregator.keep())
        tasks = {serving, *map(asyncio.create_task, (self._broker.keep(), self._kill(), self._watch()))}
        try:
            while not serving.done():
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                tasks -= done
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _serve(self) -> list[str]:
        """Return the arguments of the aggregator; called while none runs."""
        ordeal = self._ordeal
        if ordeal.kills and self.kills.total() >= ordeal.kills and not self._rounds:
            with Store(self._folder / STORE_NAME, read_only=True) as store:
                trained = sum(phase == TRAIN for _, phase, *_ in store.rounds())
            self._rounds = max(ordeal.rounds, trained)
            logger.info("all %d kills are done; %d rounds are to train", ordeal.kills, self._rounds)
        learners = sum(one.role == LEARN for one in ordeal.assignments)
        options = {
            "app": ordeal.application.name,
            "broker": self._address.url,
            "state": self._folder,
            "rounds": self._rounds,
            "minimum": learners,
            "deadline": ordeal.deadline_s,
            "seed": ordeal.seed,
        }
        return ["serve", *(f"--{name}={value}" for name, value in options.items())]

    async def _kill(self) -> None:
        """Kill at random; the last one is the aggregator, which is then told how many rounds there are."""
        kills = self._ordeal.kills
        while self.kills.total() < kills:
            await asyncio.sleep(self._random.uniform(0, 2 * self._ordeal.pace_s))
            last = self.kills.total() == kills - 1
            [kind] = self._random.choices(list(_VICTIMS), list(_VICTIMS.values()))
            if self._kill_one("aggregator" if last else kind):
                self.kills["aggregator" if last else kind] += 1
                self._progress(self.kills.total(), kills)

    def _kill_one(self, kind: str) -> bool:
        if kind == "board":
            running = [board for board in self._fleet.boards if board.running]
            if not running:
                return False
            board = self._random.choice(running)
            self._down.add(board.device)
            self._fleet.stop(board, kill=True)
            asyncio.get_running_loop().call_later(self._random.uniform(0, _DOWN_S), self._start, board)
            return True
        return (self._aggregator if kind == "aggregator" else self._broker).kill()

    def _start(self, board: VirtualBoard) -> None:
        self._down.discard(board.device)
        self._fleet.start(board)

    async def _watch(self) -> None:
        """See to boards that end by themselves, and to rounds that do not."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for board in self._fleet.boards:
                if not board.running and board.device not in self._down:
                    self.deaths.append(f"{board.device}: {board.last_output}")
                    logger.error("%s has ended: %s", board.device, board.last_output)
                    self._fleet.stop(board)
                    self._start(board)
            if len(self.deaths) > _DEATHS:
                raise FedmoteError(f"processes end by themselves, see {self._folder}: {self.deaths[-1]}")
            if time.monotonic() - self._closed_at > _PATIENCE_S:
                raise FedmoteError(
                    f"no round has ended for {_PATIENCE_S:g} s after {self._closed} rounds: "
                    f"see {self._folder / 'aggregator.log'}"
                )

    def _log(self, name: str, line: str) -> None:
        with (self._folder / f"{name}.log").open("a") as log:
            log.write(line)
        if "Traceback" in line:
            self.deaths.append(f"{name}: {line.strip()}")
        if name == "aggregator" and " closed: " in line:
            self._closed, self._closed_at = self._closed + 1, time.monotonic()
            logger.info("%s; %d kills", line.strip(), self.kills.total())
            if not self._ordeal.kills:
                self._progress(self._closed, self._ordeal.rounds + 1)


def _noting(file: TextIO) -> Callable[[str, bytes], None]:
    """Return what writes down all that boards print but telemetry without errors."""

    def note(device: str, line: bytes) -> None:
        if not line.startswith(b"{") or b'"error":' in line:
            file.write(f"{time.strftime('%H:%M:%S')} {device}: {line.decode(errors='replace')}\n")
            file.flush()

    return note


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
