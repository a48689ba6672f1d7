"""Whether a board is the one that was named, with the interpreter that is wanted."""

from fedmote.boards import catalogue
from fedmote.boards.catalogue import Board
from fedmote.boards.repl import Identity
from fedmote.errors import FedmoteError

_OLDEST_MICROPYTHON = (1, 23)  # that loads the .mpy files of today's compiler


def runtime_of(board: Board, wanted: str | None, identity: Identity | None) -> str:
    """Return the runtime to deploy for: the one that is wanted, and that runs there.

    identity: what the board says, None where nothing tells. Raises FedmoteError where it is another board,
    another interpreter or too old a one.
    """
    runtime = wanted or (identity.runtime if identity else next(iter(board.runtimes)))
    if runtime not in board.runtimes:
        raise FedmoteError(
            f"{board.name} has no {runtime!r}, choose one of: {', '.join(board.runtimes)} (--runtime)"
        )
    if identity is None:
        return runtime
    _check_board(board, identity)
    if identity.runtime != runtime:
        raise FedmoteError(
            f"the board runs {identity.runtime} {identity.version}, not {runtime}: deploy with "
            f"--runtime {identity.runtime}, or put the other one on it: "
            f"fedmote flash --board {board.name} --runtime {runtime}"
        )
    if runtime == "micropython" and _numbers(identity.version) < _OLDEST_MICROPYTHON:
        oldest = ".".join(map(str, _OLDEST_MICROPYTHON))
        raise FedmoteError(
            f"the board runs MicroPython {identity.version}, and its compiled files need {oldest} or newer: "
            f"fedmote flash --board {board.name} --runtime micropython"
        )
    return runtime


def _check_board(board: Board, identity: Identity) -> None:
    """Compare the chip, and the image where the interpreter tells it and boards.toml has it."""
    says = f"the board says that it is a {identity.machine}"
    if identity.chip is not None and identity.chip != board.chip:
        raise FedmoteError(f"{says}, but {board.name} has an {board.chip}: {_others(identity)}")
    runtime = board.runtimes.get(identity.runtime)
    if runtime is not None and identity.build != runtime.image and _of_image(identity):
        raise FedmoteError(
            f"{says} ({identity.build}), but {board.name} is {runtime.image}: {_others(identity)}, "
            f"or flash {board.name}'s image"
        )


def _of_image(identity: Identity) -> list[str]:
    return [
        board.name
        for board in catalogue.load().values()
        if any(
            name == identity.runtime and runtime.image == identity.build
            for name, runtime in board.runtimes.items()
        )
    ]


def _others(identity: Identity) -> str:
    names = _of_image(identity) or [
        board.name for board in catalogue.load().values() if board.chip == identity.chip
    ]
    return f"deploy with --board {' or '.join(names)}" if names else "`fedmote boards` lists all"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
