"""SGD on the trainable tail of a model: float32 master weights here, int8 in the model. It holds no data."""

from array import array
from math import exp, log
from struct import pack_into, unpack_from

from . import quantise
from .ops import DENSE, ModelError


class Layer:
    """One trainable dense layer: float views of the flat vectors, int8 views of the model."""

    def __init__(self, learner, op, number):
        model = learner.model
        x, weights, bias, multipliers, shifts, y = op.tensors
        rows, columns = len(y.data), len(x.data)
        #: whether a ReLU follows, told by the clamp of the op
        zero_point, low, _ = unpack_from("<3i", model.buffer, op.parameters_at)
        self.relu = low == zero_point
        self.input, self.weights, self.bias, self.output = x, weights, bias, y
        self.multipliers, self.shifts, self.op = multipliers, shifts, op
        pair = [t for t in model.trainables if t.op == number]
        if (
            [t.is_bias for t in pair] != [False, True]
            or pair[0].count != rows * columns
            or pair[1].count != rows
        ):
            raise ModelError("op %d: its trainable tensors are not one weight and one bias" % number)
        self.spans = [(t.start, t.start + t.count) for t in pair]
        (a, b), (c, d) = self.spans
        if d > len(learner.values):
            raise ModelError("op %d: its trainable tensors lie outside of the flat vector" % number)
        slopes, part = memoryview(learner.slopes), learner.part
        self.weights_slope = self.bias_slope = None  # of a layer that stays as it came
        if a >= part:
            self.weights_slope, self.bias_slope = slopes[a - part : b - part], slopes[c - part : d - part]
        self.y = array("f", bytes(4 * rows))
        self.slope = array("f", bytes(4 * rows))

    def point_at(self, values):
        """Compute with these flat values from now on."""
        (a, b), (c, d) = self.spans
        view = memoryview(values)
        self.w, self.b = view[a:b], view[c:d]


class Learner:
    """Trains ``model`` (over a bytearray). Flat vectors are array('f') in the order of the model's trainable
    table. depth: train this many of the last layers only, 0 for all; the others stay as they come.

    ``sizes``: values of each trainable tensor. ``part``: where in the flat vectors what is trained begins,
    ``part_sizes``: values of each tensor from there on. ``ranges``: largest activation of each hidden layer,
    as last calibrated. Raises ModelError where the model has nothing to train or its trainable ops are not
    dense layers in a row.
    """

    def __init__(self, model, depth=0):
        self.model = model
        trainables = model.trainables
        self.sizes = [t.count for t in trainables]
        self.layout = model.layout
        self.values = array("f", bytes(4 * sum(self.sizes)))
        numbers = sorted({t.op for t in trainables})
        if not numbers or numbers[-1] >= len(model.ops):
            raise ModelError("the model has no trainable layers")
        #: number of the first trainable op: what stands before it is the frozen backbone
        self.first = numbers[0]
        #: number of the first op behind the class scores
        self.after = numbers[-1] + 1
        if numbers != list(range(self.first, self.after)):
            raise ModelError("trainable ops %s are not one after the other" % numbers)
        if any(model.ops[n].code != DENSE for n in numbers):
            raise ModelError("a trainable op is not DENSE")
        #: number of the first layer that is trained
        self.lowest = len(numbers) - depth if 0 < depth < len(numbers) else 0
        trained = [t for t in trainables if t.op >= numbers[self.lowest]]
        self.part = min(t.start for t in trained)
        self.part_sizes = [t.count for t in trained]
        if self.part + sum(self.part_sizes) != len(self.values):
            raise ModelError("the tensors of the last %d layers are not the last ones of the table" % depth)
        self.slopes = array("f", bytes(4 * sum(self.part_sizes)))
        self.layers = [Layer(self, model.ops[n], n) for n in numbers]
        #: int8 views of the head's input and of the class scores in the model
        self.embedding, self.scores = self.layers[0].input, self.layers[-1].output
        self.ranges = array("f", [1.0] * len(self.layers))
        self._x = array("f", bytes(4 * len(self.embedding.data)))
        self.use(self.values)

    def use(self, values):
        """Compute with these flat values: ``values`` while training, another vector to look at it."""
        self._used = values
        for layer in self.layers:
            layer.point_at(values)

    def trained(self, values):
        """Return those of the flat ``values`` that this board trains, as a view where they are not all."""
        return memoryview(values)[self.part :] if self.part else values

    def embed(self, target):
        """With an int8 input in ``model.input``, run the backbone and copy the head's int8 input to
        ``target``."""
        self.model.invoke_until(self.first)
        target[:] = self.embedding.data

    def train(self, rows, labels, order, epochs, batch, rate, decay, shuffle):
        """Plain SGD on ``values``; yields after every sample and step: the epoch's mean loss (nats) so far.

        rows: int8 view [count * K] of head inputs. labels: bytes [count]. order: mutable sequence of row
        numbers to use. shuffle(order): reorders it. batch: samples of a step. decay: weight decay.
        """
        descend = self.model.kernel.descend
        self.use(self.values)
        trained = self.trained(self.values)
        for k in range(len(self.slopes)):
            self.slopes[k] = 0.0  # a training that was given up may have left some
        for _ in range(epochs):
            shuffle(order)
            total = 0.0
            filled = 0
            for seen, number in enumerate(order):
                total += self._backward(rows, labels, number)
                filled += 1
                yield total / (seen + 1)
                if filled == batch or seen + 1 == len(order):
                    descend(trained, self.slopes, rate / filled, decay * filled)
                    filled = 0
                    yield total / (seen + 1)

    def calibrate(self, rows, order):
        """Measure ``ranges`` of the values in use on these rows, and yield after each."""
        for number in range(len(self.ranges)):
            self.ranges[number] = 1e-6
        for number in order:
            self._forward(rows, number)
            for n, layer in enumerate(self.layers):
                largest = max(layer.y) if layer.relu else max(max(layer.y), -min(layer.y))
                if largest > self.ranges[n]:
                    self.ranges[n] = largest
            yield

    def quantise(self):
        """Write the values in use as int8 into the model, with scales from ``ranges``, ready to invoke.

        Weights are symmetric per tensor; a layer with ReLU puts out 0 to its range, another one minus to plus
        its range.
        """
        scale = self.embedding.scale
        zero_point = self.embedding.zero_point
        for layer, largest in zip(self.layers, self.ranges):
            scale, zero_point = _quantise(self.model, layer, largest, scale, zero_point)
        for op in self.model.ops[self.after :]:
            pack_into("<3i", self.model.buffer, op.parameters_at, *quantise.softmax_parameters(scale))
        self.model.prepare()

    def evaluate(self, rows, labels, order):
        """Yield after each row and at last leave ``loss`` (mean, nats) and ``accuracy`` (0 to 1) of int8
        inference."""
        loss = right = 0
        width = len(self.embedding.data)
        scores = self.scores.data
        scale = self.model.scale_of(self.scores)
        for number in order:
            self.embedding.data[:] = rows[number * width : (number + 1) * width]
            for op in range(self.first, self.after):
                self.model.steps[op]()
            best = max(scores)
            total = 0.0
            for score in scores:
                total += exp((score - best) * scale)
            loss += log(total) + (best - scores[labels[number]]) * scale
            right += first_of(scores, best) == labels[number]
            yield
        self.loss, self.accuracy = loss / len(order), right / len(order)

    def _forward(self, rows, number):
        affine = self.model.kernel.affine
        x = self._x
        scale = self.model.scale_of(self.embedding)
        zero_point = self.embedding.zero_point
        start = number * len(x)
        for k in range(len(x)):
            x[k] = (rows[start + k] - zero_point) * scale
        for layer in self.layers:
            y = layer.y
            affine(layer.w, layer.b, x, y)
            if layer.relu:
                for n in range(len(y)):
                    if y[n] < 0.0:
                        y[n] = 0.0
            x = y

    def _backward(self, rows, labels, number):
        """Add the slopes of the cross entropy of one row; return its loss."""
        self._forward(rows, number)
        backward = self.model.kernel.affine_backward
        last = self.layers[-1]
        slope, y = last.slope, last.y
        best = max(y)
        total = 0.0
        for n in range(len(y)):
            slope[n] = exp(y[n] - best)
            total += slope[n]
        for n in range(len(y)):
            slope[n] /= total
        label = labels[number]
        slope[label] -= 1.0
        for n in range(len(self.layers) - 1, self.lowest, -1):
            layer, below = self.layers[n], self.layers[n - 1]
            backward(layer.w, below.y, layer.slope, layer.weights_slope, layer.bias_slope, below.slope)
            if below.relu:
                for k in range(len(below.slope)):
                    if below.y[k] <= 0.0:
                        below.slope[k] = 0.0
        first = self.layers[self.lowest]
        x = self.layers[self.lowest - 1].y if self.lowest else self._x
        backward(first.w, x, first.slope, first.weights_slope, first.bias_slope, None)
        return log(total) + best - y[label]


def first_of(values, value):
    """Return the first position of ``value`` in ``values``."""
    for position, candidate in enumerate(values):
        if candidate == value:
            return position
    raise ValueError("%r is not among %d values" % (value, len(values)))


def _quantise(model, layer, largest, x_scale, x_zero_point):
    """Write one layer; return the scale (float32 bits) and the zero point of its output."""
    weights, bias = layer.w, layer.b
    rows, columns = len(bias), len(weights) // len(bias)
    w_scale = (max(max(weights), -min(weights)) or 1.0) / 127
    w_bits = quantise.bits_of(w_scale)
    if layer.relu:
        y_bits, zero_point, low = quantise.bits_of(largest / 255), -128, -128
    else:
        y_bits, zero_point, low = quantise.bits_of(largest / 127), 0, -128
    multiplier, shift = quantise.multiplier_of(x_scale, w_bits, y_bits)
    x_float, w_float = _float_of(x_scale), _float_of(w_bits)
    flip = 128 if model.form else 0
    base = x_zero_point + flip
    target = layer.weights.data
    position = 0
    for row in range(rows):
        total = 0
        for _ in range(columns):
            value = round(weights[position] / w_float)
            value = -127 if value < -127 else 127 if value > 127 else value
            target[position] = value + flip & 255
            total += value
            position += 1
        limit = 0x3FFFFFFF
        value = round(max(-limit, min(limit, bias[row] / (x_float * w_float))))
        pack_into("<i", layer.bias.data, 4 * row, value - base * total)
        pack_into("<i", layer.multipliers.data, 4 * row, multiplier)
        pack_into("<i", layer.shifts.data, 4 * row, shift)
    pack_into("<I", model.buffer, layer.weights.row + 20, w_bits)
    pack_into("<Ii", model.buffer, layer.output.row + 20, y_bits, zero_point)
    pack_into("<3i", model.buffer, layer.op.parameters_at, zero_point, low, 127)
    return y_bits, zero_point


def _float_of(bits):
    return unpack_from("<f", bits.to_bytes(4, "little"))[0]
