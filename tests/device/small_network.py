"""Writes small .mote files from docs/mote-format.md alone, so that the device tests need no host and check
the specification."""

import struct

from mote.port import crc32
from mote.quantise import bits_of, multiplier_of, softmax_parameters


def build(layers, form=0, seed=1, input_scale=1 / 32, ranges=None, softmax=True, frozen=0):
    """Return the bytes of a dense network ``layers`` = [inputs, hidden..., classes] with pseudo-random int8
    weights.

    The first ``frozen`` layers are not trainable.
    """
    random, flip = Random(seed), 128 if form else 0
    tensors, ops, trainables, data, streamable = [], [], [], bytearray(), bytearray()
    arena = 0

    def constant(payload, kind, shape, scale=0.0):
        place = streamable if len(shape) == 2 else data  # weights stand last
        tensors.append([len(place), len(payload), kind, place, shape, scale, 0])
        place.extend(payload + bytes(-len(payload) % 4))
        return len(tensors) - 1

    def activation(count, scale, zero_point):
        nonlocal arena
        tensors.append([arena, count, 0, None, (count,), scale, zero_point])
        arena += count + (-count % 4)
        return len(tensors) - 1

    x = activation(layers[0], input_scale, 0)
    first = x
    start = 0
    for number, (columns, rows) in enumerate(zip(layers, layers[1:])):
        last = number == len(layers) - 2
        x_scale, x_zero = tensors[x][5], tensors[x][6]
        w_scale = 1 / 64
        span = (ranges or [8.0] * (len(layers) - 1))[number]
        y_scale, y_zero = (span / 127, 0) if last else (span / 255, -128)
        weights = [random.below(255) - 127 for _ in range(rows * columns)]
        bias = [random.below(2001) - 1000 for _ in range(rows)]
        folded = [
            bias[r] - (x_zero + flip) * sum(weights[r * columns : (r + 1) * columns]) for r in range(rows)
        ]
        multiplier, shift = multiplier_of(bits_of(x_scale), bits_of(w_scale), bits_of(y_scale))
        w = constant(bytes(v + flip & 255 for v in weights), 0, (rows, columns), w_scale)
        b = constant(struct.pack("<%di" % rows, *folded), 1, (rows,))
        m = constant(struct.pack("<%di" % rows, *[multiplier] * rows), 1, (rows,))
        s = constant(struct.pack("<%di" % rows, *[shift] * rows), 1, (rows,))
        y = activation(rows, y_scale, y_zero)
        ops.append(struct.pack("<BBBB6H3i", 1, 5, 1, 3, x, w, b, m, s, y, y_zero, -128, 127))
        if number < frozen:
            x = y
            continue
        for role, shape, count in ((0, (rows, columns), rows * columns), (1, (rows,), rows)):
            padded = tuple(shape) + (1,) * (4 - len(shape))
            name = ("dense%d/%s" % (number, "bias" if role else "weights")).encode()
            trainables.append(
                struct.pack("<HBB4HII16s", number, role, len(shape), *padded, count, start, name)
            )
            start += count
        x = y
    if softmax:
        y = activation(layers[-1], 1 / 256, -128)
        ops.append(struct.pack("<BBBB2H3i", 2, 1, 1, 3, x, y, *softmax_parameters(bits_of(tensors[x][5]))))
        x = y
    labels = ", ".join('"class%d"' % n for n in range(layers[-1]))
    features = '{"kind": "raw", "channels": %d, "window": 1, "floor": 0.001}' % layers[0]
    info = '{"name": "test", "labels": [%s], "features": %s}' % (labels, features)
    info = info.encode()
    ops = b"".join(ops)
    trainables = b"".join(trainables)
    tensors_at = 64
    ops_at = tensors_at + 32 * len(tensors)
    trainables_at = ops_at + len(ops)
    info_at = trainables_at + len(trainables)
    data_at = info_at + len(info) + (-len(info) % 4)
    table = b""
    for offset, size, kind, place, shape, scale, zero_point in tensors:
        padded = tuple(shape) + (1,) * (4 - len(shape))
        if place is not None:
            offset += data_at + (len(data) if place is streamable else 0)
        in_file = int(place is not None)
        table += struct.pack(
            "<IIBBBB4HfiI", offset, size, kind, in_file, len(shape), 0, *padded, scale, zero_point, 0
        )
    body = struct.pack(
        "<IHHHBBHHIIIIIHHI4s", arena, len(tensors), len(layers) - 1 + softmax, len(trainables) // 36, form, 0,
        first, x, tensors_at, ops_at, trainables_at, info_at, len(info), 0, 0,
        data_at + len(data), b"",
    )  # fmt: skip
    body += table + ops + trainables + info + bytes(-len(info) % 4) + data + streamable
    return bytearray(struct.pack("<4sHHII", b"MOTE", 1, 64, 16 + len(body), crc32(body) & 0xFFFFFFFF) + body)


class Random:
    """A small linear congruential generator, the same on every interpreter."""

    def __init__(self, seed):
        self._state = seed & 0x7FFFFFFF

    def below(self, limit):
        """Return a number from 0 to limit - 1."""
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % limit

    def int8s(self, count):
        """Return ``count`` numbers from -128 to 127."""
        return [self.below(256) - 128 for _ in range(count)]
