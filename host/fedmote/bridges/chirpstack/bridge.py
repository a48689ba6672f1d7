"""The bridge without connections: messages of both brokers in, messages for both out. It holds no keys."""

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fedmote.bridges.chirpstack import events
from fedmote.bridges.chirpstack.accounts import Account
from fedmote.bridges.chirpstack.board import Board, Upload
from fedmote.bridges.chirpstack.models import Models
from fedmote.errors import FedmoteError
from fedmote.federation.protocol import Outgoing
from fedmote.federation.telemetry import OFFLINE, ONLINE
from mote import frames, wire

logger = logging.getLogger(__name__)


@dataclass
class Turn:
    """What a message brings about. network: for the network server's broker. federation: for the other
    one."""

    network: list[Outgoing] = field(default_factory=list)
    federation: list[Outgoing] = field(default_factory=list)


def federation_filters(federation: str) -> list[list[tuple[str, int]]]:
    """Return the (topic filter, QoS) of what goes down, for two connections: the first filter of each brings
    what the broker retains."""
    return [
        [(wire.topic(federation, "round", "#"), 1), (wire.topic(federation, "command", "+"), 1)],
        [(wire.topic(federation, "model", "+", "+"), 1)],
    ]


class Bridge:
    """Translates between a ChirpStack application and a federation.

    application: ChirpStack's id. devices: EUI -> device id. region: of mote.airtime.REGIONS. budget:
    downlinks a day and board, 0 for any number. silent_s: after so long without a frame a board counts as
    offline. clock: seconds since the epoch.
    """

    def __init__(
        self,
        application: str,
        federation: str,
        devices: Mapping[str, str],
        region: str = "EU868",
        budget: int = 10,
        silent_s: float = 26 * 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.application, self.federation = application, federation
        self._silent_s, self._clock = silent_s, clock
        self.models = Models()
        self.boards = {eui: Board(eui, name, region, budget) for eui, name in devices.items()}
        self._names = {board.name: board for board in self.boards.values()}
        self._online: set[str] = set()
        #: frames that were taken, of which none is under way
        self.handled = 0

    def from_network(self, topic: str, payload: bytes) -> Turn:
        """Take a message of ChirpStack's broker."""
        turn = Turn()
        try:
            event = events.parse(topic, payload)
        except ValueError as error:
            logger.warning("not understood from ChirpStack: %s", error)
            return turn
        board = self.boards.get(event.eui)
        if board is None:
            logger.warning("device %s is not in the table of devices", event.eui)
            return turn
        match event:
            case events.Uplink():
                self._uplink(board, event, turn)
                self.handled += 1
            case events.Transmitted():
                length = board.transmitted(event.identity)
                if length:
                    board.account.downlink(self._clock(), length, event.radio)
            case events.Trouble() if event.level == "ERROR":
                logger.warning("%s: %s %s", board.name, event.code, event.description)
                board.refused(too_long=event.code == "DOWNLINK_PAYLOAD_SIZE")
        self._downlink(board, turn)
        return turn

    def from_federation(self, topic: str, payload: bytes) -> Turn:
        """Take a message of the federation's broker."""
        turn = Turn()
        try:
            match topic.removeprefix(wire.topic(self.federation, "")).split("/"):
                case ["round"]:
                    self._manifest(list(self._names.values()), payload, turn)
                case ["round", name] if name in self._names:
                    self._manifest([self._names[name]], payload, turn)
                case ["model", _, _]:
                    self.models.take(payload)
                    for board in self.boards.values():
                        self._downlink(board, turn)
                case ["command", name] if name in self._names:
                    if "receipt" in json.loads(payload) and self._names[name].receipt(payload):
                        self._downlink(self._names[name], turn)
        except (ValueError, KeyError, TypeError, RecursionError, FedmoteError) as error:
            logger.warning("not passed on from %s: %s", topic, error)
        return turn

    def renewed(self) -> Turn:
        """Return what the federation's broker should have after a new connection to it."""
        turn = Turn()
        for board in self.boards.values():
            if board.name in self._online:
                turn.federation.append(self._status(board, ONLINE))
            if board.upload is not None and board.upload.receipt is None:
                turn.federation += self._chunks(board.name, board.upload)
        return turn

    def tick(self) -> Turn:
        """Look at the clock, now and then: boards that are silent for too long count as offline."""
        turn = Turn()
        for board in self.boards.values():
            gone = board.heard is not None and self._clock() - board.heard > self._silent_s
            if gone and board.name in self._online:
                logger.warning("%s is silent for %d hours", board.name, self._silent_s // 3600)
                self._online.discard(board.name)
                turn.federation.append(self._status(board, OFFLINE))
        return turn

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` takes, and ``fedmote bridge status`` shows."""
        return {
            "models": {
                str(version): base64.b64encode(body).decode() for version, body in self.models.bodies.items()
            },
            "boards": {
                eui: _state_of(board, board.name in self._online) for eui, board in self.boards.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another bridge stopped. Boards that are no longer in the table are let go."""
        bodies = {int(version): base64.b64decode(text) for version, text in state["models"].items()}
        self.models = Models(bodies)
        for eui, fields in state["boards"].items():
            board = self.boards.get(eui)
            if board is None:
                continue
            board.account = Account.from_json(fields["account"])
            board.heard, board.rssi, board.limit = fields["heard"], fields["rssi"], fields["limit"]
            board.manifest = None if fields["manifest"] is None else fields["manifest"].encode()
            board.look = None if fields["look"] is None else frames.Look(**fields["look"])
            if board.look is not None and fields["online"]:
                self._online.add(board.name)

    def _uplink(self, board: Board, event: events.Uplink, turn: Turn) -> None:
        if board.is_copy(event.identity):
            return
        board.account.uplink(self._clock(), event.counter, len(event.data), event.radio)
        board.heard, board.rssi = self._clock(), event.rssi
        if event.port != frames.PORT:
            return
        before = _told(board)
        try:
            publish = board.take(event.data, event.rate, self.models)
        except ValueError as error:
            logger.warning("%s: %s", board.name, error)
            return
        if board.look is not None and (board.name not in self._online or before != _told(board)):
            self._online.add(board.name)
            turn.federation.append(self._status(board, ONLINE))
        if publish and board.upload is not None:
            logger.info(
                "%s: body of round %d, %d bytes", board.name, board.upload.number, len(board.upload.body)
            )
            turn.federation += self._chunks(board.name, board.upload)

    def _manifest(self, boards: list[Board], payload: bytes, turn: Turn) -> None:
        for board in boards:
            if payload and board.offer(payload):
                self._downlink(board, turn)

    def _downlink(self, board: Board, turn: Turn) -> None:
        queued = board.next(self._clock(), self.models)
        if queued is not None:
            turn.network.append(
                events.downlink(self.application, board.eui, queued.identity, frames.PORT, queued.frame)
            )

    def _status(self, board: Board, state: str) -> Outgoing:
        status: dict[str, Any] = {"state": state}
        look = board.look
        if state == ONLINE and look is not None:
            role = frames.ROLES[look.role] if look.role < len(frames.ROLES) else frames.ROLES[0]
            status |= {"role": role, "layout": f"{look.layout:08x}", "protocol": wire.PROTOCOL}
            status["rssi"] = board.rssi
            status["version"] = next(
                (known for known, body in self.models.bodies.items() if frames.sum_of(body) == look.model),
                None,
            )
        text = json.dumps({key: value for key, value in status.items() if value is not None})
        return Outgoing(wire.topic(self.federation, "status", board.name), text.encode(), retained=True)

    def _chunks(self, name: str, upload: Upload) -> Iterator[Outgoing]:
        """Yield the messages that a board on Wi-Fi would publish."""
        for index in range(wire.piece_count(len(upload.body))):
            piece = upload.body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
            message = bytearray(wire.HEADER_BYTES) + piece
            wire.write_header(
                message, len(piece), upload.kind, upload.number, upload.counter, index, len(upload.body)
            )
            topic = wire.topic(self.federation, "update", name, upload.number, index)
            yield Outgoing(topic, bytes(message))


def _told(board: Board) -> tuple[int, ...]:
    """Return what a status tells of a board."""
    look = board.look
    return () if look is None else (look.role, look.layout, look.model)


def _state_of(board: Board, online: bool) -> dict[str, Any]:
    return {
        "device": board.name,
        "account": board.account.to_json(),
        "heard": board.heard,
        "rssi": board.rssi,
        "limit": board.limit,
        "manifest": None if board.manifest is None else board.manifest.decode(),
        "look": None if board.look is None else vars(board.look),
        "online": online,
    }
