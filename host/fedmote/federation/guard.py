"""Who may speak, and how much: limits for each device, before anything of a message is parsed but its topic.

It looks at no content. Whoever may publish under a device's name can use up its share and get its messages
refused for a while, so a message that nobody signed puts no device into quarantine: only what a device itself
signed does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fedmote.federation.protocol import UPDATE, Reason
from mote import wire

#: signed bodies that are refused within STRIKES_S, and then the device is in quarantine
STRIKES = 3
STRIKES_S = 24 * 3600.0
#: what a device signed and should not have
FAULTS = frozenset((Reason.SHAPE, Reason.NOT_FINITE, Reason.BOUNDS))

_MESSAGES_PER_S = 50  # beside one body a second
_BURST_S = 10  # of which so much may come at once
_MESSAGE_BYTES = wire.MESSAGE_BYTES + 200  # with its topic
_LARGEST = 1 << 16  # what a message counts at most
_TOLD_PER_S = 100


@dataclass(slots=True)
class _Share:
    """What a device may send now. at: when that was so. faults: times of its last ones. counter: of the last
    one, so that a stranger who repeats it counts for nothing."""

    messages: float
    bytes: float
    at: float
    faults: tuple[float, ...] = ()
    counter: int = -1


class Guard:
    """The limits of one federation, for each branch of a device's topics: telemetry holds up no update. It
    remembers provisioned devices only, however many strangers come.

    pieces: messages of a body. clock: seconds, monotonic.
    """

    def __init__(self, pieces: int, clock: Callable[[], float]) -> None:
        self._rate = float(_MESSAGES_PER_S + pieces)
        self._most = self._rate * _BURST_S
        self._clock = clock
        self._shares: dict[tuple[str, str], _Share] = {}  # by branch and device
        self._told, self._told_at = 0, clock()

    def admits(self, branch: str, device: str, size: int) -> bool:
        """Tell whether a message of ``size`` bytes of a provisioned device is taken now, and count it."""
        size = min(size, _LARGEST)
        share, now = self._share(branch, device), self._clock()
        passed = now - share.at
        share.at = now
        share.messages = min(self._most, share.messages + passed * self._rate)
        share.bytes = min(self._most * _MESSAGE_BYTES, share.bytes + passed * self._rate * _MESSAGE_BYTES)
        if share.messages < 1 or share.bytes < size:
            return False
        share.messages -= 1
        share.bytes -= size
        return True

    def convicts(self, device: str, reason: Reason, counter: int) -> bool:
        """Note a signed body that was refused; tell whether its device is to go into quarantine."""
        share, now = self._share(UPDATE, device), self._clock()
        if reason not in FAULTS or counter <= share.counter:
            return False
        share.counter = counter
        share.faults = (*share.faults, now)[-STRIKES:]
        return len(share.faults) == STRIKES and now - share.faults[0] <= STRIKES_S

    def tells(self) -> bool:
        """Tell whether to report one more refused message: whoever floods us must not flood our logs."""
        now = self._clock()
        if now - self._told_at >= 1:
            self._told, self._told_at = 0, now
        self._told += 1
        return self._told <= _TOLD_PER_S

    def _share(self, branch: str, device: str) -> _Share:
        share = self._shares.get((branch, device))
        if share is None:
            share = _Share(self._most, self._most * _MESSAGE_BYTES, self._clock())
            self._shares[branch, device] = share
        return share
