"""Who may do what at a broker: users, their passwords and their topics. It knows no broker's file formats."""

import hashlib
import hmac
from dataclasses import dataclass

from fedmote.federation.broker import BrokerAddress
from mote import wire

#: the file of a broker's CA on a board
CA_NAME = "ca.pem"

_PASSWORD_DIGITS = 32


@dataclass(frozen=True)
class Topics:
    """Topic filters below the federation, {device} for the device's own name: those to publish on, those to
    read."""

    publish: tuple[str, ...]
    read: tuple[str, ...]

    def of(self, federation: str, device: str = "") -> "Topics":
        """Return them in full."""
        return Topics(
            *(
                tuple(wire.topic(federation, one.format(device=device)) for one in some)
                for some in (self.publish, self.read)
            )
        )


#: what a board may do
BOARD = Topics(
    publish=("update/{device}/#", "status/{device}", "telemetry/{device}"),
    read=("round/{device}", "model/#", "command/{device}", "offer/{device}", "release/#"),
)

#: users that are no boards: the commands serve and ota; monitor and devices; bridge
ROLES = {
    "aggregator": Topics(
        publish=("round/#", "model/#", "command/+", "offer/+", "release/#"),
        read=("update/#", "status/+", "telemetry/+"),
    ),
    "monitor": Topics(publish=(), read=("status/+", "telemetry/+")),
    "bridge": Topics(
        publish=("update/#", "status/+", "telemetry/+"), read=("round/#", "model/#", "command/+")
    ),
}


def board_user(federation: str, device: str) -> str:
    """Return the user that a device is at a broker. Only devices have a dot in it."""
    return f"{device}.{federation}"


def role_user(federation: str, role: str) -> str:
    """Return the user of one of ROLES."""
    return f"{role}-{federation}"


def board_password(federation: str, device: str, key: bytes) -> str:
    """Return a device's password: it follows from the key, which does not follow from it."""
    text = b"\0".join((b"fedmote/2", b"password", federation.encode(), device.encode()))
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_PASSWORD_DIGITS]


def board_settings(address: BrokerAddress, federation: str, device: str, key: bytes) -> dict[str, str]:
    """Return the settings by which a board finds its broker and enters it.

    A URL with a user is taken as it is. Without, a board has its own user and password over TLS; in the clear
    it tells none.
    """
    settings = {"BROKER": address.url}
    if address.tls and address.username is None:
        settings["BROKER_USER"] = board_user(federation, device)
        settings["BROKER_PASSWORD"] = board_password(federation, device, key)
    if address.ca is not None:
        settings["CA"] = CA_NAME
    return settings


def board_files(address: BrokerAddress) -> dict[str, bytes]:
    """Return the files that those settings name. Raises FedmoteError where one cannot be read."""
    if address.ca is None:
        return {}
    address.context()  # says what is wrong with the file
    return {CA_NAME: address.ca.read_bytes()}
