"""What ``ulab.py`` runs on a board, file by file: the time of each op with products, and of the bare calls of
ulab that it cannot do without, on arrays of the same sizes."""

#: Gives (a dict with left, limit, checks, us; ops), the model being gone then. ops: (number, name, MACs,
#: outputs, microseconds, products in a sum, channels, whether they stay apart, whether low is below the zero
#: point).
_OPS = """
import gc, time
from mote import model, port
from mote.kernels.ulab import scratch

def give(network):
    with open("input.bin", "rb") as file:
        file.readinto(network.input)
    gc.collect()

def measured(resident):
    network = model.load("model.mote", "ulab", resident)
    give(network)
    checks, spent = [], []
    for step in network.steps:
        step()
        checks.append(port.crc32(network.arena) & 0xFFFFFFFF)
    give(network)
    for step in network.steps:
        gc.collect()
        start = time.monotonic_ns()
        step()
        spent.append((time.monotonic_ns() - start) / 1000)
    gc.collect()
    found = {"left": gc.mem_free(), "limit": scratch.limit(), "checks": checks, "us": sum(spent)}
    return found, [
        described(op, spent[op.number])
        for op in network.ops
        if op.name in ("dense", "conv", "depthwise")
    ]

def described(op, spent):
    x, w, bias, _, _, y = op.tensors
    parameters = op.parameters
    zero_point, low = parameters[1:3] if op.name != "dense" else parameters[:2]
    channels = bias.size // 4
    columns = w.size // channels
    is_apart = op.name == "depthwise" and x.shape[-1] > 1
    return op.number, op.name, y.size * columns, y.size, spent, columns, channels, is_apart, low < zero_point
"""

#: A bare sequence is timed in a loop with nothing around it, and counts as often as a kernel has to run it.
#: ``accumulated`` is what ulab offers for products, in floats or split in bytes, whichever is faster.
_BARE = """
import gc, time
from ulab import numpy as np
from ulab.utils import from_int16_buffer

_TIMES = 12

# Return the microseconds of (np.dot or the split, the kernel's calls for products, those for requantisation).
def bare(limit, macs, outputs, columns, channels, is_apart, is_signed):
    pixels = outputs // channels
    if is_apart:
        a_product = two_taps(max(1, min(pixels, limit // 2 // channels)), channels)
    else:
        width = columns
        while width > 256 or columns % width:
            width -= 1
        rows = max(1, min(channels if pixels == 1 else pixels, limit // width))
        shape = width if pixels > 1 else (rows, width)
        a_product = products(rows, width, np.ones(shape, dtype=np.int8))
    gc.collect()
    a_sum = accumulated(max(1, min(pixels, limit // columns)), columns)
    gc.collect()
    at_once = max(1, min(pixels, limit // 6))
    an_output = requantised(max(1, min(channels, limit // 6 // at_once)), at_once, is_signed)
    gc.collect()
    return a_sum * macs, a_product * macs, an_output * outputs

def us(function):
    function()
    gc.collect()
    start = time.monotonic_ns()
    for _ in range(_TIMES):
        function()
    return (time.monotonic_ns() - start) / 1000 / _TIMES

def int16s(memory, shape):
    return np.frombuffer(memory, dtype=np.int16).reshape(shape)

# rows of weighted inputs, summed: by np.dot, and by int16 products of at most 128 that are split in bytes
def accumulated(rows, columns):
    x, w = np.ones((rows, columns), dtype=np.int8), np.ones(columns, dtype=np.int8)
    dotted = us(lambda: np.dot(x, w)) / (rows * columns)
    width = min(columns, 128)
    x, w = np.ones((rows, width), dtype=np.int16), np.ones(width, dtype=np.int16)
    eight, mask = np.array([8], dtype=np.uint8), np.array([255], dtype=np.int16)
    def split():
        p = w * x
        np.sum(np.right_shift(p, eight), axis=1) * 256.0 + np.sum(np.bitwise_and(p, mask), axis=1)
    return min(dotted, us(split) / (rows * width))

# rows of int16 times int8, the pairs of products split into their upper bytes and all, and summed
def products(rows, columns, operand):
    half, others = (columns + 1) // 2, columns // 2
    source, target = (memoryview(bytearray(2 * rows * columns)) for _ in range(2))
    product = int16s(target, (rows, columns))
    upper = np.frombuffer(target, dtype=np.int8).reshape((rows, 2 * columns))[:, 1 : 2 * half : 2]
    uppers = np.zeros((rows, half), dtype=np.int16)
    def run(product=product, first=product[:, :others], second=product[:, half:], pairs=product[:, :half]):
        nonlocal uppers
        target[:] = source
        product *= operand
        if others:
            first += second
        uppers += upper
        np.sum(uppers, axis=1)
        np.sum(pairs, axis=1)
    return us(run) / (rows * columns)

# products of two taps of a window, where channels stay apart
def two_taps(pixels, channels):
    count = pixels * channels
    source, target = (memoryview(bytearray(2 * count)) for _ in range(2))
    first, second = (int16s(memory, (pixels, channels)) for memory in (target, bytearray(2 * count)))
    upper = np.frombuffer(target, dtype=np.int8).reshape((pixels, 2 * channels))[:, 1::2]
    operand = np.ones(channels, dtype=np.int8)
    high, low = (np.zeros((pixels, channels), dtype=np.int16) for _ in range(2))
    def run(first=first, second=second, high=high, low=low):
        target[:] = source
        target[:] = source
        first *= operand
        second *= operand
        first += second
        low += first
        high += upper
    return us(run) / (2 * count)

# outputs of sums that are given as upper bytes and all
def requantised(rows, columns, is_signed):
    shape = rows, columns
    high, low = (np.ones(shape, dtype=np.int16) for _ in range(2))
    flat = high.reshape((rows * columns,))
    values = np.zeros(rows * columns)
    memory = bytearray(4 * rows * columns)
    nearest = np.frombuffer(memory, dtype=np.float).reshape(shape)
    lower = np.frombuffer(memory, dtype=np.int16).reshape((rows, 2 * columns))[:, ::2]
    factor, offset = np.ones((rows, 1)) * 0.37, np.ones((rows, 1)) * 0.3
    lowest = np.array([-128], dtype=np.int16)
    to_upper = np.array([256], dtype=np.int16)
    y = np.zeros((columns, rows), dtype=np.int8).transpose()
    def run(high=high, low=low, value=values.reshape(shape), nearest=nearest, y=y):
        high *= to_upper
        low -= high
        from_int16_buffer(flat, out=values)
        value *= 256.0
        value += low
        value *= factor
        value += offset
        if is_signed:
            value -= (value < 0.0) * offset
            value += offset
        nearest += 12582912.0
        clipped = np.maximum(lower, lowest)
        np.max(clipped)
        nearest -= 12582912.0
        value -= nearest
        value *= value
        np.max(value)
        y -= y
        y += np.frombuffer(clipped, dtype=np.int8).reshape((rows, 2 * columns))[:, ::2]
    return us(run) / (rows * columns)
"""

#: files on the board -> content
FILES = {"bench_ops.py": _OPS.encode(), "bench_bare.py": _BARE.encode()}

#: With RESIDENT, as ``model.load`` has it, before it. Prints what ``measured`` gives; its ops are (number,
#: name, MACs, outputs, microseconds, the three of ``bare``).
PROGRAM = """
import bench_ops, gc, json
found, ops = bench_ops.measured(RESIDENT)
gc.collect()
from bench_bare import bare
found["ops"] = [op[:5] + bare(found["limit"], op[2], op[3], *op[5:]) for op in ops]
print(json.dumps(found))
"""
