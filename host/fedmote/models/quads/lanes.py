"""How many products a kernel may add up in 16-bit lanes before it must drain them.

Two weights in a word, ``low + high * 2^16``, times an input x, summed over a window of n steps, give
``L + H * 2^16`` modulo 2^32, where L and H are the sums of the products of either weight. If L lies within
[-2^15, 2^15), it is what the low 16 bits say as a signed number; if H does, too, then the word plus 2^15,
shifted right by 16, is H. So nothing is lost in a window as long as no sum of n products leaves int16.

For inputs x of [-128, 127] a product w * x lies within [-128 * w, 127 * w] for w >= 0 and within
[127 * w, -128 * w] for w < 0, and there is an input for each end. A window's sum lies between the sums of
these bounds. Windows begin at multiples of n, and the last one may be shorter, which makes no sum larger.
"""

import numpy as np
from numpy.typing import NDArray

#: windows that kernels know, the longest first
WINDOWS = (16, 8, 4, 2)


def window(weights: NDArray[np.int8]) -> int:
    """Return the longest window that is exact for weights [N, K] and all inputs; 0 where none is.

    2 is for all weights but -128: 2 * 127 * 128 is 32512.
    """
    rows, columns = weights.shape
    wide = weights.astype(np.int64)
    ends = np.stack((np.maximum(127 * wide, -128 * wide), np.maximum(128 * wide, -127 * wide)))
    limits = np.array([[[0x7FFF]], [[0x8000]]])
    for steps in WINDOWS:
        filled = np.pad(ends, ((0, 0), (0, 0), (0, -columns % steps)))
        if (filled.reshape(2, rows, -1, steps).sum(3) <= limits).all():
            return steps
    return 0
