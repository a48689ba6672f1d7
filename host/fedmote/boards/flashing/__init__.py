"""Flashing: puts MicroPython or CircuitPython on a bare board. Programs and settings are not its business.

plan(order) says what it takes, Plan.run does it.
"""

from collections.abc import Callable

from fedmote.boards import images
from fedmote.boards.flashing import esp, uf2
from fedmote.boards.flashing.plan import Order, Plan, Step
from fedmote.errors import FedmoteError

__all__ = ["METHODS", "Order", "Plan", "plan"]

#: method in boards.toml -> the steps that it takes
METHODS: dict[str, Callable[[Order, images.Image], tuple[Step, ...]]] = {
    "uf2": uf2.steps,
    "esptool": esp.steps,
}


def plan(order: Order) -> Plan:
    """Return the steps that carry out an order. Looks at no board and downloads nothing.

    Raises FedmoteError where the order makes no sense for the board.
    """
    board = order.board
    if board.flash.method not in METHODS:
        raise FedmoteError(
            f"{board.name} needs no interpreter: nothing is flashed; `fedmote fleet` starts such boards"
        )
    if order.runtime not in board.runtimes:
        raise FedmoteError(
            f"{board.name} has no {order.runtime!r}, choose one of: {', '.join(board.runtimes)}"
        )
    if order.sha256 is not None and not images.is_sha256(order.sha256):
        raise FedmoteError(f"--sha256 {order.sha256!r} must be 64 hexadecimal digits in lower case")
    image = images.official(board, order.runtime)
    return Plan(order, image, METHODS[board.flash.method](order, image))
