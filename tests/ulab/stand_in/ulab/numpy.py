"""``ulab.numpy`` on the real numpy: what the kernel needs, by
ulab's rules, and nothing that a board lacks. For tests only.

Where ulab 6.12 (MicroPython) and 6.5.3 (CircuitPython) differ, the stricter one is
followed: assigning a value that does not fit is an OverflowError, and a Python
float has 30 bits. ``../../rules.py`` says the same of the real ulab.
"""

import numpy as real

bool, int8, uint8, int16, uint16, float = (ord(code) for code in "?bBhHf")

_TYPES = {
    bool: real.bool_, int8: real.int8, uint8: real.uint8, int16: real.int16, uint16: real.uint16,
    float: real.float32,
}  # fmt: skip
_INTEGERS = (int8, uint8, int16, uint16)
# ulab's own upcasting, where it is not the type of both: what is missing here becomes float
_UPCAST = {
    (int8, uint8): int16, (int8, int16): int16, (int8, uint16): int16,
    (uint8, int16): int16, (uint8, uint16): uint16,
}  # fmt: skip


def array(values, *, dtype=float):
    if isinstance(values, ndarray):
        return ndarray(_fit(values._data.copy(), dtype))
    if type(values[0]) is list:
        return ndarray(real.stack([array(row, dtype=dtype)._data for row in values]))
    if dtype != float and _PYTHON_FLOAT in map(type, values):
        raise TypeError("can't convert float to int")
    return ndarray(_fit(real.array([_short(value) for value in values], dtype=real.float64), dtype))


def zeros(shape, *, dtype=float):
    return ndarray(real.zeros(shape, _TYPES[dtype]))


def ones(shape, *, dtype=float):
    return ndarray(real.ones(shape, _TYPES[dtype]))


def frombuffer(buffer, *, dtype=float, count=-1, offset=0):
    if isinstance(buffer, ndarray):
        buffer = buffer._data
    if (len(memoryview(buffer).cast("B")) - offset) % real.dtype(_TYPES[dtype]).itemsize:
        raise ValueError("buffer size must be a multiple of element size")
    return ndarray(real.frombuffer(memoryview(buffer).cast("B"), _TYPES[dtype], count, offset))


def dot(a, b):
    if not (isinstance(a, ndarray) and isinstance(b, ndarray)):
        raise TypeError("arguments must be ndarrays")
    left, right = (operand._data.astype(real.float32) for operand in (a, b))
    if left.shape[-1] != right.shape[0]:
        raise ValueError("dimensions do not match")
    rows, columns = real.atleast_2d(left), right.reshape((len(right), -1))
    # one product is added after the other, in float32
    products = rows[:, None, :] * columns.T[None, :, :]
    sums = real.add.accumulate(products, axis=-1, dtype=real.float32)[..., -1]
    if left.ndim == right.ndim == 1:
        return _short(sums[0, 0])
    return ndarray(sums if left.ndim == right.ndim == 2 else sums.reshape(-1))


def floor(values):
    return ndarray(real.floor(values._data.astype(real.float32)))


def clip(values, low, high):
    for limit, choose in ((high, real.minimum), (low, real.maximum)):
        values = values._combine(limit, choose)
    return values


def maximum(a, b):
    return a._combine(b, real.maximum)


def minimum(a, b):
    return a._combine(b, real.minimum)


def sum(values, *, axis):  # noqa: A001 - ulab's name
    return ndarray(values._data.sum(axis, values._data.dtype))


def min(values):  # noqa: A001 - ulab's name
    return _short(values._data.min())


def max(values):
    return _short(values._data.max())


def any(values):
    return _PYTHON_BOOL(values._data.any())


def nonzero(values):
    return tuple(ndarray(places.astype(real.uint16)) for places in values._data.nonzero())


class ndarray:  # noqa: N801 - ulab's name
    """At most two dimensions; slices and reshaped arrays are views."""

    __slots__ = ("_data",)
    __hash__ = None

    def __init__(self, data):
        if data.ndim > 2:
            raise TypeError("too many dimensions")
        self._data = data

    @property
    def shape(self):
        return self._data.shape

    @property
    def dtype(self):
        return _code_of(self._data)

    def reshape(self, shape):
        return ndarray(self._data.reshape(shape))

    def transpose(self):
        return ndarray(self._data.T)

    def tobytes(self):
        return self._data.tobytes()

    def tolist(self):
        return [_short(value) if value.ndim == 0 else ndarray(value).tolist() for value in self._data]

    def __len__(self):
        return len(self._data)

    def __getitem__(self, key):
        parts = key if isinstance(key, tuple) else (key,)
        if not {type(part) for part in parts} <= {int, slice}:
            raise TypeError("indices must be integers, slices, or tuples of them")
        found = self._data[key]
        return ndarray(found) if found.ndim else _short(found)

    def __setitem__(self, key, value):
        value = value._data if isinstance(value, ndarray) else real.float64(_short(value))
        self._data[key] = _fit(value, self.dtype)

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def __add__(self, other):
        return self._combine(other, real.add)

    def __sub__(self, other):
        return self._combine(other, real.subtract)

    def __mul__(self, other):
        return self._combine(other, real.multiply)

    def __gt__(self, other):
        return self._combine(other, real.greater)

    def __lt__(self, other):
        return self._combine(other, real.less)

    def __iadd__(self, other):
        return self._replace(self + other)

    def __isub__(self, other):
        return self._replace(self - other)

    def __imul__(self, other):
        return self._replace(self * other)

    def __eq__(self, other):
        raise TypeError("== compares identities in ulab: use np.equal")

    def _combine(self, other, operation):
        if not isinstance(other, ndarray):
            other = _scalar(other)
        ours, theirs = self.dtype, other.dtype
        kind = _upcast(uint8 if ours == bool else ours, uint8 if theirs == bool else theirs)
        if operation in (real.greater, real.less):  # numpy compares values, as ulab does
            kind = float if float in (ours, theirs) else int16
            if kind == int16:
                return ndarray(operation(self._data.astype(real.int32), other._data.astype(real.int32)))
        with real.errstate(over="ignore", invalid="ignore"):
            return ndarray(operation(self._data.astype(_TYPES[kind]), other._data.astype(_TYPES[kind])))

    def _replace(self, result):
        if self.dtype != float and result.dtype == float:
            raise TypeError("cannot cast output with casting rule")
        if result.shape != self.shape:
            raise ValueError("operands could not be broadcast together")
        self._data[...] = result._data.astype(self._data.dtype)
        return self


_PYTHON_FLOAT = type(0.0)
_PYTHON_BOOL = type(True)


def _short(value):
    """Return a number as Python sees it: an int, or a float without the two lowest bits of a float32."""
    if isinstance(value, (_PYTHON_FLOAT, real.floating)):
        bits = real.array([value], real.float32).view(real.uint32) & ~real.uint32(3)
        return _PYTHON_FLOAT(bits.view(real.float32)[0])
    return int(value)


def _scalar(value):
    """Return a Python number as ulab takes it into an operation: as an array of the smallest type."""
    if isinstance(value, int):
        for dtype in (uint8, uint16) if value >= 0 else (int8, int16):
            limits = real.iinfo(_TYPES[dtype])
            if limits.min <= value <= limits.max:
                return ndarray(real.array([value], _TYPES[dtype]))
    return ndarray(real.array([_short(value)], real.float32))


def _upcast(a, b):
    return a if a == b else _UPCAST.get((a, b), _UPCAST.get((b, a), float))


def _fit(values, dtype):
    """Return the values as this type: floats are rounded, halves away from zero, and must fit."""
    if dtype not in _INTEGERS:
        return values.astype(_TYPES[dtype])
    limits = real.iinfo(_TYPES[dtype])
    rounded = real.trunc(values + real.copysign(0.5, values))
    if not real.all((limits.min <= rounded) & (rounded <= limits.max)):
        raise OverflowError("value must fit in %d byte(s)" % (limits.bits // 8))
    return rounded.astype(_TYPES[dtype])


def _code_of(data):
    return next(code for code, type_of in _TYPES.items() if data.dtype == type_of)
