"""The kernel in machine code for RV32IMC (ESP32-C3, C6). ``code`` is generated when a board's
files are made: host/fedmote/kernels/rv32."""

from ..native.machine import needs

needs(__path__)

NAME = "rv32"
WEIGHT_FORMS = (2,)
FAMILIES = ("products", "taps", "pool", "elementwise")
BLOCKS = "kept"
FALLBACK = "viper"
