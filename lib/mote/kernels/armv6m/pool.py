"""Average pools in machine code for Cortex-M0+."""

from ..native.pool import binder
from . import code

average_pool = binder(code.average_pool)
