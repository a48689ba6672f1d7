"""Options that several commands have, so that they read the same everywhere."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedmote.errors import FedmoteError

if TYPE_CHECKING:
    from fedmote.federation.broker import BrokerAddress

App = Annotated[str, typer.Option(help="The application: a folder of models/.")]
Federation = Annotated[
    str | None,
    typer.Option(help="Name of the federation, part of every topic. (default: the application's)"),
]
Port = Annotated[
    str | None,
    typer.Option(
        "--port",
        "-p",
        help="Serial port, pty or socket://host:port. Without it the one board that is there is used.",
        show_default=False,
    ),
]
Baud = Annotated[int, typer.Option(help="Speed of a UART; USB and ptys ignore it.", min=300)]
State = Annotated[
    Path | None,
    typer.Option(
        help="The aggregator's folder: keys, models and rounds. (default: fedmote-state/FEDERATION)"
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option(
        envvar="FEDMOTE_CA",
        help="PEM file of the CA that the broker's certificate is from. (default: the system's CAs)",
        show_default=False,
    ),
]
Cert = Annotated[
    Path | None,
    typer.Option(envvar="FEDMOTE_CERT", help="Client certificate for the broker (PEM).", show_default=False),
]
Key = Annotated[
    Path | None,
    typer.Option(envvar="FEDMOTE_KEY", help="Key of the client certificate (PEM).", show_default=False),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        envvar="FEDMOTE_PASSWORD_FILE",
        metavar="FILE",
        help="File with the password of the user in --broker.",
        show_default=False,
    ),
]


def broker_address(
    url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None,
    password_file: Path | None = None,
) -> "BrokerAddress":  # fmt: skip
    """Return where the broker is and how to enter it. Raises FedmoteError for options that do not fit."""
    from fedmote.federation.broker import BrokerAddress

    address = BrokerAddress.parse(url)
    if not address.tls and (ca or cert or key):
        raise FedmoteError(f"--ca, --cert and --key are for TLS, {address} has none: write mqtts://")
    if (cert is None) != (key is None):
        raise FedmoteError("--cert and --key go together: name both or none")
    password = address.password
    if password_file is not None and password is None:
        if address.username is None:
            raise FedmoteError(f"--password-file is for a user: name one, as in mqtts://USER@{address.host}")
        try:
            password = password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise FedmoteError(f"--password-file {password_file}: {reason}") from None
    return replace(address, password=password, ca=ca, certificate=cert, key=key)


def read_labels(given: str | None) -> list[str]:
    """Return class names: from a file with one a line, or a text with commas. Raises FedmoteError."""
    if given is None:
        return []
    path = Path(given)
    if "," in given or not path.is_file():
        return [label.strip() for label in given.split(",")]
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FedmoteError(f"{path}: {error}") from None
