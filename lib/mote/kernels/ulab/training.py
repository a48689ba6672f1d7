"""The steps of SGD on ulab's arrays."""

from ulab import numpy as np

_PIECE = 256  # values per temporary array where a vector may be long


def affine(weights, bias, x, y):
    """See ``plain.affine``."""
    x = np.frombuffer(x, dtype=np.float)
    y = np.frombuffer(y, dtype=np.float)
    total = np.dot(np.frombuffer(weights, dtype=np.float).reshape((len(y), len(x))), x)
    total += np.frombuffer(bias, dtype=np.float)
    y[:] = total


def affine_backward(weights, x, slope, weights_slope, bias_slope, x_slope):
    """See ``plain.affine_backward``."""
    x = np.frombuffer(x, dtype=np.float)
    factors = np.frombuffer(slope, dtype=np.float)
    shape = len(factors), len(x)
    if x_slope is not None:
        x_slope = np.frombuffer(x_slope, dtype=np.float)
        x_slope[:] = np.dot(factors, np.frombuffer(weights, dtype=np.float).reshape(shape))
    bias_slope = np.frombuffer(bias_slope, dtype=np.float)
    bias_slope += factors
    weights_slope = np.frombuffer(weights_slope, dtype=np.float).reshape(shape)
    for row, factor in enumerate(slope):
        if factor != 0.0:  # many are, behind a ReLU
            of_row = weights_slope[row]
            of_row += x * factors[row : row + 1]  # factor itself may have lost bits


def descend(values, slopes, rate, decay):
    """See ``plain.descend``."""
    values = np.frombuffer(values, dtype=np.float)
    slopes = np.frombuffer(slopes, dtype=np.float)
    if decay:
        for start in range(0, len(values), _PIECE):
            piece = slopes[start : start + _PIECE]
            piece += values[start : start + _PIECE] * decay
    slopes *= rate
    values -= slopes
    slopes[:] = 0.0
