"""The whole loop on one machine: embedded broker, aggregator and virtual boards, and the baselines to compare
them with."""

import asyncio
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fedmote.boards.virtual import Fleet
from fedmote.errors import FedmoteError
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.events import Event
from fedmote.federation.service import serve
from fedmote.federation.session import STORE_NAME, Overrides, Session, compile_model
from fedmote.federation.summary import summarise
from fedmote.fleet import LEARN, Assignment, assign, lay_out
from fedmote.models.application import Application
from fedmote.monitor.ports import register_fleet
from fedmote.simulation import Baselines, baselines

_REPLAY_SPEED = 4.0
_LOOK_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """What came of a demo; accuracies on unseen clients, 0 to 1, by int8 inference. Bytes are of payloads and
    topics."""

    application: str
    learners: int
    unseen: int
    rounds: int
    before: float
    local: float
    federated: float
    centralised: float
    update_bytes: int
    up_bytes_per_round: float
    down_bytes_per_round: float
    refusals: int
    seconds: float
    model: str
    weights: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON-ready dict."""
        return asdict(self)


class Interruption(Exception):  # noqa: N818 - nothing went wrong
    """The user has stopped the demo."""


def run(
    application: Application,
    *,
    boards: int | None,
    rounds: int | None,
    seed: int,
    port: int | None,
    folder: Path,
    listener: Callable[[Event], None],
) -> Outcome:
    """Run a demo from start to end below ``folder``, which a demo before may have left and is made anew.

    boards: how many, all recordings when None. rounds: the application's own number when None. port: of the
    broker, a free one when None. listener: called with every event. Raises FedmoteError for what cannot work,
    Interruption on Ctrl-C.
    """
    began = time.monotonic()
    assignments = assign(application, boards, seed)
    _clear(folder)
    federation = application.name
    overrides = Overrides(rounds=rounds)
    learners = [one.recording for one in assignments if one.role == LEARN]
    unseen = [one.recording for one in assignments if one.role != LEARN]
    with ExitStack() as stack:
        # Not forked: the demo has threads. Its work is the user's last interest while boards compete for the
        # same cores.
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), initializer=_step_back))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        broker = stack.enter_context(EmbeddedBroker(port))
        session = stack.enter_context(Session(application, federation, folder, overrides, seed))
        total = session.aggregator.plan.rounds
        compared = pool.submit(baselines, application, learners, unseen, total, seed)
        stack.callback(_kill, pool)
        session.aggregator.listeners.append(listener)
        fleet = stack.enter_context(Fleet(folder / "fleet"))
        stack.enter_context(register_fleet(fleet.folder))
        lay_out(
            fleet,
            application,
            assignments,
            federation=federation,
            broker=broker.address.url,
            key_of=session.store.provision,
            mote=compile_model(application),
            seed=seed,
            replay_speed=_REPLAY_SPEED,
        )
        for board in fleet.boards:
            fleet.start(board)
        asyncio.run(_serve(session, broker, fleet))
        files = session.export()
        summary = summarise(session.store)
        reference = asyncio.run(_wait(compared))
    return _outcome(application, assignments, total, summary, reference, files, time.monotonic() - began)


async def _serve(session: Session, broker: EmbeddedBroker, fleet: Fleet) -> None:
    stop = _stop_on_signals()
    service = asyncio.create_task(serve(session.aggregator, broker.address, stop))
    while not service.done():
        await asyncio.wait([service], timeout=_LOOK_S)
        ended = [board for board in fleet.boards if not board.running]
        if len(ended) == len(fleet.boards) and not service.done():
            stop.set()
            await service
            raise FedmoteError(
                f"all boards have ended; the last words of {ended[0].device}: {ended[0].last_output}"
            )
    await service
    if stop.is_set():
        raise Interruption


async def _wait(compared: "Future[Baselines]") -> Baselines:
    stop = _stop_on_signals()
    while not compared.done():
        if stop.is_set():
            raise Interruption
        await asyncio.sleep(_LOOK_S / 10)
    return compared.result()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def _step_back() -> None:
    """Run in the process of the baselines: be nice, and leave Ctrl-C to the parent."""
    import os

    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _clear(folder: Path) -> None:
    if folder.exists():
        if not (folder / STORE_NAME).exists() and any(folder.iterdir()):
            raise FedmoteError(f"{folder} is not a demo's folder: name another one with --state")
        shutil.rmtree(folder)


def _outcome(
    application: Application,
    assignments: list[Assignment],
    rounds: int,
    summary: dict[str, Any],
    reference: Baselines,
    files: Any,
    seconds: float,
) -> Outcome:
    devices = summary["devices"]
    scores = [one["evaluators"]["accuracy"] for one in summary["rounds"] if one["evaluators"]]
    if not scores:
        raise FedmoteError(
            "no board that only evaluates has answered: is the machine too slow? try fewer --boards"
        )
    learners = sum(one.role == LEARN for one in assignments)
    per_round = len(devices) * max(1, len(summary["rounds"]))
    return Outcome(
        application=application.name,
        learners=learners,
        unseen=len(assignments) - learners,
        rounds=rounds,
        before=scores[0],
        local=reference.local,
        federated=scores[-1],
        centralised=reference.centralised,
        update_bytes=max(one["update_bytes"] for one in devices),
        up_bytes_per_round=sum(one["up_bytes"] for one in devices) / per_round,
        down_bytes_per_round=sum(one["down_bytes"] for one in devices) / per_round,
        refusals=sum(one["count"] for one in summary["refusals"]),
        seconds=seconds,
        model=str(files.model),
        weights=str(files.weights),
    )
