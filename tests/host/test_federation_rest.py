"""What a user can rely on: real MicroPython boards that sleep deeply and in turns learn together all the
same."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedmote.boards.virtual import Fleet, VirtualBoard
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.events import BoardSeen, Event, RoundClosed, RoundExtended
from fedmote.federation.service import serve
from fedmote.federation.session import Overrides, Session, compile_model
from fedmote.fleet import LEARN, Assignment, lay_out
from fedmote.models.application import Application
from mote import rest

PATIENCE_S = 60
SLEEP_S = 600


def hurry(fleet: Fleet) -> None:
    """Let the boards look at their federation for 2 s instead of 10."""
    (compiled,) = (fleet.folder / "image").rglob("rest.mpy")
    text = Path(rest.__file__).read_text()
    assert "_AWAKE_MS = 10000" in text
    compiled.with_suffix(".py").write_text(text.replace("_AWAKE_MS = 10000", "_AWAKE_MS = 2000"))
    compiled.unlink()


def test_boards_that_are_never_awake_together_finish_a_round(tmp_path: Path) -> None:
    application = Application.load("watch")
    events: list[Event] = []
    awake: set[str] = set()
    together = 0

    def note(event: Event) -> None:
        nonlocal together
        events.append(event)
        if isinstance(event, BoardSeen):
            (awake.add if event.status["state"] == "online" else awake.discard)(event.device)
            together = max(together, len(awake))

    async def until(condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, events[-3:]
            await asyncio.sleep(0.05)

    async def look(fleet: Fleet, board: VirtualBoard) -> None:
        """Switch a board on, until it sleeps again."""
        fleet.stop(board, kill=True)  # out of its sleep
        count = len(events)
        fleet.start(board)
        left = BoardSeen(board.device, {"state": "offline", "back_s": SLEEP_S})
        await until(lambda: left in events[count:])

    async def play(
        broker: EmbeddedBroker, session: Session, fleet: Fleet, boards: list[VirtualBoard]
    ) -> None:
        service = asyncio.create_task(serve(session.aggregator, broker.address, asyncio.Event()))
        attic, cellar = boards
        await look(fleet, attic)  # there is no round yet
        await look(fleet, cellar)  # now there is
        await look(fleet, attic)
        await until(lambda: any(isinstance(one, RoundClosed) for one in events))
        service.cancel()

    with (
        EmbeddedBroker() as broker,
        Session(application, "home", tmp_path, Overrides(rounds=1, minimum=2, deadline_s=900)) as session,
        Fleet(tmp_path / "fleet") as fleet,
    ):
        session.aggregator.listeners.append(note)
        hurry(fleet)
        boards = lay_out(
            fleet, application, [Assignment(one, LEARN) for one in application.recordings()[:2]],
            federation="home", broker=broker.address.url, key_of=session.store.provision,
            mote=compile_model(application), seed=1, replay_speed=64.0,
        )  # fmt: skip
        for board in boards:
            path = board.folder / "settings.toml"
            path.write_text(f"{path.read_text()}SLEEP_S = {SLEEP_S}\n")
        asyncio.run(play(broker, session, fleet, boards))
        closed = next(one for one in events if isinstance(one, RoundClosed))
        assert (closed.updates, together) == (2, 1)
        assert not [one for one in events if isinstance(one, RoundExtended)]
