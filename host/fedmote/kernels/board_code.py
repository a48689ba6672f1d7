"""Kernels of boards with the machine code that boards have, to run here: on emulated cores."""

from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError
from fedmote.kernels import CORES
from fedmote.kernels.stand_in import StandIn
from fedmote.kernels.viper import Viper
from mote import kernels

_FOLDER = f"lib/{kernels.__name__.replace('.', '/')}/"


def stand_in(kernel: str, cores: int = 1) -> StandIn:
    """Return a native kernel for one core or two. Raises FedmoteError where its emulator is missing."""
    core = CORES[kernel]()
    return StandIn(kernel, _files_with(kernel)[f"{kernel}/code"], core, cores)


def viper_beside(kernel: str) -> Viper:
    """Return the viper kernel for the core of a native one. Raises as ``stand_in``."""
    core = CORES[kernel]()
    return Viper(_files_with(kernel), core)


def _files_with(kernel: str) -> dict[str, bytes]:
    """Return the modules of all kernels that a board with this one has: path without ending -> .mpy."""
    for board in catalogue.load().values():
        runtime = board.runtimes.get("micropython")
        if runtime and runtime.kernels[0] == kernel:
            files = image.program(board, "micropython")
            return {
                path.removeprefix(_FOLDER).removesuffix(".mpy"): content
                for path, content in files.items()
                if path.startswith(_FOLDER)
            }
    raise FedmoteError(f"no board of boards.toml has the kernel {kernel!r} as its first")
