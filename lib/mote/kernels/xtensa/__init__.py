"""The kernel in machine code for Xtensa LX6 and LX7 (ESP32, S2, S3). ``code`` is generated when a board's
files are made: host/fedmote/kernels/xtensa."""

from ..native.machine import needs

needs(__path__)

NAME = "xtensa"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
BLOCKS = "kept"
FALLBACK = "viper"
