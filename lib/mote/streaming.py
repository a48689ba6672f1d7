"""Weights that stay in the file: read block by block into one
buffer, for models that are larger than the heap."""

from array import array

from .ops import DEPTHWISE, PRODUCTS, TAPS
from .port import collect

BLOCK_BYTES = 8192


def rows_of_block(op):
    """Return (rows of weights per block, bytes of a row): as
    many as fit BLOCK_BYTES and divide the outputs."""
    tensors = op.tensors
    outputs = tensors[2].size // 4
    row = tensors[1].size // outputs
    if op.code in (DEPTHWISE, TAPS):  # an output reads its own part of x: kernels do not look for that
        return outputs, row
    together = 4 if op.code == PRODUCTS else 1  # rows that lie interleaved
    units = outputs // together
    chosen = max(1, min(units, BLOCK_BYTES // (together * row)))
    while units % chosen:
        chosen -= 1
    return together * chosen, row


def binder(ops, blocks, file):
    """Return bind(op), which returns the op's run(), which reads weights from ``file`` if they are there.

    ops: all of a model, which share a buffer for a block of weights. blocks: how their kernel binds them.
    run() raises OSError where the file cannot be read.
    """
    weights = constants = 0
    for op in ops:
        if _is_streamed(op):
            rows, row = rows_of_block(op)
            weights = max(weights, rows * row)
            constants = max(constants, 4 * rows)
    if blocks != "alike":
        constants = 0
    buffers = [memoryview(bytearray(size)) for size in (weights, constants, constants, constants)]

    def bind(op):
        return _streamed(op, blocks, file, buffers) if _is_streamed(op) else op.bind()

    return bind


def _is_streamed(op):
    tensors = op.tensors
    return len(tensors) == 6 and tensors[1].data is None


def _streamed(op, blocks, file, buffers):
    tensors = op.tensors
    rows, row = rows_of_block(op)
    start, weights = tensors[1].offset, buffers[0][: rows * row]
    count = tensors[2].size // 4 // rows

    def read():
        if file.readinto(weights) != len(weights):
            raise OSError("the model's file ends early: it was changed")

    if blocks == "anew":

        def compute(block):
            _bound(op, tensors, weights, rows, block)()

    elif blocks == "kept":
        runs = []
        file.seek(start)
        for block in range(count):
            read()
            collect()
            runs.append(_bound(op, tensors, weights, rows, block))

        def compute(block):
            runs[block]()

    else:
        compute = _bound_once(op, tensors, weights, rows, buffers[1:])

    def run():
        file.seek(start)
        for block in range(count):
            read()
            compute(block)

    return run


def _bound(op, tensors, weights, rows, block):
    """Return run() for the block whose weights are there."""
    constants = [tensor.data[4 * rows * block : 4 * rows * (block + 1)] for tensor in tensors[2:5]]
    return op.bind_views(
        tensors, [tensors[0].data, weights] + constants + [tensors[5].data], array("H", [rows * block])
    )


def _bound_once(op, tensors, weights, rows, buffers):
    """Return compute(block) for a kernel that does not look at constants before it runs."""
    constants, origin = [buffer[: 4 * rows] for buffer in buffers], array("H", [0])
    pairs = list(zip(constants, [tensor.data for tensor in tensors[2:5]]))
    run = op.bind_views(tensors, [tensors[0].data, weights] + constants + [tensors[5].data], origin)

    def compute(block):
        for target, source in pairs:
            target[:] = source[4 * rows * block : 4 * rows * (block + 1)]
        origin[0] = rows * block
        run()

    return compute
