"""The kernel in plain Python: runs everywhere, and is the text that the fast ones are compared with."""

NAME = "plain"
WEIGHT_FORMS = (0, 1, 2)
FAMILIES = ("dense", "softmax", "conv", "products", "taps", "pool", "elementwise", "move", "training")
BLOCKS = "alike"
FALLBACK = None
