"""Dense layers on ulab's arrays: sums of int16 products, or of ``np.dot`` where there are few."""

from ulab import numpy as np

from .arithmetic import PIECE, Requantiser, int8s
from .sums import pairs_fit, piece_of
from .weighted import weighted

_EXACT_COLUMNS = 1024  # so many products of at most 2^14 stay within 2^24, where float32 is exact
# what np.dot makes sooner: fewer products of an op, or an output
_FEW_PRODUCTS = 256
_FEW_COLUMNS = 8


def dense(x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin):
    """See ``plain.dense``. Constants and origin are looked at once: bind again after they were changed."""
    outputs = len(bias) // 4
    columns = len(weights) // outputs
    pixels = len(x) // columns
    w = int8s(weights, (outputs, columns))
    x_rows = int8s(x, (pixels, columns))
    y_rows = int8s(y, (pixels, pitch))[:, origin[0] : origin[0] + outputs]
    piece = piece_of(columns)
    are_few = pixels * outputs * columns <= _FEW_PRODUCTS or columns <= _FEW_COLUMNS
    is_summed = not are_few and piece and pairs_fit(weights)
    most = 0 if is_summed else max(PIECE, outputs)
    pieces = columns // piece if is_summed else 1
    scaled = Requantiser((bias, multipliers, shifts), zero_point, low, high, 16384 * columns, most, pieces)
    if not scaled.possible or not is_summed and columns > _EXACT_COLUMNS:
        from ..plain import dense as plain  # loaded where it is needed only: memory is short

        return plain.dense(
            x, weights, bias, multipliers, shifts, y, zero_point, low, high, form, pitch, origin
        )  # fmt: skip
    if not is_summed:
        return _dotted(x_rows, w, scaled, y_rows, (x, weights, y))

    def fill(tile, tile_bytes, first, column):
        rows, width = tile.shape
        tile -= tile
        tile += x_rows[first : first + rows, column : column + width]

    return weighted(fill, pixels, w, piece, scaled, y_rows, True, (x, weights, y))


def _dotted(x_rows, w, scaled, y_rows, keep):
    """Return run() of a layer by ``np.dot``."""
    turned = w.transpose()
    step = max(1, PIECE // len(w))

    def run(keep=keep):
        for start in range(0, len(x_rows), step):
            end = start + step

            def total(place, x_part=x_rows[start:end]):
                return sum(int(a) * int(b) for a, b in zip(x_part[place[0]], w[place[1]]))

            sums = np.dot(x_rows[start:end], turned)
            scaled.writer(sums.shape)(sums, total, y_rows[start:end])

    return run
