"""``ulab.utils`` on the real numpy, as far as the kernel needs it. For tests only."""

import numpy as real

from ulab.numpy import ndarray


def from_int16_buffer(buffer, *, out):
    """Write the int16 numbers of a dense array to ``out``, floats of the same number."""
    if buffer._data.shape != out._data.shape or not out._data.flags.c_contiguous:
        raise ValueError("out must be a dense array of the same length")
    out._data[:] = buffer._data


def from_int32_buffer(buffer):
    """Return the int32 numbers of a buffer as floats."""
    return ndarray(real.frombuffer(buffer, real.int32).astype(real.float32))
