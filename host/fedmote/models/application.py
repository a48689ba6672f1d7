"""What an application is: its models/<name>/model.toml, checked. Nothing is trained or compiled here."""

import tomllib
from dataclasses import dataclass
from typing import Any

from fedmote import assets, datasets
from fedmote.datasets import FORMATS, Recording
from fedmote.errors import FedmoteError
from fedmote.models.tables import between, one_of, read
from mote import codec, features, wire


@dataclass(frozen=True)
class Data:
    """Where recorded data comes from. unseen: clients held back from learning unless asked otherwise."""

    package: str
    module: str
    file: str
    sha256: str
    format: str = one_of(*FORMATS)
    unseen: int = between(0, 1000)


@dataclass(frozen=True)
class Features:
    """From readings to a row; see lib/mote/features.py. window: readings. floor: added to each deviation."""

    kind: str = one_of(*features.KINDS)
    channels: int = between(1, 256)
    window: int = between(1, 65535)
    rate_hz: float = between(1e-3, 1e5)
    floor: float = between(1e-6, 1e6)

    @property
    def width(self) -> int:
        """Values per row: the inputs of the network."""
        return int(features.make(vars(self)).width)


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron. hidden: units of its ReLU layers. input_scale: of its int8 input."""

    hidden: tuple[int, ...] = between(1, 32768)
    input_scale: float = between(1e-6, 1e3)


@dataclass(frozen=True)
class Training:
    """The round's settings. epochs, batch, rate, decay: local SGD. minimum: updates that a round needs. Those
    with a default may be left out: they are federation.plan.Plan's."""

    rounds: int = between(1, 1_000_000)
    epochs: int = between(1, 1000)
    batch: int = between(1, 1000)
    rate: float = between(0, 1000)
    decay: float = between(0, 1000)
    codec: str = one_of(*codec.CODECS)
    deadline_s: float = between(1, 1e6)
    minimum: int = between(1, 1_000_000)
    maximum: int = between(0, 1_000_000, default=0)
    fraction: float = between(0, 1, default=1.0)
    spare: float = between(0, 10, default=0.0)
    late: str = one_of("discard", "staleness", default="discard")
    mode: str = one_of("rounds", "buffered", default="rounds")
    buffer: int = between(1, 1_000_000, default=10)


@dataclass(frozen=True)
class Board:
    """ring: windows that a board keeps. holdout: every how many-th is never trained on. minimum: windows to
    take part."""

    ring: int = between(2, 65535)
    holdout: int = between(2, 65535)
    minimum: int = between(1, 65535)


@dataclass(frozen=True)
class Bar:
    """What ``fedmote bench`` demands. federated: accuracy on unseen clients. gap: to centralised training.
    ratio: int8 to float32 bytes."""

    federated: float = between(0, 1)
    ratio: float = between(0, 1)
    gap: float = between(0, 1, default=1.0)


@dataclass(frozen=True)
class Application:
    """One folder of models/: its name, texts for people, class labels, and the tables above."""

    name: str
    title: str
    description: str
    labels: tuple[str, ...]
    data: Data
    reader: datasets.Format
    features: Features
    network: Network
    training: Training
    board: Board
    bar: Bar

    @classmethod
    def load(cls, name: str) -> "Application":
        """Read and check models/<name>/model.toml. Raises FedmoteError naming the file, the key and the
        value."""
        if name not in names():
            raise FedmoteError(f"application {name!r} is unknown, choose one of: {', '.join(names())}")
        path = assets.path("models", name, "model.toml")
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FedmoteError(f"{path}: {error}") from None
        application = parse(table, str(path))
        if application.name != name:
            raise FedmoteError(f"{path}: name = {application.name!r}: must be the folder's name, {name!r}")
        return application

    @property
    def layers(self) -> list[int]:
        """Units of every layer: inputs, hidden ones, classes."""
        return [self.features.width, *self.network.hidden, len(self.labels)]

    def recordings(self) -> list[Recording]:
        """Return every client's recording. Raises FedmoteError where the data is missing or does not fit
        model.toml."""
        data = self.data
        content = datasets.file_of(data.package, data.module, data.file, data.sha256)
        try:
            recordings = self.reader.read(content, self.features.rate_hz)
        except ValueError as error:
            raise FedmoteError(f"{self.name}: {data.file} as {data.format}: {error}") from None
        for recording in recordings:
            if recording.channels != self.features.channels:
                raise FedmoteError(
                    f"{self.name}: {data.file} has {recording.channels} channels, "
                    f"model.toml says {self.features.channels}"
                )
            if recording.labels.max() >= len(self.labels):
                raise FedmoteError(
                    f"{self.name}: {data.file} has label {recording.labels.max()}, "
                    f"model.toml {len(self.labels)} labels"
                )
        return recordings


def names() -> list[str]:
    """Return the names of all applications."""
    return sorted(path.parent.name for path in assets.path("models").glob("*/model.toml"))


def parse(table: dict[str, Any], where: str) -> Application:
    """Return the application that a parsed model.toml describes. where: its path, for messages. Raises
    FedmoteError."""
    table = dict(table)
    sections: dict[str, Any] = {}
    options: Any = {}
    for key, kind in _SECTIONS.items():
        section = table.pop(key, {})
        if kind is Data and isinstance(section, dict):
            section = dict(section)
            options = section.pop("options", {})
        sections[key] = read(kind, section, f"{where} [{key}]")
    reader = read(FORMATS[sections["data"].format], options, f"{where} [data.options]")
    application = read(Application, table, where, reader=reader, **sections)
    if not wire.valid_name(application.name):
        raise FedmoteError(f"{where}: name = {application.name!r}: must be 1 to 32 characters of a-z 0-9 _ -")
    return application


_SECTIONS: dict[str, Any] = {
    "data": Data,
    "features": Features,
    "network": Network,
    "training": Training,
    "board": Board,
    "bar": Bar,
}
