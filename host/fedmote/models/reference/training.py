"""The steps of SGD in numpy, on float32 arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.models.reference.arithmetic import Buffer


def affine(weights: Buffer, bias: Buffer, x: Buffer, y: Buffer) -> None:
    """y = weights x + bias, all float32. x: [K]. weights: [N * K]. y: [N]."""
    target = _floats(y)
    np.matmul(_floats(weights).reshape(len(y), len(x)), _floats(x), out=target)
    target += _floats(bias)


def affine_backward(
    weights: Buffer,
    x: Buffer,
    slope: Buffer,
    weights_slope: Buffer,
    bias_slope: Buffer,
    x_slope: "Buffer | None",
) -> None:
    """Add the slopes of one sample. slope: [N], of the loss by y. x_slope: [K], overwritten, or None where
    not needed."""
    above = _floats(slope)
    shape = len(slope), len(x)
    _floats(weights_slope).reshape(shape)[:] += above[:, None] * _floats(x)
    _floats(bias_slope)[:] += above
    if x_slope is not None:
        np.matmul(above, _floats(weights).reshape(shape), out=_floats(x_slope))


def descend(values: Buffer, slopes: Buffer, rate: float, decay: float) -> None:
    """values -= rate * (slopes + decay * values); slopes = 0."""
    to, by = _floats(values), _floats(slopes)
    to -= np.float32(rate) * (by + np.float32(decay) * to)
    by[:] = 0


def _floats(buffer: Any) -> NDArray[np.float32]:
    return np.frombuffer(buffer, np.float32)
