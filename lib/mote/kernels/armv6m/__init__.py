"""The kernel in machine code for Cortex-M0+ (RP2040). ``code`` is generated when a board's
files are made: host/fedmote/kernels/armv6m."""

from . import code as code  # of another processor, or not there: this kernel cannot run

NAME = "armv6m"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
#: bounds of the sums are taken from the weights when an op is bound
LOOKS_ONCE = True
FALLBACK = "viper"
