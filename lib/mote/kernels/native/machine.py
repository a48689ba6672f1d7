"""Whether machine code runs here, without loading it."""

import os
import sys


def needs(architecture, folder):
    """Raise ImportError where the interpreter does not load machine code of this architecture (its number in
    .mpy files), or the folder has none."""
    if getattr(sys.implementation, "_mpy", 0) >> 10 & 15 != architecture:
        raise ImportError("no machine code of architecture %d runs here" % architecture)
    try:
        os.stat(folder + "/code.mpy")
    except OSError:
        raise ImportError("%s/code.mpy is missing" % folder) from None
