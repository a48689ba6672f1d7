"""Memory that ops use while they run and leave to the next one: a piece for the sums of all ops, and one for
their inputs."""

#: numbers of the pieces in ``pieces``
SUMS, INPUTS = 0, 1
#: so many sums of 4 bytes, and bytes of inputs, are made at a time where the op allows it
MOST_SUMS, MOST_INPUTS = 1024, 4096

pieces = [bytearray(16), bytearray(16)]


def reserve(piece, size):
    """Make sure that a piece has ``size`` bytes. To be called when an op is bound. Raises MemoryError."""
    if len(pieces[piece]) < size:
        pieces[piece] = None  # so that the new one may lie there
        pieces[piece] = bytearray(size)
