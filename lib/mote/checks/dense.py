"""Dense layers and softmax."""

from .common import LONGEST_SUM, are_bounds, constants_fit

_LONGEST_SOFTMAX = 4096  # so many powers stay within an int32


def check_dense(tensors, parameters):
    x, weights, y = tensors[0], tensors[1], tensors[5]
    outputs = tensors[2].size // 4
    if (
        not are_bounds(*parameters[1:3])
        or weights.is_activation
        or not x.is_activation
        or not outputs
        or weights.size % outputs
    ):
        return False
    columns = weights.size // outputs
    if not 0 < columns <= LONGEST_SUM or x.size % columns or x.size // columns * outputs != y.size:
        return False
    return constants_fit(tensors, outputs)


def rest_dense(tensors, form, origin):
    return form, tensors[2].size // 4, origin


def check_softmax(tensors, parameters):
    x, y = tensors
    if parameters[0] < 0 or parameters[2] > 0 or x.shape[-1] > _LONGEST_SOFTMAX:  # exponents above 0
        return False
    return x.is_activation and x.size == y.size > 0 and 0 <= parameters[1] < 32


def rest_softmax(tensors, form, origin):
    return (tensors[0].shape[-1],)
