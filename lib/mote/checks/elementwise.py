"""Ops on one value after another, and those that move values."""

from ..kernels.plain.arithmetic import int32_at
from .common import are_bounds, are_shifts, four

_INFINITE_SCALE = 0x7A000000  # 2^117 as float32 bits


def check_add(tensors, parameters):
    return are_shifts(parameters[4], parameters[6], parameters[8]) and _check_broadcast(tensors, parameters)


def check_mul(tensors, parameters):
    return are_shifts(parameters[4]) and _check_broadcast(tensors, parameters)


def _check_broadcast(tensors, parameters):
    a, b, y = tensors
    if not are_bounds(*parameters[-10:-8]) or not (a.is_activation and b.is_activation):
        return False
    counts = four(y.shape)
    return _reaches(a.size, 0, counts, parameters[-8:-4], 1) and _reaches(
        b.size, 0, counts, parameters[-4:], 1
    )


def rest_add(tensors, form, origin):
    return (four(tensors[2].shape),)


rest_mul = rest_add


def check_lookup(tensors, parameters):
    x, table, y = tensors
    return x.is_activation and x.size == y.size and not table.is_activation and table.size == 256


def check_move(tensors, parameters):
    x, y = tensors
    counts, block = parameters[:4], parameters[4]
    if min(counts) < 1 or block < 1:
        return False
    # no more bytes than there are in y, unless it is written twice, which no compiler does
    total = block
    for count in counts:
        total *= count
    return (
        total <= y.size
        and _reaches(x.size, parameters[5], counts, parameters[6:10], block)
        and _reaches(y.size, parameters[10], counts, parameters[11:15], block)
    )


def check_fill(tensors, parameters):
    return -128 <= parameters[0] <= 127


def check_gather(tensors, parameters):
    x, table, y = tensors
    block = parameters[0]
    if not x.is_activation or table.is_activation or block < 1 or table.size // 4 * block != y.size:
        return False
    return all(0 <= int32_at(table.data, n) <= x.size - block for n in range(table.size // 4))


def rest_lookup(tensors, form, origin):
    return ()


rest_move = rest_fill = rest_gather = rest_lookup


def check_dequantize(tensors, parameters):
    x, y = tensors
    # a scale so far below the largest float that no product exceeds it
    return x.is_activation and 4 * x.size == y.size and x.scale < _INFINITE_SCALE


def rest_dequantize(tensors, form, origin):
    return tensors[0].scale, tensors[0].zero_point


def _reaches(size, start, counts, steps, block):
    """Tell whether all that ``counts`` steps from ``start`` on touch lies in [0, size)."""
    lowest = highest = start
    for count, step in zip(counts, steps):
        reach = (count - 1) * step
        lowest += min(0, reach)
        highest += max(0, reach)
    return 0 <= lowest and highest + block <= size
