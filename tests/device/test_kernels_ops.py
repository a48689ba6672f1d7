"""Every op of every kernel that runs here gives the bytes of the plain one, whatever its shape, and allocates
nothing."""

import gc
import sys
from array import array
from struct import pack

import small_network

from mote import kernels
from mote.quantise import bits_of, softmax_parameters


def test_dense_layers_agree():
    _compare(_dense, 60)


def test_softmaxes_agree():
    _compare(_softmax, 60)


def test_convolutions_agree():
    _compare(_conv, 120)


def test_depthwise_convolutions_agree():
    _compare(_depthwise, 120)


def test_pools_agree():
    _compare(_pool, 120)


def test_means_agree():
    _compare(_mean, 60)


def test_sums_agree():
    _compare(_add, 80)


def test_products_agree():
    _compare(_mul, 80)


def test_tables_agree():
    _compare(_lookup, 20)


def test_floats_agree():
    _compare(_dequantize, 10)


def test_moves_agree():
    _compare(_move, 120)


def test_fills_agree():
    _compare(_fill, 10)


def test_gathers_agree():
    _compare(_gather, 30)


def test_layers_of_extreme_values_agree():
    for make in (_dense, _conv, _depthwise):
        for x, weight in ((-128, 127), (127, 127), (127, -127), (-128, -127)):
            for seed in range(8):
                _same(make(small_network.Random(seed), x, weight))


def test_many_outputs_and_pixels_are_computed_whatever_the_size_of_a_chunk():
    random = small_network.Random(5)
    for height, width, channels, outputs in ((1, 1, 3, 300), (20, 31, 2, 1), (9, 3, 1, 100)):
        shapes = (1, height, width, channels), (outputs, 1, 1, channels), (1, height, width, outputs)
        _same(_convolution(random, "conv", shapes, (1, 1, 1, 1, 0, 0)))
    count = 1000
    zeros = (0, 0, 0)
    a, b = (_signed(random.int8s(count)) for _ in range(2))
    parameters = zeros + (1 << 30, -6, -128, 127) + 2 * (0, 0, 100, 1)
    _same(lambda form: ("mul", (a, b, count), parameters, ((1, 1, 10, 100),)))


def test_blocks_of_streamed_weights_give_the_whole():
    random = small_network.Random(8)
    for _ in range(20):
        blocks, rows = 1 + random.below(3), 1 + random.below(4)
        outputs = blocks * rows
        for op in (_dense(random, outputs=outputs), _conv(random, outputs=outputs)):
            for _, kernel in _kernels():
                for form in kernel.WEIGHT_FORMS:
                    if form == 2:
                        continue  # has blocks of its own, below
                    name, views, parameters, shapes = op(form)
                    whole = _output(kernel, op(form))
                    y = _canvas(views[-1])
                    constants = [memoryview(bytearray(len(view) // blocks)) for view in views[1:5]]
                    shapes = shapes[:-1] + (array("H", [0]),)
                    run = None
                    for block in range(blocks):
                        for target, view in zip(constants, views[1:5]):
                            target[:] = view[len(target) * block : len(target) * (block + 1)]
                        shapes[-1][0] = rows * block
                        if run is None or kernel.BLOCKS != "alike":
                            run = getattr(kernel, name)(views[0], *constants, y, *parameters, *shapes)
                        run()
                    assert whole == bytes(y), (kernel.NAME, name)


def test_blocks_of_quads_give_the_whole():
    random = small_network.Random(9)
    done = 0
    while done < 20:
        blocks, quads = 1 + random.below(3), 1 + random.below(2)
        outputs = 4 * blocks * quads - random.below(4)
        name, views, parameters, shapes = _conv(random, weight=127, outputs=outputs)(2)
        if name != "products":
            continue
        done += 1
        for _, kernel in _kernels():
            if 2 not in kernel.WEIGHT_FORMS:
                continue
            whole = _output(kernel, (name, views, parameters, shapes))
            y = _canvas(views[-1])
            sizes = [len(view) // blocks for view in views[1:5]]
            for block in range(blocks):
                parts = [view[size * block : size * (block + 1)] for size, view in zip(sizes, views[1:5])]
                origin = array("H", [4 * quads * block])
                getattr(kernel, name)(views[0], *parts, y, *parameters, *shapes[:-1], origin)()
            assert whole == bytes(y), kernel.NAME


def test_ops_allocate_nothing():
    if not hasattr(gc, "mem_alloc"):
        return  # only MicroPython tells
    for name, kernel in _kernels():
        if name == "ulab":
            continue  # its functions return new arrays
        if name == "plain" and sys.maxsize < 1 << 32:
            continue  # products are no small integers there
        for make in _OPS:
            random = small_network.Random(4)
            for number in range(4):
                op, views, parameters, shapes = make(random)(kernel.WEIGHT_FORMS[number % 2])
                run = getattr(kernel, op)(*views[:-1], _canvas(views[-1]), *parameters, *shapes)
                run()
                gc.collect()
                gc.disable()
                before = gc.mem_alloc()
                run()
                spent = gc.mem_alloc() - before
                gc.enable()
                assert spent == 0, (name, op, spent)


# Below, an op is a function of the weight form that returns (name, inputs + size of y, parameters, shapes).


def _compare(make, times):
    random = small_network.Random(times)
    for _ in range(times):
        _same(make(random))


def _same(op):
    """Compare all kernels and forms at this op."""
    expected = _output(kernels.choose("plain"), op(0))
    for name, kernel in _kernels():
        for form in kernel.WEIGHT_FORMS:
            assert expected == _output(kernel, op(form)), (name, form, op(form)[0], op(form)[2:])


def _output(kernel, op):
    name, views, parameters, shapes = op
    y = _canvas(views[-1])
    run = getattr(kernel, name)(*views[:-1], y, *parameters, *shapes)
    run()
    first = bytes(y)
    run()
    assert first == bytes(y), "the second call differs"
    return first


def _canvas(size):
    """Return an output with a pattern in it, to be seen where an op leaves it or should have."""
    return _signed([(7 * i) & 127 for i in range(size)])


def _signed(values):
    return memoryview(array("b", values))


def _int32s(values):
    return memoryview(pack("<%di" % len(values), *values))


def _kernels():
    """Return [(name, kernel)] of those that run here."""
    found = []
    for name in kernels.KERNELS:
        try:
            found.append((name, kernels.choose(name)))
        except ValueError:
            continue
    return found


def _between(random, low, high):
    return low + random.below(high - low + 1)


def _limits(random):
    """Return (low, high): mostly all of int8, at times less."""
    return (-128, 127) if random.below(3) else (_between(random, -128, 0), _between(random, 0, 127))


def _multiplier(random):
    """Return a multiplier in [2^30, 2^31), at times one of its ends, or 0."""
    if random.below(8):
        return (1 << 30) + (random.below(1 << 15) << 15) + random.below(1 << 15)
    return (1 << 30, (1 << 31) - 1, 0)[random.below(3)]


def _dense(random, x=None, weight=None, outputs=None):
    columns, outputs = _between(random, 1, 40), outputs or _between(random, 1, 9)
    shapes = (1, 1, _between(random, 1, 3), columns), (outputs, 1, 1, columns), (1, 1, 1, outputs)
    op = _convolution(random, "conv", shapes, (1, 1, 1, 1, 0, 0), x, weight, zero_x=0)

    def dense(form):
        name, views, parameters, shapes = op(form)
        rows = len(views[0]) // columns
        views = views[:5] + (rows * outputs,)
        if name == "products":
            return name, views, parameters, ((1, 1, rows, columns), (1, 1, rows, outputs), shapes[-1])
        return "dense", views, parameters[1:4], (form, outputs, shapes[-1])

    return dense


def _conv(random, x=None, weight=None, outputs=None):
    channels, outputs = _between(random, 1, 18), outputs or _between(random, 1, 9)
    height, width, kernel_h, kernel_w, out_h, out_w = (_between(random, 1, 5) for _ in range(6))
    if not random.below(4):
        kernel_h = kernel_w = 1
    shapes = (1, height, width, channels), (outputs, kernel_h, kernel_w, channels), (1, out_h, out_w, outputs)
    return _convolution(random, "conv", shapes, _strides(random), x, weight)


def _depthwise(random, x=None, weight=None):
    channels, per_channel = _between(random, 1, 9), _between(random, 1, 3)
    height, width, out_h, out_w = (_between(random, 1, 6) for _ in range(4))
    kernel_h, kernel_w = _between(random, 1, 4), _between(random, 1, 4)
    outputs = channels * per_channel
    shapes = (1, height, width, channels), (1, kernel_h, kernel_w, outputs), (1, out_h, out_w, outputs)
    return _convolution(random, "depthwise", shapes, _strides(random), x, weight)


def _strides(random):
    """Return strides, dilations and paddings."""
    return tuple(_between(random, 1, 3) for _ in range(4)) + (random.below(4), random.below(4))


def _convolution(random, name, shapes, strides, x=None, weight=None, zero_x=None):
    x_shape, weights_shape, y_shape = shapes
    outputs = y_shape[3]
    taps = weights_shape[1] * weights_shape[2]
    columns = taps * (weights_shape[3] if name == "conv" else 1)
    count = x_shape[1] * x_shape[2] * x_shape[3]
    values = _signed(random.int8s(count) if x is None else [x] * count)
    count = columns * outputs
    weights = array("b", random.int8s(count) if weight is None else [weight] * count)
    if random.below(2):  # weight form 2 is for those without -128
        for k in range(count):
            weights[k] = max(weights[k], -127)
    if name == "conv":
        rows = [weights[n * columns : (n + 1) * columns] for n in range(outputs)]
    else:
        rows = [array("b", [weights[k] for k in range(n, count, outputs)]) for n in range(outputs)]
    zero_x = random.below(256) - 128 if zero_x is None else zero_x
    reach = _between(random, 4, 24)
    bias = [random.below(1 << reach) - (1 << reach - 1) for _ in range(outputs)]
    multipliers = [_multiplier(random) for _ in range(outputs)]
    highest = 3 if reach < 20 and columns < 400 else 0
    shifts = [_between(random, -15, highest) if random.below(9) else -31 for _ in range(outputs)]
    low, high = _limits(random)
    parameters = (zero_x, random.below(256) - 128, low, high) + strides
    size, origin = y_shape[1] * y_shape[2] * outputs, array("H", [0])

    def op(form):
        flip = 128 if form else 0
        stored = memoryview(bytes(value + flip & 255 for value in weights))
        folded = [bias[n] - (zero_x + flip) * sum(rows[n]) for n in range(outputs)]
        views = (values, stored, _int32s(folded), _int32s(multipliers), _int32s(shifts))
        return name, views + (size,), parameters, (form,) + shapes + (origin,)

    def second(form):
        kernel = weights_shape[1:3]
        if form != 2 or min(weights) < -127 or not _in_reach(parameters + kernel, x_shape, y_shape):
            return op(form)
        missing = -outputs % 4 if name == "conv" else 0
        folded = [bias[n] - zero_x * sum(rows[n]) for n in range(outputs)]
        constants = [
            _int32s(given + [beyond] * missing)
            for given, beyond in ((folded, 0), (multipliers, 1 << 30), (shifts, 0))
        ]
        if name == "conv":
            stored = bytearray(b"\x80" * (columns * (outputs + missing)))
            for n in range(outputs):
                for k in range(columns):
                    stored[(n & ~3) * columns + 4 * k + (n & 3)] = rows[n][k] + 128
        else:
            stored = b"".join(bytes(row) for row in rows)
        views = (values, memoryview(stored)) + tuple(constants) + (size,)
        wide = parameters + kernel + (_lane_window(rows),)
        return ("products" if name == "conv" else "taps"), views, wide, (x_shape, y_shape, origin)

    return second


def _in_reach(parameters, x_shape, y_shape):
    """Tell whether every window touches the image, as those of weight form 2 do."""
    stride_h, stride_w, dilation_h, dilation_w, top, left, kernel_h, kernel_w = parameters[4:]
    return (
        top <= (kernel_h - 1) * dilation_h
        and left <= (kernel_w - 1) * dilation_w
        and (y_shape[1] - 1) * stride_h - top < x_shape[1]
        and (y_shape[2] - 1) * stride_w - left < x_shape[2]
    )


def _lane_window(rows):
    """Return how many products fit 16 bits for certain, by the largest weight alone."""
    largest = max(abs(value) for row in rows for value in row)
    return [steps for steps in (2, 4, 8, 16) if steps == 2 or 128 * steps * largest < 32768][-1]


def _softmax(random):
    depth, rows = _between(random, 1, 20), _between(random, 1, 3)
    x = random.int8s(depth * rows)
    if not random.below(3):
        x = [x[0]] * (depth * rows)  # all alike: 1 / depth, where powers of two are limits
    scale = (0.001, 0.01, 0.0625, 0.1, 0.25, 1.0, 3.0)[random.below(7)]
    parameters = softmax_parameters(bits_of(scale))
    return lambda form: ("softmax", (_signed(x), depth * rows), parameters, (depth,))


def _pool(random):
    height, width, channels = _between(random, 1, 8), _between(random, 1, 8), _between(random, 1, 5)
    kernel_h, kernel_w, stride_h, stride_w = (_between(random, 1, 4) for _ in range(4))
    top, left = random.below(kernel_h), random.below(kernel_w)
    out_h, out_w = (height - 1 + top) // stride_h + 1, (width - 1 + left) // stride_w + 1
    x = _signed(random.int8s(height * width * channels))
    parameters = _limits(random) + (kernel_h, kernel_w, stride_h, stride_w, top, left)
    shapes = (1, height, width, channels), (1, out_h, out_w, channels)
    name = ("average_pool", "max_pool")[random.below(2)]
    return lambda form: (name, (x, out_h * out_w * channels), parameters, shapes)


def _mean(random):
    outer, count, inner = _between(random, 1, 4), _between(random, 1, 30), _between(random, 1, 9)
    x = _signed(random.int8s(outer * count * inner))
    zero_x, zero_y = random.below(256) - 128, random.below(256) - 128
    parameters = (outer, count, inner, zero_x, zero_y, _multiplier(random), _between(random, -8, 2))
    return lambda form: ("mean", (x, outer * inner), parameters, ())


def _add(random):
    a, b, steps, shape = _broadcast(random)
    zeros = tuple(random.below(256) - 128 for _ in range(3))
    few_bits = random.below(2)  # at times so few are left of both that each shows in the sum
    shift_a, shift_b = (
        _between(random, -28, -20) if few_bits else _between(random, -12, 0) for _ in range(2)
    )
    shift_y = _between(random, -2, 0) if few_bits else _between(random, -20, -12)
    factors = (_multiplier(random), shift_a, _multiplier(random), shift_b, _multiplier(random), shift_y)
    parameters = zeros + factors + (1 - 2 * random.below(2),) + _limits(random) + steps
    return lambda form: ("add", (a, b, _size(shape)), parameters, (shape,))


def _mul(random):
    a, b, steps, shape = _broadcast(random)
    zeros = tuple(random.below(256) - 128 for _ in range(3))
    parameters = zeros + (_multiplier(random), _between(random, -12, 3)) + _limits(random) + steps
    return lambda form: ("mul", (a, b, _size(shape)), parameters, (shape,))


def _broadcast(random):
    """Return two inputs, their 8 steps and the shape of their sum: each has any of the dimensions or one."""
    shape = tuple(_between(random, 1, 5) for _ in range(4))
    inputs, all_steps = [], ()
    for _ in range(2):
        steps, size = (), 1
        keep = random.below(16) if random.below(3) else 15
        for n in range(3, -1, -1):
            if keep >> n & 1:
                steps = (size,) + steps
                size *= shape[n]
            else:
                steps = (0,) + steps
        inputs.append(_signed(random.int8s(size)))
        all_steps += steps
    return inputs[0], inputs[1], all_steps, shape


def _size(shape):
    return shape[0] * shape[1] * shape[2] * shape[3]


def _lookup(random):
    x = _signed(random.int8s(_between(random, 1, 40)))
    table = memoryview(bytes(random.below(256) for _ in range(256)))
    return lambda form: ("lookup", (x, table, len(x)), (), ())


def _dequantize(random):
    x = _signed(random.int8s(_between(random, 1, 40)))
    parameters = (bits_of(0.0123), random.below(256) - 128)
    return lambda form: ("dequantize", (x, 4 * len(x)), (), parameters)


def _move(random):
    counts = [_between(random, 1, 4) for _ in range(4)]
    block = (1, 2, 3, 4, 8, 20)[random.below(6)]
    parameters = tuple(counts) + (block,)
    sizes = []
    for _ in range(2):
        # loops around each other in any order, with gaps at times
        gap = random.below(2) * random.below(5)
        order, steps, size = [3, 2, 1, 0], [0] * 4, block
        if random.below(2):
            order = [0, 3, 1, 2]
        for n in order:
            steps[n] = size
            size = size * counts[n] + gap
        start = random.below(6)
        sizes.append(size + start)
        parameters += (start,) + tuple(steps)
    if random.below(2):
        x = _signed(random.int8s(sizes[0]))
    else:
        x = memoryview(bytes(random.below(256) for _ in range(sizes[0])))
    return lambda form: ("move", (x, sizes[1]), parameters, ())


def _fill(random):
    size, value = _between(random, 1, 30), random.below(256) - 128
    return lambda form: ("fill", (size,), (value,), ())


def _gather(random):
    x = _signed(random.int8s(40))
    block, count = _between(random, 1, 9), _between(random, 1, 9)
    table = _int32s([random.below(41 - block) for _ in range(count)])
    return lambda form: ("gather", (x, table, block * count), (block,), ())


_OPS = (
    _dense, _softmax, _conv, _depthwise, _pool, _mean, _add, _mul, _lookup, _dequantize, _move, _fill,
    _gather,
)  # fmt: skip
