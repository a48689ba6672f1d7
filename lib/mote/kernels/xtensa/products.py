"""Convolutions and dense layers. Bytes of scratch: as in host/fedmote/kernels/xtensa/quads.py."""

from ..native.products import binder
from ..native.words import by_address
from . import code

products = binder(by_address(code.products), few=2, alone=(16, 44), besides=(16, 12), quad=(32, 48))
