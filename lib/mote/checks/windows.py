"""Convolutions, pools and means: ops that see a part of a map at a time."""

from .common import LONGEST_SUM, are_bounds, are_shifts, constants_fit, four

_WINDOWS = (0, 2, 4, 8, 16)


def check_conv(tensors, parameters):
    return _window_fits(tensors, parameters) and _check_conv_shapes(tensors)


def _check_conv_shapes(tensors):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    return (
        weights[3] == x[3]
        and weights[0] == y[3]
        and weights[1] * weights[2] * weights[3] <= LONGEST_SUM
        and constants_fit(tensors, y[3])
    )


def rest_conv(tensors, form, origin):
    return form, four(tensors[0].shape), four(tensors[1].shape), four(tensors[5].shape), origin


def check_depthwise(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    return (
        _window_fits(tensors, parameters)
        and weights[0] == 1
        and weights[3] == y[3]
        and y[3] % x[3] == 0
        and weights[1] * weights[2] <= LONGEST_SUM
        and constants_fit(tensors, y[3])
    )


rest_depthwise = rest_conv


def check_products(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    quads, columns = (y[3] + 3) // 4, parameters[10] * parameters[11] * x[3]
    return weights == (1, quads, columns, 4) and _quads_fit(tensors, parameters, 4 * quads, columns)


def rest_products(tensors, form, origin):
    return four(tensors[0].shape), four(tensors[5].shape), origin


def check_taps(tensors, parameters):
    x, weights, y = (four(tensors[n].shape) for n in (0, 1, 5))
    columns = parameters[10] * parameters[11]
    return (
        weights == (1, 1, y[3], columns)
        and y[3] % x[3] == 0
        and _quads_fit(tensors, parameters, y[3], columns)
    )


rest_taps = rest_products


def _check_pool(tensors, parameters):
    x, y = four(tensors[0].shape), four(tensors[1].shape)
    _, _, kernel_h, kernel_w, stride_h, stride_w, top, left = parameters
    if (
        not are_bounds(*parameters[:2])
        or not tensors[0].is_activation
        or x[0] != 1
        or y[0] != 1
        or x[3] != y[3]
    ):
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


check_average_pool = check_max_pool = _check_pool


def rest_pool(tensors, form, origin):
    return four(tensors[0].shape), four(tensors[1].shape)


rest_average_pool = rest_max_pool = rest_pool


def check_mean(tensors, parameters):
    x, y = tensors
    outer, count, inner = parameters[:3]
    return (
        x.is_activation
        and are_shifts(parameters[6])
        and min(outer, count, inner) > 0
        and max(outer, count, inner) < 1 << 24
        and outer * count * inner == x.size
        and outer * inner == y.size
    )


def rest_mean(tensors, form, origin):
    return ()


def _quads_fit(tensors, parameters, outputs, columns):
    """Tell whether a PRODUCTS or TAPS op has sound parameters, and constants for so many outputs.

    Every window touches x, and no distance within it exceeds 16 bits: native kernels count on both.
    """
    stride_h, stride_w, dilation_h, dilation_w, top, left, height, width, window = parameters[4:]
    x, y = four(tensors[0].shape), four(tensors[5].shape)
    return (
        _window_fits(tensors, parameters[:10])
        and columns <= LONGEST_SUM
        and _touches(x[1], y[1], height, stride_h, dilation_h, top)
        and _touches(x[2], y[2], width, stride_w, dilation_w, left)
        and window in _WINDOWS
        and constants_fit(tensors, outputs)
    )


def _touches(size, count, taps, stride, dilation, before):
    """Tell whether each of ``count`` windows begins before the end of ``size`` pixels and ends in them."""
    reach = (taps - 1) * dilation
    return before <= reach < 65536 and (count - 1) * stride - before < size


def _window_fits(tensors, parameters):
    stride_h, stride_w, dilation_h, dilation_w, top, left = parameters[4:]
    x, y = four(tensors[0].shape), four(tensors[5].shape)
    return (
        are_bounds(*parameters[2:4])
        and tensors[0].is_activation
        and not tensors[1].is_activation
        and x[0] == y[0] == 1
        and min(stride_h, stride_w, dilation_h, dilation_w) > 0
        and max(parameters[4:]) < 65536
        and top >= 0
        and left >= 0
    )
