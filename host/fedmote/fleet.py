"""A fleet of virtual boards for one application: who replays which recording, who learns, and what lies in
each board's folder."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from fedmote.boards.virtual import Fleet, VirtualBoard
from fedmote.datasets import Recording
from fedmote.errors import FedmoteError
from fedmote.federation import access
from fedmote.federation.broker import BrokerAddress
from fedmote.models.application import Application

LEARN = "learn"
EVALUATE = "evaluate"

_FEWEST_LEARNERS = 2


@dataclass(frozen=True)
class Assignment:
    """One virtual board: the recording it replays, and whether it learns or only evaluates."""

    recording: Recording
    role: str

    @property
    def device(self) -> str:
        """The board's id, which is the recording's client."""
        return self.recording.client


def assign(application: Application, boards: int | None, seed: int) -> list[Assignment]:
    """Deal the application's recordings to ``boards`` boards (all
    of them when None); the last ones dealt are unseen.

    The application says how many stay unseen; of few boards, one. Raises
    FedmoteError where there are too few to learn, or more than recordings.
    """
    recordings = application.recordings()
    count = len(recordings) if boards is None else boards
    if not _FEWEST_LEARNERS + 1 <= count <= len(recordings):
        raise FedmoteError(
            f"--boards {count}: {application.name} takes {_FEWEST_LEARNERS + 1} to {len(recordings)} boards, "
            "one for each recording; at least one of them only evaluates"
        )
    dealt = random.Random(seed).sample(recordings, count)
    learners = max(_FEWEST_LEARNERS, count - application.data.unseen)
    chosen = [Assignment(recording, LEARN if n < learners else EVALUATE) for n, recording in enumerate(dealt)]
    return sorted(chosen, key=lambda one: (one.role != LEARN, one.device))


def lay_out(
    fleet: Fleet,
    application: Application,
    assignments: Sequence[Assignment],
    *,
    federation: str,
    broker: str,
    key_of: Callable[[str], bytes],
    mote: bytes,
    seed: int,
    replay_speed: float,
    ca: Path | None = None,
) -> list[VirtualBoard]:
    """Fill each board's folder. broker: URL. key_of: the key of a device. mote: the model file that boards
    start with. ca: file of the broker's CA, None for the usual ones. Raises FedmoteError where it cannot be
    read."""
    address = replace(BrokerAddress.parse(broker), ca=ca)
    boards = []
    for number, assignment in enumerate(assignments):
        key = key_of(assignment.device)
        settings = settings_of(application, assignment, federation, broker, key, "virtual", seed + number)
        settings["REPLAY_SPEED"] = replay_speed
        settings |= access.board_settings(address, federation, assignment.device, key)
        files = {"model.mote": mote, "recording.rec": recording_of(assignment, seed)}
        files |= access.board_files(address)
        boards.append(fleet.add(settings, files))
    return boards


def settings_of(
    application: Application,
    assignment: Assignment,
    federation: str,
    broker: str,
    key: bytes,
    board: str,
    seed: int,
) -> dict[str, str | int | float | bool]:
    """Return the settings.toml of a board that replays a recording. board: its name in boards.toml."""
    windows = _windows(assignment.recording, application.features.window)
    return {
        "FEDERATION": federation,
        "DEVICE": assignment.device,
        "KEY": key.hex(),
        "BROKER": broker,
        "ROLE": assignment.role,
        "BOARD": board,
        "SENSOR": "replay",
        "RECORDING": "recording.rec",
        "RING": application.board.ring,
        "HOLDOUT": application.board.holdout,
        "MINIMUM": min(application.board.ring, windows),
        "SEED": seed,
    }


def recording_of(assignment: Assignment, seed: int) -> bytes:
    """Return the file that the board replays, its series in an order drawn from the seed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "recording.rec"
        assignment.recording.shuffled(seed).write(path)
        return path.read_bytes()


def _windows(recording: Recording, window: int) -> int:
    return sum(len(series) // window for series in recording.series)
