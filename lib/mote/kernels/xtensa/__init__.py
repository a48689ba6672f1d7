"""The kernel in machine code for Xtensa LX6 and LX7 (ESP32, S2, S3). ``code`` is generated when a board's
files are made: host/fedmote/kernels/xtensa."""

from ..native.scratch import expect as expect
from . import code as code  # of another processor, or not there: this kernel cannot run

NAME = "xtensa"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
BLOCKS = "kept"
FALLBACK = "viper"
