"""Reads a .mote file (docs/mote-format.md) and runs its ops in order. Plans nothing, copies no weights."""

import json
from array import array
from struct import unpack_from

from . import kernels
from .port import crc32

DENSE = 1
SOFTMAX = 2
#: op code -> name of the kernel's function, number of tensors, number of parameters
OPS = {DENSE: ("dense", 6, 3), SOFTMAX: ("softmax", 2, 3)}

_HEADER_BYTES = 64
_TENSOR_BYTES = 32
_TRAINABLE_BYTES = 36
_INFO_BYTES = 4096
_ARENA_BYTES = 1 << 24
_ITEM_BYTES = (1, 4, 4, 1, 2)  # int8, int32, float32, uint8, int16


class ModelError(ValueError):
    """A .mote file that is damaged or that this library cannot run."""


def load(path, kernel=None):
    """Read the file into memory and return its Model. Raises OSError and ModelError."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        buffer = bytearray(size)
        file.readinto(buffer)
    return Model(buffer, kernel)


class Tensor:
    """One row of the tensor table: ``data`` (a view), ``shape``, ``scale`` (float32 bits) and
    ``zero_point``."""

    def __init__(self, model, number):
        self.number = number
        #: where in the file the row stands
        self.row = model.tensors_at + _TENSOR_BYTES * number
        offset, size, kind, place, rank = unpack_from("<IIBBB", model.buffer, self.row)
        if kind >= len(_ITEM_BYTES) or place > 1 or not 0 < rank <= 4:
            raise ModelError("tensor %d is malformed" % number)
        self.shape = unpack_from("<%dH" % rank, model.buffer, self.row + 12)
        count = 1
        for dimension in self.shape:
            count *= dimension
        space = model.arena if place == 0 else model.view
        if count * _ITEM_BYTES[kind] != size or offset + size > len(space) or offset & 3:
            raise ModelError("tensor %d lies outside of its space" % number)
        self.data = space[offset : offset + size]
        self.is_activation = place == 0
        self.scale, self.zero_point = unpack_from("<Ii", model.buffer, self.row + 20)


class Trainable:
    """One row of the trainable table: ``op``, ``is_bias``, ``shape``, ``count``, ``start`` in the flat
    vector, ``name``."""

    def __init__(self, buffer, offset):
        self.op, role, rank = unpack_from("<HBB", buffer, offset)
        self.is_bias = role == 1
        self.shape = unpack_from("<%dH" % min(rank, 4), buffer, offset + 4)
        self.count, self.start = unpack_from("<II", buffer, offset + 12)
        self.name = bytes(buffer[offset + 20 : offset + 36]).rstrip(b"\0").decode()


class Model:
    """An int8 network over ``buffer``, the bytes of a .mote file (bytearray where it is to be trained).

    kernel: a kernel module or its name, the fastest that runs here when None. Raises ModelError for a damaged
    or unsupported file, ValueError for a kernel that cannot run it.
    """

    def __init__(self, buffer, kernel=None):
        self.buffer = buffer
        self.view = view = memoryview(buffer)
        if len(view) < _HEADER_BYTES or bytes(view[:4]) != b"MOTE":
            raise ModelError("not a .mote file")
        version, header, size, crc = unpack_from("<HHII", buffer, 4)
        if version != 1 or header != _HEADER_BYTES:
            raise ModelError("format version %d, this library reads version 1" % version)
        if size != len(view):
            raise ModelError(
                "the file has %d bytes, its header says %d: it is cut or extended" % (len(view), size)
            )
        if crc32(view[16:]) & 0xFFFFFFFF != crc:
            raise ModelError("CRC-32 does not match: the file is damaged")
        (
            arena, tensor_count, self.op_count, trainable_count, self.form, _, first, last,
            self.tensors_at, self.ops_at, self._trainables_at, info_at, info_bytes,
        ) = unpack_from("<IHHHBBHHIIIII", buffer, 16)  # fmt: skip
        if info_bytes > _INFO_BYTES or not _inside(view, info_at, info_bytes):
            raise ModelError("the info text lies outside of the file")
        if not _inside(view, self.tensors_at, tensor_count * _TENSOR_BYTES):
            raise ModelError("the tensor table lies outside of the file")
        if not _inside(view, self._trainables_at, trainable_count * _TRAINABLE_BYTES):
            raise ModelError("the trainable table lies outside of the file")
        #: name, labels and feature settings
        self.info = _info_of(bytes(view[info_at : info_at + info_bytes]))
        self.labels = self.info["labels"]
        try:
            if arena > _ARENA_BYTES:
                raise MemoryError
            self.arena = memoryview(array("b", bytes(arena)))
        except MemoryError:
            raise ModelError("the model needs an arena of %d bytes, more than there is" % arena) from None
        self.tensors = [Tensor(self, number) for number in range(tensor_count)]
        if first >= tensor_count or last >= tensor_count:
            raise ModelError("input or output tensor does not exist")
        #: int8 views: write the input, invoke, read the output
        self.input = self.tensors[first].data
        self.output = self.tensors[last].data
        self.output_tensor = self.tensors[last]
        self.input_tensor = self.tensors[first]
        if not self.output_tensor.is_activation or not self.input_tensor.is_activation:
            raise ModelError("input or output tensor is a constant")
        if kernel is None or isinstance(kernel, str):
            kernel = kernels.choose(kernel, self.form)
        elif self.form not in kernel.WEIGHT_FORMS:
            raise ValueError("kernel %r does not take weight form %d" % (kernel.NAME, self.form))
        self.kernel = kernel
        self.prepare()

    @property
    def trainables(self):
        """The rows of the trainable table, in the order of the flat float32 vector."""
        count = unpack_from("<H", self.buffer, 24)[0]
        return [Trainable(self.buffer, self._trainables_at + _TRAINABLE_BYTES * row) for row in range(count)]

    @property
    def layout(self):
        """CRC-32 of the trainable table as 8 hexadecimal digits: two models with the same one can share
        weights."""
        count = unpack_from("<H", self.buffer, 24)[0]
        table = self.view[self._trainables_at : self._trainables_at + _TRAINABLE_BYTES * count]
        return "%08x" % (crc32(table) & 0xFFFFFFFF)

    def scale_of(self, tensor):
        """Return the scale of a tensor as a float."""
        return unpack_from("<f", self.buffer, tensor.row + 20)[0]

    def probabilities(self):
        """Return the output as floats, one per class: probabilities where the network ends in a softmax."""
        scale, zero_point = self.scale_of(self.output_tensor), self.output_tensor.zero_point
        return [(value - zero_point) * scale for value in self.output]

    def prepare(self):
        """Give every op to the kernel. To be called again after constants of the file were changed."""
        self.ops = []
        self.steps = []
        offset = self.ops_at
        for number in range(self.op_count):
            op = Op(self, number, offset)
            offset = op.end
            self.ops.append(op)
            self.steps.append(op.bind(self))

    def invoke(self):
        """Compute the output from the input."""
        for step in self.steps:
            step()

    def invoke_until(self, op):
        """Run the ops before number ``op`` only."""
        for number in range(op):
            self.steps[number]()

    def invoke_from(self, op):
        """Run the ops from number ``op`` on."""
        for number in range(op, len(self.steps)):
            self.steps[number]()


class Op:
    """One op of the file: ``code``, ``tensors`` (inputs, then outputs) and where its parameters stand."""

    def __init__(self, model, number, offset):
        if not _inside(model.view, offset, 4) or offset & 3:
            raise ModelError("op %d lies outside of the file" % number)
        self.code, inputs, outputs, self.parameter_count = unpack_from("<BBBB", model.buffer, offset)
        count = inputs + outputs
        self.parameters_at = offset + 4 + (2 * count + 3 & ~3)
        #: offset of what follows
        self.end = self.parameters_at + 4 * self.parameter_count
        if not _inside(model.view, offset, self.end - offset):
            raise ModelError("op %d lies outside of the file" % number)
        if self.code not in OPS:
            raise ModelError("op %d has code %d, which this library does not know" % (number, self.code))
        if (count, self.parameter_count) != OPS[self.code][1:3]:
            raise ModelError(
                "op %d (%s) has a wrong number of tensors or parameters" % (number, OPS[self.code][0])
            )
        numbers = unpack_from("<%dH" % count, model.buffer, offset + 4)
        if max(numbers) >= len(model.tensors):
            raise ModelError("op %d names a tensor that does not exist" % number)
        self.tensors = [model.tensors[n] for n in numbers]
        _CHECKS[self.code](number, self.tensors)

    def bind(self, model):
        """Return the kernel's prepared function for this op."""
        parameters = unpack_from("<%di" % self.parameter_count, model.buffer, self.parameters_at)
        views = [tensor.data for tensor in self.tensors]
        if self.code == DENSE:
            return model.kernel.dense(*views, *parameters, model.form)
        return model.kernel.softmax(*views, *parameters)


def _check_dense(number, tensors):
    x, weights, bias, multipliers, shifts, y = tensors
    rows, columns = len(y.data), len(x.data)
    if (
        not (x.is_activation and y.is_activation)
        or weights.is_activation
        or len(weights.data) != rows * columns
    ):
        raise ModelError(
            "op %d: %d weights for %d inputs and %d outputs" % (number, len(weights.data), columns, rows)
        )
    if (
        not len(bias.data) == len(multipliers.data) == len(shifts.data) == 4 * rows
        or not columns
        or columns > 32768
    ):
        raise ModelError("op %d: constants do not fit %d outputs" % (number, rows))


def _check_softmax(number, tensors):
    if not all(tensor.is_activation for tensor in tensors) or len(tensors[0].data) != len(tensors[1].data):
        raise ModelError(
            "op %d: softmax of %d values to %d" % (number, len(tensors[0].data), len(tensors[1].data))
        )


_CHECKS = {DENSE: _check_dense, SOFTMAX: _check_softmax}


def _info_of(text):
    try:
        info = json.loads(text)
        if isinstance(info["labels"], list) and isinstance(info["features"], dict):
            return info
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelError("the info text is not a JSON object with labels and features")


def _inside(view, offset, size):
    return offset + size <= len(view)
