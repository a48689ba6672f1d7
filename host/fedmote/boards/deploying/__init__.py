"""Puts the program, the model and the settings onto a board that has an interpreter."""

from typing import NamedTuple

from fedmote.boards.deploying import checks
from fedmote.boards.deploying import plan as planning
from fedmote.boards.deploying.contents import Contents, gather
from fedmote.boards.deploying.order import Order
from fedmote.boards.deploying.plan import Plan
from fedmote.boards.deploying.target import Target

__all__ = ["Deployment", "Order", "prepare"]


class Deployment(NamedTuple):
    """What a board is to hold, and what is to be done for it."""

    runtime: str
    contents: Contents
    plan: Plan


def prepare(order: Order, target: Target, provision: bool = True) -> Deployment:
    """Find out what an order takes on this board; the board is not changed.

    provision: whether the federation's store may be, as carrying it out needs. Raises
    FedmoteError for the wrong board or interpreter, for what does not fit together,
    and for a full file system.
    """
    identity = target.identify()
    runtime = checks.runtime_of(order.board, order.runtime, identity)
    contents = gather(order, runtime, target, identity.serial_number if identity else None, provision)
    return Deployment(runtime, contents, planning.make(target, contents, order.application.name))
