"""The kernel in machine code for Cortex-M0+ (RP2040). ``code`` is generated when a board's
files are made: host/fedmote/kernels/armv6m."""

from ..native.machine import needs

needs(__path__)

NAME = "armv6m"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
BLOCKS = "kept"
FALLBACK = "viper"
