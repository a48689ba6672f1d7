"""``fedmote serve``: runs an application's aggregator against a
broker, tells what happens and what came out."""

import asyncio
import json
import logging
import signal
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from fedmote.cli.options import App, Ca, Cert, Federation, Key, PasswordFile, State, broker_address
from fedmote.federation import events, telemetry
from fedmote.federation.broker import LOOPBACK, BrokerAddress, EmbeddedBroker
from fedmote.federation.store import STATE as STATE
from mote import wire

logger = logging.getLogger("fedmote.serve")


def main(
    app: App = "watch",
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="mqtt://host:port or mqtts://user:password@host:port. Without it a broker is started "
            "here, on the loopback address.",
        ),
    ] = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    password_file: PasswordFile = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the broker that is started here.")
    ] = 1883,
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where that broker listens; 0.0.0.0 lets in everybody in the network, without a password.",
        ),
    ] = LOOPBACK,
    federation: Federation = None,
    rounds: Annotated[
        int | None, typer.Option(min=0, help="Rounds to train, 0 for no end. (default: the application's)")
    ] = None,
    minimum: Annotated[
        int | None, typer.Option(min=1, help="Updates that a round needs. (default: the application's)")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="When a round ends. (default: the app's)")
    ] = None,
    maximum: Annotated[
        int | None, typer.Option(min=0, help="Updates after which a round ends; 0: all are waited for.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(min=0, max=1, help="Part of the learners that is chosen for each round.")
    ] = None,
    spare: Annotated[
        float | None, typer.Option(min=0, help="Choose so many more, as a part; the slowest come too late.")
    ] = None,
    late: Annotated[
        str | None, typer.Option(metavar="WHAT", help="A late update: discard, or staleness (weigh it less).")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="rounds, or buffered: each board goes on when it is ready (FedBuff).")
    ] = None,
    buffer: Annotated[
        int | None, typer.Option(min=1, help="Updates that make a model in mode buffered.")
    ] = None,
    state: State = None,
    seed: Annotated[int, typer.Option(help="Of the initial model.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.", metavar="")] = False,
) -> None:
    """Run the aggregator: collect updates, publish better models.

    Boards must be provisioned first (fedmote provision). Stopped or killed, it goes
    on with the same round when it is started again with the same state.

    Examples:
      fedmote serve --app watch --rounds 20
      fedmote serve --federation house --broker mqtts://aggregator-house@broker.example:8884 \\
        --ca house/ca.pem --password-file house/aggregator.password
      fedmote serve --rounds 5 --json | jq .version
    """
    from fedmote.federation.session import Overrides, Session
    from fedmote.federation.summary import summarise
    from fedmote.models.application import Application

    logging.getLogger("fedmote").setLevel(min(logging.INFO, logging.getLogger().level))
    application = Application.load(app)
    name = federation or application.name
    address = broker_address(broker, ca, cert, key, password_file) if broker else None
    overrides = Overrides(rounds, minimum, deadline, maximum, fraction, spare, late, mode, buffer)
    with ExitStack() as stack:
        session = stack.enter_context(Session(application, name, state or STATE / name, overrides, seed))
        session.aggregator.listeners.append(log)
        address = address or stack.enter_context(EmbeddedBroker(port, listen)).address
        logger.info("federation %s (%s) at %s, state in %s", name, application.name, address, session.state)
        asyncio.run(_serve(session.aggregator, address))
        if not session.aggregator.finished:
            logger.info("stopped; the same command goes on from here")
            return
        files = session.export()
        summary = {
            **summarise(session.store),
            "files": {"weights": str(files.weights), "model": str(files.model)},
        }
        print(json.dumps(summary, indent=2) if as_json else _text(summary))


def log(event: events.Event) -> None:
    """Log one line for an event; those that come many times a second only with --verbose twice."""
    level, text = _LINES[type(event)]
    if logger.isEnabledFor(level):
        logger.log(level, "%s", text(event))


async def _serve(aggregator: Any, address: BrokerAddress) -> None:
    from fedmote.federation.service import serve

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(aggregator, address, stop)


def _started(event: events.RoundStarted) -> str:
    return (
        f"round {event.round} started: {event.phase} from version {event.version}, "
        f"{len(event.expected)} boards expected"
    )


def _closed(event: events.RoundClosed) -> str:
    made = f"version {event.new_version} from {event.updates} updates" if event.updates else "nothing trained"
    scores = [
        f"{score.accuracy:.3f} on {score.boards} {who}"
        for who, score in (("evaluators", event.evaluators), ("learners", event.learners))
        if score
    ]
    accuracy = f"; accuracy of version {event.version}: {', '.join(scores)}" if scores else ""
    return f"round {event.round} closed: {made}{accuracy}"


def _extended(event: events.RoundExtended) -> str:
    missing = f" (silent: {', '.join(event.missing)})" if event.missing else ""
    return (
        f"round {event.round} waits for another deadline: {event.updates} of {event.minimum} answers{missing}"
    )


def _seen(event: events.BoardSeen) -> str:
    status = event.status
    spoken = status.get("protocol", 1)
    if status["state"] == telemetry.ONLINE and spoken != wire.PROTOCOL:
        what = "update the board" if spoken < wire.PROTOCOL else "update the aggregator"
        return f"{event.device} speaks protocol {spoken}, not {wire.PROTOCOL}, and stays out: {what}"
    about = ", ".join(status[key] for key in ("role", "board", "runtime") if key in status)
    if "back_s" in status:
        about = f"back in {status['back_s']} s"
    return f"{event.device} is {status['state']}" + (f" ({about})" if about else "")


_LINES: dict[type, tuple[int, Any]] = {
    events.RoundStarted: (logging.INFO, _started),
    events.UpdateAccepted: (
        logging.INFO,
        lambda e: (
            f"update of {e.device} accepted: {e.report.samples} samples, {e.up_bytes} bytes, "
            f"loss {e.report.training_loss:.3f}{', late' if e.late else ''}"
        ),
    ),
    events.EvaluationAccepted: (
        logging.INFO,
        lambda e: f"evaluation of {e.device} accepted: accuracy {e.report.accuracy:.3f}",
    ),
    events.Refused: (
        logging.WARNING,
        lambda e: f"refused a message of {e.device or 'a stranger'}: {e.reason}",
    ),
    events.RoundExtended: (logging.WARNING, _extended),
    events.RoundClosed: (logging.INFO, _closed),
    events.Finished: (logging.INFO, lambda e: f"finished with version {e.version}"),
    events.Quarantined: (
        logging.WARNING,
        lambda e: (
            f"{e.device} is in quarantine ({e.reason}): nothing of it counts before "
            f"fedmote provision {e.device} --release"
        ),
    ),
    events.Paused: (logging.INFO, lambda e: "paused: boards rest until fedmote rounds resume"),
    events.Resumed: (logging.INFO, lambda e: "resumed"),
    events.RolledBack: (
        logging.WARNING,
        lambda e: f"rolled back: version {e.new_version} has the values of version {e.version}",
    ),
    events.BoardSeen: (logging.INFO, _seen),
    events.Telemetry: (logging.DEBUG, lambda e: f"telemetry of {e.device}: {e.line}"),
}


def _text(summary: dict[str, Any]) -> str:
    lines = [
        f"{'round':>5}  {'phase':<8}  {'version':>7}  {'updates':>7}  {'evaluators':>10}  {'learners':>8}"
    ]
    for row in summary["rounds"]:
        scores = [f"{row[who]['accuracy']:.3f}" if row[who] else "–" for who in ("evaluators", "learners")]
        lines.append(
            f"{row['round']:>5}  {row['phase']:<8}  {row['version']:>7}  {row['updates']:>7}  "
            f"{scores[0]:>10}  {scores[1]:>8}"
        )
    lines += [
        "",
        f"global model, version {summary['version']}:",
        *(f"  {path}" for path in summary["files"].values()),
    ]
    return "\n".join(lines)
