"""``fedmote fleet``: runs virtual boards against a broker until it is stopped."""

import logging
import signal
import threading
from typing import Annotated

import typer

from fedmote.cli.options import App, Ca, Federation, State, broker_address
from fedmote.errors import FedmoteError

logger = logging.getLogger("fedmote.fleet")

_LOOK_S = 1.0


def main(
    boards: Annotated[
        int | None,
        typer.Option(min=1, help="How many boards. (default: one per recording of the application)"),
    ] = None,
    app: App = "watch",
    broker: Annotated[
        str, typer.Option(metavar="URL", help="mqtt://host:port or mqtts://user:password@host:port.")
    ] = "mqtt://127.0.0.1:1883",
    ca: Ca = None,
    federation: Federation = None,
    state: State = None,
    seed: Annotated[int, typer.Option(help="Of who learns and in which order.")] = 1,
    speed: Annotated[float, typer.Option(min=0.1, help="How much faster than recorded sensors play.")] = 4.0,
) -> None:
    """Run virtual boards: MicroPython processes with the files of a real board, each replaying one recording.

    The aggregator (fedmote serve) and the boards may start in any order. Every board has a serial port to
    look at with fedmote monitor.

    Examples:
      fedmote fleet --boards 5 --app watch
      fedmote fleet --app digits --broker mqtt://broker.example
    """
    from fedmote.boards.virtual import Fleet
    from fedmote.cli.serve import STATE
    from fedmote.federation.session import STORE_NAME, compile_model
    from fedmote.federation.store import Store
    from fedmote.fleet import assign, lay_out
    from fedmote.models.application import Application
    from fedmote.monitor.ports import register_fleet

    logging.getLogger("fedmote").setLevel(min(logging.INFO, logging.getLogger().level))
    application = Application.load(app)
    name = federation or application.name
    folder = state or STATE / name
    address = broker_address(broker, ca)
    assignments = assign(application, boards, seed)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Fleet(folder / "fleet") as fleet, register_fleet(fleet.folder):
        with Store(folder / STORE_NAME) as store:
            lay_out(
                fleet,
                application,
                assignments,
                federation=name,
                broker=address.url,
                ca=ca,
                key_of=store.provision,
                mote=compile_model(application),
                seed=seed,
                replay_speed=speed,
            )
        for board, assignment in zip(fleet.boards, assignments, strict=True):
            fleet.start(board)
            typer.echo(f"{board.device:<16} {assignment.role:<9} {board.serial}")
        logger.info("%d boards run against %s; Ctrl-C ends them", len(fleet.boards), address)
        stopped: set[str] = set()
        try:
            while not ended.wait(_LOOK_S):
                for board in fleet.boards:
                    if not board.running and board.device not in stopped:
                        stopped.add(board.device)
                        logger.error("%s has ended: %s", board.device, board.last_output)
                if len(stopped) == len(fleet.boards):
                    raise FedmoteError("all boards have ended, see above")
        except KeyboardInterrupt:
            logger.info("ending %d boards", len(fleet.boards))
