"""Looks at serial ports: listens for telemetry, which disturbs no board, and asks an interpreter where told
to."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from fedmote.boards import catalogue
from fedmote.boards.flashing import drives
from fedmote.boards.repl import Identity, Repl
from fedmote.errors import FedmoteError
from fedmote.monitor import events, lines, telemetry
from fedmote.monitor.devices.sighting import BOOT_LOADER, IDLE, RUNNING, SILENT, UNREACHABLE, Sighting
from fedmote.monitor.ports import Port

VIRTUAL = "virtual"  # whose port only speaks

_AT_ONCE = 32
_NOTE_CHARACTERS = 160


def look(ports: Sequence[Port], seconds: float, ask: bool) -> list[Sighting]:
    """Return what is at each port, in their order. All are listened to together, for at most ``seconds``.

    ask: whether boards that say nothing are then interrupted, one after the other, to tell what they are;
    their program starts again.
    """
    if not ports:
        return []
    with ThreadPoolExecutor(min(len(ports), _AT_ONCE)) as pool:
        sightings = list(pool.map(lambda port: _listen(_of(port), port.device, seconds), ports))
    if not ask:
        return sightings
    return [_ask(one) if one.state == SILENT and one.board != VIRTUAL else one for one in sightings]


def in_boot_loader() -> list[Sighting]:
    """Return the boards that show up as a boot drive instead of a port, in the order of their mounts."""
    return [
        Sighting(
            candidates=tuple(
                board.name for board in catalogue.load().values() if board.flash.drive == drive.board_id
            ),
            machine=_short(drive.model),
            state=BOOT_LOADER,
            where=(str(drive.path),),
        )
        for path in drives.mounted()
        if (drive := drives.read(path)) is not None
    ]


def _of(port: Port) -> Sighting:
    return Sighting(
        device=Path(port.device).parent.name if port.boards == (VIRTUAL,) else None,
        board=port.boards[0] if len(port.boards) == 1 else None,
        candidates=port.boards if len(port.boards) > 1 else (),
        state=SILENT,
        where=(port.device,),
    )


def _listen(sighting: Sighting, port: str, seconds: float) -> Sighting:
    """Wait for a line of telemetry; of other lines keep the last one, which may say why there is none."""
    end = time.monotonic() + seconds
    try:
        for event in events.from_port(lines.read(port), port):  # which closes the port when it is let go
            match event:
                case events.Received(at, _, told):
                    return _told(sighting, told, at)
                case events.Output(_, _, text):
                    sighting = replace(sighting, note=f"prints {_short(text)}")
                case events.Lost(_, reason):
                    return replace(sighting, state=UNREACHABLE, note=_short(reason))
            if time.monotonic() >= end:
                break
    except FedmoteError as error:
        return replace(sighting, state=UNREACHABLE, note=_short(str(error)))
    return sighting


def _told(sighting: Sighting, told: telemetry.Telemetry, at: float) -> Sighting:
    return replace(
        sighting,
        device=told.device,
        version=told.version,
        battery=told.battery,
        rssi=told.rssi,
        state=RUNNING,
        last_seen=at,
        note=told.error and _short(told.error),
    )


def _ask(sighting: Sighting) -> Sighting:
    try:
        with Repl.open(sighting.where[0]) as repl:
            identity = repl.identify()
            repl.resume()
    except FedmoteError as error:
        return replace(sighting, note=_short(str(error)))
    names = _named(identity, sighting.candidates or ((sighting.board,) if sighting.board else ()))
    return replace(
        sighting,
        board=names[0] if len(names) == 1 else None,
        candidates=names if len(names) > 1 else (),
        machine=_short(identity.machine),
        runtime=_short(f"{identity.runtime} {identity.version}"),
        state=IDLE,
        last_seen=time.time(),
        note=None,
    )


def _named(identity: Identity, candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in boards.toml that the interpreter's own words leave over, its image's name first."""
    boards = catalogue.load().values()
    images = [
        board.name
        for board in boards
        if identity.runtime in board.runtimes and board.runtimes[identity.runtime].image == identity.build
    ]
    both = tuple(name for name in images if name in candidates)
    chips = tuple(board.name for board in boards if board.name in candidates and board.chip == identity.chip)
    return both or tuple(images) or chips or candidates


def _short(text: str) -> str:
    return telemetry.printable(text, _NOTE_CHARACTERS)
