"""What a federation is to do: network, hyper-parameters and how
rounds end. Data only; aggregator.py acts on it."""

from dataclasses import dataclass

from fedmote.errors import FedmoteError
from fedmote.federation.bodies import Form
from fedmote.federation.rules import RULES
from mote import codec

TRAIN = "train"
EVALUATE = "evaluate"
IDLE = "idle"

_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Plan:
    """layout: 8 hexadecimal digits. sizes: values of each trainable
    tensor. range_count: activation ranges that boards report.

    codec: how deltas travel. epochs, batch, rate, decay: local SGD. minimum: learners that
    the first round waits for and updates that a round needs. rounds: how many rounds train,
    0 for no end. Raises FedmoteError for values that cannot be.
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

    def __post_init__(self) -> None:
        for name, table in (("codec", codec.CODECS), ("rule", RULES)):
            if getattr(self, name) not in table:
                raise FedmoteError(
                    f"{name} {getattr(self, name)!r} is unknown, choose one of: {', '.join(table)}"
                )
        for name, lowest, highest in _BOUNDS:
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise FedmoteError(f"{name} is {value}, it must be from {lowest} to {highest}")

    def form(self, codec_name: str) -> Form:
        """Return the form of the bodies of a round with this codec."""
        return Form(codec_name, self.sizes, self.range_count)


_BOUNDS = (
    ("epochs", 1, 1000),
    ("batch", 1, 1000),
    ("rate", 0, 1000),
    ("decay", 0, 1000),
    ("minimum", 1, 100_000),
    ("deadline_s", 0.1, _DAY_S),
    ("rounds", 0, 1_000_000),
)
