"""The kernels in machine code, for tests that run every one of them on its emulated core."""

import pytest

from fedmote.errors import FedmoteError
from fedmote.kernels import CORES, GENERATORS
from fedmote.kernels.board_code import stand_in
from fedmote.kernels.stand_in import StandIn

KERNELS = tuple(GENERATORS)
#: so many of a test's cases are run, where each call is a process
_FEW = {"xtensa": 6}


def cases(count: int) -> list[tuple[str, int]]:
    """Return (kernel, number) for each kernel and ``count`` numbers, fewer where it is slow here."""
    return [(kernel, number) for kernel in KERNELS for number in range(min(count, _FEW.get(kernel, count)))]


def native(kernel: str, cores: int = 1) -> StandIn:
    """Return a kernel as a board has it, bound for so many cores. Skips the test without its emulator."""
    try:
        CORES[kernel]()
    except FedmoteError as error:
        pytest.skip(str(error))
    return stand_in(kernel, cores)
