"""The ops of a .mote file: what each is made of, and how a kernel gets it."""

from struct import unpack_from

DENSE, SOFTMAX, CONV, DEPTHWISE, AVERAGE_POOL, MAX_POOL, MEAN = 1, 2, 3, 4, 5, 6, 7
ADD, MUL, LOOKUP, MOVE, FILL, GATHER, DEQUANTIZE, PRODUCTS, TAPS = 8, 9, 10, 11, 12, 13, 14, 15, 16


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
        self.name, tensor_count, parameter_count, _ = OPS[self.code]
        if (inputs + outputs, count) != (tensor_count, parameter_count):
            raise ModelError("op %d (%s) has a wrong number of tensors or parameters" % (number, self.name))
        self._numbers = unpack_from("<%dH" % tensor_count, buffer, offset + 4)
        if max(self._numbers) >= model.tensor_count:
            raise ModelError("op %d names a tensor that does not exist" % number)
        tensors = self.tensors
        for place, tensor in enumerate(tensors):
            if tensor.data is None and (place != 1 or tensor_count != 6):
                raise ModelError("op %d (%s): only weights may stay in the file" % (number, self.name))
        if not tensors[-1].is_activation or not self._of_family("check_")(tensors, self.parameters):
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
        model = self._model
        rest = self._of_family("rest_")(tensors, model.form, origin)
        return getattr(model.kernel, self.name)(*views, *self.parameters, *rest)

    def _of_family(self, prefix):
        family = __import__("mote.checks." + OPS[self.code][3], None, None, ("check",))
        return getattr(family, prefix + self.name)


#: op code -> name of the kernel's function, number of tensors, number of parameters, family of its checks
OPS = {
    DENSE: ("dense", 6, 3, "dense"),
    SOFTMAX: ("softmax", 2, 3, "dense"),
    CONV: ("conv", 6, 10, "windows"),
    DEPTHWISE: ("depthwise", 6, 10, "windows"),
    AVERAGE_POOL: ("average_pool", 2, 8, "windows"),
    MAX_POOL: ("max_pool", 2, 8, "windows"),
    MEAN: ("mean", 2, 7, "windows"),
    ADD: ("add", 3, 20, "elementwise"),
    MUL: ("mul", 3, 15, "elementwise"),
    LOOKUP: ("lookup", 3, 0, "elementwise"),
    MOVE: ("move", 2, 15, "elementwise"),
    FILL: ("fill", 1, 1, "elementwise"),
    GATHER: ("gather", 3, 1, "elementwise"),
    DEQUANTIZE: ("dequantize", 2, 0, "elementwise"),
    PRODUCTS: ("products", 6, 13, "windows"),
    TAPS: ("taps", 6, 13, "windows"),
}
