"""The kernel on ulab's arrays: the fast path of CircuitPython, whose
boards have ulab and no native emitter."""

from ulab import numpy  # noqa: F401 - an interpreter without it stops here

NAME = "ulab"
WEIGHT_FORMS = (0,)
FAMILIES = ("dense", "conv", "pool", "elementwise", "move", "training")
BLOCKS = "anew"
FALLBACK = "plain"
