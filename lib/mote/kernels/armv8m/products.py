"""Convolutions and dense layers. Bytes of scratch: as in host/fedmote/kernels/armv8m/products.py."""

from ..native.products import binder
from . import code

products = binder(code.products, few=2, alone=(12, 96), besides=(24, 0), quad=(32, 96))
