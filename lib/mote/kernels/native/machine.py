"""Whether machine code runs here, without loading it."""

import sys

_VERSION_AND_ARCHITECTURE = 0x3FFF  # as in the second and third byte of every .mpy file


def needs(folder):
    """Raise ImportError where this interpreter would not load ``code.mpy`` of a folder, or there is none."""
    loaded = getattr(sys.implementation, "_mpy", 0)
    if not loaded:  # CPython, whose folders are lists
        raise ImportError("no machine code is loaded here")
    try:
        with open(folder + "/code.mpy", "rb") as file:
            head = file.read(3)
    except OSError:
        raise ImportError("%s/code.mpy is missing" % folder) from None
    if (head[1] | head[2] << 8) & _VERSION_AND_ARCHITECTURE != loaded & _VERSION_AND_ARCHITECTURE:
        raise ImportError("%s/code.mpy is of another version or architecture" % folder)
