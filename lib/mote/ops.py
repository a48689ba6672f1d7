"""The ops of a .mote file: what each is made of, whether it
stays within its tensors, and how a kernel gets it.

Kernels trust what they are given, native ones to the last pointer; so everything is checked here, once.
"""

from struct import unpack_from

from .kernels.plain.arithmetic import int32_at

DENSE, SOFTMAX, CONV, DEPTHWISE, AVERAGE_POOL, MAX_POOL, MEAN = 1, 2, 3, 4, 5, 6, 7
ADD, MUL, LOOKUP, MOVE, FILL, GATHER, DEQUANTIZE, PRODUCTS, TAPS = 8, 9, 10, 11, 12, 13, 14, 15, 16

_LONGEST_SOFTMAX = 4096  # so many powers stay within an int32
_LONGEST_SUM = 32768  # so many products of two bytes stay within an int32
_FARTHEST_SHIFT = 62
_WINDOWS = (0, 2, 4, 8, 16)
_INFINITE_SCALE = 0x7A000000  # 2^117 as float32 bits


class ModelError(ValueError):
    """A .mote file that is damaged or that this library cannot run."""


class RoomError(ModelError):
    """A model that needs more memory than there is."""


class Op:
    """One op of the file: ``code``, ``name``, and where its parameters stand."""

    def __init__(self, model, number, offset):
        self.number = number
        self._model = model
        buffer, end = model.buffer, len(model.buffer)
        if offset + 4 > end or offset & 3:
            raise ModelError("op %d lies outside of the file" % number)
        self.code, inputs, outputs, count = unpack_from("<BBBB", buffer, offset)
        self.parameters_at = offset + 4 + (2 * (inputs + outputs) + 3 & ~3)
        #: offset of what follows
        self.end = self.parameters_at + 4 * count
        if self.end > end:
            raise ModelError("op %d lies outside of the file" % number)
        if self.code not in OPS:
            raise ModelError("op %d has code %d, which this library does not know" % (number, self.code))
        self.name, tensor_count, parameter_count, check, _ = OPS[self.code]
        if (inputs + outputs, count) != (tensor_count, parameter_count):
            raise ModelError("op %d (%s) has a wrong number of tensors or parameters" % (number, self.name))
        self._numbers = unpack_from("<%dH" % tensor_count, buffer, offset + 4)
        if max(self._numbers) >= model.tensor_count:
            raise ModelError("op %d names a tensor that does not exist" % number)
        tensors = self.tensors
        for place, tensor in enumerate(tensors):
            if tensor.data is None and (place != 1 or tensor_count != 6):
                raise ModelError("op %d (%s): only weights may stay in the file" % (number, self.name))
        if not tensors[-1].is_activation or not check(tensors, self.parameters):
            raise ModelError("op %d (%s) does not fit its tensors" % (number, self.name))

    @property
    def tensors(self):
        """Inputs, then outputs. They are made anew: those of a large network would take a good part of a
        board's heap."""
        return [self._model.tensor(number) for number in self._numbers]

    @property
    def parameters(self):
        """The parameters as they stand in the file now."""
        return unpack_from("<%di" % OPS[self.code][2], self._model.buffer, self.parameters_at)

    def bind(self):
        """Return the kernel's prepared function for this op."""
        tensors = self.tensors
        return self.bind_views(tensors, [tensor.data for tensor in tensors], self._model.origin)

    def bind_views(self, tensors, views, origin):
        """As ``bind``, on other buffers than its tensors'. origin: where a block of outputs begins."""
        model, extra = self._model, OPS[self.code][4]
        arguments = extra(tensors, model.form, origin)
        return getattr(model.kernel, self.name)(*views, *self.parameters, *arguments)


def four(shape):
    """Return a shape as four dimensions, the missing ones before it as 1."""
    return (1,) * (4 - len(shape)) + tuple(shape)


def _none(tensors, form, origin):
    return ()


def _for_dense(tensors, form, origin):
    return form, tensors[2].size // 4, origin


def _for_softmax(tensors, form, origin):
    return (tensors[0].shape[-1],)


def _for_conv(tensors, form, origin):
    return form, four(tensors[0].shape), four(tensors[1].shape), four(tensors[5].shape), origin


def _for_products(tensors, form, origin):
    return four(tensors[0].shape), four(tensors[5].shape), origin


def _for_pool(tensors, form, origin):
    return four(tensors[0].shape), four(tensors[1].shape)


def _for_broadcast(tensors, form, origin):
    return (four(tensors[2].shape),)


def _for_dequantize(tensors, form, origin):
    return tensors[0].scale, tensors[0].zero_point


def _constants_fit(tensors, outputs):
    """Tell whether bias, multipliers and shifts are int32 [outputs] of the file, and no shift is too far."""
    if any(t.is_activation or t.size != 4 * outputs for t in tensors[2:5]):
        return False
    shifts = tensors[4].data
    return all(_shifts(int32_at(shifts, n)) for n in range(outputs))


def _shifts(*shifts):
    """Tell whether these are numbers of bits."""
    return -_FARTHEST_SHIFT <= min(shifts) and max(shifts) <= _FARTHEST_SHIFT


def _clamps(low, high):
    """Tell whether these are bounds of an int8."""
    return -128 <= low <= high <= 127


def _check_dense(tensors, parameters):
    x, weights, y = tensors[0], tensors[1], tensors[5]
    outputs = tensors[2].size // 4
    if (
        not _clamps(*parameters[1:3])
        or weights.is_activation
        or not x.is_activation
        or not outputs
        or weights.size % outputs
    ):
        return False
    columns = weights.size // outputs
    if not 0 < columns <= _LONGEST_SUM or x.size % columns or x.size // columns * outputs != y.size:
        return False
    return _constants_fit(tensors, outputs)


def _check_softmax(tensors, parameters):
    x, y = tensors
    if parameters[0] < 0 or parameters[2] > 0 or x.shape[-1] > _LONGEST_SOFTMAX:  # exponents above 0
        return False
    return x.is_activation and x.size == y.size > 0 and 0 <= parameters[1] < 32


def _check_conv(tensors, parameters):
    return _window_fits(tensors, parameters) and _check_conv_shapes(tensors)


def _check_conv_shapes(tensors):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    return (
        weights[3] == x[3]
        and weights[0] == y[3]
        and weights[1] * weights[2] * weights[3] <= _LONGEST_SUM
        and _constants_fit(tensors, y[3])
    )


def _check_depthwise(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    return (
        _window_fits(tensors, parameters)
        and weights[0] == 1
        and weights[3] == y[3]
        and y[3] % x[3] == 0
        and weights[1] * weights[2] <= _LONGEST_SUM
        and _constants_fit(tensors, y[3])
    )


def _check_products(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    quads, columns = (y[3] + 3) // 4, parameters[10] * parameters[11] * x[3]
    return weights == (1, quads, columns, 4) and _quads_fit(tensors, parameters, 4 * quads, columns)


def _check_taps(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    columns = parameters[10] * parameters[11]
    return (
        weights == (1, 1, y[3], columns)
        and y[3] % x[3] == 0
        and _quads_fit(tensors, parameters, y[3], columns)
    )


def _quads_fit(tensors, parameters, outputs, columns):
    """Tell whether a PRODUCTS or TAPS op has sound parameters, and constants for so many outputs.

    Every window touches x, and no distance within it exceeds 16 bits: native kernels count on both.
    """
    stride_h, stride_w, dilation_h, dilation_w, top, left, height, width, window = parameters[4:]
    x, y = four(tensors[0].shape), four(tensors[5].shape)
    return (
        _window_fits(tensors, parameters[:10])
        and columns <= _LONGEST_SUM
        and _touches(x[1], y[1], height, stride_h, dilation_h, top)
        and _touches(x[2], y[2], width, stride_w, dilation_w, left)
        and window in _WINDOWS
        and _constants_fit(tensors, outputs)
    )


def _touches(size, count, taps, stride, dilation, before):
    """Tell whether each of ``count`` windows begins before the end of ``size`` pixels and ends in them."""
    reach = (taps - 1) * dilation
    return before <= reach < 65536 and (count - 1) * stride - before < size


def _window_fits(tensors, parameters):
    stride_h, stride_w, dilation_h, dilation_w, top, left = parameters[4:]
    x, y = four(tensors[0].shape), four(tensors[5].shape)
    return (
        _clamps(*parameters[2:4])
        and tensors[0].is_activation
        and not tensors[1].is_activation
        and x[0] == y[0] == 1
        and min(stride_h, stride_w, dilation_h, dilation_w) > 0
        and max(parameters[4:]) < 65536
        and top >= 0
        and left >= 0
    )


def _check_pool(tensors, parameters):
    x, y = four(tensors[0].shape), four(tensors[1].shape)
    _, _, kernel_h, kernel_w, stride_h, stride_w, top, left = parameters
    if not _clamps(*parameters[:2]) or not tensors[0].is_activation or x[0] != 1 or y[0] != 1 or x[3] != y[3]:
        return False
    if min(kernel_h, kernel_w, stride_h, stride_w) < 1 or max(parameters) > 65535:
        return False
    # every window must cover something
    return (
        0 <= top < kernel_h
        and 0 <= left < kernel_w
        and (y[1] - 1) * stride_h - top < x[1]
        and (y[2] - 1) * stride_w - left < x[2]
        and kernel_h * kernel_w < 1 << 16
    )


def _check_mean(tensors, parameters):
    x, y = tensors
    outer, count, inner = parameters[:3]
    return (
        x.is_activation
        and _shifts(parameters[6])
        and min(outer, count, inner) > 0
        and max(outer, count, inner) < 1 << 24
        and outer * count * inner == x.size
        and outer * inner == y.size
    )


def _check_add(tensors, parameters):
    return _shifts(parameters[4], parameters[6], parameters[8]) and _check_broadcast(tensors, parameters)


def _check_mul(tensors, parameters):
    return _shifts(parameters[4]) and _check_broadcast(tensors, parameters)


def _check_broadcast(tensors, parameters):
    a, b, y = tensors
    if not _clamps(*parameters[-10:-8]) or not (a.is_activation and b.is_activation):
        return False
    counts = four(y.shape)
    return _reaches(a.size, 0, counts, parameters[-8:-4], 1) and _reaches(
        b.size, 0, counts, parameters[-4:], 1
    )


def _check_lookup(tensors, parameters):
    x, table, y = tensors
    return x.is_activation and x.size == y.size and not table.is_activation and table.size == 256


def _check_move(tensors, parameters):
    x, y = tensors
    counts, block = parameters[:4], parameters[4]
    if min(counts) < 1 or block < 1:
        return False
    # no more bytes than there are in y, unless it is written twice, which no compiler does
    total = block
    for count in counts:
        total *= count
    return (
        total <= y.size
        and _reaches(x.size, parameters[5], counts, parameters[6:10], block)
        and _reaches(y.size, parameters[10], counts, parameters[11:15], block)
    )


def _check_fill(tensors, parameters):
    return -128 <= parameters[0] <= 127


def _check_gather(tensors, parameters):
    x, table, y = tensors
    block = parameters[0]
    if not x.is_activation or table.is_activation or block < 1 or table.size // 4 * block != y.size:
        return False
    return all(0 <= int32_at(table.data, n) <= x.size - block for n in range(table.size // 4))


def _check_dequantize(tensors, parameters):
    x, y = tensors
    # a scale so far below the largest float that no product exceeds it
    return x.is_activation and 4 * x.size == y.size and x.scale < _INFINITE_SCALE


def _reaches(size, start, counts, steps, block):
    """Tell whether all that ``counts`` steps from ``start`` on touch lies in [0, size)."""
    lowest = highest = start
    for count, step in zip(counts, steps):
        reach = (count - 1) * step
        lowest += min(0, reach)
        highest += max(0, reach)
    return 0 <= lowest and highest + block <= size


#: op code -> name of the kernel's function, number of tensors, number of parameters, check, further arguments
OPS = {
    DENSE: ("dense", 6, 3, _check_dense, _for_dense),
    SOFTMAX: ("softmax", 2, 3, _check_softmax, _for_softmax),
    CONV: ("conv", 6, 10, _check_conv, _for_conv),
    DEPTHWISE: ("depthwise", 6, 10, _check_depthwise, _for_conv),
    AVERAGE_POOL: ("average_pool", 2, 8, _check_pool, _for_pool),
    MAX_POOL: ("max_pool", 2, 8, _check_pool, _for_pool),
    MEAN: ("mean", 2, 7, _check_mean, _none),
    ADD: ("add", 3, 20, _check_add, _for_broadcast),
    MUL: ("mul", 3, 15, _check_mul, _for_broadcast),
    LOOKUP: ("lookup", 3, 0, _check_lookup, _none),
    MOVE: ("move", 2, 15, _check_move, _none),
    FILL: ("fill", 1, 1, _check_fill, _none),
    GATHER: ("gather", 3, 1, _check_gather, _none),
    DEQUANTIZE: ("dequantize", 2, 0, _check_dequantize, _for_dequantize),
    PRODUCTS: ("products", 6, 13, _check_products, _for_products),
    TAPS: ("taps", 6, 13, _check_taps, _for_products),
}
