"""Average pools in machine code for RV32."""

from ..native.pool import binder
from ..native.words import by_address
from . import code

average_pool = binder(by_address(code.average_pool))
