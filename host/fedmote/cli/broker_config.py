"""``fedmote broker-config``: writes what mosquitto needs to let a federation's boards in, and nobody else."""

from pathlib import Path
from typing import Annotated

import typer

from fedmote.cli.options import State
from fedmote.errors import FedmoteError
from mote import wire


def main(
    folder: Annotated[Path, typer.Argument(help="Where to write it all.", show_default=False)],
    federation: Annotated[str, typer.Option(help="Name of the federation.")] = "watch",
    state: State = None,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or address by which boards reach the broker; may be repeated. Needed the first time.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for boards.")] = 8883,
    aggregator_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port for the aggregator, monitor and bridge.")
    ] = 8884,
    cert: Annotated[
        Path | None,
        typer.Option(
            help="The broker's certificate (PEM) from another CA, instead of one of our own.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).", show_default=False)] = None,
    at: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where FOLDER/broker will lie on the broker's machine, if that is another one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the configuration of a mosquitto for a federation: TLS, users, access rules, a CA.

    Each provisioned device may publish under its own topics only and read what is meant for it. Run it again
    after fedmote provision: what holds already stays. See docs/security.md.

    Examples:
      fedmote broker-config house/ --federation house --host 192.168.1.5
      mosquitto -c house/broker/mosquitto.conf
      fedmote provision kitchen --federation house \\
        --broker mqtts://192.168.1.5 --ca house/ca.pem
      fedmote broker-config house/ --federation house  # again: a device more
      kill -HUP $(pidof mosquitto)
      fedmote serve --federation house --ca house/ca.pem \\
        --broker mqtts://aggregator-house@192.168.1.5:8884 \\
        --password-file house/aggregator.password
    """
    from fedmote.federation import access, broker_folder
    from fedmote.federation.devices import Devices
    from fedmote.federation.store import STATE, STORE_NAME

    if not wire.valid_name(federation):
        raise FedmoteError(f"federation name {federation!r}: use 1 to 32 characters of a-z, 0-9, - and _")
    if (cert is None) != (key is None):
        raise FedmoteError("--cert and --key go together: name both or none")
    if cert is not None and host:
        raise FedmoteError("--host is for a certificate of our own: leave it out, or --cert and --key")
    if port == aggregator_port:
        raise FedmoteError(f"port {port} cannot be both: choose another --port or --aggregator-port")
    path = (state or STATE / federation) / STORE_NAME
    if not path.exists():
        raise FedmoteError(
            f"there is no federation in {path.parent}: provision devices first, "
            "or name its folder with --state"
        )
    with Devices(path, read_only=True) as store:
        keys = {name: one for name in (d.device for d in store.devices()) if (one := store.key(name))}
    wanted = broker_folder.Wanted(
        federation, keys, host or (), port, aggregator_port, (cert, key) if cert and key else None, at
    )
    outcome = broker_folder.write(folder, wanted)
    if not outcome.changed:
        print(f"{folder} was up to date: {_devices(len(keys))}")
        return
    print(f"{folder}: {_devices(len(keys))}; written: {', '.join(outcome.changed)}")
    where = at or folder / broker_folder.BROKER
    name = outcome.hosts[0] if outcome.hosts else "HOST"
    ca = "" if cert else f" --ca {folder / broker_folder.CA}"
    password = broker_folder.password_file(folder, "aggregator")
    user = access.role_user(federation, "aggregator")
    print(
        f"  start      mosquitto -c {where / broker_folder.CONFIGURATION}\n"
        "  or reload  kill -HUP PID (users and certificate; ports need a new start)\n"
        f"  boards     fedmote provision NAME --federation {federation} --broker mqtts://{name}:{port}{ca}\n"
        f"  aggregator fedmote serve --federation {federation} "
        f"--broker mqtts://{user}@{name}:{aggregator_port}{ca} --password-file {password}"
    )


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"
