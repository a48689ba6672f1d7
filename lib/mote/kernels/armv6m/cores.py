"""Lets both cores of an RP2040 work on an op, each on its own outputs. One core, unless ``use`` is called."""

from array import array

from . import code

#: parts that ops are bound in
count = 1

_job = [None, None]  # a native function and its words
_given, _done = array("I", [0]), array("I", [0])


def use():
    """Let ops that are bound from now on use both cores. Return how many there are, 1 if that cannot be."""
    global count
    if count == 1:
        try:
            import _thread

            _thread.start_new_thread(_work, ())
            count = 2
        except (ImportError, OSError):  # no threads, or the other core has work already
            pass
    return count


def shared(function, parts):
    """Return run(), which calls a native function for one array of words, or for two at the same time."""
    first = parts[0]
    if len(parts) == 1:

        def run():
            function(first)

    else:
        second = parts[1]

        def run():
            begin(function, second)
            function(first)
            finish()

    return run


def begin(function, words):
    """Let the other core call a native function."""
    _job[0], _job[1] = function, words
    code.post(_given)


def finish():
    """Wait until it has."""
    code.receive(_done)


def _work():
    while True:
        code.receive(_given)
        _job[0](_job[1])
        code.post(_done)
