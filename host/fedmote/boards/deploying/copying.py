"""Does what a plan says, so that a board that is switched off at any point can be started and deployed to
again."""

from fedmote.boards.deploying import updates
from fedmote.boards.deploying.contents import MANIFEST, manifest, owned
from fedmote.boards.deploying.plan import LAST, Plan
from fedmote.boards.deploying.target import DRAFT, Advance, DiskFullError, Found, Target
from fedmote.errors import FedmoteError


def carry_out(target: Target, plan: Plan, advance: Advance) -> None:
    """Bring the files of a board to what the plan wants.

    advance: called with the bytes that have been written. Raises FedmoteError where the
    board is lost, full, or got other bytes than were sent; then drafts may be left on
    it, which the next deploy removes.
    """
    updates.end(target)
    target.remove(plan.first)
    _claim(target, plan)
    for group in plan.groups:
        places = {change.path: change.path + (DRAFT if change.waits else "") for change in group}
        try:
            for change in group:
                target.write(places[change.path], change.content, advance)
        except DiskFullError as error:
            target.remove(places.values())
            raise FedmoteError(
                f"{error}: the board's file system is full. Remove files of your own from it, then deploy "
                "again"
            ) from None
        arrived = target.find(places.values())
        for change in group:
            if arrived.get(places[change.path]) != Found.of(change.content):
                raise FedmoteError(
                    f"{target.name}: {change.path} did not arrive as it was sent: deploy again"
                )
        target.accept(path for path, place in places.items() if place != path)
    target.remove(plan.remove)
    _note(target, plan.manifest)


def _claim(target: Target, plan: Plan) -> None:
    """Note which files may become ours before they are there: a deploy that is interrupted may be followed by
    another one, of less. A program of somebody else is theirs until it has been set aside."""
    application, known = owned(target.read(MANIFEST))
    _, wanted = owned(plan.manifest)
    claimed = wanted.difference(LAST)
    if not claimed <= known:
        _note(target, manifest(application or "", known | claimed))


def _note(target: Target, content: bytes) -> None:
    if target.read(MANIFEST) != content:
        target.write(MANIFEST + DRAFT, content, lambda count: None)
        target.accept([MANIFEST])
