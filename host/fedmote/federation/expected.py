"""Who is online and has not answered the open round: found once, kept while nothing changes."""

from fedmote.federation.assignments import Assignments
from fedmote.federation.plan import BUFFERED, Plan
from fedmote.federation.roster import Roster


class Expected:
    """The devices that a round waits for."""

    def __init__(self, plan: Plan, roster: Roster, assignments: Assignments) -> None:
        self._plan, self._roster, self._assignments = plan, roster, assignments
        self._waiting: set[str] | None = None

    def look_again(self) -> None:
        """Note that devices came, went, or were given something."""
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

    def now(self) -> set[str]:
        """Return whose answer is missing."""
        if self._waiting is None:
            self._waiting = {one for one in self._assignments.unanswered() if self._is_awaited(one)}
        return self._waiting

    def _is_awaited(self, device: str) -> bool:
        assignments = self._assignments
        if not self._roster.is_present(device):
            return False
        older = self._plan.mode == BUFFERED and assignments.has_older(device)
        return assignments.has_open(device) or older
