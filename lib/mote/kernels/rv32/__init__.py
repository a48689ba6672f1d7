"""The kernel in machine code for RV32IMC (ESP32-C3, C6). ``code`` is generated when a board's
files are made: host/fedmote/kernels/rv32."""

from . import code as code  # of another processor, or not there: this kernel cannot run

NAME = "rv32"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
#: bounds of the sums are taken from the bias when an op is bound
LOOKS_ONCE = True
FALLBACK = "viper"
