"""Lets both cores of an RP2040 work on an op, each on its own outputs. One core, unless ``use`` is called."""

import sys
from array import array

from uctypes import addressof

from . import code

#: parts that ops are bound in
count = 1

#: with an older one the board hangs where it writes a file after a soft reset, once the other core has run
_LEAST_VERSION = (1, 25)
_mail = array("I", (0, 0))  # host/fedmote/kernels/armv6m/mail.py


def use():
    """Let ops that are bound from now on use both cores. Return how many there are, 1 if that cannot be."""
    global count
    if count == 1 and sys.implementation.version[:2] >= _LEAST_VERSION:
        try:
            import _thread

            _thread.start_new_thread(code.work, (_mail,))
            count = 2
        except (ImportError, OSError):  # no threads, or the other core has work already
            pass
    return count


def shared(function, parts):
    """Return run(), which calls a native function for one array of words, or for two at the same time."""
    here = parts[0]
    if len(parts) == 1:

        def run():
            function(here)

    else:
        job = array("I", (addressof(_mail), function(0), addressof(parts[1]), addressof(here)))

        def run():
            code.share(job)
            return parts  # which have to live as long as it does

    return run
