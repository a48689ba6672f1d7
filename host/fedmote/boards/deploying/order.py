"""What is wanted of a deploy, and whether it fits together. It looks at no board."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedmote.boards.catalogue import Board
from fedmote.boards.deploying.settings import Value
from fedmote.errors import FedmoteError
from fedmote.fleet import EVALUATE, LEARN
from fedmote.models.application import Application
from mote.sensors import SENSORS

REPLAY = "replay"  # the sensor that plays a recording


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is wanted. None: what the board has already, else the default.

    client: whose recording is replayed. ca: file of the CA of the broker's certificate.
    state: folder of the federation's store. extra: settings, None removes.
    """

    board: Board
    application: Application
    runtime: str | None = None
    client: str | None = None
    sensor: str | None = None
    role: str | None = None
    federation: str | None = None
    broker: str | None = None
    ca: Path | None = None
    state: Path | None = None
    device: str | None = None
    seed: int | None = None
    wifi: Mapping[str, Value | None] | None = None
    extra: Mapping[str, Value | None] | None = None

    def check(self) -> None:
        """Raise FedmoteError where it does not fit together."""
        if self.role not in (None, LEARN, EVALUATE):
            raise FedmoteError(f"role {self.role!r} is unknown, choose one of: {LEARN}, {EVALUATE}")
        if self.sensor is not None and self.sensor not in SENSORS:
            raise FedmoteError(
                f"sensor {self.sensor!r} is unknown, choose one of: {', '.join(sorted(SENSORS))}"
            )
        if self.ca is not None and self.federation is None and self.broker is None:
            raise FedmoteError("--ca is for the broker of a federation: name it with --broker")
        if self.client is not None and self.sensor not in (None, REPLAY):
            raise FedmoteError("--client is for recorded data and --sensor for a live one: choose one")
        if (self.federation or self.broker) and "wifi" not in self.board.wireless:
            raise FedmoteError(
                f"{self.board.name} has no Wi-Fi, so it cannot join a federation: leave --federation and "
                "--broker out, then it infers and tells over its serial port"
            )
