"""Reads a .mote file (docs/mote-format.md) and runs its ops in order. Plans nothing, copies no weights."""

import json
from array import array
from struct import unpack_from

from . import kernels
from .ops import ModelError, Op, RoomError
from .port import collect, crc32, ticks_diff, ticks_us

_HEADER_BYTES = 64
_TENSOR_BYTES = 32
_TRAINABLE_BYTES = 36
_INFO_BYTES = 4096
_ARENA_BYTES = 1 << 24
_OP_BYTES = 1200  # about so many are taken for an op
_ITEM_BYTES = (1, 4, 4, 1, 2)  # int8, int32, float32, uint8, int16
_FLOAT32, _UINT8 = 2, 3


def load(path, kernel=None, resident=None):
    """Return the Model of a file: mapped where it lies in ROMFS, else read into memory.

    resident: False leaves the weights in the file, to be read block by block; None
    does so where memory is short. Raises OSError and ModelError.
    """
    file = open(path, "rb")  # noqa: SIM115 - it stays open where weights are streamed
    try:
        return Model(memoryview(file), kernel)
    except TypeError:  # not memory itself, as files in ROMFS are
        pass
    size = file.seek(0, 2)
    file.seek(0)
    if resident is not False:
        try:
            model = Model(_read(file, size), kernel)
            file.close()
            return model
        except (MemoryError, RoomError):
            if resident:
                file.close()
                raise ModelError("the model has %d bytes, more than there is" % size) from None
        collect()
        file.seek(0)
    try:
        return Model(_head_of(file, size), kernel, file)
    except MemoryError:
        file.close()
        raise RoomError(
            "the model needs more memory than there is, even with its weights in the file"
        ) from None


def mapped(address, kernel=None):
    """Return the Model of a .mote file that stands in mapped memory, such as a region of the flash.

    MicroPython only. Nothing of it is copied. Raises ModelError where there is none.
    """
    from uctypes import bytearray_at

    head = bytearray_at(address, _HEADER_BYTES)
    if bytes(head[:4]) != b"MOTE":
        raise ModelError("no .mote file at address 0x%x" % address)
    return Model(memoryview(bytearray_at(address, unpack_from("<I", head, 8)[0])), kernel)


class Tensor:
    """One row of the tensor table: ``data`` (a view), ``shape``, ``scale`` (float32 bits) and ``zero_point``.

    ``size``: bytes. ``offset``: in arena or file. ``data`` is None for weights that are streamed.
    """

    def __init__(self, model, number):
        self.number = number
        #: where in the file the row stands
        self.row = model.tensors_at + _TENSOR_BYTES * number
        self.offset, self.size, self.kind, place, rank = unpack_from("<IIBBB", model.buffer, self.row)
        if self.kind >= len(_ITEM_BYTES) or place > 1 or not 0 < rank <= 4:
            raise ModelError("tensor %d is malformed" % number)
        self.shape = unpack_from("<%dH" % rank, model.buffer, self.row + 12)
        count = 1
        for dimension in self.shape:
            count *= dimension
        limit = len(model.arena) if place == 0 else model.file_bytes
        if (
            not count
            or count * _ITEM_BYTES[self.kind] != self.size
            or self.offset + self.size > limit
            or self.offset & 3
        ):
            raise ModelError("tensor %d lies outside of its space" % number)
        self.is_activation = place == 0
        self._buffer = model.buffer
        if place == 0:
            self.data = model.arena[self.offset : self.offset + self.size]
        elif self.offset + self.size <= len(model.buffer):
            self.data = model.view[self.offset : self.offset + self.size]
        else:
            self.data = None

    @property
    def scale(self):
        """float32 bits, as they stand in the file now."""
        return unpack_from("<I", self._buffer, self.row + 20)[0]

    @property
    def zero_point(self):
        """As it stands in the file now."""
        return unpack_from("<i", self._buffer, self.row + 24)[0]


class Trainable:
    """One row of the trainable table: ``op``, ``is_bias``, ``shape``,
    ``count``, ``start`` in the flat vector, ``name``."""

    def __init__(self, buffer, offset):
        self.op, role, rank = unpack_from("<HBB", buffer, offset)
        self.is_bias = role == 1
        self.shape = unpack_from("<%dH" % min(rank, 4), buffer, offset + 4)
        self.count, self.start = unpack_from("<II", buffer, offset + 12)
        self.name = bytes(buffer[offset + 20 : offset + 36]).rstrip(b"\0").decode()


class Model:
    """A quantised network over ``buffer``, the bytes of a .mote file (bytearray where it is to be trained).

    kernel: a Kernel or its name, the fastest that runs here when None. file: the open
    file where ``buffer`` is only its resident part. Raises ModelError for a damaged or
    unsupported file, ValueError for a kernel that cannot run it.
    """

    def __init__(self, buffer, kernel=None, file=None):
        self.buffer = buffer
        self.view = view = memoryview(buffer)
        if len(view) < _HEADER_BYTES or bytes(view[:4]) != b"MOTE":
            raise ModelError("not a .mote file")
        version, header, self.file_bytes, crc = unpack_from("<HHII", buffer, 4)
        if version != 1 or header != _HEADER_BYTES:
            raise ModelError("format version %d, this library reads version 1" % version)
        if file is None:
            if self.file_bytes != len(view):
                raise ModelError(
                    "the file has %d bytes, its header says %d: it is cut or extended"
                    % (len(view), self.file_bytes)
                )
            if crc32(view[16:]) & 0xFFFFFFFF != crc:
                raise ModelError("CRC-32 does not match: the file is damaged")
        (
            arena, tensor_count, self.op_count, trainable_count, self.form, _, first, last,
            self.tensors_at, self.ops_at, self._trainables_at, info_at, info_bytes, self._setup_count,
        ) = unpack_from("<IHHHBBHHIIIIIH", buffer, 16)  # fmt: skip
        if info_bytes > _INFO_BYTES or not _inside(view, info_at, info_bytes):
            raise ModelError("the info text lies outside of the file")
        if not _inside(view, self.tensors_at, tensor_count * _TENSOR_BYTES):
            raise ModelError("the tensor table lies outside of the file")
        if not _inside(view, self._trainables_at, trainable_count * _TRAINABLE_BYTES):
            raise ModelError("the trainable table lies outside of the file")
        if self._setup_count > self.op_count:
            raise ModelError("%d of %d ops are for set-up" % (self._setup_count, self.op_count))
        #: name, labels and feature settings
        self.info = _info_of(bytes(view[info_at : info_at + info_bytes]))
        self.labels = self.info["labels"]
        if kernel is None or isinstance(kernel, str):
            kernel = kernels.choose(kernel, self.form)
        elif self.form not in kernel.WEIGHT_FORMS:
            raise ValueError("kernel %r does not take weight form %d" % (kernel.NAME, self.form))
        self.kernel = kernel
        try:
            if arena > _ARENA_BYTES:
                raise MemoryError
            if hasattr(kernel, "expect"):
                kernel.expect(arena + _OP_BYTES * self.op_count)
            self.arena = memoryview(_zeros(arena))
        except MemoryError:
            raise RoomError("the model needs an arena of %d bytes, more than there is" % arena) from None
        #: where ops write the first of their outputs; other than 0 only in blocks of streamed weights
        self.origin = array("H", [0])
        self.tensor_count = tensor_count
        if first >= tensor_count or last >= tensor_count:
            raise ModelError("input or output tensor does not exist")
        self.output_tensor = self.tensor(last)
        self.input_tensor = self.tensor(first)
        if not self.output_tensor.is_activation or not self.input_tensor.is_activation:
            raise ModelError("input or output tensor is a constant")
        #: views of the arena, signed bytes: write the input, invoke, read the output
        self.input = self.input_tensor.data
        self.output = self.output_tensor.data
        self._file = file
        self.prepare()
        self.reset()

    @property
    def trainables(self):
        """The rows of the trainable table, in the order of the flat float32 vector."""
        count = unpack_from("<H", self.buffer, 24)[0]
        return [Trainable(self.buffer, self._trainables_at + _TRAINABLE_BYTES * row) for row in range(count)]

    @property
    def layout(self):
        """CRC-32 of the trainable table as 8 hexadecimal digits: two
        models with the same one can share weights."""
        count = unpack_from("<H", self.buffer, 24)[0]
        table = self.view[self._trainables_at : self._trainables_at + _TRAINABLE_BYTES * count]
        return "%08x" % (crc32(table) & 0xFFFFFFFF)

    def tensor(self, number):
        """Return the Tensor of that number. Raises ModelError where it is damaged."""
        return Tensor(self, number)

    def scale_of(self, tensor):
        """Return the scale of a tensor as a float."""
        return unpack_from("<f", self.buffer, tensor.row + 20)[0]

    def set_input(self, values):
        """Quantise real values, one for each of the input, and write them to it."""
        tensor = self.input_tensor
        scale, low = self.scale_of(tensor), 0 if tensor.kind == _UINT8 else -128
        for k in range(len(self.input)):
            value = round(values[k] / scale) + tensor.zero_point
            value = low if value < low else low + 255 if value > low + 255 else value
            self.input[k] = value - 256 if value > 127 else value

    def probabilities(self):
        """Return the output as floats, one per class: probabilities where the network ends in a softmax."""
        tensor = self.output_tensor
        if tensor.kind == _FLOAT32:
            return list(unpack_from("<%df" % (tensor.size // 4), bytes(byte & 255 for byte in self.output)))
        mask = 255 if tensor.kind == _UINT8 else -1
        scale, zero_point = self.scale_of(tensor), tensor.zero_point
        return [((value & mask) - zero_point) * scale for value in self.output]

    def classify(self, values):
        """Return (label, probability) for real input values."""
        self.set_input(values)
        self.invoke()
        found = self.probabilities()
        best = max(range(len(found)), key=lambda n: found[n])
        return (self.labels[best] if best < len(self.labels) else str(best)), found[best]

    def prepare(self):
        """Give every op to the kernel. To be called again after constants of the file were changed."""
        self.ops = []
        offset = self.ops_at
        for number in range(self.op_count):
            collect()
            op = Op(self, number, offset)
            offset = op.end
            self.ops.append(op)
        self.steps = [None] * self.op_count
        bind = self._binder()
        # The last ops mostly have the most outputs: what others leave in the heap would be too small for them
        for op in reversed(self.ops):
            collect()
            self.steps[op.number] = bind(op)

    def reset(self):
        """Set the state of a streaming network to its initial values."""
        for number in range(self._setup_count):
            self.steps[number]()

    def invoke(self):
        """Compute the output from the input."""
        self.invoke_from(self._setup_count)

    def invoke_until(self, op):
        """Run the ops before number ``op`` only."""
        for number in range(self._setup_count, op):
            self.steps[number]()

    def invoke_from(self, op):
        """Run the ops from number ``op`` on."""
        for number in range(op, len(self.steps)):
            self.steps[number]()

    def profile(self):
        """Run once and return (name of the op, microseconds) for each."""
        spent = []
        for number in range(self._setup_count, len(self.steps)):
            start = ticks_us()
            self.steps[number]()
            spent.append((self.ops[number].name, ticks_diff(ticks_us(), start)))
        return spent

    def _binder(self):
        if not self._file:
            return Op.bind
        from .streaming import binder

        return binder(self.ops, self.kernel.BLOCKS, self._file)


def _read(file, size):
    buffer = bytearray(size)
    file.readinto(buffer)
    return buffer


def _head_of(file, size):
    """Return the resident part of a file whose CRC-32 was checked in small pieces."""
    head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[:4] != b"MOTE":
        raise ModelError("not a .mote file")
    file_bytes, crc = unpack_from("<II", head, 8)
    (resident,) = unpack_from("<I", head, 56)
    if file_bytes != size or not _HEADER_BYTES <= resident <= size:
        raise ModelError(
            "the file has %d bytes, its header says %d: it is cut or extended" % (size, file_bytes)
        )
    found = crc32(head[16:])
    piece = bytearray(1024)
    view = memoryview(piece)
    count = file.readinto(piece)
    while count:
        found = crc32(view[:count], found)
        count = file.readinto(piece)
    if found & 0xFFFFFFFF != crc:
        raise ModelError("CRC-32 does not match: the file is damaged")
    file.seek(0)
    buffer = bytearray(resident)
    file.readinto(buffer)
    return buffer


def _info_of(text):
    try:
        info = json.loads(text)
        if isinstance(info["labels"], list) and isinstance(info["features"], dict):
            return info
    except (ValueError, KeyError, TypeError, RuntimeError):  # the last: nested too deeply
        pass
    raise ModelError("the info text is not a JSON object with labels and features")


def _zeros(count):
    """Return ``count`` zeros as signed bytes, made in place: memory for twice as many may not be there."""
    zeros, piece = array("b"), bytes(512)
    for _ in range(count // len(piece)):
        zeros.extend(piece)
    zeros.extend(bytes(count % len(piece)))
    return zeros


def _inside(view, offset, size):
    return offset + size <= len(view)
