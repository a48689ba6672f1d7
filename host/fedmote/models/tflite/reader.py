"""Reads .tflite files, checking every offset and number in them; what the operators mean is not checked."""

import math
from collections.abc import Sequence

from fedmote.errors import FedmoteError
from fedmote.models.tflite import flatbuffer, schema
from fedmote.models.tflite.flatbuffer import Table
from fedmote.models.tflite.network import Network, Operator, Quantisation, Subgraph, Tensor

#: first bytes -> what else people have at hand
_OTHER_FILES = {
    b"\x89HDF": "a Keras file (HDF5)",
    b"PK\x03\x04": "a zip archive, as .keras and .pt files are",
    b"MOTE": "a .mote file, which is compiled already",
}

_SHOWN = 60  # characters of a name that a message has room for


def read(data: bytes) -> Network:
    """Return the network of a .tflite file, without its metadata and signatures.

    Takes time and memory in proportion to the file's size, whatever is in it. Raises FedmoteError for a file
    that is something else, that is cut or damaged, or that holds its constants in a way that is not read.
    """
    data = bytes(data)
    if data[4:8] != schema.IDENTIFIER:
        other = next((name for start, name in _OTHER_FILES.items() if data.startswith(start)), None)
        found = f"it is {other}" if other else f"bytes 4 to 7 are {data[4:8]!r}, not {schema.IDENTIFIER!r}"
        raise FedmoteError(f"not a .tflite file: {found}; convert the model with TensorFlow or LiteRT")
    model = flatbuffer.Source(data).root()
    version = model.integer(0, "I")
    if version != schema.VERSION:
        raise FedmoteError(f"the .tflite file has format version {version}, only {schema.VERSION} is read")
    if next(model.tables(9), None):
        raise FedmoteError("the .tflite file keeps constants in other files; convert it into a single one")
    codes = [_code(table) for table in model.tables(1)]
    buffers = [_buffer(table, number) for number, table in enumerate(model.tables(4))]
    graphs = list(model.tables(2))
    if not graphs:
        raise FedmoteError("the .tflite file holds no network; convert the model again")
    subgraphs = tuple(_Graph(number, len(graphs), codes, buffers).read(t) for number, t in enumerate(graphs))
    return Network(version, model.text(3), subgraphs)


def _code(table: Table) -> tuple[str, int]:
    """Return an operator's name and version."""
    number = max(table.integer(0, "b"), table.integer(3, "i"))
    if number == schema.CUSTOM:
        name = f"CUSTOM:{table.text(1)}"
    elif 0 <= number < len(schema.OPERATOR_NAMES):
        name = schema.OPERATOR_NAMES[number]
    else:
        name = f"BUILTIN_{number}"
    return name, table.integer(2, "i", 1)


def _buffer(table: Table, number: int) -> bytes:
    """Return the content of a buffer."""
    if table.integer(1, "Q") or table.integer(2, "Q"):
        raise FedmoteError(
            f"buffer {number} of the .tflite file lies behind its tables, as in models over 2 GB: convert "
            "the model without that option"
        )
    return table.content(0)


class _Graph:
    """A subgraph being read. number: its own, of `graphs`. codes, buffers: those of the file."""

    def __init__(
        self, number: int, graphs: int, codes: Sequence[tuple[str, int]], buffers: Sequence[bytes]
    ) -> None:
        self._number = number
        self._graphs = graphs
        self._codes = codes
        self._buffers = buffers
        self._tensors = 0

    def read(self, table: Table) -> Subgraph:
        """Return the subgraph."""
        tensors = tuple(self._tensor(row, number) for number, row in enumerate(table.tables(0)))
        self._tensors = len(tensors)
        return Subgraph(
            name=table.text(4),
            tensors=tensors,
            operators=tuple(self._operator(row, number) for number, row in enumerate(table.tables(3))),
            inputs=self._numbers(table, 1, 0, "input of the subgraph"),
            outputs=self._numbers(table, 2, 0, "output of the subgraph"),
        )

    def _tensor(self, table: Table, number: int) -> Tensor:
        name = table.text(3)
        what = f"tensor {number} ({name[:_SHOWN]!r})"
        kind = self._named(schema.TENSOR_TYPES, table.integer(1, "b"), f"{what}: type")
        shape = table.integers(0, "i")
        if len(shape) > schema.DIMENSIONS:
            raise self._error(f"{what} has {len(shape)} dimensions, at most {schema.DIMENSIONS} are read")
        if any(size < 0 for size in shape):
            raise self._error(f"{what} has the shape {shape}; convert the model with fixed shapes")
        if table.has(6):
            raise self._error(f"{what} is sparse; convert the model without sparsity")
        if table.integer(10, "I"):
            raise self._error(f"{what} is kept in another file; convert the model into a single one")
        return Tensor(
            name=name,
            shape=shape,
            type=kind,
            data=self._data(table.integer(2, "I"), shape, kind, what),
            quantisation=self._quantisation(table.table(4), what),
            variable=bool(table.integer(5, "?")),
            signature=table.integers(7, "i"),
        )

    def _data(self, buffer: int, shape: Sequence[int], kind: str, what: str) -> bytes | None:
        """Return a constant's content, None for another tensor."""
        if buffer >= len(self._buffers):
            raise self._error(f"{what} is in buffer {buffer}, there are {len(self._buffers)}")
        data = self._buffers[buffer]
        if not data:
            return None
        bits = schema.BITS.get(kind)
        size = len(data) if bits is None else (math.prod(shape) * bits + 7) // 8
        if len(data) != size:
            raise self._error(f"{what} has {len(data)} bytes, {kind} of shape {tuple(shape)} takes {size}")
        return data

    def _quantisation(self, table: Table | None, what: str) -> Quantisation | None:
        """Return a tensor's quantisation, None where it has none or only the float range it came from."""
        if table is None:
            return None
        if table.integer(4, "B"):
            raise self._error(f"{what} is quantised in blocks or in its own way; use int8 per channel")
        scales = tuple(float(scale) for scale in table.numbers(2, "f"))
        zero_points = table.integers(3, "q")
        if not scales or not zero_points:
            return None
        if not all(math.isfinite(scale) for scale in scales):
            raise self._error(f"{what} has a scale that is not finite; convert the model again")
        if len(zero_points) == 1:
            zero_points *= len(scales)
        if len(zero_points) != len(scales):
            raise self._error(f"{what} has {len(scales)} scales, but {len(zero_points)} zero points")
        return Quantisation(scales, zero_points, table.integer(6, "i"))

    def _operator(self, table: Table, number: int) -> Operator:
        index = table.integer(0, "I")
        if index >= len(self._codes):
            raise self._error(f"operator {number} has code {index}, there are {len(self._codes)}")
        code, version = self._codes[index]
        what = f"operator {number} ({code[:_SHOWN]})"
        return Operator(
            code=code,
            version=version,
            inputs=self._numbers(table, 1, -1, f"input of {what}"),
            outputs=self._numbers(table, 2, 0, f"output of {what}"),
            options=self._options(table, code, what),
            intermediates=self._numbers(table, 8, -1, f"intermediate of {what}"),
        )

    def _options(self, table: Table, code: str, what: str) -> dict[str, schema.OptionValue]:
        """Return all options of an operator that is in the table, {} for another one."""
        known = schema.OPERATORS.get(code)
        if known is None or not known.options:
            return {}
        kind, options = table.integer(3, "B"), table.table(4)
        if kind not in (0, known.options_type):
            raise self._error(f"{what} has the options of another operator (type {kind})")
        if options is None or not kind:
            return {option.name: option.default for option in known.options}
        newer = set(options.fields()) - {option.field for option in known.options}
        if newer:
            raise self._error(f"{what} has options that are too new: field {min(newer)}")
        return {option.name: self._option(options, option, what) for option in known.options}

    def _option(self, table: Table, option: schema.Option, what: str) -> schema.OptionValue:
        match option.kind:
            case schema.INTS:
                return table.integers(option.field, "i")
            case schema.TEXT:
                return table.text(option.field)
            case schema.FLOAT:
                real = table.real(option.field)
                if not math.isfinite(real):
                    raise self._error(f"{what}: {option.name} is {real}")
                return real
            case schema.BOOL:
                return bool(table.integer(option.field, "?", bool(option.default)))
            case schema.ENUM:
                default = option.names.index(str(option.default))
                return self._named(
                    option.names, table.integer(option.field, "b", default), f"{what}: {option.name}"
                )
        number = table.integer(option.field, "i", int(option.default))  # type: ignore[arg-type]
        if option.kind == schema.SUBGRAPH and not 0 <= number < self._graphs:
            raise self._error(f"{what} runs subgraph {number}, there are {self._graphs}")
        return number

    def _numbers(self, table: Table, field: int, least: int, what: str) -> tuple[int, ...]:
        """Return the tensor numbers of a field."""
        numbers = table.integers(field, "i")
        for number in numbers:
            if not least <= number < self._tensors:
                raise self._error(f"an {what} is tensor {number}, there are {self._tensors}")
        return numbers

    def _named(self, names: Sequence[str], number: int, what: str) -> str:
        if not 0 <= number < len(names):
            raise self._error(f"{what} {number} is unknown")
        return names[number]

    def _error(self, what: str) -> FedmoteError:
        where = f" of subgraph {self._number}" if self._graphs > 1 else ""
        return FedmoteError(f"the .tflite file is not readable: {what}{where}")
