"""``fedmote image``: puts all that a board's file system needs into a folder, ready to be copied over."""

from pathlib import Path
from typing import Annotated

import typer

from fedmote.cli.options import App, Federation, State
from fedmote.errors import FedmoteError


def main(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it may exist.", show_default=False)],
    board: Annotated[str, typer.Option(help="The board, see fedmote boards.")] = "rpi_pico_w",
    runtime: Annotated[str, typer.Option(help="micropython or circuitpython.")] = "micropython",
    app: App = "watch",
    client: Annotated[
        str | None, typer.Option(help="Whose recording the board replays. (default: the first one)")
    ] = None,
    role: Annotated[str, typer.Option(help="learn, or evaluate only.")] = "learn",
    broker: Annotated[
        str, typer.Option(metavar="URL", help="The broker as the board reaches it.")
    ] = "mqtt://192.168.1.2:1883",
    federation: Federation = None,
    state: State = None,
    seed: Annotated[int, typer.Option(help="Of the order of the recording.")] = 1,
) -> None:
    """Write a board's file system into a folder: program, model, settings with a key of its own, recording.

    MicroPython files are compiled for the board's processor. Then fill in the Wi-Fi
    in settings.toml and copy it all over; the board starts by itself.

    Examples:
      fedmote image pico/ --board rpi_pico_w --broker mqtt://192.168.1.5
      mpremote cp -r pico/. : + reset
      fedmote image /media/CIRCUITPY --board adafruit_feather_esp32s3 --runtime circuitpython
    """
    from fedmote.boards import catalogue, image
    from fedmote.federation.broker import BrokerAddress
    from fedmote.federation.session import compile_model
    from fedmote.federation.store import STATE, STORE_NAME, Store
    from fedmote.fleet import EVALUATE, LEARN, Assignment, recording_of, settings_of
    from fedmote.models.application import Application

    application = Application.load(app)
    chosen = catalogue.find(board)
    if runtime not in chosen.runtimes:
        raise FedmoteError(f"{board} has no {runtime!r}, choose one of: {', '.join(chosen.runtimes)}")
    if role not in (LEARN, EVALUATE):
        raise FedmoteError(f"role {role!r} is unknown, choose one of: {LEARN}, {EVALUATE}")
    recordings = {recording.client: recording for recording in application.recordings()}
    if client is not None and client not in recordings:
        raise FedmoteError(f"{app} has no recording of {client!r}, choose one of: {', '.join(recordings)}")
    assignment = Assignment(recordings[client or next(iter(recordings))], role)
    name = federation or application.name
    with Store((state or STATE / name) / STORE_NAME) as store:
        key = store.provision(assignment.device)
    settings = settings_of(application, assignment, name, BrokerAddress.parse(broker).url, key, board, seed)
    if chosen.wireless:
        settings = {"CIRCUITPY_WIFI_SSID": "", "CIRCUITPY_WIFI_PASSWORD": "", **settings}
    image.write(folder, runtime, chosen.arch if runtime == "micropython" else None)
    (folder / "model.mote").write_bytes(
        compile_model(application, kernel=chosen.runtimes[runtime].kernels[0])
    )
    (folder / "recording.rec").write_bytes(recording_of(assignment, seed))
    path = folder / "settings.toml"
    path.touch(mode=0o600)
    path.write_text(image.settings_text(settings))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    typer.echo(
        f"{folder}: {size / 1000:.0f} kB for {chosen.title}, device {assignment.device} of federation {name}"
    )
