"""Weights that stay in the file: read block by block into one
buffer, for models that are larger than the heap."""

from array import array

from .ops import DEPTHWISE, PRODUCTS, TAPS

BLOCK_BYTES = 4096


def rows_of_block(op):
    """Return (rows of weights per block, bytes of a row): as
    many as fit BLOCK_BYTES and divide the outputs."""
    outputs = op.tensors[2].size // 4
    row = op.tensors[1].size // outputs
    if op.code in (DEPTHWISE, TAPS):  # an output reads its own part of x: kernels do not look for that
        return outputs, row
    together = 4 if op.code == PRODUCTS else 1  # rows that lie interleaved
    units = outputs // together
    chosen = max(1, min(units, BLOCK_BYTES // (together * row)))
    while units % chosen:
        chosen -= 1
    return together * chosen, row


def buffers_for(ops):
    """Return what all streamed ops of a model share: a buffer for a
    block of weights, and three for its constants."""
    weights = constants = 0
    for op in ops:
        rows, row = rows_of_block(op)
        weights = max(weights, rows * row)
        if rows < op.tensors[2].size // 4:
            constants = max(constants, 4 * rows)
    return [memoryview(bytearray(size)) for size in (weights, constants, constants, constants)]


class Streamed:
    """An op with its weights in ``file``; ``run`` reads and computes
    block after block. buffers: of ``buffers_for``."""

    def __init__(self, model, op, file, buffers):
        self._model, self._op, self._file = model, op, file
        rows, row = rows_of_block(op)
        self._rows = rows
        self._blocks = op.tensors[2].size // 4 // rows
        self._weights = buffers[0][: rows * row]
        self._constants = []
        constants, self._origin = [tensor.data for tensor in op.tensors[2:5]], model.origin
        if self._blocks > 1:
            constants = self._constants = [buffer[: 4 * rows] for buffer in buffers[1:]]
            self._origin = array("H", [0])
        self._views = [op.tensors[0].data, self._weights] + constants + [op.tensors[5].data]
        self._run = None if model.kernel.LOOKS_ONCE else op.bind_views(model, self._views, self._origin)

    def run(self):
        """Compute the op. Raises OSError where the file cannot be read."""
        rows = self._rows
        self._file.seek(self._op.tensors[1].offset)
        for block in range(self._blocks):
            if self._file.readinto(self._weights) != len(self._weights):
                raise OSError("the model's file ends early: it was changed")
            for target, tensor in zip(self._constants, self._op.tensors[2:5]):
                target[:] = tensor.data[4 * rows * block : 4 * rows * (block + 1)]
            if self._constants:
                self._origin[0] = rows * block
            if self._run is None:
                self._op.bind_views(self._model, self._views, self._origin)()
            else:
                self._run()
