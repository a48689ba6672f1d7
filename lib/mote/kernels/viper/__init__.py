"""The kernel in viper, MicroPython's typed native code: the portable fast path of boards that run it."""

import micropython

NAME = "viper"
WEIGHT_FORMS = (1, 2)
FAMILIES = ("dense", "softmax", "conv", "pool", "elementwise", "move", "training")
BLOCKS = "alike"
FALLBACK = "plain"


@micropython.viper
def _probe() -> int:  # an interpreter without a native emitter stops here, with a SyntaxError
    return 1
