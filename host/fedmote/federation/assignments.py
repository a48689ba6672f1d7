"""What each device is asked to do, and the manifest that tells it. It opens and ends no round."""

from collections.abc import Iterable

from fedmote.federation.given import Assignment
from fedmote.federation.manifests import Manifest, manifest_message
from fedmote.federation.plan import IDLE, TRAIN, Plan
from fedmote.federation.protocol import Reason, Refusal
from fedmote.federation.roster import Roster
from fedmote.federation.selection import STALENESS_LIMIT, epochs_for
from fedmote.federation.store import Store
from fedmote.federation.turn import Turn

#: a board may sleep so long while there is no round
REST_MS = 600_000


class Assignments:
    """The assignments of one federation: in memory, with the store as truth.

    ``number``: of the open round, None where there is none.
    """

    def __init__(self, store: Store, federation: str, plan: Plan, roster: Roster, turn: Turn) -> None:
        self._store, self._federation, self._plan = store, federation, plan
        self._roster, self._turn = roster, turn
        self._told: dict[str, str] = {}  # the phase in the manifest that the broker retains, where known
        self._manifests: dict[int, Manifest] = {}
        self.number: int | None = None
        self.read()

    def read(self) -> None:
        """Read the store again."""
        self._given = self._store.assignments()
        self._oldest = int(self._store.meta("floor") or 0)

    def make_stale(self, newest: int, floor: bool = False) -> None:
        """Let updates count no more that are too old beside a new version. floor: all that there are."""
        if floor:
            self._store.set_meta("floor", str(newest))
        self._oldest = max(int(self._store.meta("floor") or 0), newest - STALENESS_LIMIT)

    def give(self, manifest: Manifest, devices: Iterable[str]) -> None:
        """Give the open round to devices and tell them."""
        given = {
            device: Assignment(
                manifest.round, manifest.edition, epochs_for(self._plan, self._roster[device].epoch_ms)
            )
            for device in devices
        }
        self._given |= given
        self._store.assign((device, one.round, one.edition, one.epochs) for device, one in given.items())
        for device, one in given.items():
            self._send(device, manifest, one.epochs, 0)

    def repeat(self, device: str) -> None:
        """Tell a device again what it was given."""
        one = self._given[device]
        manifest = self._manifest(one.round)
        self._send(device, manifest.phased(manifest.phase, one.edition), one.epochs, 0)

    def rest(self, device: str, manifest: Manifest, wait_ms: int, again: bool = False) -> None:
        """Tell a device that there is nothing for it, once, or again. manifest: of now."""
        if again or self._told.get(device) != IDLE:
            self._send(device, manifest.phased(IDLE, manifest.edition), manifest.epochs, wait_ms)

    def answered(self, device: str, number: int) -> None:
        """Note that a device needs no better answer for a round."""
        one = self._given.get(device)
        if one is not None and one.round == number and not one.answered:
            one.answered = True
            self._store.answered(device)

    def unanswered(self) -> list[str]:
        """Return the devices that have not answered what they were given, the open round or an older one."""
        return [device for device, one in self._given.items() if not one.answered]

    def withdraw_older(self) -> None:
        """Take back what was given in older rounds than the open one and not answered."""
        number = self._store.last_number() + (self.number is None)
        self._given = {d: one for d, one in self._given.items() if one.answered or one.round >= number}
        self._store.unassign(number)

    def has_open(self, device: str) -> bool:
        """Tell whether a device was given the open round."""
        given = self._given.get(device)
        return given is not None and given.round == self.number

    def has_older(self, device: str) -> bool:
        """Tell whether a device is at work on an older round and its update may still count."""
        given = self._given.get(device)
        return (
            self._plan.takes_late
            and given is not None
            and not given.answered
            and given.round != self.number
            and self._roster.is_ours(device)
            and self._roster.learns(device)  # a late evaluation is worth nothing
            and self._may_count(given.round)
        )

    def free_learners(self, within_s: float) -> list[str]:
        """Return the learners that were not given the open round, work on no older one, and are online or
        back in that time."""
        learners = self._roster.learners(within_s)
        return [one for one in learners if not (self.has_open(one) or self.has_older(one))]

    def older_versions(self) -> set[int]:
        """Return the versions that devices at work on older rounds may want to fetch."""
        return {
            self._manifest(one.round).version for device, one in self._given.items() if self.has_older(device)
        }

    def late_base(self, device: str, number: int) -> Manifest:
        """Return the manifest that a late update was made for.

        Raises Refusal(ROUND) where it may not count.
        """
        given = self._given.get(device)
        if not self._plan.takes_late or given is None or given.round != number or not self._may_count(number):
            raise Refusal(Reason.ROUND, answer=True)
        return self._manifest(number)

    def _may_count(self, number: int) -> bool:
        manifest = self._manifest(number)
        return manifest.phase == TRAIN and manifest.version >= self._oldest

    def _manifest(self, number: int) -> Manifest:
        if number not in self._manifests:
            self._manifests[number] = self._store.manifest(number)
        return self._manifests[number]

    def _send(self, device: str, manifest: Manifest, epochs: int, pause_ms: int) -> None:
        member = self._roster[device]
        self._told[device] = manifest.phase
        self._turn.send(
            device,
            manifest_message(
                self._federation, device, member.key, manifest, epochs, member.counter, pause_ms
            ),
        )
