"""What a federation is to do: network, hyper-parameters and how
rounds end. Data only; aggregator.py acts on it."""

from dataclasses import dataclass
from functools import cache

from fedmote.errors import FedmoteError
from fedmote.federation.bodies import Form
from fedmote.federation.rules import RULES
from mote import codec, wire

TRAIN = "train"
EVALUATE = "evaluate"
IDLE = "idle"

DISCARD = "discard"
STALENESS = "staleness"
#: what becomes of an update whose round has ended: it is refused, or weighs less in the next aggregate
LATE = (DISCARD, STALENESS)

ROUNDS = "rounds"
BUFFERED = "buffered"
#: boards start together, or each from the newest model when it is done with the last one (FedBuff)
MODES = (ROUNDS, BUFFERED)

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Plan:
    """layout: 8 hexadecimal digits. sizes: values of each trainable tensor. range_count: activation ranges
    that boards report.

    codec: how deltas travel. epochs, batch, rate, decay: local SGD. minimum: learners that the first round
    waits for and updates that a round needs. maximum: updates after which it ends, 0 for all. fraction: of
    the learners online that are chosen for a round. spare: how many more than needed are chosen, as a part of
    those; the slowest of them come too late. late: what becomes of a late update, one of LATE. mode: one of
    MODES. buffer: updates that make a model in mode ``buffered``. rounds: how many rounds train, 0 for no
    end. seed: of the choice. Raises FedmoteError for values that cannot be.
    """

    layout: str
    sizes: tuple[int, ...]
    range_count: int
    codec: str = "int8"
    epochs: int = 1
    batch: int = 8
    rate: float = 0.05
    decay: float = 0.0
    minimum: int = 2
    deadline_s: float = 60.0
    rounds: int = 0
    rule: str = "fedavg"
    maximum: int = 0
    fraction: float = 1.0
    spare: float = 0.0
    late: str = DISCARD
    mode: str = ROUNDS
    buffer: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, table in (
            ("codec", codec.CODECS), ("rule", RULES), ("late", LATE), ("mode", MODES),
        ):  # fmt: skip
            if getattr(self, name) not in table:
                raise FedmoteError(
                    f"{name} {getattr(self, name)!r} is unknown, choose one of: {', '.join(table)}"
                )
        for name, lowest, highest in _BOUNDS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise FedmoteError(f"{name} is {value}, it must be from {lowest} to {highest}")

        if 0 < self.maximum < self.minimum:
            raise FedmoteError(f"maximum is {self.maximum}, it must be 0 or at least minimum, {self.minimum}")

    @property
    def pieces(self) -> int:
        """Messages of the longest body that a board may send."""
        lengths = self.form(self.codec).lengths.values()
        return int(wire.piece_count(max(max(one) for one in lengths)))

    @property
    def takes_late(self) -> bool:
        """Whether an update may go into a later round than the one that it was made for."""
        return self.late == STALENESS or self.mode == BUFFERED

    @property
    def needed(self) -> int:
        """Updates without which no round makes a model."""
        return min(self.minimum, self.buffer) if self.mode == BUFFERED else self.minimum

    def form(self, codec_name: str) -> Form:
        """Return the form of the bodies of a round with this codec."""
        return _form(codec_name, self.sizes, self.range_count)


_form = cache(Form)  # what it has worked out is asked for with every message

_BOUNDS = (
    ("epochs", 1, 1000),
    ("batch", 1, 1000),
    ("rate", 0, 1000),
    ("decay", 0, 1000),
    ("minimum", 1, 100_000),
    ("deadline_s", 0.1, _DAY_S),
    ("rounds", 0, 1_000_000),
    ("maximum", 0, 100_000),
    ("fraction", 1e-6, 1),
    ("spare", 0, 10),
    ("buffer", 1, 100_000),
)
