"""The serial link: telemetry on the console, one compact JSON object a line; commands from it, likewise."""

import json

from .. import port

_COMMAND_BYTES = 200


def line_of(values):
    """Return a dict as compact JSON text without a newline."""
    return json.dumps(values).replace(", ", ",").replace(": ", ":")


def write(line):
    """Put one line on the console."""
    print(line)


class Commands:
    """Lines that come in on the console; whoever has the cable may give them."""

    def __init__(self):
        self._console = port.Console()
        self._line = ""

    def read(self):
        """Return the next command as a dict, or None. What is no JSON object is ignored."""
        while True:
            character = self._console.read()
            if not character:
                return None
            if character in "\r\n":
                line, self._line = self._line, ""
                if line.startswith("{"):
                    try:
                        return json.loads(line)
                    except ValueError:
                        return None
            elif len(self._line) < _COMMAND_BYTES:
                self._line += character
