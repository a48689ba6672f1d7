"""The kernel in machine code for Cortex-M33 (RP2350). ``code`` is generated when a board's
files are made: host/fedmote/kernels/armv8m."""

from ..native.machine import needs

needs(__path__)

NAME = "armv8m"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
BLOCKS = "kept"
FALLBACK = "viper"
