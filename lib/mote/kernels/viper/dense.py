"""Dense layers in viper."""

from .products import conv


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin):
    """See ``plain.dense``: a convolution of rows as pixels, K channels each."""
    outputs = len(bias) // 4
    columns = len(weights) // outputs
    rows = len(x) // columns
    return conv(
        x, weights, bias, multipliers, shifts, y, 0, zero_point, low, high, 1, 1, 1, 1, 0, 0, form,
        (1, 1, rows, columns), (outputs, 1, 1, columns), (1, 1, rows, pitch), origin,
    )  # fmt: skip
