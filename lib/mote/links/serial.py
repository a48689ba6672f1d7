"""The serial link: telemetry on the console, one compact JSON object a line, for monitors and for people."""

import json


def line_of(values):
    """Return a dict as compact JSON text without a newline."""
    return json.dumps(values).replace(", ", ",").replace(": ", ":")


def write(line):
    """Put one line on the console."""
    print(line)
