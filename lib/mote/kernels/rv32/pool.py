"""Average pools in machine code for RV32."""

from ..native.pool import binder
from . import code

average_pool = binder(code.average_pool)
