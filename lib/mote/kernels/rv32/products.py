"""Convolutions and dense layers in machine code for RV32."""

from ..native.products import binder
from ..native.words import by_address
from . import code

# As in host/fedmote/kernels/rv32/products.py: pixels and bytes of scratch.
products = binder(by_address(code.products), few=3, alone=(4, 0), besides=(36, 0), quad=(16, 64))
