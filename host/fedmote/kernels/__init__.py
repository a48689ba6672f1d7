"""Generators of native kernels: functions that stand in a board's files as machine code. None of it runs
here."""

from collections.abc import Callable

from fedmote.kernels import armv6m

#: native kernel of lib/mote/kernels -> what writes the text of its module ``code``, anew for every board
GENERATORS: dict[str, Callable[[], str]] = {"armv6m": armv6m.text}
