"""Who has yet to answer the open round and is online, or back from its rest before the deadline: found once,
kept while nothing changes."""

from collections.abc import Callable

from fedmote.federation.assignments import Assignments
from fedmote.federation.plan import BUFFERED, Plan
from fedmote.federation.roster import Roster


class Expected:
    """The devices that a round waits for. left_s: returns the seconds to its deadline."""

    def __init__(
        self, plan: Plan, roster: Roster, assignments: Assignments, left_s: Callable[[], float]
    ) -> None:
        self._plan, self._roster, self._assignments = plan, roster, assignments
        self._left_s = left_s
        self._waiting: set[str] | None = None

    def look_again(self) -> None:
        """Note that devices came, went, or were given something, or that the deadline is another one."""
        self._waiting = None

    def discard(self, device: str) -> None:
        """Note that a device has answered."""
        if self._waiting is not None:
            self._waiting.discard(device)

    def none(self) -> bool:
        """Tell whether everybody has answered; not where nobody is online."""
        return not self.now() and any(map(self._roster.is_present, self._roster.ours()))

    def evaluators(self) -> bool:
        """Tell whether boards that only evaluate have yet to answer; a buffer does not wait for them."""
        return self._plan.mode != BUFFERED and not all(map(self._roster.learns, self.now()))

    def resting(self) -> int:
        """Return how many learners are missing because they rest."""
        return sum(self._roster.learns(one) and not self._roster.is_present(one) for one in self.now())

    def now(self) -> set[str]:
        """Return whose answer is missing."""
        if self._waiting is None:
            self._waiting = {one for one in self._assignments.unanswered() if self._is_awaited(one)}
        return self._waiting

    def _is_awaited(self, device: str) -> bool:
        assignments = self._assignments
        if not self._roster.is_expected(device, self._left_s()):
            return False
        older = self._plan.mode == BUFFERED and assignments.has_older(device)
        return assignments.has_open(device) or older
