"""Noise on everything that a board listens to: nothing but what is meant for it changes it."""

import json
import os

import learning
import small_network

from mote import compact, frames, port, rounds, settings, wire
from mote.links import serial
from mote.local import Shuffle

_KEY = bytes(range(32))
_MANIFEST = {
    "protocol": 2, "run": "0011aabb", "round": 4, "edition": 7, "version": 3, "phase": "train",
    "layout": "0123abcd", "size": 2000, "sha256": "00" * 32, "codec": "int8", "epochs": 1, "batch": 8,
    "rate": 0.1, "decay": 0.0, "deadline_ms": 60000, "counter": 40, "time": 3600, "pause_ms": 0,
}  # fmt: skip
_TURNS = 200
_VALUES = (None, True, -1, 1 << 40, 0.5, "x", "\u00e4", [1], {}, "")


def _noisy(random, good):
    """Return some bytes of ``good`` changed, cut or doubled."""
    bad = bytearray(good)
    for _ in range(1 + random.below(4)):
        bad[random.below(len(bad))] = random.below(256)
    end = random.below(3 * len(bad))
    return bytes(bad[:end] if end < len(bad) else bad)


def test_noise_on_its_topics_changes_nothing_on_a_board():
    random = small_network.Random(11)
    board = rounds.Participant("ward", "board-1", _KEY, learning.local(), lambda n: Shuffle(n))
    sealed = wire.seal(_KEY, wire.MANIFEST_SEAL, "ward", "board-1", json.dumps(_MANIFEST).encode())
    chunk = bytearray(wire.HEADER_BYTES + 50)
    wire.write_header(chunk, 50, wire.MODEL, 3, 0, 0, 50)
    for _ in range(_TURNS):
        board.received(board.round_topic, _noisy(random, sealed), 0)
        board.received(board.command_topic, _noisy(random, sealed), 0)
        board.received("fedmote/ward/model/3/0", _noisy(random, chunk), 0)
        board.step(0)
    assert board.state == rounds.IDLE and board.round == 0 and board.error


def test_sealed_nonsense_does_not_stop_a_board():
    random = small_network.Random(12)
    board = rounds.Participant("ward", "board-1", _KEY, learning.local(), lambda n: Shuffle(n))
    layout, size = board.local.learner.layout, 4 * len(board.local.base)
    keys = sorted(_MANIFEST)
    for turn in range(_TURNS):
        fields = dict(_MANIFEST)
        fields.update({"layout": layout, "size": size, "edition": turn})
        for _ in range(random.below(3)):
            fields[keys[random.below(len(keys))]] = _VALUES[random.below(len(_VALUES))]
        if random.below(4) == 0:
            del fields[keys[random.below(len(keys))]]
        text = json.dumps(fields).encode()
        board.received(board.round_topic, wire.seal(_KEY, wire.MANIFEST_SEAL, "ward", "board-1", text), 0)
        board.received(board.command_topic, wire.seal(_KEY, wire.RECEIPT_SEAL, "ward", "board-1", text), 0)
        board.step(0)
    assert board.state in (rounds.IDLE, rounds.FETCHING)


def test_noise_in_the_air_is_no_message():
    random = small_network.Random(13)
    receiving = frames.Receiving()
    good = frames.Sending(frames.MANIFEST, bytes(range(40)), 51).frame()
    for _ in range(_TURNS):
        try:
            found = receiving.take(_noisy(random, good))
        except ValueError:
            continue
        assert found is None or found[0] is None or found[1] == bytes(range(40))


def test_noise_in_compact_json_is_refused_or_json():
    random = small_network.Random(14)
    good = bytes((0 << 3 | compact.NUMBER, 2, 2 << 3 | compact.NUMBER, 200, 1)) + bytes(
        (4 << 3 | compact.WORD, 1, 7 << 3 | compact.HEXADECIMAL, 3, 1, 2, 3, 9 << 3 | compact.TEXT, 2, 65, 66)
    )
    for _ in range(_TURNS):
        try:
            compact.read(_noisy(random, good))
        except ValueError:
            pass


class _Console:
    """What somebody types."""

    def __init__(self, line):
        self._left = [chr(byte) for byte in line]

    def read(self):
        return self._left.pop(0) if self._left else ""


def test_noise_on_the_console_is_no_command():
    random = small_network.Random(15)
    real = port.Console
    try:
        for _ in range(_TURNS):
            line = _noisy(random, b'{"label": "row", "x": [1, {"y": null}]}\n')
            port.Console = lambda line=line: _Console(line)
            commands = serial.Commands()
            for _ in range(3):
                command = commands.read()
                assert command is None or isinstance(command, dict)
    finally:
        port.Console = real


def test_noise_in_the_settings_is_refused_or_read():
    random = small_network.Random(16)
    for _ in range(_TURNS):
        with open("noise.toml", "wb") as file:
            file.write(_noisy(random, b'A = "text"\nB = 12\n# note\nC = true\nD = -1.5\n'))
        try:
            settings.read("noise.toml")
        except ValueError:
            pass
    os.remove("noise.toml")
