"""What a board's file system is to hold: program, model, recording and settings. It changes nothing there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fedmote.boards import image
from fedmote.boards.catalogue import Board
from fedmote.boards.deploying import adafruit, membership, settings
from fedmote.boards.deploying.order import REPLAY, Order
from fedmote.boards.deploying.settings import Value
from fedmote.boards.deploying.target import Target
from fedmote.datasets import Recording
from fedmote.errors import FedmoteError
from fedmote.federation import access
from fedmote.federation.broker import BrokerAddress
from fedmote.fleet import LEARN, Assignment, recording_of, settings_of
from fedmote.models.application import Application
from mote import features

SETTINGS, MODEL, RECORDING = "settings.toml", "model.mote", "recording.rec"
#: names the files that are ours, so that a later deploy may remove those that it no longer brings
MANIFEST = "fedmote.json"

# sensor -> key of the settings -> pin of boards.toml
_I2C_PINS = {"SDA": "sda", "SCL": "scl"}
_PINS = {
    **dict.fromkeys(adafruit.PACKAGES, _I2C_PINS),
    "microphone": {"MICROPHONE_CLOCK": "microphone_clock", "MICROPHONE_DATA": "microphone_data"},
}
_RING_PART = 15  # of the heap: windows must leave room for learning, the connection and an update
_RECORDING_PART = 8  # of the flash: the interpreter, the program and an update need the rest
_VALUE_BYTES = 2
_MOTE_HEAD_BYTES = 8  # magic, format version, header bytes


@dataclass(frozen=True)
class Contents:
    """files: path -> content of all that is wanted. kept: ours too, and to stay as it is. values: the
    settings. version: of the model, None for an untrained one or one that stays."""

    files: dict[str, bytes]
    kept: frozenset[str]
    values: dict[str, Value]
    version: int | None

    @property
    def device(self) -> str:
        """The board's id."""
        return str(self.values["DEVICE"])


def owned(manifest: bytes | None) -> tuple[str | None, frozenset[str]]:
    """Return the application and the files that a board's manifest names; nothing where it is damaged."""
    try:
        table = json.loads(manifest or b"{}")
        return table.get("app"), frozenset(str(path) for path in table.get("files", ()))
    except (ValueError, AttributeError, TypeError):
        return None, frozenset()


def manifest(application: str, paths: frozenset[str]) -> bytes:
    """Return the manifest of an application's files."""
    return json.dumps({"app": application, "files": sorted(paths)}, separators=(",", ":")).encode()


def gather(
    order: Order, runtime: str, target: Target, serial_number: str | None, provision: bool = True
) -> Contents:
    """Return all that the board is to hold.

    serial_number: of the board's chip; its id comes from it. provision: whether the
    federation's store may be changed; without, a key that it does not have is all
    zeros. Raises FedmoteError for what does not fit.
    """
    order.check()
    application = order.application
    text = (target.read(SETTINGS) or b"").decode("utf-8", errors="replace")
    existing = settings.read(text, f"on the board ({SETTINGS} there cannot be read: mend or remove it)")
    known_application, _ = owned(target.read(MANIFEST))
    same = known_application == application.name
    files = image.program(order.board, runtime)
    kept = set()

    sensor = order.sensor or (REPLAY if order.client else str(existing.get("SENSOR", REPLAY)))
    values: dict[str, Value | None] = {}
    if order.wifi:
        values.update(order.wifi)
    values["DEVICE"] = (
        order.device or existing.get("DEVICE") or membership.fresh_id(order.board, serial_number)
    )
    values["BOARD"] = order.board.name
    values.update(membership.entry(order, existing, str(values["DEVICE"]), provision))
    if order.ca is not None:
        files.update(access.board_files(replace(BrokerAddress.parse(str(values["BROKER"])), ca=order.ca)))
    elif existing.get("CA") == access.CA_NAME and target.find([access.CA_NAME]):
        kept.add(access.CA_NAME)
    values["SENSOR"] = sensor
    if sensor != REPLAY:
        values.update(RECORDING=None, REPLAY_SPEED=None)
        values.update(_live(order, runtime, {} if not same else existing))
        if runtime == "circuitpython":
            files.update(adafruit.libraries(sensor))
    elif order.client is None and same and target.find([RECORDING]):
        kept.add(RECORDING)
    else:
        seed = int(order.seed or existing.get("SEED") or 1)
        recording = _fitting(_recording(application, order.client), order.board, seed)
        assignment = Assignment(recording, order.role or LEARN)
        values.update(_replayed(application, assignment, seed, _windows(order, runtime)))
        files[RECORDING] = recording_of(assignment, seed)
    for key, value in (("ROLE", order.role), ("SEED", order.seed)):
        if value is not None:
            values[key] = value
    values.update(order.extra or {})
    text = settings.merged(text, values)
    files[SETTINGS] = text.encode()

    federation = str(values.get("FEDERATION") or existing.get("FEDERATION") or application.name)
    model, version = membership.newest_model(order, runtime, federation)
    there = target.read(MODEL) if version is None and same else None
    if there is not None and there[:_MOTE_HEAD_BYTES] == model[:_MOTE_HEAD_BYTES]:
        kept.add(MODEL)  # it may have been trained
    else:
        files[MODEL] = model
    return Contents(files, frozenset(kept), settings.read(text, "the new settings"), version)


def _recording(application: Application, client: str | None) -> Recording:
    recordings = {recording.client: recording for recording in application.recordings()}
    if client is not None and client not in recordings:
        raise FedmoteError(
            f"{application.name} has no recording of {client!r}, choose one of: {', '.join(recordings)}"
        )
    return recordings[client or next(iter(recordings))]


def _fitting(recording: Recording, board: Board, seed: int) -> Recording:
    """Return as many series of a recording as leave a board's flash to other things."""
    if board.chip == "host":
        return recording
    recording = recording.shuffled(seed)  # its classes stay mixed
    room = board.flash_bytes // _RECORDING_PART
    count = 0
    while count < len(recording.series) and room > 0:
        room -= recording.series[count].size * _VALUE_BYTES
        count += 1
    return replace(recording, labels=recording.labels[:count], series=recording.series[:count])


def _windows(order: Order, runtime: str) -> int:
    """Return how many windows a board keeps: what the application says, or what its heap has room for."""
    application = order.application
    width = features.make(vars(application.features)).width
    heap_bytes = order.board.runtimes[runtime].heap_bytes
    if heap_bytes is None:
        return application.board.ring
    per_window = 5 * width + 1  # float32 values, their int8 embedding, the label
    return max(application.board.minimum, min(application.board.ring, heap_bytes // _RING_PART // per_window))


def _replayed(
    application: Application, assignment: Assignment, seed: int, windows: int
) -> dict[str, Value | None]:
    """Return the settings that belong to a recording."""
    all_of_them = settings_of(application, assignment, "", "", b"", "", seed)
    keys = ("ROLE", "RECORDING", "HOLDOUT", "SEED")
    values: dict[str, Value | None] = {key: all_of_them[key] for key in keys}
    return {**values, "RING": windows, "MINIMUM": min(windows, int(all_of_them["MINIMUM"]))}


def _live(order: Order, runtime: str, existing: Mapping[str, Value]) -> dict[str, Value | None]:
    """Return the settings that a live sensor needs and that the board does not have yet."""
    application = order.application
    values: dict[str, Value] = {
        "RING": _windows(order, runtime),
        "HOLDOUT": application.board.holdout,
        "MINIMUM": application.board.minimum,
        "RATE_HZ": application.features.rate_hz,
    }
    wanted = _PINS.get(order.sensor or "", {})
    if wanted is not _I2C_PINS or runtime == "micropython":  # CircuitPython knows its own I2C pins
        pins = order.board.pins
        values.update({key: pins[pin] for key, pin in wanted.items() if pin in pins})
    return {key: value for key, value in values.items() if key not in existing}
