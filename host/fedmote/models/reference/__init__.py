"""The kernel in numpy: the oracle of tests and the fast kernel of simulations on the host. No board runs it.

The contract is that of lib/mote/kernels, the bits are those of its plain kernel; the package itself is the
kernel object. Its sums of int8 products are matrix products of floats, which are exact where no sum exceeds
the mantissa.
"""

from fedmote.models.reference.convolutions import conv, depthwise
from fedmote.models.reference.elementwise import add, dequantize, lookup, mul
from fedmote.models.reference.layers import dense, softmax
from fedmote.models.reference.moves import fill, gather, move
from fedmote.models.reference.pools import average_pool, max_pool, mean
from fedmote.models.reference.quads import products, taps
from fedmote.models.reference.training import affine, affine_backward, descend

__all__ = [
    "BLOCKS", "NAME", "WEIGHT_FORMS", "add", "affine", "affine_backward", "average_pool", "conv", "dense",
    "depthwise", "dequantize", "descend", "fill", "gather", "lookup", "max_pool", "mean", "move", "mul",
    "products", "softmax", "taps",
]  # fmt: skip

NAME = "reference"
WEIGHT_FORMS = (0, 1, 2)
BLOCKS = "anew"
