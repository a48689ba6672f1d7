"""settings.toml is read as CircuitPython writes it, and a mistake names its line."""

import os

from raising import text_of

from mote import settings

_PATH = "test-settings.tmp"


def _read(text):
    with open(_PATH, "w") as file:
        file.write(text)
    try:
        return settings.read(_PATH)
    finally:
        os.remove(_PATH)


def test_texts_numbers_and_comments():
    text = '# a board\nDEVICE = "board-01"  # its name\nRING=64\nSPEED = 2.5\n\n'
    text += 'URL = "mqtt://u:p#1@host"\nON = true\n'
    expected = {"DEVICE": "board-01", "RING": 64, "SPEED": 2.5, "URL": "mqtt://u:p#1@host", "ON": True}
    assert _read(text) == expected


def test_mistakes_name_file_and_line():
    for line in ("DEVICE", "DEVICE = board", 'DEVICE = "board', 'DEVICE = "a" "b"', "N = 1 2"):
        error = text_of(ValueError, _read, "A = 1\n" + line + "\n")
        assert "line 2" in error and _PATH in error
